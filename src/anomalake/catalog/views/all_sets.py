"""The views over all metric sets. They have no column of a single metric set's dimensions or measures."""

from collections.abc import Sequence

from anomalake.catalog import sql
from anomalake.catalog.views import anomalies, observations
from anomalake.catalog.views.lake_tables import select_anomalous_series
from anomalake.catalog.views.view import (
    ANOMALY_COLUMN_COMMENTS,
    View,
    ViewColumn,
    anomaly_columns,
    build_view,
    database,
    date_columns,
    union_all,
)
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES
from anomalake.lake.layout import Format

# The anomaly columns in long form, in the order of ANOMALY_COLUMN_SUFFIXES.
_LONG_FORM_COLUMNS = ("value", "groupscore", "expectedvalue", "lowerbound", "upperbound", "eventid")


def all_anomalies(sets: Sequence[MetricSet], prefix: str, table_format: Format) -> View:
    """Return the view `all_anomalies`: a row for each anomalous series, measure and event of every metric set."""
    queries, with_queries = [], []
    for number, metric_set in enumerate(sets):
        db = database(prefix, metric_set)
        anomalous = select_anomalous_series(metric_set, db, table_format, first_event_only=False)
        with_queries.append(f"s{number} AS (\n{anomalous}\n)")
        queries += [_long_form(metric_set, measure, f"s{number}") for measure in metric_set.measure_names]
    columns = [
        *_time_and_set_columns(),
        ViewColumn("metricname", "varchar", "metricname", "the measure"),
        ViewColumn("key", "varchar", '"key"', "the series"),
        ViewColumn("dimensions", "varchar", "dimensions", "dimension values of the series, as a readable text"),
        *(
            ViewColumn(column, "varchar" if column == "eventid" else "double", column, ANOMALY_COLUMN_COMMENTS[suffix])
            for suffix, column in zip(ANOMALY_COLUMN_SUFFIXES, _LONG_FORM_COLUMNS, strict=True)
        ),
    ]
    comment = "The anomalous series of all metric sets: a row for each series, measure and event."
    prelude = f"WITH {', '.join(with_queries)}\n"
    return build_view(prefix, "all_anomalies", comment, union_all(queries), columns, prelude=prelude)


def _long_form(metric_set: MetricSet, measure: str, table: str) -> str:
    """Return a SELECT of one measure's anomalies from `table`, the anomalous series of the metric set."""
    dimensions = " || ', ' || ".join(
        f"{sql.literal(d.name + '=')} || coalesce({sql.identifier(d.name)}, '(none)')" for d in metric_set.dimensions
    )
    values = ", ".join(
        f"{sql.identifier(measure + suffix)} AS {sql.identifier(column)}"
        for suffix, column in zip(ANOMALY_COLUMN_SUFFIXES, _LONG_FORM_COLUMNS, strict=True)
    )
    local = sql.utc_to_wall('"timestamp"', metric_set.timezone)
    return (
        f'SELECT "timestamp", {local} AS "localtimestamp", "date", {sql.literal(metric_set.name)} AS metricset, '
        f'{sql.literal(measure)} AS metricname, "key", {dimensions or sql.literal("")} AS dimensions, {values} '
        f"FROM {table} WHERE {sql.identifier(measure + 'EventId')} IS NOT NULL"
    )


def _time_and_set_columns() -> list[ViewColumn]:
    return [
        ViewColumn("timestamp", "timestamp(3)", '"timestamp"', "start of the interval, UTC"),
        ViewColumn(
            "localtimestamp",
            "timestamp(3)",
            '"localtimestamp"',
            "start of the interval, in the time zone of the metric set",
        ),
        *date_columns('"date"'),
        ViewColumn("metricset", "varchar", "metricset", "the metric set"),
    ]


def _union_of_sets(
    sets: Sequence[MetricSet], prefix: str, view: View, *, name: str, comment: str, end: str = ""
) -> View:
    """Return the UNION ALL of one view of every metric set, without the columns that only some metric sets have."""
    shared = {column.name for column in _time_and_set_columns()}
    own = {d.name.lower() for metric_set in sets for d in metric_set.dimensions}
    own |= {column.name for metric_set in sets for column in anomaly_columns(metric_set, "{}")}
    columns = [column for column in view.columns if column.name not in own | shared]
    selected = ", ".join(sql.identifier(column.name) for column in columns)
    queries = [
        f'SELECT "timestamp", "localtimestamp", "date", {sql.literal(metric_set.name)} AS metricset, {selected} '
        f"FROM {sql.identifier(database(prefix, metric_set))}.{sql.identifier(view.name)}"
        for metric_set in sets
    ]
    columns = [column._replace(expression=sql.identifier(column.name)) for column in columns]
    return build_view(prefix, name, comment, union_all(queries), [*_time_and_set_columns(), *columns], end=end)


def all_contributions(sets: Sequence[MetricSet], prefix: str) -> View:
    """Return the view `all_contributions`: `anomalies_with_contributions` of every metric set."""
    view = anomalies.anomalies_with_contributions(sets[0], database(prefix, sets[0]), "parquet")
    comment = "The contributions of all metric sets, split over the affected series."
    return _union_of_sets(sets, prefix, view, name="all_contributions", comment=comment)


def all_anomaly_log(sets: Sequence[MetricSet], prefix: str) -> View:
    """Return the view `all_anomaly_log`: `anomaly_log` of every metric set, newest event first."""
    view = anomalies.anomaly_log(sets[0], database(prefix, sets[0]), "parquet")
    comment = "The events of all metric sets, newest first."
    order = '\nORDER BY "timestamp" DESC, metricset, metricname, eventid'
    return _union_of_sets(sets, prefix, view, name="all_anomaly_log", comment=comment, end=order)


def all_data_health(sets: Sequence[MetricSet], prefix: str) -> View:
    """Return the view `all_data_health`: `data_health` of every metric set."""
    view = observations.data_health(sets[0], database(prefix, sets[0]), "parquet")
    comment = "The status of each interval of the live data of all metric sets."
    return _union_of_sets(sets, prefix, view, name="all_data_health", comment=comment)
