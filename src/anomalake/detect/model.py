"""Expected value, band and score of each series, one interval after another: a robust structural model. Values in, scored points out.

What is expected is a product: level x time of day x weekday x their interaction (a sum for series that can be negative), each part learned by a
Kalman filter whose errors are clipped, so that an outlier moves nothing far. The scale is the spread of recent errors, over all hours and around the
same time of day, for counts never less than what chance alone gives. Rare counts follow their mean. docs/detector.md explains it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.score import distance_from_score, score_from_distance

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

HISTORY_DAYS = 57  # of live data that a detector which knows nothing is taught
MIN_HISTORY_DAYS = {1: 14, 24: 4, 144: 2, 288: 1}  # by slots a day; days of values at a time of day before it is scored
UNSURE = 1.5  # variance of the expected value, in that of the noise, above which it is unsure: a weekday never seen
SETTLED_DAYS = 9  # of values at a time of day; before, and where it is unsure, ...
NEW = 0.25  # ... what is expected may be off by as much of it, as a scale
EARLY = 2.0  # of the scale, by days: with little history it is less sure
# Of the parts level, time of day, weekday, interaction, in the variance of the noise: what is not known at first, and what is forgotten with each day
# (of the level: with each interval).
AT_FIRST = (10.0, 10.0, 3.0, 1.0)
FORGOTTEN = (1e-4, 2e-3, 2e-3, 2e-3)
LEARNED = (1.0, 1.0, 1.0, 3.0)  # scales, by part; what is further out is learned only as far as that (Huber's clipping)
FAR = 3.75  # scales; further out is taken for no noise
DAYS_TO_LEARN = 2  # far out in a row before that is the new level
# Days with a value of another kind (the first negative ones, the first fractions of a rare count) before the series is learned again; of a daily
# series as many values. A day counts where no more than `KIND_MEMORY_DAYS` lie between it and the one before.
DAYS_TO_RELEARN, DAYS_TO_RELEARN_DAILY, KIND_MEMORY_DAYS = 2, 3, 28
REPEATS_TO_LEARN = 3  # times a slot may be far out on one side before that is how it is
FEWEST_TO_CLIP = 7  # values, and a day of them, before the spread is known well enough to clip by
SPREAD_CLIP = 2.5  # scales; a greater error counts as this one in the spread
RARE_CLIP = 4.0  # the same of rare counts, whose great values are part of them
FITFUL = 0.25  # share of zeros; above, a series is fitful
FITFUL_LEAST = 0.5  # of the root of its mean; no less is its spread
TAIL, TAIL_AT = (
    0.02,
    2.326,
)  # the share of errors that is to be beyond so many scales; where more is, a fitful series' scale is wider
TAIL_PACE, WIDEST = 0.05, 10.0  # how fast that is followed, a value; how many times wider it gets
SPREAD_DAYS = 21  # memory of the spread over all slots; of a daily series `SPREAD_DAYS_DAILY`
SPREAD_DAYS_DAILY = 365
LOCAL_DAYS = 28  # memory of a slot's own spread and mean, with its neighbours'
MEAN_TO_SIGMA = 1.2533  # of absolute errors, were they normal
SMALLEST = 0.1  # of a series' usual size, on the scale of roots; errors are measured against no less
NONZERO_MEMORY = 0.98  # of the mean of values that are not zero, a value
POISSON = 0.25  # a Poisson count's variance on the square root scale
LARGEST = 1e300  # a bound
RARE = 5.0  # counts below this an interval follow their mean


class Points(NamedTuple):
    """The scored interval, one entry a series (NaN where there is no value or not yet history enough)."""

    value: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats  # 0 to 100


@dataclass
class State:
    """What the model remembers of `size` series; `step` changes it in place. Rows of `parts`: level, slots, weekdays, weekdays x slots."""

    slots: int  # intervals a day
    size: int = 0
    day: int = -1  # the last day stepped through, as an ordinal
    parts: Singles = field(
        default_factory=lambda: np.empty(0, np.float32)
    )  # [part, series]: logarithms (of series that can be negative, amounts)
    unsure: Singles = field(
        default_factory=lambda: np.empty(0, np.float32)
    )  # [part, series]: variance of `parts`, in that of the noise
    spread: Floats = field(
        default_factory=lambda: np.empty(0)
    )  # [3, series]: fading sums of squared errors, of their unit, of values
    local: Singles = field(
        default_factory=lambda: np.empty(0, np.float32)
    )  # [2, slot, series]: the slot's spread, in that of all; its mean
    seen: Singles = field(default_factory=lambda: np.empty(0, np.float32))  # [slot, series]: values there were
    tail: Floats = field(
        default_factory=lambda: np.empty(0)
    )  # [series]: how many times wider the scale is for errors that are far out too often
    zeros: Floats = field(default_factory=lambda: np.empty(0))  # [series]: the share of values that are zero
    nonzero: Floats = field(default_factory=lambda: np.empty(0))  # [series]: slow mean of the values that are not zero
    dispersion: Floats = field(
        default_factory=lambda: np.empty(0)
    )  # [series]: variance of a rare count, in its mean + 1/2
    run: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))  # intervals far out in a row, signed
    habit: NDArray[np.int16] = field(
        default_factory=lambda: np.empty(0, np.int16)
    )  # [slot, series]: times far out in a row at this slot, signed
    counts: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))  # whole numbers >= 0 so far
    positive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))  # numbers >= 0 so far
    strange_days: NDArray[np.int16] = field(
        default_factory=lambda: np.empty(0, np.int16)
    )  # days with a value of another kind, lately
    strange_last: NDArray[np.int32] = field(
        default_factory=lambda: np.empty(0, np.int32)
    )  # the last of them, as an ordinal
    relearned: NDArray[np.int32] = field(
        default_factory=lambda: np.empty(0, np.int32)
    )  # the day on which it was learned again; 0: never

    def __post_init__(self) -> None:
        sizes = (1, self.slots, 7, 7 * self.slots)
        self.parts, self.unsure = (np.zeros((sum(sizes), 0), np.float32) for _ in range(2))
        self.spread, self.local = np.zeros((3, 0)), np.zeros((2, self.slots, 0), np.float32)
        self.seen, self.habit = np.zeros((self.slots, 0), np.float32), np.zeros((self.slots, 0), np.int16)
        self.grow(self.size)

    def grow(self, size: int) -> None:
        """Make room for series that appear."""
        more = size - self.parts.shape[-1]
        fresh: dict[str, float] = {
            "parts": 0,
            "unsure": 0,
            "spread": 0,
            "local": 0,
            "seen": 0,
            "tail": 1,
            "zeros": 0,
            "nonzero": np.nan,
            "dispersion": 1,
        }
        fresh |= {
            "run": 0,
            "habit": 0,
            "counts": True,
            "positive": True,
            "strange_days": 0,
            "strange_last": 0,
            "relearned": 0,
        }
        for name, value in fresh.items() if more else ():
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full((*old.shape[:-1], more), value, old.dtype)], axis=-1))
        self.size = size
        if more:
            self.forget(np.arange(size) >= size - more)

    def forget(self, which: NDArray[np.bool_]) -> None:
        """Let these series begin anew."""
        self.unsure[:, which] = np.repeat(_of_kinds(self.slots, AT_FIRST), (1, self.slots, 7, 7 * self.slots), axis=0)
        self.parts[:, which] = self.spread[:, which] = self.seen[:, which] = self.local[1][:, which] = 0
        self.local[0][:, which] = 1


def merge_states(several: Sequence[State]) -> State:
    """One state of the series of several, which were stepped through the same intervals."""
    whole = State(several[0].slots)
    whole.size, whole.day = sum(state.size for state in several), max(state.day for state in several)
    for one in fields(State):
        if one.name not in ("slots", "size", "day"):
            setattr(whole, one.name, np.concatenate([getattr(state, one.name) for state in several], axis=-1))
    return whole


def _of_kinds(slots: int, variances: tuple[float, float, float, float]) -> Floats:
    """The variances of level, time of day, weekday, interaction as a column; a daily series has no time of day."""
    return np.array(variances)[:, None] * (np.array([[1], [0], [1], [0]]) if slots == 1 else 1)


@cache
def _forgotten(slots: int) -> Floats:
    """What is forgotten with an interval, as a column: a time of day comes once a day, a weekday with each of its intervals."""
    forgotten: Floats = _of_kinds(slots, FORGOTTEN) / np.array([[1], [1], [slots], [1]])
    return forgotten


def score_interval(
    state: State, day: int, slot: int, values: Floats, sensitivity: float, *,
    weight: tuple[Floats, Floats] | None = None, stretch: Floats | None = None,
) -> Points:  # fmt: skip
    """Score an interval's values (NaN: none) against what came before it, then learn from them.

    Parameters: `day` as a date's ordinal, not before the last one; `slot` from 0; `values` of shape (`state.size`,), any unit.
    The band is where the score stays below `sensitivity`. `weight`: how many times a distance below, and above, what is expected counts; once if not
    given. `stretch`: how many times its usual length the interval has, for each series (1 for a mean), where clocks are set in it. How much came in
    the additional time is not known, so no value between once and `stretch` times the expected one is an anomaly.
    """
    if day < state.day:
        raise ValueError(f"day {day} comes before day {state.day}, which was scored already")
    state.day = day
    present = ~np.isnan(values)
    _kinds(state, day, values, present)
    shift = np.where(state.counts, 0.375, np.where(state.positive, 0.0, np.nan))
    rows = np.array([0, 1 + slot, 1 + state.slots + day % 7, 8 + state.slots + (day % 7) * state.slots + slot])
    born = state.spread[2] > 0
    unsure = state.unsure[rows] + _forgotten(state.slots)
    total = unsure.sum(axis=0)
    doubt = np.sqrt(1 + total)

    mean = state.parts[rows].sum(axis=0, dtype=float)
    mean = np.where(born, np.where(state.positive, np.exp(np.minimum(mean, 350)), mean), np.nan)
    unit = np.where(state.positive, np.square(mean) - np.where(state.counts, 0.375, 0), 1.0)
    floor = np.where(state.counts, POISSON, 0.0)
    least = (
        SMALLEST**2 * state.spread[1] / np.maximum(state.spread[2], 1)
    )  # where nights are zero, what is next to nothing is no error
    usual = np.sqrt(
        np.maximum(state.spread[0], 0) / np.maximum(state.spread[1], 1e-300) * np.maximum(unit, least) + floor
    )
    spread = np.fmax(usual * np.sqrt(state.local[0, slot]), 0.0005 * np.abs(mean)) + 1e-150

    rate = state.local[1, slot].astype(float)
    rare = state.counts & (rate < RARE) & ~(state.nonzero > 2 * RARE)  # counts of single things; not sums of minutes
    fitful = state.positive & (state.zeros > FITFUL)  # now nothing, now much: no spread tells how far that goes
    spread = np.where(
        fitful, np.fmax(spread, FITFUL_LEAST * np.sqrt(np.maximum(state.nonzero, 0) * (1 - state.zeros))), spread
    )
    root = np.where(rare, np.nan, shift)
    center = np.where(rare & born, rate, mean)
    width = np.where(
        rare, np.sqrt(np.maximum(state.dispersion, 1) * (rate + 0.5)), np.where(fitful, spread * state.tail, spread)
    )
    scale = width * doubt * (1 + EARLY / np.maximum(state.seen[slot], 1))
    scale = np.where(
        ((total >= UNSURE) | (state.seen[slot] < SETTLED_DAYS)) & ~rare, np.hypot(scale, NEW * np.abs(mean)), scale
    )
    enough = state.seen[slot] >= MIN_HISTORY_DAYS[state.slots]
    known = born & enough
    measured = values
    if stretch is not None:
        values = _nearest(_uneven(center, root), values, stretch)
    even = _even(values, shift)
    offset = (np.where(rare, values, even) - center) / scale
    far = _far(state, slot, np.where(known & present, offset, 0.0), present)
    error, limit = even - mean, spread * doubt
    _learn_parts(state, rows, even, error, unsure=unsure, mean=mean, limit=limit, far=far)
    _learn_spread(state, slot, values, error, unit=unit, usual=usual, floor=floor, limit=limit, doubt=doubt, far=far)
    pace = np.maximum(
        1 / _remembered(state.slots), 1 / (state.spread[2] + 1)
    )  # of a slow mean: all values count alike at first
    _learn_rate(state, slot, values, rate=rate, far=far, pace=pace)
    _learn_tail(state, values, np.abs(error) / limit, known & present, pace)

    shown = np.where(known & present, 0.0, np.nan)
    reach, distance = distance_from_score(sensitivity) * scale, np.abs(offset)
    reaches = (reach, reach)
    if weight is not None:
        distance, reaches = distance * np.where(offset < 0, *weight), (reach / weight[0], reach / weight[1])
    lower, upper = (
        _within(_uneven(center + side * wide, root), -LARGEST, LARGEST)
        for side, wide in zip((-1, 1), reaches, strict=True)
    )
    lower, expected = np.where(state.positive, np.maximum(lower, 0), lower), _uneven(center, root)
    if stretch is not None:
        lower, expected, upper = (
            np.minimum(lower, lower * stretch),
            expected * stretch,
            np.maximum(upper, upper * stretch),
        )
    return Points(measured, expected + shown, lower + shown, upper + shown, score_from_distance(distance) + shown)


def _nearest(expected: Floats, values: Floats, stretch: Floats) -> Floats:
    """What an interval of the usual length may have had: between the value and its `stretch`th part, as near to what is expected as possible."""
    part = values / stretch
    near = _within(expected, np.minimum(values, part), np.maximum(values, part))
    return np.where(np.isnan(expected), values, near)


def _within(values: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """The values, no less than `low` and no more than `high` (as numpy's `clip`, which costs more for few series)."""
    return np.minimum(np.maximum(values, low), high)


def _even(values: Floats, shift: Floats) -> Floats:
    """The scale on which errors are alike: the root of what is never negative (plus 3/8 for counts, Anscombe 1948), else as it is (`shift` NaN).

    A negative value of a series that was never negative lies as far below the root of zero as a positive one of its size lies above.
    """
    return np.where(np.isnan(shift), values, np.sqrt(np.maximum(values, 0) + shift) - np.sqrt(np.maximum(-values, 0)))


def _uneven(values: Floats, shift: Floats) -> Floats:
    """The inverse of `_even`."""
    return np.where(np.isnan(shift), values, np.maximum(np.square(np.maximum(values, 0)) - shift, 0))


def _kinds(state: State, day: int, values: Floats, present: NDArray[np.bool_]) -> None:
    """Note which series are no longer counts, or no longer positive.

    A value of another kind needs another scale, and what was learned on the old one is then forgotten. A series that is scored already keeps its
    scale, by which such values are anomalies, until they come on several days.
    """
    negative = present & state.positive & (values < 0)
    fraction = present & state.counts & (values != np.floor(values))
    strange = negative | (fraction & (state.parts[0] < np.log(RARE) / 2))
    state.counts = state.counts & ~(fraction & ~strange)
    if not strange.any():
        return
    recent = day - state.strange_last <= KIND_MEMORY_DAYS
    days = np.where(recent, state.strange_days + (state.strange_last != day), 1)
    state.strange_days = np.where(strange, days, state.strange_days).astype(np.int16)
    state.strange_last = np.where(strange, day, state.strange_last).astype(np.int32)
    scored = np.zeros(len(values), bool)
    scored[strange] = state.seen[:, strange].max(axis=0) >= MIN_HISTORY_DAYS[state.slots]
    changes = strange & (
        ~scored | (state.strange_days > (DAYS_TO_RELEARN_DAILY if state.slots == 1 else DAYS_TO_RELEARN))
    )
    state.relearned = np.where(changes & scored, day, state.relearned).astype(np.int32)
    state.strange_days[changes] = state.strange_last[changes] = 0
    state.forget(changes & (state.spread[2] > 0))
    state.counts, state.positive = state.counts & ~changes, state.positive & ~(changes & negative)


class Far(NamedTuple):
    """What is to be made of an interval's values that are far out, one entry a series."""

    out: NDArray[np.bool_]  # far out, and not to be learned whole
    lasting: NDArray[np.bool_]  # far out for long: the level is another one
    habit: NDArray[np.bool_]  # far out again and again at this time of day: that is how it is


def _far(state: State, slot: int, offset: Floats, present: NDArray[np.bool_]) -> Far:
    """Count how long, and how often at this slot, a series has been far out on one side."""
    side = np.where(np.abs(offset) > FAR, np.sign(offset), 0).astype(np.int16)
    state.run = np.where(present, np.where(side == np.sign(state.run), state.run + side, side), state.run)
    habit = state.habit[slot]
    state.habit[slot] = np.where(present, np.where(side == np.sign(habit), habit + side, side), habit)
    lasting = np.abs(state.run) > max(DAYS_TO_LEARN * state.slots, REPEATS_TO_LEARN)
    usual = np.abs(state.habit[slot]) > REPEATS_TO_LEARN
    return Far((side != 0) & ~lasting & ~usual, lasting, usual)


def _learn_parts(
    state: State,
    rows: NDArray[np.int64],
    values: Floats,
    error: Floats,
    *,
    unsure: Floats,
    mean: Floats,
    limit: Floats,
    far: Far,
) -> None:
    """Share the error among level, time of day, weekday and interaction by how unsure each is (a Kalman filter, its covariances left out)."""
    newborn = np.isnan(mean) & ~np.isnan(values)
    if newborn.any():
        first = np.where(state.positive, np.log(np.maximum(values, 1e-30)), _within(values, -1e30, 1e30))
        state.parts[0] = np.where(newborn, first, state.parts[0])
    unsure[0] = np.where(far.lasting, np.maximum(unsure[0], 1), unsure[0])
    unsure[1] = np.where(far.habit, np.maximum(unsure[1], 1), unsure[1])
    taken = far.lasting | far.habit | (state.spread[2] < max(state.slots, FEWEST_TO_CLIP))
    reach = np.array(LEARNED)[:, None] * limit
    learned = np.where(taken, error, _within(error, -reach, reach))
    relative = np.where(state.positive, _within(learned / np.maximum(mean, 1e-30), -0.7, 3), learned)
    moves = ~np.isnan(error)
    gain = unsure / (1 + unsure.sum(axis=0))
    state.parts[rows] += gain * np.where(moves, relative, 0)
    state.unsure[rows] = np.where(moves, unsure * (1 - gain), unsure)


def _learn_spread(
    state: State,
    slot: int,
    values: Floats,
    error: Floats,
    *,
    unit: Floats,
    usual: Floats,
    floor: Floats,
    limit: Floats,
    doubt: Floats,
    far: Far,
) -> None:
    """Slow means of squared errors beyond the floor and of their unit; and, of the slot and its neighbours, of the error in what is usual."""
    present, young = ~np.isnan(values), state.spread[2] < max(state.slots, FEWEST_TO_CLIP)
    size = np.abs(error)
    size = np.where(young | far.lasting, size, np.minimum(size, SPREAD_CLIP * limit)) / doubt
    memory = 1 - 1 / _remembered(state.slots)
    learned = np.where(np.isnan(size), 0, (np.square(size) - floor, np.maximum(unit, 0), present))
    state.spread = np.where(present, memory, 1.0) * state.spread + learned
    state.spread[2] += present & np.isnan(size)
    if state.slots > 1:
        relative = np.minimum(MEAN_TO_SIGMA * size / np.maximum(usual, 1e-150), 2 * SPREAD_CLIP)
        _smear(state, 0, slot, np.where(young, np.nan, relative), 2)
    state.seen[slot] += present


def _remembered(slots: int) -> int:
    """How many values the spread is made of."""
    return SPREAD_DAYS_DAILY if slots == 1 else SPREAD_DAYS * slots


def _learn_tail(state: State, values: Floats, size: Floats, taken: NDArray[np.bool_], pace: Floats) -> None:
    """Follow the share of zeros, and the error that only `TAIL` of all exceed (Robbins and Monro 1951), in what it were if errors were normal."""
    state.zeros = np.where(np.isnan(values), state.zeros, state.zeros + pace * ((values == 0) - state.zeros))
    beyond = size > TAIL_AT * state.tail
    moved = _within(state.tail * (1 + TAIL_PACE * (beyond - TAIL)), 1, WIDEST)
    state.tail = np.where(taken, moved, state.tail)


def _learn_rate(state: State, slot: int, values: Floats, *, rate: Floats, far: Far, pace: Floats) -> None:
    """The mean and dispersion of counts that are rare, and the size of what is not zero."""
    seen = values > 0
    state.nonzero = np.where(
        seen,
        np.where(np.isnan(state.nonzero), values, NONZERO_MEMORY * state.nonzero + (1 - NONZERO_MEMORY) * values),
        state.nonzero,
    )
    values = np.where(state.counts, values, np.nan)
    present = ~np.isnan(values)
    variance = rate + 0.5
    reach = FAR * np.sqrt(np.maximum(state.dispersion, 1) * variance)
    within = np.maximum(np.where(far.out, _within(values, rate - reach, rate + reach), values), 0)
    relative = np.minimum(np.square(within - rate) / variance, RARE_CLIP**2 * np.maximum(state.dispersion, 1))
    state.dispersion = np.where(present, state.dispersion + pace * (relative - state.dispersion), state.dispersion)
    _smear(state, 1, slot, np.minimum(within, 1e30), 0)


def _smear(state: State, kind: int, slot: int, values: Floats, prior: int) -> None:
    """Take values into the slow mean of their slot, and half as much into its neighbours'; `prior` values were there before the first."""
    around = np.array([slot - 1, slot, slot + 1]) % state.slots if state.slots > 1 else np.array([slot])
    weight = np.array([[0.5], [1.0], [0.5]]) if state.slots > 1 else np.ones((1, 1))
    pace = weight / _within(state.seen[slot] + prior, 1, LOCAL_DAYS)
    old = state.local[kind, around]
    state.local[kind, around] = np.where(np.isnan(values), old, old + pace * (values - old))
