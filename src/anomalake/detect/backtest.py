"""A metric set's past in parts that run beside each other: read by the UTC day, learned some series at a time, written by the day.

`read`, `cut`, `learn`, `write` and `file` are one part's work each, and the same when they are done again; `Course` is what all parts know. What
needs every interval in its order (which series came first, what data is missing, groups of events, the memory) goes over small summaries. Spark hands
the parts around in glue/backfill.py; `laptop.backtest` does in one process what they do together, to the same bytes.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect import model
from anomalake.detect.completeness import Completeness
from anomalake.detect.detector import (
    Arrival,
    Detector,
    IntervalResult,
    OngoingEvent,
    assign_group,
    build_result,
    has_usual_data,
    length_ratios,
    record_arrival,
)
from anomalake.detect.feedback import Feedback, distance_weights
from anomalake.detect.timeline import Timeline
from anomalake.domain import alert as alerts
from anomalake.domain import intervals
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.alert_matching import get_dimension_values
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.credentials import open_lake
from anomalake.lake.ingest import Message, ingest_messages, split_by_size
from anomalake.lake.layout import Format, Table
from anomalake.lake.live_data import Finding, IntervalData, Series
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import Store

SQS_BATCH_SIZE = 10  # messages that SQS hands to a function at a time
MAX_FINDINGS = 20  # kept to be named; the others are counted
Blocks = Iterable[
    tuple[tuple[int, int], tuple[NDArray[np.int64], model.Floats]]
]  # (piece, day): series' numbers, values [interval, series, measure]


class Report(NamedTuple):
    """What a back-test did."""

    intervals: int  # with live data
    empty_intervals: int  # without any, between the first and the last
    rows: int
    duplicate_rows: int  # rows beyond the first of their series and interval
    series: int
    cardinality: tuple[int, ...]  # of each dimension: how many values it has
    completeness: tuple[float, ...]  # of each measure: the per cent of rows' series and intervals that have a value
    status: tuple[str, ...]  # of each measure, in words: whether it is scored
    alerts: int
    failed_alerts: int  # alerts that the function handed back
    quarantined_alerts: int  # alerts that it did not understand
    findings: tuple[Finding, ...]  # the first of them
    finding_count: int  # all of them
    notes: tuple[str, ...] = ()  # lines about live data that is left out


# --- what a back-test in one process does too


def write_day(store: Store, metric_set: MetricSet, form: Format, day: str, outcomes: Sequence[IntervalResult]) -> None:
    """Write a UTC day's observations and health, which take the place of what was written by the interval."""
    written: tuple[tuple[Table, list[tuple[Any, ...]]], ...] = (
        ("observations", [record for outcome in outcomes for record in outcome.observations]),
        ("dataHealth", [outcome.health for outcome in outcomes if outcome.health]),
    )
    for table, records in written:
        whole = layout.day_key(table, metric_set, day, form)
        if records:
            store.put(whole, encoding.encode_records(form, tables.schema(table, metric_set), records))
        for key in list(store.list(layout.day_folder(table, metric_set, day))):
            if key != whole:
                store.delete(key)


def ingest_alerts(some: Iterable[Alert], store: Store, sets: tuple[MetricSet, ...], form: Format) -> tuple[int, int]:
    """File the alerts in batches of the size that SQS uses; returns how many there were and how many could not be filed."""
    sent = failed = 0
    bodies = iter([alerts.encode(alert).decode() for alert in some])
    while batch := list(itertools.islice(bodies, SQS_BATCH_SIZE)):
        messages = [Message(str(sent + number), body) for number, body in enumerate(batch)]
        failed += sum(len(ingest_messages(group, store, sets, form).failed_ids) for group in split_by_size(messages))
        sent += len(batch)
    return sent, failed


class IntervalSummary(NamedTuple):
    """What an interval's live data was like."""

    present: int  # series with a value
    rows: int
    findings: tuple[Finding, ...]  # the first of them
    found: int
    cells: int  # series in the data
    values: tuple[int, ...]  # ... that have a value, of each measure


def summarize_interval(interval: IntervalData, values: model.Floats) -> IntervalSummary:
    """What the interval's live data was like."""
    there = ~np.isnan(values)
    counts = (len(there), tuple(there.sum(axis=0).tolist()))
    findings = interval.findings
    return IntervalSummary(
        int(there.any(axis=1).sum()), interval.row_count, findings[:MAX_FINDINGS], interval.finding_count, *counts
    )


def values_matrix(interval: IntervalData, metric_set: MetricSet) -> model.Floats:
    """The interval's values [series, measure]; NaN where there is none."""
    return np.array(list(itertools.chain.from_iterable(interval.values.values())), float).reshape(
        -1, len(metric_set.measures)
    )


def build_report(
    when: Timeline,
    told: Sequence[IntervalSummary],
    after: Detector,
    sent: tuple[int, int, int],
    problems: Sequence[str],
) -> Report:
    """What was done; `sent` are the alerts, those not taken and those not understood, `problems` what is wrong with feedback."""
    with_data, cells = sum(map(bool, when.files.values())), max(sum(one.cells for one in told), 1)
    complete = tuple(100 * sum(some) / cells for some in zip(*(one.values for one in told), strict=True))
    findings = [*when.findings, *(finding for one in told for finding in one.findings)][:MAX_FINDINGS]
    for problem in problems:
        where, _, why = problem.partition(": ")
        findings.append(Finding(where, why))
    found = sum(one.found for one in told) + len(problems) + len(when.findings)
    rows = sum(one.rows for one in told)
    cardinality = tuple(len(set(values)) for values in zip(*after.series, strict=True))
    return Report(
        with_data, when.empty_intervals, rows, rows - sum(one.cells for one in told), len(after.series), cardinality, complete,
        tuple(after.status()), *sent, tuple(findings), found, when.notes,
    )  # fmt: skip


def count_quarantined(store: Store) -> int:
    """How many alerts are in quarantine."""
    return sum(1 for _ in store.list(layout.QUARANTINE_FOLDER))


# --- what the parts know


class Job(NamedTuple):
    """Whose past, in which lake; `sets` are those among which alerts are routed."""

    lake: str
    metric_set: MetricSet
    sets: tuple[MetricSet, ...]
    format: Format

    @property
    def store(self) -> Store:
        """The lake, opened once for a process."""
        return _store(self.lake)


_store = cache(open_lake)


class Day(NamedTuple):
    """A UTC day: its place among the days, and the live files of its intervals, the first of which is interval number `first`."""

    number: int
    date: str
    first: int
    files: tuple[tuple[datetime, tuple[str, ...]], ...]


def group_by_day(files: Mapping[datetime, Sequence[str]]) -> list[Day]:
    """The intervals and their live files, gathered by UTC date."""
    by_date: dict[str, list[tuple[datetime, tuple[str, ...]]]] = {}
    for start, keys in files.items():
        by_date.setdefault(layout.utc_date(start), []).append((start, tuple(keys)))
    firsts = itertools.accumulate((len(some) for some in by_date.values()), initial=0)
    return [
        Day(number, date, first, tuple(some))
        for number, (first, (date, some)) in enumerate(zip(firsts, by_date.items(), strict=False))
    ]


class DayData(NamedTuple):
    """A day's live data: `values` [interval, series, measure] of its series, each of which came first at (interval number, place in it)."""

    day: int
    first_seen: dict[Series, tuple[int, int]]
    values: model.Floats
    summaries: tuple[IntervalSummary, ...]


class Plan(msgspec.Struct, frozen=True, dict=True):
    """What is known of all intervals (by their number) once everything was read."""

    job: Job
    days: list[Day]
    series: list[Series]  # in the order in which they came
    known_series: NDArray[np.int64]  # of each interval, how many series had come by then
    arrivals: list[Arrival]
    summaries: list[IntervalSummary]
    completeness: Completeness  # after the last
    feedback: tuple[Feedback, ...]
    chunks: list[
        tuple[int, int]
    ]  # series from, and up to, that are learned together; none lies in two shards of the memory

    @cached_property
    def series_number(self) -> dict[Series, int]:
        """The place of each series in `series`."""
        return {series: number for number, series in enumerate(self.series)}


# --- the parts


def read_day(job: Job, day: Day) -> DayData:
    """A day's live data."""
    item, width = job.metric_set, len(job.metric_set.measures)
    series: dict[Series, tuple[int, int]] = {}
    place: dict[Series, int] = {}
    parts: list[tuple[list[int], model.Floats]] = []
    like: list[IntervalSummary] = []
    for number, interval in enumerate(
        map_in_order(job.store, lambda one: live_data.read_interval(job.store, item, *one), day.files)
    ):
        values = values_matrix(interval, item)
        like.append(summarize_interval(interval, values))
        here = list(interval.values)
        for i, one in enumerate(here):
            if one not in place:
                place[one], series[one] = len(place), (day.first + number, i)
        parts.append(([place[one] for one in here], values))
    whole = np.full((len(parts), len(place), width), np.nan)
    for number, (places, values) in enumerate(parts):
        whole[number, places] = values
    return DayData(day.number, series, whole, tuple(like))


def merge_first_seen(
    one: dict[Series, tuple[int, int]], other: dict[Series, tuple[int, int]]
) -> dict[Series, tuple[int, int]]:
    """When each series came first, of two parts of the time."""
    return one | {series: min(first, one.get(series, first)) for series, first in other.items()}


def make_plan(
    job: Job,
    days: list[Day],
    firsts: Mapping[Series, tuple[int, int]],
    told: list[IntervalSummary],
    *,
    feedback: tuple[Feedback, ...],
    parts: int,
) -> Plan:
    """What the parts know: `told` of every interval in its order; series are cut into at least so many parts, as far as there are some."""
    item = job.metric_set
    series = sorted(firsts, key=firsts.__getitem__)
    known = np.searchsorted([firsts[one][0] for one in series], np.arange(len(told)), side="right")
    arrived = Completeness(intervals.slots_per_day(item.frequency))
    arrivals = [
        record_arrival(
            arrived,
            item,
            start,
            feedback_before(feedback, start),
            came=some.present,
            rows=some.rows,
            refused=some.found,
        )
        for (start, _), some in zip((one for day in days for one in day.files), told, strict=True)
    ]
    per_shard = Detector(item).per_shard
    size = max(1, min(per_shard, -(-len(series) // parts)))
    pieces = [
        (first, min(first + size, shard + per_shard, len(series)))
        for shard in range(0, len(series), per_shard)
        for first in range(shard, min(shard + per_shard, len(series)), size)
    ]
    return Plan(job, days, series, known, arrivals, told, arrived, feedback, pieces or [(0, 0)])


def feedback_before(feedback: tuple[Feedback, ...], start: datetime) -> list[Feedback]:
    """What was said of the time before an interval."""
    return [one for one in feedback if one.timestamp < start]


def split_day(known: Plan, one: DayData) -> Iterator[tuple[tuple[int, int], tuple[NDArray[np.int64], model.Floats]]]:
    """A day's values by the pieces of series, to be learned: (piece, day), the series' numbers and their values."""
    numbers = np.array([known.series_number[series] for series in one.first_seen], np.int64)
    belongs = np.searchsorted([first for first, _ in known.chunks], numbers, side="right") - 1
    for piece in np.unique(belongs).tolist():
        mine = belongs == piece
        yield (piece, one.day), (numbers[mine], one.values[:, mine])


class DayPoints(NamedTuple):
    """A day's points of a piece: [field of `model.Points`, interval, series x measures], and which series of it are missed, by interval."""

    day: int
    chunk: int
    points: model.Floats
    missing_series: dict[int, NDArray[np.bool_]]


class ChunkModel(NamedTuple):
    """What the model remembers of a piece after the last interval."""

    chunk: int
    state: model.State
    last_days: NDArray[np.int32]


def score_chunk(known: Plan, piece: int, blocks: Blocks) -> Iterator[DayPoints | ChunkModel]:
    """Step the model of a piece through all intervals; `blocks` come in the days' order, and a day without a value of the piece has none."""
    item, width, (first, end) = known.job.metric_set, len(known.job.metric_set.measures), known.chunks[piece]
    state = model.State(intervals.slots_per_day(item.frequency))
    last = np.zeros(end - first, np.int32)
    waiting = iter(blocks)
    block = next(waiting, None)
    size: tuple[int, int] = (0, 0)
    weight: tuple[model.Floats, model.Floats] | None = None
    for day in known.days:
        count = min(int(known.known_series[day.first + len(day.files) - 1]), end) - first
        if count <= 0:
            continue
        values = np.full((len(day.files), count, width), np.nan)
        if block is not None and block[0][1] == day.number:
            numbers, some = block[1]
            values[:, numbers - first] = some
            block = next(waiting, None)
        points = np.full((len(model.Points._fields), len(day.files), count * width), np.nan)
        missed: dict[int, NDArray[np.bool_]] = {}
        for i, arrival in enumerate(known.arrivals[day.first : day.first + len(day.files)]):
            here = min(int(known.known_series[day.first + i]), end) - first
            if here <= 0:
                continue
            wall = item.clock.wall_time(arrival.start)
            at, slot = wall.toordinal(), intervals.get_slot(wall, item.frequency)
            part = values[i, :here]
            if known.summaries[day.first + i].cells:
                said, stretch = feedback_before(known.feedback, arrival.start), length_ratios(item, arrival.start)
                if said and size != (len(said), here):
                    series = known.series[first : first + here]
                    below, above = (distance_weights(said, item, series, side).ravel() for side in ("below", "above"))
                    size, weight = (len(said), here), (below, above)
                state.grow(here * width)
                longer = None if stretch is None else np.tile(stretch, here)
                points[:, i, : here * width] = model.score_interval(
                    state, at, slot, part.ravel(), item.alerts.sensitivity, weight=weight, stretch=longer
                )
            there = ~np.isnan(part).all(axis=1)
            if arrival.tells:
                missed[i] = has_usual_data(state, last, at, slot, width) & ~there
            last[:here][there] = at
        yield DayPoints(day.number, piece, points, missed)
    yield ChunkModel(piece, state, last)


class Event(NamedTuple):
    """A measure's event of an interval (by its number) as groups need it: the group it begins, and the numbers of its series."""

    interval: int
    measure: str
    group: str
    series: NDArray[np.int64]


class DayAlerts(NamedTuple):
    """A day's alerts, each still a group of its own, and their events."""

    day: int
    alerts: tuple[Alert, ...]
    events: tuple[Event, ...]


def write_day_results(known: Plan, number: int, parts: Iterable[DayPoints]) -> DayAlerts:
    """Write a day's observations and health; its alerts, from the points of all pieces."""
    item, day, width = known.job.metric_set, known.days[number], len(known.job.metric_set.measures)
    pieces = sorted(parts, key=lambda part: part.chunk)
    empty = np.empty((len(model.Points._fields), len(day.files), 0))
    whole = np.concatenate([empty, *(part.points for part in pieces)], axis=-1)
    outcomes: list[IntervalResult] = []
    events: list[Event] = []
    for i, arrival in enumerate(known.arrivals[day.first : day.first + len(day.files)]):
        count = int(known.known_series[day.first + i])
        missed = np.flatnonzero(
            np.concatenate(
                [np.empty(0, bool), *(part.missing_series[i] for part in pieces if i in part.missing_series)]
            )
        )
        scored = build_result(item, known.series[:count], model.Points(*whole[:, i, : count * width]), arrival, missed)
        for alert in scored.alerts:
            metric = alert.impacted_metric
            if metric.metric_name != MISSING_DATA:
                series = np.array(
                    [known.series_number[get_dimension_values(one, item)] for one in metric.relevant_time_series],
                    np.int64,
                )
                events.append(Event(day.first + i, metric.metric_name, alert.anomaly_group_id or "", series))
        outcomes.append(scored)
    write_day(known.job.store, item, known.job.format, day.date, outcomes)
    return DayAlerts(number, tuple(alert for one in outcomes for alert in one.alerts), tuple(events))


def group_events(known: Plan, events: Iterable[Event]) -> tuple[dict[str, str], dict[str, OngoingEvent]]:
    """The groups of events, by the one that each began and is not in any more; and the last event of each measure. `events` in any order."""
    item = known.job.metric_set
    starts = [start for day in known.days for start, _ in day.files]
    ongoing: dict[str, OngoingEvent] = {}
    moved: dict[str, str] = {}
    for event in sorted(events, key=lambda one: one.interval):
        group = assign_group(
            ongoing,
            item,
            event.measure,
            OngoingEvent(starts[event.interval], event.group, frozenset(event.series.tolist())),
        )
        if group != event.group:
            moved[event.group] = group
    return moved, ongoing


def ingest_day_alerts(job: Job, found: DayAlerts, moved: Mapping[str, str]) -> tuple[int, int]:
    """File a day's alerts in their groups; how many there were, and how many were not taken."""
    settled = (
        msgspec.structs.replace(one, anomaly_group_id=moved.get(one.anomaly_group_id or "", one.anomaly_group_id))
        for one in found.alerts
    )
    return ingest_alerts(settled, job.store, job.sets, job.format)


def assemble_detector(known: Plan, ongoing: dict[str, OngoingEvent], learned: Iterable[ChunkModel]) -> Detector:
    """The detector after the last interval."""
    whole = Detector(known.job.metric_set, series=dict(known.series_number), ongoing=ongoing, feedback=known.feedback)
    whole.completeness = known.completeness
    pieces = sorted(learned, key=lambda one: one.chunk)
    whole.last_days = np.concatenate([whole.last_days, *(one.last_days for one in pieces)])
    by_shard = itertools.groupby(pieces, key=lambda one: known.chunks[one.chunk][0] // whole.per_shard)
    whole.shards = [model.merge_states([one.state for one in some]) for _, some in by_shard]
    return whole
