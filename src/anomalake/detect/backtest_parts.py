"""A back-test in parts, second half: score chunks of series through all intervals, write each day, group events, ingest
alerts.

Every function does the work of one part and gives the same result when it runs again, so a lost part is repeated.
`group_events` and `assemble_detector` need all parts; they run in one process. The objects that are written equal those
of a back-test in one process, byte for byte.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect import model
from anomalake.detect.backtest import ingest_alerts, write_day
from anomalake.detect.backtest_plan import Day, DayData, Job, Plan
from anomalake.detect.detector import Detector, OngoingEvent, assign_group, has_usual_data
from anomalake.detect.feedback import distance_weights, feedback_before
from anomalake.detect.interval_result import IntervalResult, build_result
from anomalake.detect.missing_rows import fill_zeros, find_living
from anomalake.detect.scoring import FIELDS, new_state, score_values
from anomalake.detect.traits import moment_of, traits_of
from anomalake.detect.transform import Floats
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.alert_matching import get_dimension_values
from anomalake.lake.live_data import Series

# ((chunk, day), (numbers of the series, values [interval, series, measure], their weights))
Block = tuple[tuple[int, int], tuple[NDArray[np.int64], Floats, Floats | None]]


def split_day(plan: Plan, data: DayData) -> Iterator[Block]:
    """Divide a day's values by the chunks of series."""
    numbers = np.array([plan.series_number[series] for series in data.first_seen], np.int64)
    chunk_of = np.searchsorted([first for first, _ in plan.chunks], numbers, side="right") - 1
    for chunk in np.unique(chunk_of).tolist():
        in_chunk = chunk_of == chunk
        weights = None if data.weights is None else data.weights[:, in_chunk]
        yield (chunk, data.day), (numbers[in_chunk], data.values[:, in_chunk], weights)


class DayPoints(NamedTuple):
    """A day's figures of a chunk: [field of `scoring.FIELDS`, interval, series x measures]; by interval, which series
    of the chunk lack data.
    """

    day: int
    chunk: int
    figures: Floats
    missing_series: dict[int, NDArray[np.bool_]]


class ChunkModel(NamedTuple):
    """What the model has learned of a chunk after the last interval; `last_days` as in `Detector`."""

    chunk: int
    state: model.State
    last_days: NDArray[np.int32]


def score_chunk(plan: Plan, chunk: int, blocks: Iterable[Block]) -> Iterator[DayPoints | ChunkModel]:
    """Score a chunk through all intervals: its figures by day, then its model.

    `blocks` are the blocks of the chunk in the order of days; a day without a value of the chunk has no block.
    """
    scorer = _ChunkScorer(plan, chunk)
    waiting = iter(blocks)
    block = next(waiting, None)
    for day in plan.days:
        count = scorer.known_series(day.first + len(day.files) - 1)
        if count <= 0:
            continue
        values, weights = np.full((2, len(day.files), count, scorer.width), np.nan)
        if block is not None and block[0][1] == day.number:
            numbers, measured, own_weights = block[1]
            values[:, numbers - scorer.first] = measured
            weights[:, numbers - scorer.first] = np.nan if own_weights is None else own_weights
            block = next(waiting, None)
        yield scorer.score_day(day, values, weights)
    yield ChunkModel(chunk, scorer.state, scorer.last_days)


class _ChunkScorer:
    """Scores one chunk, interval by interval, and holds what the model has learned of it."""

    def __init__(self, plan: Plan, chunk: int) -> None:
        self.plan, self.chunk, self.metric_set = plan, chunk, plan.job.metric_set
        self.first, self.end = plan.chunks[chunk]
        self.traits = traits_of(self.metric_set)
        self.width = self.traits.width
        self.state = new_state(self.metric_set)
        self.last_days = np.zeros(self.end - self.first, np.int32)
        self.count = 0  # series that have occurred
        self._weights_for: tuple[int, int] = (0, 0)  # number of feedback files and series
        self._weights: tuple[Floats, Floats] | None = None

    def known_series(self, interval: int) -> int:
        """Return how many series of the chunk have occurred up to the interval; 0 or less: none."""
        return min(int(self.plan.known_series[interval]), self.end) - self.first

    def score_day(self, day: Day, values: Floats, weights: Floats) -> DayPoints:
        """Score a day's intervals; `values` and `weights` are [interval, series, measure]."""
        figures = np.full((len(FIELDS), len(day.files), values.shape[1] * self.width), np.nan)
        missing: dict[int, NDArray[np.bool_]] = {}
        for i, arrival in enumerate(self.plan.arrivals[day.first : day.first + len(day.files)]):
            count = self.known_series(day.first + i)
            if count <= 0:
                continue
            moment = moment_of(self.traits.clock, arrival.start)
            self.last_days[self.count : count], self.count = moment.day, count
            measured = values[i, :count]
            has_value: NDArray[np.bool_] = np.logical_or.reduce(~np.isnan(measured), axis=1)
            if self.traits.fills_zeros:
                fill_zeros(self.traits, measured, self.last_days[:count], moment.day)
            if self.plan.is_scored[day.first + i]:
                self._update_weights(arrival.start, count)
                figures[:, i, : count * self.width] = score_values(
                    self.state, self.traits, moment, measured, self.metric_set.alerts.sensitivity,
                    weights=weights[i, :count], distance_weights=self._weights,
                )  # fmt: skip
            if arrival.is_event:
                missing[i] = has_usual_data(self.state, self.last_days, moment, self.width) & ~has_value
            self.last_days[:count][find_living(self.traits, measured, has_value)] = moment.day
        return DayPoints(day.number, self.chunk, figures, missing)

    def _update_weights(self, start: datetime, count: int) -> None:
        feedback = feedback_before(self.plan.feedback, start)
        if feedback and self._weights_for != (len(feedback), count):
            series = self.plan.series[self.first : self.first + count]
            below, above = (
                distance_weights(feedback, self.metric_set, series, side).ravel() for side in ("below", "above")
            )
            self._weights_for, self._weights = (len(feedback), count), (below, above)


class Event(NamedTuple):
    """An event of one measure in one interval: what `group_events` needs.

    `group` is the group that it begins, `series` the series' numbers.
    """

    interval: int
    measure: str
    group: str
    series: NDArray[np.int64]


class DayAlerts(NamedTuple):
    """A day's alerts, each in a group of its own, and their events."""

    day: int
    alerts: tuple[Alert, ...]
    events: tuple[Event, ...]


def write_day_results(plan: Plan, number: int, parts: Iterable[DayPoints]) -> DayAlerts:
    """Write the observations and data health of the day with this number; return its alerts.

    `parts` are the figures of all chunks.
    """
    metric_set, day = plan.job.metric_set, plan.days[number]
    chunks = sorted(parts, key=lambda part: part.chunk)
    empty = np.empty((len(FIELDS), len(day.files), 0))
    figures = np.concatenate([empty, *(part.figures for part in chunks)], axis=-1)
    results: list[IntervalResult] = []
    events: list[Event] = []
    for i, arrival in enumerate(plan.arrivals[day.first : day.first + len(day.files)]):
        count = int(plan.known_series[day.first + i])
        flags = [part.missing_series[i] for part in chunks if i in part.missing_series]
        missing = np.flatnonzero(np.concatenate([np.empty(0, bool), *flags]))
        of_interval = figures[:, i, : count * len(metric_set.measures)]
        result = build_result(metric_set, plan.series[:count], of_interval, arrival, missing)
        events += _events(plan, day.first + i, result)
        results.append(result)
    write_day(plan.job.store, metric_set, plan.job.format, plan.series, results)
    return DayAlerts(number, tuple(alert for result in results for alert in result.alerts), tuple(events))


def _events(plan: Plan, interval: int, result: IntervalResult) -> Iterator[Event]:
    """Return the events of an interval that can belong to a group."""
    for alert in result.alerts:
        metric = alert.impacted_metric
        if metric.metric_name != MISSING_DATA:
            affected: list[Series] = [
                get_dimension_values(series, plan.job.metric_set) for series in metric.relevant_time_series
            ]
            numbers = np.array([plan.series_number[series] for series in affected], np.int64)
            yield Event(interval, metric.metric_name, alert.anomaly_group_id or "", numbers)


def group_events(plan: Plan, events: Iterable[Event]) -> tuple[dict[str, str], dict[str, OngoingEvent]]:
    """Group the events of all days, which may come in any order.

    Returns, for each event that continues a group, the new group by the group that it began; and the last event of each
    measure.
    """
    starts = [start for day in plan.days for start, _ in day.files]
    ongoing: dict[str, OngoingEvent] = {}
    new_groups: dict[str, str] = {}
    for event in sorted(events, key=lambda item: item.interval):
        own = OngoingEvent(starts[event.interval], event.group, frozenset(event.series.tolist()))
        group = assign_group(ongoing, plan.job.metric_set, event.measure, own)
        if group != event.group:
            new_groups[event.group] = group
    return new_groups, ongoing


def ingest_day_alerts(job: Job, day: DayAlerts, new_groups: Mapping[str, str]) -> tuple[int, int]:
    """Ingest a day's alerts with their final groups; return how many there were and how many failed."""
    grouped = (
        msgspec.structs.replace(
            alert, anomaly_group_id=new_groups.get(alert.anomaly_group_id or "", alert.anomaly_group_id)
        )
        for alert in day.alerts
    )
    return ingest_alerts(grouped, job.store, job.sets, job.format)


def assemble_detector(plan: Plan, ongoing: dict[str, OngoingEvent], models: Iterable[ChunkModel]) -> Detector:
    """Assemble the detector after the last interval from the models of all chunks."""
    series = dict(plan.series_number)
    detector = Detector(plan.job.metric_set, series=series, ongoing=ongoing, feedback=plan.feedback)
    detector.completeness = plan.completeness
    chunks = sorted(models, key=lambda item: item.chunk)
    detector.last_days = np.concatenate([detector.last_days, *(item.last_days for item in chunks)])
    by_shard = itertools.groupby(chunks, key=lambda item: plan.chunks[item.chunk][0] // detector.per_shard)
    detector.shards = [model.merge_states([item.state for item in items]) for _, items in by_shard]
    return detector
