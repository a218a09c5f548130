"""Prints findings, the report of a back-test, and warnings about live data that Athena does not show."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anomalake.cli.terminal import print_detail, print_line, print_warning
from anomalake.domain.metric_set import MetricSet

if TYPE_CHECKING:
    from anomalake.detect.backtest import Report

MAX_PRINTED_FINDINGS = 10


def print_findings(findings: Sequence[object], count: int, description: str) -> None:
    """Print to standard error that there are `count` findings, and the first of them; nothing where `count` is 0."""
    if count:
        print_warning(f"{count:,} {description}{'; the first:' if findings else ''}")
        for finding in findings[:MAX_PRINTED_FINDINGS]:
            print_detail(str(finding))


def print_backtest_report(report: "Report", metric_set: MetricSet, lake: Path | str) -> None:
    """Print the quality of the live data, whether each measure is scored, and the number of alerts."""
    print_line(
        f"detector    {report.intervals:,} intervals, {report.empty_intervals:,} more without data, "
        f"{report.rows:,} rows, {report.series:,} series"
    )
    for measure, percent in zip(metric_set.measure_names, report.completeness, strict=True):
        print_line(f"  completeness of {measure}: {percent:.2f} %")
    print_line(
        f"  duplicates: {report.duplicate_rows:,} rows repeat a series and interval (they are summed up, or averaged)"
    )
    if report.retired_series:
        print_line(
            f"  retired: {report.retired_series:,} series have had no value other than zero for long; "
            "they are not filled with zeros until the next one"
        )
    if report.cardinality:
        counts = zip(metric_set.dimension_names, report.cardinality, strict=True)
        print_line(f"  cardinality: {', '.join(f'{name} {values:,}' for name, values in counts)}")
    for line in (*report.status, *report.notes):
        print_line(f"  {line}")
    not_stored = f", {report.failed_alerts:,} of them not stored; run the command again" if report.failed_alerts else ""
    print_line(f"alerts      {report.alerts:,}{not_stored}")
    print_findings(report.findings, report.finding_count, "problems in the live data")
    print_findings([], report.quarantined_alerts, f"alerts were not recognized and are kept in {lake}/quarantine")


def warn_of_unprojected_data(
    walls: Iterable[datetime], metric_set: MetricSet, now: datetime, project: Path = Path()
) -> None:
    """Warn of live data that Athena does not show, because it lies outside the range of partition projection.

    `walls` are the starts of the intervals with live data on the metric set's wall clock, `now` is naive UTC. The range
    is what `samconfig.toml` in the project's folder deploys, else the default.
    """
    from anomalake.catalog import projection

    samconfig = project / "samconfig.toml"
    configuration = samconfig.read_text("utf-8", "replace") if samconfig.is_file() else ""
    for problem, remedy in projection.warnings_for_profiles(walls, metric_set, configuration, now):
        print_warning(f"{problem}; {remedy}")
