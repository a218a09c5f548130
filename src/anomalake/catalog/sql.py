"""Pieces of Athena SQL that several views share. `duck` runs the same text on DuckDB."""

from collections.abc import Iterable

from anomalake.domain import time_patterns
from anomalake.lake.live_files import NUMBER


def identifier(identifier: str) -> str:
    """A quoted identifier, in lower case as Glue keeps it."""
    return '"' + identifier.lower().replace('"', '""') + '"'


def literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def key_part(expression: str) -> str:
    """A dimension value as `key.series_key` renders it: never null, and equal only where the values are."""
    return f"coalesce(replace(replace({expression}, '%', '%25'), '|', '%7C'), '%null')"


def series_key(expressions: Iterable[str]) -> str:
    """The series key of dimension expressions; `key.series_key` in SQL."""
    return " || '|' || ".join(map(key_part, expressions)) or "''"


def wall_to_utc(expression: str, zone: str) -> str:
    """A wall time as UTC: the first occurrence of an ambiguous one.

    Of an ambiguous one `with_timezone` takes the first west of Greenwich and the second east of it; the first has the
    offset of the day before.
    """
    if zone == "UTC":
        return expression
    first = f"({_instant(f'{expression} - {_DAY}', zone)} + {_DAY})"
    return f"CASE WHEN {utc_to_wall(first, zone)} = {expression} THEN {first} ELSE {_instant(expression, zone)} END"


_DAY = "INTERVAL '1' DAY"


def _instant(wall: str, zone: str) -> str:
    return f"CAST(at_timezone(with_timezone({wall}, {literal(zone)}), 'UTC') AS timestamp(3))"


def utc_to_wall(expression: str, zone: str) -> str:
    """A UTC time on the zone's wall clock."""
    if zone == "UTC":
        return expression
    return f"CAST(at_timezone(with_timezone({expression}, 'UTC'), {literal(zone)}) AS timestamp(3))"


def day_of_slot(expression: str, pattern: str) -> str:
    """The day, as 2021-02-17, of a text by a folder's date pattern; made of its parts, since DuckDB passes over files by what cannot fail alone."""
    places = time_patterns.locate_fields(pattern)
    return " || '-' || ".join(
        f"substr({expression}, {at + 1}, {width})" for at, width in (places[letter] for letter in "yMd")
    )


def add_days(day: str, number: int) -> str:
    """A day, as 2021-02-17, some days later."""
    return f"date_format(date_parse({day}, '%Y-%m-%d') + INTERVAL '{number}' DAY, '%Y-%m-%d')" if number else day


def parse_wall_time(expression: str, form: str, zone: str) -> str:
    """The wall time of a timestamp as live files write it; null where it cannot be read."""
    if form != time_patterns.UNIX:
        return f"try(date_parse(trim({expression}), {literal(time_patterns.to_trino_format(form))}))"
    return parse_unix_time(expression, zone)


def parse_unix_time(expression: str, zone: str) -> str:
    """The wall time in a zone of a UNIX timestamp as live files write it; null where it cannot be read."""
    number = parse_number(expression)
    seconds = f"CASE WHEN {number} > {time_patterns.MAX_UNIX_SECONDS} THEN {number} / 1000 ELSE {number} END"
    return f"try(CAST(at_timezone(from_unixtime({seconds}), {literal(zone)}) AS timestamp(3)))"


def interval_start(instant: str, wall: str, start: str, zone: str) -> str:
    """The start in UTC of the interval that holds an instant, from its wall time and that of the interval; of a repeated one that of the instant."""
    aligned = f"date_add('millisecond', date_diff('millisecond', {wall}, {start}), {instant})"
    return f"CASE WHEN {utc_to_wall(aligned, zone)} = {start} THEN {aligned} ELSE {wall_to_utc(start, zone)} END"


def parse_number(expression: str) -> str:
    """The finite number that a text is; null otherwise."""
    number = f"try_cast(trim({expression}) AS double)"
    return f"CASE WHEN regexp_like(trim({expression}), {literal(f'^(?:{NUMBER})$')}) AND is_finite({number}) THEN {number} END"


def null_unless_finite(aggregate: str) -> str:
    """The aggregate; null where it grew beyond what a number can be."""
    return f"CASE WHEN is_finite({aggregate}) THEN {aggregate} END"


def floor_to_interval(expression: str, frequency: str) -> str:
    """The start of the interval that holds a wall time."""
    match frequency:
        case "P1D":
            return f"date_trunc('day', {expression})"
        case "PT1H":
            return f"date_trunc('hour', {expression})"
        case _:
            minutes = int(frequency.strip("PTM"))
            return f"date_add('minute', -(minute({expression}) % {minutes}), date_trunc('minute', {expression}))"


def parse_csv_cell(expression: str, kind: str) -> str:
    """A cell of the lake's CSV as what it was (`lake.encoding`)."""
    cell = f"nullif({expression}, '')"
    if kind == "string":
        return f"CASE WHEN {expression} = '\"\"' THEN '' ELSE url_decode({cell}) END"
    return f"CAST({cell} AS {TRINO_TYPES[kind]})"


def case(expression: str, branches: Iterable[tuple[str, str]]) -> str:
    """`CASE expression WHEN 'a' THEN x ... END`; null where there is no branch."""
    arms = " ".join(f"WHEN {literal(value)} THEN {result}" for value, result in branches)
    return f"CASE {expression} {arms} END" if arms else "CAST(NULL AS varchar)"


TRINO_TYPES = {
    "string": "varchar",
    "double": "double",
    "bigint": "bigint",
    "timestamp": "timestamp(3)",
    "boolean": "boolean",
}
HIVE_TYPES = {
    "varchar": "string",
    "double": "double",
    "bigint": "bigint",
    "timestamp(3)": "timestamp",
    "boolean": "boolean",
}
