"""The page of a lake: the metric set's own definition over the lake's views, with a window that fits the data."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from anomalake.catalog import duck
from anomalake.catalog.views import database
from anomalake.dashboards import definition, preview
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import files

LIVE = "anomalies_with_live"


def write_page(metric_set: MetricSet, connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    """Write the page to the file; its size in bytes."""
    with duck.explained():
        html = duck.interruptible(connection, lambda: _page(metric_set, connection))
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(file, html)
    return len(html.encode())


def _page(metric_set: MetricSet, connection: duckdb.DuckDBPyConnection) -> str:
    db, now = database(duck.PREFIX, metric_set), datetime.now(UTC).replace(tzinfo=None)
    for name in definition.DATASETS:  # read once, for all that the page asks
        try:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {db}.{name}")
        except duckdb.Error as error:
            raise UserError(f"{db}.{name}: cannot be read: {duck.one_line(error)}") from error
    # Live data may hold a date in 1970 or 2036, which is reported and not scored; of live data a year around the results counts.
    first, last = _extent(connection, [name for name in definition.DATASETS if name != LIVE], "true")
    near = (
        f"localtimestamp BETWEEN TIMESTAMP '{first}' - INTERVAL 366 DAY AND TIMESTAMP '{last}' + INTERVAL 366 DAY"
        if first
        else "true"
    )
    first, last = _extent(connection, definition.DATASETS, near)
    window = definition.fit_window(metric_set, first or now - timedelta(days=1), last or now)
    made = definition.build_set_definition(metric_set, window)
    return preview.render_page(
        made, connection, {name: f"temp.{name}" for name in definition.DATASETS}, metric_set.title, now
    )


def _extent(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str], near: str
) -> tuple[datetime | None, datetime | None]:
    """The first and the last local time in the rows of these datasets that fit the condition."""
    parts = " UNION ALL ".join(
        f"SELECT min(localtimestamp) AS first, max(localtimestamp) AS last FROM temp.{name} WHERE {near}"
        for name in names
    )
    ((first, last),) = connection.sql(f"SELECT min(first), max(last) FROM ({parts})").fetchall()
    return first, last
