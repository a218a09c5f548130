"""Runs the demo: live data, detection, ingestion, a query and the dashboard; or fills a new deployment in S3."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import date, datetime
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import pandas as pd

from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.cli import local_pipeline
from anomalake.cli.demo import flights, shop
from anomalake.cli.demo.folder import empty_demo_lake
from anomalake.cli.terminal import table
from anomalake.cli.write_live_data import write_live_data
from anomalake.dashboards import lake_page
from anomalake.detect.backtest import Report
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, live_data
from anomalake.lake.credentials import open_lake
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format
from anomalake.lake.store import Store

Dataset = Literal["flights", "ecommerce"]
DEFAULT_SHOP_DAYS = 60
MAX_WORST_DAYS = 8

# The local days with the greatest excess of a measure over its expected value; the dimension values that caused it.
WORST_DAYS_QUERY = """
SELECT CAST(date_trunc('day', "localtimestamp") AS date) AS day,
  sum(value) AS value, sum(value - expectedvalue) AS excess
FROM {db}.metrics_with_band WHERE metricname = '{measure}'
GROUP BY 1 HAVING sum(value - expectedvalue) >= 1 ORDER BY 3 DESC LIMIT {limit}
"""
SHARES_QUERY = """
SELECT day, part, 100 * excess / sum(excess) OVER (PARTITION BY day) AS share FROM (
  SELECT CAST(date_trunc('day', "localtimestamp") AS date) AS day, {dimension} AS part,
    sum(value - expectedvalue) AS excess
  FROM {db}.metrics_with_band
  WHERE metricname = '{measure}' AND CAST(date_trunc('day', "localtimestamp") AS date) IN ({days})
  GROUP BY 1, 2
) WHERE excess > 0 ORDER BY day, excess DESC
"""
MAX_SHARES = 2  # of each dimension, for one day
EXAMPLE_QUERIES = {
    "flights": (
        "Which airlines had the most anomalous hours of cancellations, and how many flights were cancelled in them?",
        "SELECT carrier, count(*) AS hours, sum(cancelledanomalymetricvalue) AS cancelled\nFROM anomalies_with_live\n"
        "WHERE cancelledanomalymetricvalue IS NOT NULL\nGROUP BY carrier ORDER BY hours DESC, carrier LIMIT 5",
    ),
    "ecommerce": (
        "Which marketplaces had the most anomalous hours of revenue?",
        "SELECT marketplace, count(*) AS hours, max(revenuegroupscore) AS worst\nFROM anomalies_with_live\n"
        "WHERE revenueanomalymetricvalue IS NOT NULL\nGROUP BY marketplace ORDER BY hours DESC, marketplace LIMIT 5",
    ),
}


def run_demo(
    dataset: Dataset,
    root: Path,
    page: Path,
    *,
    table_format: Format,
    days: int | None,
    print_line: Callable[[str], None],
) -> None:
    """Fill the lake at `root` with a dataset (all of it, or its first `days`), write the page, and print the results.

    The files that an earlier demo wrote to `root` are deleted. Raises `UserError` where `root` holds any other file.
    """
    if page.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"--output {page}: is in the demo's lake, which the next demo deletes; name a file outside of {root}"
        )
    with empty_demo_lake(root) as store:
        metric_set = _copy_metric_set(dataset, store)
        data, labels = _load_data(dataset, store)
        if days is not None:
            times = data[metric_set.timestamp.column]
            data = data[times < times.min().normalize() + pd.Timedelta(days=days)]
        _run_pipeline(data, metric_set, store, table_format, where=str(root), print_line=print_line)
        connection = duckdb_catalog.connect(root, [metric_set])
        _print_worst_days(connection, metric_set, print_line)
        if labels is not None:
            print_line(_compare_with_labels(connection, labels, data))
        question, statement = EXAMPLE_QUERIES[dataset]
        print_line(f"\n{question}\n\n{statement}\n\n{table(*duckdb_catalog.query(connection, statement))}")
        size = lake_page.write_page(metric_set, connection, page)
        print_line(f"\ndashboard   {page.resolve()} ({size / 1e6:.1f} MB; open it in a browser)")
        print_line(f'ask more    {_command_name()} query --lake {shlex.quote(str(root))} "SELECT ..."')


def _copy_metric_set(dataset: Dataset, store: FolderStore) -> MetricSet:
    """Copy the metric set of the dataset to the lake; returns it."""
    with as_file(_metric_set_resource(dataset)) as file:
        metric_set = metric_set_yaml.load(file)
        local_pipeline.copy_metric_set(file, metric_set, store)
    return metric_set


def _metric_set_resource(dataset: Dataset) -> Traversable:
    return files("anomalake.cli.demo") / "metric_sets" / f"{dataset}.yaml"


def _load_data(dataset: Dataset, store: FolderStore) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the live data of the dataset, and the labels of the shop, which are also written to the lake."""
    if dataset == "flights":
        return flights.load(), None
    generated = shop.generate()
    store.put("labels.csv", generated.labels.to_csv(index=False).encode())
    return generated.data, generated.labels


def _print_worst_days(
    connection: duckdb_catalog.Connection, metric_set: MetricSet, print_line: Callable[[str], None]
) -> None:
    """Print the days with the greatest excess of the first measure, and which dimension values caused most of it."""
    db, measure = database(duckdb_catalog.DEFAULT_PREFIX, metric_set), metric_set.measures[0]
    print_line(f"\nLocal days with the greatest excess of {measure.title.lower()} over the expected value:\n")
    query = WORST_DAYS_QUERY.format(db=db, measure=measure.name, limit=MAX_WORST_DAYS)
    _, worst_days = duckdb_catalog.query(connection, query)
    days = ", ".join(f"DATE '{day}'" for day, _, _ in worst_days)
    shares_by_day: dict[date, list[str]] = {day: [] for day, _, _ in worst_days}
    for dimension in metric_set.dimension_names if worst_days else ():
        query = SHARES_QUERY.format(db=db, measure=measure.name, dimension=dimension, days=days)
        shares = list(duckdb_catalog.query(connection, query)[1])
        for day, texts in shares_by_day.items():
            parts = [(part, share) for other, part, share in shares if other == day][:MAX_SHARES]
            texts.append(", ".join(f"{part} {share:.0f} %" for part, share in parts))
    rows = [(day, value, round(excess, 1), *shares_by_day[day]) for day, value, excess in worst_days]
    columns = ["day", measure.name, "excess", *(f"most by {name}" for name in metric_set.dimension_names)]
    print_line(table(columns, rows) if rows else "none yet: the detector requires four days of each hour")


def fill_bucket(
    lake: str, *, table_format: Format, days: int | None, now: datetime, print_line: Callable[[str], None]
) -> None:
    """Fill the lake of a new deployment with the generated shop, so that its dashboards show data.

    The data ends with the last full hour before `now` (naive UTC) and starts 60 days earlier, or `days`. Nothing in S3
    is deleted. Raises `UserError` where the bucket holds data of the metric set, or an alert could not be stored.
    """
    lake = f"s3://{lake.removeprefix('s3://').rstrip('/')}"
    if lake.removeprefix("s3://").count("/"):
        raise UserError(f"{lake}: a stack's lake is a whole bucket; name s3://BUCKET (the stack's output DataBucket)")
    with as_file(_metric_set_resource("ecommerce")) as file:
        metric_set = metric_set_yaml.load(file)
    store = open_lake(lake)
    _require_no_data(lake, store, metric_set)
    days = days or DEFAULT_SHOP_DAYS
    data = shop.generate(days, start=str(pd.Timestamp(now).floor("h") - pd.Timedelta(days=days))).data
    report = _run_pipeline(data, metric_set, store, table_format, where=lake, print_line=print_line)
    if report.failed_alerts:
        raise UserError(
            f"{lake}: {report.failed_alerts} alerts could not be stored; "
            "check that these credentials can read and write the bucket"
        )
    print_line(f"tables      {table_format}; the stack must be configured for this format")
    print_line("credentials those of this environment, as the AWS CLI uses them")
    print_line(
        "\nOpen the stack's QuickSight dashboard (refresh its datasets if they are in SPICE), "
        "or run a query in Athena, with the stack's prefix:\n"
    )
    db = database(duckdb_catalog.DEFAULT_PREFIX, metric_set)
    print_line(f"SELECT * FROM {db}.anomaly_log ORDER BY groupscore DESC LIMIT 10")


def _require_no_data(lake: str, store: Store, metric_set: MetricSet) -> None:
    """Raise `UserError` where the lake holds live data or tables of the metric set."""
    folders = [
        *live_data.list_files_by_interval(store, metric_set).values(),
        *(list(store.list(layout.table_folder(table, metric_set))) for table in GLUE_TABLE_NAMES),
    ]
    if first_keys := [keys[0] for keys in folders if keys]:
        raise UserError(
            f"{lake}: already holds data of the metric set '{metric_set.name}' ({first_keys[0]}), "
            "and the demo deletes nothing in S3; name an empty lake, or delete that data yourself"
        )


def _run_pipeline(
    data: pd.DataFrame,
    metric_set: MetricSet,
    store: Store,
    table_format: Format,
    *,
    where: str,
    print_line: Callable[[str], None],
) -> Report:
    """Write the live data, run the detector and ingest its alerts, and print each step; `where` names the store."""
    folders, _ = write_live_data(data, metric_set, store)
    print_line(f"live data   {len(data):,} rows in {folders:,} folders: {where}/{metric_set.name}")
    report = local_pipeline.run_backtest(metric_set, store, (metric_set,), table_format)
    print_line(
        f"detector    {report.intervals:,} intervals, {report.series} series, {len(metric_set.measures)} measures, "
        "in order of time"
    )
    print_line(
        f"ingest      {report.alerts:,} alerts, {report.failed_alerts} failed, {report.quarantined_alerts} quarantined"
    )
    return report


def _command_name() -> str:
    """Return how the command was called, for the next call: `.venv/bin/anomalake` from a Makefile."""
    called = Path(sys.argv[0])
    return "anomalake" if called.name != "anomalake" or shutil.which("anomalake") else os.path.relpath(called)


def _compare_with_labels(connection: duckdb_catalog.Connection, labels: pd.DataFrame, data: pd.DataFrame) -> str:
    """Return how many of the injected anomalies the detector found, and how many other values it flagged."""
    _, flagged = duckdb_catalog.query(connection, 'SELECT "timestamp", "key", metricname FROM anomalake.all_anomalies')
    labels = labels[labels.timestamp <= data.timestamp.max()]
    keys = labels.platform + "|" + labels.marketplace
    injected = set(zip(labels.timestamp.dt.to_pydatetime(), keys, labels.measure, strict=True))
    hits, false_alarms = len(injected & set(flagged)), len(set(flagged) - injected)
    return (
        f"\nAgainst the labels: {hits} of {len(injected)} injected values found, "
        f"{false_alarms} others flagged, of {2 * len(data):,}."
    )
