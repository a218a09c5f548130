"""What the detector finds in an interval: the figures of its observations, alerts, data health."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import completeness, events, feedback
from anomalake.detect.completeness import Completeness
from anomalake.detect.feedback import Feedback
from anomalake.detect.filters import without_snoozed
from anomalake.detect.model import Points
from anomalake.detect.scoring import EXPECTED, SCORE, VALUE
from anomalake.detect.traits import Moment, traits_of
from anomalake.detect.transform import Floats
from anomalake.domain.alert import MISSING_DATA, Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import Series

Status = Literal["learning", "scored", "thin", "empty", "late"]


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
    """The result of an interval. `observations` makes rows of its figures."""

    start: datetime  # naive UTC
    figures: Floats  # [field of `scoring.FIELDS`, series x measures]; NaN without a value
    alerts: tuple[Alert, ...]
    health: Health | None = None  # None if no data arrived, no data is usual, and nothing is filled


class Arrival(NamedTuple):
    """How complete an interval's data is."""

    start: datetime  # naive UTC
    series_count: int  # with a value in the data
    usual_count: int | None
    missing_percent: float  # of the usual series
    is_event: bool  # the missing data is an event that begins in this interval
    in_gap: bool
    rows: int
    rejected_rows: int


def record_arrival(
    past_counts: Completeness, metric_set: MetricSet, moment: Moment, valid_feedback: Sequence[Feedback], *,
    series_count: int, rows: int, rejected_rows: int, is_counted: bool,
) -> Arrival:  # fmt: skip
    """Record in `past_counts` how many series an interval has, and compare it with the usual number.

    Intervals come in order of time. Those before the first series are not counted. If missing rows mean zero, missing
    data is no event: the zeros are scored.
    """
    if not is_counted:
        return Arrival(
            moment.start, series_count, None, 0.0, is_event=False, in_gap=False, rows=rows, rejected_rows=rejected_rows
        )
    threshold = metric_set.alerts.sensitivity
    if valid_feedback:
        threshold /= feedback.missing_data_weight(valid_feedback)
    usual, missing, begins = completeness.record_count(past_counts, moment.day, moment.slot, series_count, threshold)
    is_event = begins and metric_set.alerts.missing_data and not traits_of(metric_set).fills_zeros
    in_gap = bool(usual) and past_counts.gap_length > 0
    return Arrival(moment.start, series_count, usual, missing, is_event, in_gap, rows, rejected_rows)


def build_result(
    metric_set: MetricSet, all_series: Collection[Series], figures: Floats, arrival: Arrival, missing: NDArray[np.int64]
) -> IntervalResult:
    """Build the result of an interval; each alert is in a group of its own.

    `figures` has a column for each of the `all_series` series and measures; `missing` are the places of series that
    lack usual data.
    """
    width = len(metric_set.measures)
    alerts: list[Alert] = []
    if arrival.is_event or np.count_nonzero(figures[SCORE] >= metric_set.alerts.sensitivity):
        alerts = _build_alerts(metric_set, list(all_series), figures, arrival, missing)
    is_scored = ~np.isnan(figures[EXPECTED])
    if width > 1:
        is_scored = is_scored.reshape(-1, width).any(axis=1)
    health = _health(arrival, int(np.count_nonzero(is_scored)))
    has_health = arrival.series_count or arrival.usual_count or not np.isnan(figures[VALUE]).all()
    return IntervalResult(arrival.start, figures, tuple(alerts), health if has_health else None)


def _build_alerts(
    metric_set: MetricSet, all_series: Sequence[Series], figures: Floats, arrival: Arrival, missing: NDArray[np.int64]
) -> list[Alert]:
    start, width = arrival.start, len(metric_set.measures)
    alerts_or_none = [
        events.build_anomaly_alert(
            metric_set, measure, start, all_series, Points(*figures[: len(Points._fields), number::width])
        )
        for number, measure in enumerate(metric_set.measure_names)
    ]
    alerts = events.add_related_measures([alert for alert in alerts_or_none if alert is not None])
    if arrival.is_event:
        wall = metric_set.clock.wall_time(start)
        expected = without_snoozed(metric_set, MISSING_DATA, wall, all_series, missing.tolist())
        if expected or not len(missing):
            counts = (arrival.series_count, arrival.usual_count or 0, arrival.missing_percent)
            alerts.append(events.build_missing_data_alert(metric_set, start, all_series, expected, arrived=counts))
    return alerts


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


def group_results_by_day(results: Iterator[IntervalResult]) -> Iterator[list[IntervalResult]]:
    """Group results, which come in order of time, by UTC date."""
    group: list[IntervalResult] = []
    for result in results:
        if group and result.start.date() != group[0].start.date():
            yield group
            group = []
        group.append(result)
    if group:
        yield group
