"""The state of the model: what it has learned of each series, one array for each quantity. `state` stores it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.detect.cycle import Cycle
from anomalake.detect.parameters import ANSCOMBE_SHIFT, POISSON_ROOT_VARIANCE, initial_variance
from anomalake.detect.transform import Floats, Mask, if_any

Singles = NDArray[np.float32]


class Kinds(NamedTuple):
    """What follows from the kinds of the series."""

    is_count: Mask  # of the state
    is_nonnegative: Mask  # of the state
    counts: Mask | None
    others: Mask | None  # that are no counts
    signed: Mask | None  # that can be negative
    shift: Floats  # of `to_root_scale`
    floor: Floats  # squared error that chance alone gives


@dataclass
class State:
    """What the model has learned of `size` series; `model.score_interval` updates it in place.

    The kinds `is_count` and `is_nonnegative` are replaced when a kind changes, and never changed in place.

    The rows of `components` are the level, the times of day, the seasons (weekdays), and each season's times of day:
    1 + slots + seasons + seasons x slots.
    """

    cycle: Cycle
    size: int = 0
    day: int = -1  # the last day that was scored, as a date's ordinal
    # [component, series]: estimates, as logarithms; as amounts for series that can be negative
    components: Singles = field(init=False)
    component_variance: Singles = field(init=False)  # [component, series]: in units of the noise variance
    error_sums: Floats = field(
        init=False
    )  # [3, series]: decaying sums of squared errors, of their unit, of the number of values
    slot_means: Singles = field(
        init=False
    )  # [2, slot, series]: the slot's spread relative to the spread of all slots; its mean
    values_seen: Singles = field(init=False)  # [slot, series]: number of values
    tail_factor: Floats = field(init=False)  # [series]: factor of the scale of intermittent series
    zero_share: Floats = field(init=False)  # [series]: share of values that are zero
    nonzero_mean: Floats = field(init=False)  # [series]: slow mean of the values that are not zero
    dispersion: Floats = field(init=False)  # [series]: variance of a rare count / (its mean + 1/2)
    outlier_run: NDArray[np.int32] = field(init=False)  # [series]: consecutive outliers, signed by their side
    slot_outlier_run: NDArray[np.int16] = field(init=False)  # [slot, series]: the same for one slot
    is_count: NDArray[np.bool_] = field(init=False)  # [series]: only whole numbers of 0 or more so far
    is_nonnegative: NDArray[np.bool_] = field(init=False)  # [series]: only numbers of 0 or more so far
    kind_change_days: NDArray[np.int16] = field(init=False)  # [series]: recent days with a value of another kind
    last_kind_change: NDArray[np.int32] = field(init=False)  # [series]: the last of these days, as a date's ordinal
    relearned_day: NDArray[np.int32] = field(init=False)  # [series]: the day on which it was learned again; 0: never
    denominator_mean: Floats = field(init=False)  # [series]: slow mean of the denominators of a ratio; NaN: no ratio
    is_proportion: Mask = field(init=False)  # [series]: only parts of whole numbers so far, from 0 to 1

    def __post_init__(self) -> None:
        for name, (shape, dtype, _) in self._layout().items():
            setattr(self, name, np.zeros((*shape, 0), dtype))
        self.grow(self.size)
        self._kinds = _derive_kinds(self.is_count, self.is_nonnegative)

    @property
    def slots(self) -> int:
        """Times of day that the model distinguishes."""
        return self.cycle.slots

    @property
    def kinds(self) -> Kinds:
        """What follows from the kinds of the series, computed again only when a kind has changed."""
        known = self._kinds
        if known.is_count is not self.is_count or known.is_nonnegative is not self.is_nonnegative:
            self._kinds = _derive_kinds(self.is_count, self.is_nonnegative)
        return self._kinds

    def _layout(self) -> dict[str, tuple[tuple[int, ...], Any, float]]:
        """Return each array's leading dimensions, data type and initial value; the last dimension is the series."""
        slots, components = self.slots, sum(self._component_sizes())
        return {
            "components": ((components,), np.float32, 0),
            "component_variance": ((components,), np.float32, 0),
            "error_sums": ((3,), np.float64, 0),
            "slot_means": ((2, slots), np.float32, 0),
            "values_seen": ((slots,), np.float32, 0),
            "tail_factor": ((), np.float64, 1),
            "zero_share": ((), np.float64, 0),
            "nonzero_mean": ((), np.float64, np.nan),
            "dispersion": ((), np.float64, 1),
            "outlier_run": ((), np.int32, 0),
            "slot_outlier_run": ((slots,), np.int16, 0),
            "is_count": ((), np.bool_, True),
            "is_nonnegative": ((), np.bool_, True),
            "kind_change_days": ((), np.int16, 0),
            "last_kind_change": ((), np.int32, 0),
            "relearned_day": ((), np.int32, 0),
            "denominator_mean": ((), np.float64, np.nan),
            "is_proportion": ((), np.bool_, True),
        }

    def _component_sizes(self) -> tuple[int, int, int, int]:
        slots, _, seasons = self.cycle
        return (1, slots, seasons, seasons * slots)

    def grow(self, size: int) -> None:
        """Add series up to `size`, with initial values."""
        added = size - self.components.shape[-1]
        self.size = size
        if not added:
            return
        for name, (shape, dtype, initial) in self._layout().items():
            new = np.full((*shape, added), initial, dtype)
            setattr(self, name, np.concatenate([getattr(self, name), new], axis=-1))
        self.reset(np.arange(size) >= size - added)

    def reset(self, which: NDArray[np.bool_]) -> None:
        """Reset the state of these series to the initial values."""
        initial = by_component(self.slots, initial_variance(self.cycle))
        self.component_variance[:, which] = np.repeat(initial, self._component_sizes(), axis=0)
        self.components[:, which] = self.error_sums[:, which] = self.values_seen[:, which] = 0
        self.slot_means[1][:, which] = 0
        self.slot_means[0][:, which] = 1


def _derive_kinds(is_count: Mask, is_nonnegative: Mask) -> Kinds:
    shift, floor = np.where(is_count, ANSCOMBE_SHIFT, 0.0), np.where(is_count, POISSON_ROOT_VARIANCE, 0.0)
    counts, others, signed = if_any(is_count), if_any(~is_count), if_any(~is_nonnegative)
    return Kinds(is_count, is_nonnegative, counts, others, signed, shift, floor)


ARRAY_NAMES = tuple(item.name for item in fields(State) if not item.init)


def merge_states(states: Sequence[State]) -> State:
    """Return one state with the series of several states that were scored through the same intervals."""
    merged = State(states[0].cycle)
    merged.size, merged.day = sum(state.size for state in states), max(state.day for state in states)
    for name in ARRAY_NAMES:
        setattr(merged, name, np.concatenate([getattr(state, name) for state in states], axis=-1))
    return merged


def by_component(slots: int, values: tuple[float, float, float, float]) -> Floats:
    """Return the values of level, time of day, weekday, interaction as a column; a daily series has no time of day."""
    return np.array(values)[:, None] * (np.array([[1], [0], [1], [0]]) if slots == 1 else 1)
