"""Which anomalous series alert: the metric set's filters by measure, dimension value, direction and impact, and what is snoozed. Pure.

Filters are those of Lookout for Metrics' alerts ("Adding an alert" in its developer guide): the dimensions all have to fit, of each one value does.
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
    """Which of `series` (an entry of `points` each) are reported as anomalous in the interval that starts at `wall`: their places."""
    wanted = metric_set.alerts
    if wanted.measures and measure not in wanted.measures:
        return np.empty(0, np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        error = points.value - points.expected
        found = points.score >= wanted.sensitivity
        if wanted.direction is not None:
            found &= error > 0 if wanted.direction == "above" else error < 0
    places = [place for place in np.flatnonzero(found).tolist() if _fits(metric_set, series[place], wanted.dimensions)]
    places = without_snoozed(metric_set, measure, wall, series, places)
    with np.errstate(over="ignore"):
        impact = float(np.sum(np.abs(error[places])))
    return np.array(places if impact >= wanted.minimum_impact.get(measure, 0) else [], np.int64)


def without_snoozed(
    metric_set: MetricSet, measure: str, wall: datetime, series: Sequence[Series], places: Sequence[int]
) -> list[int]:
    """Those of the places whose series are not snoozed in the measure; what is snoozed in all measures is so for `missing data` too."""
    snoozed = [
        one.dimensions
        for one in metric_set.alerts.snoozed
        if wall.date() < date.fromisoformat(one.until) and (not one.measures or measure in one.measures)
    ]
    return [place for place in places if not any(_fits(metric_set, series[place], some) for some in snoozed)]


def _fits(metric_set: MetricSet, series: Series, dimensions: dict[str, tuple[str | None, ...]]) -> bool:
    """Whether each of the dimensions has one of its values in the series."""
    return all(series[metric_set.dimension_names.index(name)] in values for name, values in dimensions.items())
