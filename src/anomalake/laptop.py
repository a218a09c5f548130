"""The pipeline on a laptop: data laid out as an S3 feed would, the detector over all of it, its alerts through the ingest function.

The code is that of the cloud; only the edges differ: a folder for S3, batches handed to the function for SQS.
"""

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from anomalake import alert as alerts
from anomalake import intervals, live, patterns
from anomalake.alert import Alert
from anomalake.detect.run import Detector, Scored, days
from anomalake.errors import UserError
from anomalake.functions.ingest import handler
from anomalake.functions.setting import forget
from anomalake.lake import encoding, layout, tables
from anomalake.lake.layout import Format
from anomalake.lake.store import FolderStore
from anomalake.live import Finding, Interval, source_of
from anomalake.metric_set import MetricSet

BATCH = 10  # messages that SQS hands to a function at a time
METRIC_SETS = "metric_sets"  # the folder of a lake that keeps the metric sets it was filled by
MOST_FINDINGS = 20  # kept to be named; the others are counted


class Report(NamedTuple):
    """What a back-test did."""

    intervals: int
    rows: int
    series: int
    alerts: int
    failed: int  # alerts that the function handed back
    quarantined: int  # alerts that it did not understand
    findings: tuple[Finding, ...]  # the first of them
    found: int  # all of them


def lay_out(frame: pd.DataFrame, metric_set: MetricSet, root: Path) -> tuple[int, list[Finding]]:
    """Write the rows as live data, one folder an interval, in the metric set's format: the number of folders, and the rows that have no place.

    The frame has the source's columns; its timestamps are the text that the metric set's format says, or datetimes on the set's wall clock.
    """
    source, column = source_of(metric_set), metric_set.timestamp.column
    if source.format != "csv" or source.compression != "none":
        raise UserError(f"metric set {metric_set.name!r}: data is laid out as plain CSV only; put {source.format} files where source.path says")
    if missing := [name for name in source.columns if name not in frame.columns]:
        raise UserError(f"the data has no column {missing[0]!r} of the metric set {metric_set.name!r}; it has {', '.join(map(str, frame.columns))}")
    walls, findings = _walls(frame[column], metric_set)
    frame, walls = frame[walls.notna()], walls[walls.notna()]
    texts = frame.loc[:, list(source.columns)].astype(object)
    if pd.api.types.is_datetime64_any_dtype(frame[column]):
        texts[column] = frame[column].dt.strftime(patterns.python_format(metric_set.timestamp.format))
    texts = texts.where(texts.notna(), "")
    order = np.argsort(walls.to_numpy(), kind="stable")
    records = zip(walls.iloc[order].tolist(), texts.iloc[order].itertuples(index=False, name=None), strict=True)
    store, folders = FolderStore(root), 0
    grouped = itertools.groupby(records, key=lambda record: record[0])
    for wall, rows in tqdm(grouped, desc="live data", unit=" intervals", disable=None, leave=False):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=source.delimiter, quotechar=source.quote, lineterminator="\n")
        if source.header:
            writer.writerow(source.columns)
        writer.writerows(row for _, row in rows)
        try:
            data = text.getvalue().encode(source.charset)
        except UnicodeEncodeError as error:
            raise UserError(f"metric set {metric_set.name!r}: the data cannot be written in source.charset {source.charset}: {error}") from error
        store.put(f"{live.folder(metric_set, wall)}/data.csv", data)
        folders += 1
    return folders, findings


def _walls(column: "pd.Series[Any]", metric_set: MetricSet) -> tuple["pd.Series[Any]", list[Finding]]:
    """The start of each row's interval on the wall clock, and the rows that have none, named."""
    form, zone = metric_set.timestamp.format, metric_set.timezone
    known: dict[object, datetime | None] = {}
    problems: dict[object, str] = {}
    for value in column.unique().tolist():
        wall = value.to_pydatetime() if isinstance(value, pd.Timestamp) else live.read_wall("" if pd.isna(value) else str(value), form, zone)
        if isinstance(wall, datetime) and patterns.has_hour(form) and not intervals.exists(wall, zone):
            wall = f"the timestamp {wall} never happened in {zone}: clocks skipped it"
        known[value] = intervals.floor(wall, metric_set.frequency) if isinstance(wall, datetime) else None
        if isinstance(wall, str):
            problems[value] = wall
    walls = column.map(known)
    findings = [Finding(f"row {number + 1}", problems[column.iloc[number]]) for number in np.flatnonzero(walls.isna().to_numpy())]
    return walls, findings


def settle(metric_set_file: Path, metric_set: MetricSet, root: Path) -> Path:
    """Keep a copy of the metric set in the lake, so that later commands on this lake need no option; the folder of such copies."""
    kept = root / METRIC_SETS
    kept.mkdir(parents=True, exist_ok=True)
    target = kept / f"{metric_set.name}.yaml"
    if metric_set_file.resolve() != target.resolve():
        target.write_text(metric_set_file.read_text("utf-8"), "utf-8")
    return kept


def backtest(metric_set: MetricSet, root: Path, sets: Path, form: Format) -> Report:
    """Go through the set's live data in time's order: observations by the day, alerts through the ingest function in SQS batches."""
    store, detector = FolderStore(root), Detector(metric_set)
    folders = live.files_by_interval(store, metric_set)
    if not folders:
        raise UserError(f"{root}: no live data of the metric set {metric_set.name!r}; files belong in folders {source_of(metric_set).path}")
    rows = alerted = failed = found = 0
    findings: list[Finding] = []
    quarantined = sum(1 for _ in store.list("quarantine"))

    def scored() -> Iterator[Scored]:
        nonlocal rows, found
        for wall, keys in tqdm(folders.items(), desc="detector", unit=" intervals", disable=None, leave=False):
            interval: Interval = live.read(store, metric_set, wall, keys)
            rows += interval.rows
            found += len(interval.findings)
            findings.extend(interval.findings[: MOST_FINDINGS - len(findings)])
            if intervals.exists(wall, metric_set.timezone) or metric_set.frequency == "P1D":
                yield detector.score(interval)

    schema = tables.schema("observations", metric_set)
    with _environment(root, sets, form):
        for day, outcomes in days(scored()):
            records = [record for outcome in outcomes for record in outcome.observations]
            if records:
                columns = dict(zip([column.name for column in schema], zip(*records, strict=True), strict=True))
                store.put(layout.day_key("observations", metric_set, day, form), encoding.encode(form, schema, columns))
            sent = send(alert for outcome in outcomes for alert in outcome.alerts)
            alerted, failed = alerted + sent[0], failed + sent[1]
    return Report(
        len(folders), rows, len(detector.series), alerted, failed, sum(1 for _ in store.list("quarantine")) - quarantined, tuple(findings), found
    )


def send(some: Iterable[Alert]) -> tuple[int, int]:
    """Hand the alerts to the ingest function as SQS batches; how many there were, and how many it did not take."""
    sent = refused = 0
    bodies = iter([alerts.encode(alert).decode() for alert in some])
    while batch := list(itertools.islice(bodies, BATCH)):
        records = [{"eventSource": "aws:sqs", "messageId": str(sent + number), "body": body} for number, body in enumerate(batch)]
        refused += len(handler({"Records": records}, None)["batchItemFailures"])
        sent += len(batch)
    return sent, refused


@contextmanager
def _environment(root: Path, sets: Path, form: Format) -> Iterator[None]:
    """What the function reads of its environment, for as long as it is called here."""
    wanted = {"ANOMALAKE_LAKE": str(root.resolve()), "ANOMALAKE_METRIC_SETS": str(sets.resolve()), "ANOMALAKE_FORMAT": form}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    forget()  # as in a new process
    try:
        yield
    finally:
        forget()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
