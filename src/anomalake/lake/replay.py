"""The tables made anew from the archive: after a raised `version`, in another format, or because they were damaged; and quarantine tried again.

A UTC day is one piece of work, done whole in a process of its own. New bytes are written before old ones are taken away, nobody is notified, and
writers that go on meanwhile lose nothing. docs/lake.md tells it to people.
"""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple, TypeVar

from anomalake import sources
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import AlertError, UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.text import replace_unprintable, to_one_line
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT
from anomalake.lake import archive, encoding, layout, limits, tables
from anomalake.lake.credentials import open_lake
from anomalake.lake.ingest import Filed, Message, ingest, understand
from anomalake.lake.layout import Format, Table
from anomalake.lake.parallel import in_order
from anomalake.lake.store import StorageError, Store, Stored, keep

MOST_TRIES = 20  # of a day, while others write in it
MOST_FINDINGS = 20  # kept to be named; the others are counted
CHUNK = 100  # objects of quarantine in one piece of work
FEW = 4  # pieces that are not worth starting processes for
_Event = tuple[str, str]  # measure and event id
_Piece = TypeVar("_Piece")


class Job(NamedTuple):
    """What to make anew: in which lake, of which set (and among which alerts are routed), in which format, which tables, and from when to when."""

    lake: str
    sets: tuple[MetricSet, ...]
    metric_set: MetricSet
    form: Format
    tables: tuple[Table, ...] = (*tables.INGESTED, *layout.BY_DAY)
    start: datetime = EARLIEST_TIMESTAMP  # of an interval, naive UTC
    end: datetime = TIMESTAMP_LIMIT  # not included
    reroute: bool = False  # alerts go where they would go today, not where they were filed
    exact: bool = False  # rows of events that the archive does not have are dropped

    def holds(self, instant: datetime) -> bool:
        """Whether the interval that starts then is to be rebuilt."""
        return self.start <= instant < self.end


class Done(NamedTuple):
    """What was done."""

    alerts: int = 0  # filed
    moved: int = 0  # to other metric sets, of those
    written: int = 0  # objects
    unchanged: int = 0  # objects that were as they should be
    deleted: int = 0  # objects whose content is elsewhere now
    kept: int = 0  # events in tables that the archive does not have
    findings: tuple[str, ...] = ()  # the first of them
    found: int = 0  # all of them

    def plus(self, other: "Done") -> "Done":
        """Both together."""
        return Done(
            self.alerts + other.alerts, self.moved + other.moved, self.written + other.written, self.unchanged + other.unchanged,
            self.deleted + other.deleted, self.kept + other.kept, (self.findings + other.findings)[:MOST_FINDINGS], self.found + other.found,
        )  # fmt: skip


class Day(NamedTuple):
    """A UTC date, and the versions of the metric set that the archive has something of it under."""

    date: str
    versions: tuple[int, ...]


class _ConflictError(Exception):
    """Somebody else wrote an object between its being read and its being replaced."""


def days(job: Job) -> list[Day]:
    """The dates that there is something to do for: of the set's archive, and of its tables."""
    store, found = _store(job.lake), dict[str, set[int]]()
    for key in store.list(layout.archive_folder(job.metric_set.name)):
        if (place := layout.archive_place(key)) is not None and place[0] <= job.metric_set.version:
            found.setdefault(place[1], set()).add(place[0])
    for table in job.tables:
        for key in store.list(layout.folder(table, job.metric_set)):
            found.setdefault(layout.day_of(key), set())
    # An alert's date may be another than that of its archive, where the set's zone or frequency changed.
    first, last = job.start - timedelta(days=1), job.end + timedelta(days=1)
    current = job.metric_set.version  # in which alerts may arrive from now on
    dates = [day for day in sorted(found) if layout.date(first) <= day <= layout.date(last)]
    return [
        Day(day, tuple(sorted({current}.union(*(found.get(near, ()) for near in (day, *_around(day)))))))
        for day in dates
    ]


def rebuild(job: Job, day: Day) -> Done:
    """Make the tables of a day as the archive has them; again from the start where somebody writes meanwhile."""
    for _ in range(MOST_TRIES):
        try:
            return _rebuild(job, day)
        except _ConflictError:
            continue
    raise StorageError(
        f"{job.metric_set.path}, {day.date}: others wrote it {MOST_TRIES} times while it was rebuilt; try again"
    )


def quarantined(job: Job) -> list[tuple[str, ...]]:
    """The keys in quarantine, in pieces."""
    keys = tuple(_store(job.lake).list(layout.QUARANTINE))
    return [keys[number : number + CHUNK] for number in range(0, len(keys), CHUNK)]


def retry(job: Job, keys: tuple[str, ...]) -> Done:
    """Ingest what was not understood once more; what now is leaves quarantine, once it is filed."""
    store, findings = _store(job.lake), list[str]()
    messages = []
    for key, stored in zip(keys, in_order(store, store.get, keys), strict=True):
        try:
            messages += [Message(key, _body(stored.data))] if stored else []
        except (ValueError, LookupError, TypeError) as error:
            findings.append(
                f"{key}: is no object of quarantine (an object with `reason` and `body`): {to_one_line(str(error), 200)}"
            )
    outcome = ingest(messages, store, job.sets, job.form, most=None)
    if outcome.error is not None and len(outcome.failed) == len(messages):
        raise outcome.error
    refused = {layout.quarantine_key(archive.digest([item.message.body])): item for item in outcome.quarantined}
    failed = dict.fromkeys(outcome.failed, f"could not be filed: {outcome.error}")
    # A part that is still not understood has an object of its own by now; the message it came in leaves quarantine.
    understood = [message.id for message in messages if message.id not in refused and message.id not in failed]
    for key in understood:
        store.delete(key)
    left = {key: item.reason for key, item in refused.items() if item.message.id not in failed} | failed
    findings += [f"{key}: {reason}" for key, reason in left.items()]
    return Done(
        alerts=len(outcome.filed),
        deleted=len(understood),
        findings=tuple(findings[:MOST_FINDINGS]),
        found=len(findings),
    )


def _body(data: bytes) -> str:
    """The body that an object of quarantine holds."""
    body = json.loads(data)["body"]
    if not isinstance(body, str):
        raise TypeError("its `body` is no text")
    return body


def others(job: Job) -> list[str]:
    """The names that the archive has alerts under and that are none of the job's sets."""
    names = {key.split("/")[1] for key in _store(job.lake).list(layout.ARCHIVE)}
    return sorted(names - {item.name for item in job.sets})


def run(work: Callable[[Job, _Piece], Done], job: Job, pieces: Sequence[_Piece], processes: int) -> Iterator[Done]:
    """What `work` does for each piece, several at a time in processes of their own."""
    if processes == 1 or len(pieces) <= FEW:
        yield from (work(job, piece) for piece in pieces)
        return
    with ProcessPoolExecutor(min(processes, len(pieces)), multiprocessing.get_context("spawn"), _follow) as pool:
        try:
            yield from pool.map(work, [job] * len(pieces), pieces)
        except BrokenProcessPool as error:
            raise StorageError(
                "a process was ended from outside; run it again, it goes on with what is left"
            ) from error


def _follow() -> None:
    """End this process when the one that began it does, however that ends; an interrupt is that one's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_the_parent, daemon=True).start()


def _await_the_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@cache
def _store(lake: str) -> Store:
    return open_lake(lake)


# --- one day


class _Archived(NamedTuple):
    """What the archive has of a day."""

    filed: list[Filed]  # the alerts of the set
    events: dict[datetime, set[_Event]]  # every event that it knows, by interval
    objects: dict[str, bytes]
    elsewhere: list[Message]  # of which other sets take alerts by now
    leaving: set[str]  # their bodies, where this set takes none
    moved: int  # alerts in those
    findings: list[str]


def _rebuild(job: Job, day: Day) -> Done:
    store, wanted = _store(job.lake), [table for table in tables.INGESTED if table in job.tables]
    # The tables are read before the archive: ingest writes there first, so a row that is not in the archive read now changes its object after this.
    there = _tables(store, job, day.date)
    read = _read_archive(store, job, day)
    done = Done(
        len(read.filed) + read.moved,
        read.moved,
        findings=tuple(read.findings[:MOST_FINDINGS]),
        found=len(read.findings),
    )
    around = [_read_archive(store, job, Day(near, day.versions)) for near in _around(day.date)] if job.exact else []
    events: dict[datetime, set[_Event]] = {}
    groups: dict[datetime, list[Filed]] = {}
    for part in (read, *around):
        for stamp, known in part.events.items():
            events.setdefault(stamp, set()).update(known)
        for one in part.filed:
            if part is read or layout.date(one.timestamp) == day.date:
                groups.setdefault(one.timestamp, []).append(one)
    if any(part.findings for part in (read, *around)):
        job = job._replace(exact=False)  # a row may be of an alert that could not be read
    outcome = ingest(read.elsewhere, store, job.sets, job.form, most=None)
    if outcome.error is not None:
        raise outcome.error
    stamps = {stamp for stamp in groups if layout.date(stamp) == day.date} | {stamp for _, stamp in there}
    for stamp in sorted(stamps):
        for table in wanted:
            target = _Target(table, stamp, there.get((table, stamp), {}))
            done = done.plus(_settle(store, job, target, groups.get(stamp, []), events.get(stamp, set())))
    for stamp in sorted(
        groups.keys() - stamps
    ):  # of another date than the archive's: added to what is there, which that date's own work settles
        for table in wanted:
            target = _Target(table, stamp, _present(store, job, table, stamp))
            done = done.plus(_settle(store, job._replace(exact=False), target, groups[stamp], ())._replace(kept=0))
    for key, data in (
        read.objects.items() if read.leaving else ()
    ):  # last: until here a run that is cut short begins again with all of it
        if (rest := archive.without(data, read.leaving)) != data:
            if rest:
                keep(
                    store,
                    f"{key.rpartition('/')[0]}/{archive.digest([str(line) for line in archive.unpack(rest)])}.jsonl",
                    rest,
                )
            store.delete(key)
    for table in layout.BY_DAY:
        if table in job.tables:
            done = done.plus(_convert(table, store, job, day.date))
    return done


def _tables(store: Store, job: Job, day: str) -> dict[tuple[Table, datetime], dict[Format, Stored]]:
    """The objects of a day's tables that are to be rebuilt, in either format."""
    wanted = []
    for table in (table for table in tables.INGESTED if table in job.tables):
        for key in store.list(layout.day_folder(table, job.metric_set, day)):
            parsed = layout.parse_key(key)
            if parsed is not None and job.holds(parsed[0]):
                wanted.append((table, *parsed, key))
    found: dict[tuple[Table, datetime], dict[Format, Stored]] = {}
    for (table, stamp, form, _), stored in zip(
        wanted, in_order(store, store.get, [key for *_, key in wanted]), strict=True
    ):
        if stored is not None:
            found.setdefault((table, stamp), {})[form] = stored
    return found


def _present(store: Store, job: Job, table: Table, stamp: datetime) -> dict[Format, Stored]:
    """One table's object of one interval, in either format."""
    return {
        form: stored
        for form in layout.FORMATS
        if (stored := store.get(layout.table_key(table, job.metric_set, stamp, form))) is not None
    }


def _around(day: str) -> list[str]:
    """The dates beside it: where the set's zone or frequency changed, alerts of theirs belong to this one."""
    return [layout.date(datetime.fromisoformat(day) + timedelta(days=number)) for number in (-1, 1)]


def _read_archive(store: Store, job: Job, day: Day) -> _Archived:
    item, filed, events, findings = job.metric_set, list[Filed](), dict[datetime, set[_Event]](), list[str]()
    objects, bodies, elsewhere, leaving, moved = dict[str, bytes](), dict[str, str](), list[Message](), set[str](), 0
    keys = [
        key for version in day.versions for key in store.list(layout.archive_day_folder(item.name, version, day.date))
    ]
    for key, stored in zip(keys, in_order(store, store.get, keys), strict=True):
        objects[key] = stored.data if stored else b""
        for line in archive.unpack(objects[key]):
            if isinstance(line, str):
                bodies[line] = key  # delivered twice, it may stand in two objects
            else:
                findings.append(f"{key}: a line is damaged: {line}")
    for body, key in bodies.items():
        found, reasons = _filed(Message(key, body), job)
        findings += [f"{key}: {reason}" for reason in reasons]
        if not found:
            continue
        for one in found:
            stamp = item.start(one.alert.instant)
            events.setdefault(stamp, set()).add((one.alert.impacted_metric.metric_name, one.alert.event_id))
            if one.metric_set.name == item.name and job.holds(stamp):
                filed.append(one)
        names = {one.metric_set.name for one in found}
        if names - {item.name}:
            elsewhere.append(Message(key, body))
            if item.name not in names:
                leaving.add(body)
                moved += len(found)
    return _Archived(filed, events, objects, elsewhere, leaving, moved, findings)


def _filed(message: Message, job: Job) -> tuple[tuple[Filed, ...], list[str]]:
    """The alerts of an archived body: those of the set it was filed under, and why others are none any more.

    With `reroute` they are all alerts of it, in the sets where they belong today, if they belong anywhere and no part of them lies outside the time.
    """
    (understood, refused), item = understand(message, job.sets, most=None), job.metric_set
    reasons = [one.reason for one in refused]
    if understood or not refused:
        if job.reroute and all(job.holds(item.start(one.alert.instant)) for one in understood):
            return understood, reasons
        if any(one.metric_set.name == item.name for one in understood):
            return tuple(one for one in understood if one.metric_set.name == item.name), reasons
    try:  # routed elsewhere today, or nowhere; it was filed here
        read = sources.read(message.body, job.sets)
        if len({one.anomaly_detector_arn for one in read}) > 1:
            return (), [
                f"its alerts are of several detectors, none of which leads to {item.name!r} today; --re-route files them where they belong now"
            ]
        fitting = [match_to_metric_set(one, item) for one in read]
    except (AlertError, UserError) as error:
        return (), [replace_unprintable(str(error))]
    return tuple(Filed(message, one, item, item.start(one.instant)) for one in fitting), []


class _Target(NamedTuple):
    """One table's object of one interval: what there is of it, in either format."""

    table: Table
    stamp: datetime
    present: Mapping[Format, Stored]


def _settle(store: Store, job: Job, target: _Target, group: Sequence[Filed], events: Collection[_Event]) -> Done:
    """Make an object of the archive's alerts, and of the rows of events that the archive does not have."""
    table, stamp, present = target
    item, schema = job.metric_set, tables.schema(table, job.metric_set)
    findings, known = [], list[tables.Units]()
    for form, stored in present.items():
        key = layout.table_key(table, item, stamp, form)
        try:
            known.append(tables.units_of(table, encoding.decode(form, schema, stored.data, key), item))
        except StorageError as error:
            if not group:
                return Done(findings=(f"{error}; the archive has no alert of it",), found=1)
            findings.append(f"{error}; made anew")
    only_here = [
        {place: unit for place, unit in units.items() if not job.exact and tables.event_of(place) not in events}
        for units in known
    ]
    whole = limits.kept(table, tables.merge([*(limits.units(table, one.alert, item) for one in group), *only_here]))
    kept = {tables.event_of(place) for units in only_here for place in units}
    done = Done(kept=len(kept), findings=tuple(findings), found=len(findings))
    if not whole and not present:
        return done
    # Without rows it is written all the same: it could not be taken away without taking what somebody adds meanwhile.
    data = encoding.encode(job.form, schema, tables.rows(table, whole, item, stamp))
    key, current = layout.table_key(table, item, stamp, job.form), present.get(job.form)
    if current is not None and current.data == data:
        done = done._replace(unchanged=1)
    elif store.create(key, data) if current is None else store.replace(key, data, current.version):
        done = done._replace(written=1)
    else:
        raise _ConflictError
    for form in present.keys() - {job.form}:
        store.delete(layout.table_key(table, item, stamp, form))
        done = done._replace(deleted=done.deleted + 1)
    return done


def _convert(table: Table, store: Store, job: Job, day: str) -> Done:
    """Write the day's rows of the table in the job's format where they are in the other: no alert holds them, so they come from themselves.

    An object that holds a whole day is written if a part of that lies in the job's time.
    """
    done, schema, midnight = Done(), tables.schema(table, job.metric_set), datetime.fromisoformat(day)
    other: Format = "csv" if job.form == "parquet" else "parquet"
    for key in store.list(layout.day_folder(table, job.metric_set, day)):
        parsed = layout.parse_key(key)
        held = (
            job.start < midnight + timedelta(days=1) and midnight < job.end if parsed is None else job.holds(parsed[0])
        )
        if not held or not key.endswith(f".{other}") or (stored := store.get(key)) is None:
            continue
        try:
            data = encoding.encode(job.form, schema, encoding.decode(other, schema, stored.data, key))
        except StorageError as error:
            done = done.plus(Done(findings=(str(error),), found=1))
            continue
        keep(store, f"{key.removesuffix(other)}{job.form}", data)
        store.delete(key)
        done = done.plus(Done(written=1, deleted=1))
    return done
