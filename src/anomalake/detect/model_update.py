"""How the model learns from an interval:

Kalman filter, Huber clipping, exponential forgetting. Each function updates a `State` in place.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import parameters as p
from anomalake.detect.cycle import MONTHS, Cycle
from anomalake.detect.model_state import State
from anomalake.detect.transform import Floats, clip

SPREAD, MEAN = 0, 1  # rows of `State.slot_means`


def update_kinds(state: State, day: int, values: Floats, present: NDArray[np.bool_]) -> None:
    """Record which series stop being counts, or stop being non-negative.

    A value of another kind needs another scale, so what was learned on the old scale is forgotten. A series that is
    scored already keeps its scale, and such values are anomalies, until they come on several days.
    """
    negative = present & state.is_nonnegative & (values < 0)
    fraction = present & state.is_count & (values != np.floor(values))
    changed = negative | (fraction & (state.components[0] < np.log(p.RARE_COUNT_MEAN) / 2))
    state.is_count = state.is_count & ~(fraction & ~changed)
    if not changed.any():
        return
    recent = day - state.last_kind_change <= p.KIND_CHANGE_MEMORY_DAYS * (12 if state.cycle.seasons == MONTHS else 1)
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
    is_proportion: NDArray[np.bool_]  # parts of whole numbers, whose chance variation is binomial
    shift: Floats  # of `to_root_scale` for proportions
    denominator: Floats

    def is_rare(self, share: Floats) -> NDArray[np.bool_]:
        """Return where few events, or few events of the other kind, are expected in the denominator."""
        rare: NDArray[np.bool_] = self.denominator * np.minimum(share, 1 - share) < p.RARE_COUNT_MEAN
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
    state.is_count &= ~is_ratio
    noise = np.where(is_ratio, (1 + usual / n) / 2, 1.0)
    return Ratios(noise, is_ratio & state.is_proportion, p.ANSCOMBE_SHIFT / usual, n)


class Outliers(NamedTuple):
    """How the model treats the outliers of an interval, one entry for each series."""

    clipped: NDArray[np.bool_]  # an outlier from which the model learns only in part
    level_shift: NDArray[np.bool_]  # outliers for so long that the model accepts a new level
    slot_pattern: NDArray[np.bool_]  # outliers so often in this slot that the model accepts them as usual


def classify_outliers(state: State, slot: int, offset: Floats, present: NDArray[np.bool_]) -> Outliers:
    """Count consecutive outliers on one side, over all slots and in this slot; `offset` is the error in scales."""
    side = np.where(np.abs(offset) > p.OUTLIER_SCALES, np.sign(offset), 0).astype(np.int16)
    run, slot_run = state.outlier_run, state.slot_outlier_run[slot]
    state.outlier_run = np.where(present, np.where(side == np.sign(run), run + side, side), run)
    state.slot_outlier_run[slot] = np.where(
        present, np.where(side == np.sign(slot_run), slot_run + side, side), slot_run
    )
    level_shift = np.abs(state.outlier_run) > max(p.LEVEL_SHIFT_DAYS * state.cycle.intervals, p.SLOT_REPEATS)
    slot_pattern = np.abs(state.slot_outlier_run[slot]) > p.SLOT_REPEATS * state.cycle.intervals_per_slot
    return Outliers((side != 0) & ~level_shift & ~slot_pattern, level_shift, slot_pattern)


def update_components(
    state: State,
    rows: NDArray[np.int64],
    values: Floats,
    error: Floats,
    *,
    variance: Floats,
    mean: Floats,
    limit: Floats,
    outliers: Outliers,
    noise: Floats | float,
) -> None:
    """Correct level, time of day, weekday and interaction by the error: the update of a Kalman filter, without
    covariances.

    In the usual symbols, with noise variance R = 1: state x = `components`, its variance P = `variance` (diagonal
    only), innovation y = `error`, innovation variance S = 1 + sum(P), gain K = P / S; x += K y, P = P (1 - K). Huber
    clipping limits y (Huber 1964). `limit` is one scale.
    """
    first_value = np.isnan(mean) & ~np.isnan(values)
    if first_value.any():
        first = np.where(state.is_nonnegative, np.log(np.maximum(values, 1e-30)), clip(values, -1e30, 1e30))
        state.components[0] = np.where(first_value, first, state.components[0])
    variance = variance.copy()
    variance[0] = np.where(outliers.level_shift, np.maximum(variance[0], 1), variance[0])
    variance[1] = np.where(outliers.slot_pattern, np.maximum(variance[1], 1), variance[1])
    unclipped = outliers.level_shift | outliers.slot_pattern | _is_new(state)
    if state.cycle.seasons == MONTHS:
        unclipped = unclipped | (variance[2] >= p.YEARLY_INITIAL_VARIANCE[2])
    reach = np.array(p.HUBER_LIMIT_SCALES if state.cycle.seasons != MONTHS else p.YEARLY_HUBER_LIMIT_SCALES)[:, None] * limit
    clipped = np.where(unclipped, error, clip(error, -reach, reach))
    innovation = np.where(state.is_nonnegative, clip(clipped / np.maximum(mean, 1e-30), -0.7, 3), clipped)
    observed = ~np.isnan(error)
    gain = variance / (noise + variance.sum(axis=0))
    state.components[rows] += gain * np.where(observed, innovation, 0)
    state.component_variance[rows] = np.where(observed, variance * (1 - gain), variance)


def update_spread(
    state: State,
    slot: int,
    values: Floats,
    error: Floats,
    *,
    unit: Floats,
    usual: Floats,
    floor: Floats,
    limit: Floats,
    deviation_factor: Floats,
    outliers: Outliers,
) -> None:
    """Update the decaying sums of squared errors beyond the floor and of their unit, and the slot's spread relative to
    the usual one.

    `deviation_factor` is sqrt(S), by which the uncertainty of the expected value enlarges errors; it is divided out.
    """
    present, is_new = ~np.isnan(values), _is_new(state)
    size = np.abs(error)
    clipped = np.minimum(size, p.SPREAD_CLIP_SCALES * limit)
    size = np.where(is_new | outliers.level_shift, size, clipped) / deviation_factor
    decay = 1 - 1 / spread_memory(state.cycle)
    added = np.where(np.isnan(size), 0, (np.square(size) - floor, np.maximum(unit, 0), present))
    state.error_sums = np.where(present, decay, 1.0) * state.error_sums + added
    state.error_sums[2] += present & np.isnan(size)
    if state.slots > 1:
        relative = np.minimum(p.MEAN_ABS_TO_SIGMA * size / np.maximum(usual, 1e-150), 2 * p.SPREAD_CLIP_SCALES)
        _update_slot_mean(state, SPREAD, slot, np.where(is_new, np.nan, relative), prior_values=2)
    state.values_seen[slot] += present


def spread_memory(cycle: Cycle) -> int:
    """Return the number of values over which the spread is averaged."""
    return p.SPREAD_MEMORY_DAYS_DAILY if cycle.slots == 1 else p.SPREAD_MEMORY_DAYS * cycle.intervals


def update_tail(state: State, values: Floats, size: Floats, scored: NDArray[np.bool_], rate: Floats) -> None:
    """Update the share of zeros and the tail factor.

    The tail factor is the quantile that `TAIL_SHARE` of the errors exceed, divided by the same quantile of normal
    errors. The quantile is found by stochastic approximation (Robbins and Monro 1951). `size` is the absolute error in
    scales.
    """
    zero_share = state.zero_share
    state.zero_share = np.where(np.isnan(values), zero_share, zero_share + rate * ((values == 0) - zero_share))
    beyond = size > p.TAIL_QUANTILE * state.tail_factor
    moved = clip(state.tail_factor * (1 + p.TAIL_RATE * (beyond - p.TAIL_SHARE)), 1, p.MAX_TAIL_FACTOR)
    state.tail_factor = np.where(scored, moved, state.tail_factor)


def update_counts(
    state: State,
    slot: int,
    counts: Floats,
    values: Floats,
    *,
    mean_count: Floats,
    variance: Floats,
    outliers: Outliers,
    rate: Floats,
) -> None:
    """Update the mean and the dispersion of counts and proportions, and the mean of the values that are not zero."""
    nonzero_mean = state.nonzero_mean
    followed = p.NONZERO_MEAN_MEMORY * nonzero_mean + (1 - p.NONZERO_MEAN_MEMORY) * values
    state.nonzero_mean = np.where(values > 0, np.where(np.isnan(nonzero_mean), values, followed), nonzero_mean)
    values = counts
    present = ~np.isnan(values)
    reach = p.OUTLIER_SCALES * np.sqrt(np.maximum(state.dispersion, 1) * variance)
    clipped = np.where(outliers.clipped, clip(values, mean_count - reach, mean_count + reach), values)
    clipped = np.maximum(clipped, 0)
    largest = p.RARE_CLIP_SCALES**2 * np.maximum(state.dispersion, 1)
    relative = np.minimum(np.square(clipped - mean_count) / variance, largest)
    state.dispersion = np.where(present, state.dispersion + rate * (relative - state.dispersion), state.dispersion)
    _update_slot_mean(state, MEAN, slot, np.minimum(clipped, 1e30), prior_values=0)


def _is_new(state: State) -> NDArray[np.bool_]:
    """Return which series have too few values for their errors to be clipped."""
    is_new: NDArray[np.bool_] = state.error_sums[2] < max(state.cycle.intervals, p.MIN_VALUES_TO_CLIP)
    return is_new


def _update_slot_mean(state: State, row: int, slot: int, values: Floats, *, prior_values: int) -> None:
    """Add values to the slow mean of their slot, and with half the weight to its neighbors; the mean starts as if of
    `prior_values` values.
    """
    around = np.array([slot - 1, slot, slot + 1]) % state.slots if state.slots > 1 else np.array([slot])
    weight = np.array([[0.5], [1.0], [0.5]]) if state.slots > 1 else np.ones((1, 1))
    rate = weight / clip(state.values_seen[slot] + prior_values, 1, p.SLOT_MEMORY_DAYS * state.cycle.intervals_per_slot)
    old = state.slot_means[row, around]
    state.slot_means[row, around] = np.where(np.isnan(values), old, old + rate * (values - old))
