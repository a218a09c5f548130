"""The views of the catalog, in Athena's SQL.

Every view has typed columns, UTC and local timestamps, and the column `date`.
A filter on `date` prunes the partitions of every table that a view reads. For the tables of the lake, `date` is the
partition column. For the live data, `date` is computed from the partition column alone. Views join tables on
`timestamp` and `key`, which are never null.

Where to look: `view` defines what a view is, `lake_tables` and `live_rows` read the tables, and `anomalies`,
`observations` and `all_sets` define one view each function.
"""

from collections.abc import Sequence

from anomalake.catalog.views import all_sets, anomalies, observations
from anomalake.catalog.views.lake_tables import (
    COMPACTION_COLUMNS,
    COMPACTION_TABLE,
    FEEDBACK_COLUMNS,
    FEEDBACK_TABLE,
    TOP_VALUES_COLUMNS,
    TOP_VALUES_TABLE,
    has_top_values,
)
from anomalake.catalog.views.view import View, ViewColumn, database
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.layout import Format

__all__ = [
    "COMPACTION_COLUMNS",
    "COMPACTION_TABLE",
    "FEEDBACK_COLUMNS",
    "FEEDBACK_TABLE",
    "TOP_VALUES_COLUMNS",
    "TOP_VALUES_TABLE",
    "View",
    "ViewColumn",
    "database",
    "has_top_values",
    "views_of_set",
    "views_over_all_sets",
]


def views_of_set(metric_set: MetricSet, prefix: str, table_format: Format) -> tuple[View, ...]:
    """Return the views of one metric set over lake tables in the format `table_format`."""
    db = database(prefix, metric_set)
    return (
        anomalies.anomalies_with_live(metric_set, db, table_format),
        anomalies.anomalies_with_contributions(metric_set, db, table_format),
        anomalies.anomaly_log(metric_set, db, table_format),
        observations.metrics_with_band(metric_set, db, table_format),
        observations.data_health(metric_set, db, table_format),
    )


def views_over_all_sets(sets: Sequence[MetricSet], prefix: str, table_format: Format) -> tuple[View, ...]:
    """Return the views over all metric sets, in long form (a row for each measure). Their database is `prefix`."""
    return (
        all_sets.all_anomalies(sets, prefix, table_format),
        all_sets.all_contributions(sets, prefix),
        all_sets.all_anomaly_log(sets, prefix),
        all_sets.all_data_health(sets, prefix),
    )
