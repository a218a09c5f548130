"""The pipeline in one process: runs the detector over all live data, and ingests the alerts.

The code is the same as in AWS, except at the edges: the lake is any store, and no SQS queue delivers the alerts.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from anomalake.detect import backtest, reading
from anomalake.detect.backtest import IntervalSummary, Report
from anomalake.detect.detector import Detector
from anomalake.detect.interval_result import IntervalResult, group_results_by_day
from anomalake.detect.state import DetectorState
from anomalake.detect.timeline import build_timeline, utc_now
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import delete_unused_shards, read_feedback, save_state
from anomalake.lake import layout
from anomalake.lake.folder_store import FolderStore, sync_at_end
from anomalake.lake.layout import Format
from anomalake.lake.live_data import IntervalData
from anomalake.lake.store import Store
from anomalake.lake.top_values import write_top_values

METRIC_SETS_FOLDER = "metric_sets"  # in a lake: copies of the metric sets that its data belongs to


def copy_metric_set(metric_set_file: Path, metric_set: MetricSet, store: FolderStore) -> Path:
    """Copy the metric set to the lake, so that later commands on this lake do not need `--metric-set`.

    Returns the folder of the copies.
    """
    key = f"{METRIC_SETS_FOLDER}/{metric_set.name}.yaml"
    if metric_set_file.resolve() != (store.root / key).resolve():
        store.put(key, metric_set_file.read_bytes())
    return store.root / METRIC_SETS_FOLDER


def run_backtest(
    metric_set: MetricSet,
    store: Store,
    metric_sets: tuple[MetricSet, ...],
    table_format: Format,
    now: datetime | None = None,
) -> Report:
    """Process all live data of a metric set in order of time: write observations by day, and ingest the alerts.

    Alerts are routed among `metric_sets`, the metric sets of the lake, in batches of the size that SQS delivers. Only
    intervals that are due at `now` are processed (naive UTC; the present time by default). The back-test replaces the
    detector's state, and the detect function continues from there. No notification is sent.
    """
    timeline = build_timeline(store, metric_set, now or utc_now())
    compaction.cancel_compactions(store, metric_set)
    feedback = read_feedback(store, metric_set)
    detector = Detector(metric_set, feedback=feedback.feedback)
    summaries: list[IntervalSummary] = []
    alert_count = failed_count = 0
    quarantined_before = backtest.count_quarantined(store)
    kept_values = reading.choose_top_values(store, metric_set, timeline.files.items())
    if metric_set.has_top:
        write_top_values(store, metric_set, kept_values)
    read = reading.read_in_order(store, metric_set, timeline.files.items(), kept_values)
    results = _score_intervals(read, detector, len(timeline.files), summaries)
    with sync_at_end(store):  # the results are on disk before the state says that their intervals are processed
        for day_results in group_results_by_day(results):
            backtest.write_day(store, metric_set, table_format, list(detector.series), day_results)
            alerts = (alert for result in day_results for alert in result.alerts)
            ingested, failed = backtest.ingest_alerts(alerts, store, metric_sets, table_format)
            alert_count, failed_count = alert_count + ingested, failed_count + failed
    last = next(reversed(timeline.files))
    if detector.series:
        state = DetectorState(detector, last_processed=last, alerts_from=last, silent_intervals=0)
        save_state(store, metric_set, state, store.get(layout.state_key(metric_set)))
        delete_unused_shards(store, metric_set)
    quarantined_count = backtest.count_quarantined(store) - quarantined_before
    counts = (alert_count, failed_count, quarantined_count)
    return backtest.build_report(timeline, summaries, detector, counts, feedback.problems)


def _score_intervals(
    read: Iterator[IntervalData], detector: Detector, count: int, summaries: list[IntervalSummary]
) -> Iterator[IntervalResult]:
    """Score the intervals in order; a summary of each interval's data is added to `summaries`."""
    for interval in tqdm(read, desc="detector", unit=" intervals", total=count, disable=None, leave=False):
        summaries.append(backtest.summarize_interval(interval, detector.traits))
        yield detector.score(interval)
