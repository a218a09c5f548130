"""`anomalake detect`: scores the intervals that are due, as the detect function in AWS does."""

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from anomalake.cli.options import (
    add_format,
    add_lake_or_bucket,
    add_metric_set,
    add_now,
    load_metric_sets,
    metric_set_path,
    resolve_format,
)
from anomalake.cli.reports import print_backtest_report, print_findings, warn_of_unprojected_data
from anomalake.cli.terminal import print_line
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

if TYPE_CHECKING:
    from anomalake.functions.settings import Settings

SUMMARY = "score the intervals that are due and store their alerts"
HELP = """\
Example:
  anomalake detect --metric-set src/metric_sets/sales.yaml
  anomalake detect --rebuild --lake s3://BUCKET --metric-set src/metric_sets/sales.yaml

Result:
  Observations, alerts and the detector's state in the lake, as the detect function in AWS writes them. For each metric
  set, the command prints the number of intervals, whether each measure is scored, and the number of alerts.

--rebuild processes all live data again, including intervals whose data arrived late. It replaces observations, data
health and the detector's state. Alerts keep their ids, so that none is stored twice. No notification is sent. Without
--rebuild, intervals whose data arrived late are counted and not scored."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake_or_bucket(parser)
    add_metric_set(parser)
    add_format(parser)
    add_now(parser)
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="rebuild the detector's state from all live data, including intervals whose data arrived late",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the detector of each metric set that has a source."""
    from anomalake.detect.timeline import utc_now
    from anomalake.functions import lease
    from anomalake.functions.settings import Settings
    from anomalake.lake.credentials import open_lake

    metric_sets = load_metric_sets(metric_set_path(arguments))
    if not (watched := [metric_set for metric_set in metric_sets if metric_set.source is not None]):
        raise UserError("no metric set here has a `source`, so there is no live data to process")
    store = open_lake(arguments.lake)
    now: datetime = arguments.now or utc_now()
    settings = Settings(store, metric_sets, resolve_format(arguments, store, metric_sets))
    succeeded = True
    for metric_set in watched:
        print_line(metric_set.path)
        with lease.hold_lease(store, metric_set, now) as acquired:
            if not acquired:
                holder = lease.describe_holder(store, metric_set)
                raise UserError(
                    f"{metric_set.name}: another run of its detector is in progress: {holder}; "
                    "try again when it has ended"
                )
            if arguments.rebuild:
                succeeded &= _rebuild(metric_set, settings, now, arguments.lake)
            else:
                _run_once(metric_set, settings, now)
    return 0 if succeeded else 1


def _rebuild(metric_set: MetricSet, settings: "Settings", now: datetime, lake: str) -> bool:
    """Process all live data again and print the report. Return whether every alert was stored."""
    from anomalake.cli import local_pipeline

    report = local_pipeline.run_backtest(metric_set, settings.store, settings.metric_sets, settings.format, now)
    print_backtest_report(report, metric_set, lake)
    warn_of_unprojected_data([metric_set.clock.wall_time(report.first_interval)], metric_set, now)
    return not (report.failed_alerts or report.quarantined_alerts)


def _run_once(metric_set: MetricSet, settings: "Settings", now: datetime) -> None:
    """Score the intervals that are due, compact finished days, and print the result."""
    from anomalake.functions import detect

    result, state = detect.run_detector(metric_set, settings, now, lambda: True)
    detect.compact_finished_days(metric_set, settings, state, now, lambda: True)
    late = f", {result.late:,} late (`--rebuild` scores them)" if result.late else ""
    last = f"{metric_set.clock.wall_time(state.last_processed)} ({metric_set.timezone})"
    print_line(f"detector    {result.scored:,} intervals, {result.empty:,} without data{late}, through {last}")
    for line in (*state.detector.status(), *result.notes):
        print_line(f"  {line}")
    print_line(f"alerts      {result.alerts:,}")
    print_findings(result.findings, len(result.findings), "folders of live data lie in the future")
