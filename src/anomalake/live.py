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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
OTHER_HOUR = ""  # no problem: the row belongs to the other of the two intervals that share a folder

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

    start: datetime  # naive UTC
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


def files_by_interval(store: Store, metric_set: MetricSet, after: str = "") -> dict[datetime, list[str]]:
    """The keys of all live files (that sort after a key) by the wall time of their folder, in order of time.

    Files in other folders are not live data.
    """
    found: dict[datetime, list[str]] = {}
    for key in store.list(patterns.folder_pattern(source_of(metric_set).path).prefix.rpartition("/")[0], after):
        wall = wall_of(metric_set, key)
        if wall is not None:
            found.setdefault(wall, []).append(key)
    return dict(sorted(found.items()))


def wall_of(metric_set: MetricSet, key: str) -> datetime | None:
    """The wall time of the interval whose live file has this key; None where it is no live file."""
    prefix, pattern, _ = patterns.folder_pattern(source_of(metric_set).path)
    width = sum(len(text) for _, text in patterns.pieces(pattern))
    try:
        wall = datetime.strptime(key[len(prefix) : len(prefix) + width], patterns.python_format(pattern))
    except ValueError:
        return None
    return wall if _is_file_of(key, folder(metric_set, wall)) and intervals.floor(wall, metric_set.frequency) == wall else None


def starts(store: Store, metric_set: MetricSet, after: datetime | None = None) -> list[datetime]:
    """The starts, naive UTC, of all intervals (after one) that have live files, sorted.

    Where folders sort as their dates do, only the later folders are listed.
    """
    clock, key = metric_set.clock, ""
    if after is not None and patterns.sorts_by_date(patterns.folder_pattern(source_of(metric_set).path).pattern):
        key = f"{folder(metric_set, clock.wall(after))}/"
    found = (start for wall in files_by_interval(store, metric_set, key) for start in clock.starts_at(wall))
    return sorted(start for start in found if after is None or start > after)


def files_of(store: Store, metric_set: MetricSet, start: datetime) -> list[str]:
    """The keys of one interval's live files."""
    place = folder(metric_set, metric_set.clock.wall(start))
    return [key for key in store.list(place) if _is_file_of(key, place)]


def _is_file_of(key: str, place: str) -> bool:
    """Whether the key lies in the folder, and is not hidden as Athena sees it (`.` or `_` first, in a folder below too)."""
    return key.startswith(f"{place}/") and not any(part[:1] in {".", "_"} for part in key[len(place) + 1 :].split("/"))


def read(store: Store, metric_set: MetricSet, start: datetime, keys: Iterable[str]) -> Interval:
    """The live data of the interval that starts at `start` (naive UTC), from its files."""
    rows: list[Row] = []
    findings: list[Finding] = []
    for key in keys:
        stored = store.get(key)
        for item in parse(stored.data if stored else b"", metric_set, start, key):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                rows.append(item)
    return Interval(start, aggregate(rows, metric_set), len(rows), tuple(findings))


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


def parse(data: bytes, metric_set: MetricSet, start: datetime, where: str) -> Iterator[Row | Finding]:
    """The rows of one file that belong to the interval, and what could not be read of it."""
    source = source_of(metric_set)
    try:
        raw = gzip.decompress(data) if source.compression == "gzip" else data
    except (OSError, EOFError, zlib.error) as error:
        yield Finding(where, f"the file is not packed by gzip: {error}")
        return
    text = raw.decode(source.charset, "surrogateescape").removeprefix("\ufeff")  # a row that is not in the charset is named below
    if source.format == "csv" and (sound := _sound_rows(text, metric_set, source, start)) is not None:
        yield from sound
        return
    problems: dict[str, str | None] = {}  # what is wrong with a timestamp, which many rows share
    dimensions, measures = metric_set.dimension_names, metric_set.measure_names
    names, first = (metric_set.timestamp.column, *dimensions, *measures), 1 + len(dimensions)
    records = _csv_records(text, source, where, names) if source.format == "csv" else _json_records(text, source, where, names)
    for line, record in records:
        if isinstance(record, Finding):
            yield record
            continue
        stamp = "" if record[0] is None else str(record[0])
        if stamp not in problems:
            problems[stamp] = _outside(stamp, metric_set, start)
        if (problem := problems[stamp]) is not None:
            if problem != OTHER_HOUR:
                yield Finding(f"{where}:{line}", problem)
            continue
        try:
            series = tuple([_dimension(value, source) for value in record[1:first]])
        except ValueError as error:
            yield Finding(f"{where}:{line}", str(error))
            continue
        values: list[float | None] = []
        for name, cell in zip(measures, record[first:], strict=True):
            value = _number(cell)
            if isinstance(value, str):
                yield Finding(f"{where}:{line}", f"{name}: {value}; it counts as missing")
                value = None
            values.append(value)
        yield series, tuple(values)


def _sound_rows(text: str, metric_set: MetricSet, source: Source, start: datetime) -> Iterator[Row] | None:
    """The rows of a CSV file in which nothing is wrong, by the column, which takes a third of the time; None where each row has to be looked at."""
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter, quotechar=source.quote))
    except csv.Error:
        return None
    header = [name.strip() for name in records.pop(0)] if source.header and records else list(source.columns)
    if header != list(source.columns) or not records or set(map(len, records)) != {len(header)} or _UNDECODED.search(text):
        return None
    columns = dict(zip(header, zip(*records, strict=True), strict=True))
    if any(_outside(stamp, metric_set, start) is not None for stamp in set(columns[metric_set.timestamp.column])):
        return None
    measures: list[list[float | None]] = []
    for cells in (columns[name] for name in metric_set.measure_names):
        if not all(map(_NUMBER.fullmatch, filter(None, cells))):
            return None
        measures.append([float(cell) + 0.0 if cell else None for cell in cells])
        if math.inf in measures[-1] or -math.inf in measures[-1]:
            return None
    dimensions = [[cell or None for cell in columns[name]] for name in metric_set.dimension_names]
    return zip(zip(*dimensions, strict=True) if dimensions else ((),) * len(records), zip(*measures, strict=True), strict=True)


def _csv_records(text: str, source: Source, where: str, names: Sequence[str]) -> Iterator[tuple[int, Sequence[Any] | Finding]]:
    """The cells of those columns, row by row, with the row's line; a finding where a row is none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.delimiter, quotechar=source.quote)
    header, ascii_only, width = source.header, text.isascii(), len(source.columns)
    wanted = [source.columns.index(name) for name in names]
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, Finding(f"{where}:{reader.line_num}", f"the line is not CSV: {error}")
            continue
        line = reader.line_num
        if header:
            header = False
            if [name.strip() for name in record] != list(source.columns):
                problem = f"the header {record} is not the metric set's source.columns {list(source.columns)}; the file is left out"
                yield line, Finding(f"{where}:{line}", problem)
                return
        elif len(record) != width:
            if record:
                yield line, Finding(f"{where}:{line}", f"{len(record)} cells where source.columns names {width}")
        elif not ascii_only and _undecoded(record):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record[place] for place in wanted]


def _undecoded(cells: Iterable[object]) -> bool:
    """Whether a text among the cells is not in the file's charset."""
    return any(isinstance(cell, str) and not cell.isascii() and _UNDECODED.search(cell) for cell in cells)


def _json_records(text: str, source: Source, where: str, names: Sequence[str]) -> Iterator[tuple[int, Sequence[Any] | Finding]]:
    """The same of JSON lines."""
    for line, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        try:
            record = msgspec.json.decode(written, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            yield line, Finding(f"{where}:{line}", f"the line is no JSON object: {error}")
            continue
        if _undecoded(record.values()):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record.get(name) for name in names]


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


def _outside(text: str, metric_set: MetricSet, start: datetime) -> str | None:
    """What is wrong with a row's timestamp, or None where it lies in the interval; `OTHER_HOUR` where it lies in the other of its folder."""
    clock = metric_set.clock
    found = row_start(text, metric_set.timestamp.format, clock)
    if isinstance(found, str):
        return found
    if found == start:
        return None
    wall = clock.wall(start)
    if clock.absolute and clock.wall(found) == wall:
        return OTHER_HOUR
    return f"the timestamp {text!r} lies outside the interval of its folder, {wall:%Y-%m-%d %H:%M} ({metric_set.timezone})"


@lru_cache(maxsize=4096)
def row_start(text: str, form: str, clock: intervals.Clock) -> datetime | str:
    """The start, naive UTC, of the interval that a timestamp in the data belongs to, or a text that says what is wrong with it."""
    found = read_instant(text) if form == patterns.UNIX else read_wall(text, form, clock.zone)
    try:
        return found if isinstance(found, str) else clock.start(found if form == patterns.UNIX else intervals.to_utc(found, clock.zone))
    except OverflowError:
        return f"the timestamp {text!r} lies outside the years 1 to 9999"


def read_instant(text: str) -> datetime | str:
    """The instant, naive UTC, of a UNIX timestamp in the data, or a text that says what is wrong with it."""
    if not _NUMBER.fullmatch(text.strip()):
        return f"the timestamp {text!r} is no UNIX time"
    number = float(text)
    try:
        seconds = number / 1000 if number > patterns.UNIX_MILLISECONDS_FROM else number
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return f"the timestamp {text!r} is no UNIX time"


@lru_cache(maxsize=4096)
def read_wall(text: str, form: str, zone: str) -> datetime | str:
    """The wall time of a timestamp in the data, or a text that says what is wrong with it."""
    if form == patterns.UNIX:
        found = read_instant(text)
        try:
            return found if isinstance(found, str) else intervals.to_wall(found, zone)
        except OverflowError:
            return f"the timestamp {text!r} lies outside the years 1 to 9999"
    try:
        wall = datetime.strptime(text.strip(" "), patterns.python_format(form))
    except ValueError:
        return f"the timestamp {text!r} is not written as {form}"
    if patterns.has_hour(form) and not intervals.exists(wall, zone):
        return f"the timestamp {text!r} never happened in {zone}: clocks skipped it"
    return wall
