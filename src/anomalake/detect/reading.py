"""Reads the live data of many intervals: each folder once, and first the totals that `top` needs."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import reduce

from anomalake.domain.metric_set import MetricSet
from anomalake.lake import live_data, top_values
from anomalake.lake.live_data import IntervalData
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import Store
from anomalake.lake.top_values import NO_TOP, TopValues, Totals

Files = Iterable[tuple[datetime, Sequence[str]]]  # start of an interval (naive UTC), keys of the files of its folder
Folder = tuple[list[datetime], Sequence[str]]  # starts of intervals, keys of the files of their folder


def group_by_folder(files: Files) -> Iterator[Folder]:
    """Group consecutive intervals of one folder. Intervals without files are one group."""
    for keys, group in itertools.groupby(files, key=lambda item: item[1]):
        yield [start for start, _ in group], keys


def list_folders(store: Store, metric_set: MetricSet, starts: Iterable[datetime]) -> Iterator[Folder]:
    """Group consecutive intervals (their starts in naive UTC) by folder, and list the folder's live files."""
    clock = metric_set.clock
    folder_of = itertools.groupby(starts, lambda start: live_data.interval_folder(metric_set, clock.wall_time(start)))
    for _, group in folder_of:
        in_folder = list(group)
        yield in_folder, live_data.list_interval_files(store, metric_set, in_folder[0])


def read_in_order(
    store: Store, metric_set: MetricSet, files: Files, kept_values: TopValues = NO_TOP
) -> Iterator[IntervalData]:
    """Yield the live data of the intervals, in order."""

    def read(folder: Folder) -> Iterable[IntervalData]:
        starts, keys = folder
        if not keys:
            return (IntervalData(start, {}, 0, ()) for start in starts)
        return live_data.read_intervals(store, metric_set, starts, keys, kept_values)

    return itertools.chain.from_iterable(map_in_order(store, read, group_by_folder(files)))


def needs_values(metric_set: MetricSet, kept_values: TopValues) -> bool:
    """Return whether a dimension with `top` keeps fewer values than it can."""
    return any(len(kept_values.get(item.name, ())) < item.top for item in metric_set.dimensions if item.top)


def choose_top_values(store: Store, metric_set: MetricSet, files: Files, existing: TopValues = NO_TOP) -> TopValues:
    """Return the values that `top` keeps of the data in these files. Without `top`, nothing is read."""
    if not metric_set.has_top:
        return NO_TOP
    folders = ((starts, keys) for starts, keys in group_by_folder(files) if keys)
    totals = map_in_order(store, lambda folder: top_values.read_totals(store, metric_set, *folder), folders)
    return choose_largest(metric_set, totals, existing)


def choose_largest(metric_set: MetricSet, totals: Iterable[Totals], existing: TopValues = NO_TOP) -> TopValues:
    """Return the values that `top` keeps, by the totals of all folders in order of time."""
    empty: Totals = {}
    return top_values.choose_top_values(metric_set, reduce(top_values.add_totals, totals, empty), existing)
