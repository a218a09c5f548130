"""The rows of the live data in SQL, by the rules of `anomalake.lake.live_data`."""

from anomalake.catalog import sql
from anomalake.catalog.views.view import union_all
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import require_source


def live_row_queries(metric_set: MetricSet, db: str) -> str:
    """Return the WITH queries `live_read` and `live_rows`.

    They select the rows whose timestamp lies in the interval of their folder.

    `live_rows` has `date`, `timestamp` (UTC), `key`, the dimensions and the measures. `date` is computed from the
    partition column alone, so that a filter on it prunes partitions. Where each day has a folder, a partition is a day
    and not an interval, so that Athena plans with 2,500 partitions instead of 700,000. A local day then overlaps two
    or three UTC days, and `live_rows` has a SELECT for each of them (decision 0011).
    """
    zone, key = metric_set.timezone, sql.series_key(map(sql.identifier, metric_set.dimension_names))
    cells = _typed_cells(metric_set)
    names = ", ".join(sql.identifier(column) for column, _ in cells)
    typed = ", ".join(f"{expression} AS {sql.identifier(column)}" for column, expression in cells)
    folder_start, dates = _folder_start_and_dates(metric_set)
    by_interval = time_patterns.parse_day_pattern(require_source(metric_set).path) is None
    rows = [
        f'SELECT {date} AS "date", "timestamp", "key", {names} FROM live_read'
        + (f" WHERE date_format(\"timestamp\", '%Y-%m-%d') = {date}" if len(dates) > 1 else "")
        + (f" AND {date} <> {dates[0]}" if by_interval and number else "")
        for number, date in enumerate(dates)
    ]
    column = sql.identifier(metric_set.timestamp.column)
    wall = sql.parse_wall_time(column, metric_set.timestamp.format, zone)
    timestamp, instant = sql.wall_to_utc("_start", zone), ""
    if _has_both_occurrences(metric_set):
        timestamp = sql.interval_start("_instant", "_wall", "_start", zone)
        instant = f"{sql.parse_unix_time(column, 'UTC')} AS _instant, "
    exists = ""
    if zone != "UTC" and time_patterns.has_hour(metric_set.timestamp.format):
        exists = f" AND {sql.utc_to_wall(sql.wall_to_utc('_wall', zone), zone)} = _wall"
    return (
        f'live_read AS (\nSELECT slot, {timestamp} AS "timestamp", {key} AS "key", {names} '
        f"FROM (SELECT slot, {folder_start} AS _start, {wall} AS _wall, {instant}{typed} "
        f'FROM {sql.identifier(db)}."live") '
        f"WHERE {sql.floor_to_interval('_wall', metric_set.frequency)} = _start{exists}\n), "
        f"live_rows AS {union_all(rows)}"
    )


def _has_both_occurrences(metric_set: MetricSet) -> bool:
    """Return whether timestamps tell apart the two occurrences of an hour that repeats when clocks are set back."""
    return metric_set.clock.absolute and metric_set.timezone != "UTC" and metric_set.frequency != "P1D"


def _typed_cells(metric_set: MetricSet) -> list[tuple[str, str]]:
    """Return the dimensions and measures, each with the expression of its typed value."""
    empty_is_null = require_source(metric_set).format == "csv"
    dimensions = [
        (d, f"nullif({sql.identifier(d)}, '')" if empty_is_null else sql.identifier(d))
        for d in metric_set.dimension_names
    ]
    return [*dimensions, *((m, sql.parse_number(sql.identifier(m))) for m in metric_set.measure_names)]


def _folder_start_and_dates(metric_set: MetricSet) -> tuple[str, list[str]]:
    """Return expressions for the wall time at which a folder starts, and for the UTC dates in its partition."""
    path, zone = require_source(metric_set).path, metric_set.timezone
    folder_format = sql.literal(time_patterns.to_trino_format(time_patterns.parse_folder_pattern(path).pattern))
    day = time_patterns.parse_day_pattern(path)
    if day is not None:
        regex = sql.literal(time_patterns.build_folder_regex(path))
        dates = [
            sql.add_days(sql.day_of_slot("slot", day.pattern), offset) for offset in intervals.get_utc_day_offsets(zone)
        ]
        return f'try(date_parse(regexp_extract("$path", {regex}, 1), {folder_format}))', dates
    start = f"date_parse(slot, {folder_format})"
    # The second occurrence of an hour may have another UTC date than the first. Three hours later, that date has begun.
    shifts = ("", " + INTERVAL '3' HOUR") if _has_both_occurrences(metric_set) else ("",)
    return start, [f"date_format({sql.wall_to_utc(start, zone)}{shift}, '%Y-%m-%d')" for shift in shifts]
