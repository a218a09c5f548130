"""The values that `top` keeps of a dimension. Rows with other values have the value `OTHER_VALUES`.

The list lies in the lake (`layout.top_values_key`), so that every reader of live data and SQL use the same one. It has
a JSON line {"dimension", "value"} for each value. A dimension without a line keeps all values.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from anomalake.domain.metric_set import OTHER_VALUES, Measure, MetricSet
from anomalake.lake import layout, live_data
from anomalake.lake.live_rows import NO_TOP, TopValues
from anomalake.lake.store import StorageError, Store

__all__ = ["NO_TOP", "TopValues"]
Totals = Mapping[str, Mapping[str | None, float]]  # by dimension with `top`, and by value


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    dimension: str
    value: str | None


def read_top_values(store: Store, metric_set: MetricSet) -> TopValues:
    """Return the kept values of the metric set's dimensions with `top`; empty if the lake has no list.

    Raise `StorageError` if the object is not such a list.
    """
    key = layout.top_values_key(metric_set)
    if not any(dimension.top for dimension in metric_set.dimensions) or (stored := store.get(key)) is None:
        return NO_TOP
    try:
        lines = [msgspec.json.decode(line, type=_Line) for line in stored.data.splitlines()]
    except msgspec.DecodeError as error:
        advice = "restore an older version of the object, or run a back-test, which writes it"
        raise StorageError(f"{key}: is not a list of values: {error}; {advice}") from error
    names = [dimension.name for dimension in metric_set.dimensions if dimension.top]
    found = {name: frozenset(line.value for line in lines if line.dimension == name) for name in names}
    return {name: values for name, values in found.items() if values}


def write_top_values(store: Store, metric_set: MetricSet, values: TopValues) -> None:
    """Write the kept values of the dimensions, sorted."""
    lines = [
        msgspec.json.encode(_Line(name, value))
        for name in metric_set.dimension_names
        for value in sorted(values.get(name, ()), key=_sort_key)
    ]
    store.put(layout.top_values_key(metric_set), b"".join(line + b"\n" for line in lines))


def read_totals(store: Store, metric_set: MetricSet, starts: Sequence[datetime], keys: Iterable[str]) -> Totals:
    """Return the totals of the values of the dimensions with `top`, over intervals of one folder.

    They are the totals of the first additive measure, or the numbers of rows if there is none.
    """
    measure = next((item for item in metric_set.measures if item.is_additive), Measure("rows", "COUNT"))
    dimensions = tuple(dimension for dimension in metric_set.dimensions if dimension.top)
    if not dimensions:
        return {}
    reduced = msgspec.structs.replace(metric_set, measures=(measure,), dimensions=dimensions)
    found: list[defaultdict[str | None, list[float]]] = [defaultdict(list) for _ in dimensions]
    for interval in live_data.read_intervals(store, reduced, starts, keys):
        for series, (value,) in interval.values.items():
            for values, name in zip(found, series, strict=True):
                values[name].append(value or 0.0)
    return {
        dimension.name: {value: math.fsum(parts) for value, parts in values.items()}
        for dimension, values in zip(dimensions, found, strict=True)
    }


def add_totals(left: Totals, right: Totals) -> Totals:
    """Add the totals of two parts of the data. Add parts in order of time, so that the result is always the same."""
    return {
        name: {
            value: left.get(name, {}).get(value, 0.0) + right.get(name, {}).get(value, 0.0)
            for value in {**left.get(name, {}), **right.get(name, {})}
        }
        for name in {**left, **right}
    }


def choose_top_values(metric_set: MetricSet, totals: Totals, existing: TopValues = NO_TOP) -> TopValues:
    """Return the values to keep: those that are kept already, then the largest others until there are `top`.

    Values with equal totals are taken in their own order, null first.
    """
    chosen: dict[str, frozenset[str | None]] = {}
    for dimension in metric_set.dimensions:
        if dimension.top is None:
            continue
        kept, found = existing.get(dimension.name, frozenset()), totals.get(dimension.name, {})
        others = sorted(found.keys() - kept - {OTHER_VALUES}, key=lambda value: (-found[value], _sort_key(value)))
        values = kept.union(others[: max(0, dimension.top - len(kept))])
        if values:
            chosen[dimension.name] = values
    return chosen


def _sort_key(value: str | None) -> tuple[bool, str]:
    return value is not None, value or ""
