"""The walk through a metric set's intervals: live data in, observations, alerts and health out, causal. Live and back-test take this one path."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect import completeness, events, feedback, model
from anomalake.detect.completeness import RECENT_DAYS, Completeness
from anomalake.detect.feedback import Feedback
from anomalake.detect.filters import without_snoozed
from anomalake.domain import intervals
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.alert_matching import get_dimension_values
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.series_key import build_series_key
from anomalake.lake.live_data import IntervalData, Series

_key = lru_cache(maxsize=2**17)(build_series_key)
SHARD_COLUMNS = 20_000  # columns (series x measures) at most that are one shard of the state

Status = Literal["learning", "scored", "thin", "empty", "late"]


class Health(NamedTuple):
    """What became of an interval: the columns of `dataHealth`."""

    timestamp: datetime  # its start, naive UTC
    status: Status
    series: int  # with a value
    usual_series: int | None
    scored_series: int  # with an expected value
    rows_read: int
    rows_refused: int


class IntervalResult(NamedTuple):
    """An interval's outcome: a record for each series and measure with a value (the columns of `observations`), its alerts, its health."""

    start: datetime  # naive UTC
    observations: list[tuple[Any, ...]]
    alerts: tuple[Alert, ...]
    health: Health | None = None  # none where nothing came and nothing is usual


class OngoingEvent(NamedTuple):
    """The last event of a measure: when, the group that it belongs to, and the columns of its series."""

    start: datetime  # naive UTC
    group: str
    series: frozenset[int]


@dataclass
class Detector:
    """A metric set's detector: the series it knows, and of each what the model has learned of its measures.

    The state is cut into shards by series, in the order in which they first came: shard `number // per_shard`, in it column = series x measures +
    measure. Each is stepped, kept and read by itself.
    """

    metric_set: MetricSet
    series: dict[Series, int] = field(default_factory=dict)
    shards: list[model.State] = field(default_factory=list)
    last_days: NDArray[np.int32] = field(
        default_factory=lambda: np.empty(0, np.int32)
    )  # [series]: the last day with a value, as an ordinal
    completeness: Completeness = field(init=False)
    ongoing: dict[str, OngoingEvent] = field(default_factory=dict)  # by measure
    feedback: tuple[Feedback, ...] = ()
    _weights: tuple[tuple[int, int], tuple[model.Floats, model.Floats] | None] = (
        (0, 0),
        None,
    )  # for so much feedback and so many series

    def __post_init__(self) -> None:
        self.completeness = Completeness(intervals.slots_per_day(self.metric_set.frequency))

    @property
    def per_shard(self) -> int:
        """Series in a shard."""
        return max(1, SHARD_COLUMNS // len(self.metric_set.measures))

    def score(self, interval: IntervalData) -> IntervalResult:
        """Score an interval and learn from it; intervals come in time's order, those without data too."""
        item, start = self.metric_set, interval.start
        wall = item.clock.wall_time(start)
        day, slot = wall.toordinal(), intervals.get_slot(wall, item.frequency)
        said = [one for one in self.feedback if one.timestamp < start]
        values, points = self._score_values(interval, day, slot, said)
        present = np.flatnonzero(~np.isnan(values).all(axis=1))
        arrival = record_arrival(
            self.completeness,
            item,
            start,
            said,
            came=len(present),
            rows=interval.row_count,
            refused=interval.finding_count,
        )
        missed = self._missing(day, slot, present) if arrival.tells else np.empty(0, np.int64)
        self.last_days[present] = day
        scored = build_result(item, list(self.series), points, arrival, missed)
        alerts = tuple(self._grouped(alert, start) for alert in scored.alerts)
        return scored._replace(alerts=alerts)

    def _score_values(
        self, interval: IntervalData, day: int, slot: int, said: list[Feedback]
    ) -> tuple[model.Floats, model.Points]:
        """The values of all series [series, measure], and their points [series x measures]."""
        width, sensitivity = len(self.metric_set.measures), self.metric_set.alerts.sensitivity
        for series in interval.values:
            self.series.setdefault(series, len(self.series))
        values = np.full((len(self.series), width), np.nan)
        for series, measured in interval.values.items():
            values[self.series[series]] = [np.nan if value is None else value for value in measured]
        self.last_days = np.concatenate([self.last_days, np.zeros(len(self.series) - len(self.last_days), np.int32)])
        parts = [values[first : first + self.per_shard].ravel() for first in range(0, len(values), self.per_shard)]
        while len(self.shards) < len(parts):
            self.shards.append(model.State(intervals.slots_per_day(self.metric_set.frequency)))
        weights, stretch = self._weighed(said), length_ratios(self.metric_set, interval.start)

        def one(number: int) -> model.Points:
            state, part = self.shards[number], parts[number]
            state.grow(part.size)
            first = number * self.per_shard * width
            mine = (
                None
                if weights is None
                else (weights[0][first : first + part.size], weights[1][first : first + part.size])
            )
            longer = None if stretch is None else np.tile(stretch, part.size // width)
            return model.score_interval(state, day, slot, part, sensitivity, weight=mine, stretch=longer)

        if not interval.values:
            return values, model.Points(*(np.full(values.size, np.nan) for _ in model.Points._fields))
        points = list(map_in_threads(one, range(len(parts))))
        return values, points[0] if len(points) == 1 else model.Points(*map(np.concatenate, zip(*points, strict=True)))

    def _weighed(self, said: list[Feedback]) -> tuple[model.Floats, model.Floats] | None:
        """How many times a distance below, and above, counts, for each column; None where nothing was said."""
        size = (len(said), len(self.series))
        if not said:
            return None
        if self._weights[0] != size:
            below, above = (
                feedback.distance_weights(said, self.metric_set, list(self.series), side).ravel()
                for side in ("below", "above")
            )
            self._weights = (size, (below, above))
        return self._weights[1]

    def _missing(self, day: int, slot: int, present: NDArray[np.int64]) -> NDArray[np.int64]:
        """The series without a value that had one in the last week, and at that time of day before."""
        width, per_shard = len(self.metric_set.measures), self.per_shard
        lasts = (self.last_days[number * per_shard : (number + 1) * per_shard] for number in range(len(self.shards)))
        parts = [has_usual_data(state, last, day, slot, width) for state, last in zip(self.shards, lasts, strict=True)]
        wanted = np.concatenate([np.empty(0, bool), *parts])
        wanted[present] = False
        return np.flatnonzero(wanted)

    def _grouped(self, alert: Alert, start: datetime) -> Alert:
        """The alert in the group of the interval just before, where that had an event of the measure and of one of its series."""
        metric = alert.impacted_metric
        if metric.metric_name == MISSING_DATA:
            return alert
        affected = frozenset(
            self.series[get_dimension_values(series, self.metric_set)] for series in metric.relevant_time_series
        )
        group = assign_group(
            self.ongoing,
            self.metric_set,
            metric.metric_name,
            OngoingEvent(start, alert.anomaly_group_id or "", affected),
        )
        return msgspec.structs.replace(alert, anomaly_group_id=group)

    def status(self) -> list[str]:
        """Of each measure, in words, whether it is scored; if not, why."""
        width, item = len(self.metric_set.measures), self.metric_set
        if not self.series:
            return [f"{measure}: no data yet" for measure in item.measure_names]
        return [
            f"{measure}: {_status([(state, number) for state in self.shards], width)}"
            for number, measure in enumerate(item.measure_names)
        ]


class Arrival(NamedTuple):
    """How complete an interval is."""

    start: datetime  # naive UTC
    came: int  # series with a value
    usual: int | None
    missing: float  # per cent of the usual ones
    tells: bool  # whether that is an event now
    thin: bool  # a gap is under way
    rows: int
    refused: int


def record_arrival(
    known: Completeness,
    item: MetricSet,
    start: datetime,
    said: Sequence[Feedback],
    *,
    came: int,
    rows: int,
    refused: int,
) -> Arrival:
    """Take an interval's number of series with a value; intervals come in time's order."""
    most, wall = item.alerts.sensitivity / feedback.missing_data_weight(said), item.clock.wall_time(start)
    usual, missing, tells = completeness.record_count(
        known, wall.toordinal(), intervals.get_slot(wall, item.frequency), came, most
    )
    return Arrival(
        start,
        came,
        usual,
        missing,
        tells and item.alerts.missing_data,
        bool(usual) and known.gap_length > 0,
        rows,
        refused,
    )


def length_ratios(item: MetricSet, start: datetime) -> model.Floats | None:
    """How many times its usual length an interval has, for each measure: 1 for a mean, more or less for a sum where clocks are set in it.

    None where they are not.
    """
    ratio = item.clock.length(start) / item.clock.step
    return (
        None if ratio == 1 else np.array([ratio if measure.aggregation == "SUM" else 1.0 for measure in item.measures])
    )


def has_usual_data(state: model.State, last: NDArray[np.int32], day: int, slot: int, width: int) -> NDArray[np.bool_]:
    """Which series of a shard had a value in the last week, and at that time of day before."""
    seen: NDArray[np.bool_] = state.seen[slot].reshape(-1, width).any(axis=1)
    return seen & (last[: len(seen)] >= day - RECENT_DAYS)


def build_result(
    item: MetricSet, known: Sequence[Series], points: model.Points, arrival: Arrival, missed: NDArray[np.int64]
) -> IntervalResult:
    """What is written of an interval, each alert still a group of its own.

    `points` has an entry for each of the `known` series and measures; `missed` are the places of the series that an event of missing data names.
    """
    start, width = arrival.start, len(item.measures)
    by_measure = [model.Points(*(column[number::width] for column in points)) for number in range(width)]
    observations = [
        record
        for measure, some in zip(item.measure_names, by_measure, strict=True)
        for record in _records(known, start, measure, some)
    ]
    observations.sort(key=itemgetter(0))
    found = [
        events.build_anomaly_alert(item, measure, start, known, some)
        for measure, some in zip(item.measure_names, by_measure, strict=True)
    ]
    alerts = events.add_related_measures([alert for alert in found if alert is not None])
    awaited = (
        without_snoozed(item, MISSING_DATA, item.clock.wall_time(start), known, missed.tolist())
        if arrival.tells
        else []
    )
    if arrival.tells and (awaited or not len(missed)):
        told = (arrival.came, arrival.usual or 0, arrival.missing)
        alerts.append(events.build_missing_data_alert(item, start, known, awaited, arrived=told))
    scored = int((~np.isnan(points.expected)).reshape(-1, width).any(axis=1).sum())
    status: Status = "empty" if not arrival.came else "thin" if arrival.thin else "scored" if scored else "learning"
    health = Health(start, status, arrival.came, arrival.usual, scored, arrival.rows, arrival.refused)
    return IntervalResult(start, observations, tuple(alerts), health if arrival.came or arrival.usual else None)


def assign_group(ongoing: dict[str, OngoingEvent], item: MetricSet, measure: str, event: OngoingEvent) -> str:
    """The group of a measure's event: that of the interval just before, where it had an event of one of its series; events come in time's order."""
    before = ongoing.get(measure)
    if before is not None and before.series & event.series and item.clock.end(before.start) == event.start:
        event = event._replace(group=before.group)
    ongoing[measure] = event
    return event.group


def _status(shards: list[tuple[model.State, int]], width: int) -> str:
    """What a measure's series are like; it is column `number` of each `width` in its shards."""

    def of(name: str) -> model.Floats:
        return np.concatenate(
            [np.asarray(getattr(state, name)[..., number::width], float) for state, number in shards], axis=-1
        )

    seen, zeros, spread = of("seen"), of("zeros"), of("spread")
    slots, days = shards[0][0].slots, seen.max(axis=0)
    fewest = model.MIN_HISTORY_DAYS[slots]
    have, scored = days > 0, days >= fewest
    again = int(((of("relearned") > 0) & ~scored).sum())
    relearning = (
        f"; {again:,} being learned again, because their values changed kind (became negative, or fractions)"
        if again
        else ""
    )
    if not have.any():
        return "all values are missing; nothing is scored"
    if not scored.any():
        longest = f"the longest series has {int(days.max())} of the {fewest} days that are needed at a time of day"
        return f"learning: {longest}; nothing is scored yet{relearning}"
    if (zeros[have] >= 1).all():
        return "all values are zero; anything else will be an anomaly"
    still = int((have & (spread[0] <= 0)).sum())
    told = f"scored, {int(scored.sum()):,} of {have.size:,} series"
    if still == have.sum():
        return f"{told}; none of them moves more than counting alone would make it{relearning}"
    return (
        told
        + (f" ({still:,} move no more than counting alone would make them)" if still else "")
        + (f"; {int((have & ~scored).sum()) - again:,} learning" if int((have & ~scored).sum()) > again else "")
        + relearning
    )


def map_in_threads(work: Any, numbers: Iterable[int]) -> Iterator[Any]:
    """The work on each number, in their order; at once where there are several (numpy and zlib let go of the interpreter)."""
    several = list(numbers)
    if len(several) < 2:
        yield from map(work, several)
        return
    with ThreadPoolExecutor() as pool:
        yield from pool.map(work, several)


def _records(known: Sequence[Series], start: datetime, measure: str, points: model.Points) -> Iterator[tuple[Any, ...]]:
    """The observations of a measure; expected value, bounds and score are null where there are none yet."""
    places = np.flatnonzero(~np.isnan(points.value))
    columns = (*events.round_bounds(points, places), events.round_figures(points.score[places]))
    cells: list[list[float | None]] = [column.tolist() for column in columns]
    for i in np.flatnonzero(np.isnan(points.expected[places])).tolist():
        for column in cells:
            column[i] = None
    for i, value, *numbers in zip(places.tolist(), points.value[places].tolist(), *cells, strict=True):
        yield (_key(known[i]), start, *known[i], measure, value, *numbers)


def group_results_by_day(scored: Iterator[IntervalResult]) -> Iterator[tuple[str, list[IntervalResult]]]:
    """The outcomes gathered by UTC date, in time's order."""
    gathered: list[IntervalResult] = []
    for item in scored:
        if gathered and item.start.date() != gathered[0].start.date():
            yield f"{gathered[0].start:%Y-%m-%d}", gathered
            gathered = []
        gathered.append(item)
    if gathered:
        yield f"{gathered[0].start:%Y-%m-%d}", gathered
