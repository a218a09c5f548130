"""What the detector uses of a metric set, and of the time of an interval, in every interval: derived once."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.completeness import count_place
from anomalake.detect.cycle import cycle_of
from anomalake.domain.intervals import Clock, get_slot
from anomalake.domain.metric_set import MetricSet


class Traits(NamedTuple):
    """The traits of a metric set and its measures."""

    clock: Clock
    width: int  # number of measures
    is_additive: NDArray[np.bool_]  # [measure]
    is_ratio: NDArray[np.bool_] | None  # [measure]; None if there is no ratio
    has_weights: bool  # whether a measure has weights
    fills_zeros: bool  # whether missing values are filled: missing rows mean zero, and a measure is additive


def traits_of(metric_set: MetricSet) -> Traits:
    """Return the traits of a metric set."""
    measures = metric_set.measures
    is_additive = np.array([measure.is_additive for measure in measures])
    is_ratio = np.array([measure.aggregation == "RATIO" for measure in measures])
    return Traits(
        metric_set.clock,
        len(measures),
        is_additive,
        is_ratio if is_ratio.any() else None,
        any(measure.has_weight for measure in measures),
        metric_set.missing_is_zero and bool(is_additive.any()),
    )


class Moment(NamedTuple):
    """The time of an interval."""

    start: datetime  # naive UTC
    day: int  # of `completeness.count_place`, and its slot
    slot: int
    model_day: int  # of `cycle.model_time`, and its slot
    model_slot: int


def moment_of(clock: Clock, start: datetime) -> Moment:
    """Return the moment of the interval with this start."""
    wall, frequency = clock.wall_time(start), clock.frequency
    day, slot = count_place(wall, frequency)
    return Moment(start, day, slot, wall.toordinal(), cycle_of(frequency).find_slot(get_slot(wall, frequency)))
