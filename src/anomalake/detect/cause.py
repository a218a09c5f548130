"""Root cause of an event: the fewest combinations of dimension values that explain it.

The search follows Squeeze (Li et al. 2019) and RiskLoc (Kalander 2022): layer by layer, from all series over single
dimension values to combinations of values, it takes the combination whose series moved together and which covers most
of the deviation that is not explained yet. A series that is not anomalous itself counts as moved if it is closer to the
cause's relative change than to no change (the ripple effect).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.lake.live_data import Series

Floats = NDArray[np.float64]
Dimensions = tuple[int, ...]  # places of dimensions
Groups = tuple[NDArray[np.int64], int]  # the group of each series, and the number of groups

MIN_PURITY = 0.8  # share of a cause's series that moved, weighted by the expected value
MIN_EXPLAINED_SHARE = 0.02  # of the event's deviation; a combination that covers less is no cause
ENOUGH_EXPLAINED_SHARE = 0.98  # of the event's deviation; the search stops there
MAX_CAUSES = 5
MAX_GROUPED_SERIES = 3_000_000  # series x combinations of dimensions that are searched; deeper layers are not
MAX_TEXT_LENGTH = 500  # characters


class Cause(NamedTuple):
    """A combination of dimension values (empty: all series), and its share of the event's |value - expected|."""

    values: tuple[tuple[str, str | None], ...]
    explains: float


class _Observed(NamedTuple):
    """The series of an interval, one entry each."""

    expected: Floats
    error: Floats
    size: Floats
    affected: NDArray[np.bool_]
    deviation: Floats  # share of the event's deviation; 0 if not affected


def find_causes(
    dimensions: Sequence[str], series: Sequence[Series], value: Floats, expected: Floats, affected: NDArray[np.int64]
) -> tuple[Cause, ...]:
    """Find the causes of an event: causes with fewer dimensions first, within a layer the one that explains most first.

    `value` and `expected` have an entry for each of `series` (NaN: unknown, ignored); `affected` are the places of the
    anomalous series. The result does not depend on the order of the series.
    """
    valid = np.flatnonzero(np.isfinite(value) & np.isfinite(expected))
    codes, names = _encode([series[i] for i in valid.tolist()], len(dimensions))
    order = np.lexsort(codes.T) if len(dimensions) else slice(None)
    codes, valid = codes[order], valid[order]
    anomalous = np.zeros(len(series), bool)
    anomalous[affected] = True
    anomalous = anomalous[valid]
    # Divided by the largest number, so that no sum overflows.
    largest = max(1e-300, float(np.max(np.abs([value[valid], expected[valid]]), initial=0)))
    now, usual = value[valid] / largest, expected[valid] / largest
    deviation = np.where(anomalous, np.abs(now - usual), 0.0)
    if not deviation.sum() > 0:
        return ()
    observed = _Observed(usual, now - usual, np.abs(usual) + 1e-9, anomalous, deviation / deviation.sum())
    return tuple(
        Cause(tuple((dimensions[place], names[place][code]) for place, code in cause), min(explains, 1.0))
        for cause, explains in _search(codes, observed)
    )


def _search(codes: NDArray[np.int64], observed: _Observed) -> list[tuple[list[tuple[int, int]], float]]:
    """Return each cause as (place of the dimension, code of the value), and the share that it explains."""
    causes: list[tuple[list[tuple[int, int]], float]] = []
    # Of each series: the deviation that is not explained yet, and 1 if it belongs to no cause yet.
    unexplained, unassigned = observed.deviation.copy(), np.ones(len(codes))
    groups: dict[Dimensions, Groups] = {}  # of the layer
    for layer in _layers(codes):
        groups = {places: _group(codes, places, groups) for places in layer}
        while len(causes) < MAX_CAUSES and unexplained.sum() > 1 - ENOUGH_EXPLAINED_SHARE:
            best = _best_group(groups, observed, unexplained, unassigned)
            if best is None:
                break
            places, number = best
            members = groups[places][0] == number
            first = int(members.argmax())
            causes.append(([(place, int(codes[first, place])) for place in places], float(unexplained[members].sum())))
            unexplained[members] = unassigned[members] = 0
    return causes


def _best_group(
    groups: dict[Dimensions, Groups], observed: _Observed, unexplained: Floats, unassigned: Floats
) -> tuple[Dimensions, int] | None:
    """Return the group with the largest product of covered deviation and purity; None if no group can be a cause."""
    best: tuple[float, Dimensions, int] = (0.0, (), 0)
    for places, (number, count) in groups.items():
        covered = np.bincount(number, unexplained, count)
        if covered.max(initial=0) <= best[0]:
            continue
        purity = _purity(observed, number, count, unassigned)
        merit = np.where((covered >= MIN_EXPLAINED_SHARE) & (purity >= MIN_PURITY), covered * purity, 0.0)
        if (top := float(merit.max(initial=0))) > best[0] * (1 + 1e-9):
            best = (top, places, int(merit.argmax()))
    return best[1:] if best[0] else None


def format_causes(causes: Sequence[Cause]) -> str:
    """Format causes as one line: `platform=pc_web, marketplace=us (83 %); platform=mobile_app (12 %)`."""
    parts = [
        (", ".join(f"{name}={'(null)' if value is None else value}" for name, value in cause.values) or "all series")
        + f" ({100 * cause.explains:.0f} %)"
        for cause in causes
    ]
    line = "; ".join(parts)
    return line if len(line) <= MAX_TEXT_LENGTH else f"{line[: MAX_TEXT_LENGTH - 1]}…"


def _encode(series: Sequence[Series], width: int) -> tuple[NDArray[np.int64], list[list[str | None]]]:
    """Return the series' values as codes [series, dimension], and the values of each dimension by code."""
    codes, names = np.zeros((len(series), width), np.int64), []
    for place in range(width):
        column = [item[place] for item in series]
        values = sorted(set(column), key=lambda value: (value is not None, value or ""))
        code = {value: i for i, value in enumerate(values)}
        codes[:, place] = [code[value] for value in column]
        names.append(values)
    return codes, names


def _layers(codes: NDArray[np.int64]) -> Iterator[list[Dimensions]]:
    """Yield the layers: the combinations of no dimension, of one dimension, of two, and so on.

    The last layer has the combinations of all dimensions, that is, the single series. If the work would exceed
    `MAX_GROUPED_SERIES`, the layers between are left out.
    """
    rows, width = codes.shape
    work = 0
    for depth in range(width + 1):
        layer = list(itertools.combinations(range(width), depth))
        work += rows * len(layer)
        if work > MAX_GROUPED_SERIES and depth < width:
            yield [tuple(range(width))]
            return
        yield layer


def _group(codes: NDArray[np.int64], places: Dimensions, previous: dict[Dimensions, Groups]) -> Groups:
    """Group the series that have the same codes in these dimensions; refines the groups of `previous` by all dimensions
    but the last.
    """
    (number, count), rest = (np.zeros(len(codes), np.int64), 1), places
    if places[:-1] in previous:
        (number, count), rest = previous[places[:-1]], places[-1:]
    for place in rest:
        width = int(codes[:, place].max(initial=0)) + 1
        pair = number * width + codes[:, place]
        if count * width <= 4 * len(codes):  # the same result as below, without sorting
            occurs = np.zeros(count * width, bool)
            occurs[pair] = True
            dense = np.cumsum(occurs) - 1
            number, count = dense[pair], int(dense[-1]) + 1
        else:
            values, number = np.unique(pair, return_inverse=True)
            count = len(values)
    return number, count


def _purity(observed: _Observed, number: NDArray[np.int64], count: int, unassigned: Floats) -> Floats:
    """Return, for each group, the share of its series that moved, weighted by the expected value; series of other
    causes do not count.
    """
    weight, affected = observed.size * unassigned, observed.affected * unassigned
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total_error = np.bincount(number, observed.error * affected, count)
        change = total_error / np.bincount(number, observed.expected * affected, count)
        rippled = np.abs(observed.error - change[number] * observed.expected) < np.abs(observed.error)
        moved = np.bincount(number, weight * (observed.affected | rippled), count)
        purity: Floats = moved / np.bincount(number, weight, count)
    return np.nan_to_num(purity)
