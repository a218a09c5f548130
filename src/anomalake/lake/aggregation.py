"""Aggregates rows to one value for each interval, series and measure, as the measures define.

Every result depends only on the rows, not on their order: sums are exact until they are rounded once (`math.fsum`).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from anomalake.domain.metric_set import Measure, MetricSet
from anomalake.lake.live_rows import Rows, Series, find_input
from anomalake.lake.live_timestamps import Codes

Values = dict[Series, tuple[float | None, ...]]


class Aggregates(NamedTuple):
    """The values of one interval, and the weights of its means (empty if no measure is a mean)."""

    values: Values
    weights: Values


class _Groups(NamedTuple):
    """The rows of each interval and series."""

    order: Codes  # [row] the rows, sorted by group
    bounds: Codes  # [group + 1] where each group begins and ends in `order`


def aggregate(rows: Rows, metric_set: MetricSet, interval_count: int) -> list[Aggregates]:
    """Aggregate the rows of each interval. The series of an interval are in the order of their first rows."""
    groups, place, series = _group(rows)
    columns: dict[str, Sequence[float | None]] = {}
    for measure in metric_set.measures:
        if measure.aggregation != "RATIO":
            columns[measure.name] = _aggregate_measure(rows, measure, groups)
    for measure in metric_set.measures:
        if measure.aggregation == "RATIO":
            numerators, denominators = columns[measure.numerator or ""], columns[measure.denominator or ""]
            zero = 0.0 if metric_set.missing_is_zero else None
            columns[measure.name] = [
                _divide(zero if above is None else above, below)
                for above, below in zip(numerators, denominators, strict=True)
            ]
    weights = [_weigh(rows, measure, groups, columns) for measure in metric_set.measures]
    result = [Aggregates({}, {}) for _ in range(interval_count)]
    values = zip(*(columns[measure.name] for measure in metric_set.measures), strict=True)
    has_weights = any(measure.has_weight for measure in metric_set.measures)
    for number, key, row, weight in zip(place, series, values, zip(*weights, strict=True), strict=True):
        result[number].values[rows.known_series[key]] = row
        if has_weights:
            result[number].weights[rows.known_series[key]] = weight
    return result


def _group(rows: Rows) -> tuple[_Groups, list[int], list[int]]:
    """Group the rows by interval and series; the groups of an interval are in the order of their first rows."""
    key = rows.intervals * len(rows.known_series) + rows.series
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    by_first_row = np.argsort(first, kind="stable")
    number = np.empty_like(by_first_row)
    number[by_first_row] = np.arange(len(first))
    group = number[group]
    sizes, first = np.bincount(group, minlength=len(first)), first[by_first_row]
    groups = _Groups(np.argsort(group, kind="stable"), np.concatenate([[0], np.cumsum(sizes)]))
    return groups, rows.intervals[first].tolist(), rows.series[first].tolist()


def _aggregate_measure(rows: Rows, measure: Measure, groups: _Groups) -> Sequence[float | None]:
    """Return the value of a measure that is no ratio, for each group."""
    item = find_input(measure)
    if item is None:
        return np.diff(groups.bounds).astype(np.float64).tolist()  # type: ignore[no-any-return]
    cells = rows.cells[item][groups.order]
    if item.kind == "text":
        present = cells >= 0
        group = np.repeat(np.arange(len(groups.bounds) - 1), np.diff(groups.bounds))[present]
        if measure.aggregation == "COUNT_DISTINCT":
            texts = max(1, len(rows.texts[item]))
            group = np.unique(group * texts + cells[present]) // texts
        return np.bincount(group, minlength=len(groups.bounds) - 1).astype(np.float64).tolist()  # type: ignore[no-any-return]
    present = ~np.isnan(cells)
    numbers: list[float] = cells[present].tolist()
    bounds: list[int] = np.concatenate([[0], np.cumsum(present)])[groups.bounds].tolist()
    reduce = _REDUCTIONS[measure.aggregation]
    return [
        None if first == end else numbers[first] if end - first == 1 else reduce(numbers[first:end])
        for first, end in pairwise(bounds)
    ]


def _sum(numbers: list[float]) -> float | None:
    """Return the sum of the numbers; None on overflow."""
    try:
        return math.fsum(numbers)
    except OverflowError:
        return None


def _average(numbers: list[float]) -> float | None:
    total = _sum(numbers)
    return None if total is None else total / len(numbers)


_REDUCTIONS: dict[str, Callable[[list[float]], float | None]] = {"SUM": _sum, "AVG": _average, "MIN": min, "MAX": max}


def _divide(numerator: float | None, denominator: float | None) -> float | None:
    """Return the ratio; None if it has no value, or on overflow."""
    if numerator is None or not denominator:
        return None
    ratio = numerator / denominator
    return ratio + 0.0 if math.isfinite(ratio) else None


def _weigh(
    rows: Rows, measure: Measure, groups: _Groups, columns: dict[str, Sequence[float | None]]
) -> Sequence[float | None]:
    """Return the weight of each value: the number of values behind a mean, the denominator of a ratio, or None.

    A missing value has no weight.
    """
    values, item = columns[measure.name], find_input(measure)
    if measure.aggregation == "RATIO":
        weights: Sequence[float | None] = columns[measure.denominator or ""]
    elif measure.aggregation == "AVG" and item is not None:
        present = np.concatenate([[0], np.cumsum(~np.isnan(rows.cells[item][groups.order]))])
        weights = np.diff(present[groups.bounds]).astype(np.float64).tolist()
    else:
        weights = [None] * len(values)
    return [None if value is None else weight for value, weight in zip(values, weights, strict=True)]
