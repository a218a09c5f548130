"""The tables and views that the metric sets of this checkout declare, for comparison with the deployed catalog."""

from collections.abc import Mapping
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.catalog.views import database, views_of_set, views_over_all_sets
from anomalake.doctor.context import Context
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format


class DeclaredTable(NamedTuple):
    """A table or view: its columns with their Hive types, and the folder of a table (empty for a view)."""

    columns: Mapping[str, str]
    folder: str = ""


def declared_catalog(context: Context) -> dict[str, dict[str, DeclaredTable]]:
    """Return the tables and views by name, by database."""
    table_format: Format = "csv" if context.parameter("Format") == "csv" else "parquet"
    sets, prefix = context.settings.sets, context.prefix
    databases = {prefix: dict[str, DeclaredTable]()}
    for metric_set in sets:
        databases[database(prefix, metric_set)] = _declared_tables(metric_set, table_format)
    views = [view for metric_set in sets for view in views_of_set(metric_set, prefix, table_format)]
    for view in (*views, *views_over_all_sets(sets, prefix, table_format)):
        columns = {column.name: sql.HIVE_TYPES[column.type] for column in view.columns}
        databases[view.database][view.name] = DeclaredTable(columns)
    return databases


def _declared_tables(metric_set: MetricSet, table_format: Format) -> dict[str, DeclaredTable]:
    declared = {}
    for table, name in GLUE_TABLE_NAMES.items():
        columns = {
            column.lower(): "string" if table_format == "csv" else sql.HIVE_TYPES[sql.TRINO_TYPES[kind]]
            for column, kind in tables.schema(table, metric_set)
        }
        declared[name] = DeclaredTable(columns, layout.table_folder(table, metric_set))
    if metric_set.source is not None:
        columns = dict.fromkeys((column.lower() for column in metric_set.source.columns), "string")
        folder = time_patterns.parse_folder_pattern(metric_set.source.path).prefix.rpartition("/")[0]
        declared["live"] = DeclaredTable(columns, folder)
    return declared
