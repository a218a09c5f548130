"""The pipeline in one process: writes a table as live data, runs the detector over all of it, and ingests the alerts.

The code is the same as in AWS, except at the edges: the lake is any store, and no SQS queue delivers the alerts.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from anomalake.detect import backtest
from anomalake.detect.backtest import IntervalSummary, Report
from anomalake.detect.detector import Detector
from anomalake.detect.interval_result import IntervalResult, group_results_by_day
from anomalake.detect.state import DetectorState
from anomalake.detect.timeline import build_timeline, utc_now
from anomalake.domain import intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import delete_unused_shards, read_feedback, save_state
from anomalake.lake import layout, live_data
from anomalake.lake.folder_store import FolderStore, sync_at_end
from anomalake.lake.layout import Format
from anomalake.lake.live_data import Finding, IntervalData, require_source
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import Store

METRIC_SETS_FOLDER = "metric_sets"  # in a lake: copies of the metric sets that its data belongs to


def write_live_data(frame: pd.DataFrame, metric_set: MetricSet, store: Store) -> tuple[int, list[Finding]]:
    """Write the rows of a table as live data, one folder for each interval, in the metric set's format.

    The table has the columns of the source. Its timestamps are text in the metric set's timestamp format, or datetimes
    on the metric set's wall clock. Returns the number of folders, and a finding for each row that belongs to no
    interval. Raises `UserError` where a column is missing, or the source is not plain CSV.
    """
    source, column = require_source(metric_set), metric_set.timestamp.column
    if source.format != "csv" or source.compression != "none":
        raise UserError(
            f"metric set '{metric_set.name}': data is written as plain CSV only; "
            f"put {source.format} files in the folders of source.path"
        )
    if missing := [name for name in source.columns if name not in frame.columns]:
        raise UserError(
            f"the data has no column '{missing[0]}' of the metric set '{metric_set.name}'; "
            f"its columns are {', '.join(map(str, frame.columns))}"
        )
    walls, findings = _interval_walls(frame[column], metric_set)
    frame, walls = frame[walls.notna()], walls[walls.notna()]
    texts = frame.loc[:, list(source.columns)].astype(object)
    if pd.api.types.is_datetime64_any_dtype(frame[column]):
        texts[column] = frame[column].dt.strftime(time_patterns.to_python_format(metric_set.timestamp.format))
    texts = texts.where(texts.notna(), "")
    order = np.argsort(walls.to_numpy(), kind="stable")
    records = zip(walls.iloc[order].tolist(), texts.iloc[order].itertuples(index=False, name=None), strict=True)
    files = (
        (f"{live_data.interval_folder(metric_set, wall)}/data.csv", _encode_csv((row for _, row in rows), metric_set))
        for wall, rows in itertools.groupby(records, key=lambda record: record[0])
    )
    written = map_in_order(store, lambda file: store.put(*file), files)
    with sync_at_end(store):
        return sum(1 for _ in tqdm(written, desc="live data", unit=" intervals", disable=None, leave=False)), findings


def _encode_csv(rows: Iterable[tuple[Any, ...]], metric_set: MetricSet) -> bytes:
    """Return the rows as a CSV file of the metric set's source.

    Raises `UserError` if the charset of the source lacks a character.
    """
    source = require_source(metric_set)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=source.delimiter, quotechar=source.quote, lineterminator="\n")
    if source.header:
        writer.writerow(source.columns)
    writer.writerows(rows)
    try:
        return text.getvalue().encode(source.charset)
    except UnicodeEncodeError as error:
        raise UserError(
            f"metric set '{metric_set.name}': the data cannot be written in source.charset {source.charset}: {error}"
        ) from error


def _interval_walls(column: "pd.Series[Any]", metric_set: MetricSet) -> tuple["pd.Series[Any]", list[Finding]]:
    """Return the start of each row's interval on the wall clock, and a finding for each row without an interval."""
    table_format, zone = metric_set.timestamp.format, metric_set.timezone
    wall_of_value: dict[object, datetime | None] = {}
    problems: dict[object, str] = {}
    for value in column.unique().tolist():
        wall = (
            value.to_pydatetime()
            if isinstance(value, pd.Timestamp)
            else live_data.parse_wall_time("" if pd.isna(value) else str(value), table_format, zone)
        )
        if (
            isinstance(wall, datetime)
            and time_patterns.has_hour(table_format)
            and not intervals.wall_time_exists(wall, zone)
        ):
            wall = f"the timestamp {wall} does not exist in {zone}: clocks skipped it"
        wall_of_value[value] = (
            intervals.floor_to_interval(wall, metric_set.frequency) if isinstance(wall, datetime) else None
        )
        if isinstance(wall, str):
            problems[value] = wall
    walls = column.map(wall_of_value)
    findings = [
        Finding(f"row {number + 1}", problems[column.iloc[number]])
        for number in np.flatnonzero(walls.isna().to_numpy())
    ]
    return walls, findings


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
    results = _score_intervals(timeline.files, detector, metric_set, store, summaries)
    with sync_at_end(store):  # the results are on disk before the state says that their intervals are processed
        for day, day_results in group_results_by_day(results):
            backtest.write_day(store, metric_set, table_format, day, day_results)
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
    files: Mapping[datetime, Sequence[str]],
    detector: Detector,
    metric_set: MetricSet,
    store: Store,
    summaries: list[IntervalSummary],
) -> Iterator[IntervalResult]:
    """Read and score the intervals in order; a summary of each interval's data is added to `summaries`."""
    read_intervals: Iterable[IntervalData] = map_in_order(
        store, lambda item: live_data.read_interval(store, metric_set, *item), files.items()
    )
    for interval in tqdm(
        read_intervals, desc="detector", unit=" intervals", total=len(files), disable=None, leave=False
    ):
        summaries.append(backtest.summarize_interval(interval, backtest.values_matrix(interval, metric_set)))
        yield detector.score(interval)
