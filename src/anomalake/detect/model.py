"""Expected value, band and score of each series, one interval after another: a robust seasonal model. Values in, scored points out.

What is expected is a mixture of medians (the same time of day over two weeks, the same time of the week over eight weeks), each also with a slow
correction of its level; an expert that was wrong lately weighs little. The scale is the spread of recent errors around the same time of day, for
counts never less than what chance alone gives. A point far outside is not learned from, unless it lasts or recurs. docs/detector.md explains it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HISTORY_DAYS = 57
DAYS_FOR_TIME_OF_DAY = 14
WEEKS_FOR_TIME_OF_WEEK = 8
FEWEST_DAYS = {1: 14}  # by slots a day; days of values at a time of day before it is scored
FEWEST_DAYS_OTHERWISE = 4
DAYS_WITHOUT_WEEKDAY = 12  # of the last fourteen; else the same weekday must have been seen, or the first weekend would be one long false alarm
ERROR_MEMORY = 0.97  # of an expert's mean absolute error, an interval
NONZERO_MEMORY = 0.98  # of the mean of values that are not zero, a value
WEIGHT_POWER = -4.0
FAR = 4.0  # scales; further out is not learned from
DAYS_TO_LEARN = 2  # far out in a row before that is the new level
REPEATS_TO_LEARN = 3  # times a slot may be far out on one side before that is how it is
TAIL = 0.9
MEDIAN_TO_SIGMA, TAIL_TO_SIGMA = 1.4826, 1 / 1.6449  # of the absolute errors, were they normal
POISSON = 0.5  # a Poisson count's standard deviation on the square root scale
RARE = 5.0  # counts below this an interval follow their mean, not their median
HALF_SCORE_AT = 5.0  # scales at which the score is 50


class Points(NamedTuple):
    """The scored interval, one entry a series (NaN where there is no value or not yet history enough)."""

    value: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats  # 0 to 100


@dataclass
class State:
    """What the model remembers of `size` series; `step` changes it in place."""

    slots: int  # intervals a day
    size: int = 0
    day: int = -1  # the last day stepped through, as an ordinal
    history: Floats = field(default_factory=lambda: np.empty(0))  # [day, slot, series]: values as learned, those far out drawn in
    expected: Floats = field(default_factory=lambda: np.empty(0))  # [day, slot, series]: what was expected
    bias: Floats = field(default_factory=lambda: np.empty(0))  # [expert, series]: slow mean of an expert's errors
    wrong: Floats = field(default_factory=lambda: np.empty(0))  # [expert, series]: mean absolute error
    nonzero: Floats = field(default_factory=lambda: np.empty(0))  # [series]: slow mean of the values that are not zero
    run: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # intervals far out in a row, signed
    habit: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # [slot, series]: times far out in a row at this slot, signed
    counts: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))  # whole numbers >= 0 so far
    positive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))  # numbers >= 0 so far

    def __post_init__(self) -> None:
        self.history = np.full((HISTORY_DAYS, self.slots, 0), np.nan)
        self.expected = np.full((HISTORY_DAYS, self.slots, 0), np.nan)
        self.bias, self.wrong = np.zeros((2, 0)), np.full((4, 0), np.nan)
        self.habit = np.zeros((self.slots, 0), np.int64)
        self.grow(self.size)

    def grow(self, size: int) -> None:
        """Make room for series that appear."""
        more = size - self.history.shape[-1]
        fresh: dict[str, float] = dict.fromkeys(("history", "expected", "wrong", "nonzero"), np.nan)
        fresh |= {"bias": 0, "run": 0, "habit": 0, "counts": True, "positive": True}
        for name, value in fresh.items() if more else ():
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((*old.shape[:-1], more), value, old.dtype)], axis=-1))
        self.size = size


def score_of(distance: Floats) -> Floats:
    """0 to 100 of a distance in scales: 50 at `HALF_SCORE_AT`, and half of what is missing to 100 with each such step more."""
    return 100 * (1 - np.exp2(-distance / HALF_SCORE_AT))


def distance_of(score: float) -> float:
    """The distance in scales that gives the score (below 100)."""
    return float(-HALF_SCORE_AT * np.log2(1 - min(score, 99.9999) / 100))


def step(state: State, day: int, slot: int, values: Floats, sensitivity: float) -> Points:
    """Score an interval's values (NaN: none) against what came before it, then learn from them.

    Parameters: `day` as a date's ordinal, not before the last one; `slot` from 0; `values` of shape (`state.size`,), any unit.
    The band is where the score stays below `sensitivity`.
    """
    _turn(state, day)
    state.counts &= ~((values < 0) | (values != np.floor(values))) | np.isnan(values)
    state.positive &= ~(values < 0)
    recent = (day - np.arange(1, DAYS_FOR_TIME_OF_DAY + 1)) % HISTORY_DAYS
    weekly = (day - 7 * np.arange(1, WEEKS_FOR_TIME_OF_WEEK + 1)) % HISTORY_DAYS
    nearby = np.ix_(recent, np.unique(np.array([slot - 1, slot, slot + 1]) % state.slots))
    same_time, around = state.history[recent, slot], _stacked(state.history[nearby])
    rate = np.nansum(around, axis=0) / np.maximum(np.count_nonzero(~np.isnan(around), axis=0), 1)
    rare = state.counts & (rate < RARE) & ~(state.nonzero > 2 * RARE)  # counts of single things; not sums of minutes

    shift = np.where(state.counts, 0.375, np.where(state.positive, 0.0, np.nan))
    seasonal = _even(np.stack([_quantile(same_time, 0.5), _quantile(state.history[weekly, slot], 0.5)]), shift)
    experts = np.concatenate([seasonal, seasonal + state.bias])
    expected = _uneven(_mix(experts, state.wrong), shift)
    expected = np.where(rare & ~np.isnan(expected), rate, expected)

    root = np.where(rare, np.nan, shift)
    errors = _even(around, root) - _even(_stacked(state.expected[nearby]), root)
    center, days_known = _even(expected, root), np.count_nonzero(~np.isnan(same_time), axis=0)
    scale = _scale(errors, center, np.where(rare, np.sqrt(np.maximum(expected, 0) + 0.5), np.where(state.counts, POISSON / 2, 0.0)))
    scale *= 1 + 2 / np.maximum(days_known, 1)  # little history: less sure
    weekly_known = (state.slots == 1) | ~np.isnan(state.history[weekly, slot]).all(axis=0) | (days_known >= DAYS_WITHOUT_WEEKDAY)
    days_seen = np.count_nonzero(~np.isnan(state.history[:, slot]), axis=0)
    known = (days_seen >= FEWEST_DAYS.get(state.slots, FEWEST_DAYS_OTHERWISE)) & weekly_known
    distance = np.where(known, (_even(values, root) - center) / scale, np.nan)

    far = [_uneven(center + side * FAR * scale, root) for side in (-1, 1)]
    _learn(state, day, slot, values, experts=experts, expected=expected, shift=shift, distance=distance, within=np.clip(values, *far))
    shown = np.where(known & ~np.isnan(values), 0.0, np.nan)
    reach = distance_of(sensitivity) * scale
    lower, upper = (_uneven(center + side * reach, root) for side in (-1, 1))
    lower = np.where(state.positive, np.maximum(lower, 0), lower)
    return Points(values, expected + shown, lower + shown, upper + shown, score_of(np.abs(distance)))


def _even(values: Floats, shift: Floats) -> Floats:
    """The scale on which errors are alike: the root of what is never negative (plus 3/8 for counts, Anscombe 1948), else as it is (`shift` NaN)."""
    return np.where(np.isnan(shift), values, np.sqrt(np.maximum(values, 0) + np.nan_to_num(shift)))


def _uneven(values: Floats, shift: Floats) -> Floats:
    """The inverse of `_even`."""
    return np.where(np.isnan(shift), values, np.maximum(np.square(np.maximum(values, 0)) - np.nan_to_num(shift), 0))


def _stacked(days: Floats) -> Floats:
    """[day, slot, series] as [day x slot, series]."""
    return days.reshape(days.shape[0] * days.shape[1], days.shape[2])


def _turn(state: State, day: int) -> None:
    """Clear the days that begin."""
    if state.day < 0:
        state.day = day - 1
    if day < state.day:
        raise ValueError(f"day {day} comes before day {state.day}, which was scored already")
    for new in range(max(state.day + 1, day - HISTORY_DAYS + 1), day + 1):
        state.history[new % HISTORY_DAYS] = np.nan
        state.expected[new % HISTORY_DAYS] = np.nan
    state.day = day


def _quantile(stack: Floats, share: float) -> Floats:
    """The quantile over the first axis of what is not NaN (NaN where nothing is), interpolated."""
    ordered = np.sort(stack, axis=0)  # NaN last
    last = np.maximum(np.count_nonzero(~np.isnan(ordered), axis=0) - 1, 0)
    place = share * last
    low = place.astype(np.int64)
    columns = np.arange(stack.shape[1])
    below, above = ordered[low, columns], ordered[np.minimum(low + 1, last), columns]
    quantile: Floats = below + (above - below) * (place - low)
    return quantile


def _mix(experts: Floats, wrong: Floats) -> Floats:
    """The mean of the experts that know something, weighted by their recent errors to the power of -4."""
    known = ~np.isnan(experts)
    weight = np.where(known, np.maximum(np.nan_to_num(wrong, nan=np.inf), 1e-12) ** WEIGHT_POWER, 0.0)
    weight = np.where(known.any(axis=0) & (weight.sum(axis=0) == 0), known, weight)  # nothing to go by yet: all the same
    weight /= np.maximum(weight.max(axis=0), 1e-300)
    total = weight.sum(axis=0)
    mixed: Floats = np.where(total > 0, np.sum(weight * np.nan_to_num(experts), axis=0) / np.maximum(total, 1e-300), np.nan)
    return mixed


def _scale(errors: Floats, center: Floats, floor: Floats) -> Floats:
    """The spread that was usual around this time of day, of the body or of the tail, whichever is wider; never less than the floor."""
    size = np.abs(errors)
    spread = np.fmax(MEDIAN_TO_SIGMA * _quantile(size, 0.5), TAIL_TO_SIGMA * _quantile(size, TAIL))
    scale: Floats = np.fmax.reduce([spread, floor, 0.0005 * np.abs(center), np.full(len(floor), 1e-150)])
    return scale


def _learn(
    state: State, day: int, slot: int, values: Floats, *, experts: Floats, expected: Floats, shift: Floats, distance: Floats, within: Floats
) -> None:
    """Take the interval into the memory; a value far out only as far as `within` lets it, unless it lasts or recurs."""
    present = ~np.isnan(values)
    side = np.where(np.abs(np.nan_to_num(distance)) > FAR, np.sign(np.nan_to_num(distance)), 0).astype(np.int64)
    state.run = np.where(present, np.where(side == np.sign(state.run), state.run + side, side), state.run)
    habit = state.habit[slot]
    state.habit[slot] = np.where(present, np.where(side == np.sign(habit), habit + side, side), habit)
    lasting = np.abs(state.run) > max(DAYS_TO_LEARN * state.slots, REPEATS_TO_LEARN)
    usual = (side == 0) | lasting | (np.abs(state.habit[slot]) > REPEATS_TO_LEARN)
    seen = present & (values != 0)
    state.nonzero = np.where(
        seen, np.where(np.isnan(state.nonzero), values, NONZERO_MEMORY * state.nonzero + (1 - NONZERO_MEMORY) * values), state.nonzero
    )
    place = day % HISTORY_DAYS
    state.history[place, slot] = np.where(usual | np.isnan(within), values, within)
    state.expected[place, slot] = np.where(present, expected, np.nan)
    wrongness = _even(values, shift) - experts
    fresh = usual & ~np.isnan(wrongness)
    state.wrong = np.where(fresh, np.where(np.isnan(state.wrong), np.abs(wrongness),
                                           ERROR_MEMORY * state.wrong + (1 - ERROR_MEMORY) * np.abs(wrongness)), state.wrong)  # fmt: skip
    memory = 1 - 2 / (max(state.slots // 2, 3) + 1)
    state.bias = np.where(fresh[:2], memory * state.bias + (1 - memory) * wrongness[:2], state.bias)
