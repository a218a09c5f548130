"""A metric set's detector: scores one interval after another, each from what came before it.

The live function and back-tests both use it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect import feedback, model
from anomalake.detect.completeness import RECENT_DAYS, Completeness
from anomalake.detect.cycle import cycle_of
from anomalake.detect.feedback import Feedback, feedback_before
from anomalake.detect.interval_result import IntervalResult, build_result, record_arrival
from anomalake.detect.status import describe_status
from anomalake.detect.transform import Floats
from anomalake.domain import intervals
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.alert_matching import get_dimension_values
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import IntervalData, Series

SHARD_COLUMNS = 20_000  # columns (series x measures) that a shard of the state has at most


class OngoingEvent(NamedTuple):
    """The last event of a measure: its interval, its group, and the numbers of its series."""

    start: datetime  # naive UTC
    group: str
    series: frozenset[int]


@dataclass
class Detector:
    """A metric set's detector: the series that it knows, and what the model has learned of their measures.

    Shards divide the state by series, in the order in which the series first occurred: a series is in shard number //
    per_shard. Within a shard, a column is series x measures + measure. Each shard is scored, written and read
    separately.
    """

    metric_set: MetricSet
    series: dict[Series, int] = field(default_factory=dict)  # the number of each series
    shards: list[model.State] = field(default_factory=list)
    # [series]: the last day with a value, as a date's ordinal
    last_days: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    completeness: Completeness = field(init=False)
    ongoing: dict[str, OngoingEvent] = field(default_factory=dict)  # by measure
    feedback: tuple[Feedback, ...] = ()
    # Weights for a number of feedback files and of series; they are the same until one of these numbers changes.
    _weights: tuple[tuple[int, int], tuple[Floats, Floats] | None] = ((0, 0), None)

    def __post_init__(self) -> None:
        self.completeness = Completeness(intervals.slots_per_day(self.metric_set.frequency))

    @property
    def per_shard(self) -> int:
        """Series in a shard."""
        return max(1, SHARD_COLUMNS // len(self.metric_set.measures))

    def score(self, interval: IntervalData) -> IntervalResult:
        """Score an interval and learn from it. Intervals come in order of time, also those without data."""
        metric_set, start = self.metric_set, interval.start
        wall = metric_set.clock.wall_time(start)
        day, slot = wall.toordinal(), intervals.get_slot(wall, metric_set.frequency)
        valid_feedback = feedback_before(self.feedback, start)
        values, points = self._score_values(interval, day, slot, valid_feedback)
        present = np.flatnonzero(~np.isnan(values).all(axis=1))
        arrival = record_arrival(
            self.completeness, metric_set, start, valid_feedback,
            series_count=len(present), rows=interval.row_count, rejected_rows=interval.finding_count,
        )  # fmt: skip
        missing = self._find_missing(day, slot, present) if arrival.is_event else np.empty(0, np.int64)
        self.last_days[present] = day
        result = build_result(metric_set, list(self.series), points, arrival, missing)
        return result._replace(alerts=tuple(self._assign_group(alert, start) for alert in result.alerts))

    def _score_values(
        self, interval: IntervalData, day: int, slot: int, valid_feedback: list[Feedback]
    ) -> tuple[Floats, model.Points]:
        """Return the values of all series [series, measure], and their points [series x measures]."""
        values = self._values_matrix(interval)
        width, sensitivity = values.shape[1], self.metric_set.alerts.sensitivity
        parts = [values[first : first + self.per_shard].ravel() for first in range(0, len(values), self.per_shard)]
        while len(self.shards) < len(parts):
            self.shards.append(model.State(cycle_of(self.metric_set.frequency)))
        weights, ratios = self._distance_weights(valid_feedback), length_ratios(self.metric_set, interval.start)

        def score_shard(number: int) -> model.Points:
            state, part = self.shards[number], parts[number]
            state.grow(part.size)
            first = number * self.per_shard * width
            columns = slice(first, first + part.size)
            return model.score_interval(
                state, day, slot, part, sensitivity,
                weights=None if weights is None else (weights[0][columns], weights[1][columns]),
                length_ratio=None if ratios is None else np.tile(ratios, part.size // width),
            )  # fmt: skip

        if not interval.values:
            return values, model.Points(*(np.full(values.size, np.nan) for _ in model.Points._fields))
        points = list(map_in_threads(score_shard, range(len(parts))))
        return values, points[0] if len(points) == 1 else model.Points(*map(np.concatenate, zip(*points, strict=True)))

    def _values_matrix(self, interval: IntervalData) -> Floats:
        """Add new series; return the interval's values of all series [series, measure], NaN without a value."""
        for series in interval.values:
            self.series.setdefault(series, len(self.series))
        values = np.full((len(self.series), len(self.metric_set.measures)), np.nan)
        for series, measured in interval.values.items():
            values[self.series[series]] = [np.nan if value is None else value for value in measured]
        new = np.zeros(len(self.series) - len(self.last_days), np.int32)
        self.last_days = np.concatenate([self.last_days, new])
        return values

    def _distance_weights(self, valid_feedback: list[Feedback]) -> tuple[Floats, Floats] | None:
        """Return the factors of a distance below, and above, the expected value, for each column; None without
        feedback.
        """
        size = (len(valid_feedback), len(self.series))
        if not valid_feedback:
            return None
        if self._weights[0] != size:
            below, above = (
                feedback.distance_weights(valid_feedback, self.metric_set, list(self.series), side).ravel()
                for side in ("below", "above")
            )
            self._weights = (size, (below, above))
        return self._weights[1]

    def _find_missing(self, day: int, slot: int, present: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the series that usually have a value in this slot and have none."""
        width, per_shard = len(self.metric_set.measures), self.per_shard
        lasts = (self.last_days[number * per_shard : (number + 1) * per_shard] for number in range(len(self.shards)))
        parts = [has_usual_data(state, last, day, slot, width) for state, last in zip(self.shards, lasts, strict=True)]
        missing = np.concatenate([np.empty(0, bool), *parts])
        missing[present] = False
        return np.flatnonzero(missing)

    def _assign_group(self, alert: Alert, start: datetime) -> Alert:
        """Return the alert with its group."""
        metric = alert.impacted_metric
        if metric.metric_name == MISSING_DATA:
            return alert
        affected = frozenset(
            self.series[get_dimension_values(series, self.metric_set)] for series in metric.relevant_time_series
        )
        own = OngoingEvent(start, alert.anomaly_group_id or "", affected)
        group = assign_group(self.ongoing, self.metric_set, metric.metric_name, own)
        return msgspec.structs.replace(alert, anomaly_group_id=group)

    def status(self) -> list[str]:
        """Describe, for each measure, whether it is scored; if it is not, why."""
        names = self.metric_set.measure_names
        if not self.series:
            return [f"{name}: no data yet" for name in names]
        return [f"{name}: {describe_status(self.shards, place, len(names))}" for place, name in enumerate(names)]


def length_ratios(metric_set: MetricSet, start: datetime) -> Floats | None:
    """Return an interval's length / its usual length, for each measure (1 for a mean); None unless clocks change in the
    interval.
    """
    ratio = metric_set.clock.length(start) / metric_set.clock.step
    if ratio == 1:
        return None
    return np.array([ratio if measure.aggregation == "SUM" else 1.0 for measure in metric_set.measures])


def has_usual_data(
    state: model.State, last_days: NDArray[np.int32], day: int, slot: int, width: int
) -> NDArray[np.bool_]:
    """Return which series of a shard had a value in the last week, and in this slot before."""
    seen: NDArray[np.bool_] = state.values_seen[slot].reshape(-1, width).any(axis=1)
    return seen & (last_days[: len(seen)] >= day - RECENT_DAYS)


def assign_group(ongoing: dict[str, OngoingEvent], metric_set: MetricSet, measure: str, event: OngoingEvent) -> str:
    """Return the group of a measure's event, and record the event in `ongoing`. Events come in order of time.

    An event belongs to the group of the previous interval's event if they have a series in common.
    """
    previous = ongoing.get(measure)
    if previous is not None and previous.series & event.series and metric_set.clock.end(previous.start) == event.start:
        event = event._replace(group=previous.group)
    ongoing[measure] = event
    return event.group


def map_in_threads(function: Any, numbers: Iterable[int]) -> Iterator[Any]:
    """Apply the function to each number, in threads if there are several (numpy and zlib release the GIL); results come
    in order.
    """
    items = list(numbers)
    if len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor() as pool:
        yield from pool.map(function, items)
