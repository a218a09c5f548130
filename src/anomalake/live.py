"""Live data: the files of an interval's folder, read row by row and aggregated to one value for each series and measure.

What cannot be read is counted and named, and stops neither its interval nor the run: a row of the wrong shape, with a timestamp outside its
interval or one that never happened, is left out; a measure that is no finite number is missing. `catalog.views` reads the same in SQL.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from anomalake import intervals, live_files, patterns
from anomalake.lake.store import Store, UnreadableError
from anomalake.live_files import (
    MAX_CACHED_CHARACTERS,
    MAX_FINDINGS,
    MAX_UNPACKED_BYTES,
    Contents,
    Finding,
    Row,
    Series,
    is_number,
    quoted,
)  # fmt: skip
from anomalake.metric_set import MetricSet, Source

__all__ = ["Finding", "Row", "Series"]  # for those who read live data
MAX_ROWS_PER_INTERVAL = 1_000_000  # in all its files


class Interval(NamedTuple):
    """An interval's live data: for each series one value a measure (None where it has none)."""

    wall: datetime  # its start on the set's wall clock
    values: Mapping[Series, tuple[float | None, ...]]
    rows: int
    findings: tuple[Finding, ...]  # the first of them
    unnamed: int = 0  # the number of further findings

    @property
    def found(self) -> int:
        """The number of all findings."""
        return len(self.findings) + self.unnamed


def source_of(metric_set: MetricSet) -> Source:
    """The set's source, for callers that need one."""
    if metric_set.source is None:
        raise ValueError(f"the metric set {metric_set.name!r} has no source")
    return metric_set.source


def folder(metric_set: MetricSet, wall: datetime) -> str:
    """The folder of the interval that starts at the wall time."""
    prefix, pattern, suffix = patterns.folder_pattern(source_of(metric_set).path)
    return prefix + wall.strftime(patterns.python_format(pattern)) + suffix


def files_by_interval(store: Store, metric_set: MetricSet) -> dict[datetime, list[str]]:
    """The keys of all live files by the wall time of their folder, in time's order; files in other folders are not live data."""
    prefix, pattern, _ = patterns.folder_pattern(source_of(metric_set).path)
    form = patterns.python_format(pattern)
    width = len(datetime(2000, 1, 1).strftime(form))
    found: dict[datetime, list[str]] = {}
    for key in store.list(prefix.rpartition("/")[0]):
        try:
            wall = datetime.strptime(key[len(prefix) : len(prefix) + width], form)
        except ValueError:
            continue
        if _is_file_of(key, folder(metric_set, wall)) and intervals.floor(wall, metric_set.frequency) == wall:
            found.setdefault(wall, []).append(key)
    return dict(sorted(found.items()))


def files_of(store: Store, metric_set: MetricSet, wall: datetime) -> list[str]:
    """The keys of one interval's live files."""
    place = folder(metric_set, wall)
    return [key for key in store.list(place) if _is_file_of(key, place)]


def _is_file_of(key: str, place: str) -> bool:
    """Whether the key lies in the folder, and is not hidden as Athena sees it (`.` or `_` first, in a folder below too)."""
    return key.startswith(f"{place}/") and not any(part[:1] in {".", "_"} for part in key[len(place) + 1 :].split("/"))


def read(store: Store, metric_set: MetricSet, wall: datetime, keys: Iterable[str]) -> Interval:
    """The interval's live data, from its files; what is wrong in a file costs that file only."""
    rows: list[Row] = []
    findings: list[Finding] = []
    found = 0
    for key in keys:
        contents = _contents(store, metric_set, wall, key)
        if len(rows) + len(contents.rows) > MAX_ROWS_PER_INTERVAL:
            problem = f"the interval has more than {MAX_ROWS_PER_INTERVAL:,} rows with this file, the limit for one interval; the file is skipped"
            contents = Contents((), (Finding(key, problem),), 1)
        rows.extend(contents.rows)
        findings.extend(contents.findings[: MAX_FINDINGS - len(findings)])
        found += contents.found
    return Interval(wall, aggregate(rows, metric_set), len(rows), tuple(findings), found - len(findings))


def _contents(store: Store, metric_set: MetricSet, wall: datetime, key: str) -> Contents:
    """What one file holds; nothing where it was removed after it was listed."""
    try:
        stored = store.get(key, MAX_UNPACKED_BYTES)
    except UnreadableError as error:
        return Contents((), (Finding(key, f"the file {error.problem}; the file is skipped"),), 1)
    if stored is None:
        return Contents((), (), 0)
    return live_files.collect(parse(stored.data, metric_set, wall, key), key)


def parse(data: bytes, metric_set: MetricSet, wall: datetime, where: str) -> Iterator[Row | Finding]:
    """The rows of one file of the interval, and what could not be read of it."""
    return live_files.parse(data, metric_set, source_of(metric_set), where, lambda stamp: _outside(stamp, metric_set, wall))


def aggregate(rows: Iterable[Row], metric_set: MetricSet) -> dict[Series, tuple[float | None, ...]]:
    """One value for each series and measure: the sum, or the mean, of what its rows have."""
    rows = list(rows)
    single = dict(rows)
    if len(single) == len(rows):
        return single
    single, several = {}, dict[Series, list[list[float]]]()
    for series, measures in rows:
        if series not in single:
            single[series] = measures
            continue
        if series not in several:
            several[series] = [[] if value is None else [value] for value in single[series]]
        for cell, value in zip(several[series], measures, strict=True):
            if value is not None:
                cell.append(value)
    divide = [measure.aggregation == "AVG" for measure in metric_set.measures]
    for series, cells in several.items():
        single[series] = tuple(_summed(cell, len(cell) if mean else 1) for cell, mean in zip(cells, divide, strict=True))
    return single


def _summed(cell: list[float], parts: int) -> float | None:
    """The sum in parts; None where there is nothing, or more than a number can be."""
    try:
        return math.fsum(cell) / parts if cell else None
    except OverflowError:
        return None


def _outside(text: str, metric_set: MetricSet, wall: datetime) -> str | None:
    """What is wrong with a row's timestamp, or None where it lies in the interval."""
    found = read_wall(text, metric_set.timestamp.format, metric_set.timezone)
    if isinstance(found, str):
        return found
    if intervals.floor(found, metric_set.frequency) != wall:
        return f"the timestamp {quoted(text)} lies outside the interval of its folder, {wall:%Y-%m-%d %H:%M} ({metric_set.timezone})"
    return None


def read_wall(text: str, form: str, zone: str) -> datetime | str:
    """The wall time of a timestamp in the data, or a text that says what is wrong with it."""
    read_now = _cached_wall if len(text) <= MAX_CACHED_CHARACTERS else _cached_wall.__wrapped__
    return read_now(text, form, zone)


@lru_cache(maxsize=4096)
def _cached_wall(text: str, form: str, zone: str) -> datetime | str:
    if form == patterns.UNIX:
        if not is_number(text.strip()):
            return f"the timestamp {quoted(text)} is not a UNIX time"
        number = float(text)
        try:
            seconds = number / 1000 if number > patterns.UNIX_MILLISECONDS_FROM else number
            return intervals.to_wall(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), zone)
        except (ValueError, OverflowError, OSError):
            return f"the timestamp {quoted(text)} is not a UNIX time"
    try:
        wall = datetime.strptime(text.strip(" "), patterns.python_format(form))
    except ValueError:
        return f"the timestamp {quoted(text)} is not written as {form}"
    if patterns.has_hour(form) and not intervals.exists(wall, zone):
        return f"the timestamp {quoted(text)} never happened in {zone}: clocks skipped it"
    return wall
