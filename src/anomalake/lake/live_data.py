"""Live data: reads the files of a folder and aggregates their rows to one value for each interval, series and measure.

A folder covers one interval, or all intervals of an hour, a day or a month. A problem in a file stops neither its
interval nor the run; it is counted and reported as a finding. A row is skipped if it has the wrong shape, or a
timestamp that lies outside its folder or does not exist in the time zone. A measure that is not a finite number counts
as missing. `catalog.views` reads the same data in SQL.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet, Source
from anomalake.lake import aggregation, live_columns, live_files, live_rows
from anomalake.lake.live_files import MAX_FINDINGS, MAX_UNPACKED_BYTES, Finding
from anomalake.lake.live_rows import FOLDER, NO_TOP, Findings, Numbering, Request, Rows, Series, TopValues
from anomalake.lake.live_timestamps import parse_wall_time
from anomalake.lake.store import Store, UnreadableError

__all__ = [
    "NO_TOP",
    "Finding",
    "Series",
    "TopValues",
    "parse_wall_time",
]  # also exported here, for the modules that read live data
# Limits of an interval. The rows of several intervals that are read at once have the same limit, which bounds memory.
MAX_ROWS_PER_INTERVAL = 1_000_000  # in all its files
MAX_SERIES_PER_INTERVAL = 50_000  # in all its files; the detector keeps every series forever, with 12 kB for a measure
MIN_BYTES_BY_COLUMN = 4_096  # reading row by row takes less time for a smaller file


class IntervalData(NamedTuple):
    """The live data of an interval: for each series, one value for each measure (None if the value is missing).

    `weights` has the same form: the number of values behind an AVG, the denominator of a RATIO, and None for other
    measures and missing values. It is empty if no measure has a weight.
    """

    start: datetime  # naive UTC
    values: Mapping[Series, tuple[float | None, ...]]
    row_count: int
    findings: tuple[Finding, ...]  # at most MAX_FINDINGS
    further_findings: int = 0  # the number of findings that `findings` leaves out
    weights: Mapping[Series, tuple[float | None, ...]] = {}

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
    """Return the folder of the interval that starts at the wall time; other intervals may be in the same folder."""
    prefix, pattern, suffix = time_patterns.parse_folder_pattern(require_source(metric_set).path)
    return prefix + wall.strftime(time_patterns.to_python_format(pattern)) + suffix


def list_files_by_interval(store: Store, metric_set: MetricSet, after: str = "") -> dict[datetime, list[str]]:
    """List the keys of all live files that sort after `after`, grouped by the wall time of their interval, in order of
    time.

    All intervals of one folder have the same list. Files in other folders are not live data.
    """
    folders: dict[datetime, list[str]] = {}
    for key in store.list(
        time_patterns.parse_folder_pattern(require_source(metric_set).path).prefix.rpartition("/")[0], after
    ):
        wall = wall_time_of_key(metric_set, key)
        if wall is not None:
            folders.setdefault(wall, []).append(key)
    return {wall: keys for first, keys in sorted(folders.items()) for wall in list_walls_of_folder(metric_set, first)}


def wall_time_of_key(metric_set: MetricSet, key: str) -> datetime | None:
    """Return the wall time at which the folder of a live file begins; None for any other key."""
    prefix, pattern, _ = time_patterns.parse_folder_pattern(require_source(metric_set).path)
    width = sum(len(text) for _, text in time_patterns.split_pattern(pattern))
    try:
        wall = datetime.strptime(key[len(prefix) : len(prefix) + width], time_patterns.to_python_format(pattern))
    except ValueError:
        return None
    return (
        wall
        if _is_live_file(key, interval_folder(metric_set, wall))
        and intervals.floor_to_interval(wall, metric_set.folder_period) == wall
        else None
    )


def list_walls_of_folder(metric_set: MetricSet, first: datetime) -> Iterator[datetime]:
    """Yield the wall times of the intervals of the folder that begins at the wall time `first`.

    If it covers several, those that clocks skip are left out.
    """
    clock, period = metric_set.clock, metric_set.folder_period
    if period == metric_set.frequency:
        yield first
        return
    last = intervals.next_wall_time(first, period) - intervals.MINUTE
    for wall in intervals.iterate_wall_times(first, last, metric_set.frequency):
        if intervals.wall_time_exists(wall, clock.zone) or clock.starts_at_wall_time(wall):
            yield wall


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
    """List the keys of the live files in the folder of one interval."""
    interval_path = interval_folder(metric_set, metric_set.clock.wall_time(start))
    return [key for key in store.list(interval_path) if _is_live_file(key, interval_path)]


def _is_live_file(key: str, interval_path: str) -> bool:
    """Return whether the key is in the folder and is not hidden.

    Athena hides files and folders whose name starts with `.` or `_`.
    """
    return key.startswith(f"{interval_path}/") and not any(
        part[:1] in {".", "_"} for part in key[len(interval_path) + 1 :].split("/")
    )


def read_interval(
    store: Store, metric_set: MetricSet, start: datetime, keys: Iterable[str], top_values: TopValues = NO_TOP
) -> IntervalData:
    """Read the live data of the interval that starts at `start` (naive UTC) from its files.

    A problem in a file affects only that file.
    """
    return read_intervals(store, metric_set, [start], keys, top_values)[0]


def read_intervals(
    store: Store,
    metric_set: MetricSet,
    starts: Sequence[datetime],
    keys: Iterable[str],
    top_values: TopValues = NO_TOP,
) -> list[IntervalData]:
    """Read the live data of several intervals of one folder (their starts in naive UTC) from the folder's files.

    A finding that belongs to no interval is reported with the first interval of the folder. If the intervals have more
    rows than `MAX_ROWS_PER_INTERVAL`, the files are read again for each half of the intervals.
    """
    if not starts:
        return []
    keys = list(keys)
    request = build_request(metric_set, starts, top_values)
    read = _read_folder(store, request, keys)
    if read is None:
        middle = len(starts) // 2
        halves = (starts[:middle], starts[middle:])
        return [item for half in halves for item in read_intervals(store, metric_set, half, keys, top_values)]
    rows, findings = read
    counts = np.bincount(rows.intervals, minlength=len(starts)).tolist()
    first = _find_first_start(metric_set, request.wall) if findings.counts[FOLDER] else None
    result = []
    for place, (start, aggregates) in enumerate(
        zip(starts, aggregation.aggregate(rows, metric_set, len(starts)), strict=True)
    ):
        places = (FOLDER, place) if start == first else (place,)
        named = [finding for number in places for finding in findings.first.get(number, ())][:MAX_FINDINGS]
        further = sum(findings.counts[number] for number in places) - len(named)
        values, weights = aggregates
        result.append(IntervalData(start, values, counts[place], tuple(named), further, weights))
    return result


def build_request(metric_set: MetricSet, starts: Sequence[datetime], top_values: TopValues = NO_TOP) -> Request:
    """Return what is read of the files of the folder of these intervals."""
    return Request(
        metric_set,
        require_source(metric_set),
        intervals.floor_to_interval(metric_set.clock.wall_time(starts[0]), metric_set.folder_period),
        {start: place for place, start in enumerate(starts)},
        tuple(top_values.get(dimension.name) if dimension.top else None for dimension in metric_set.dimensions),
        tuple(dict.fromkeys(filter(None, map(live_rows.find_input, metric_set.measures)))),
    )


def _find_first_start(metric_set: MetricSet, wall: datetime) -> datetime | None:
    """Return the start of the first interval of the folder that begins at the wall time."""
    walls = list_walls_of_folder(metric_set, wall)
    return next((start for wall in walls for start in metric_set.clock.starts_at_wall_time(wall)), None)


def _read_folder(store: Store, request: Request, keys: Sequence[str]) -> tuple[Rows, Findings] | None:
    """Return the rows and findings of the files. Return None if several intervals have too many rows to read at once.

    If an interval exceeds a limit with the rows of a file, its rows of this file are skipped.
    """
    numbering, findings = Numbering({}, {}), Findings()
    parts: list[Rows] = []
    row_counts = np.zeros(len(request.places), np.int64)
    for key in keys:
        rows, found = read_file(store, request, key)
        if len(keys) > 1:
            rows = live_rows.renumber(rows, numbering)
        new_counts = np.bincount(rows.intervals, minlength=len(row_counts))
        if len(row_counts) > 1 and row_counts.sum() + new_counts.sum() > MAX_ROWS_PER_INTERVAL:
            return None
        for place in np.flatnonzero(new_counts).tolist():
            count = int(row_counts[place] + new_counts[place])
            if exceeded := _exceeded_limit(parts, rows, place, count):
                whole = "the file is skipped" if len(row_counts) == 1 else "its rows of the interval are skipped"
                problem = f"the interval has more than {exceeded} with this file, the limit for one interval; {whole}"
                found.replace(place, Finding(key, problem))
                rows = live_rows.select_rows(rows, rows.intervals != place)
        row_counts += np.bincount(rows.intervals, minlength=len(row_counts))
        parts.append(rows)
        findings.add_all(found)
    return parts[0] if len(keys) == 1 else live_rows.join_rows(parts, numbering, request.inputs), findings


def _exceeded_limit(parts: Sequence[Rows], rows: Rows, place: int, count: int) -> str | None:
    """Return the limit that an interval with `count` rows exceeds together with the rows of one more file; None if it
    exceeds none.
    """
    if count > MAX_ROWS_PER_INTERVAL:
        return f"{MAX_ROWS_PER_INTERVAL:,} rows"
    if count > MAX_SERIES_PER_INTERVAL:
        series = [part.series[part.intervals == place] for part in (*parts, rows)]
        if len(np.unique(np.concatenate(series))) > MAX_SERIES_PER_INTERVAL:
            return f"{MAX_SERIES_PER_INTERVAL:,} series"
    return None


def read_file(store: Store, request: Request, key: str) -> tuple[Rows, Findings]:
    """Read one file. An error affects only this file. A file that was deleted after it was listed is empty."""
    findings = Findings()
    try:
        stored = store.get(key, MAX_UNPACKED_BYTES)
    except UnreadableError as error:
        findings.add(FOLDER, Finding(key, f"the file {error.problem}; the file is skipped"))
        stored = None
    if stored is None:
        return live_rows.join_rows([], Numbering({}, {}), request.inputs), findings
    return parse_file(stored.data, request, key)


def parse_file(data: bytes, request: Request, where: str) -> tuple[Rows, Findings]:
    """Return the rows of one file, and a finding for each problem. An exception affects only this file."""
    findings = Findings()
    try:
        content = live_files.unpack(data, request.source)
        if request.source.format == "csv" and len(content) >= MIN_BYTES_BY_COLUMN:
            rows = live_columns.read_by_column(content, request)
            if rows is not None:
                return rows, findings
        return live_rows.read_by_row(content, request, where, findings), findings
    except live_files.FileError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001  (no file may stop a run)
        problem = f"the file is skipped after an error in Anomalake: {type(error).__name__}: {str(error)[:200]}"
    findings = Findings()
    findings.add(FOLDER, Finding(where, problem))
    return live_rows.join_rows([], Numbering({}, {}), request.inputs), findings
