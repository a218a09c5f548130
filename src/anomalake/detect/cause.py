"""Root cause of an event: the fewest combinations of dimension values that explain it. Pure.

After the line of Squeeze (Li et al. 2019) and RiskLoc (Kalander 2022): layer by layer, from everything over single values to combinations, the one is
taken whose series moved together and which covers the most of the deviation not yet explained. Series below a cause that are not anomalous by
themselves count as moved where they are nearer to the cause's relative change than to no change (the ripple effect).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.lake.live_data import Series

Floats = NDArray[np.float64]

PURE = 0.8  # of a cause's series, weighed by what is expected of them, have moved
WORTH = 0.02  # of the event's deviation; what covers less is no cause
ENOUGH = 0.98  # of it explained
MOST_CAUSES = 5
MOST_WORK = 3_000_000  # series x combinations of dimensions that are looked at; deeper layers beyond are not
MOST_TOLD = 500  # characters


class Cause(NamedTuple):
    """A combination: the dimensions it names and their values (none: everything), and its share of the event's |value - expected|."""

    values: tuple[tuple[str, str | None], ...]
    explains: float


class _Seen(NamedTuple):
    """What an interval says of its series, an entry each."""

    expected: Floats
    error: Floats
    size: Floats
    affected: NDArray[np.bool_]
    deviation: Floats  # its share of the event's; 0 where not affected


def find_causes(
    dimensions: Sequence[str], series: Sequence[Series], value: Floats, expected: Floats, affected: NDArray[np.int64]
) -> tuple[Cause, ...]:
    """The causes of an event, the widest first, of one layer the most explaining; the same in whatever order the series come.

    `value` and `expected` have an entry for each of `series` (NaN: not known, left out); `affected` are the places of the anomalous ones.
    """
    known = np.flatnonzero(np.isfinite(value) & np.isfinite(expected))
    codes, names = _coded([series[i] for i in known.tolist()], len(dimensions))
    order = np.lexsort(codes.T) if len(dimensions) else slice(None)
    codes, known = codes[order], known[order]
    anomalous = np.zeros(len(series), bool)
    anomalous[affected] = True
    anomalous = anomalous[known]
    largest = max(1e-300, float(np.max(np.abs([value[known], expected[known]]), initial=0)))
    now, usual = value[known] / largest, expected[known] / largest  # no sum of them overflows
    deviation = np.where(anomalous, np.abs(now - usual), 0.0)
    if not deviation.sum() > 0:
        return ()
    seen = _Seen(usual, now - usual, np.abs(usual) + 1e-9, anomalous, deviation / deviation.sum())
    found: list[Cause] = []
    left, free = (
        seen.deviation.copy(),
        np.ones(len(codes)),
    )  # of each series what is not yet explained, and whether it is no other cause's
    groups: dict[tuple[int, ...], Groups] = {}  # of the layer, by dimensions
    for layer in _layers(codes):
        groups = {some: _grouped(codes, some, groups) for some in layer}
        while len(found) < MOST_CAUSES and left.sum() > 1 - ENOUGH:
            best: tuple[float, tuple[int, ...], int] = (0.0, (), 0)
            for some, (inverse, count) in groups.items():
                covers = np.bincount(inverse, left, count)
                if covers.max(initial=0) <= best[0]:
                    continue
                pure = _pure(seen, inverse, count, free)
                worth = np.where((covers >= WORTH) & (pure >= PURE), covers * pure, 0.0)
                if (top := float(worth.max(initial=0))) > best[0] * (1 + 1e-9):
                    best = (top, some, int(worth.argmax()))
            if not best[0]:
                break
            mine = groups[best[1]][0] == best[2]
            first = int(mine.argmax())
            explains = float(left[mine].sum())
            found.append(
                Cause(
                    tuple((dimensions[place], names[place][codes[first, place]]) for place in best[1]),
                    min(explains, 1.0),
                )
            )
            left[mine] = free[mine] = 0
    return tuple(found)


def format_causes(some: Sequence[Cause]) -> str:
    """The causes on a line: `platform=pc_web, marketplace=us (83 %); platform=mobile_app (12 %)`."""
    parts = [
        (", ".join(f"{name}={'(null)' if value is None else value}" for name, value in one.values) or "all series")
        + f" ({100 * one.explains:.0f} %)"
        for one in some
    ]
    line = "; ".join(parts)
    return line if len(line) <= MOST_TOLD else f"{line[: MOST_TOLD - 1]}…"


def _coded(series: Sequence[Series], width: int) -> tuple[NDArray[np.int64], list[list[str | None]]]:
    """The series' values as numbers [series, dimension], and each dimension's values by their number."""
    codes, names = np.zeros((len(series), width), np.int64), []
    for place in range(width):
        column = [one[place] for one in series]
        values = sorted(set(column), key=lambda part: (part is not None, part or ""))
        number = {value: i for i, value in enumerate(values)}
        codes[:, place] = [number[value] for value in column]
        names.append(values)
    return codes, names


def _layers(codes: NDArray[np.int64]) -> Iterator[list[tuple[int, ...]]]:
    """Combinations of dimensions by how many they are, as long as there is time for a layer; at the end all of them, a series by itself."""
    rows, width = codes.shape
    work = 0
    for depth in range(width + 1):
        layer = list(itertools.combinations(range(width), depth))
        work += rows * len(layer)
        if work > MOST_WORK and depth < width:
            yield [tuple(range(width))]
            return
        yield layer


Groups = tuple[NDArray[np.int64], int]  # the number of each row's group, and how many groups there are


def _grouped(codes: NDArray[np.int64], some: tuple[int, ...], before: dict[tuple[int, ...], Groups]) -> Groups:
    """Rows with the same codes in some dimensions are a group; made of the groups by all of them but the last where those are known from before."""
    (number, count), rest = (
        (before[some[:-1]], some[-1:]) if some[:-1] in before else ((np.zeros(len(codes), np.int64), 1), some)
    )
    for place in rest:
        width = int(codes[:, place].max(initial=0)) + 1
        pair = number * width + codes[:, place]
        if count * width <= 4 * len(codes):  # as below, without sorting
            there = np.zeros(count * width, bool)
            there[pair] = True
            dense = np.cumsum(there) - 1
            number, count = dense[pair], int(dense[-1]) + 1
        else:
            values, number = np.unique(pair, return_inverse=True)
            count = len(values)
    return number, count


def _pure(seen: _Seen, inverse: NDArray[np.int64], count: int, free: Floats) -> Floats:
    """Of each group the share of its series, weighed by what is expected of them, that have moved; of those that are no other cause's."""
    weight, affected = seen.size * free, seen.affected * free
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = np.bincount(inverse, seen.error * affected, count) / np.bincount(
            inverse, seen.expected * affected, count
        )
        rippled = np.abs(seen.error - change[inverse] * seen.expected) < np.abs(seen.error)
        moved: Floats = np.bincount(inverse, weight * (seen.affected | rippled), count) / np.bincount(
            inverse, weight, count
        )
    return np.nan_to_num(moved)
