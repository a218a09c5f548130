"""Missing rows that mean zero (`missing: zero`): which series are filled with zeros, and which are retired.

The additive measures of a known series are zero in each interval in which they have no value. A series whose last value
other than zero is too old is retired: it is not filled until its next such value.
"""

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.transform import Floats
from anomalake.domain import intervals
from anomalake.domain.metric_set import MetricSet

RETIRE_AFTER_DAYS, RETIRE_AFTER_INTERVALS = 56, 8  # intervals: of weeks and months
Days = NDArray[np.int32]


def fills_zeros(metric_set: MetricSet) -> bool:
    """Return whether missing values are filled: missing rows mean zero, and a measure is additive."""
    return metric_set.missing_is_zero and any(measure.is_additive for measure in metric_set.measures)


def oldest_active_day(metric_set: MetricSet, day: int) -> int:
    """Return the day (of `completeness.count_place`) before which the last value other than zero of a retired series
    lies.
    """
    is_long = intervals.INTERVAL_LENGTHS[metric_set.frequency] > intervals.INTERVAL_LENGTHS["P1D"]
    return day - (RETIRE_AFTER_INTERVALS if is_long else RETIRE_AFTER_DAYS)


def has_active_series(metric_set: MetricSet, last_day: int, day: int) -> bool:
    """Return whether a series is not retired; `last_day` is the latest day with a value other than zero."""
    return last_day >= oldest_active_day(metric_set, day)


def fill_zeros(metric_set: MetricSet, values: Floats, last_days: Days, day: int) -> None:
    """Set the missing additive values [series, measure] of series that are not retired to zero, in place."""
    is_additive = np.array([measure.is_additive for measure in metric_set.measures])
    is_active = last_days >= oldest_active_day(metric_set, day)
    values[np.isnan(values) & is_active[:, None] & is_additive] = 0.0


def find_living(metric_set: MetricSet, values: Floats) -> NDArray[np.bool_]:
    """Return which series have a value in an interval, and if missing rows mean zero, a value other than zero.

    `values` is [..., series, measure].
    """
    has_value = ~np.isnan(values)
    if fills_zeros(metric_set):
        has_value = has_value & (values != 0)
    living: NDArray[np.bool_] = np.logical_or.reduce(has_value, axis=-1)
    return living
