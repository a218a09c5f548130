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
from anomalake.lake.ingest import Message, RoutedAlert, ingest_messages, parse_message
from anomalake.lake.layout import Format, Table
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import StorageError, Store, StoredObject, put_if_absent

MAX_REBUILD_ATTEMPTS = 20  # of a day, while others write in it
MAX_FINDINGS = 20  # kept to be named; the others are counted
QUARANTINE_CHUNK_OBJECTS = 100  # objects of quarantine in one piece of work
MAX_PIECES_WITHOUT_PROCESSES = 4  # pieces that are not worth starting processes for
_Event = tuple[str, str]  # measure and event id
_Piece = TypeVar("_Piece")


class ReplayJob(NamedTuple):
    """What to make anew: in which lake, of which set (and among which alerts are routed), in which format, which tables, and from when to when."""

    lake: str
    sets: tuple[MetricSet, ...]
    metric_set: MetricSet
    form: Format
    tables: tuple[Table, ...] = (*tables.ALERT_TABLES, *layout.DETECTOR_TABLES)
    start: datetime = EARLIEST_TIMESTAMP  # of an interval, naive UTC
    end: datetime = TIMESTAMP_LIMIT  # not included
    reroute: bool = False  # alerts go where they would go today, not where they were filed
    exact: bool = False  # rows of events that the archive does not have are dropped

    def holds(self, instant: datetime) -> bool:
        """Whether the interval that starts then is to be rebuilt."""
        return self.start <= instant < self.end


class ReplayResult(NamedTuple):
    """What was done."""

    alerts: int = 0  # filed
    moved: int = 0  # to other metric sets, of those
    written: int = 0  # objects
    unchanged: int = 0  # objects that were as they should be
    deleted: int = 0  # objects whose content is elsewhere now
    kept_events: int = 0  # events in tables that the archive does not have
    findings: tuple[str, ...] = ()  # the first MAX_FINDINGS
    finding_count: int = 0

    def plus(self, other: "ReplayResult") -> "ReplayResult":
        """Both together."""
        return ReplayResult(
            self.alerts + other.alerts, self.moved + other.moved, self.written + other.written, self.unchanged + other.unchanged,
            self.deleted + other.deleted, self.kept_events + other.kept_events, (self.findings + other.findings)[:MAX_FINDINGS], self.finding_count + other.finding_count,
        )  # fmt: skip


class ArchivedDay(NamedTuple):
    """A UTC date, and the versions of the metric set that the archive has something of it under."""

    date: str
    versions: tuple[int, ...]


class _ConflictError(Exception):
    """Somebody else wrote an object between its being read and its being replaced."""


def list_days(job: ReplayJob) -> list[ArchivedDay]:
    """The dates that there is something to do for: of the set's archive, and of its tables."""
    store, found = _open_cached_lake(job.lake), dict[str, set[int]]()
    for key in store.list(layout.archive_folder(job.metric_set.name)):
        if (place := layout.parse_archive_key(key)) is not None and place[0] <= job.metric_set.version:
            found.setdefault(place[1], set()).add(place[0])
    for table in job.tables:
        for key in store.list(layout.table_folder(table, job.metric_set)):
            found.setdefault(layout.date_in_key(key), set())
    # An alert's date may be another than that of its archive, where the set's zone or frequency changed.
    first, last = job.start - timedelta(days=1), job.end + timedelta(days=1)
    current = job.metric_set.version  # in which alerts may arrive from now on
    dates = [day for day in sorted(found) if layout.utc_date(first) <= day <= layout.utc_date(last)]
    return [
        ArchivedDay(
            day, tuple(sorted({current}.union(*(found.get(near, ()) for near in (day, *_adjacent_dates(day))))))
        )
        for day in dates
    ]


def rebuild_day(job: ReplayJob, day: ArchivedDay) -> ReplayResult:
    """Make the tables of a day as the archive has them; again from the start where somebody writes meanwhile."""
    for _ in range(MAX_REBUILD_ATTEMPTS):
        try:
            return _rebuild(job, day)
        except _ConflictError:
            continue
    raise StorageError(
        f"{job.metric_set.path}, {day.date}: others wrote it {MAX_REBUILD_ATTEMPTS} times while it was rebuilt; try again"
    )


def list_quarantine(job: ReplayJob) -> list[tuple[str, ...]]:
    """The keys in quarantine, in pieces."""
    keys = tuple(_open_cached_lake(job.lake).list(layout.QUARANTINE_FOLDER))
    return [
        keys[number : number + QUARANTINE_CHUNK_OBJECTS] for number in range(0, len(keys), QUARANTINE_CHUNK_OBJECTS)
    ]


def retry_quarantine(job: ReplayJob, keys: tuple[str, ...]) -> ReplayResult:
    """Ingest what was not understood once more; what now is leaves quarantine, once it is filed."""
    store, findings = _open_cached_lake(job.lake), list[str]()
    messages = []
    for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
        try:
            messages += [Message(key, _quarantined_body(stored.data))] if stored else []
        except (ValueError, LookupError, TypeError) as error:
            findings.append(
                f"{key}: is no object of quarantine (an object with `reason` and `body`): {to_one_line(str(error), 200)}"
            )
    outcome = ingest_messages(messages, store, job.sets, job.form, max_events=None)
    if outcome.error is not None and len(outcome.failed_ids) == len(messages):
        raise outcome.error
    refused = {layout.quarantine_key(archive.digest_bodies([item.message.body])): item for item in outcome.quarantined}
    failed = dict.fromkeys(outcome.failed_ids, f"could not be filed: {outcome.error}")
    # A part that is still not understood has an object of its own by now; the message it came in leaves quarantine.
    understood = [message.id for message in messages if message.id not in refused and message.id not in failed]
    for key in understood:
        store.delete(key)
    left = {key: item.reason for key, item in refused.items() if item.message.id not in failed} | failed
    findings += [f"{key}: {reason}" for key, reason in left.items()]
    return ReplayResult(
        alerts=len(outcome.stored),
        deleted=len(understood),
        findings=tuple(findings[:MAX_FINDINGS]),
        finding_count=len(findings),
    )


def _quarantined_body(data: bytes) -> str:
    """The body that an object of quarantine holds."""
    body = json.loads(data)["body"]
    if not isinstance(body, str):
        raise TypeError("its `body` is no text")
    return body


def list_other_names(job: ReplayJob) -> list[str]:
    """The names that the archive has alerts under and that are none of the job's sets."""
    names = {key.split("/")[1] for key in _open_cached_lake(job.lake).list(layout.ARCHIVE_FOLDER)}
    return sorted(names - {item.name for item in job.sets})


def run_in_processes(
    work: Callable[[ReplayJob, _Piece], ReplayResult], job: ReplayJob, pieces: Sequence[_Piece], processes: int
) -> Iterator[ReplayResult]:
    """What `work` does for each piece, several at a time in processes of their own."""
    if processes == 1 or len(pieces) <= MAX_PIECES_WITHOUT_PROCESSES:
        yield from (work(job, piece) for piece in pieces)
        return
    with ProcessPoolExecutor(
        min(processes, len(pieces)), multiprocessing.get_context("spawn"), _end_with_parent
    ) as pool:
        try:
            yield from pool.map(work, [job] * len(pieces), pieces)
        except BrokenProcessPool as error:
            raise StorageError(
                "a process was ended from outside; run it again, it goes on with what is left"
            ) from error


def _end_with_parent() -> None:
    """End this process when the one that began it does, however that ends; an interrupt is that one's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@cache
def _open_cached_lake(lake: str) -> Store:
    return open_lake(lake)


# --- one day


class _ArchiveContents(NamedTuple):
    """What the archive has of a day."""

    filed: list[RoutedAlert]  # the alerts of the set
    events: dict[datetime, set[_Event]]  # every event that it knows, by interval
    objects: dict[str, bytes]
    elsewhere: list[Message]  # of which other sets take alerts by now
    leaving: set[str]  # their bodies, where this set takes none
    moved: int  # alerts in those
    findings: list[str]


def _rebuild(job: ReplayJob, day: ArchivedDay) -> ReplayResult:
    store, wanted = _open_cached_lake(job.lake), [table for table in tables.ALERT_TABLES if table in job.tables]
    # The tables are read before the archive: ingest writes there first, so a row that is not in the archive read now changes its object after this.
    there = _read_tables(store, job, day.date)
    read = _read_archive(store, job, day)
    done = ReplayResult(
        len(read.filed) + read.moved,
        read.moved,
        findings=tuple(read.findings[:MAX_FINDINGS]),
        finding_count=len(read.findings),
    )
    around = (
        [_read_archive(store, job, ArchivedDay(near, day.versions)) for near in _adjacent_dates(day.date)]
        if job.exact
        else []
    )
    events: dict[datetime, set[_Event]] = {}
    groups: dict[datetime, list[RoutedAlert]] = {}
    for part in (read, *around):
        for stamp, known in part.events.items():
            events.setdefault(stamp, set()).update(known)
        for one in part.filed:
            if part is read or layout.utc_date(one.timestamp) == day.date:
                groups.setdefault(one.timestamp, []).append(one)
    if any(part.findings for part in (read, *around)):
        job = job._replace(exact=False)  # a row may be of an alert that could not be read
    outcome = ingest_messages(read.elsewhere, store, job.sets, job.form, max_events=None)
    if outcome.error is not None:
        raise outcome.error
    stamps = {stamp for stamp in groups if layout.utc_date(stamp) == day.date} | {stamp for _, stamp in there}
    for stamp in sorted(stamps):
        for table in wanted:
            target = _Target(table, stamp, there.get((table, stamp), {}))
            done = done.plus(_write_target(store, job, target, groups.get(stamp, []), events.get(stamp, set())))
    for stamp in sorted(
        groups.keys() - stamps
    ):  # of another date than the archive's: added to what is there, which that date's own work settles
        for table in wanted:
            target = _Target(table, stamp, _read_formats(store, job, table, stamp))
            done = done.plus(
                _write_target(store, job._replace(exact=False), target, groups[stamp], ())._replace(kept_events=0)
            )
    for key, data in (
        read.objects.items() if read.leaving else ()
    ):  # last: until here a run that is cut short begins again with all of it
        if (rest := archive.remove_bodies(data, read.leaving)) != data:
            if rest:
                put_if_absent(
                    store,
                    f"{key.rpartition('/')[0]}/{archive.digest_bodies([str(line) for line in archive.unpack_bodies(rest)])}.jsonl",
                    rest,
                )
            store.delete(key)
    for table in layout.DETECTOR_TABLES:
        if table in job.tables:
            done = done.plus(_convert_format(table, store, job, day.date))
    return done


def _read_tables(store: Store, job: ReplayJob, day: str) -> dict[tuple[Table, datetime], dict[Format, StoredObject]]:
    """The objects of a day's tables that are to be rebuilt, in either format."""
    wanted = []
    for table in (table for table in tables.ALERT_TABLES if table in job.tables):
        for key in store.list(layout.day_folder(table, job.metric_set, day)):
            parsed = layout.parse_interval_key(key)
            if parsed is not None and job.holds(parsed[0]):
                wanted.append((table, *parsed, key))
    found: dict[tuple[Table, datetime], dict[Format, StoredObject]] = {}
    for (table, stamp, form, _), stored in zip(
        wanted, map_in_order(store, store.get, [key for *_, key in wanted]), strict=True
    ):
        if stored is not None:
            found.setdefault((table, stamp), {})[form] = stored
    return found


def _read_formats(store: Store, job: ReplayJob, table: Table, stamp: datetime) -> dict[Format, StoredObject]:
    """One table's object of one interval, in either format."""
    return {
        form: stored
        for form in layout.FORMATS
        if (stored := store.get(layout.table_key(table, job.metric_set, stamp, form))) is not None
    }


def _adjacent_dates(day: str) -> list[str]:
    """The dates beside it: where the set's zone or frequency changed, alerts of theirs belong to this one."""
    return [layout.utc_date(datetime.fromisoformat(day) + timedelta(days=number)) for number in (-1, 1)]


def _read_archive(store: Store, job: ReplayJob, day: ArchivedDay) -> _ArchiveContents:
    item, filed, events, findings = job.metric_set, list[RoutedAlert](), dict[datetime, set[_Event]](), list[str]()
    objects, bodies, elsewhere, leaving, moved = dict[str, bytes](), dict[str, str](), list[Message](), set[str](), 0
    keys = [
        key for version in day.versions for key in store.list(layout.archive_day_folder(item.name, version, day.date))
    ]
    for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
        objects[key] = stored.data if stored else b""
        for line in archive.unpack_bodies(objects[key]):
            if isinstance(line, str):
                bodies[line] = key  # delivered twice, it may stand in two objects
            else:
                findings.append(f"{key}: a line is damaged: {line}")
    for body, key in bodies.items():
        found, reasons = _route_archived(Message(key, body), job)
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
    return _ArchiveContents(filed, events, objects, elsewhere, leaving, moved, findings)


def _route_archived(message: Message, job: ReplayJob) -> tuple[tuple[RoutedAlert, ...], list[str]]:
    """The alerts of an archived body: those of the set it was filed under, and why others are none any more.

    With `reroute` they are all alerts of it, in the sets where they belong today, if they belong anywhere and no part of them lies outside the time.
    """
    (understood, refused), item = parse_message(message, job.sets, max_events=None), job.metric_set
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
    return tuple(RoutedAlert(message, one, item, item.start(one.instant)) for one in fitting), []


class _Target(NamedTuple):
    """One table's object of one interval: what there is of it, in either format."""

    table: Table
    stamp: datetime
    present: Mapping[Format, StoredObject]


def _write_target(
    store: Store, job: ReplayJob, target: _Target, group: Sequence[RoutedAlert], events: Collection[_Event]
) -> ReplayResult:
    """Make an object of the archive's alerts, and of the rows of events that the archive does not have."""
    table, stamp, present = target
    item, schema = job.metric_set, tables.schema(table, job.metric_set)
    findings, known = [], list[tables.Units]()
    for form, stored in present.items():
        key = layout.table_key(table, item, stamp, form)
        try:
            known.append(tables.units_from_columns(table, encoding.decode_table(form, schema, stored.data, key), item))
        except StorageError as error:
            if not group:
                return ReplayResult(findings=(f"{error}; the archive has no alert of it",), finding_count=1)
            findings.append(f"{error}; made anew")
    only_here = [
        {place: unit for place, unit in units.items() if not job.exact and tables.event_of_unit(place) not in events}
        for units in known
    ]
    whole = limits.keep_greatest(
        table, tables.merge_units([*(limits.limited_units(table, one.alert, item) for one in group), *only_here])
    )
    kept = {tables.event_of_unit(place) for units in only_here for place in units}
    done = ReplayResult(kept_events=len(kept), findings=tuple(findings), finding_count=len(findings))
    if not whole and not present:
        return done
    # Without rows it is written all the same: it could not be taken away without taking what somebody adds meanwhile.
    data = encoding.encode_table(job.form, schema, tables.columns_from_units(table, whole, item, stamp))
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


def _convert_format(table: Table, store: Store, job: ReplayJob, day: str) -> ReplayResult:
    """Write the day's rows of the table in the job's format where they are in the other: no alert holds them, so they come from themselves.

    An object that holds a whole day is written if a part of that lies in the job's time.
    """
    done, schema, midnight = ReplayResult(), tables.schema(table, job.metric_set), datetime.fromisoformat(day)
    other: Format = "csv" if job.form == "parquet" else "parquet"
    for key in store.list(layout.day_folder(table, job.metric_set, day)):
        parsed = layout.parse_interval_key(key)
        held = (
            job.start < midnight + timedelta(days=1) and midnight < job.end if parsed is None else job.holds(parsed[0])
        )
        if not held or not key.endswith(f".{other}") or (stored := store.get(key)) is None:
            continue
        try:
            data = encoding.encode_table(job.form, schema, encoding.decode_table(other, schema, stored.data, key))
        except StorageError as error:
            done = done.plus(ReplayResult(findings=(str(error),), finding_count=1))
            continue
        put_if_absent(store, f"{key.removesuffix(other)}{job.form}", data)
        store.delete(key)
        done = done.plus(ReplayResult(written=1, deleted=1))
    return done
