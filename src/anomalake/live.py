"""Live data: the files of an interval's folder, read row by row and aggregated to one value for each series and measure.

What cannot be read is counted and named, and stops neither its interval nor the run: a row of the wrong shape, with a timestamp outside its
interval or one that never happened, is left out; a measure that is no finite number is missing. `catalog.views` reads the same in SQL.
"""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from anomalake import intervals, patterns
from anomalake.lake.store import Store
from anomalake.metric_set import MetricSet, Source

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"  # what counts as a number, here and in SQL
_NUMBER = re.compile(NUMBER)
_UNDECODED = re.compile("[\udc80-\udcff]")
csv.field_size_limit(2**24)

Series = tuple[str | None, ...]  # the values of the dimensions, in declared order
Row = tuple[Series, tuple[float | None, ...]]  # ... and of the measures


class Finding(NamedTuple):
    """Something that could not be read: where, and what would be right."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class Interval(NamedTuple):
    """An interval's live data: for each series one value a measure (None where it has none)."""

    wall: datetime  # its start on the set's wall clock
    values: Mapping[Series, tuple[float | None, ...]]
    rows: int
    findings: tuple[Finding, ...]


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
    """The interval's live data, from its files."""
    rows: list[Row] = []
    findings: list[Finding] = []
    for key in keys:
        stored = store.get(key)
        for item in parse(stored.data if stored else b"", metric_set, wall, key):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                rows.append(item)
    return Interval(wall, aggregate(rows, metric_set), len(rows), tuple(findings))


def aggregate(rows: Iterable[Row], metric_set: MetricSet) -> dict[Series, tuple[float | None, ...]]:
    """One value for each series and measure: the sum, or the mean, of what its rows have."""
    collected: dict[Series, list[list[float]]] = {}
    for series, measures in rows:
        cells = collected.setdefault(series, [[] for _ in measures])
        for cell, value in zip(cells, measures, strict=True):
            if value is not None:
                cell.append(value)
    divide = [measure.aggregation == "AVG" for measure in metric_set.measures]
    return {
        series: tuple(_summed(cell, len(cell) if mean else 1) for cell, mean in zip(cells, divide, strict=True))
        for series, cells in collected.items()
    }


def _summed(cell: list[float], parts: int) -> float | None:
    """The sum in parts; None where there is nothing, or more than a number can be."""
    try:
        return math.fsum(cell) / parts if cell else None
    except OverflowError:
        return None


def parse(data: bytes, metric_set: MetricSet, wall: datetime, where: str) -> Iterator[Row | Finding]:
    """The rows of one file, and what could not be read of it."""
    source = source_of(metric_set)
    try:
        raw = gzip.decompress(data) if source.compression == "gzip" else data
    except (OSError, EOFError, zlib.error) as error:
        yield Finding(where, f"the file is not packed by gzip: {error}")
        return
    text = raw.decode(source.charset, "surrogateescape").removeprefix("\ufeff")  # a row that is not in the charset is named below
    records = _csv_records(text, source, where) if source.format == "csv" else _json_records(text, where)
    for place, record in records:
        if isinstance(record, Finding):
            yield record
            continue
        if any(isinstance(cell, str) and not cell.isascii() and _UNDECODED.search(cell) for cell in record.values()):
            yield Finding(place, f"the row is not {source.charset} text")
            continue
        problem = _outside(record.get(metric_set.timestamp.column), metric_set, wall)
        if problem:
            yield Finding(place, problem)
            continue
        try:
            series = tuple(_dimension(record.get(name), source) for name in metric_set.dimension_names)
        except ValueError as error:
            yield Finding(place, str(error))
            continue
        measures = []
        for name in metric_set.measure_names:
            value = _number(record.get(name))
            if isinstance(value, str):
                yield Finding(place, f"{name}: {value}; it counts as missing")
                value = None
            measures.append(value)
        yield series, tuple(measures)


def _csv_records(text: str, source: Source, where: str) -> Iterator[tuple[str, Mapping[str, Any] | Finding]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter, quotechar=source.quote)
    header = source.header
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield where, Finding(f"{where}:{reader.line_num}", f"the line is not CSV: {error}")
            continue
        place = f"{where}:{reader.line_num}"
        if header:
            header = False
            if [name.strip() for name in record] != list(source.columns):
                yield (
                    place,
                    Finding(place, f"the header {record} is not the metric set's source.columns {list(source.columns)}; the file is left out"),
                )
                return
        elif len(record) != len(source.columns):
            if record:
                yield place, Finding(place, f"{len(record)} cells where source.columns names {len(source.columns)}")
        else:
            yield place, dict(zip(source.columns, record, strict=True))


def _json_records(text: str, where: str) -> Iterator[tuple[str, Mapping[str, Any] | Finding]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        try:
            yield place, msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            yield place, Finding(place, f"the line is no JSON object: {error}")


def _dimension(value: object, source: Source) -> str | None:
    if isinstance(value, str):
        return None if source.format == "csv" and not value else value
    if value is None or isinstance(value, bool | list | dict):
        if value is None:
            return None
        raise ValueError(f"the dimension value {value!r} is no text")
    return str(value)


def _number(value: object) -> float | str | None:
    """The number; None where there is none; a text that says what is wrong with it."""
    if value is None or value == "":
        return None
    text = value.strip(" ") if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        return f"{value!r} is no number"
    number = float(text)
    return number + 0.0 if math.isfinite(number) else f"{value!r} is beyond what a number can be"


def _outside(value: object, metric_set: MetricSet, wall: datetime) -> str | None:
    """What is wrong with a row's timestamp, or None where it lies in the interval."""
    text = "" if value is None else str(value)
    found = read_wall(text, metric_set.timestamp.format, metric_set.timezone)
    if isinstance(found, str):
        return found
    if intervals.floor(found, metric_set.frequency) != wall:
        return f"the timestamp {text!r} lies outside the interval of its folder, {wall:%Y-%m-%d %H:%M} ({metric_set.timezone})"
    return None


@lru_cache(maxsize=4096)
def read_wall(text: str, form: str, zone: str) -> datetime | str:
    """The wall time of a timestamp in the data, or a text that says what is wrong with it."""
    if form == patterns.UNIX:
        if not _NUMBER.fullmatch(text.strip()):
            return f"the timestamp {text!r} is no UNIX time"
        number = float(text)
        try:
            seconds = number / 1000 if number > patterns.UNIX_MILLISECONDS_FROM else number
            return intervals.to_wall(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), zone)
        except (ValueError, OverflowError, OSError):
            return f"the timestamp {text!r} is no UNIX time"
    try:
        wall = datetime.strptime(text.strip(" "), patterns.python_format(form))
    except ValueError:
        return f"the timestamp {text!r} is not written as {form}"
    if patterns.has_hour(form) and not intervals.exists(wall, zone):
        return f"the timestamp {text!r} never happened in {zone}: clocks skipped it"
    return wall
