"""The range of partition projection of the live data, and the live data that it does not include. Pure functions.

Athena looks for live data only in the folders of the range, which begins at the stack's parameter `LiveDataStart` and
ends tomorrow. DuckDB reads every folder, so it also shows live data outside of the range. Source: "Supported types for
partition projection" in the Athena guide.
"""

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from anomalake.cloudformation import Node, escape_for_sub
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.time_patterns import FolderPattern
from anomalake.domain.timestamps import FIRST_PROJECTED_TIMESTAMP
from anomalake.lake import live_data

START_PARAMETER = "LiveDataStart"
DEFAULT_START = date(2020, 1, 1)
# The end of every range. Folders are named in local time and NOW is in UTC, so the range ends a day after NOW.
RANGE_END = "NOW+1DAYS"
RANGE_AHEAD = timedelta(days=1)
_DATE_PARTS = {"y": "Year", "M": "Month", "d": "Day"}  # a letter of a date pattern -> its name in `Fn::Sub`
_OVERRIDE = re.compile(rf"(?:ParameterKey=)?{START_PARAMETER}[\"']?(?:=|,ParameterValue=)[\"']*(\d{{4}}-\d\d-\d\d)")


def partition_pattern(path: str) -> FolderPattern:
    """Return the folder that is a partition of the live table.

    It is the folder of a day if the path has one, else the folder of an interval (decision 0011).
    """
    return time_patterns.parse_day_pattern(path) or time_patterns.parse_folder_pattern(path)


def _is_month(pattern: str) -> bool:
    """Return whether a partition is a month: its name has no day."""
    return "d" not in time_patterns.locate_fields(pattern)


def partition_step(metric_set: MetricSet) -> tuple[int, str]:
    """Return the step of partition projection from one folder to the next: a number and its unit.

    It is a day for folders of days and weeks, and for those of months that name a day. So the range can begin on any
    day, also if that is no Monday and no first of a month. Folders that do not exist have no rows.
    """
    path = live_data.require_source(metric_set).path
    if _is_month(partition_pattern(path).pattern):
        return 1, "MONTHS"
    if time_patterns.parse_day_pattern(path) is not None or not intervals.is_sub_daily(metric_set.folder_period):
        return 1, "DAYS"
    minutes = intervals.INTERVAL_LENGTHS[metric_set.folder_period] // intervals.MINUTE
    return (minutes, "MINUTES") if minutes % 60 else (minutes // 60, "HOURS")


def live_range(pattern: str) -> Node:
    """Return the range as CloudFormation computes it. It begins with the folder of the day `LiveDataStart`.

    For the pattern `yyyyMMdd/HHmm` the range is `20200101/0000,NOW+1DAYS`.
    """

    def piece(letter: str, text: str) -> str:
        if letter in _DATE_PARTS:
            return f"${{{_DATE_PARTS[letter]}}}"
        return "0" * len(text) if letter else escape_for_sub(text)

    day = {"Fn::Split": ["-", {"Ref": START_PARAMETER}]}
    text = "".join(itertools.starmap(piece, time_patterns.split_pattern(pattern))) + f",{RANGE_END}"
    parts = {name: {"Fn::Select": [index, day]} for index, name in enumerate(_DATE_PARTS.values()) if name in text}
    return {"Fn::Sub": [text, parts]}


def start_of_range(deployed_range: str, pattern: str) -> date:
    """Return the first day of a deployed range. Raises `ValueError` if the range begins with no date of the pattern."""
    return datetime.strptime(deployed_range.partition(",")[0], time_patterns.to_python_format(pattern)).date()


def configured_starts(samconfig: str) -> dict[str, date]:
    """Return the value of `LiveDataStart` in each profile of a `samconfig.toml`, by the profile's name.

    The result always has the profile `default`.
    """
    try:
        profiles = tomllib.loads(samconfig)
    except tomllib.TOMLDecodeError:  # `sam deploy` reports it
        profiles = {}
    starts = {"default": DEFAULT_START}
    for name, profile in profiles.items():
        parameters = profile.get("deploy", {}).get("parameters", {}) if isinstance(profile, Mapping) else {}
        if "parameter_overrides" in parameters:
            starts[name] = _overridden(parameters["parameter_overrides"])
    return starts


def _overridden(overrides: object) -> date:
    """Return the start in the value of `parameter_overrides`: a text, a list of texts, or a table."""
    parts = [f"{name}={value}" for name, value in overrides.items()] if isinstance(overrides, Mapping) else overrides
    match = _OVERRIDE.search(
        parts if isinstance(parts, str) else " ".join(map(str, parts)) if isinstance(parts, list) else ""
    )
    try:
        return date.fromisoformat(match[1]) if match else DEFAULT_START
    except ValueError:  # the deployment of the stack reports it
        return DEFAULT_START


class OutOfRange(NamedTuple):
    """The starts (wall time) of the outermost intervals with live data outside of the range; None if there are none."""

    before_tables: datetime | None  # the first interval before 2000, which no value of the parameter includes
    before_start: datetime | None  # the first interval from 2000 on that is before the range
    after_end: datetime | None  # the last interval after tomorrow


def precedes_tables(wall: datetime, zone: str) -> bool:
    """Return whether an interval starts before 2000: in UTC, as the lake's tables do, or on the wall clock.

    The folder of live data has the date of the wall clock, and `LiveDataStart` accepts dates from 2000 on.
    """
    if wall >= FIRST_PROJECTED_TIMESTAMP + RANGE_AHEAD:
        return False
    return wall < FIRST_PROJECTED_TIMESTAMP or intervals.to_utc(wall, zone) < FIRST_PROJECTED_TIMESTAMP


def find_out_of_range(walls: Iterable[datetime], metric_set: MetricSet, start: date, now: datetime) -> OutOfRange:
    """Return what is outside of a range that begins at `start`; `now` is in UTC, without a time zone."""
    if metric_set.source is not None and _is_month(partition_pattern(metric_set.source.path).pattern):
        start = start.replace(day=1)
    before_tables: list[datetime] = []
    before_start: list[datetime] = []
    after_end: list[datetime] = []
    for wall in walls:
        if precedes_tables(wall, metric_set.timezone):
            before_tables.append(wall)
        elif wall.date() < start:
            before_start.append(wall)
        elif wall.date() > (now + RANGE_AHEAD).date():
            after_end.append(wall)
    return OutOfRange(min(before_tables, default=None), min(before_start, default=None), max(after_end, default=None))


def suggest_start(first: datetime) -> date:
    """Return the value of `LiveDataStart` that includes the interval `first`: the first day of its month."""
    return first.date().replace(day=1)


class RangeWarning(NamedTuple):
    """A warning about live data that Athena does not show: what was found, and what to do."""

    found: str
    remedy: str


def range_warnings(
    metric_set: MetricSet, out_of_range: OutOfRange, start: date, origin: str, value: date | None = None
) -> list[RangeWarning]:
    """Return warnings about live data outside of a range that begins at `start`.

    `origin` says where the start is set. `value` is the value of the parameter that includes the data of all metric
    sets; it defaults to the value for this one.
    """
    problems = []
    if out_of_range.before_tables is not None:
        folder = live_data.interval_folder(metric_set, out_of_range.before_tables)
        text = (
            f"{metric_set.name}: live data begins with {folder}; the tables that Athena reads begin in "
            f"{FIRST_PROJECTED_TIMESTAMP.year} (UTC), so Athena shows nothing before"
        )
        problems.append(
            RangeWarning(text, "if this date is a mistake, correct the data; DuckDB shows it with this date")
        )
    if out_of_range.before_start is not None:
        folder = live_data.interval_folder(metric_set, out_of_range.before_start)
        text = (
            f"{metric_set.name}: there is live data from {folder} on, "
            f"but Athena shows it only from {start} on ({origin})"
        )
        suggestion = value or suggest_start(out_of_range.before_start)
        problems.append(RangeWarning(text, f"deploy with {START_PARAMETER}={suggestion}"))
    if out_of_range.after_end is not None:
        folder = live_data.interval_folder(metric_set, out_of_range.after_end)
        text = f"{metric_set.name}: {folder} is in the future; Athena shows live data up to tomorrow"
        remedy = "if this date is a mistake, correct the data; otherwise Athena shows it from that day on"
        problems.append(RangeWarning(text, remedy))
    return problems


def warnings_for_profiles(
    walls: Iterable[datetime], metric_set: MetricSet, samconfig: str, now: datetime
) -> list[RangeWarning]:
    """Return warnings about live data that the stacks of a `samconfig.toml` do not show.

    `walls` are the starts of the intervals with live data. If the profiles differ, the latest start counts.
    """
    starts = configured_starts(samconfig)
    start = max(starts.values())
    profiles = ", ".join(name for name, profile_start in starts.items() if profile_start == start)
    origin = f"{START_PARAMETER} of the profile {profiles} in samconfig.toml"
    if not samconfig:
        origin = f"the default of {START_PARAMETER}"
    return range_warnings(metric_set, find_out_of_range(walls, metric_set, start, now), start, origin)
