"""Missing rows that mean zero (`missing: zero`): which series are filled with zeros, and which are retired.

The additive measures of a known series are zero in each interval in which they have no value. A series whose last value
other than zero is too old is retired: it is not filled until its next such value.
"""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.traits import Traits
from anomalake.detect.transform import Floats, Mask
from anomalake.domain.intervals import Clock

RETIRE_AFTER_DAYS, RETIRE_AFTER_INTERVALS = 56, 8  # intervals: of weeks and months
Days = NDArray[np.int32]


def oldest_active_day(clock: Clock, day: int) -> int:
    """Return the day (of `completeness.count_place`) before which the last value other than zero of a retired series
    lies.
    """
    return day - (RETIRE_AFTER_DAYS if clock.step <= timedelta(days=1) else RETIRE_AFTER_INTERVALS)


def has_active_series(clock: Clock, last_day: int, day: int) -> bool:
    """Return whether a series is not retired; `last_day` is the latest day with a value other than zero."""
    return last_day >= oldest_active_day(clock, day)


def fill_zeros(traits: Traits, values: Floats, last_days: Days, day: int) -> None:
    """Set the missing additive values [series, measure] of series that are not retired to zero, in place."""
    is_active = last_days >= oldest_active_day(traits.clock, day)
    values[np.isnan(values) & is_active[:, None] & traits.is_additive] = 0.0


def find_living(traits: Traits, values: Floats, has_value: Mask) -> Mask:
    """Return which series have a value in the data, and if missing rows mean zero, a value other than zero.

    `values` is [series, measure].
    """
    if not traits.fills_zeros:
        return has_value
    living: Mask = np.logical_or.reduce(~np.isnan(values) & (values != 0), axis=1)
    return living
