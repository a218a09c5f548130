"""Live data: reads the files of an interval's folder and aggregates their rows to one value for each series and
measure.

A problem in a file stops neither its interval nor the run; it is counted and reported as a finding. A row is skipped if
it has the wrong shape, or a timestamp that lies outside its interval or does not exist in the time zone. A measure that
is not a finite number counts as missing. `catalog.views` reads the same data in SQL.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet, Source
from anomalake.lake import live_files
from anomalake.lake.live_files import (
    MAX_CACHED_CHARACTERS,
    MAX_FINDINGS,
    MAX_UNPACKED_BYTES,
    OTHER_INTERVAL,
    FileContents,
    Finding,
    Row,
    Series,
    is_number,
    quote,
)  # fmt: skip
from anomalake.lake.store import Store, UnreadableError

__all__ = ["Finding", "Row", "Series"]  # also exported here, for the modules that read live data
MAX_ROWS_PER_INTERVAL = 1_000_000  # in all its files
MAX_SERIES_PER_INTERVAL = 50_000  # in all its files; the detector keeps every series forever, with 12 kB for a measure


class IntervalData(NamedTuple):
    """The live data of an interval: for each series, one value for each measure (None if the value is missing)."""

    start: datetime  # naive UTC
    values: Mapping[Series, tuple[float | None, ...]]
    row_count: int
    findings: tuple[Finding, ...]  # at most MAX_FINDINGS
    further_findings: int = 0  # the number of findings that `findings` leaves out

    @property
    def finding_count(self) -> int:
        """The number of all findings."""
        return len(self.findings) + self.further_findings


def require_source(metric_set: MetricSet) -> Source:
    """Return the source of the metric set. Raise `ValueError` if it has no source."""
    if metric_set.source is None:
        raise ValueError(f"the metric set '{metric_set.name}' has no source")
    return metric_set.source


def interval_folder(metric_set: MetricSet, wall: datetime) -> str:
    """Return the folder of the interval that starts at the wall time."""
    prefix, pattern, suffix = time_patterns.parse_folder_pattern(require_source(metric_set).path)
    return prefix + wall.strftime(time_patterns.to_python_format(pattern)) + suffix


def list_files_by_interval(store: Store, metric_set: MetricSet, after: str = "") -> dict[datetime, list[str]]:
    """List the keys of all live files that sort after `after`, grouped by the wall time of their folder, in order of
    time.

    Files in other folders are not live data.
    """
    files: dict[datetime, list[str]] = {}
    for key in store.list(
        time_patterns.parse_folder_pattern(require_source(metric_set).path).prefix.rpartition("/")[0], after
    ):
        wall = wall_time_of_key(metric_set, key)
        if wall is not None:
            files.setdefault(wall, []).append(key)
    return dict(sorted(files.items()))


def wall_time_of_key(metric_set: MetricSet, key: str) -> datetime | None:
    """Return the wall time of the interval that the key of a live file belongs to; None for any other key."""
    prefix, pattern, _ = time_patterns.parse_folder_pattern(require_source(metric_set).path)
    width = sum(len(text) for _, text in time_patterns.split_pattern(pattern))
    try:
        wall = datetime.strptime(key[len(prefix) : len(prefix) + width], time_patterns.to_python_format(pattern))
    except ValueError:
        return None
    return (
        wall
        if _is_live_file(key, interval_folder(metric_set, wall))
        and intervals.floor_to_interval(wall, metric_set.frequency) == wall
        else None
    )


def list_interval_starts(store: Store, metric_set: MetricSet, after: datetime | None = None) -> list[datetime]:
    """List the starts (naive UTC, sorted) of all intervals that have live files; with `after`, only those that start
    later.

    If the folders sort by date, only the later folders are listed.
    """
    clock, key = metric_set.clock, ""
    if after is not None and time_patterns.sorts_by_date(
        time_patterns.parse_folder_pattern(require_source(metric_set).path).pattern
    ):
        key = f"{interval_folder(metric_set, clock.wall_time(after))}/"
    all_starts = (
        start for wall in list_files_by_interval(store, metric_set, key) for start in clock.starts_at_wall_time(wall)
    )
    return sorted(start for start in all_starts if after is None or start > after)


def list_interval_files(store: Store, metric_set: MetricSet, start: datetime) -> list[str]:
    """List the keys of the live files of one interval."""
    interval_path = interval_folder(metric_set, metric_set.clock.wall_time(start))
    return [key for key in store.list(interval_path) if _is_live_file(key, interval_path)]


def _is_live_file(key: str, interval_path: str) -> bool:
    """Return whether the key is in the folder and is not hidden.

    Athena hides files and folders whose name starts with `.` or `_`.
    """
    return key.startswith(f"{interval_path}/") and not any(
        part[:1] in {".", "_"} for part in key[len(interval_path) + 1 :].split("/")
    )


def read_interval(store: Store, metric_set: MetricSet, start: datetime, keys: Iterable[str]) -> IntervalData:
    """Read the live data of the interval that starts at `start` (naive UTC) from its files.

    A problem in a file affects only that file.
    """
    rows: list[Row] = []
    findings: list[Finding] = []
    finding_count = 0
    for key in keys:
        contents = _read_file(store, metric_set, start, key)
        if exceeded := _exceeded_limit(rows, contents.rows):
            problem = (
                f"the interval has more than {exceeded} with this file, the limit for one interval; the file is skipped"
            )
            contents = FileContents((), (Finding(key, problem),), 1)
        rows.extend(contents.rows)
        findings.extend(contents.findings[: MAX_FINDINGS - len(findings)])
        finding_count += contents.finding_count
    return IntervalData(
        start, aggregate_rows(rows, metric_set), len(rows), tuple(findings), finding_count - len(findings)
    )


def _exceeded_limit(rows: Sequence[Row], new_rows: Sequence[Row]) -> str | None:
    """Return the limit of one interval that `rows` exceed together with the rows of one more file; None if they exceed
    none.
    """
    count = len(rows) + len(new_rows)
    if count > MAX_ROWS_PER_INTERVAL:
        return f"{MAX_ROWS_PER_INTERVAL:,} rows"
    if (
        count > MAX_SERIES_PER_INTERVAL
        and len({series for part in (rows, new_rows) for series, _ in part}) > MAX_SERIES_PER_INTERVAL
    ):
        return f"{MAX_SERIES_PER_INTERVAL:,} series"
    return None


def _read_file(store: Store, metric_set: MetricSet, start: datetime, key: str) -> FileContents:
    """Read one file. A file that was deleted after it was listed is empty."""
    try:
        stored = store.get(key, MAX_UNPACKED_BYTES)
    except UnreadableError as error:
        return FileContents((), (Finding(key, f"the file {error.problem}; the file is skipped"),), 1)
    if stored is None:
        return FileContents((), (), 0)
    return live_files.collect_contents(parse_file(stored.data, metric_set, start, key), key)


def parse_file(data: bytes, metric_set: MetricSet, start: datetime, where: str) -> Iterator[Row | Finding]:
    """Yield the rows of one file of the interval, and a finding for each problem."""
    return live_files.parse_file(
        data, metric_set, require_source(metric_set), where, lambda stamp: _timestamp_problem(stamp, metric_set, start)
    )


def aggregate_rows(rows: Iterable[Row], metric_set: MetricSet) -> dict[Series, tuple[float | None, ...]]:
    """Aggregate rows to one value for each series and measure: the sum or the mean, as the measure defines."""
    rows = list(rows)
    aggregated = dict(rows)
    if len(aggregated) == len(rows):
        return aggregated
    aggregated, values_by_series = {}, dict[Series, list[list[float]]]()
    for series, measures in rows:
        if series not in aggregated:
            aggregated[series] = measures
            continue
        if series not in values_by_series:
            values_by_series[series] = [[] if value is None else [value] for value in aggregated[series]]
        for cell, value in zip(values_by_series[series], measures, strict=True):
            if value is not None:
                cell.append(value)
    divide = [measure.aggregation == "AVG" for measure in metric_set.measures]
    for series, cells in values_by_series.items():
        aggregated[series] = tuple(
            _sum(cell, len(cell) if mean else 1) for cell, mean in zip(cells, divide, strict=True)
        )
    return aggregated


def _sum(values: list[float], divisor: int) -> float | None:
    """Return the sum of the values divided by `divisor`; None if there are no values, or on overflow."""
    try:
        return math.fsum(values) / divisor if values else None
    except OverflowError:
        return None


def _timestamp_problem(text: str, metric_set: MetricSet, start: datetime) -> str | None:
    """Return what is wrong with a row's timestamp; None if it is in the interval that starts at `start`.

    Return `OTHER_INTERVAL` if it is in the other of two intervals that share a folder: where clocks go back, a wall
    time occurs twice.
    """
    clock = metric_set.clock
    row_interval = parse_interval_start(text, metric_set.timestamp.format, clock)
    if isinstance(row_interval, str):
        return row_interval
    if row_interval == start:
        return None
    wall = clock.wall_time(start)
    if clock.absolute and clock.wall_time(row_interval) == wall:
        return OTHER_INTERVAL
    return (
        f"the timestamp {quote(text)} lies outside the interval of its folder, {wall:%Y-%m-%d %H:%M} "
        f"({metric_set.timezone})"
    )


def parse_interval_start(text: str, timestamp_format: str, clock: intervals.Clock) -> datetime | str:
    """Return the start (naive UTC) of the interval that a timestamp in the data belongs to.

    Return a text that describes the problem if there is one.
    """
    parse = (
        _parse_interval_start_cached if len(text) <= MAX_CACHED_CHARACTERS else _parse_interval_start_cached.__wrapped__
    )
    return parse(text, timestamp_format, clock)


@lru_cache(maxsize=4096)
def _parse_interval_start_cached(text: str, timestamp_format: str, clock: intervals.Clock) -> datetime | str:
    parsed = (
        parse_instant(text)
        if timestamp_format == time_patterns.UNIX
        else parse_wall_time(text, timestamp_format, clock.zone)
    )
    try:
        return (
            parsed
            if isinstance(parsed, str)
            else clock.start(parsed if timestamp_format == time_patterns.UNIX else intervals.to_utc(parsed, clock.zone))
        )
    except OverflowError:
        return f"the timestamp {quote(text)} lies outside the years 1 to 9999"


def parse_instant(text: str) -> datetime | str:
    """Return the instant (naive UTC) of a UNIX timestamp in the data, or a text that describes the problem."""
    if not is_number(text.strip()):
        return f"the timestamp {quote(text)} is not a UNIX time"
    number = float(text)
    try:
        seconds = number / 1000 if number > time_patterns.MAX_UNIX_SECONDS else number
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return f"the timestamp {quote(text)} is not a UNIX time"


def parse_wall_time(text: str, timestamp_format: str, zone: str) -> datetime | str:
    """Return the wall time of a timestamp in the data, or a text that describes the problem."""
    parse = _parse_wall_time_cached if len(text) <= MAX_CACHED_CHARACTERS else _parse_wall_time_cached.__wrapped__
    return parse(text, timestamp_format, zone)


@lru_cache(maxsize=4096)
def _parse_wall_time_cached(text: str, timestamp_format: str, zone: str) -> datetime | str:
    if timestamp_format == time_patterns.UNIX:
        parsed = parse_instant(text)
        try:
            return parsed if isinstance(parsed, str) else intervals.to_wall_time(parsed, zone)
        except OverflowError:
            return f"the timestamp {quote(text)} lies outside the years 1 to 9999"
    try:
        wall = datetime.strptime(text.strip(" "), time_patterns.to_python_format(timestamp_format))
    except ValueError:
        return f"the timestamp {quote(text)} does not have the format {timestamp_format}"
    if time_patterns.has_hour(timestamp_format) and not intervals.wall_time_exists(wall, zone):
        return f"the timestamp {quote(text)} does not exist in {zone}: clocks skip it"
    return wall
