"""Checks for data that Athena does not show: data outside of the ranges of partition projection.

The check compares the live data with the deployed range, and rows of the lake's tables with theirs. It lists only a few
pages of keys. Where folders sort by date, these are the first folders and those after the end of the range; otherwise,
these are the first pages.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import NamedTuple

from anomalake.catalog import projection
from anomalake.catalog.projection import OutOfRange
from anomalake.catalog.views import database
from anomalake.detect.timeline import utc_now
from anomalake.doctor.context import Context, Finding, call_aws
from anomalake.doctor.lake import RENDER_AND_DEPLOY
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import FIRST_PROJECTED_TIMESTAMP
from anomalake.lake import layout, live_data
from anomalake.lake.layout import Table
from anomalake.lake.live_data import require_source

_MAX_PAGES = 3  # pages of a listing, of 1,000 keys each
_EXAMPLE_INTERVAL = datetime(2021, 2, 17)
# Every alert has rows in anomalyGroups, and every interval of the detector has rows in observations.
_TABLES: tuple[Table, ...] = ("anomalyGroups", "observations")


class _LiveData(NamedTuple):
    """The live data of a metric set that was compared with the range of the deployed table."""

    metric_set: MetricSet
    start: date  # of the range
    first: datetime | None  # the first interval with live data (wall time)
    out_of_range: OutOfRange
    is_complete: bool  # whether the comparison included all intervals that matter


def check_partitions(context: Context) -> Iterator[Finding]:
    """Compare the live data and the lake's tables of each metric set with their ranges."""
    now, compared = utc_now(), list[_LiveData]()
    for metric_set in context.settings.sets:
        if metric_set.source is not None:
            result = _inspect_live_data(context, metric_set, now)
            if isinstance(result, Finding):
                yield result
            elif result is not None:
                compared.append(result)
        yield from _check_tables(context, metric_set, now)
    early = [live.out_of_range.before_start for live in compared if live.out_of_range.before_start is not None]
    value = projection.suggest_start(min(early)) if early else None  # all metric sets share one parameter
    for live in compared:
        yield from _live_data_findings(context, live, value)


def _live_data_findings(context: Context, live: _LiveData, value: date | None) -> Iterator[Finding]:
    """Yield the findings for one metric set; `value` is the parameter's value that includes the data of all of them."""
    name, origin = live.metric_set.name, f"{projection.START_PARAMETER} of the stack"
    warnings = projection.range_warnings(live.metric_set, live.out_of_range, live.start, origin, value)
    for found, remedy in warnings:
        command = f'make deploy PARAMETERS="{projection.START_PARAMETER}={value}"'
        yield Finding("warning", found, f"{remedy} (`{command}`)" if remedy.startswith("deploy") else remedy)
    if warnings:
        return
    if live.first is not None and live.is_complete:
        folder = live_data.interval_folder(live.metric_set, live.first)
        yield Finding("ok", f"{name}: Athena shows live data from {live.start} on, and the first file is in {folder}")
    else:
        yield _not_compared(context, live)


def _not_compared(context: Context, live: _LiveData) -> Finding:
    """Return the finding for live data that was not compared, or only in part."""
    name = live.metric_set.name
    prefix = time_patterns.parse_folder_pattern(require_source(live.metric_set).path).prefix
    if live.first is not None:
        found = f"{name}: folders do not sort by date, and only the first {_MAX_PAGES},000 objects were compared"
        remedy = (
            "`anomalake detect --rebuild` compares all of them; "
            "this check compares all only if `source.path` has the year first, then month and day"
        )
        return Finding("skipped", found, remedy)
    if not _list_keys(context, prefix, max_keys=1)[0]:
        return Finding("skipped", f"{name}: there is no live data to compare with the range of its partitions")
    found = f"{name}: none of the first {_MAX_PAGES},000 objects in {prefix} is in the folder of an interval"
    folder = live_data.interval_folder(live.metric_set, _EXAMPLE_INTERVAL)
    return Finding("warning", found, f"upload the file of each interval to its folder, such as {folder}/")


def _inspect_live_data(context: Context, metric_set: MetricSet, now: datetime) -> _LiveData | Finding | None:
    """Compare the live data with the deployed range.

    Return a finding if the deployed range cannot be parsed, and None if the table does not exist, which the check
    `catalog` reports.
    """
    answer = call_aws(context, "glue", "get_table", DatabaseName=database(context.prefix, metric_set), Name="live")
    if answer is None:
        return None
    path = require_source(metric_set).path
    deployed_range = answer["Table"].get("Parameters", {}).get("projection.slot.range", "")
    try:
        start = projection.start_of_range(deployed_range, projection.partition_pattern(path).pattern)
    except ValueError:
        found = (
            f"{metric_set.name}: the range of the live table's partitions is {deployed_range or 'empty'}; "
            f"it does not begin with a folder of {path}"
        )
        return Finding("problem", found, RENDER_AND_DEPLOY)
    walls, is_complete = _read_intervals(context, metric_set)
    if time_patterns.sorts_by_date(time_patterns.parse_folder_pattern(path).pattern):
        is_complete = True
        if walls and projection.precedes_tables(walls[0], metric_set.timezone):
            walls = [walls[0], *_read_intervals(context, metric_set, FIRST_PROJECTED_TIMESTAMP)[0]]
        after_range = datetime.combine((now + 2 * projection.RANGE_AHEAD).date(), time.min)
        walls += _read_intervals(context, metric_set, after_range)[0]
    out_of_range = projection.find_out_of_range(walls, metric_set, start, now)
    return _LiveData(metric_set, start, min(walls, default=None), out_of_range, is_complete)


def _read_intervals(
    context: Context, metric_set: MetricSet, start: datetime | None = None
) -> tuple[list[datetime], bool]:
    """Return the intervals (wall time) of live files, and whether the listing ended.

    The listing begins with the folder of `start`. Where folders sort by date, it stops after the first page that has
    intervals; otherwise, it reads `_MAX_PAGES` pages.
    """
    prefix, pattern, _ = time_patterns.parse_folder_pattern(require_source(metric_set).path)
    # The keys of a folder's files sort after the folder's name.
    after = prefix + start.strftime(time_patterns.to_python_format(pattern)) if start else ""
    found: list[datetime] = []
    for _ in range(_MAX_PAGES):
        keys, has_more = _list_keys(context, prefix, after)
        found += [wall for key in keys if (wall := live_data.wall_time_of_key(metric_set, key)) is not None]
        if not has_more or (found and time_patterns.sorts_by_date(pattern)):
            return found, not has_more
        after = keys[-1]
    return found, False


def _check_tables(context: Context, metric_set: MetricSet, now: datetime) -> Iterator[Finding]:
    """Yield a finding for each table of the lake that has rows before 2000, or after tomorrow."""
    tomorrow = layout.utc_date(now + projection.RANGE_AHEAD)
    for table in _TABLES:
        folder = f"{layout.table_folder(table, metric_set)}/date="
        first = _dates_of_keys(_list_keys(context, folder, max_keys=1)[0])
        after = _dates_of_keys(_list_keys(context, folder, f"{folder}{tomorrow}/~", max_keys=1)[0])
        if first and first[0] < layout.utc_date(FIRST_PROJECTED_TIMESTAMP):
            found = (
                f"{metric_set.name}: {table} has rows of {first[0]}; "
                f"Athena shows them from {FIRST_PROJECTED_TIMESTAMP:%Y-%m-%d} on"
            )
            remedy = (
                "if this date is a mistake, correct the data and run `anomalake detect --rebuild`; "
                "DuckDB shows it with this date"
            )
            yield Finding("warning", found, remedy)
        if after:
            found = (
                f"{metric_set.name}: {table} has rows of {after[0]}, in the future; Athena shows rows up to tomorrow"
            )
            remedy = (
                "if this date is a mistake, correct the clock of the sender; "
                "otherwise Athena shows the rows from that day on"
            )
            yield Finding("warning", found, remedy)


def _dates_of_keys(keys: Iterable[str]) -> list[str]:
    return [day for key in keys if (day := layout.date_in_key(key))]


def _list_keys(context: Context, prefix: str, after: str = "", max_keys: int = 1000) -> tuple[list[str], bool]:
    """Return the first keys with the prefix that sort after `after`, and whether there are more."""
    answer = call_aws(
        context,
        "s3",
        "list_objects_v2",
        Bucket=context.output("DataBucket"),
        Prefix=prefix,
        StartAfter=after,
        MaxKeys=max_keys,
    )
    objects = (answer or {}).get("Contents", [])
    return [item["Key"] for item in objects], (answer or {}).get("IsTruncated", False)
