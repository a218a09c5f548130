"""What the model computes with: choices between series, and the scale on which errors have a similar size.

That scale is the square root for a series that is never negative, else the value itself. A mask names the series that
need special treatment; it is None if no series does, so that the usual interval skips their work.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_Other = TypeVar("_Other", Floats, float)


def if_any(which: Mask) -> Mask | None:
    """Return the mask, or None if it names no series."""
    return which if np.count_nonzero(which) else None


def either(first: Mask | None, second: Mask | None) -> Mask | None:
    """Return the union of two masks."""
    if first is None or second is None:
        return second if first is None else first
    return first | second


def choose(which: Mask | None, chosen: Floats | float, otherwise: _Other) -> Floats | _Other:
    """Return `chosen` for the series that the mask names, `otherwise` for others."""
    return otherwise if which is None else np.where(which, chosen, otherwise)


def clip(values: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """Limit values to `low` and `high`. Gives what numpy's `clip` gives, and is faster for few series."""
    return np.minimum(np.maximum(values, low), high)


def to_root_scale(values: Floats, shift: Floats, linear: Mask | None) -> Floats:
    """Return sqrt(value + shift), Anscombe's transform for counts (1948); the value itself for `linear` series.

    `shift` is 3/8 for counts and 0 for others. A negative value of a series that was never negative lies as far below
    the root of zero as the positive value of the same size lies above it.
    """
    root = np.sqrt(np.maximum(values, 0.0) + shift)
    if np.count_nonzero(values < 0.0):
        root -= np.sqrt(np.maximum(-values, 0.0))
    return choose(linear, values, root)


def from_root_scale(values: Floats, shift: Floats, linear: Mask | None) -> Floats:
    """Return the inverse of `to_root_scale`, for values of shape [..., series]."""
    return choose(linear, values, np.maximum(np.square(np.maximum(values, 0.0)) - shift, 0.0))
