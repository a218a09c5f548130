"""The range of partition projection of live data: which folders Athena looks for, and which live data lies outside of them. Pure.

The range begins at the stack's parameter `LiveDataStart` and ends tomorrow. DuckDB reads every folder, so what lies
outside shows on a laptop and not in AWS. Source: "Supported types for partition projection" in the Athena guide.
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
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP
from anomalake.lake import live_data

START_PARAMETER = "LiveDataStart"
DEFAULT_START = date(2020, 1, 1)
RANGE_END, RANGE_AHEAD = "NOW+1DAYS", timedelta(days=1)  # the end of every range: folders are local, NOW is UTC
_PARTS = {"y": "Year", "M": "Month", "d": "Day"}
_OVERRIDE = re.compile(rf"(?:ParameterKey=)?{START_PARAMETER}[\"']?(?:=|,ParameterValue=)[\"']*(\d{{4}}-\d\d-\d\d)")


def partition_pattern(path: str) -> FolderPattern:
    """The folder that is a partition of the live table: of a day where the path has such, else of an interval (decision 0011)."""
    return time_patterns.parse_day_pattern(path) or time_patterns.parse_folder_pattern(path)


def live_range(pattern: str) -> Node:
    """The range that begins with the folder of the day `LiveDataStart`, as CloudFormation computes it: `yyyyMMdd/HHmm` -> `20200101/0000`."""

    def piece(letter: str, text: str) -> str:
        if letter in _PARTS:
            return f"${{{_PARTS[letter]}}}"
        return "0" * len(text) if letter else escape_for_sub(text)

    day = {"Fn::Split": ["-", {"Ref": START_PARAMETER}]}
    parts = {name: {"Fn::Select": [place, day]} for place, name in enumerate(_PARTS.values())}
    return {
        "Fn::Sub": ["".join(itertools.starmap(piece, time_patterns.split_pattern(pattern))) + f",{RANGE_END}", parts]
    }


def start_of_range(projected: str, pattern: str) -> date:
    """The first day of a deployed range; `ValueError` where it begins with no date of the pattern."""
    return datetime.strptime(projected.partition(",")[0], time_patterns.to_python_format(pattern)).date()


def configured_starts(samconfig: str) -> dict[str, date]:
    """The start that each profile of a `samconfig.toml` deploys, by the profile's name; `default` is always one."""
    try:
        profiles = tomllib.loads(samconfig)
    except tomllib.TOMLDecodeError:  # `sam deploy` refuses it
        profiles = {}
    starts = {"default": DEFAULT_START}
    for name, profile in profiles.items():
        parameters = profile.get("deploy", {}).get("parameters", {}) if isinstance(profile, Mapping) else {}
        if "parameter_overrides" in parameters:
            starts[name] = _overridden(parameters["parameter_overrides"])
    return starts


def _overridden(overrides: object) -> date:
    """The start in what `parameter_overrides` holds: a text, a list of texts, or a table."""
    parts = [f"{name}={value}" for name, value in overrides.items()] if isinstance(overrides, Mapping) else overrides
    found = _OVERRIDE.search(
        parts if isinstance(parts, str) else " ".join(map(str, parts)) if isinstance(parts, list) else ""
    )
    try:
        return date.fromisoformat(found[1]) if found else DEFAULT_START
    except ValueError:  # the stack refuses it
        return DEFAULT_START


class OutOfRange(NamedTuple):
    """Live data outside of the range, each as the start of an interval on the set's clock; None where there is none."""

    before_tables: datetime | None  # the first before 2000, where the lake's tables begin
    before_start: datetime | None  # the first after that and before the range
    after_end: datetime | None  # the last after tomorrow


def find_out_of_range(walls: Iterable[datetime], metric_set: MetricSet, start: date, now: datetime) -> OutOfRange:
    """What lies outside of a range that begins at `start`; `now` is naive UTC."""
    old: list[datetime] = []
    early: list[datetime] = []
    late: list[datetime] = []
    for wall in walls:
        if wall < EARLIEST_TIMESTAMP + RANGE_AHEAD and intervals.to_utc(wall, metric_set.timezone) < EARLIEST_TIMESTAMP:
            old.append(wall)
        elif wall.date() < start:
            early.append(wall)
        elif wall.date() > (now + RANGE_AHEAD).date():
            late.append(wall)
    return OutOfRange(min(old, default=None), min(early, default=None), max(late, default=None))


def suggest_start(first: datetime) -> date:
    """The value of `LiveDataStart` that shows this interval: the first day of its month."""
    return max(first, EARLIEST_TIMESTAMP).date().replace(day=1)


class RangeWarning(NamedTuple):
    """Live data that Athena does not show: what was found, and what to do."""

    found: str
    remedy: str


def range_warnings(
    metric_set: MetricSet, lies: OutOfRange, start: date, named: str, value: date | None = None
) -> list[RangeWarning]:
    """What to tell people of live data outside of a range; `named` says whose range that is, `value` is the parameter's that shows all sets."""
    found = []
    if lies.before_tables is not None:
        place = live_data.interval_folder(metric_set, lies.before_tables)
        told = f"{metric_set.name}: live data begins with {place}; the lake's tables begin in {EARLIEST_TIMESTAMP.year} (UTC), so Athena shows nothing before"
        found.append(RangeWarning(told, "if this date is a mistake, correct the data; DuckDB on a laptop shows it"))
    if lies.before_start is not None:
        place = live_data.interval_folder(metric_set, lies.before_start)
        told = (
            f"{metric_set.name}: there is live data from {place} on, but Athena shows it from {start} on only ({named})"
        )
        found.append(RangeWarning(told, f"deploy with {START_PARAMETER}={value or suggest_start(lies.before_start)}"))
    if lies.after_end is not None:
        told = f"{metric_set.name}: {live_data.interval_folder(metric_set, lies.after_end)} lies in the future; Athena shows live data up to tomorrow"
        found.append(
            RangeWarning(told, "if this date is a mistake, correct the data; Athena shows it once that day has come")
        )
    return found


def warnings_for_profiles(
    walls: Iterable[datetime], metric_set: MetricSet, samconfig: str, now: datetime
) -> list[RangeWarning]:
    """What the stacks that a `samconfig.toml` deploys do not show of the live data."""
    known, starts = list(walls), configured_starts(samconfig)
    start = max(starts.values())
    profiles = ", ".join(name for name, one in starts.items() if one == start)
    named = (
        f"{START_PARAMETER} of the profile {profiles} in samconfig.toml"
        if samconfig
        else f"the default of {START_PARAMETER}"
    )
    return range_warnings(metric_set, find_out_of_range(known, metric_set, start, now), start, named)
