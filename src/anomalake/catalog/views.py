"""The views of the catalog, in Athena's SQL: typed, with UTC and local timestamps and the partition column `date` in the open.

A filter on `date` reaches the partitions of every table below a view: of the lake's tables because it is their partition column, of the live data
because it is computed from theirs. Joins use `timestamp` and `key` alone, which are never null.
"""

from collections.abc import Sequence
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.domain import intervals, time_patterns
from anomalake.domain.alert import SEVERITY_LABELS
from anomalake.domain.metric_set import ANOMALY_COLUMN_SUFFIXES, MetricSet
from anomalake.lake import tables
from anomalake.lake.layout import DETECTOR_TABLES, GLUE_TABLE_NAMES, Format, Table
from anomalake.lake.live_data import require_source

FEEDBACK = "feedback"  # the table of what people said of events
COMPACTION = "compaction"  # the table of days that are on their way into one object
COMPACTION_COLUMNS = (
    ("day", "string"),
    ("step", "string"),
    ("since", "string"),
    ("target", "string"),
    ("switched", "boolean"),
)
FEEDBACK_COLUMNS = (
    ("eventId", "string"), ("metricName", "string"), ("timestamp", "string"), ("wanted", "boolean"), ("direction", "string"),
    ("series", "array<map<string,string>>"), ("note", "string"), ("saidAt", "string"),
)  # fmt: skip


class ViewColumn(NamedTuple):
    """A view's column: its name (lower case), Trino type, the expression that gives it, and what it is."""

    name: str
    type: str
    expression: str
    comment: str


class View(NamedTuple):
    """A view as the catalog declares it."""

    database: str
    name: str
    columns: tuple[ViewColumn, ...]
    sql: str
    comment: str


_SUFFIX_COMMENTS = dict(
    zip(
        ANOMALY_COLUMN_SUFFIXES,
        (
            "value where anomalous",
            "severity of the event, 0-100",
            "expected value",
            "lower bound",
            "upper bound",
            "id of the event",
        ),
        strict=True,
    )
)


def database(prefix: str, metric_set: MetricSet) -> str:
    """The metric set's Glue database."""
    return f"{prefix}_{metric_set.name}"


def views(metric_set: MetricSet, prefix: str, form: Format) -> tuple[View, ...]:
    """The views of one metric set over tables in the given format."""
    return tuple(
        make(metric_set, database(prefix, metric_set), form)
        for make in (
            _anomalies_with_live,
            _anomalies_with_contributions,
            _anomaly_log,
            _metrics_with_band,
            _data_health,
        )
    )


def views_of_all(sets: Sequence[MetricSet], prefix: str, form: Format) -> tuple[View, ...]:
    """The views over all metric sets, in long form, in a database of their own."""
    return (
        _all_anomalies(sets, prefix, form),
        _all_contributions(sets, prefix),
        _all_log(sets, prefix),
        _all_health(sets, prefix),
    )


# --- what the views are made of


def _typed(table: Table, metric_set: MetricSet, db: str, form: Format) -> str:
    """A SELECT of the lake's table with typed columns in lower case, and `date`."""
    cells = [
        (f"{sql.csv_cell(sql.name(column), kind)} AS {sql.name(column)}" if form == "csv" else sql.name(column))
        for column, kind in tables.schema(table, metric_set)
    ]
    selected = f'SELECT {", ".join(cells)}, "date" FROM {sql.name(db)}.{sql.name(GLUE_TABLE_NAMES[table])}'
    if table not in DETECTOR_TABLES:
        return selected
    return (
        f"{selected} LEFT JOIN (SELECT day AS _day, target AS _target, switched AS _switched FROM {sql.name(db)}.{COMPACTION} "
        "WHERE target IS NOT NULL) ON _day = \"date\" WHERE _target IS NULL OR (\"$path\" LIKE concat('%/', _target, '.%')) = _switched"
    )


def _anomalies(metric_set: MetricSet, db: str, form: Format, *, first: bool) -> str:
    """The anomalous series: of each series and measure the event to show first, or all that hold. Objects of before event ranks have none."""
    rank = (
        sql.csv_cell(sql.name(tables.EVENT_RANK_COLUMN), "bigint")
        if form == "csv"
        else sql.name(tables.EVENT_RANK_COLUMN)
    )
    return f"{_typed('metricValue_AnomalyScore', metric_set, db, form)} WHERE coalesce({rank}, 0) {'=' if first else '>='} 0"


def _report(column: str) -> str:
    """What a report said, whenever it was made: the digest at the end of its id; objects of before report ids have none."""
    return f"coalesce(substr({column}, -{tables.DIGEST_CHARACTERS}), '')"


def _live(metric_set: MetricSet, db: str) -> str:
    """The queries `live_read` and `live_rows` of the live rows that lie in their folder's interval: `anomalake.lake.live_data` in SQL.

    `date` is computed of the partition column alone, so that a filter on it reaches the partitions. Those are days where a day has a folder, so that
    2,500 and not 700,000 are gone through; then there is a SELECT for each UTC day that a local day has a part in (decision 0011).
    """
    source, zone, day = (
        require_source(metric_set),
        metric_set.timezone,
        time_patterns.parse_day_pattern(require_source(metric_set).path),
    )
    apart = (
        metric_set.clock.absolute and zone != "UTC" and metric_set.frequency != "P1D"
    )  # both occurrences of a repeated hour
    form = sql.text(time_patterns.to_trino_format(time_patterns.parse_folder_pattern(source.path).pattern))
    if day is None:
        start = f"date_parse(slot, {form})"
        # The second occurrence of an hour may have another UTC date than the first; three hours later that date has begun.
        shifts = ("", " + INTERVAL '3' HOUR") if apart else ("",)
        dates = [f"date_format({sql.wall_to_utc(start, zone)}{shift}, '%Y-%m-%d')" for shift in shifts]
    else:
        start = f'try(date_parse(regexp_extract("$path", {sql.text(time_patterns.build_folder_regex(source.path))}, 1), {form}))'
        dates = [sql.days_later(sql.day_of("slot", day.pattern), part) for part in intervals.get_utc_day_offsets(zone)]
    wall = sql.wall_of(sql.name(metric_set.timestamp.column), metric_set.timestamp.format, zone)
    blank = source.format == "csv"
    dimensions = [(d, f"nullif({sql.name(d)}, '')" if blank else sql.name(d)) for d in metric_set.dimension_names]
    measures = [(m, sql.number_of(sql.name(m))) for m in metric_set.measure_names]
    names = ", ".join(sql.name(column) for column, _ in (*dimensions, *measures))
    typed = ", ".join(f"{expression} AS {sql.name(column)}" for column, expression in (*dimensions, *measures))
    happened = "" if zone == "UTC" or not time_patterns.has_hour(metric_set.timestamp.format) else (
        f" AND {sql.utc_to_wall(sql.wall_to_utc('_wall', zone), zone)} = _wall")  # fmt: skip
    rows = [
        f'SELECT {date} AS "date", "timestamp", "key", {names} FROM live_read'
        + (f" WHERE date_format(\"timestamp\", '%Y-%m-%d') = {date}" if len(dates) > 1 else "")
        + (f" AND {date} <> {dates[0]}" if day is None and number else "")
        for number, date in enumerate(dates)
    ]
    key = sql.key(sql.name(d) for d, _ in dimensions)
    begins, instant = sql.wall_to_utc("_start", zone), ""
    if apart:
        begins = sql.start_of("_instant", "_wall", "_start", zone)
        instant = f"{sql.unix_at(sql.name(metric_set.timestamp.column), 'UTC')} AS _instant, "
    return (
        f'live_read AS (\nSELECT slot, {begins} AS "timestamp", {key} AS "key", {names} '
        f'FROM (SELECT slot, {start} AS _start, {wall} AS _wall, {instant}{typed} FROM {sql.name(db)}."live") '
        f"WHERE {sql.floor('_wall', metric_set.frequency)} = _start{happened}\n), live_rows AS {_union(rows)}"
    )


def _union(parts: Sequence[str]) -> str:
    return "(\n" + "\nUNION ALL\n".join(parts) + "\n)"


def _nulls(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"CAST(NULL AS {kind}) AS {sql.name(column)}" for column, kind in columns)


def _view(
    db: str, name: str, comment: str, body: str, columns: Sequence[ViewColumn], *, prelude: str = "", end: str = ""
) -> View:
    """A view that selects the columns, each cast to its type, from `body`."""
    selected = ",\n  ".join(
        f"CAST({column.expression} AS {column.type}) AS {sql.name(column.name)}" for column in columns
    )
    return View(db, name, tuple(columns), f"{prelude}SELECT\n  {selected}\nFROM {body}{end}", comment)


def _when(metric_set: MetricSet, table: str = "") -> list[ViewColumn]:
    prefix = f"{table}." if table else ""
    return [
        ViewColumn("timestamp", "timestamp(3)", f'{prefix}"timestamp"', "start of the interval, UTC"),
        ViewColumn(
            "localtimestamp",
            "timestamp(3)",
            sql.utc_to_wall(f'{prefix}"timestamp"', metric_set.timezone),
            f"start, {metric_set.timezone}",
        ),
        *_days(f'{prefix}"date"'),
    ]


def _days(date: str) -> list[ViewColumn]:
    return [
        ViewColumn("date", "varchar", date, "UTC date; filter on it to read fewer partitions"),
        ViewColumn(
            "utcday",
            "timestamp(3)",
            f"date_parse({date}, '%Y-%m-%d')",
            "the same as a timestamp, for tools that filter on times",
        ),
    ]


def _dimension_columns(metric_set: MetricSet, table: str = "") -> list[ViewColumn]:
    prefix = f"{table}." if table else ""
    return [
        ViewColumn(d.name.lower(), "varchar", prefix + sql.name(d.name), d.short_description or f"dimension {d.title}")
        for d in metric_set.dimensions
    ]


def _anomaly_columns(metric_set: MetricSet, wrap: str) -> list[ViewColumn]:
    return [
        ViewColumn(
            (measure.name + suffix).lower(),
            "varchar" if suffix == "EventId" else "double",
            wrap.format(sql.name(measure.name + suffix)),
            f"{measure.title}: {_SUFFIX_COMMENTS[suffix]}",
        )
        for measure in metric_set.measures
        for suffix in ANOMALY_COLUMN_SUFFIXES
    ]


# --- the views of a metric set


def _anomalies_with_live(metric_set: MetricSet, db: str, form: Format) -> View:
    """Live FULL JOIN anomalies, as a union that is grouped: each table is read once, and filters reach both."""
    grouped = ["date", "timestamp", "key", *metric_set.dimension_names]
    anomaly = [
        (m + s, "varchar" if s == "EventId" else "double")
        for m in metric_set.measure_names
        for s in ANOMALY_COLUMN_SUFFIXES
    ]
    keys = ", ".join(map(sql.name, grouped))
    measures = ", ".join(map(sql.name, metric_set.measure_names))
    parts = [
        f"SELECT {keys}, {_nulls([(m, 'double') for m in metric_set.measure_names])}, {', '.join(sql.name(c) for c, _ in anomaly)}, "
        f"1 AS _anomalous, 0 AS _alive FROM anomalies"
    ]
    prelude = f"WITH anomalies AS (\n{_anomalies(metric_set, db, form, first=True)}\n)"
    if metric_set.source is not None:
        prelude += f", {_live(metric_set, db)}"
        parts.append(f"SELECT {keys}, {measures}, {_nulls(anomaly)}, 0 AS _anomalous, 1 AS _alive FROM live_rows")
    columns = [
        *_when(metric_set),
        ViewColumn("key", "varchar", '"key"', "the series: its dimension values in one text"),
        *_dimension_columns(metric_set),
        *(
            ViewColumn(
                m.name.lower(),
                "double",
                sql.finite(f"{m.aggregation.lower()}({sql.name(m.name)})"),
                m.short_description or f"{m.title}, live{f' ({m.short_unit})' if m.unit else ''}",
            )
            for m in metric_set.measures
        ),
        *_anomaly_columns(metric_set, "max({})"),
        ViewColumn("isanomaly", "boolean", "max(_anomalous) = 1", "the series is anomalous in some measure"),
        ViewColumn("haslive", "boolean", "max(_alive) = 1", "there is live data of the series"),
    ]
    comment = "Live data with the anomalies of each series and interval, one row each; nothing of either is missing."
    return _view(
        db, "anomalies_with_live", comment, _union(parts), columns, prelude=prelude + "\n", end=f"\nGROUP BY {keys}"
    )


def _anomalies_with_contributions(metric_set: MetricSet, db: str, form: Format) -> View:
    """Each contribution with the affected series that carry its value, and its share split over them."""
    contributions = _typed("dimensionContributions", metric_set, db, form)
    groups = _typed("anomalyGroups", metric_set, db, form)
    anomalies = _anomalies(metric_set, db, form, first=False)
    per_measure = {
        column: sql.case("c.metricname", [(m, f"a.{sql.name(m + suffix)}") for m in metric_set.measure_names])
        for column, suffix in (
            ("value", "AnomalyMetricValue"), ("expectedvalue", "ExpectedValue"), ("lowerbound", "LowerBound"), ("upperbound", "UpperBound"),
            ("_event", "EventId"),
        )
    }  # fmt: skip
    carried = sql.case("c.dimensionname", [(d, sql.element(f"a.{sql.name(d)}")) for d in metric_set.dimension_names])
    event = per_measure.pop("_event")
    values = ", ".join(f"{expression} AS {sql.name(column)}" for column, expression in per_measure.items())
    dimensions = "".join(f", a.{sql.name(d)}" for d in metric_set.dimension_names)
    anomalous = "".join(f", a.{sql.name(m + s)}" for m in metric_set.measure_names for s in ANOMALY_COLUMN_SUFFIXES)
    prelude = (
        f"WITH contributions AS (\n{contributions}\n), groups AS (\n{groups}\n), anomalies AS (\n{anomalies}\n), joined AS (\n"
        f'SELECT c."timestamp", c."date", c.metricname, c.dimensionname, c.dimensionvalue, c.valuecontribution, c.eventid, c.groupscore, '
        f'a."key"{dimensions}{anomalous}, {values}\n'
        # The contributions of the report that the log shows, and the series of their own event. Through an inner join no filter would reach `groups`.
        f'FROM contributions c LEFT JOIN groups g ON g."timestamp" = c."timestamp" AND g."date" = c."date" AND g.metricname = c.metricname '
        f"AND g.eventid = c.eventid\n"
        f'LEFT JOIN anomalies a ON a."timestamp" = c."timestamp" AND a."date" = c."date" '
        f"AND {event} = c.eventid AND {per_measure['value']} IS NOT NULL AND {carried} = {sql.element('c.dimensionvalue')}\n"
        f"WHERE {_report('g.reportid')} = {_report('c.reportid')}\n), weighed AS (\n"
        "SELECT joined.*, abs(value - expectedvalue) AS _weight, "
        "count(*) OVER one AS _series, count(value - expectedvalue) OVER one AS _weighed, sum(abs(value - expectedvalue)) OVER one AS _total\n"
        # `date` says no more than `timestamp`, but a filter on it passes a window only so.
        'FROM joined WINDOW one AS (PARTITION BY "date", "timestamp", metricname, eventid, dimensionname, dimensionvalue)\n)\n'
    )
    share = "CASE WHEN _weighed = _series AND _total > 0 THEN valuecontribution * (_weight / _total) ELSE valuecontribution / CAST(_series AS double) END"
    columns = [
        *_when(metric_set),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("dimensionname", "varchar", "dimensionname", "the dimension"),
        ViewColumn("dimensionvalue", "varchar", "dimensionvalue", "its value"),
        ViewColumn("valuecontribution", "double", "valuecontribution", "the value's share of the event, per cent"),
        ViewColumn("contributionshare", "double", share, "this series' part of valuecontribution; adds up to it"),
        ViewColumn("groupscore", "double", "groupscore", "severity of the event, 0-100"),
        ViewColumn("eventid", "varchar", "eventid", "id of the event"),
        ViewColumn("key", "varchar", '"key"', "the affected series; null where none is known"),
        *_dimension_columns(metric_set),
        ViewColumn("value", "double", "value", "the series' value of the measure"),
        ViewColumn("expectedvalue", "double", "expectedvalue", "what was expected"),
        ViewColumn("lowerbound", "double", "lowerbound", "lower bound"),
        ViewColumn("upperbound", "double", "upperbound", "upper bound"),
        *_anomaly_columns(metric_set, "{}"),
    ]
    comment = (
        "Each contribution with the affected series that carry its value; sum contributionshare, not valuecontribution."
    )
    return _view(db, "anomalies_with_contributions", comment, "weighed", columns, prelude=prelude)


def _anomaly_log(metric_set: MetricSet, db: str, form: Format) -> View:
    arms = " ".join(f"WHEN groupscore < {bound} THEN {sql.text(label)}" for bound, label in SEVERITY_LABELS)
    columns = [
        *_when(metric_set),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("groupscore", "double", "groupscore", "severity, 0-100; null where the source gives none"),
        ViewColumn(
            "severity", "varchar", f"CASE WHEN groupscore IS NULL THEN 'unscored' {arms} END", "severity as a label"
        ),
        ViewColumn("direction", "varchar", "direction", "above or below what was expected"),
        ViewColumn("affectedseries", "bigint", "affectedseries", "number of anomalous series"),
        ViewColumn("eventid", "varchar", "eventid", "id of the event"),
        ViewColumn("anomalygroupid", "varchar", "anomalygroupid", "id of the anomaly group"),
        ViewColumn("alerteventid", "varchar", "alerteventid", "id of the alert"),
        ViewColumn("alertname", "varchar", "alertname", "name of the alert"),
        ViewColumn("detectorarn", "varchar", "detectorarn", "the detector"),
        ViewColumn("source", "varchar", "source", "the service that reported it"),
        ViewColumn("consoleurl", "varchar", "consoleurl", "where to look at it"),
        ViewColumn("rootcause", "varchar", "rootcause", "what explains it"),
        ViewColumn(
            "reportedat",
            "timestamp(3)",
            "try(date_parse(substr(reportid, 3, 19), '%Y-%m-%dT%H:%i:%s'))",
            "when the report that is shown was made, UTC",
        ),
        ViewColumn(
            "feedback",
            "varchar",
            "CASE WHEN _wanted THEN 'wanted' WHEN NOT _wanted THEN 'not wanted' END",
            "what people said of it",
        ),
    ]
    prelude = (
        f"WITH groups AS (\n{_typed('anomalyGroups', metric_set, db, form)}\n), said AS (\n"
        f"SELECT eventid AS _event, metricname AS _measure, max_by(wanted, coalesce(saidat, '')) AS _wanted FROM {sql.name(db)}.{sql.name(FEEDBACK)} "
        "WHERE eventid IS NOT NULL GROUP BY eventid, metricname\n)\n"
    )
    joined = "groups LEFT JOIN said ON _event = eventid AND _measure = metricname"
    order = '\nORDER BY "timestamp" DESC, metricname, eventid'
    return _view(db, "anomaly_log", "One row an event, newest first.", joined, columns, prelude=prelude, end=order)


def _metrics_with_band(metric_set: MetricSet, db: str, form: Format) -> View:
    flagged = sql.case("o.metricname", [(m, f"a.{sql.name(m + 'EventId')}") for m in metric_set.measure_names])
    columns = [
        *_when(metric_set, "o"),
        ViewColumn("key", "varchar", 'o."key"', "the series"),
        *_dimension_columns(metric_set, "o"),
        ViewColumn("metricname", "varchar", "o.metricname", "the measure"),
        ViewColumn("value", "double", "o.value", "its value"),
        ViewColumn("expectedvalue", "double", "o.expectedvalue", "what was expected"),
        ViewColumn("lowerbound", "double", "o.lowerbound", "lower bound of the band"),
        ViewColumn("upperbound", "double", "o.upperbound", "upper bound of the band"),
        ViewColumn("score", "double", "o.score", "the series' own score, 0-100"),
        ViewColumn("isanomaly", "boolean", f"{flagged} IS NOT NULL", "the series is anomalous in this measure"),
    ]
    observations = _typed("observations", metric_set, db, form)
    anomalies = _anomalies(metric_set, db, form, first=True)
    prelude = f"WITH observations AS (\n{observations}\n), anomalies AS (\n{anomalies}\n)\n"
    body = 'observations o LEFT JOIN anomalies a ON a."timestamp" = o."timestamp" AND a."date" = o."date" AND a."key" = o."key"'
    return _view(
        db,
        "metrics_with_band",
        "What the detector saw: value, expected value and band, for charts.",
        body,
        columns,
        prelude=prelude,
    )


def _data_health(metric_set: MetricSet, db: str, form: Format) -> View:
    columns = [
        *_when(metric_set),
        ViewColumn(
            "status",
            "varchar",
            "status",
            "scored, learning, thin (few series came), empty, late (its data came after it was gone through)",
        ),
        ViewColumn("series", "bigint", "series", "series that have a value"),
        ViewColumn(
            "usualseries",
            "bigint",
            "usualseries",
            "how many have one at that time as a rule; null while that is not known",
        ),
        ViewColumn("scoredseries", "bigint", "scoredseries", "series that have an expected value"),
        ViewColumn("rowsread", "bigint", "rowsread", "rows of the live data"),
        ViewColumn("rowsrefused", "bigint", "rowsrefused", "rows and values of it that could not be read"),
        ViewColumn(
            "completeness",
            "double",
            "least(100e0, 100e0 * series / nullif(usualseries, 0))",
            "the series that came, per cent of those that usually do",
        ),
    ]
    prelude = f"WITH health AS (\n{_typed('dataHealth', metric_set, db, form)}\n)\n"
    return _view(
        db,
        "data_health",
        "What became of each interval of the live data: did it arrive, was it scored.",
        "health",
        columns,
        prelude=prelude,
    )


# --- the views over all metric sets


def _all_anomalies(sets: Sequence[MetricSet], prefix: str, form: Format) -> View:
    parts, typed = [], []
    for number, item in enumerate(sets):
        typed.append(f"s{number} AS (\n{_anomalies(item, database(prefix, item), form, first=False)}\n)")
        told = (
            " || ', ' || ".join(
                f"{sql.text(d.name + '=')} || coalesce({sql.name(d.name)}, '(none)')" for d in item.dimensions
            )
            or "''"
        )
        local = sql.utc_to_wall('"timestamp"', item.timezone)
        parts += [
            f'SELECT "timestamp", {local} AS "localtimestamp", "date", {sql.text(item.name)} AS metricset, {sql.text(m)} AS metricname, "key", '
            f"{told} AS dimensions, "
            + ", ".join(
                f"{sql.name(m + suffix)} AS {sql.name(column)}"
                for suffix, column in zip(ANOMALY_COLUMN_SUFFIXES, _LONG, strict=True)
            )
            + f" FROM s{number} WHERE {sql.name(m + 'EventId')} IS NOT NULL"
            for m in item.measure_names
        ]
    columns = [
        *_all_when(),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("key", "varchar", '"key"', "the series"),
        ViewColumn("dimensions", "varchar", "dimensions", "its dimension values, for people"),
        *(
            ViewColumn(c, "varchar" if c == "eventid" else "double", c, _SUFFIX_COMMENTS[s])
            for s, c in zip(ANOMALY_COLUMN_SUFFIXES, _LONG, strict=True)
        ),
    ]
    comment = "The anomalous series of all metric sets, one row for each series, measure and event."
    return _view(prefix, "all_anomalies", comment, _union(parts), columns, prelude=f"WITH {', '.join(typed)}\n")


_LONG = ("value", "groupscore", "expectedvalue", "lowerbound", "upperbound", "eventid")


def _all_when() -> list[ViewColumn]:
    return [
        ViewColumn("timestamp", "timestamp(3)", '"timestamp"', "start of the interval, UTC"),
        ViewColumn("localtimestamp", "timestamp(3)", '"localtimestamp"', "start, in the metric set's time zone"),
        *_days('"date"'),
        ViewColumn("metricset", "varchar", "metricset", "the metric set"),
    ]


def _over_all(sets: Sequence[MetricSet], prefix: str, view: View, *, name: str, comment: str, end: str = "") -> View:
    """A view of each set, one under the other, without the columns that only some have."""
    own = {d.name.lower() for item in sets for d in item.dimensions} | {
        c.name for item in sets for c in _anomaly_columns(item, "{}")
    }
    kept = [
        column for column in view.columns if column.name not in own and column.name not in {c.name for c in _all_when()}
    ]
    inner = ", ".join(sql.name(column.name) for column in kept)
    parts = [
        f'SELECT "timestamp", "localtimestamp", "date", {sql.text(item.name)} AS metricset, {inner} '
        f"FROM {sql.name(database(prefix, item))}.{sql.name(view.name)}"
        for item in sets
    ]
    columns = [*_all_when(), *(column._replace(expression=sql.name(column.name)) for column in kept)]
    return _view(prefix, name, comment, _union(parts), columns, end=end)


def _all_contributions(sets: Sequence[MetricSet], prefix: str) -> View:
    view = _anomalies_with_contributions(sets[0], database(prefix, sets[0]), "parquet")
    comment = "The contributions of all metric sets, split over the affected series."
    return _over_all(sets, prefix, view, name="all_contributions", comment=comment)


def _all_log(sets: Sequence[MetricSet], prefix: str) -> View:
    view = _anomaly_log(sets[0], database(prefix, sets[0]), "parquet")
    order = '\nORDER BY "timestamp" DESC, metricset, metricname, eventid'
    return _over_all(
        sets, prefix, view, name="all_anomaly_log", comment="The events of all metric sets, newest first.", end=order
    )


def _all_health(sets: Sequence[MetricSet], prefix: str) -> View:
    view = _data_health(sets[0], database(prefix, sets[0]), "parquet")
    return _over_all(
        sets,
        prefix,
        view,
        name="all_data_health",
        comment="What became of the live data of all metric sets, interval by interval.",
    )
