"""The HTML page of a lake: its metric set's definition over the views of the lake, with a window that fits the data."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.dashboards import definition, preview
from anomalake.detect.timeline import utc_now
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import files

# Live data can hold dates such as 1970 or 2036, which the detector reports and does not score. The window includes
# live data of at most this many days before and after the results.
LIVE_DATA_MARGIN_DAYS = 366


def write_page(metric_set: MetricSet, connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    """Write the page to the file and return its size in bytes; `connection` is `duckdb_catalog.connect` of the lake.

    Raises `UserError` for a view that cannot be read.
    """
    with duckdb_catalog.engine_errors_as_user_errors():
        html = duckdb_catalog.run_interruptibly(connection, lambda: _render_page(metric_set, connection))
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(file, html)
    return len(html.encode())


def _render_page(metric_set: MetricSet, connection: duckdb.DuckDBPyConnection) -> str:
    now = utc_now()
    _copy_views(metric_set, connection)
    start, end = _find_window(connection)
    window = definition.fit_window(metric_set, start or now - timedelta(days=1), end or now)
    datasets = {name: f"temp.{name}" for name in definition.DATASETS}
    analysis = definition.build_set_definition(metric_set, window)
    return preview.render_page(analysis, connection, datasets, metric_set.title, now)


def _copy_views(metric_set: MetricSet, connection: duckdb.DuckDBPyConnection) -> None:
    """Copy the views to temporary tables, so that the queries of the page read the files of the lake once."""
    database_name = database(duckdb_catalog.DEFAULT_PREFIX, metric_set)
    for name in definition.DATASETS:
        try:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {database_name}.{name}")
        except duckdb.Error as error:
            raise UserError(f"{database_name}.{name}: cannot be read: {duckdb_catalog.one_line(error)}") from error


def _find_window(connection: duckdb.DuckDBPyConnection) -> tuple[datetime | None, datetime | None]:
    """Return the first and last local time of the results and of the live data near them.

    Both are None for a lake without data.
    """
    results = [name for name in definition.DATASETS if name != definition.LIVE]
    first, last = _find_extent(connection, results, "true")
    if first is None or last is None:
        return _find_extent(connection, definition.DATASETS, "true")
    margin = f"INTERVAL {LIVE_DATA_MARGIN_DAYS} DAY"
    near_results = f"localtimestamp BETWEEN TIMESTAMP '{first}' - {margin} AND TIMESTAMP '{last}' + {margin}"
    return _find_extent(connection, definition.DATASETS, near_results)


def _find_extent(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str], condition: str
) -> tuple[datetime | None, datetime | None]:
    """Return the first and last local time in the rows of these datasets that meet the condition."""
    extents = " UNION ALL ".join(
        f"SELECT min(localtimestamp) AS first, max(localtimestamp) AS last FROM temp.{name} WHERE {condition}"
        for name in names
    )
    ((first, last),) = connection.sql(f"SELECT min(first), max(last) FROM ({extents})").fetchall()
    return first, last
