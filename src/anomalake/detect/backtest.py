"""What every back-test does, in one process or in parts: write a day's tables, ingest its alerts, summarize intervals,
report.

`cli.local_pipeline` runs a back-test in one process. `backtest_plan` and `backtest_parts` divide one among processes,
with the same result.
"""

import itertools
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from anomalake.detect import observations
from anomalake.detect.detector import Detector
from anomalake.detect.interval_result import IntervalResult
from anomalake.detect.timeline import Timeline
from anomalake.detect.traits import Traits
from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.ingest import Message, ingest_messages, split_by_size
from anomalake.lake.layout import Format
from anomalake.lake.live_data import Finding, IntervalData, Series
from anomalake.lake.store import Store

SQS_BATCH_SIZE = 10  # messages in a batch that SQS sends to the ingest function
MAX_FINDINGS = 20  # findings that a report names; it counts the others


class Report(NamedTuple):
    """What a back-test processed and found."""

    intervals: int  # with live data
    empty_intervals: int  # without live data, between the first and the last
    rows: int
    duplicate_rows: int  # rows beyond the first of their series and interval
    series: int
    retired_series: int  # whose last value other than zero is too old, if missing rows mean zero
    cardinality: tuple[int, ...]  # of each dimension: its number of values
    completeness: tuple[float, ...]  # of each measure: percentage of series and intervals in the data that have a value
    status: tuple[str, ...]  # of each measure, as text: whether it is scored
    alerts: int
    failed_alerts: int  # alerts that the ingest code could not process
    quarantined_alerts: int  # alerts that the ingest code put in quarantine
    findings: tuple[Finding, ...]  # the first `MAX_FINDINGS`, and problems with feedback
    finding_count: int  # of all findings
    notes: tuple[str, ...]  # lines about live data that is not processed
    first_interval: datetime  # the start of the first interval that was processed, naive UTC


class IntervalSummary(NamedTuple):
    """Counts of an interval's live data."""

    series_with_value: int
    rows: int
    findings: tuple[Finding, ...]  # the first `MAX_FINDINGS`
    finding_count: int
    series_in_data: int
    values: tuple[int, ...]  # of each measure: series that have a value
    any_living: bool  # whether a series has a value other than zero


def summarize_interval(interval: IntervalData, traits: Traits) -> IntervalSummary:
    """Count what an interval's live data holds."""
    rows = interval.values.values()
    by_measure = tuple(len(column) - column.count(None) for column in zip(*rows, strict=True)) or (0,) * traits.width
    return IntervalSummary(
        by_measure[0] if traits.width == 1 else sum(row.count(None) < traits.width for row in rows),
        interval.row_count,
        interval.findings[:MAX_FINDINGS],
        interval.finding_count,
        len(rows),
        by_measure,
        any_living=any(any(row) for row in rows),
    )


def write_day(
    store: Store, metric_set: MetricSet, table_format: Format, series: Sequence[Series],
    results: Sequence[IntervalResult],
) -> None:  # fmt: skip
    """Write a UTC day's observations and data health as one object each; delete the objects of single intervals.

    `series` are all known series in their order.
    """
    day = layout.utc_date(results[0].start)
    objects = observations.encode_results(metric_set, table_format, series, results)
    for table in layout.DETECTOR_TABLES:
        day_key = layout.day_key(table, metric_set, day, table_format)
        if table in objects:
            store.put(day_key, objects[table])
        for key in list(store.list(layout.day_folder(table, metric_set, day))):
            if key != day_key:
                store.delete(key)


def ingest_alerts(
    all_alerts: Iterable[Alert], store: Store, sets: tuple[MetricSet, ...], table_format: Format
) -> tuple[int, int]:
    """Ingest alerts in batches of the size that SQS uses; return how many there were and how many failed.

    A warning names the first reason of each group that failed.
    """
    sent = failed = 0
    bodies = iter([alerts.encode(alert).decode() for alert in all_alerts])
    while batch := list(itertools.islice(bodies, SQS_BATCH_SIZE)):
        messages = [Message(str(sent + number), body) for number, body in enumerate(batch)]
        for group in split_by_size(messages):
            result = ingest_messages(group, store, sets, table_format)
            failed += len(result.failed_ids)
            if result.error is not None:
                warnings.warn(f"{len(result.failed_ids)} alerts were not stored: {result.error}", stacklevel=2)
        sent += len(batch)
    return sent, failed


def count_quarantined(store: Store) -> int:
    """Count the alerts in quarantine."""
    return sum(1 for _ in store.list(layout.QUARANTINE_FOLDER))


def build_report(
    timeline: Timeline,
    summaries: Sequence[IntervalSummary],
    detector: Detector,
    alert_counts: tuple[int, int, int],
    feedback_problems: Sequence[str],
) -> Report:
    """Build the report of a back-test; `alert_counts` are all alerts, the failed and the quarantined ones."""
    cells = max(sum(summary.series_in_data for summary in summaries), 1)
    by_measure = zip(*(summary.values for summary in summaries), strict=True)
    findings = [*timeline.findings, *(finding for summary in summaries for finding in summary.findings)][:MAX_FINDINGS]
    for problem in feedback_problems:
        where, _, reason = problem.partition(": ")
        findings.append(Finding(where, reason))
    rows = sum(summary.rows for summary in summaries)
    finding_count = sum(summary.finding_count for summary in summaries)
    return Report(
        intervals=sum(map(bool, timeline.files.values())),
        empty_intervals=timeline.empty_intervals,
        rows=rows,
        duplicate_rows=rows - sum(summary.series_in_data for summary in summaries),
        series=len(detector.series),
        retired_series=detector.count_retired(),
        cardinality=tuple(len(set(values)) for values in zip(*detector.series, strict=True)),
        completeness=tuple(100 * sum(counts) / cells for counts in by_measure),
        status=tuple(detector.status()),
        alerts=alert_counts[0],
        failed_alerts=alert_counts[1],
        quarantined_alerts=alert_counts[2],
        findings=tuple(findings),
        finding_count=finding_count + len(feedback_problems) + len(timeline.findings),
        notes=timeline.notes,
        first_interval=next(iter(timeline.files)),
    )
