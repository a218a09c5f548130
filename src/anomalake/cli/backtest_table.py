"""Runs a back-test from a table of the user, or from the live data of a lake, to the page."""

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.cli.options import (
    lake_folder,
    load_metric_sets,
    load_single_metric_set,
    metric_set_path,
    resolve_format,
)
from anomalake.cli.proposal import long_form
from anomalake.cli.questions import can_ask
from anomalake.cli.reports import print_backtest_report, print_findings, warn_of_unprojected_data
from anomalake.cli.tables import live_rows
from anomalake.cli.tables.live_rows import ReadingOptions
from anomalake.cli.tables.table import Table
from anomalake.cli.terminal import print_line, print_warning
from anomalake.cli.write_live_data import write_live_data
from anomalake.dashboards import lake_page
from anomalake.detect.timeline import utc_now
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.folder_store import FolderStore


def run_backtest(
    arguments: argparse.Namespace, table: Table | None, location: str | None, reading: ReadingOptions
) -> int:
    """Run the back-test of `arguments` (lake, metric_set, format, output, now), print its report and write the page.

    With a table, its rows are written as live data first; `location` names it in messages. Returns the exit status: 1
    where an alert could not be stored. Raises `UserError`.
    """
    root = lake_folder(arguments)
    store = FolderStore(root)
    metric_set, metric_sets = _load(arguments, store)
    table_format = resolve_format(arguments, store, [metric_set])
    _warn_of_earlier_results(root, metric_set)
    if metric_set.source is None:
        raise UserError(f"metric set '{metric_set.name}': has no `source`, so it has no live data to process")
    if table is not None:
        _write_live_data(table, str(location), reading, metric_set, store)
    report = local_pipeline.run_backtest(metric_set, store, metric_sets, table_format, arguments.now)
    print_backtest_report(report, metric_set, root)
    warn_of_unprojected_data([metric_set.clock.wall_time(report.first_interval)], metric_set, utc_now())
    page = Path(arguments.output)
    size = lake_page.write_page(metric_set, duckdb_catalog.connect(root, [metric_set], table_format), page)
    print_line(f"dashboard   {page.resolve()} ({size / 1e6:.1f} MB)")
    return 1 if report.failed_alerts or report.quarantined_alerts else 0


def show_page(page: Path) -> None:
    """Open the page in the browser of a desktop, if the command runs on a terminal."""
    has_desktop = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if can_ask() and has_desktop:
        webbrowser.open(page.resolve().as_uri())


def _load(arguments: argparse.Namespace, store: FolderStore) -> tuple[MetricSet, tuple[MetricSet, ...]]:
    """Return the metric set to test, and all metric sets of the lake.

    The file of `--metric-set` is copied to the lake.
    """
    if arguments.metric_set and Path(arguments.metric_set).is_file():
        metric_set = load_single_metric_set(Path(arguments.metric_set))
        path = local_pipeline.copy_metric_set(Path(arguments.metric_set), metric_set, store)
    else:
        path = metric_set_path(arguments)
        metric_set = load_single_metric_set(path)
    return metric_set, load_metric_sets(path)


def _warn_of_earlier_results(root: Path, metric_set: MetricSet) -> None:
    """Warn where the lake has results of the metric set, which stay."""
    if any((root / layout.table_folder("anomalyGroups", metric_set)).rglob("*.*")):
        print_warning(
            f"{root} already holds results of this metric set. They stay, and where both have a score the greater one "
            "counts. To start from an empty lake, name another folder with --lake"
        )


def _write_live_data(
    table: Table, location: str, reading: ReadingOptions, metric_set: MetricSet, store: FolderStore
) -> None:
    """Write the rows to the lake as live data, and report what is left out."""
    rows, notes = long_form.widen_for(table.rows, metric_set)
    rows, more_notes = live_rows.prepare_rows(rows, metric_set, reading)
    folders, findings = write_live_data(rows, metric_set, store)
    print_line(f"live data   {len(rows) - len(findings):,} rows in {folders:,} folders")
    for note in (*(note for note in table.notes if not note.startswith("columns: ")), *notes, *more_notes):
        print_warning(f"{location}: {note}")
    print_findings([f"{location}: {finding}" for finding in findings], len(findings), "rows belong to no interval")
