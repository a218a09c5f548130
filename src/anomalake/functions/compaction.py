"""Compaction: joins the objects that the detector writes for each interval of a day into one object for the day.

Decision 0010 explains the design. S3 changes one object at a time, but a query lists and reads many. Compaction of a
day therefore takes several steps. First the day's object is written, while the views of the catalog still exclude it.
Then one object, `days.jsonl`, tells the views to read the day's object instead of the others. Only then are the
others deleted. The time between two steps is longer than a query can run, so no query reads a row twice or misses
one.

Only a run that holds the lease of the detector may call these functions.
"""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from anomalake.domain.metric_set import MetricSet
from anomalake.lake import encoding, layout, tables
from anomalake.lake.layout import Format, Table
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import StorageError, Store, StoredObject, UnreadableError

MIN_STEP_INTERVAL = timedelta(hours=1)  # between two steps of a day; Athena ends a query after 30 minutes
MAX_DAYS_STARTED_PER_RUN = 3
# Joining objects takes twelve times their size in memory. A day with more bytes is not compacted.
MAX_DAY_BYTES = 30_000_000

Step = Literal["begun", "written", "switched", "deleted", "through"]
_NEXT_STEP: dict[Step, Step] = {"begun": "written", "written": "switched", "switched": "deleted"}


class DayCompaction(msgspec.Struct, frozen=True):
    """A day being compacted: one line of `days.jsonl`.

    `target` is the name of the day's object in every table, without the extension. `switched` says whether the views
    read that object instead of the others. The line with the step `through` is not a day being compacted: compaction
    of all days up to and including this one has started or finished.
    """

    day: str
    step: Step
    since: Annotated[datetime, msgspec.Meta(tz=False)]  # UTC
    target: str | None = None
    switched: bool | None = None


def compact_days(
    store: Store,
    metric_set: MetricSet,
    table_format: Format,
    *,
    after: datetime,
    now: datetime,
    has_time: Callable[[], bool],
) -> int:
    """Advance each day that is ready for its next step, and start compaction of finished days.

    `after` and `now` are naive UTC. The detector has processed every interval up to `after`, and writes no more
    objects of the days before it. Returns the number of days being compacted. Raises `StorageError` when a step of a
    day failed; the other days advance nevertheless.
    """
    if not metric_set.clock.is_sub_daily:
        return 0  # a day has at most one interval already
    key = layout.compaction_key(metric_set)
    stored = store.get(key)
    before = read_days(stored, key)
    through = next((day.day for day in before if day.step == "through"), None) or _previous_day(
        _find_first_day(store, metric_set) or layout.utc_date(after)
    )
    days: list[DayCompaction] = []
    problem: StorageError | None = None
    for day in (day for day in before if day.step != "through"):
        if now - day.since < MIN_STEP_INTERVAL or not has_time():
            days.append(day)
            continue
        try:
            days += _advance(store, metric_set, table_format, day, now)
        except StorageError as error:
            days.append(day)
            problem = problem or error
    started = 0
    while (date := _next_day(through)) < layout.utc_date(after) and started < MAX_DAYS_STARTED_PER_RUN and has_time():
        keys = [
            key for table in layout.DETECTOR_TABLES for key in store.list(layout.day_folder(table, metric_set, date))
        ]
        if any(layout.parse_interval_key(key) for key in keys):
            days.append(DayCompaction(date, "begun", now, _find_free_name(date, keys), switched=False))
            started += 1
        through = date
    _write_days(store, key, stored, before, [*days, DayCompaction(through, "through", now)])
    if problem is not None:
        raise problem
    return len(days)


def _write_days(
    store: Store, key: str, stored: StoredObject | None, before: list[DayCompaction], after: list[DayCompaction]
) -> None:
    """Write `days.jsonl` when a day or its step changed; `StorageError` when another run wrote it first."""
    if {(day.day, day.step) for day in before} == {(day.day, day.step) for day in after}:
        return
    data = b"".join(msgspec.json.encode(day) + b"\n" for day in after)
    if not (store.replace(key, data, stored.version) if stored else store.create(key, data)):
        raise StorageError(f"{key}: another run wrote it at the same time; the next run continues")


def read_days(stored: StoredObject | None, key: str) -> list[DayCompaction]:
    """Return the days being compacted in their order, and the `through` line.

    Raises `UnreadableError` when the object is damaged.
    """
    try:
        lines = stored.data.splitlines() if stored else []
        days = [msgspec.json.decode(line, type=DayCompaction) for line in lines]
        for day in days:
            datetime.fromisoformat(day.day)
    except (msgspec.DecodeError, ValueError) as error:
        remedy = "restore an earlier version of this object, or score the live data again: `anomalake detect --rebuild`"
        raise UnreadableError(key, f"is damaged: {error}; {remedy}") from error
    return days


def cancel_compactions(store: Store, metric_set: MetricSet) -> None:
    """Stop all compactions before a rebuild: delete the objects that the views exclude, then `days.jsonl`."""
    key = layout.compaction_key(metric_set)
    try:
        days = read_days(store.get(key), key)
    except UnreadableError:  # the rebuild writes all days again
        days = []
    for day in days:
        for table in layout.DETECTOR_TABLES if day.target else ():
            for object_key in list(store.list(layout.day_folder(table, metric_set, day.day))):
                if (_get_name(object_key) == day.target) != day.switched:
                    store.delete(object_key)
    store.delete(key)


def replace_record(
    store: Store, metric_set: MetricSet, table_format: Format, table: Table, *, instant: datetime, record: Sequence[Any]
) -> None:
    """Write the only record that an interval has in the table, in place of its earlier record.

    A day being compacted may have the record in two objects, of which the views read one. Both are changed.
    """
    date, schema = layout.utc_date(instant), tables.schema(table, metric_set)
    interval_key = layout.table_key(table, metric_set, instant, table_format)
    days_key = layout.compaction_key(metric_set)
    days = read_days(store.get(days_key), days_key)
    compacted = next((day for day in days if day.day == date and day.step != "through"), None)
    in_other_object = False
    for key in [
        key for key in store.list(layout.day_folder(table, metric_set, date)) if key.endswith(f".{table_format}")
    ]:
        rows = _read_rows(store, key, table_format, schema) if key != interval_key else []
        has_record = any(row[0] == instant for row in rows)
        is_target = compacted is not None and _get_name(key) == compacted.target
        if has_record or is_target:
            changed = sorted([*(row for row in rows if row[0] != instant), tuple(record)], key=lambda row: row[0])
            store.put(key, encoding.encode_records(table_format, schema, changed))
        in_other_object = in_other_object or (has_record and not is_target)
    if not in_other_object and (compacted is None or not compacted.switched):
        store.put(interval_key, encoding.encode_records(table_format, schema, [record]))


def _read_rows(store: Store, key: str, table_format: Format, schema: Sequence[tables.Column]) -> list[tuple[Any, ...]]:
    stored = store.get(key)
    return (
        list(zip(*encoding.decode_table(table_format, schema, stored.data, key).values(), strict=True))
        if stored
        else []
    )


def _advance(
    store: Store, metric_set: MetricSet, table_format: Format, day: DayCompaction, now: datetime
) -> list[DayCompaction]:
    """Take the next step.

    Returns the day after the step, or an empty list when it is finished. A step can be repeated.
    """
    if day.step == "begun" and not _write_target(store, metric_set, table_format, day):
        return []
    if day.step == "switched":
        for table in layout.DETECTOR_TABLES:
            for key in _list_replaced(store, metric_set, day, table):
                store.delete(key)
    step = _NEXT_STEP.get(day.step)
    return [DayCompaction(day.day, step, now, day.target, switched=step != "written")] if step else []


def _write_target(store: Store, metric_set: MetricSet, table_format: Format, day: DayCompaction) -> bool:
    """Write the day's object of each table; returns False, and writes nothing, when the day has too many bytes."""
    parts_by_table: dict[Table, list[bytes]] = {table: [] for table in layout.DETECTOR_TABLES}
    total_bytes = 0
    for table, parts in parts_by_table.items():
        keys = _list_replaced(store, metric_set, day, table)
        for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
            if stored is None:
                raise StorageError(f"{key}: was listed, but does not exist any more; the next run tries again")
            parts.append(stored.data)
            total_bytes += len(stored.data)
            if total_bytes > MAX_DAY_BYTES:
                return False
    for table, parts in parts_by_table.items():
        if parts:
            key = f"{layout.day_folder(table, metric_set, day.day)}/{day.target}.{table_format}"
            store.put(key, encoding.join_objects(table_format, tables.schema(table, metric_set), parts, key))
    return True


def _list_replaced(store: Store, metric_set: MetricSet, day: DayCompaction, table: Table) -> list[str]:
    """Return the keys of the objects that the day's object replaces."""
    return [key for key in store.list(layout.day_folder(table, metric_set, day.day)) if _get_name(key) != day.target]


def _get_name(key: str) -> str:
    """Return the name of an object without its folder and extension."""
    return key.rpartition("/")[2].partition(".")[0]


def _find_free_name(day: str, keys: Sequence[str]) -> str:
    """Return a name that no object of the day has.

    A back-test uses the name without a number. Later objects get a number.
    """
    used = set(map(_get_name, keys))
    names = itertools.chain([day], (f"{day}-{number}" for number in itertools.count(1)))
    return next(name for name in names if name not in used)


def _find_first_day(store: Store, metric_set: MetricSet) -> str | None:
    """Return the first day that has objects of single intervals."""
    days = (
        layout.date_in_key(key)
        for table in layout.DETECTOR_TABLES
        for key in store.list(layout.table_folder(table, metric_set))
        if layout.parse_interval_key(key)
    )
    return min(days, default=None)


def _previous_day(day: str) -> str:
    return layout.utc_date(datetime.fromisoformat(day) - timedelta(days=1))


def _next_day(day: str) -> str:
    return layout.utc_date(datetime.fromisoformat(day) + timedelta(days=1))
