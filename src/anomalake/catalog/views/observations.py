"""The views of what the detector read: observations with their expected values, and the health of the live data."""

from anomalake.catalog import sql
from anomalake.catalog.views.lake_tables import select_anomalous_series, select_typed
from anomalake.catalog.views.view import View, ViewColumn, build_view, dimension_columns, time_columns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.layout import Format

_WEIGHT = (
    "weight of the value in a mean over series or intervals: the number of rows behind an AVG, the denominator of a "
    "RATIO; null for other measures, and if it is not known, which counts as 1"
)


def metrics_with_band(metric_set: MetricSet, db: str, table_format: Format) -> View:
    """Return the view `metrics_with_band`: the expected value and its bounds for each series, measure and interval."""
    event = sql.case("o.metricname", [(m, f"a.{sql.identifier(m + 'EventId')}") for m in metric_set.measure_names])
    columns = [
        *time_columns(metric_set, "o"),
        ViewColumn("key", "varchar", 'o."key"', "the series"),
        *dimension_columns(metric_set, "o"),
        ViewColumn("metricname", "varchar", "o.metricname", "the measure"),
        ViewColumn("value", "double", "o.value", "value of the measure"),
        ViewColumn("expectedvalue", "double", "o.expectedvalue", "expected value"),
        ViewColumn("lowerbound", "double", "o.lowerbound", "lower bound of the band"),
        ViewColumn("upperbound", "double", "o.upperbound", "upper bound of the band"),
        ViewColumn("score", "double", "o.score", "score of the series, 0-100"),
        ViewColumn("isanomaly", "boolean", f"{event} IS NOT NULL", "whether the series is anomalous in this measure"),
        ViewColumn("weight", "double", "o.weight", _WEIGHT),
    ]
    observations = select_typed("observations", metric_set, db, table_format)
    anomalies = select_anomalous_series(metric_set, db, table_format, first_event_only=True)
    prelude = f"WITH observations AS (\n{observations}\n), anomalies AS (\n{anomalies}\n)\n"
    body = (
        'observations o LEFT JOIN anomalies a ON a."timestamp" = o."timestamp" AND a."date" = o."date" '
        'AND a."key" = o."key"'
    )
    comment = "What the detector read and expected: value, expected value and bounds, for charts."
    return build_view(db, "metrics_with_band", comment, body, columns, prelude=prelude)


def data_health(metric_set: MetricSet, db: str, table_format: Format) -> View:
    """Return the view `data_health`: a row for each interval of the live data, with its status and its completeness."""
    status = (
        "scored, learning, thin (few series have data), empty, late (the data arrived after the interval was processed)"
    )
    usual_series = "series that usually have a value at this time; null while this is not known"
    completeness = "least(100e0, 100e0 * series / nullif(usualseries, 0))"
    columns = [
        *time_columns(metric_set),
        ViewColumn("status", "varchar", "status", status),
        ViewColumn("series", "bigint", "series", "series that have a value"),
        ViewColumn("usualseries", "bigint", "usualseries", usual_series),
        ViewColumn("scoredseries", "bigint", "scoredseries", "series that have an expected value"),
        ViewColumn("rowsread", "bigint", "rowsread", "rows of the live data that were read"),
        ViewColumn("rowsrefused", "bigint", "rowsrefused", "rows and values of the live data that could not be read"),
        ViewColumn(
            "completeness",
            "double",
            completeness,
            "series that have a value, in percent of those that usually have one",
        ),
    ]
    comment = "The status of each interval of the live data: whether it arrived and whether it was scored."
    prelude = f"WITH health AS (\n{select_typed('dataHealth', metric_set, db, table_format)}\n)\n"
    return build_view(db, "data_health", comment, "health", columns, prelude=prelude)
