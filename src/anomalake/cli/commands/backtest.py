"""`anomalake backtest`: runs the detector over all live data of a metric set."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anomalake.cli.options import (
    add_format,
    add_lake,
    add_metric_set,
    add_now,
    add_page_output,
    add_reading,
    lake_folder,
    load_metric_sets,
    load_single_metric_set,
    metric_set_path,
    reading_options,
    resolve_format,
)
from anomalake.cli.reports import print_backtest_report, print_findings, warn_of_unprojected_data
from anomalake.cli.terminal import print_line, print_warning
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

if TYPE_CHECKING:
    from anomalake.lake.folder_store import FolderStore

SUMMARY = "run the detector over all live data of a metric set and write a dashboard"
HELP = """\
Example:
  anomalake backtest --metric-set sales.yaml --data sales.csv

Result:
  Observations, alerts and the detector's state in the lake, and the page dashboard.html. The command prints the
  number of intervals and alerts, and the completeness, duplicates and cardinality of the data. No notification is sent.
  The exit status is 1 where an alert could not be stored."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake(parser)
    add_metric_set(parser)
    add_format(parser)
    add_page_output(parser)
    add_now(parser)
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="your data, in any form that `anomalake init` reads; it is written to the lake as live data first",
    )
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the back-test, print its report and write the page."""
    from anomalake.catalog import duckdb_catalog
    from anomalake.cli import local_pipeline
    from anomalake.dashboards import lake_page
    from anomalake.detect.timeline import utc_now
    from anomalake.lake.folder_store import FolderStore

    root = lake_folder(arguments)
    store = FolderStore(root)
    metric_set, metric_sets = _load(arguments, store)
    table_format = resolve_format(arguments, store, [metric_set])
    _warn_of_earlier_results(root, metric_set)
    if metric_set.source is None:
        raise UserError(f"metric set '{metric_set.name}': has no `source`, so it has no live data to process")
    if arguments.data:
        _write_live_data(arguments, metric_set, store)
    report = local_pipeline.run_backtest(metric_set, store, metric_sets, table_format, arguments.now)
    print_backtest_report(report, metric_set, root)
    warn_of_unprojected_data([metric_set.clock.wall_time(report.first_interval)], metric_set, utc_now())
    page = Path(arguments.output)
    size = lake_page.write_page(metric_set, duckdb_catalog.connect(root, [metric_set], table_format), page)
    print_line(f"dashboard   {page.resolve()} ({size / 1e6:.1f} MB)")
    return 1 if report.failed_alerts or report.quarantined_alerts else 0


def _load(arguments: argparse.Namespace, store: "FolderStore") -> tuple[MetricSet, tuple[MetricSet, ...]]:
    """Return the metric set to test, and all metric sets of the lake.

    The file of `--metric-set` is copied to the lake.
    """
    from anomalake.cli import local_pipeline

    if arguments.metric_set and Path(arguments.metric_set).is_file():
        metric_set = load_single_metric_set(Path(arguments.metric_set))
        path = local_pipeline.copy_metric_set(Path(arguments.metric_set), metric_set, store)
    else:
        path = metric_set_path(arguments)
        metric_set = load_single_metric_set(path)
    return metric_set, load_metric_sets(path)


def _warn_of_earlier_results(root: Path, metric_set: MetricSet) -> None:
    """Warn where the lake has results of the metric set, which stay."""
    from anomalake.lake import layout

    if any((root / layout.table_folder("anomalyGroups", metric_set)).rglob("*.*")):
        print_warning(
            f"{root} already holds results of this metric set. They stay, and where both have a score the greater one "
            "counts. To start from an empty lake, name another folder with --lake"
        )


def _write_live_data(arguments: argparse.Namespace, metric_set: MetricSet, store: "FolderStore") -> None:
    """Write the rows of the data to the lake as live data, and report what is left out."""
    from anomalake.cli.tables import live_rows, read
    from anomalake.cli.write_live_data import write_live_data

    file, options = arguments.data, reading_options(arguments)
    table = read.read(file, options.table)
    rows, notes = live_rows.prepare_rows(table.rows, metric_set, options)
    folders, findings = write_live_data(rows, metric_set, store)
    print_line(f"live data   {len(rows) - len(findings):,} rows in {folders:,} folders")
    for note in (*(note for note in table.notes if not note.startswith("columns: ")), *notes):
        print_warning(f"{file}: {note}")
    print_findings([f"{file}: {finding}" for finding in findings], len(findings), "rows belong to no interval")
