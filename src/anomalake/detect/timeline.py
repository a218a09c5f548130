"""Which intervals a run processes, and which live data it does not process: not due yet, in the future, or far from all
other data.

The clock decides what is due. The work grows with the data that exists: the detector skips the middle of a long gap,
and reports a single date long before all others (such as 1970 or 2000, written for null) without processing it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from anomalake.detect import schedule
from anomalake.domain import intervals
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT
from anomalake.lake import live_data
from anomalake.lake.live_data import Finding, require_source
from anomalake.lake.store import Store

MAX_NAMED_FOLDERS = 3  # in one line of a summary


class Timeline(NamedTuple):
    """The intervals to process, in order, and the live data that is not processed."""

    files: dict[datetime, list[str]]  # by the start of the interval (naive UTC); an empty list if it has no data
    empty_intervals: int  # intervals without data between the first and the last, also the skipped ones
    findings: tuple[Finding, ...]  # folders that are not processed, and why
    notes: tuple[str, ...]  # lines for the summary


def utc_now() -> datetime:
    """Return the current time, naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def build_timeline(store: Store, metric_set: MetricSet, now: datetime) -> Timeline:
    """Return what a back-test at `now` (naive UTC) processes. Raises `UserError` if no live data is due."""
    folders, clock = live_data.list_files_by_interval(store, metric_set), metric_set.clock
    place = require_source(metric_set).path
    if not folders:
        raise UserError(
            f"the lake holds no live data of the metric set '{metric_set.name}'; put its files in folders {place}"
        )
    starts_of_wall = {wall: clock.starts_at_wall_time(wall) for wall in folders}
    findings = [
        _finding(metric_set, wall, _SKIPPED.format(zone=metric_set.timezone))
        for wall, starts in starts_of_wall.items()
        if not starts
    ]
    by_start = dict(sorted((start, keys) for wall, keys in folders.items() for start in starts_of_wall[wall]))
    inside = [start for start in by_start if EARLIEST_TIMESTAMP <= start < TIMESTAMP_LIMIT]
    findings += [
        _finding(metric_set, clock.wall_time(start), _OUTSIDE)
        for start in by_start
        if not EARLIEST_TIMESTAMP <= start < TIMESTAMP_LIMIT
    ]
    last = schedule.last_due(metric_set, now)
    ready = [start for start in inside if start <= last]
    outliers = schedule.count_leading_outliers(ready, metric_set)
    findings += [
        _finding(metric_set, clock.wall_time(start), _outlier(start, ready[outliers])) for start in ready[:outliers]
    ]
    future, waiting = find_not_due(metric_set, inside, now)
    findings = _first_of_each_folder([*findings, *future])
    notes = _notes(metric_set, waiting, findings)
    ready = ready[outliers:]
    if not ready:
        raise UserError(f"no live data of the metric set '{metric_set.name}' can be scored yet: {'; '.join(notes)}")
    gaps = schedule.long_gaps(ready, metric_set)
    notes += [
        f"gap: no data from {clock.end(before)} to {after} UTC; the detector skips the time between"
        for before, after in gaps
    ]
    walked = schedule.intervals_to_process(metric_set, clock.previous_start(ready[0]), ready[-1], ready)
    files = {start: by_start.get(start, []) for start in walked}
    skipped = sum(schedule.count_skipped(gap, metric_set) for gap in gaps)
    return Timeline(files, len(files) - len(ready) + skipped, tuple(findings), tuple(notes))


_SKIPPED = "this local time does not exist in {zone}, because clocks skip it; its files are not read"
_OUTSIDE = (
    f"the interval lies outside the years {EARLIEST_TIMESTAMP.year} to {TIMESTAMP_LIMIT.year - 1}, "
    "which the tables cover; it is not scored"
)
_FUTURE = (
    "the interval lies in the future: it starts at {start} UTC, and now it is {now:%Y-%m-%d %H:%M} UTC; "
    "it is not scored before it is due"
)


def find_not_due(
    metric_set: MetricSet, starts: Iterable[datetime], now: datetime
) -> tuple[list[Finding], list[datetime]]:
    """Return the folders in the future, as findings, and the intervals that have begun and are not due; `starts` are
    intervals with data.

    The later intervals of a folder that has begun are neither: only its rows tell whether they have data.
    """
    last = schedule.last_due(metric_set, now)
    not_due = [start for start in starts if start > last]
    clock = metric_set.clock
    future = _first_of_each_folder(
        _finding(metric_set, clock.wall_time(start), _FUTURE.format(start=start, now=now))
        for start in not_due
        if start > now and _start_of_folder(metric_set, start) > now
    )
    return future, [start for start in not_due if start <= now]


def _start_of_folder(metric_set: MetricSet, start: datetime) -> datetime:
    """Return when the first interval of the folder of an interval starts (naive UTC)."""
    wall = intervals.floor_to_interval(metric_set.clock.wall_time(start), metric_set.folder_period)
    return intervals.to_utc(wall, metric_set.timezone)


def describe_waiting(metric_set: MetricSet, waiting: Sequence[datetime]) -> list[str]:
    """Return a line of the summary about intervals that have not ended or whose offset has not passed; an empty list
    without any.
    """
    if not waiting:
        return []
    first = waiting[0]
    which = f"{metric_set.clock.wall_time(first)} ({metric_set.timezone})"
    due = f"is due at {schedule.due_time(metric_set, first)} UTC"
    rest = f" and {len(waiting) - 1:,} more" if len(waiting) > 1 else ""
    return [f"left for later: the interval {which} {due}{rest}; its data is not complete yet"]


def _notes(metric_set: MetricSet, waiting: Sequence[datetime], findings: Sequence[Finding]) -> list[str]:
    """Return the lines of the summary about live data that is not processed."""
    named = ", ".join(finding.where for finding in findings[:MAX_NAMED_FOLDERS]) + (
        ", ..." if len(findings) > MAX_NAMED_FOLDERS else ""
    )
    folders = "folder has a date" if len(findings) == 1 else "folders have dates"
    return describe_waiting(metric_set, waiting) + (
        [f"not scored: {len(findings):,} {folders} that cannot be processed ({named})"] if findings else []
    )


def _outlier(start: datetime, following: datetime) -> str:
    days = (following - start).days
    return (
        f"the interval lies {days:,} days before the data that follows; it is not scored. "
        "If the date is right, back-test this data separately"
    )


def _first_of_each_folder(findings: Iterable[Finding]) -> list[Finding]:
    """Return the first finding of each folder, which can cover several intervals."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.where, finding)
    return list(first.values())


def _finding(metric_set: MetricSet, wall: datetime, problem: str) -> Finding:
    return Finding(live_data.interval_folder(metric_set, wall), problem)
