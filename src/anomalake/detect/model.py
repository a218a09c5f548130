"""The model: expected value, bounds and score of each series, one interval after another. Values in, scored points out.

The expected value is a product: level x time of day x weekday x their interaction (a sum for series that can be
negative). Each series has a Kalman filter for these four components, with Huber clipping of its errors, so that an
outlier moves none of them far. The scale is the spread of recent errors, over all slots and around the same time of
day; for counts it is never less than what chance gives. Rare counts follow their mean. `parameters` holds the
constants, `model_state` what is learned, `model_update` how; docs/detector.md explains the method.

The exceptional series of an interval, such as those without a value, are in masks. A mask is None if it names no
series, so an interval costs only the work that its series need.

Usual symbols: x = components, P = variance, Q = forgetting (process noise), R = 1 (noise variance), S = 1 + sum(P), K =
P / S.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import model_update as update
from anomalake.detect import parameters as p
from anomalake.detect.cycle import Cycle
from anomalake.detect.model_state import Kinds, State, by_component, merge_states
from anomalake.detect.score import distance_from_score, score_from_distance
from anomalake.detect.transform import Floats, Mask, choose, clip, either, from_root_scale, if_any, to_root_scale

__all__ = ["Floats", "Points", "State", "merge_states", "score_interval"]


class Points(NamedTuple):
    """A scored interval, one entry for each series:

    NaN without a value. Without enough history, all fields except `value` are NaN.
    """

    value: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats  # 0 to 100


def score_interval(
    state: State, day: int, slot: int, values: Floats, sensitivity: float, *,
    weights: tuple[Floats, Floats] | None = None, length_ratio: Floats | None = None,
    denominator: Floats | None = None,
) -> Points:  # fmt: skip
    """Score an interval's values against what came before it, then update the state with them.

    Args:
        state: what the model has learned; updated in place.
        day: the date's ordinal. Raises `ValueError` if it lies before the state's last day.
        slot: the time of day, from 0 to `state.slots` - 1.
        values: shape (`state.size`,), in any unit; NaN without a value.
        sensitivity: the bounds are where the score reaches this.
        weights: factors of the distance below, and above, the expected value, for each series; 1 if not given.
        length_ratio: the interval's length / its usual length, for each series (1 for a mean), when clocks change. The
            share of the value that came in the additional time is unknown, so no value between the expected one and
            `length_ratio` times the expected one is an anomaly.
        denominator: of each value that is a ratio; NaN for others. The smaller it is, the more the ratio varies by
            chance.
    """
    if day < state.day:
        raise ValueError(f"day {day} comes before day {state.day}, which is scored already")
    state.day = day
    is_absent = np.isnan(values)
    present, absent = ~is_absent, if_any(is_absent)
    ratios = None if denominator is None else update.update_denominators(state, values, denominator)
    update.update_kinds(state, day, values, present)
    kinds = state.kinds if ratios is None else ratios.shift_proportions(state.kinds)
    prediction = _predict(state, day, slot, 1.0 if ratios is None else ratios.noise)
    scale = _estimate_scale(state, slot, prediction, kinds, ratios)
    measured = values
    if length_ratio is not None:
        expected = from_root_scale(scale.center, kinds.shift, scale.linear)
        values = _closest_to_expected(expected, values, length_ratio)
    on_root_scale = to_root_scale(values, kinds.shift, kinds.signed)
    offset = (choose(scale.rare, values, on_root_scale) - scale.center) / scale.width
    early = if_any(state.values_seen[slot] < p.min_history_values(state.cycle))
    unscored = either(either(early, absent), prediction.unknown)
    interval = update.Interval(slot, values, present, absent, unscored)
    _learn(state, interval, prediction, scale, offset=offset, on_root_scale=on_root_scale)

    reach, distance = distance_from_score(sensitivity) * scale.width, np.abs(offset)
    reaches = (reach, reach)
    if weights is not None:
        distance, reaches = distance * np.where(offset < 0, *weights), (reach / weights[0], reach / weights[1])
    blank = choose(unscored, np.nan, 0.0)
    lower, expected, upper = _bounds(kinds, scale, reaches, length_ratio) + blank
    return Points(measured, expected, lower, upper, score_from_distance(distance) + blank)


class _Prediction(NamedTuple):
    """What the Kalman filter predicts for an interval, one entry for each series; shape [component, series] for
    `components` and `variance`.
    """

    rows: NDArray[np.int64]  # of `State.components`: level, time of day, weekday, interaction
    new: Mask | None  # has too few values for its errors to be clipped
    unknown: Mask | None  # has had no value
    mean: Floats  # the expected value, on the root scale
    components: Floats  # x
    variance: Floats  # P, with this interval's forgetting
    total_variance: Floats  # sum(P)
    noise: Floats | float  # R: 1, and more for a ratio with a small denominator
    innovation_variance: Floats  # S
    deviation_factor: Floats  # sqrt(S / R)


def _predict(state: State, day: int, slot: int, noise: Floats | float) -> _Prediction:
    """Predict an interval: x is the sum of the components (of logarithms, so a product of factors), P grows by Q."""
    rows = _component_rows(state.cycle, state.cycle.find_season(day), slot)
    number = state.error_sums[2]
    new = if_any(number < max(state.cycle.intervals, p.MIN_VALUES_TO_CLIP))
    unknown = None if new is None else if_any(number <= 0.0)
    components = state.components.take(rows, axis=0).astype(float)
    variance = state.component_variance.take(rows, axis=0) + _forgetting(state.cycle)
    total = variance.sum(axis=0)
    mean = components.sum(axis=0)
    mean = choose(unknown, np.nan, choose(state.kinds.signed, mean, np.exp(np.minimum(mean, 350.0))))
    innovation_variance = noise + total
    deviation_factor = np.sqrt(innovation_variance / noise)
    return _Prediction(
        rows, new, unknown, mean, components, variance, total, noise, innovation_variance, deviation_factor
    )


@cache
def _component_rows(cycle: Cycle, season: int, slot: int) -> NDArray[np.int64]:
    """Return the rows of `State.components` that an interval has."""
    slots, _, seasons = cycle
    return np.array([0, 1 + slot, 1 + slots + season, 1 + slots + seasons + season * slots + slot])


@cache
def _forgetting(cycle: Cycle) -> Floats:
    """Return Q for an interval, as a column: a time of day comes once a day, a weekday with each of its intervals."""
    if cycle.is_yearly:
        return by_component(cycle.slots, p.YEARLY_FORGETTING)
    times = np.array([[1], [cycle.intervals_per_slot], [cycle.intervals], [cycle.intervals_per_slot]])
    forgetting: Floats = by_component(cycle.slots, p.FORGETTING_PER_DAY) / times
    return forgetting


class _Scale(NamedTuple):
    """The usual size of errors of an interval, one entry for each series."""

    unit: Floats  # of squared errors: the variance of a count, relative to the Poisson variance, follows it
    floor: Floats  # squared error that chance alone gives
    usual: Floats  # spread over all slots
    spread: Floats  # spread in this slot
    uncounted: Mask | None  # series that are neither counts nor proportions
    mean_count: Floats  # mean count or proportion in this slot
    count_variance: Floats  # variance that chance gives a rare count or proportion
    rare: Mask | None  # rare counts, which are not on the root scale
    linear: Mask | None  # series that are not on the root scale
    center: Floats  # the expected value, on the scale that is scored
    width: Floats  # the scale of the errors, with all uncertainty


def _estimate_scale(
    state: State, slot: int, prediction: _Prediction, kinds: Kinds, ratios: update.Ratios | None
) -> _Scale:
    """Estimate the scale of an interval's errors from recent errors and the history."""
    mean, values_seen, floor = prediction.mean, state.values_seen[slot], kinds.floor
    squares, units, number = state.error_sums
    unit = choose(kinds.signed, 1.0, np.square(mean) - kinds.shift)
    if ratios is not None:
        unit = unit * ratios.noise
        floor = choose(ratios.proportions, ratios.chance_variance(np.square(mean)), floor)
    # If the values are zero at night, a value close to zero is not an error.
    min_unit = p.MIN_UNIT_SHARE**2 * units / np.maximum(number, 1.0)
    relative_variance = np.maximum(squares, 0.0) / np.maximum(units, 1e-300)
    usual = np.sqrt(relative_variance * np.maximum(unit, min_unit) + floor)
    relative = state.slot_means[update.SPREAD, slot]
    min_spread = p.MIN_MEAN_SHARE * np.abs(mean)
    spread = np.fmax(usual * np.sqrt(relative), min_spread) + 1e-150
    is_intermittent = state.is_nonnegative & (state.zero_share > p.INTERMITTENT_ZERO_SHARE)
    if ratios is not None and ratios.proportions is not None:
        is_intermittent &= ~ratios.proportions
    intermittent = if_any(is_intermittent)
    if intermittent is not None:
        series_mean = np.maximum(state.nonzero_mean, 0.0) * (1.0 - state.zero_share)
        min_spread = p.INTERMITTENT_MIN_SPREAD * np.sqrt(series_mean)
        spread = np.where(intermittent, np.fmax(spread, min_spread), spread)
    long_tailed = intermittent if ratios is None else either(intermittent, ratios.means)
    width = choose(long_tailed, spread * state.tail_factor, spread)

    mean_count, rare, center = state.slot_means[update.MEAN, slot].astype(float), None, mean
    uncounted, count_variance = kinds.others, mean_count + 0.5
    if kinds.counts is not None:
        # Counts of single events, and not sums (for example of minutes), whose nonzero values are large.
        is_sum = state.nonzero_mean > 2 * p.RARE_COUNT_MEAN
        rare = if_any(kinds.counts & (mean_count < p.RARE_COUNT_MEAN) & ~is_sum)
    if ratios is not None and ratios.proportions is not None:
        uncounted = if_any(~(kinds.is_count | ratios.proportions))
        count_variance = np.where(ratios.proportions, ratios.rare_variance(mean_count), count_variance)
        rare = either(rare, if_any(ratios.proportions & ratios.is_rare(mean_count)))
    if rare is not None:
        width = np.where(rare, np.sqrt(np.maximum(state.dispersion, 1.0) * count_variance), width)
        center = choose(prediction.unknown, np.nan, np.where(rare, mean_count, mean))
    width = width * prediction.deviation_factor
    width *= 1.0 + p.EARLY_SCALE_DAYS / np.maximum(values_seen, 1.0)
    uncertain = if_any((prediction.total_variance >= p.UNCERTAIN_VARIANCE) | (values_seen < p.SETTLED_DAYS))
    if uncertain is not None:
        uncertain_width = np.hypot(width, p.EARLY_UNCERTAINTY_SHARE * np.abs(mean))
        width = choose(rare, width, np.where(uncertain, uncertain_width, width))
    linear = either(kinds.signed, rare)
    return _Scale(unit, floor, usual, spread, uncounted, mean_count, count_variance, rare, linear, center, width)


def _learn(
    state: State, interval: update.Interval, prediction: _Prediction, scale: _Scale, *,
    offset: Floats, on_root_scale: Floats,
) -> None:  # fmt: skip
    """Update everything that the state holds with an interval's values; `offset` is the error in scales."""
    outliers = update.classify_outliers(state, interval, offset)
    new, deviation_factor = prediction.new, prediction.deviation_factor
    error, limit = on_root_scale - prediction.mean, scale.spread * deviation_factor
    update.update_components(
        state, prediction.rows, on_root_scale, error, components=prediction.components,
        variance=prediction.variance, innovation_variance=prediction.innovation_variance,
        mean=prediction.mean, limit=limit, outliers=outliers, new=new, noise=prediction.noise,
    )  # fmt: skip
    relative = update.update_spread(
        state, interval, error, unit=scale.unit, usual=scale.usual, floor=scale.floor, limit=limit,
        deviation_factor=deviation_factor, outliers=outliers, new=new,
    )  # fmt: skip
    # The rate of slow means; at first all values have the same weight.
    rate = np.maximum(1 / update.spread_memory(state.cycle), 1.0 / (state.error_sums[2] + 1.0))
    counts = update.update_counts(
        state, interval, uncounted=scale.uncounted, mean_count=scale.mean_count,
        variance=scale.count_variance, outliers=outliers, rate=rate,
    )  # fmt: skip
    update.update_slot_means(state, interval.slot, relative, counts)
    update.update_tail(state, interval, np.abs(error) / limit, rate)


def _bounds(kinds: Kinds, scale: _Scale, reaches: tuple[Floats, Floats], length_ratio: Floats | None) -> Floats:
    """Return lower bound, expected value and upper bound in the unit of the values, shape [3, series]; `reaches` are
    the distances of the bounds.
    """
    bounds = np.array([scale.center - reaches[0], scale.center, scale.center + reaches[1]])
    bounds = from_root_scale(bounds, kinds.shift, scale.linear)
    bounds[::2] = clip(bounds[::2], -p.MAX_BOUND, p.MAX_BOUND)
    lower, expected, upper = bounds
    if scale.linear is not None:
        bounds[0] = choose(kinds.signed, lower, np.maximum(lower, 0.0))
    if length_ratio is not None:
        bounds[0] = np.minimum(lower, lower * length_ratio)
        bounds[1] = expected * length_ratio
        bounds[2] = np.maximum(upper, upper * length_ratio)
    return bounds


def _closest_to_expected(expected: Floats, values: Floats, length_ratio: Floats) -> Floats:
    """Return what an interval of the usual length may have had: from value / `length_ratio` to the value, as close as
    possible to the expected one.
    """
    part = values / length_ratio
    closest = clip(expected, np.minimum(values, part), np.maximum(values, part))
    return np.where(np.isnan(expected), values, closest)
