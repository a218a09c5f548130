"""Fragments of Athena's SQL that several views share. `duckdb_catalog` runs the same SQL in DuckDB.

A *wall time* is the time on the clock of a time zone, as a timestamp without a zone. `expression` is a SQL expression.
"""

from collections.abc import Iterable

from anomalake.catalog.skipped_starts import minutes_into_gaps
from anomalake.domain import intervals, time_patterns
from anomalake.lake.live_files import NUMBER

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
_DAY = "INTERVAL '1' DAY"


def identifier(name: str) -> str:
    """Return a quoted identifier, in lower case as Glue stores it."""
    return '"' + name.lower().replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a string literal."""
    return "'" + value.replace("'", "''") + "'"


def key_part(expression: str) -> str:
    """Return a dimension value as it appears in a series key: never null, and equal only where the values are equal."""
    return f"coalesce(replace(replace({expression}, '%', '%25'), '|', '%7C'), '%null')"


def series_key(expressions: Iterable[str]) -> str:
    """Return the series key of the dimension values `expressions`, by the rule of `domain.series_key`."""
    return " || '|' || ".join(map(key_part, expressions)) or "''"


def wall_to_utc(expression: str, zone: str) -> str:
    """Return a wall time in UTC. A wall time that occurs twice is read as its first occurrence.

    For a wall time that occurs twice, `with_timezone` returns the first occurrence west of Greenwich and the second one
    east of it. The first occurrence has the UTC offset of the day before.
    """
    if zone == "UTC":
        return expression
    first, otherwise = _with_offset_of_day_before(expression, zone), _wall_to_some_utc(expression, zone)
    return f"CASE WHEN {utc_to_wall(first, zone)} = {expression} THEN {first} ELSE {otherwise} END"


def start_to_utc(expression: str, zone: str, frequency: intervals.Frequency) -> str:
    """Return the start of an interval in UTC, from its wall time.

    As `wall_to_utc`; but an interval whose wall time clocks skip starts when they are set forward.
    """
    shifts = minutes_into_gaps(zone, frequency)
    if not shifts:
        return wall_to_utc(expression, zone)
    first, otherwise = _with_offset_of_day_before(expression, zone), _wall_to_some_utc(expression, zone)
    changes = [f"({first} - INTERVAL '{shift}' MINUTE)" for shift in shifts]
    arms = [f"WHEN {utc_to_wall(instant, zone)} = {expression} THEN {instant}" for instant in (first, otherwise)]
    for change in changes[:-1]:
        minute_before = utc_to_wall(f"({change} - INTERVAL '1' MINUTE)", zone)
        arms.append(f"WHEN {utc_to_wall(change, zone)} <> {minute_before} + INTERVAL '1' MINUTE THEN {change}")
    return f"CASE {' '.join(arms)} ELSE {changes[-1]} END"


def _with_offset_of_day_before(wall: str, zone: str) -> str:
    return f"({_wall_to_some_utc(f'{wall} - {_DAY}', zone)} + {_DAY})"


def _wall_to_some_utc(wall: str, zone: str) -> str:
    """Return a wall time in UTC; one that occurs twice is read as either occurrence."""
    return f"CAST(at_timezone(with_timezone({wall}, {literal(zone)}), 'UTC') AS timestamp(3))"


def utc_to_wall(expression: str, zone: str) -> str:
    """Return a UTC time as a wall time in the zone."""
    if zone == "UTC":
        return expression
    return f"CAST(at_timezone(with_timezone({expression}, 'UTC'), {literal(zone)}) AS timestamp(3))"


def day_of_slot(expression: str, pattern: str) -> str:
    """Return the day, as 2021-02-17, of a folder's name that has the date pattern `pattern`.

    The day is put together from substrings, because DuckDB skips files only by expressions that cannot fail.
    """
    fields = time_patterns.locate_fields(pattern)
    return " || '-' || ".join(
        f"substr({expression}, {start + 1}, {width})" for start, width in (fields[letter] for letter in "yMd")
    )


def add_days(day: str, number: int) -> str:
    """Return the day, as 2021-02-17, that is `number` days after `day`."""
    return f"date_format(date_parse({day}, '%Y-%m-%d') + INTERVAL '{number}' DAY, '%Y-%m-%d')" if number else day


def parse_wall_time(expression: str, timestamp_format: str, zone: str) -> str:
    """Return the wall time of a timestamp in a live file; null if it does not have the format."""
    if timestamp_format != time_patterns.UNIX:
        return f"try(date_parse(trim({expression}), {literal(time_patterns.to_trino_format(timestamp_format))}))"
    return parse_unix_time(expression, zone)


def parse_unix_time(expression: str, zone: str) -> str:
    """Return the wall time in the zone of a UNIX timestamp in a live file; null if it cannot be parsed."""
    number = parse_number(expression)
    seconds = f"CASE WHEN {number} > {time_patterns.MAX_UNIX_SECONDS} THEN {number} / 1000 ELSE {number} END"
    return f"try(CAST(at_timezone(from_unixtime({seconds}), {literal(zone)}) AS timestamp(3)))"


def interval_start(instant: str, wall: str, start: str, zone: str, frequency: intervals.Frequency) -> str:
    """Return the start, in UTC, of the interval that contains `instant`.

    `wall` is the wall time of the instant, `start` the wall time of the interval's start. Of a start that occurs twice,
    the expression returns the occurrence that belongs to the instant.
    """
    aligned = f"date_add('millisecond', date_diff('millisecond', {wall}, {start}), {instant})"
    otherwise = start_to_utc(start, zone, frequency)
    return f"CASE WHEN {utc_to_wall(aligned, zone)} = {start} THEN {aligned} ELSE {otherwise} END"


def parse_number(expression: str) -> str:
    """Return the number that a text contains; null if the text is not a finite number."""
    number = f"try_cast(trim({expression}) AS double)"
    pattern = literal(f"^(?:{NUMBER})$")
    return f"CASE WHEN regexp_like(trim({expression}), {pattern}) AND is_finite({number}) THEN {number} END"


def null_unless_finite(aggregate: str) -> str:
    """Return the aggregate; null if it overflowed."""
    return f"CASE WHEN is_finite({aggregate}) THEN {aggregate} END"


def floor_to_interval(expression: str, frequency: intervals.Frequency) -> str:
    """Return the wall time at which the interval that contains a wall time starts. Weeks start on Monday."""
    unit = {"PT1M": "minute", "PT1H": "hour", "P1D": "day", "P1W": "week", "P1M": "month"}.get(frequency)
    if unit:
        return f"date_trunc('{unit}', {expression})"
    minutes = intervals.INTERVAL_LENGTHS[frequency] // intervals.MINUTE
    minute = f"minute({expression})" if 60 % minutes == 0 else f"(60 * hour({expression}) + minute({expression}))"
    return f"date_add('minute', -({minute} % {minutes}), date_trunc('minute', {expression}))"


def parse_csv_cell(expression: str, kind: str) -> str:
    """Return the value of a cell in the lake's CSV, which `lake.encoding` encoded; `kind` is a key of `TRINO_TYPES`."""
    cell = f"nullif({expression}, '')"
    if kind == "string":
        return f"CASE WHEN {expression} = '\"\"' THEN '' ELSE url_decode({cell}) END"
    return f"CAST({cell} AS {TRINO_TYPES[kind]})"


def case(expression: str, branches: Iterable[tuple[str, str]]) -> str:
    """Return `CASE expression WHEN 'a' THEN x ... END`; null if there are no branches."""
    arms = " ".join(f"WHEN {literal(value)} THEN {result}" for value, result in branches)
    return f"CASE {expression} {arms} END" if arms else "CAST(NULL AS varchar)"
