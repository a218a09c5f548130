"""The demo: data laid out, detected, ingested, asked and drawn, with what to look at printed at the end; or a fresh deployment in S3 filled."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import pandas as pd

from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.cli import local_pipeline
from anomalake.cli.demo import flights, shop
from anomalake.cli.demo.folder import empty_demo_lake
from anomalake.cli.terminal import table
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

# The worst local days of a measure by excess over what was expected, and the values of each dimension that made most of it.
WORST_DAYS = """
SELECT CAST(date_trunc('day', "localtimestamp") AS date) AS day, sum(value) AS value, sum(value - expectedvalue) AS excess
FROM {db}.metrics_with_band WHERE metricname = '{measure}'
GROUP BY 1 HAVING sum(value - expectedvalue) >= 1 ORDER BY 3 DESC LIMIT {most}
"""
PARTS = """
SELECT part, 100 * excess / sum(excess) OVER () AS share FROM (
  SELECT {dimension} AS part, sum(value - expectedvalue) AS excess FROM {db}.metrics_with_band
  WHERE metricname = '{measure}' AND CAST(date_trunc('day', "localtimestamp") AS date) = DATE '{day}' GROUP BY {dimension}
) WHERE excess > 0 ORDER BY excess DESC LIMIT 2
"""
QUESTIONS = {
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
    dataset: Dataset, root: Path, page: Path, *, form: Format, days: int | None, print_line: Callable[[str], None]
) -> None:
    """Fill the lake at `root` with a dataset (its first `days`, or all), write the page, and say what came out.

    What an earlier demo wrote to `root` is deleted; `UserError` where `root` holds any other file.
    """
    if page.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"--output {page}: lies in the demo's lake, which the next demo deletes; name a file outside of {root}"
        )
    with empty_demo_lake(root) as store:
        _fill_and_report(dataset, store, page, form=form, days=days, print_line=print_line)


def _fill_and_report(
    dataset: Dataset,
    store: FolderStore,
    page: Path,
    *,
    form: Format,
    days: int | None,
    print_line: Callable[[str], None],
) -> None:
    root = store.root
    with as_file(files("anomalake.cli.demo") / "metric_sets" / f"{dataset}.yaml") as file:
        item = metric_set_yaml.load(file)
        local_pipeline.copy_metric_set(file, item, store)
    made = shop.generate() if dataset == "ecommerce" else None
    if made is not None:
        store.put("labels.csv", made.labels.to_csv(index=False).encode())
    data = flights.load() if made is None else made.data
    if days is not None:
        times = data[item.timestamp.column]
        data = data[times < times.min().normalize() + pd.Timedelta(days=days)]
    _run_pipeline(data, item, store, form, where=str(root), print_line=print_line)
    connection, db = duckdb_catalog.connect(root, [item]), database(duckdb_catalog.DEFAULT_PREFIX, item)
    measure = item.measures[0]
    print_line(f"\nThe worst local days of {measure.title.lower()}, by excess over what was expected:\n")
    _, worst = duckdb_catalog.query(connection, WORST_DAYS.format(db=db, measure=measure.name, most=8))
    rows = []
    for day, value, excess in worst:
        parts = []
        for dimension in item.dimension_names:
            _, shares = duckdb_catalog.query(
                connection, PARTS.format(db=db, measure=measure.name, dimension=dimension, day=day)
            )
            parts.append(", ".join(f"{part} {share:.0f} %" for part, share in shares))
        rows.append((day, value, round(excess, 1), *parts))
    heads = ["day", measure.name, "excess", *(f"most by {name}" for name in item.dimension_names)]
    print_line(table(heads, rows) if rows else "none yet: the detector needs four days of each hour")
    if made is not None:
        print_line(_compare_with_labels(connection, made.labels, data))
    question, statement = QUESTIONS[dataset]
    print_line(f"\n{question}\n\n{statement}\n\n{table(*duckdb_catalog.query(connection, statement))}")
    size = lake_page.write_page(item, connection, page)
    print_line(f"\ndashboard   {page.resolve()} ({size / 1e6:.1f} MB; open it in a browser)")
    print_line(f'ask more    {_command_name()} query --lake {shlex.quote(str(root))} "SELECT ..."')


def fill_bucket(lake: str, *, form: Format, days: int | None, now: datetime, print_line: Callable[[str], None]) -> None:
    """Fill the lake of a fresh deployment with the generated shop, so that its dashboards show something; `UserError` where it holds the set already.

    The data ends with the last full hour before `now` (naive UTC) and goes 60 days back, or `days`. Nothing in S3 is deleted.
    """
    lake = f"s3://{lake.removeprefix('s3://').rstrip('/')}"
    if lake.removeprefix("s3://").count("/"):
        raise UserError(f"{lake}: a stack's lake is a whole bucket; name s3://BUCKET (the stack's output DataBucket)")
    with as_file(files("anomalake.cli.demo") / "metric_sets" / "ecommerce.yaml") as file:
        item = metric_set_yaml.load(file)
    store = open_lake(lake)
    kept = [
        *live_data.list_files_by_interval(store, item).values(),
        *(list(store.list(layout.table_folder(table, item))) for table in GLUE_TABLE_NAMES),
    ]
    if held := [keys[0] for keys in kept if keys]:
        what = f"holds data of the metric set {item.name!r} already ({held[0]})"
        raise UserError(
            f"{lake}: {what}, and the demo deletes nothing in S3; name a fresh lake, or remove that data yourself"
        )
    days = days or 60
    data = shop.generate(days, start=str(pd.Timestamp(now).floor("h") - pd.Timedelta(days=days))).data
    report = _run_pipeline(data, item, store, form, where=lake, print_line=print_line)
    if report.failed_alerts:
        raise UserError(
            f"{lake}: {report.failed_alerts} alerts could not be filed; see that these credentials may read and write the bucket"
        )
    print_line(
        f"tables      {form}; the stack must read this format\ncredentials those of this environment, as the AWS CLI would take them"
    )
    print_line(
        "\nLook at the stack's QuickSight dashboard (refresh its datasets if they are in SPICE), or ask in Athena, with the stack's prefix:\n"
    )
    print_line(
        f"SELECT * FROM {database(duckdb_catalog.DEFAULT_PREFIX, item)}.anomaly_log ORDER BY groupscore DESC LIMIT 10"
    )


def _run_pipeline(
    data: pd.DataFrame, item: MetricSet, store: Store, form: Format, *, where: str, print_line: Callable[[str], None]
) -> Report:
    """Lay the data out, detect, ingest, and say so; `where` is what to call the store."""
    folders, _ = local_pipeline.write_live_data(data, item, store)
    print_line(f"live data   {len(data):,} rows in {folders:,} folders, one an interval: {where}/{item.name}")
    report = local_pipeline.run_backtest(item, store, (item,), form)
    print_line(
        f"detector    {report.intervals:,} intervals, {report.series} series, {len(item.measures)} measures, in order of time"
    )
    print_line(
        f"ingest      {report.alerts:,} alerts through anomalake.functions.ingest, {report.failed_alerts} failed, {report.quarantined_alerts} quarantined"
    )
    return report


def _command_name() -> str:
    """The command as it was called, for the next call: `.venv/bin/anomalake` from a Makefile."""
    called = Path(sys.argv[0])
    return "anomalake" if called.name != "anomalake" or shutil.which("anomalake") else os.path.relpath(called)


def _compare_with_labels(connection: duckdb_catalog.Connection, labels: pd.DataFrame, data: pd.DataFrame) -> str:
    """How many of the injected anomalies were found, and what else was."""
    _, found = duckdb_catalog.query(connection, 'SELECT "timestamp", "key", metricname FROM anomalake.all_anomalies')
    labels = labels[labels.timestamp <= data.timestamp.max()]
    keys = labels.platform + "|" + labels.marketplace
    known = set(zip(labels.timestamp.dt.to_pydatetime(), keys, labels.measure, strict=True))
    hits = len(known & set(found))
    return f"\nAgainst the labels: {hits} of {len(known)} injected values found, {len(set(found) - known)} others flagged, of {2 * len(data):,}."
