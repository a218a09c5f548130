"""Java date patterns (`yyyy-MM-dd HH:mm:ss`), in which metric sets write timestamps and folders, and what each engine calls the same.

Source: `DateTimeFormatter` of the Java platform; the format specifiers of Trino's `date_parse` (those of MySQL) and of Python's `strptime`.
"""

import re
from datetime import datetime
from functools import cache
from typing import Literal, NamedTuple

from anomalake.domain.errors import UserError

UNIX = "UNIX"  # the one timestamp format that is not a pattern: seconds or milliseconds since 1970
MAX_UNIX_SECONDS = 94_694_400_000  # a UNIX timestamp above this is in milliseconds (the ended service's rule)

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
_FOLDER_KEYS = re.compile(r"\{\{([^{}]*)\}\}")


def _literal(token: str) -> str:
    """What a token without letters stands for; text in quotes, without them."""
    return (token[1:-1].replace("''", "'") or "'") if token[0] == "'" else token


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
            parts.append(_literal(token).replace("%", "%%"))
        elif letter in seen:
            raise UserError(f"the date pattern {pattern!r} has {letter!r} twice")
        elif letter in _FIELDS and len(token) in _FIELDS[letter][2]:
            seen.add(letter)
            parts.append(_FIELDS[letter][engine])
        else:
            allowed = " ".join(letter * width for letter, (_, _, widths) in _FIELDS.items() for width in widths)
            raise UserError(
                f"the date pattern {pattern!r} has {token!r}; understood are {allowed}, and text in single quotes"
            )
    return "".join(parts)


@cache  # asked for each live file and row
def to_python_format(pattern: str) -> str:
    """For `datetime.strptime` and `strftime`."""
    return _translate(pattern, 0)


def has_hour(pattern: str) -> bool:
    """Whether the pattern says a time of day, and not a day alone; UNIX times name instants and need no such care."""
    return any(match[1] in ("H", "h") for match in _TOKEN.finditer(pattern)) and pattern != UNIX


def check_timestamp_pattern(pattern: str, *, hour: bool) -> None:
    """Refuse (`UserError`) a pattern that does not say the day, or the hour where one is needed."""
    letters = {match[1] for match in _TOKEN.finditer(pattern) if match[1]}
    to_python_format(pattern)
    if not {"y", "M", "d"} <= letters or (hour and not letters & {"H", "h"}) or ("h" in letters) != ("a" in letters):
        raise UserError(
            f"the date pattern {pattern!r} must say year, month, day{' and hour' if hour else ''}, with a where hh is used"
        )


def to_trino_format(pattern: str) -> str:
    """For Trino's (Athena's) `date_parse` and `date_format`."""
    return _translate(pattern, 1)


class FolderPattern(NamedTuple):
    """A source path split where its date begins and ends: `prefix` + date by `pattern` + `suffix`."""

    prefix: str
    pattern: str  # one Java pattern; what stands between two {{...}} is quoted in it
    suffix: str


@cache
def parse_folder_pattern(path: str) -> FolderPattern:
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
    if "," in pattern:
        raise UserError(
            f"the path {path!r} has a comma in its date; Athena separates the first date and the last by one, so use another character"
        )
    letters = [match[0] for match in _TOKEN.finditer(pattern) if match[1]]
    if wrong := [token for token in letters if token not in _FOLDER_FIELDS]:
        raise UserError(
            f"the path {path!r} has {wrong[0]!r} in its date; folders are named by {' '.join(sorted(_FOLDER_FIELDS))}"
        )
    to_python_format(pattern)
    return FolderPattern(path[: keys[0].start()], pattern, path[keys[-1].end() :].rstrip("/"))


@cache
def parse_day_pattern(path: str) -> FolderPattern | None:
    """The folder of a day that holds those of its intervals; None where the path has no such folder, or where engines hide what lies below it.

    `ecommerce/live/{{yyyyMMdd}}/{{HHmm}}` -> (`ecommerce/live/`, `yyyyMMdd`, ``); `ecommerce/live/{{yyyyMMddHHmm}}` -> None.
    """
    prefix, pattern, rest = parse_folder_pattern(path)
    fields, after, end = set[str](), "", 0  # seen so far; what stands after the last of them, which ends there
    for match in _TOKEN.finditer(pattern):
        if not match[1]:
            after += _literal(match[0])
        elif {"y", "M", "d"} <= fields and "/" in after:
            below = datetime(2000, 1, 1).strftime(to_python_format(pattern[end:])) + rest
            whole = len(fields) == 3 and not re.search("/[_.]", below)
            return FolderPattern(prefix, pattern[:end], after.partition("/")[0]) if whole else None
        else:
            after, end = "", match.end()
            fields.add(match[1])
    return None


@cache  # asked for each live file
def split_pattern(pattern: str) -> tuple[tuple[str, str], ...]:
    """A folder's pattern in order: of each field the letter and the text (`("y", "yyyy")`), of a literal no letter and what it stands for."""
    return tuple((match[1] or "", match[0] if match[1] else _literal(match[0])) for match in _TOKEN.finditer(pattern))


def locate_fields(pattern: str) -> dict[str, tuple[int, int]]:
    """Where a folder's pattern, whose fields have fixed widths, has each letter's field: its first character, from 0, and its width."""
    found, at = {}, 0
    for letter, text in split_pattern(pattern):
        if letter:
            found[letter] = (at, len(text))
        at += len(text)
    return found


def sorts_by_date(pattern: str) -> bool:
    """Whether folders of this pattern sort as their dates do: the year first, then month, day and time."""
    letters = list(locate_fields(pattern))
    return letters == sorted(letters, key="yMdHms".index)


@cache
def build_folder_regex(path: str) -> str:
    """What the address in S3 of a file in an interval's folder begins with, as a regular expression; the group is the date in it."""
    prefix, pattern, suffix = parse_folder_pattern(path)
    parts = [
        f"[0-9]{{{len(match[0])}}}" if match[1] else _exactly(_literal(match[0])) for match in _TOKEN.finditer(pattern)
    ]
    return f"^s3://[^/]+/{_exactly(prefix)}({''.join(parts)}){_exactly(suffix)}/"


def _exactly(text: str) -> str:
    """The text in a regular expression of any engine: brackets around a mark mean itself everywhere, a backslash before it does not."""
    return re.sub(r"[^A-Za-z0-9/ ]", lambda match: f"[{match[0]}]", text)
