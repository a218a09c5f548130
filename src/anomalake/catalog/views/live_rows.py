"""The rows of the live data in SQL, by the rules of `anomalake.lake.live_data`."""

from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.catalog.views.lake_tables import TOP_VALUES_TABLE, has_top_values
from anomalake.catalog.views.view import union_all
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import OTHER_VALUES, Measure, MetricSet
from anomalake.lake.live_data import require_source


class Cell(NamedTuple):
    """A column of `live_rows` that a measure aggregates: its name and its Trino type."""

    name: str
    type: str


def measure_cells(metric_set: MetricSet) -> list[Cell]:
    """Return a column for each measure that aggregates a column of the live data: a text if it counts, else a number.

    A count of rows and a ratio have no column.
    """
    return [
        Cell(measure.name, "varchar" if _counts_texts(measure) else "double")
        for measure in metric_set.measures
        if measure.source_column is not None
    ]


def _counts_texts(measure: Measure) -> bool:
    return measure.aggregation in ("COUNT", "COUNT_DISTINCT")


def aggregate_measure(metric_set: MetricSet, measure: Measure) -> str:
    """Return the value of a measure over the rows of a group of `live_rows`, where `_alive` is 1, and of other rows.

    Without a row of `live_rows` the value is null; or zero, if the measure is additive and no row means zero.
    """
    if measure.aggregation == "RATIO":
        return _divide(metric_set, measure)
    column = sql.identifier(measure.name)
    match measure.aggregation:
        case "COUNT":
            value = "sum(_alive)" if measure.source_column is None else f"count({column})"
        case "COUNT_DISTINCT":
            value = f"count(DISTINCT {column})"
        case _:
            value = sql.null_unless_finite(f"{measure.aggregation.lower()}({column})")
    if measure.is_additive and metric_set.missing_is_zero and metric_set.source is not None:
        return f"CASE WHEN max(_alive) = 1 THEN {value} ELSE 0 END"
    return f"CASE WHEN max(_alive) = 1 THEN {value} END" if _counts_texts(measure) else value


def _divide(metric_set: MetricSet, measure: Measure) -> str:
    """Return the ratio of two sums; null if the denominator is null or 0."""
    parts = {part.name: part for part in metric_set.measures}
    numerator, denominator = (
        f"CAST({aggregate_measure(metric_set, parts[str(name)])} AS double)"
        for name in (measure.numerator, measure.denominator)
    )
    if metric_set.missing_is_zero:
        numerator = f"coalesce({numerator}, 0e0)"
    return sql.null_unless_finite(f"({numerator} / nullif({denominator}, 0e0))")


def live_row_queries(metric_set: MetricSet, db: str) -> str:
    """Return the WITH queries `live_read` and `live_rows`.

    They select the rows whose timestamp lies in the time of their folder: an interval, or several
    (`MetricSet.folder_period`). Then the timestamp gives the interval.

    `live_rows` has `date`, `timestamp` (UTC), `key`, the dimensions and the measures. `date` is computed from the
    partition column alone, so that a filter on it prunes partitions. Where each day has a folder, a partition is a day
    and not an interval, so that Athena plans with 2,500 partitions instead of 700,000. A local day then overlaps two
    or three UTC days, and `live_rows` has a SELECT for each of them (decision 0011).
    """
    names = ", ".join(sql.identifier(name) for name, _ in _typed_cells(metric_set))
    dates = _partition_dates(metric_set)
    by_interval = time_patterns.parse_day_pattern(require_source(metric_set).path) is None
    is_distinct = by_interval and metric_set.folder_period != "P1D"
    rows = [
        f'SELECT {date} AS "date", "timestamp", "key", {names} FROM live_read'
        + (f" WHERE date_format(\"timestamp\", '%Y-%m-%d') = {date}" if len(dates) > 1 else "")
        + (f" AND {date} <> {dates[0]}" if is_distinct and number else "")
        for number, date in enumerate(dates)
    ]
    return f"live_read AS (\n{_select_read_rows(metric_set, db, names)}\n), live_rows AS {union_all(rows)}"


def _select_read_rows(metric_set: MetricSet, db: str, names: str) -> str:
    """Return a SELECT of the rows of all intervals: `slot`, `timestamp`, `key`, and the dimensions and measures."""
    zone, frequency, period = metric_set.timezone, metric_set.frequency, metric_set.folder_period
    column, stamp_format = sql.identifier(metric_set.timestamp.column), metric_set.timestamp.format
    typed = ", ".join(f"{expression} AS {sql.identifier(name)}" for name, expression in _typed_cells(metric_set))
    timestamp, instant = sql.start_to_utc("_start", zone, frequency), ""
    if _has_both_occurrences(metric_set):
        timestamp = sql.interval_start("_instant", "_wall", "_start", zone, frequency)
        instant = f"{sql.parse_unix_time(column, 'UTC')} AS _instant, "
    wall, live = sql.parse_wall_time(column, stamp_format, zone), f'{sql.identifier(db)}."live"'
    start = "_start" if period == frequency else "_folder"
    rows = f"(SELECT slot, {_folder_start(metric_set)} AS {start}, {wall} AS _wall, {instant}{typed} FROM {live})"
    if period != frequency:
        rows = (
            f"(SELECT cells.*, {sql.floor_to_interval('_wall', frequency)} AS _start FROM {rows} cells "
            f"WHERE {sql.floor_to_interval('_wall', period)} = _folder)"
        )
    if has_top_values(metric_set):
        rows = _replace_other_values(metric_set, db, rows)
    key = sql.series_key(map(sql.identifier, metric_set.dimension_names))
    conditions = [f"{sql.floor_to_interval('_wall', frequency)} = _start"] if period == frequency else []
    if zone != "UTC" and time_patterns.has_hour(stamp_format):
        conditions.append(f"{sql.utc_to_wall(sql.wall_to_utc('_wall', zone), zone)} = _wall")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f'SELECT slot, {timestamp} AS "timestamp", {key} AS "key", {names} FROM {rows}{where}'


def _replace_other_values(metric_set: MetricSet, db: str, rows: str) -> str:
    """Return the rows with `OTHER_VALUES` for the dimension values that `top` leaves out.

    A dimension without a list of top values keeps all its values.
    """
    kept, joins = ["slot", "_start", "_wall"], ""
    if _has_both_occurrences(metric_set):
        kept.append("_instant")
    kept += [sql.identifier(name) for name, _ in _typed_cells(metric_set)]
    for number, dimension in enumerate(metric_set.dimensions):
        if dimension.top is None:
            continue
        name = sql.identifier(dimension.name)
        listed = f"FROM {sql.identifier(db)}.{TOP_VALUES_TABLE} WHERE dimension = {sql.literal(dimension.name)}"
        joins += (
            f"\nCROSS JOIN (SELECT count(*) AS _listed{number} {listed}) "
            f"LEFT JOIN (SELECT DISTINCT {sql.key_part('value')} AS _top{number} {listed}) "
            f"ON {sql.key_part(name)} = _top{number}"
        )
        other = f"CASE WHEN _listed{number} = 0 OR _top{number} IS NOT NULL THEN {name}"
        kept[kept.index(name)] = f"{other} ELSE {sql.literal(OTHER_VALUES)} END AS {name}"
    return f"(SELECT {', '.join(kept)} FROM {rows} AS named{joins})"


def _has_both_occurrences(metric_set: MetricSet) -> bool:
    """Return whether timestamps tell apart the two occurrences of an hour that repeats when clocks are set back."""
    return metric_set.clock.absolute and metric_set.timezone != "UTC" and metric_set.clock.is_sub_daily


def _typed_cells(metric_set: MetricSet) -> list[tuple[str, str]]:
    """Return the dimensions and measures that have a column, each with the expression of its typed value."""
    empty_is_null = require_source(metric_set).format == "csv"
    cells = []
    for dimension in metric_set.dimensions:
        column = sql.identifier(dimension.source_column)
        cells.append((dimension.name, f"nullif({column}, '')" if empty_is_null else column))
    for measure in metric_set.measures:
        if measure.source_column is not None:
            column = sql.identifier(measure.source_column)
            is_text = _counts_texts(measure)
            cells.append((measure.name, f"nullif({column}, '')" if is_text else sql.parse_number(column)))
    return cells


def _folder_start(metric_set: MetricSet) -> str:
    """Return an expression for the wall time at which the folder of a file starts."""
    path = require_source(metric_set).path
    folder_format = sql.literal(time_patterns.to_trino_format(time_patterns.parse_folder_pattern(path).pattern))
    if time_patterns.parse_day_pattern(path) is None:
        return f"date_parse(slot, {folder_format})"
    regex = sql.literal(time_patterns.build_folder_regex(path))
    return f'try(date_parse(regexp_extract("$path", {regex}, 1), {folder_format}))'


def _partition_dates(metric_set: MetricSet) -> list[str]:
    """Return expressions for the UTC dates on which intervals of a partition start, from the partition column alone.

    Where a partition is a month with shorter intervals, these are too many: then the timestamp gives the date.
    """
    path, zone, period = require_source(metric_set).path, metric_set.timezone, metric_set.folder_period
    day = time_patterns.parse_day_pattern(path)
    shared = period != metric_set.frequency
    if day is not None or (shared and period == "P1D"):
        pattern = day.pattern if day is not None else time_patterns.parse_folder_pattern(path).pattern
        day_of_slot = sql.day_of_slot("slot", pattern)
        return [sql.add_days(day_of_slot, offset) for offset in intervals.get_utc_day_offsets(zone)]
    if shared and period == "P1M":
        return ["date_format(\"timestamp\", '%Y-%m-%d')"]
    start = sql.start_to_utc(_folder_start(metric_set), zone, period)
    # The second occurrence of an hour may have another UTC date than the first, and so may the intervals of an hour.
    # Three or four hours later, that date has begun.
    hours = 3 * _has_both_occurrences(metric_set) + (shared and zone != "UTC")
    shifts = ("", f" + INTERVAL '{hours}' HOUR") if hours else ("",)
    return [f"date_format({start}{shift}, '%Y-%m-%d')" for shift in shifts]
