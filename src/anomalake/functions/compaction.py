"""Days that are over, in one object a table: what the detector wrote by the interval becomes one object a day. Decision 0010 says why so.

S3 changes one object at a time, and a query lists and reads many. So the day's object is written while the catalog's views still leave it out, one
object, `days.jsonl`, then says that it counts instead of the others, and only then are these deleted. Between two steps lies more time than a query
may take: none sees a row twice, or not at all. Only who holds the detector's lease comes here.
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

GRACE = timedelta(hours=1)  # between two steps; Athena ends a query after 30 minutes
DAYS_A_RUN = 3  # that are begun in one run, until it has caught up
MOST_BYTES = 30_000_000  # of a day's objects, which take twelve times as much memory while they are joined; a day with more stays as it is

Step = Literal["begun", "written", "switched", "deleted", "through"]
_NEXT: dict[Step, Step] = {"begun": "written", "written": "switched", "switched": "deleted"}


class Day(msgspec.Struct, frozen=True):
    """A day on its way: `target` is its object's name in every table, without the format; it counts instead of the others (`switched`), or not yet.

    The step `through` is of no day on its way: all up to it are begun or done.
    """

    day: str
    step: Step
    since: Annotated[datetime, msgspec.Meta(tz=False)]  # UTC
    target: str | None = None
    switched: bool | None = None


def compact(
    store: Store, metric_set: MetricSet, form: Format, *, after: datetime, now: datetime, has_time: Callable[[], bool]
) -> int:
    """Take each day a step further for which it is time; how many days are on their way.

    `after` and `now` in naive UTC: everything before the day of `after` was gone through by the detector and is written no more.
    """
    if metric_set.frequency == "P1D":
        return 0  # an interval is a day already
    key = layout.compaction_key(metric_set)
    head = store.get(key)
    known = read(head, key)
    days = [one for one in known if one.step != "through"]
    through = next((one.day for one in known if one.step == "through"), None) or _day_before(
        _first(store, metric_set) or layout.utc_date(after)
    )
    kept: list[Day] = []
    problem: StorageError | None = None
    for one in days:
        try:
            kept += [one] if now - one.since < GRACE or not has_time() else _advanced(store, metric_set, form, one, now)
        except StorageError as error:  # the other days go on
            kept.append(one)
            problem = problem or error
    begun = 0
    while (day := _day_after(through)) < layout.utc_date(after) and begun < DAYS_A_RUN and has_time():
        keys = [
            key for table in layout.DETECTOR_TABLES for key in store.list(layout.day_folder(table, metric_set, day))
        ]
        if any(layout.parse_interval_key(key) for key in keys):
            kept.append(Day(day, "begun", now, _free_name(day, keys), switched=False))
            begun += 1
        through = day
    after_it = [*kept, Day(through, "through", now)]
    data = b"".join(msgspec.json.encode(one) + b"\n" for one in after_it)
    moved = {(one.day, one.step) for one in known} != {(one.day, one.step) for one in after_it}
    if moved and not (store.replace(key, data, head.version) if head else store.create(key, data)):
        raise StorageError(f"{key}: another run wrote it meanwhile; the next run goes on from there")
    if problem is not None:
        raise problem
    return len(kept)


def read(head: StoredObject | None, key: str) -> list[Day]:
    """The days being compacted, in their order, and the day up to which all are begun; `UnreadableError` where the object is damaged."""
    try:
        days = [msgspec.json.decode(line, type=Day) for line in head.data.splitlines()] if head else []
        for one in days:
            datetime.fromisoformat(one.day)
    except (msgspec.DecodeError, ValueError) as error:
        remedy = (
            "restore an earlier version of this object, or score the live data again with `anomalake detect --rebuild`"
        )
        raise UnreadableError(key, f"is damaged: {error}; {remedy}") from error
    return days


def _read_if_whole(store: Store, key: str) -> list[Day]:
    """The days being compacted; none where the object is damaged, as a rebuild writes the days again."""
    try:
        return read(store.get(key), key)
    except UnreadableError:
        return []


def forget(store: Store, metric_set: MetricSet) -> None:
    """Before days are written anew: of those on their way only the objects that count stay, and none is left out any more."""
    key = layout.compaction_key(metric_set)
    for one in _read_if_whole(store, key):
        for table in layout.DETECTOR_TABLES if one.target else ():
            for found in list(store.list(layout.day_folder(table, metric_set, one.day))):
                if (_name(found) == one.target) != one.switched:
                    store.delete(found)
    store.delete(key)


def amend(
    store: Store, metric_set: MetricSet, form: Format, table: Table, *, instant: datetime, record: Sequence[Any]
) -> None:
    """Write an interval's one record, in place of the one it has, in whichever objects of its day it counts."""
    day, schema = layout.utc_date(instant), tables.schema(table, metric_set)
    mine = layout.table_key(table, metric_set, instant, form)
    head = layout.compaction_key(metric_set)
    way = next((one for one in read(store.get(head), head) if one.day == day and one.step != "through"), None)
    elsewhere = False
    for key in [key for key in store.list(layout.day_folder(table, metric_set, day)) if key.endswith(f".{form}")]:
        rows = _rows(store, key, form, schema) if key != mine else []
        has = any(row[0] == instant for row in rows)
        is_target = way is not None and _name(key) == way.target
        if has or is_target:
            changed = sorted([*(row for row in rows if row[0] != instant), tuple(record)], key=lambda row: row[0])
            store.put(key, encoding.encode_records(form, schema, changed))
        elsewhere = elsewhere or (has and not is_target)
    if not elsewhere and (way is None or not way.switched):
        store.put(mine, encoding.encode_records(form, schema, [record]))


def _rows(store: Store, key: str, form: Format, schema: Sequence[tables.Column]) -> list[tuple[Any, ...]]:
    stored = store.get(key)
    return list(zip(*encoding.decode_table(form, schema, stored.data, key).values(), strict=True)) if stored else []


def _advanced(store: Store, metric_set: MetricSet, form: Format, one: Day, now: datetime) -> list[Day]:
    """The day after its next step; none where it is done. Done again, a step does the same."""
    if one.step == "begun" and not _write(store, metric_set, form, one):
        return []
    if one.step == "switched":
        for table in layout.DETECTOR_TABLES:
            for key in _others(store, metric_set, one, table):
                store.delete(key)
    step = _NEXT.get(one.step)
    return [Day(one.day, step, now, one.target, switched=step != "written")] if step else []


def _write(store: Store, metric_set: MetricSet, form: Format, one: Day) -> bool:
    """Write the day's objects, which do not count yet; False where they would be too large."""
    found: dict[Table, list[bytes]] = {table: [] for table in layout.DETECTOR_TABLES}
    size = 0
    for table, parts in found.items():
        keys = _others(store, metric_set, one, table)
        for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
            if stored is None:
                raise StorageError(f"{key}: was listed and is gone; the next run looks again")
            parts.append(stored.data)
            size += len(stored.data)
            if size > MOST_BYTES:
                return False
    for table, parts in found.items():
        if parts:
            key = f"{layout.day_folder(table, metric_set, one.day)}/{one.target}.{form}"
            store.put(key, encoding.join_objects(form, tables.schema(table, metric_set), parts, key))
    return True


def _others(store: Store, metric_set: MetricSet, one: Day, table: Table) -> list[str]:
    """The objects that the day's takes the place of."""
    return [key for key in store.list(layout.day_folder(table, metric_set, one.day)) if _name(key) != one.target]


def _name(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def _free_name(day: str, keys: Sequence[str]) -> str:
    """A name that no object of the day has: a back-test's has the plain one, and what came after it lies beside it."""
    taken = set(map(_name, keys))
    names = itertools.chain([day], (f"{day}-{number}" for number in itertools.count(1)))
    return next(name for name in names if name not in taken)


def _first(store: Store, metric_set: MetricSet) -> str | None:
    """The first day with objects by the interval."""
    days = (
        layout.date_in_key(key)
        for table in layout.DETECTOR_TABLES
        for key in store.list(layout.table_folder(table, metric_set))
        if layout.parse_interval_key(key)
    )
    return min(days, default=None)


def _day_before(day: str) -> str:
    return layout.utc_date(datetime.fromisoformat(day) - timedelta(days=1))


def _day_after(day: str) -> str:
    return layout.utc_date(datetime.fromisoformat(day) + timedelta(days=1))
