"""The model: expected value, bounds and score of each series, one interval after another. Values in, scored points out.

The expected value is a product: level x time of day x weekday x their interaction (a sum for series that can be
negative). Each series has a Kalman filter for these four components, with Huber clipping of its errors, so that an
outlier moves none of them far. The scale is the spread of recent errors, over all slots and around the same time of
day; for counts it is never less than what chance gives. Rare counts follow their mean. `parameters` holds the
constants, `model_state` what is learned, `model_update` how; docs/detector.md explains the method.

Usual symbols: x = components, P = variance, Q = forgetting (process noise), R = 1 (noise variance), S = 1 + sum(P), K =
P / S.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect import model_update as update
from anomalake.detect import parameters as p
from anomalake.detect.cycle import MONTHS, Cycle
from anomalake.detect.model_state import State, by_component, merge_states
from anomalake.detect.score import distance_from_score, score_from_distance
from anomalake.detect.transform import Floats, clip, from_root_scale, to_root_scale

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
    """
    if day < state.day:
        raise ValueError(f"day {day} comes before day {state.day}, which is scored already")
    state.day = day
    present = ~np.isnan(values)
    ratios = None if denominator is None else update.update_denominators(state, values, denominator)
    update.update_kinds(state, day, values, present)
    prediction = _predict(state, day, slot, ratios)
    scale = _estimate_scale(state, slot, prediction, ratios)
    measured = values
    if length_ratio is not None:
        expected = from_root_scale(scale.center, scale.shift)
        values = _closest_to_expected(expected, values, length_ratio)
    on_root_scale = to_root_scale(values, prediction.shift)
    offset = (np.where(scale.is_rare, values, on_root_scale) - scale.center) / scale.width
    scored = prediction.is_known & (state.values_seen[slot] >= p.min_history_values(state.cycle)) & present
    _learn(state, slot, values, prediction, scale, offset=offset, on_root_scale=on_root_scale, scored=scored, ratios=ratios)

    reach, distance = distance_from_score(sensitivity) * scale.width, np.abs(offset)
    reaches = (reach, reach)
    if weights is not None:
        distance, reaches = distance * np.where(offset < 0, *weights), (reach / weights[0], reach / weights[1])
    lower, expected, upper = _bounds(state, scale, reaches, length_ratio)
    blank = np.where(scored, 0.0, np.nan)
    return Points(measured, expected + blank, lower + blank, upper + blank, score_from_distance(distance) + blank)


class _Prediction(NamedTuple):
    """What the Kalman filter predicts for an interval, one entry for each series; shape [component, series] for
    `variance`.
    """

    rows: NDArray[np.int64]  # of `State.components`: level, time of day, weekday, interaction
    shift: Floats  # of `to_root_scale`
    is_known: NDArray[np.bool_]  # has had a value
    mean: Floats  # the expected value, on the root scale
    variance: Floats  # P, with this interval's forgetting
    total_variance: Floats  # sum(P)
    deviation_factor: Floats  # sqrt(S / R)
    noise: Floats | float  # R: 1, and more for a ratio with a small denominator


def _predict(state: State, day: int, slot: int, ratios: update.Ratios | None) -> _Prediction:
    """Predict an interval: x is the sum of the components (of logarithms, so a product of factors), P grows by Q."""
    nonnegative = np.where(state.is_nonnegative, 0.0, np.nan)
    shift = np.where(state.is_count, p.ANSCOMBE_SHIFT, nonnegative)
    season, (slots, _, seasons) = state.cycle.find_season(day), state.cycle
    rows = np.array([0, 1 + slot, 1 + slots + season, 1 + slots + seasons + season * slots + slot])
    noise: Floats | float = 1.0
    if ratios is not None:
        shift = np.where(ratios.is_proportion, ratios.shift, shift)
        noise = ratios.noise
    is_known = state.error_sums[2] > 0
    variance = state.component_variance[rows] + _forgetting(state.cycle)
    total = variance.sum(axis=0)
    mean = state.components[rows].sum(axis=0, dtype=float)
    mean = np.where(is_known, np.where(state.is_nonnegative, np.exp(np.minimum(mean, 350)), mean), np.nan)
    return _Prediction(rows, shift, is_known, mean, variance, total, np.sqrt(1 + total / noise), noise)


@cache
def _forgetting(cycle: Cycle) -> Floats:
    """Return Q for an interval, as a column: a time of day comes once a day, a weekday with each of its intervals."""
    if cycle.seasons == MONTHS:
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
    mean_count: Floats  # mean count, or mean proportion, in this slot
    count_variance: Floats  # variance that chance gives such a count or proportion, if it is rare
    is_rare: NDArray[np.bool_]  # a rare count, which is not on the root scale
    shift: Floats  # of `from_root_scale` for `center`
    center: Floats  # the expected value, on the scale that is scored
    width: Floats  # the scale of the errors, with all uncertainty


def _estimate_scale(state: State, slot: int, prediction: _Prediction, ratios: update.Ratios | None) -> _Scale:
    """Estimate the scale of an interval's errors from recent errors and the history."""
    mean, values_seen = prediction.mean, state.values_seen[slot]
    squares, units, number = state.error_sums
    unit = np.where(state.is_nonnegative, np.square(mean) - np.where(state.is_count, p.ANSCOMBE_SHIFT, 0), 1.0)
    floor = np.where(state.is_count, p.POISSON_ROOT_VARIANCE, 0.0)
    if ratios is not None:
        unit = (unit - np.where(ratios.is_proportion, ratios.shift, 0)) * ratios.noise
        floor = np.where(ratios.is_proportion, ratios.chance_variance(np.square(mean)), floor)
    # If the values are zero at night, a value close to zero is not an error.
    min_unit = p.MIN_UNIT_SHARE**2 * units / np.maximum(number, 1)
    usual = np.sqrt(np.maximum(squares, 0) / np.maximum(units, 1e-300) * np.maximum(unit, min_unit) + floor)
    relative = state.slot_means[update.SPREAD, slot]
    spread = np.fmax(usual * np.sqrt(relative), p.MIN_MEAN_SHARE * np.abs(mean)) + 1e-150

    mean_count = state.slot_means[update.MEAN, slot].astype(float)
    # Counts of single events, and not sums (for example of minutes), whose nonzero values are large.
    is_rare = state.is_count & (mean_count < p.RARE_COUNT_MEAN) & ~(state.nonzero_mean > 2 * p.RARE_COUNT_MEAN)
    intermittent = state.is_nonnegative & (state.zero_share > p.INTERMITTENT_ZERO_SHARE)
    count_variance = mean_count + 0.5
    if ratios is not None:
        count_variance = np.where(ratios.is_proportion, ratios.rare_variance(mean_count), count_variance)
        intermittent &= ~ratios.is_proportion
        is_rare |= ratios.is_proportion & ratios.is_rare(mean_count)
    series_mean = np.maximum(state.nonzero_mean, 0) * (1 - state.zero_share)
    spread = np.where(intermittent, np.fmax(spread, p.INTERMITTENT_MIN_SPREAD * np.sqrt(series_mean)), spread)

    rare_width = np.sqrt(np.maximum(state.dispersion, 1) * count_variance)
    width = np.where(is_rare, rare_width, np.where(intermittent, spread * state.tail_factor, spread))
    width = width * prediction.deviation_factor * (1 + p.EARLY_SCALE_DAYS / np.maximum(values_seen, 1))
    uncertain = (prediction.total_variance >= p.UNCERTAIN_VARIANCE) | (values_seen < p.SETTLED_DAYS)
    width = np.where(uncertain & ~is_rare, np.hypot(width, p.EARLY_UNCERTAINTY_SHARE * np.abs(mean)), width)
    return _Scale(
        unit, floor, usual, spread, mean_count, count_variance, is_rare, np.where(is_rare, np.nan, prediction.shift),
        np.where(is_rare & prediction.is_known, mean_count, mean), width,
    )  # fmt: skip


def _learn(
    state: State, slot: int, values: Floats, prediction: _Prediction, scale: _Scale, *,
    offset: Floats, on_root_scale: Floats, scored: NDArray[np.bool_], ratios: update.Ratios | None,
) -> None:  # fmt: skip
    """Update everything that the state holds with an interval's values."""
    outliers = update.classify_outliers(state, slot, np.where(scored, offset, 0.0), ~np.isnan(values))
    mean, deviation_factor = prediction.mean, prediction.deviation_factor
    error, limit = on_root_scale - mean, scale.spread * deviation_factor
    update.update_components(
        state, prediction.rows, on_root_scale, error,
        variance=prediction.variance, mean=mean, limit=limit, outliers=outliers, noise=prediction.noise,
    )  # fmt: skip
    update.update_spread(
        state, slot, values, error, unit=scale.unit, usual=scale.usual, floor=scale.floor,
        limit=limit, deviation_factor=deviation_factor, outliers=outliers,
    )  # fmt: skip
    # The rate of slow means; at first all values have the same weight.
    rate = np.maximum(1 / update.spread_memory(state.cycle), 1 / (state.error_sums[2] + 1))
    is_counted = state.is_count if ratios is None else state.is_count | ratios.is_proportion
    update.update_counts(
        state, slot, np.where(is_counted, values, np.nan), values,
        mean_count=scale.mean_count, variance=scale.count_variance, outliers=outliers, rate=rate,
    )  # fmt: skip
    update.update_tail(state, values, np.abs(error) / limit, scored, rate)


def _bounds(
    state: State, scale: _Scale, reaches: tuple[Floats, Floats], length_ratio: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Return lower bound, expected value and upper bound in the unit of the values; `reaches` are the distances of the
    bounds.
    """
    lower, upper = (
        clip(from_root_scale(scale.center + side * reach, scale.shift), -p.MAX_BOUND, p.MAX_BOUND)
        for side, reach in zip((-1, 1), reaches, strict=True)
    )
    lower = np.where(state.is_nonnegative, np.maximum(lower, 0), lower)
    expected = from_root_scale(scale.center, scale.shift)
    if length_ratio is None:
        return lower, expected, upper
    return np.minimum(lower, lower * length_ratio), expected * length_ratio, np.maximum(upper, upper * length_ratio)


def _closest_to_expected(expected: Floats, values: Floats, length_ratio: Floats) -> Floats:
    """Return what an interval of the usual length may have had: from value / `length_ratio` to the value, as close as
    possible to the expected one.
    """
    part = values / length_ratio
    closest = clip(expected, np.minimum(values, part), np.maximum(values, part))
    return np.where(np.isnan(expected), values, closest)
