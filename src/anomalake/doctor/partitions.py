"""The check of what Athena does not show: live data and rows of the lake's tables outside of the ranges of partition projection.

It asks for a few pages of keys: of folders that sort by their date the first and those after the end; of others the first pages.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from anomalake.catalog import projection
from anomalake.catalog.projection import OutOfRange
from anomalake.catalog.views import database
from anomalake.doctor.context import Context, Finding, call_aws
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP
from anomalake.lake import layout, live_data
from anomalake.lake.layout import Table
from anomalake.lake.live_data import require_source

_MAX_PAGES = 3  # of a thousand keys, that one question goes through
_TABLES: tuple[Table, ...] = (
    "anomalyGroups",
    "observations",
)  # every alert is in the one, every interval of the detector in the other


class _LiveData(NamedTuple):
    """A metric set's live data as far as it was looked at, and the range of the deployed table."""

    item: MetricSet
    start: date
    first: datetime | None
    lies: OutOfRange
    whole: bool  # whether no interval was left out


def check_partitions(context: Context) -> Iterator[Finding]:
    """Live data against the deployed range of each metric set, and the lake's tables against theirs."""
    now, seen = datetime.now(UTC).replace(tzinfo=None), list[_LiveData]()
    for item in context.settings.sets:
        if item.source is not None:
            looked = _inspect_live_data(context, item, now)
            if isinstance(looked, Finding):
                yield looked
            elif looked is not None:
                seen.append(looked)
        yield from _check_tables(context, item, now)
    early = [one.lies.before_start for one in seen if one.lies.before_start is not None]
    value = projection.suggest_start(min(early)) if early else None  # one parameter serves all metric sets
    for one in seen:
        told = projection.range_warnings(
            one.item, one.lies, one.start, f"{projection.START_PARAMETER} of the stack", value
        )
        for found, remedy in told:
            command = (
                f'{remedy} (`make deploy PARAMETERS="{projection.START_PARAMETER}={value}"`)'
                if remedy.startswith("deploy")
                else remedy
            )
            yield Finding("warning", found, command)
        if not told and one.first is not None and one.whole:
            place = live_data.interval_folder(one.item, one.first)
            yield Finding(
                "ok", f"{one.item.name}: Athena shows live data from {one.start} on, and the first lies in {place}"
            )
        elif not told:
            yield _not_compared(context, one)


def _not_compared(context: Context, one: _LiveData) -> Finding:
    prefix = time_patterns.parse_folder_pattern(require_source(one.item).path).prefix
    if one.first is not None:
        remedy = "`anomalake detect --rebuild` compares all of them; a `source.path` with the year first, then month and day, is compared here"
        return Finding(
            "skipped",
            f"{one.item.name}: folders do not sort by date, and only the first {_MAX_PAGES},000 objects were compared",
            remedy,
        )
    if not _list_keys(context, prefix, most=1)[0]:
        return Finding("skipped", f"{one.item.name}: there is no live data to compare with the range of its partitions")
    remedy = (
        f"put each interval's file in its folder, such as {live_data.interval_folder(one.item, datetime(2021, 2, 17))}/"
    )
    return Finding(
        "warning",
        f"{one.item.name}: none of the first {_MAX_PAGES},000 objects in {prefix} lies in the folder of an interval",
        remedy,
    )


def _inspect_live_data(context: Context, item: MetricSet, now: datetime) -> _LiveData | Finding | None:
    """The set's live data and range; a finding where the deployed range cannot be read, None where there is no table."""
    answer = call_aws(context, "glue", "get_table", DatabaseName=database(context.prefix, item), Name="live")
    if answer is None:
        return None  # `catalog` reports it
    path, projected = require_source(item).path, answer["Table"].get("Parameters", {}).get("projection.slot.range", "")
    try:
        start = projection.start_of_range(projected, projection.partition_pattern(path).pattern)
    except ValueError:
        found = f"{item.name}: the partitions of the live table range over {projected or 'nothing'}, which begins with no folder of {path}"
        return Finding(
            "problem",
            found,
            "run `anomalake render` and deploy again; or the deployed version is older than this checkout",
        )
    walls, whole = _read_intervals(context, item)
    if time_patterns.sorts_by_date(time_patterns.parse_folder_pattern(path).pattern):
        whole = True
        if walls and intervals.to_utc(walls[0], item.timezone) < EARLIEST_TIMESTAMP:
            walls = [walls[0], *_read_intervals(context, item, EARLIEST_TIMESTAMP)[0]]
        walls += _read_intervals(context, item, datetime.combine((now + 2 * projection.RANGE_AHEAD).date(), time.min))[
            0
        ]
    return _LiveData(
        item, start, min(walls, default=None), projection.find_out_of_range(walls, item, start, now), whole
    )


def _read_intervals(context: Context, item: MetricSet, start: datetime | None = None) -> tuple[list[datetime], bool]:
    """The intervals of live files, from the folder of `start` on: of the first page that has some, or of all pages where folders do not sort by date.

    Whether there are no more keys is the second answer.
    """
    prefix, pattern, _ = time_patterns.parse_folder_pattern(require_source(item).path)
    after = (
        prefix + start.strftime(time_patterns.to_python_format(pattern)) if start else ""
    )  # a folder's keys come after its name
    found: list[datetime] = []
    for _ in range(_MAX_PAGES):
        keys, more = _list_keys(context, prefix, after)
        found += [wall for key in keys if (wall := live_data.wall_time_of_key(item, key)) is not None]
        if not more or (found and time_patterns.sorts_by_date(pattern)):
            return found, not more
        after = keys[-1]
    return found, False


def _check_tables(context: Context, item: MetricSet, now: datetime) -> Iterator[Finding]:
    """Rows of the lake's tables before 2000 or after tomorrow."""
    tomorrow = layout.utc_date(now + projection.RANGE_AHEAD)
    for table in _TABLES:
        folder = f"{layout.table_folder(table, item)}/date="
        first = _days_of_keys(_list_keys(context, folder, most=1)[0])
        after = _days_of_keys(_list_keys(context, folder, f"{folder}{tomorrow}/~", most=1)[0])
        if first and first[0] < layout.utc_date(EARLIEST_TIMESTAMP):
            remedy = "if this date is a mistake, correct the data and run `anomalake detect --rebuild`; DuckDB on a laptop shows it"
            yield Finding(
                "warning",
                f"{item.name}: {table} has rows of {first[0]}; Athena shows them from {EARLIEST_TIMESTAMP:%Y-%m-%d} on",
                remedy,
            )
        if after:
            remedy = "if this date is a mistake, correct the clock of the sender; Athena shows these rows once that day has come"
            yield Finding(
                "warning",
                f"{item.name}: {table} has rows of {after[0]}, in the future; Athena shows rows up to tomorrow",
                remedy,
            )


def _days_of_keys(keys: Iterable[str]) -> list[str]:
    return [day for key in keys if (day := layout.date_in_key(key))]


def _list_keys(context: Context, prefix: str, after: str = "", most: int = 1000) -> tuple[list[str], bool]:
    """The first keys with the prefix that come after `after`, and whether there are more."""
    answer = (
        call_aws(
            context,
            "s3",
            "list_objects_v2",
            Bucket=context.output("DataBucket"),
            Prefix=prefix,
            StartAfter=after,
            MaxKeys=most,
        )
        or {}
    )
    return [one["Key"] for one in answer.get("Contents", [])], answer.get("IsTruncated", False)
