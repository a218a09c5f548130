"""The views of anomalies: with live data, with contributions, and as a log of events."""

from anomalake.catalog import sql
from anomalake.catalog.views.lake_tables import FEEDBACK_TABLE, report_digest, select_anomalous_series, select_typed
from anomalake.catalog.views.live_rows import aggregate_measure, live_row_queries, measure_cells
from anomalake.catalog.views.view import (
    View,
    ViewColumn,
    anomaly_columns,
    build_view,
    dimension_columns,
    null_columns,
    time_columns,
    union_all,
)
from anomalake.domain.alert import SEVERITY_LABELS
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES
from anomalake.lake.layout import Format


def anomalies_with_live(metric_set: MetricSet, db: str, table_format: Format) -> View:
    """Return the view `anomalies_with_live`: live data FULL JOIN anomalies.

    It is written as a UNION ALL with GROUP BY, so that each table is read once and filters reach both.
    """
    grouped = ["date", "timestamp", "key", *metric_set.dimension_names]
    anomaly = [
        (m + suffix, "varchar" if suffix == "EventId" else "double")
        for m in metric_set.measure_names
        for suffix in ANOMALY_COLUMN_SUFFIXES
    ]
    keys = ", ".join(map(sql.identifier, grouped))
    cells = measure_cells(metric_set)
    measures = "".join(f"{sql.identifier(cell.name)}, " for cell in cells)
    no_measures = f"{null_columns(cells)}, " if cells else ""
    queries = [
        f"SELECT {keys}, {no_measures}{', '.join(sql.identifier(column) for column, _ in anomaly)}, "
        "1 AS _anomalous, 0 AS _alive FROM anomalies"
    ]
    prelude = f"WITH anomalies AS (\n{select_anomalous_series(metric_set, db, table_format, first_event_only=True)}\n)"
    if metric_set.source is not None:
        prelude += f", {live_row_queries(metric_set, db)}"
        queries.append(f"SELECT {keys}, {measures}{null_columns(anomaly)}, 0 AS _anomalous, 1 AS _alive FROM live_rows")
    columns = [
        *time_columns(metric_set),
        ViewColumn("key", "varchar", '"key"', "key of the series: its dimension values in one text"),
        *dimension_columns(metric_set),
        *(
            ViewColumn(
                m.name.lower(),
                "double",
                aggregate_measure(metric_set, m),
                m.short_description or f"{m.title}, live{f' ({m.short_unit})' if m.unit else ''}",
            )
            for m in metric_set.measures
        ),
        *anomaly_columns(metric_set, "max({})"),
        ViewColumn(
            "isanomaly", "boolean", "max(_anomalous) = 1", "whether the series is anomalous in at least one measure"
        ),
        ViewColumn("haslive", "boolean", "max(_alive) = 1", "whether the series has live data"),
    ]
    comment = "Live data and anomalies: a row for each series and interval that has live data, an anomaly or both."
    end = f"\nGROUP BY {keys}"
    return build_view(db, "anomalies_with_live", comment, union_all(queries), columns, prelude=f"{prelude}\n", end=end)


def anomalies_with_contributions(metric_set: MetricSet, db: str, table_format: Format) -> View:
    """Return the view `anomalies_with_contributions`: each contribution, split over the affected series.

    These are the series of the event that have the contribution's dimension value. A contribution is split over them
    by how far each is from its expected value.
    """
    share = (
        "CASE WHEN _weighed = _series AND _total > 0 THEN valuecontribution * (_weight / _total) "
        "ELSE valuecontribution / CAST(_series AS double) END"
    )
    columns = [
        *time_columns(metric_set),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("dimensionname", "varchar", "dimensionname", "the dimension"),
        ViewColumn("dimensionvalue", "varchar", "dimensionvalue", "the value of the dimension"),
        ViewColumn(
            "valuecontribution",
            "double",
            "valuecontribution",
            "the contribution of the dimension value to the event, in percent",
        ),
        ViewColumn(
            "contributionshare",
            "double",
            share,
            "the part of valuecontribution that this series has; the parts add up to it",
        ),
        ViewColumn("groupscore", "double", "groupscore", "severity of the event, 0-100"),
        ViewColumn("eventid", "varchar", "eventid", "id of the event"),
        ViewColumn("key", "varchar", '"key"', "key of the affected series; null if none is known"),
        *dimension_columns(metric_set),
        ViewColumn("value", "double", "value", "value of the measure in the series"),
        ViewColumn("expectedvalue", "double", "expectedvalue", "expected value"),
        ViewColumn("lowerbound", "double", "lowerbound", "lower bound"),
        ViewColumn("upperbound", "double", "upperbound", "upper bound"),
        *anomaly_columns(metric_set, "{}"),
    ]
    comment = (
        "Contributions with the affected series that have the value; sum contributionshare, not valuecontribution."
    )
    prelude = _contribution_queries(metric_set, db, table_format)
    return build_view(db, "anomalies_with_contributions", comment, "weighed", columns, prelude=prelude)


def _contribution_queries(metric_set: MetricSet, db: str, table_format: Format) -> str:
    """Return the WITH clause whose last query, `weighed`, has a row for each contribution and affected series."""
    contributions = select_typed("dimensionContributions", metric_set, db, table_format)
    groups = select_typed("anomalyGroups", metric_set, db, table_format)
    anomalies = select_anomalous_series(metric_set, db, table_format, first_event_only=False)

    def of_measure(suffix: str) -> str:
        """Return the column of the anomalous series that belongs to the contribution's measure."""
        return sql.case("c.metricname", [(m, f"a.{sql.identifier(m + suffix)}") for m in metric_set.measure_names])

    per_measure = {
        "value": of_measure("AnomalyMetricValue"),
        "expectedvalue": of_measure("ExpectedValue"),
        "lowerbound": of_measure("LowerBound"),
        "upperbound": of_measure("UpperBound"),
    }
    values = ", ".join(f"{expression} AS {sql.identifier(column)}" for column, expression in per_measure.items())
    dimensions = "".join(f", a.{sql.identifier(d)}" for d in metric_set.dimension_names)
    anomalous = "".join(
        f", a.{sql.identifier(m + suffix)}" for m in metric_set.measure_names for suffix in ANOMALY_COLUMN_SUFFIXES
    )
    dimension_value = sql.case(
        "c.dimensionname", [(d, sql.key_part(f"a.{sql.identifier(d)}")) for d in metric_set.dimension_names]
    )
    return (
        f"WITH contributions AS (\n{contributions}\n), groups AS (\n{groups}\n), anomalies AS (\n{anomalies}\n), "
        f'joined AS (\nSELECT c."timestamp", c."date", c.metricname, c.dimensionname, c.dimensionvalue, '
        f'c.valuecontribution, c.eventid, c.groupscore, a."key"{dimensions}{anomalous}, {values}\n'
        # Keep the contributions of the report that the log shows, and the series of the same event. Filters reach
        # `groups` through a LEFT JOIN, not through an inner one.
        f'FROM contributions c LEFT JOIN groups g ON g."timestamp" = c."timestamp" AND g."date" = c."date" '
        f"AND g.metricname = c.metricname AND g.eventid = c.eventid\n"
        f'LEFT JOIN anomalies a ON a."timestamp" = c."timestamp" AND a."date" = c."date" '
        f"AND {of_measure('EventId')} = c.eventid AND {per_measure['value']} IS NOT NULL "
        f"AND {dimension_value} = {sql.key_part('c.dimensionvalue')}\n"
        f"WHERE {report_digest('g.reportid')} = {report_digest('c.reportid')}\n), weighed AS (\n"
        "SELECT joined.*, abs(value - expectedvalue) AS _weight, count(*) OVER one AS _series, "
        "count(value - expectedvalue) OVER one AS _weighed, sum(abs(value - expectedvalue)) OVER one AS _total\n"
        # `date` follows from `timestamp`, but a filter on `date` passes a window only if the window is partitioned by
        # it.
        'FROM joined WINDOW one AS (PARTITION BY "date", "timestamp", metricname, eventid, dimensionname, '
        "dimensionvalue)\n)\n"
    )


def anomaly_log(metric_set: MetricSet, db: str, table_format: Format) -> View:
    """Return the view `anomaly_log`: a row for each event, with its severity label and the feedback on it."""
    arms = " ".join(f"WHEN groupscore < {bound} THEN {sql.literal(label)}" for bound, label in SEVERITY_LABELS)
    severity = f"CASE WHEN groupscore IS NULL THEN 'unscored' {arms} END"
    reported_at = "try(date_parse(substr(reportid, 3, 19), '%Y-%m-%dT%H:%i:%s'))"
    feedback = "CASE WHEN _wanted THEN 'wanted' WHEN NOT _wanted THEN 'not wanted' END"
    columns = [
        *time_columns(metric_set),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("groupscore", "double", "groupscore", "severity score, 0-100; null if the source gives none"),
        ViewColumn("severity", "varchar", severity, "severity label"),
        ViewColumn("direction", "varchar", "direction", "whether the value is above or below the expected value"),
        ViewColumn("affectedseries", "bigint", "affectedseries", "number of anomalous series"),
        ViewColumn("eventid", "varchar", "eventid", "id of the event"),
        ViewColumn("anomalygroupid", "varchar", "anomalygroupid", "id of the anomaly group"),
        ViewColumn("alerteventid", "varchar", "alerteventid", "id of the alert"),
        ViewColumn("alertname", "varchar", "alertname", "name of the alert"),
        ViewColumn("detectorarn", "varchar", "detectorarn", "the detector"),
        ViewColumn("source", "varchar", "source", "the service that reported it"),
        ViewColumn("consoleurl", "varchar", "consoleurl", "link to the anomaly in its service"),
        ViewColumn("rootcause", "varchar", "rootcause", "the cause that the source names"),
        ViewColumn("reportedat", "timestamp(3)", reported_at, "time of the report that is shown, UTC"),
        ViewColumn("feedback", "varchar", feedback, "feedback on the event: wanted or not wanted"),
    ]
    prelude = (
        f"WITH groups AS (\n{select_typed('anomalyGroups', metric_set, db, table_format)}\n), said AS (\n"
        "SELECT eventid AS _event, metricname AS _measure, max_by(wanted, coalesce(saidat, '')) AS _wanted "
        f"FROM {sql.identifier(db)}.{sql.identifier(FEEDBACK_TABLE)} "
        "WHERE eventid IS NOT NULL GROUP BY eventid, metricname\n)\n"
    )
    body = "groups LEFT JOIN said ON _event = eventid AND _measure = metricname"
    order = '\nORDER BY "timestamp" DESC, metricname, eventid'
    return build_view(
        db, "anomaly_log", "A row for each event, newest first.", body, columns, prelude=prelude, end=order
    )
