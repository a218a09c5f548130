"""The pipeline on a laptop: data laid out as an S3 feed would, the detector over all of it, its alerts through the ingest function.

The code is that of the cloud; only the edges differ: any store as the lake, batches handed to the function for SQS.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator
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
from anomalake.detect.state import Memory
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

METRIC_SETS = "metric_sets"  # the folder of a lake that keeps the metric sets it was filled by


def write_live_data(frame: pd.DataFrame, metric_set: MetricSet, store: Store) -> tuple[int, list[Finding]]:
    """Write the rows as live data, one folder an interval, in the metric set's format: the number of folders, and the rows that have no place.

    The frame has the source's columns; its timestamps are the text that the metric set's format says, or datetimes on the set's wall clock.
    """
    source, column = require_source(metric_set), metric_set.timestamp.column
    if source.format != "csv" or source.compression != "none":
        raise UserError(
            f"metric set {metric_set.name!r}: data is laid out as plain CSV only; put {source.format} files where source.path says"
        )
    if missing := [name for name in source.columns if name not in frame.columns]:
        raise UserError(
            f"the data has no column {missing[0]!r} of the metric set {metric_set.name!r}; it has {', '.join(map(str, frame.columns))}"
        )
    walls, findings = _walls(frame[column], metric_set)
    frame, walls = frame[walls.notna()], walls[walls.notna()]
    texts = frame.loc[:, list(source.columns)].astype(object)
    if pd.api.types.is_datetime64_any_dtype(frame[column]):
        texts[column] = frame[column].dt.strftime(time_patterns.to_python_format(metric_set.timestamp.format))
    texts = texts.where(texts.notna(), "")
    order = np.argsort(walls.to_numpy(), kind="stable")
    records = zip(walls.iloc[order].tolist(), texts.iloc[order].itertuples(index=False, name=None), strict=True)

    def file(wall: datetime, rows: Iterable[tuple[Any, ...]]) -> tuple[str, bytes]:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=source.delimiter, quotechar=source.quote, lineterminator="\n")
        if source.header:
            writer.writerow(source.columns)
        writer.writerows(rows)
        try:
            data = text.getvalue().encode(source.charset)
        except UnicodeEncodeError as error:
            raise UserError(
                f"metric set {metric_set.name!r}: the data cannot be written in source.charset {source.charset}: {error}"
            ) from error
        return f"{live_data.interval_folder(metric_set, wall)}/data.csv", data

    files = (
        file(wall, (row for _, row in rows)) for wall, rows in itertools.groupby(records, key=lambda record: record[0])
    )
    written = map_in_order(store, lambda one: store.put(*one), files)
    with sync_at_end(store):
        return sum(1 for _ in tqdm(written, desc="live data", unit=" intervals", disable=None, leave=False)), findings


def _walls(column: "pd.Series[Any]", metric_set: MetricSet) -> tuple["pd.Series[Any]", list[Finding]]:
    """The start of each row's interval on the wall clock, and the rows that have none, named."""
    form, zone = metric_set.timestamp.format, metric_set.timezone
    known: dict[object, datetime | None] = {}
    problems: dict[object, str] = {}
    for value in column.unique().tolist():
        wall = (
            value.to_pydatetime()
            if isinstance(value, pd.Timestamp)
            else live_data.parse_wall_time("" if pd.isna(value) else str(value), form, zone)
        )
        if isinstance(wall, datetime) and time_patterns.has_hour(form) and not intervals.wall_time_exists(wall, zone):
            wall = f"the timestamp {wall} never happened in {zone}: clocks skipped it"
        known[value] = intervals.floor_to_interval(wall, metric_set.frequency) if isinstance(wall, datetime) else None
        if isinstance(wall, str):
            problems[value] = wall
    walls = column.map(known)
    findings = [
        Finding(f"row {number + 1}", problems[column.iloc[number]])
        for number in np.flatnonzero(walls.isna().to_numpy())
    ]
    return walls, findings


def copy_metric_set(metric_set_file: Path, metric_set: MetricSet, store: FolderStore) -> Path:
    """Keep a copy of the metric set in the lake, so that later commands on this lake need no option; the folder of such copies."""
    key = f"{METRIC_SETS}/{metric_set.name}.yaml"
    if metric_set_file.resolve() != (store.root / key).resolve():
        store.put(key, metric_set_file.read_bytes())
    return store.root / METRIC_SETS


def run_backtest(
    metric_set: MetricSet, store: Store, sets: tuple[MetricSet, ...], form: Format, now: datetime | None = None
) -> Report:
    """Process the set's live data in order of time: observations by the day, alerts through the ingest function's code in batches of SQS.

    `sets` are those of the lake, among which alerts are routed. Only intervals that are due at `now` (naive UTC; the clock, if not given) are
    processed. The back-test replaces the detector's state, and the detect function continues from there. Nobody is notified.
    """
    when = build_timeline(store, metric_set, now or utc_now())
    files = when.files
    compaction.cancel_compactions(store, metric_set)
    feedback = read_feedback(store, metric_set)
    detector = Detector(metric_set, feedback=feedback.feedback)
    alerted = failed = 0
    told: list[IntervalSummary] = []
    quarantined = backtest.count_quarantined(store)

    def scored() -> Iterator[IntervalResult]:
        read = map_in_order(store, lambda one: live_data.read_interval(store, metric_set, *one), files.items())
        interval: IntervalData
        for interval in tqdm(read, desc="detector", unit=" intervals", total=len(files), disable=None, leave=False):
            told.append(backtest.summarize_interval(interval, backtest.values_matrix(interval, metric_set)))
            yield detector.score(interval)

    with sync_at_end(store):  # before the memory says how far this came
        for day, outcomes in group_results_by_day(scored()):
            backtest.write_day(store, metric_set, form, day, outcomes)
            sent = backtest.ingest_alerts(
                (alert for outcome in outcomes for alert in outcome.alerts), store, sets, form
            )
            alerted, failed = alerted + sent[0], failed + sent[1]
    last = next(reversed(files))
    if detector.series:
        save_state(
            store,
            metric_set,
            Memory(detector, last_processed=last, alerts_from=last, silent_intervals=0),
            store.get(layout.state_key(metric_set)),
        )
        delete_unused_shards(store, metric_set)
    return backtest.build_report(
        when, told, detector, (alerted, failed, backtest.count_quarantined(store) - quarantined), feedback.problems
    )
