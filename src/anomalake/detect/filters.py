"""Which anomalous series send an alert: the metric set's filters by measure, dimension value, direction and impact, and
its snoozed series.

The filters are the same as in the alerts of Lookout for Metrics ("Adding an alert" in its developer guide): a series
passes if every dimension of the filter has one of the listed values.
"""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.model import Points
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import Series


def alerting_series(
    metric_set: MetricSet, measure: str, wall: datetime, series: Sequence[Series], points: Points
) -> NDArray[np.int64]:
    """Return the places of the series that send an alert in the interval that starts at `wall`; `points` has an entry
    for each of `series`.
    """
    rules = metric_set.alerts
    if rules.measures and measure not in rules.measures:
        return np.empty(0, np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        error = points.value - points.expected
        anomalous = points.score >= rules.sensitivity
        if rules.direction is not None:
            anomalous &= error > 0 if rules.direction == "above" else error < 0
    candidates = np.flatnonzero(anomalous).tolist()
    places = [place for place in candidates if _matches(metric_set, series[place], rules.dimensions)]
    places = without_snoozed(metric_set, measure, wall, series, places)
    with np.errstate(over="ignore"):
        impact = float(np.sum(np.abs(error[places])))
    return np.array(places if impact >= rules.minimum_impact.get(measure, 0) else [], np.int64)


def without_snoozed(
    metric_set: MetricSet, measure: str, wall: datetime, series: Sequence[Series], places: Sequence[int]
) -> list[int]:
    """Return the places whose series are not snoozed for the measure.

    Only a snooze of all measures covers `missing data`.
    """
    snoozed = [
        snooze.dimensions
        for snooze in metric_set.alerts.snoozed
        if wall.date() < date.fromisoformat(snooze.until) and (not snooze.measures or measure in snooze.measures)
    ]
    return [place for place in places if not any(_matches(metric_set, series[place], values) for values in snoozed)]


def _matches(metric_set: MetricSet, series: Series, dimensions: dict[str, tuple[str | None, ...]]) -> bool:
    """Return whether the series has one of the listed values in each of the dimensions."""
    return all(series[metric_set.dimension_names.index(name)] in values for name, values in dimensions.items())
