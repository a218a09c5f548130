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
from anomalake.detect.completeness import RECENT_DAYS, Completeness, completeness_of
from anomalake.detect.feedback import Feedback, feedback_before
from anomalake.detect.interval_result import IntervalResult, build_result, record_arrival
from anomalake.detect.missing_rows import (
    fill_zeros,
    find_living,
    has_active_series,
    oldest_active_day,
)
from anomalake.detect.scoring import new_state, score_values, unscored_figures, values_matrix, weights_matrix
from anomalake.detect.status import describe_status
from anomalake.detect.traits import Moment, Traits, moment_of, traits_of
from anomalake.detect.transform import Floats
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
    # [series]: the last day with a value; if missing rows mean zero, with a value other than zero, or the first day.
    # Days are those of `completeness.count_place`.
    last_days: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    traits: Traits = field(init=False)
    completeness: Completeness = field(init=False)
    ongoing: dict[str, OngoingEvent] = field(default_factory=dict)  # by measure
    feedback: tuple[Feedback, ...] = ()
    # Weights for a number of feedback files and of series; they are the same until one of these numbers changes.
    _weights: tuple[tuple[int, int], tuple[Floats, Floats] | None] = ((0, 0), None)

    def __post_init__(self) -> None:
        self.traits = traits_of(self.metric_set)
        self.completeness = completeness_of(self.metric_set.frequency)

    @property
    def per_shard(self) -> int:
        """Series in a shard."""
        return max(1, SHARD_COLUMNS // len(self.metric_set.measures))

    def score(self, interval: IntervalData) -> IntervalResult:
        """Score an interval and learn from it. Intervals come in order of time, also those without data.

        Intervals before the first series count for nothing.
        """
        traits, moment = self.traits, moment_of(self.traits.clock, interval.start)
        valid_feedback = feedback_before(self.feedback, interval.start) if self.feedback else []
        self._add_series(interval, moment.day)
        values, weights = self._place_values(interval)
        has_value = np.logical_or.reduce(~np.isnan(values), axis=1)
        arrival = record_arrival(
            self.completeness, self.metric_set, moment, valid_feedback,
            series_count=int(np.count_nonzero(has_value)), rows=interval.row_count,
            rejected_rows=interval.finding_count, is_counted=bool(self.series),
        )  # fmt: skip
        is_scored = bool(interval.values)
        if traits.fills_zeros and len(values):
            is_scored = is_scored or has_active_series(traits.clock, int(self.last_days.max()), moment.day)
            fill_zeros(traits, values, self.last_days, moment.day)
        if is_scored:
            figures = self._score_shards(moment, values, weights, self._distance_weights(valid_feedback))
        else:
            figures = unscored_figures(values.size)
        missing = self._find_missing(moment, has_value) if arrival.is_event else np.empty(0, np.int64)
        self.last_days[find_living(traits, values, has_value)] = moment.day
        result = build_result(self.metric_set, self.series, figures, arrival, missing)
        if not result.alerts:
            return result
        return result._replace(alerts=tuple(self._assign_group(alert, interval.start) for alert in result.alerts))

    def _add_series(self, interval: IntervalData, day: int) -> None:
        """Add the series of an interval that are not known."""
        for series in interval.values:
            self.series.setdefault(series, len(self.series))
        if added := len(self.series) - len(self.last_days):
            self.last_days = np.concatenate([self.last_days, np.full(added, day, np.int32)])
        while len(self.shards) * self.per_shard < len(self.series):
            self.shards.append(new_state(self.metric_set))

    def _place_values(self, interval: IntervalData) -> tuple[Floats, Floats | None]:
        """Return the interval's values of all series [series, measure], NaN without a value, and their weights."""
        places = [self.series[series] for series in interval.values]
        values, weights = values_matrix(interval, self.traits.width), weights_matrix(interval, self.traits)
        count = len(self.series)
        if len(places) == count and places == list(range(count)):
            return values, weights
        return _spread(values, places, count), None if weights is None else _spread(weights, places, count)

    def _score_shards(
        self, moment: Moment, values: Floats, weights: Floats | None, distance_weights: tuple[Floats, Floats] | None
    ) -> Floats:
        """Score the values of all series; return figures [field, series x measures]."""
        sensitivity = self.metric_set.alerts.sensitivity
        if len(self.shards) == 1:
            return score_values(
                self.shards[0], self.traits, moment, values, sensitivity,
                weights=weights, distance_weights=distance_weights,
            )  # fmt: skip
        per_shard, width = self.per_shard, self.traits.width

        def score_shard(number: int) -> Floats:
            rows = slice(number * per_shard, (number + 1) * per_shard)
            columns = slice(rows.start * width, rows.stop * width)
            return score_values(
                self.shards[number], self.traits, moment, values[rows], sensitivity,
                weights=None if weights is None else weights[rows],
                distance_weights=distance_weights and (distance_weights[0][columns], distance_weights[1][columns]),
            )  # fmt: skip

        return np.concatenate(list(map_in_threads(score_shard, range(len(self.shards)))), axis=1)

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

    def _find_missing(self, moment: Moment, has_value: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the series that usually have a value in the slot of an interval and have none."""
        per_shard = self.per_shard
        lasts = (self.last_days[number * per_shard : (number + 1) * per_shard] for number in range(len(self.shards)))
        parts = [
            has_usual_data(state, last, moment, self.traits.width)
            for state, last in zip(self.shards, lasts, strict=True)
        ]
        return np.flatnonzero(np.concatenate([np.empty(0, bool), *parts]) & ~has_value)

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

    def count_retired(self) -> int:
        """Return how many series are retired: missing rows mean zero, and their last other value is too old."""
        if not self.traits.fills_zeros:
            return 0
        return int(np.count_nonzero(self.last_days < oldest_active_day(self.traits.clock, self.completeness.day)))

    def status(self) -> list[str]:
        """Describe, for each measure, whether it is scored; if it is not, why."""
        names = self.metric_set.measure_names
        if not self.series:
            return [f"{name}: no data yet" for name in names]
        return [f"{name}: {describe_status(self.shards, place, len(names))}" for place, name in enumerate(names)]


def _spread(part: Floats, places: list[int], count: int) -> Floats:
    """Return rows at their places among `count` rows; NaN elsewhere."""
    whole = np.full((count, part.shape[1]), np.nan)
    whole[places] = part
    return whole


def has_usual_data(state: model.State, last_days: NDArray[np.int32], moment: Moment, width: int) -> NDArray[np.bool_]:
    """Return which series of a shard had a value in the last week (weeks and months: in the last seven), and in the
    slot of this moment before.
    """
    seen: NDArray[np.bool_] = state.values_seen[moment.model_slot].reshape(-1, width).any(axis=1)
    return seen & (last_days[: len(seen)] >= moment.day - RECENT_DAYS)


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
