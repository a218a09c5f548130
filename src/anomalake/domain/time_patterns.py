"""Java date patterns (`yyyy-MM-dd HH:mm:ss`) for timestamps and folders, and their translation for each engine.

Sources: `DateTimeFormatter` (Java platform), "Date and time functions" (Trino, whose `date_parse` uses the specifiers
of MySQL), `strptime` (Python).
"""

import re
from datetime import datetime
from functools import cache
from typing import Literal, NamedTuple

from anomalake.domain.errors import UserError
from anomalake.domain.text import quote

UNIX = "UNIX"  # the only timestamp format that is not a pattern: seconds or milliseconds since 1970
MAX_UNIX_SECONDS = 94_694_400_000  # a larger UNIX timestamp is in milliseconds (the rule of Lookout for Metrics)

# Java letter: (Python, Trino, supported widths).
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
_FOLDER_FIELDS = {"yyyy", "MM", "dd", "HH", "mm", "ss"}  # fixed widths, so that folders sort by date
_FOLDER_KEYS = re.compile(r"\{\{([^{}]*)\}\}")


def _unquote(token: str) -> str:
    """Return the text that a token without a field stands for."""
    return (token[1:-1].replace("''", "'") or "'") if token[0] == "'" else token


def _translate(pattern: str, engine: Literal[0, 1]) -> str:
    """Return the pattern for Python (0) or Trino (1). Raises `UserError`, which names the unsupported letters."""
    shown = f"the date pattern {quote(pattern)}"
    position, seen = 0, set()
    parts: list[str] = []
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise UserError(f"{shown} has a quote that is not closed")
        token, letter, position = match[0], match[1], match.end()
        if letter is None:
            parts.append(_unquote(token).replace("%", "%%"))
        elif letter in seen:
            raise UserError(f"{shown} has '{letter}' twice")
        elif letter in _FIELDS and len(token) in _FIELDS[letter][2]:
            seen.add(letter)
            parts.append(_FIELDS[letter][engine])
        else:
            supported = " ".join(letter * width for letter, (_, _, widths) in _FIELDS.items() for width in widths)
            raise UserError(f"{shown} has '{token}'; supported are {supported}, and text in single quotes")
    return "".join(parts)


@cache  # called for each live file and row
def to_python_format(pattern: str) -> str:
    """Return the pattern for Python's `datetime.strptime` and `strftime`. Raises `UserError`."""
    return _translate(pattern, 0)


def to_trino_format(pattern: str) -> str:
    """Return the pattern for `date_parse` and `date_format` of Trino (Athena). Raises `UserError`."""
    return _translate(pattern, 1)


def has_hour(pattern: str) -> bool:
    """Return whether the pattern contains the hour, and not only the day.

    False for `UNIX`, whose times are instants and need no time zone.
    """
    return any(match[1] in ("H", "h") for match in _TOKEN.finditer(pattern)) and pattern != UNIX


def check_timestamp_pattern(pattern: str, *, hour: bool) -> None:
    """Raise `UserError` if the pattern lacks the year, month or day, or (with `hour`) the hour."""
    letters = {match[1] for match in _TOKEN.finditer(pattern) if match[1]}
    to_python_format(pattern)
    if not {"y", "M", "d"} <= letters or (hour and not letters & {"H", "h"}) or ("h" in letters) != ("a" in letters):
        fields = "year, month, day and hour" if hour else "year, month and day"
        raise UserError(f"the date pattern {quote(pattern)} must contain {fields}, and use hh and a together")


class FolderPattern(NamedTuple):
    """A source path in three parts: `prefix`, the date in the form of `pattern`, `suffix`."""

    prefix: str
    pattern: str  # one Java pattern; the text between two {{...}} is quoted in it
    suffix: str


@cache
def parse_folder_pattern(path: str) -> FolderPattern:
    """Split a source path: `ecommerce/live/{{yyyyMMdd}}/{{HHmm}}` -> (`ecommerce/live/`, `yyyyMMdd/HHmm`, ``).

    Raises `UserError`.
    """
    shown = f"the path {quote(path)}"
    keys = list(_FOLDER_KEYS.finditer(path))
    if not keys:
        raise UserError(f"{shown} contains no date; write it as in ecommerce/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}")
    pattern = ""
    for before, key in zip([None, *keys], keys, strict=False):
        if before is not None:
            between = path[before.end() : key.start()]
            pattern += "'" + between.replace("'", "''") + "'" if re.search(r"[A-Za-z']", between) else between
        pattern += key[1]
    if "," in pattern:
        reason = "Athena separates the first and the last date with a comma"
        raise UserError(f"{shown} has a comma in its date; use another character, because {reason}")
    fields = [match[0] for match in _TOKEN.finditer(pattern) if match[1]]
    if unsupported := [field for field in fields if field not in _FOLDER_FIELDS]:
        supported = " ".join(sorted(_FOLDER_FIELDS))
        raise UserError(f"{shown} has '{unsupported[0]}' in its date; supported in folders are {supported}")
    to_python_format(pattern)
    return FolderPattern(path[: keys[0].start()], pattern, path[keys[-1].end() :].rstrip("/"))


@cache
def parse_day_pattern(path: str) -> FolderPattern | None:
    """Return the folder of a day, which contains the folders of its intervals.

    None if there is no such folder, or if engines ignore the folders below it.

    `ecommerce/live/{{yyyyMMdd}}/{{HHmm}}` -> (`ecommerce/live/`, `yyyyMMdd`, ``); `ecommerce/live/{{yyyyMMddHHmm}}` ->
    None.
    """
    prefix, pattern, rest = parse_folder_pattern(path)
    fields, literal, end = (
        set[str](),
        "",
        0,
    )  # fields read so far; the literal text after the last field, which ends at `end`
    for match in _TOKEN.finditer(pattern):
        if not match[1]:
            literal += _unquote(match[0])
        elif {"y", "M", "d"} <= fields and "/" in literal:
            below = datetime(2000, 1, 1).strftime(to_python_format(pattern[end:])) + rest
            is_day_folder = len(fields) == 3 and not re.search("/[_.]", below)
            return FolderPattern(prefix, pattern[:end], literal.partition("/")[0]) if is_day_folder else None
        else:
            literal, end = "", match.end()
            fields.add(match[1])
    return None


@cache  # called for each live file
def split_pattern(pattern: str) -> tuple[tuple[str, str], ...]:
    """Return the parts of a folder pattern, in order.

    A part is (letter, field), such as `("y", "yyyy")`, or ("", literal text).
    """
    return tuple((match[1] or "", match[0] if match[1] else _unquote(match[0])) for match in _TOKEN.finditer(pattern))


def locate_fields(pattern: str) -> dict[str, tuple[int, int]]:
    """Return the position (from 0) and the width of each letter's field in a folder pattern."""
    fields, position = {}, 0
    for letter, text in split_pattern(pattern):
        if letter:
            fields[letter] = (position, len(text))
        position += len(text)
    return fields


def sorts_by_date(pattern: str) -> bool:
    """Return whether folders of this pattern sort by date: the year first, then month, day and time."""
    letters = list(locate_fields(pattern))
    return letters == sorted(letters, key="yMdHms".index)


@cache
def build_folder_regex(path: str) -> str:
    """Return a regular expression for the start of the S3 address of a file in an interval's folder.

    Its group is the date.
    """
    prefix, pattern, suffix = parse_folder_pattern(path)
    parts = [
        f"[0-9]{{{len(match[0])}}}" if match[1] else _escape_regex(_unquote(match[0]))
        for match in _TOKEN.finditer(pattern)
    ]
    return f"^s3://[^/]+/{_escape_regex(prefix)}({''.join(parts)}){_escape_regex(suffix)}/"


def _escape_regex(text: str) -> str:
    """Return the text as a regular expression for any engine.

    All engines read brackets around a character alike; a backslash before it they do not.
    """
    return re.sub(r"[^A-Za-z0-9/ ]", lambda match: f"[{match[0]}]", text)
