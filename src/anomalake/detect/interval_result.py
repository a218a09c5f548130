"""What the detector writes about an interval: observations, alerts, data health."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import completeness, events, feedback
from anomalake.detect.completeness import Completeness
from anomalake.detect.feedback import Feedback
from anomalake.detect.filters import without_snoozed
from anomalake.detect.model import Points
from anomalake.domain import intervals
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.series_key import build_series_key
from anomalake.lake.live_data import Series

Status = Literal["learning", "scored", "thin", "empty", "late"]

_cached_series_key = lru_cache(maxsize=2**17)(build_series_key)


class Health(NamedTuple):
    """How complete an interval's data was and whether it was scored: the columns of the table `dataHealth`."""

    timestamp: datetime  # the interval's start, naive UTC
    status: Status
    series: int  # with a value
    usual_series: int | None
    scored_series: int  # with an expected value
    rows_read: int
    rows_refused: int


class IntervalResult(NamedTuple):
    """The result of an interval.

    A record of `observations` has the columns of that table: one for each series and measure with a value.
    """

    start: datetime  # naive UTC
    observations: list[tuple[Any, ...]]
    alerts: tuple[Alert, ...]
    health: Health | None = None  # None if no data arrived and no data is usual


class Arrival(NamedTuple):
    """How complete an interval's data is."""

    start: datetime  # naive UTC
    series_count: int  # with a value
    usual_count: int | None
    missing_percent: float  # of the usual series
    is_event: bool  # the missing data is an event that begins in this interval
    in_gap: bool
    rows: int
    rejected_rows: int


def record_arrival(
    past_counts: Completeness, metric_set: MetricSet, start: datetime, valid_feedback: Sequence[Feedback], *,
    series_count: int, rows: int, rejected_rows: int,
) -> Arrival:  # fmt: skip
    """Record in `past_counts` how many series an interval has, and compare it with the usual number.

    Intervals come in order of time.
    """
    threshold = metric_set.alerts.sensitivity / feedback.missing_data_weight(valid_feedback)
    wall = metric_set.clock.wall_time(start)
    slot = intervals.get_slot(wall, metric_set.frequency)
    usual, missing, begins = completeness.record_count(past_counts, wall.toordinal(), slot, series_count, threshold)
    is_event, in_gap = begins and metric_set.alerts.missing_data, bool(usual) and past_counts.gap_length > 0
    return Arrival(start, series_count, usual, missing, is_event, in_gap, rows, rejected_rows)


def build_result(
    metric_set: MetricSet, all_series: Sequence[Series], points: Points, arrival: Arrival, missing: NDArray[np.int64]
) -> IntervalResult:
    """Build the result of an interval; each alert is in a group of its own.

    `points` has an entry for each of the `all_series` series and measures; `missing` are the places of series that lack
    usual data.
    """
    start, width = arrival.start, len(metric_set.measures)
    of_measure = [Points(*(column[number::width] for column in points)) for number in range(width)]
    by_measure = list(zip(metric_set.measure_names, of_measure, strict=True))
    observations = [record for measure, part in by_measure for record in _records(all_series, start, measure, part)]
    observations.sort(key=itemgetter(0))
    alerts_or_none = [
        events.build_anomaly_alert(metric_set, measure, start, all_series, part) for measure, part in by_measure
    ]
    alerts = events.add_related_measures([alert for alert in alerts_or_none if alert is not None])
    if arrival.is_event:
        wall = metric_set.clock.wall_time(start)
        expected = without_snoozed(metric_set, MISSING_DATA, wall, all_series, missing.tolist())
        if expected or not len(missing):
            counts = (arrival.series_count, arrival.usual_count or 0, arrival.missing_percent)
            alerts.append(events.build_missing_data_alert(metric_set, start, all_series, expected, arrived=counts))
    health = _health(arrival, int((~np.isnan(points.expected)).reshape(-1, width).any(axis=1).sum()))
    has_health = arrival.series_count or arrival.usual_count
    return IntervalResult(start, observations, tuple(alerts), health if has_health else None)


def _health(arrival: Arrival, scored: int) -> Health:
    """Return the row of `dataHealth`."""
    status: Status = "scored" if scored else "learning"
    if arrival.in_gap:
        status = "thin"
    if not arrival.series_count:
        status = "empty"
    return Health(
        arrival.start, status, arrival.series_count, arrival.usual_count, scored, arrival.rows, arrival.rejected_rows
    )


def _records(all_series: Sequence[Series], start: datetime, measure: str, points: Points) -> Iterator[tuple[Any, ...]]:
    """Return the observations of a measure; expected value, bounds and score are None while there is too little
    history.
    """
    places = np.flatnonzero(~np.isnan(points.value))
    columns = (*events.round_bounds(points, places), events.round_figures(points.score[places]))
    cells: list[list[float | None]] = [column.tolist() for column in columns]
    for i in np.flatnonzero(np.isnan(points.expected[places])).tolist():
        for column in cells:
            column[i] = None
    for i, value, *numbers in zip(places.tolist(), points.value[places].tolist(), *cells, strict=True):
        yield (_cached_series_key(all_series[i]), start, *all_series[i], measure, value, *numbers, None)


def group_results_by_day(results: Iterator[IntervalResult]) -> Iterator[tuple[str, list[IntervalResult]]]:
    """Group results, which come in order of time, by UTC date."""
    group: list[IntervalResult] = []
    for result in results:
        if group and result.start.date() != group[0].start.date():
            yield f"{group[0].start:%Y-%m-%d}", group
            group = []
        group.append(result)
    if group:
        yield f"{group[0].start:%Y-%m-%d}", group
