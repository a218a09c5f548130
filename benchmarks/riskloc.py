"""RiskLoc, a reference for root causes, implemented from Kalander, *RiskLoc: Localization of multi-dimensional root
causes by weighted risk*, 2022.

Leaves are divided once by their deviation. Layer by layer, the algorithm names the combination that explains the most
and has sufficient risk: it contains much of the abnormal weight and little of the normal weight (high risk), and a
common change explains its leaves better than the forecasts do (low risk). It removes the named leaves, and the search
starts again. The thresholds are those of the paper. `events` generates events of the synthetic kind S of the paper.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.lake.live_data import Series

Floats = NDArray[np.float64]
Combination = tuple[tuple[str, str | None], ...]

RISK = 0.5  # the minimum risk of a cause
EXPLAINS = 0.02  # the minimum share of what the abnormal leaves explain
OUTLIERS = 5  # deviations on either side that are outliers in the search for the cut
SIZES = (10, 12, 10, 8, 5)  # sizes of the dimensions of S


class _Leaves(NamedTuple):
    """The leaves that are not explained yet, one entry each."""

    codes: NDArray[np.int64]  # [leaf, dimension]
    value: Floats
    expected: Floats
    deviation: Floats  # 2 (expected - value) / (expected + value)
    abnormal: NDArray[np.bool_]
    weight: Floats
    power: Floats  # the share of the leaf in the difference of the total (explanatory power)


def causes(dimensions: list[str], series: list[Series], value: Floats, expected: Floats) -> set[Combination]:
    """Return the combinations of dimension values that explain the difference between value and expected."""
    names = [sorted({str(values[place]) for values in series}) for place in range(len(dimensions))]
    codes = np.array(
        [[column.index(str(part)) for column, part in zip(names, values, strict=True)] for values in series]
    )
    leaves, found = _split(codes, value, expected), set()
    least = EXPLAINS * float(leaves.power[leaves.abnormal].sum())
    pruned: dict[int, NDArray[np.int64]] = {}  # by dimension, values that cannot be part of a cause
    while leaves.abnormal.any() and leaves.power[leaves.abnormal].sum() >= least:
        cause = _search(leaves, least, pruned)
        if cause is None:
            break
        found.add(tuple((dimensions[place], names[place][code]) for place, code in cause))
        mine = np.logical_and.reduce([leaves.codes[:, place] == code for place, code in cause])
        leaves = _Leaves(*(column[~mine] for column in leaves))
    return found


def _split(codes: NDArray[np.int64], value: Floats, expected: Floats) -> _Leaves:
    """Return the leaves that are abnormal beyond a cut.

    The cut is as far from zero as the side with the smaller range extends, on the other side.
    """
    total = value + expected
    deviation = np.divide(2 * (expected - value), total, out=np.zeros(len(value)), where=total != 0)
    ordered = np.unique(deviation)
    low, high = ordered[min(OUTLIERS, len(ordered) - 1)], ordered[-min(OUTLIERS + 1, len(ordered))]
    cut = -low if abs(low) <= abs(high) else -high
    abnormal = deviation > cut if cut > 0 or (cut == 0 and abs(low) <= abs(high)) else deviation < cut
    weight = np.minimum(1, np.where(abnormal, np.abs(deviation), np.where(total != 0, np.abs(cut - deviation), 0)))
    power = value - expected
    power = power / (power.sum() or 1.0)
    return _Leaves(codes, value, expected, deviation, abnormal, weight, power if power[abnormal].sum() >= 0 else -power)


def _search(leaves: _Leaves, least: float, pruned: dict[int, NDArray[np.int64]]) -> tuple[tuple[int, int], ...] | None:
    """Return the combination of high risk that explains the most, from the first layer that has one."""
    width = leaves.codes.shape[1]
    for depth in range(1, width + 1):
        best, cause = least, None
        for some in itertools.combinations(range(width), depth):
            kept = np.ones(len(leaves.value), bool)
            for place in some:
                if place in pruned:
                    kept &= ~np.isin(leaves.codes[:, place], pruned[place])
            here = leaves if kept.all() else _Leaves(*(column[kept] for column in leaves))
            if not len(here.value):
                continue
            sizes = tuple(here.codes[:, place].max() + 1 for place in some)
            elements, group = np.unique(np.ravel_multi_index(tuple(here.codes[:, some].T), sizes), return_inverse=True)
            power, abnormal = np.bincount(group, here.power), np.bincount(group, here.abnormal)
            if depth == 1:
                hopeless = (np.bincount(group, np.maximum(here.power, 0)) < least) | (abnormal == 0)
                pruned[some[0]] = np.union1d(pruned.get(some[0], np.empty(0, np.int64)), elements[hopeless])
            for number in np.argsort(-power, kind="stable"):
                if power[number] <= best:
                    break
                if abnormal[number] and _risk(here, group == number) >= RISK:
                    best, cause = (
                        float(power[number]),
                        tuple(zip(some, map(int, np.unravel_index(elements[number], sizes)), strict=True)),
                    )
                    break
        if cause is not None:
            return cause
    return None


def _risk(leaves: _Leaves, mine: NDArray[np.bool_]) -> float:
    """Return the high risk (the abnormal share of the weight) minus the low risk (the error of a common change divided
    by the error of the forecasts).
    """
    weight, abnormal = leaves.weight[mine], leaves.abnormal[mine]
    high = float(weight[abnormal].sum() / (weight.sum() + 1))
    value, expected, deviation = leaves.value[mine], leaves.expected[mine], leaves.deviation[mine]
    both = (value != 0) & (expected != 0)
    if not both.any() or not (off := float(np.abs(deviation[both]).mean())):
        return high
    rippled = expected[both] * value[both].sum() / expected[both].sum()
    return high - float(np.abs(2 * (rippled - value[both]) / (rippled + value[both])).mean()) / off


def events(seed: int, count: int) -> Iterator[tuple[list[str], list[Series], Floats, Floats, set[Combination], float]]:
    """Return dimensions, series, value, expected, causes and the relative error of the forecasts, of events of kind S.

    Leaves have a Weibull distribution, and up to a quarter of them are zero. Forecasts are off by up to 25 % (normal,
    with a value for each event). One to three anomalies, each of one to three combinations of the same dimensions,
    reduce value or expected by 20 to 100 % (and the noise), for each leaf slightly differently. All anomalies of an
    event are on the side to which its noise tends.
    """
    rng = np.random.default_rng([seed, 77])
    names = [chr(97 + place) for place in range(len(SIZES))]
    series: list[Series] = list(
        itertools.product(*([f"{name}{i}" for i in range(size)] for name, size in zip(names, SIZES, strict=True)))
    )
    codes = np.indices(SIZES).reshape(len(SIZES), -1).T
    for _ in range(count):
        noise = rng.uniform(0, 0.25)
        first = rng.weibull(rng.uniform(0.5, 1), len(series)) * 100 * (rng.random(len(series)) > rng.uniform(0, 0.25))
        second, swapped = first * (1 + rng.normal(0, noise, len(series))), rng.random(len(series)) < 0.5
        value, expected = np.where(swapped, second, first), np.maximum(np.where(swapped, first, second), 0)
        truth: set[Combination] = set()
        anomalies = _anomalies(rng, codes, value)
        sides = (value, expected) if value.sum() <= expected.sum() else (expected, value)
        for some, chosen in anomalies:
            mine = np.any([np.all(codes[:, some] == combination, axis=1) for combination in chosen], axis=0)
            severity, deviation = rng.uniform(0.2, 1) + noise, rng.uniform(0, 0.1)
            sides[0][mine] = np.maximum(sides[1][mine] * (1 - rng.normal(severity, deviation, int(mine.sum()))), 0)
            truth |= {
                tuple((names[place], f"{names[place]}{code}") for place, code in zip(some, combination, strict=True))
                for combination in chosen
            }
        yield names, series, value, expected, truth, noise


def _anomalies(
    rng: np.random.Generator, codes: NDArray[np.int64], value: Floats
) -> list[tuple[list[int], list[tuple[int, ...]]]]:
    """Return one to three times dimensions and one to three combinations of their values.

    No values and no dimensions of an earlier anomaly are used again.
    """
    made: list[tuple[list[int], list[tuple[int, ...]]]] = []
    wanted = int(rng.integers(1, 4))
    while len(made) < wanted:
        some = sorted(rng.choice(len(SIZES), int(rng.integers(1, len(SIZES) + 1)), replace=False).tolist())
        used = [
            {combination[dims.index(place)] for dims, chosen in made if place in dims for combination in chosen}
            for place in some
        ]
        free = [sorted(set(range(SIZES[place])) - taken) for place, taken in zip(some, used, strict=True)]
        count = int(rng.integers(1, 4))
        if not all(free) or (len(some) < len(SIZES) and some in [dims for dims, _ in made]):
            continue
        chosen = list(zip(*(rng.choice(values, count).tolist() for values in free), strict=True))
        leafless = len(some) == len(SIZES) and not all(
            value[np.all(codes == combination, axis=1)].all() for combination in chosen
        )
        if len(set(chosen)) == count and not leafless:
            made.append((some, chosen))
    return made
