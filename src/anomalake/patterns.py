"""Java date patterns (`yyyy-MM-dd HH:mm:ss`), in which metric sets write timestamps and folders, and what each engine calls the same.

Source: `DateTimeFormatter` of the Java platform; the format specifiers of Trino's `date_parse` (those of MySQL) and of Python's `strptime`.
"""

import re
from functools import cache
from typing import Literal, NamedTuple

from anomalake.errors import UserError

UNIX = "UNIX"  # the one timestamp format that is not a pattern: seconds or milliseconds since 1970
UNIX_MILLISECONDS_FROM = 94_694_400_000  # a UNIX timestamp above this is in milliseconds (the ended service's rule)

# Java letters: (Python, Trino), the widths at which they are understood.
_FIELDS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "y": ("%Y", "%Y", (4,)),
    "M": ("%m", "%m", (1, 2)),
    "d": ("%d", "%d", (1, 2)),
    "H": ("%H", "%H", (1, 2)),
    "h": ("%I", "%h", (1, 2)),
    "a": ("%p", "%p", (1,)),
    "m": ("%M", "%i", (1, 2)),
    "s": ("%S", "%s", (1, 2)),
    "S": ("%f", "%f", (3, 6)),
}
_TOKEN = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']")
_FOLDER_FIELDS = {"yyyy", "MM", "dd", "HH", "mm", "ss"}  # fixed widths, so that folders sort as their dates do
_FOLDER_KEYS = re.compile(r"\{\{(.*?)\}\}")


def _translate(pattern: str, engine: Literal[0, 1]) -> str:
    """The pattern as Python (0) or Trino (1) writes it; `UserError` names the letters that are not understood."""
    position, seen = 0, set()
    parts: list[str] = []
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise UserError(f"the date pattern {pattern!r} has a quote that is not closed")
        token, letter, position = match[0], match[1], match.end()
        if letter is None:
            literal = (token[1:-1].replace("''", "'") or "'") if token[0] == "'" else token
            parts.append(literal.replace("%", "%%"))
        elif letter in seen:
            raise UserError(f"the date pattern {pattern!r} has {letter!r} twice")
        elif letter in _FIELDS and len(token) in _FIELDS[letter][2]:
            seen.add(letter)
            parts.append(_FIELDS[letter][engine])
        else:
            allowed = " ".join(letter * width for letter, (_, _, widths) in _FIELDS.items() for width in widths)
            raise UserError(f"the date pattern {pattern!r} has {token!r}; understood are {allowed}, and text in single quotes")
    return "".join(parts)


@cache  # asked for each live file and row
def python_format(pattern: str) -> str:
    """For `datetime.strptime` and `strftime`."""
    return _translate(pattern, 0)


def has_hour(pattern: str) -> bool:
    """Whether the pattern says a time of day, and not a day alone; UNIX times name instants and need no such care."""
    return any(match[1] in ("H", "h") for match in _TOKEN.finditer(pattern)) and pattern != UNIX


def check_moment(pattern: str, *, hour: bool) -> None:
    """Refuse (`UserError`) a pattern that does not say the day, or the hour where one is needed."""
    letters = {match[1] for match in _TOKEN.finditer(pattern) if match[1]}
    python_format(pattern)
    if not {"y", "M", "d"} <= letters or (hour and not letters & {"H", "h"}) or ("h" in letters) != ("a" in letters):
        raise UserError(f"the date pattern {pattern!r} must say year, month, day{' and hour' if hour else ''}, with a where hh is used")


def trino_format(pattern: str) -> str:
    """For Trino's (Athena's) `date_parse` and `date_format`."""
    return _translate(pattern, 1)


class FolderPattern(NamedTuple):
    """A source path split where its date begins and ends: `prefix` + date by `pattern` + `suffix`."""

    prefix: str
    pattern: str  # one Java pattern; what stands between two {{...}} is quoted in it
    suffix: str


@cache
def folder_pattern(path: str) -> FolderPattern:
    """`ecommerce/live/{{yyyyMMdd}}/{{HHmm}}` -> (`ecommerce/live/`, `yyyyMMdd/HHmm`, ``)."""
    keys = list(_FOLDER_KEYS.finditer(path))
    if not keys:
        raise UserError(f"the path {path!r} names no date; write it as in ecommerce/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}")
    pattern = ""
    for before, key in zip([None, *keys], keys, strict=False):
        if before is not None:
            between = path[before.end() : key.start()]
            pattern += "'" + between.replace("'", "''") + "'" if re.search(r"[A-Za-z']", between) else between
        pattern += key[1]
    letters = [match[0] for match in _TOKEN.finditer(pattern) if match[1]]
    if wrong := [token for token in letters if token not in _FOLDER_FIELDS]:
        raise UserError(f"the path {path!r} has {wrong[0]!r} in its date; folders are named by {' '.join(sorted(_FOLDER_FIELDS))}")
    python_format(pattern)
    return FolderPattern(path[: keys[0].start()], pattern, path[keys[-1].end() :].rstrip("/"))
