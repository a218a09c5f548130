"""How the model learns from an interval:

Kalman filter, Huber clipping, exponential forgetting. Each function updates a `State` in place. A mask that is None
names no series.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import parameters as p
from anomalake.detect.cycle import Cycle
from anomalake.detect.model_state import Kinds, State
from anomalake.detect.transform import Floats, Mask, choose, clip, either, if_any

SPREAD, MEAN = 0, 1  # rows of `State.slot_means`
_PRIOR_VALUES = np.array([1.0, 0.0])[:, None, None]  # by these rows: values that a mean starts with, besides the first
_HUBER_LIMITS = np.array(p.HUBER_LIMIT_SCALES)[:, None]
_YEARLY_HUBER_LIMITS = np.array(p.YEARLY_HUBER_LIMIT_SCALES)[:, None]


def update_kinds(state: State, day: int, values: Floats, present: Mask) -> None:
    """Record which series stop being counts, or stop being non-negative.

    A value of another kind needs another scale, so what was learned on the old scale is forgotten. A series that is
    scored already keeps its scale, and such values are anomalies, until they come on several days.
    """
    negative = state.is_nonnegative & (values < 0.0)
    fraction = present & state.is_count & (values != np.floor(values))
    if not np.count_nonzero(negative | fraction):
        return
    changed = negative | (fraction & (state.components[0] < np.log(p.RARE_COUNT_MEAN) / 2))
    state.is_count = state.is_count & ~(fraction & ~changed)
    if not changed.any():
        return
    recent = day - state.last_kind_change <= p.KIND_CHANGE_MEMORY_DAYS * (12 if state.cycle.is_yearly else 1)
    days = np.where(recent, state.kind_change_days + (state.last_kind_change != day), 1)
    state.kind_change_days = np.where(changed, days, state.kind_change_days).astype(np.int16)
    state.last_kind_change = np.where(changed, day, state.last_kind_change).astype(np.int32)
    scored = np.zeros(len(values), bool)
    scored[changed] = state.values_seen[:, changed].max(axis=0) >= p.min_history_values(state.cycle)
    patience = p.RELEARN_AFTER_VALUES_DAILY if state.slots == 1 else p.RELEARN_AFTER_DAYS
    relearns = changed & (~scored | (state.kind_change_days > patience))
    state.relearned_day = np.where(relearns & scored, day, state.relearned_day).astype(np.int32)
    state.kind_change_days[relearns] = state.last_kind_change[relearns] = 0
    state.reset(relearns & (state.error_sums[2] > 0))
    state.is_count = state.is_count & ~relearns
    state.is_nonnegative = state.is_nonnegative & ~(relearns & negative)


class Ratios(NamedTuple):
    """What the denominators say about the noise of an interval's ratios, one entry for each series."""

    noise: Floats  # R: variance of the noise / its usual variance; 1 for other series
    proportions: Mask | None  # parts of whole numbers, whose chance variation is binomial
    means: Mask | None  # other ratios, such as the mean of amounts, whose errors can have a long tail
    shift: Floats  # of `to_root_scale` for proportions
    denominator: Floats

    def shift_proportions(self, kinds: Kinds) -> Kinds:
        """Return the kinds with the shift of proportions: Anscombe's for counts, divided by the denominator."""
        return kinds._replace(shift=choose(self.proportions, self.shift, kinds.shift))

    def is_rare(self, share: Floats) -> Mask:
        """Return where few events, or few events of the other kind, are expected in the denominator."""
        rare: Mask = self.denominator * np.minimum(share, 1 - share) < p.RARE_COUNT_MEAN
        return rare

    def rare_variance(self, share: Floats) -> Floats:
        """Return the binomial variance of a proportion that is expected to be `share`, as of rare counts."""
        n = self.denominator
        variance: Floats = (np.maximum(share * (1 - share), 0) + 0.5 / n) / n
        return variance

    def chance_variance(self, share: Floats) -> Floats:
        """Return the variance that chance alone gives the square root of a proportion that is expected to be `share`.

        The delta method on a binomial proportion p of n gives (1 - p) / 4n. One more failure in n keeps it above zero
        where p is 1.
        """
        n = self.denominator
        variance: Floats = p.POISSON_ROOT_VARIANCE / n * (np.maximum(1 - share, 0) + 1 / n)
        return variance


def update_denominators(state: State, values: Floats, denominator: Floats) -> Ratios:
    """Update what is known of denominators, and return their effect; NaN where a series is no ratio or has no value.

    The noise of a mean of n values is a part that shrinks with n and a part that does not; both have the same size at
    the usual n.
    """
    is_ratio = ~np.isnan(denominator)
    n = np.where(is_ratio, np.maximum(denominator, 1e-300), 1.0)
    usual = np.where(np.isnan(state.denominator_mean), n, state.denominator_mean)
    state.denominator_mean = np.where(is_ratio, usual + p.DENOMINATOR_RATE * (n - usual), state.denominator_mean)
    parts = values * n
    is_part = (values >= 0) & (values <= 1) & (n == np.floor(n)) & (np.abs(parts - np.rint(parts)) < 1e-6 * n)
    state.is_proportion &= is_part | ~is_ratio
    if np.count_nonzero(state.is_count & is_ratio):
        state.is_count = state.is_count & ~is_ratio
    noise = np.where(is_ratio, (1 + usual / n) / 2, 1.0)
    proportions, means = if_any(is_ratio & state.is_proportion), if_any(is_ratio & ~state.is_proportion)
    return Ratios(noise, proportions, means, p.ANSCOMBE_SHIFT / usual, n)


class Interval(NamedTuple):
    """An interval of the series: its values, and masks."""

    slot: int
    values: Floats
    present: Mask  # has a value
    absent: Mask | None  # has none
    unscored: Mask | None  # has no value, or too little history


class Outliers(NamedTuple):
    """How the model treats the outliers of an interval: masks of the series."""

    clipped: Mask | None = None  # an outlier from which the model learns only in part
    level_shift: Mask | None = None  # outliers for so long that the model accepts a new level
    slot_pattern: Mask | None = None  # outliers so often in this slot that the model accepts them as usual


def classify_outliers(state: State, interval: Interval, offset: Floats) -> Outliers:
    """Count consecutive outliers on one side, over all slots and in this slot; `offset` is the error in scales."""
    is_outlier = np.abs(offset) > p.OUTLIER_SCALES
    if interval.unscored is not None:
        is_outlier &= ~interval.unscored
    run, slot_run = state.outlier_run, state.slot_outlier_run[interval.slot]
    if interval.absent is None and not np.count_nonzero(is_outlier):
        run.fill(0)
        slot_run.fill(0)
        return Outliers()
    side = np.where(is_outlier, np.sign(offset), 0.0).astype(np.int16)
    np.copyto(run, np.where(side == np.sign(run), run + side, side), where=interval.present)
    np.copyto(slot_run, np.where(side == np.sign(slot_run), slot_run + side, side), where=interval.present)
    level_shift = if_any(np.abs(run) > max(p.LEVEL_SHIFT_DAYS * state.cycle.intervals, p.SLOT_REPEATS))
    slot_pattern = if_any(np.abs(slot_run) > p.SLOT_REPEATS * state.cycle.intervals_per_slot)
    accepted = either(level_shift, slot_pattern)
    return Outliers(if_any(is_outlier if accepted is None else is_outlier & ~accepted), level_shift, slot_pattern)


def update_components(
    state: State, rows: NDArray[np.int64], values: Floats, error: Floats, *,
    components: Floats, variance: Floats, innovation_variance: Floats, mean: Floats, limit: Floats,
    outliers: Outliers, new: Mask | None, noise: Floats | float,
) -> None:  # fmt: skip
    """Correct level, time of day, weekday and interaction by the error: the update of a Kalman filter, without
    covariances.

    In the usual symbols: state x = `components`, its variance P = `variance` (diagonal only), noise variance R =
    `noise`, innovation y = `error`, innovation variance S = R + sum(P), gain K = P / S; x += K y, P = P (1 - K). Huber
    clipping limits y (Huber 1964). `limit` is one scale. Changes the given `components` and `variance` too.
    """
    signed, unobserved = state.kinds.signed, if_any(np.isnan(error))
    if unobserved is not None:
        first_value = np.isnan(mean) & ~np.isnan(values)
        first = choose(signed, clip(values, -1e30, 1e30), np.log(np.maximum(values, 1e-30)))
        components[0] = np.where(first_value, first, components[0])
    accepted = either(outliers.level_shift, outliers.slot_pattern)
    if accepted is not None:
        variance[0] = choose(outliers.level_shift, np.maximum(variance[0], 1.0), variance[0])
        variance[1] = choose(outliers.slot_pattern, np.maximum(variance[1], 1.0), variance[1])
        innovation_variance = noise + variance.sum(axis=0)
    reach = _HUBER_LIMITS * limit
    if state.cycle.is_yearly:
        reach = _YEARLY_HUBER_LIMITS * limit
        new = either(new, if_any(variance[2] >= p.YEARLY_INITIAL_VARIANCE[2]))
    clipped = choose(either(accepted, new), error, clip(error, -reach, reach))
    innovation = choose(signed, clipped, clip(clipped / np.maximum(mean, 1e-30), -0.7, 3.0))
    gain = variance / innovation_variance
    state.components[rows] = components + gain * choose(unobserved, 0.0, innovation)
    state.component_variance[rows] = choose(unobserved, variance, variance * (1.0 - gain))


def update_spread(
    state: State, interval: Interval, error: Floats, *, unit: Floats, usual: Floats,
    floor: Floats, limit: Floats, deviation_factor: Floats, outliers: Outliers, new: Mask | None,
) -> Floats:  # fmt: skip
    """Update the decaying sums of squared errors beyond the floor and of their unit. Return the errors relative to the
    usual spread, whose slow mean is the slot's spread; NaN if the series has none.

    `deviation_factor` is sqrt(S), by which the uncertainty of the expected value enlarges errors; it is divided out.
    """
    size = np.abs(error)
    clipped = np.minimum(size, p.SPREAD_CLIP_SCALES * limit)
    size = choose(either(new, outliers.level_shift), size, clipped) / deviation_factor
    unobserved = if_any(np.isnan(size))
    sums = state.error_sums
    sums *= choose(interval.absent, 1.0, 1 - 1 / spread_memory(state.cycle))
    sums[0] += choose(unobserved, 0.0, np.square(size) - floor)
    sums[1] += choose(unobserved, 0.0, np.maximum(unit, 0.0))
    sums[2] += interval.present
    state.values_seen[interval.slot] += interval.present
    relative = np.minimum(p.MEAN_ABS_TO_SIGMA * size / np.maximum(usual, 1e-150), 2 * p.SPREAD_CLIP_SCALES)
    return choose(new, np.nan, relative)


def spread_memory(cycle: Cycle) -> int:
    """Return the number of values over which the spread is averaged."""
    return p.SPREAD_MEMORY_DAYS_DAILY if cycle.slots == 1 else p.SPREAD_MEMORY_DAYS * cycle.intervals


def update_tail(state: State, interval: Interval, size: Floats, rate: Floats) -> None:
    """Update the share of zeros and the tail factor.

    The tail factor is the quantile that `TAIL_SHARE` of the errors exceed, divided by the same quantile of normal
    errors. The quantile is found by stochastic approximation (Robbins and Monro 1951). `size` is the absolute error in
    scales.
    """
    zero_share, tail_factor = state.zero_share, state.tail_factor
    zero_share += choose(interval.absent, 0.0, rate * ((interval.values == 0.0) - zero_share))
    beyond = size > p.TAIL_QUANTILE * tail_factor
    step = np.where(beyond, 1 + p.TAIL_RATE * (1 - p.TAIL_SHARE), 1 - p.TAIL_RATE * p.TAIL_SHARE)
    state.tail_factor = choose(interval.unscored, tail_factor, clip(tail_factor * step, 1.0, p.MAX_TAIL_FACTOR))


def update_counts(
    state: State, interval: Interval, *,
    uncounted: Mask | None, mean_count: Floats, variance: Floats, outliers: Outliers, rate: Floats,
) -> Floats | None:  # fmt: skip
    """Update the mean of the values that are not zero, and the dispersion of counts and proportions. Return these for
    the slow mean of their slot, NaN if the series has none; None if no series has.

    `uncounted` names the series that are neither.
    """
    values, nonzero_mean = interval.values, state.nonzero_mean
    followed = p.NONZERO_MEAN_MEMORY * nonzero_mean + (1 - p.NONZERO_MEAN_MEMORY) * values
    followed = choose(if_any(np.isnan(nonzero_mean)), values, followed)
    np.copyto(nonzero_mean, followed, where=values > 0.0)
    if uncounted is not None and np.count_nonzero(uncounted) == len(uncounted):
        return None
    unused, dispersion = either(interval.absent, uncounted), state.dispersion
    at_least_poisson = np.maximum(dispersion, 1.0)
    if outliers.clipped is not None:
        reach = p.OUTLIER_SCALES * np.sqrt(at_least_poisson * variance)
        values = np.where(outliers.clipped, clip(values, mean_count - reach, mean_count + reach), values)
    clipped = np.maximum(values, 0.0)
    relative = np.minimum(np.square(clipped - mean_count) / variance, p.RARE_CLIP_SCALES**2 * at_least_poisson)
    dispersion += choose(unused, 0.0, rate * (relative - dispersion))
    return choose(unused, np.nan, np.minimum(clipped, 1e30))


def update_slot_means(state: State, slot: int, relative: Floats, counts: Floats | None) -> None:
    """Add relative errors and counts to the slow means of their slot, and with half the weight to its neighbors.

    NaN changes no mean. The spread starts as if of two values; a daily series has no spread of its own in a slot.
    """
    around, weight = _slots_around(state.slots, slot)
    rows = slice(SPREAD if state.slots > 1 else MEAN, MEAN if counts is None else MEAN + 1)
    values = np.array([relative, relative if counts is None else counts])[rows, None]
    means = state.slot_means[rows, around]
    memory = p.SLOT_MEMORY_DAYS * state.cycle.intervals_per_slot
    change = weight / clip(state.values_seen[slot] + _PRIOR_VALUES[rows], 1.0, memory) * (values - means)
    state.slot_means[rows, around] += choose(if_any(np.isnan(values)), 0.0, change)


@cache
def _slots_around(slots: int, slot: int) -> tuple[slice | NDArray[np.int64], Floats]:
    """Return a slot with its neighbors, and their weights as a column."""
    if slots == 1:
        return slice(0, 1), np.array([[1.0]])
    inside = 0 < slot < slots - 1
    around = slice(slot - 1, slot + 2) if inside else np.array([slot - 1, slot, slot + 1]) % slots
    return around, np.array([[0.5], [1.0], [0.5]])
