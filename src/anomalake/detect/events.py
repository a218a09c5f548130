"""Builds alerts from scored points: the anomalous series of one measure in one interval are one event, with a severity
score and contributions.

The contribution of a dimension value, as in the published alerts of Lookout for Metrics, is 100 x the sum of |value -
expected| over the affected series that have the value / the same sum over all affected series. Numbers are rounded here
and nowhere else.
"""

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect import cause
from anomalake.detect.filters import alerting_series
from anomalake.detect.model import Floats, Points
from anomalake.detect.score import distance_from_score, score_from_distance
from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.series_key import build_series_key
from anomalake.lake.live_data import Series

SOURCE = "anomalake"
MAX_ERROR = 1e300
FIGURES = 6  # significant figures of the numbers that the detector writes
_TENS = np.array([float(f"1e{power}") for power in range(23)])  # the powers of ten that a float holds exactly


def round_figures(values: Floats) -> Floats:
    """Round to `FIGURES` significant figures; gives the number that a text with so many figures reads as."""
    size = np.abs(values)
    with np.errstate(all="ignore"):
        power = FIGURES - 1 - np.floor(np.log10(size))
        within = np.abs(power) < len(_TENS)
        ten = _TENS[np.where(within, np.abs(power), 0).astype(np.int64)]
        scaled = np.where(power < 0, size / ten, size * ten)
        whole = np.rint(scaled)
        # Both operands are exact, so the result is the nearest float.
        rounded = np.copysign(np.where(power < 0, whole * ten, whole / ten), values)
        # A number close to the middle between two results, or to a power of ten, is formatted as text instead.
        is_certain = (
            within
            & (scaled >= 10 ** (FIGURES - 1))
            & (scaled < 10**FIGURES)
            & (np.abs(scaled - np.floor(scaled) - 0.5) > 1e-4)
        )
    for i in np.flatnonzero(~is_certain & ~np.isnan(values) & (size > 0)).tolist():
        rounded[i] = float(f"{values[i]:.{FIGURES}g}")
    return np.where(size > 0, rounded, values)


def round_bounds(points: Points, places: Sequence[int] | NDArray[np.int64] | slice) -> tuple[Floats, Floats, Floats]:
    """Return expected value, lower and upper bound of the series at these places, rounded.

    A value outside its bounds stays outside.
    """
    value, expected, lower, upper = (
        column[places] for column in (points.value, points.expected, points.lower, points.upper)
    )
    low, high, off = round_figures(lower), round_figures(upper), np.abs(value) * 10.0**-FIGURES
    above = value + off
    low = np.where((value < lower) & (value >= low), np.where(above == 0, 10.0**-FIGURES, above), low)
    high = np.where((value > upper) & (value <= high), value - off, high)
    return round_figures(expected), low, high


def severity_score(scores: Sequence[float]) -> float:
    """Return an event's severity score: the largest score of its series, raised by the others (the 4-norm of their
    distances).
    """
    largest = max(scores)
    greatest = distance_from_score(largest) or 1.0  # with a sensitivity of 0, values as expected are anomalies too
    raised = greatest * sum((distance_from_score(score) / greatest) ** 4 for score in scores) ** 0.25
    return round(max(largest, float(score_from_distance(np.array(raised)))), 2)


def build_anomaly_alert(
    metric_set: MetricSet, measure: str, start: datetime, series: Sequence[Series], points: Points
) -> Alert | None:
    """Build the alert of one measure in the interval that starts at `start` (naive UTC); None without an anomaly.

    `points` has an entry for each of `series`.
    """
    common = alerting_series(metric_set, measure, metric_set.clock.wall_time(start), series, points)
    if not len(common):
        return None
    order = sorted(common.tolist(), key=lambda i: (-float(points.score[i]), build_series_key(series[i])))
    identity = alerts.derive_id(metric_set.name, measure, f"{start:%Y-%m-%dT%H:%MZ}", "anomaly")
    error = {
        i: min(max(float(points.value[i]) / 2 - float(points.expected[i]) / 2, -MAX_ERROR), MAX_ERROR) for i in order
    }  # halves do not overflow
    deviation = {i: abs(error[i]) for i in order}
    net = math.fsum(error.values())
    band = list(zip(*(column.tolist() for column in round_bounds(points, order)), strict=True))
    return Alert(
        alert_name=f"{metric_set.name}-{measure}",
        alert_event_id=f"{metric_set.detector_arn}:event/{identity}",
        anomaly_detector_arn=metric_set.detector_arn,
        anomaly_group_id=identity,
        timestamp=f"{start:%Y-%m-%dT%H:%M}Z[UTC]",
        anomaly_score=severity_score([float(points.score[i]) for i in order]),
        source=SOURCE,
        direction="above" if net > 0 else "below",
        root_cause=cause.format_causes(
            cause.find_causes(metric_set.dimension_names, series, points.value, points.expected, common)
        )
        or None,
        impacted_metric=alerts.ImpactedMetric(
            metric_name=measure,
            dimension_contribution=tuple(
                alerts.compute_contribution(name, [series[i][place] for i in order], [deviation[i] for i in order])
                for place, name in enumerate(metric_set.dimension_names)
            ),
            relevant_time_series=tuple(
                _series(
                    metric_set,
                    measure,
                    series[i],
                    metric_value=float(points.value[i]),
                    **dict(zip(("expected_value", "lower_bound", "upper_bound"), numbers, strict=True)),
                )
                for i, numbers in zip(order, band, strict=True)
            ),
        ),
    )


def build_missing_data_alert(
    metric_set: MetricSet,
    start: datetime,
    series: Sequence[Series],
    missed: Sequence[int],
    *,
    arrived: tuple[int, int, float],
) -> Alert:
    """Build the alert of missing data in the interval that starts at `start` (naive UTC).

    `missed` are the places of the series without a value; `arrived` is how many series have one, how many are usual,
    and the percentage of these that is missing, which is the score.
    """
    count, usual, share = arrived
    identity = alerts.derive_id(metric_set.name, alerts.MISSING_DATA, f"{start:%Y-%m-%dT%H:%MZ}", "missing")
    order = sorted(missed, key=lambda i: build_series_key(series[i]))
    return Alert(
        alert_name=f"{metric_set.name}-missing-data",
        alert_event_id=f"{metric_set.detector_arn}:event/{identity}",
        alert_description=f"{count} series have a value; {usual} are usual at that time",
        anomaly_detector_arn=metric_set.detector_arn,
        anomaly_group_id=identity,
        timestamp=f"{start:%Y-%m-%dT%H:%M}Z[UTC]",
        anomaly_score=round(min(share, 100.0), 2),
        source=SOURCE,
        direction="below",
        root_cause=f"{count} of {usual} usual series came{_lacking(metric_set, series, order)}",
        impacted_metric=alerts.ImpactedMetric(
            metric_name=alerts.MISSING_DATA,
            dimension_contribution=tuple(
                alerts.compute_contribution(name, [series[i][place] for i in order], [1.0] * len(order))
                for place, name in enumerate(metric_set.dimension_names)
                if order
            ),
            relevant_time_series=tuple(_series(metric_set, alerts.MISSING_DATA, series[i]) for i in order),
        ),
    )


def add_related_measures(alerts_of_interval: Sequence[Alert]) -> list[Alert]:
    """Return the alerts of one interval; the root cause of each names the other measures that moved in one of its
    series, and their direction.
    """
    keys = [
        frozenset(series.dimensions for series in alert.impacted_metric.relevant_time_series)
        for alert in alerts_of_interval
    ]
    extended = []
    for alert, own_series in zip(alerts_of_interval, keys, strict=True):
        others = [
            f"{other.impacted_metric.metric_name} {other.direction}"
            for other, other_series in zip(alerts_of_interval, keys, strict=True)
            if other is not alert
            and other.impacted_metric.metric_name != alerts.MISSING_DATA
            and own_series & other_series
        ]
        root_cause = "; ".join(
            part for part in (alert.root_cause, f"also moved: {', '.join(others)}" if others else None) if part
        )
        extended.append(msgspec.structs.replace(alert, root_cause=root_cause or None))
    return extended


def _lacking(metric_set: MetricSet, series: Sequence[Series], missed: Sequence[int]) -> str:
    """Describe the dimension values that the missing series have in common."""
    came = np.ones(len(series))
    came[list(missed)] = 0
    common = cause.format_causes(
        cause.find_causes(metric_set.dimension_names, series, came, np.ones(len(series)), np.array(missed, np.int64))
    )
    return f"; missing: {common}" if common else ""


def _series(metric_set: MetricSet, measure: str, series: Series, **numbers: float) -> alerts.TimeSeries:
    """Return the series as it appears in an alert."""
    return alerts.TimeSeries(
        time_series_id=alerts.derive_id(metric_set.name, measure, build_series_key(series)),
        dimensions=tuple(
            alerts.DimensionValue(name, value)
            for name, value in zip(metric_set.dimension_names, series, strict=True)
            if value is not None
        ),
        optional_dimensions=(),
        **numbers,
    )
