"""Rebuilds the tables of one UTC day from the archive (see `replay`)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from anomalake import sources
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import AlertError, UserError
from anomalake.domain.text import replace_unprintable
from anomalake.lake import archive, encoding, layout, limits, tables
from anomalake.lake.ingest import Message, RoutedAlert, ingest_messages, parse_message
from anomalake.lake.layout import Format, Table
from anomalake.lake.parallel import map_in_order
from anomalake.lake.replay_job import MAX_FINDINGS, ArchivedDay, ReplayJob, ReplayResult
from anomalake.lake.store import StorageError, Store, StoredObject, put_if_absent

MAX_REBUILD_ATTEMPTS = 20  # of a day, while other writers change it
_Event = tuple[str, str]  # measure and event ID
_StoredFormats = Mapping[Format, StoredObject]  # a table's object of one interval, in each format that exists


class _ConflictError(Exception):
    """Another writer changed an object after it was read and before it was replaced."""


class _ArchiveContents(NamedTuple):
    """The archive of a day."""

    alerts: list[RoutedAlert]  # of the metric set, in the period of the job
    events: dict[datetime, set[_Event]]  # all events of the archive, by interval
    objects: dict[str, bytes]
    rerouted: list[Message]  # with alerts that belong to other metric sets now
    removed_bodies: set[str]  # of these messages, the bodies without any alert of this metric set
    moved_alerts: int  # the alerts in `removed_bodies`
    findings: list[str]


class _Target(NamedTuple):
    """A table's object of one interval to rebuild, and the object that exists."""

    table: Table
    timestamp: datetime
    stored: _StoredFormats


def rebuild_day(job: ReplayJob, day: ArchivedDay) -> ReplayResult:
    """Rebuild the tables of a day from the archive. Start again if another writer changes an object in the meantime.

    Raise `StorageError` after `MAX_REBUILD_ATTEMPTS`.
    """
    for _ in range(MAX_REBUILD_ATTEMPTS):
        try:
            return _rebuild_once(job, day)
        except _ConflictError:
            continue
    raise StorageError(
        f"{job.metric_set.path}, {day.date}: other writers changed this day during all {MAX_REBUILD_ATTEMPTS} attempts "
        "to rebuild it; try again"
    )


def adjacent_dates(date: str) -> list[str]:
    """Return the dates before and after.

    If the time zone or frequency of the metric set changed, alerts that the archive has under these dates can belong to
    this date.
    """
    return [layout.utc_date(datetime.fromisoformat(date) + timedelta(days=days)) for days in (-1, 1)]


def _rebuild_once(job: ReplayJob, day: ArchivedDay) -> ReplayResult:
    store = job.open_store()
    # Read the tables before the archive. Ingestion writes to the archive first, so an alert that this reading of the
    # archive misses changes its table object later, and the conditional write of that object fails.
    stored_tables = _read_tables(store, job, day.date)
    contents = _read_archive(store, job, day)
    result = ReplayResult(
        len(contents.alerts) + contents.moved_alerts,
        contents.moved_alerts,
        findings=tuple(contents.findings[:MAX_FINDINGS]),
        finding_count=len(contents.findings),
    )
    dates = adjacent_dates(day.date) if job.exact else []
    adjacent = [_read_archive(store, job, ArchivedDay(date, day.versions)) for date in dates]
    if any(part.findings for part in (contents, *adjacent)):
        job = job._replace(exact=False)  # a row can belong to an alert that cannot be read
    ingested = ingest_messages(contents.rerouted, store, job.sets, job.table_format, max_events=None)
    if ingested.error is not None:
        raise ingested.error
    result = result.plus(
        _rebuild_tables(store, job, day.date, stored_tables=stored_tables, contents=contents, adjacent=adjacent)
    )
    # Remove rerouted alerts last. If the replay is interrupted before, the next one finds all of them again.
    if contents.removed_bodies:
        _remove_from_archive(store, contents)
    for table in layout.DETECTOR_TABLES:
        if table in job.tables:
            result = result.plus(_convert_format(table, store, job, day.date))
    return result


def _rebuild_tables(
    store: Store,
    job: ReplayJob,
    date: str,
    *,
    stored_tables: Mapping[tuple[Table, datetime], _StoredFormats],
    contents: _ArchiveContents,
    adjacent: Sequence[_ArchiveContents],
) -> ReplayResult:
    """Rebuild each table's object of each interval of the day."""
    events: dict[datetime, set[_Event]] = {}
    groups: dict[datetime, list[RoutedAlert]] = {}
    for part in (contents, *adjacent):
        for timestamp, part_events in part.events.items():
            events.setdefault(timestamp, set()).update(part_events)
        for routed in part.alerts:
            if part is contents or layout.utc_date(routed.timestamp) == date:
                groups.setdefault(routed.timestamp, []).append(routed)
    rebuilt_tables = [table for table in tables.ALERT_TABLES if table in job.tables]
    timestamps = {timestamp for timestamp in groups if layout.utc_date(timestamp) == date}
    timestamps |= {timestamp for _, timestamp in stored_tables}
    result = ReplayResult()
    for timestamp in sorted(timestamps):
        for table in rebuilt_tables:
            target = _Target(table, timestamp, stored_tables.get((table, timestamp), {}))
            known_events = events.get(timestamp, set())
            result = result.plus(_write_target(store, job, target, groups.get(timestamp, []), known_events))
    # Alerts of another date than their date in the archive: only add them here. The rebuild of that date does the rest.
    for timestamp in sorted(groups.keys() - timestamps):
        for table in rebuilt_tables:
            target = _Target(table, timestamp, _read_formats(store, job, table, timestamp))
            written = _write_target(store, job._replace(exact=False), target, groups[timestamp], ())
            result = result.plus(written._replace(kept_events=0))
    return result


def _remove_from_archive(store: Store, contents: _ArchiveContents) -> None:
    """Remove the alerts that belong to other metric sets now from the objects of the archive."""
    for key, data in contents.objects.items():
        remaining = archive.remove_bodies(data, contents.removed_bodies)
        if remaining == data:
            continue
        if remaining:
            digest = archive.digest_bodies([str(line) for line in archive.unpack_bodies(remaining)])
            put_if_absent(store, f"{key.rpartition('/')[0]}/{digest}.jsonl", remaining)
        store.delete(key)


def _read_tables(store: Store, job: ReplayJob, date: str) -> dict[tuple[Table, datetime], dict[Format, StoredObject]]:
    """Read the objects of a day's tables that the job rebuilds, in both formats."""
    objects = []
    for table in (table for table in tables.ALERT_TABLES if table in job.tables):
        for key in store.list(layout.day_folder(table, job.metric_set, date)):
            parsed = layout.parse_interval_key(key)
            if parsed is not None and job.includes(parsed[0]):
                objects.append((table, *parsed, key))
    stored_tables: dict[tuple[Table, datetime], dict[Format, StoredObject]] = {}
    keys = [key for *_, key in objects]
    for (table, timestamp, table_format, _), stored in zip(objects, map_in_order(store, store.get, keys), strict=True):
        if stored is not None:
            stored_tables.setdefault((table, timestamp), {})[table_format] = stored
    return stored_tables


def _read_formats(store: Store, job: ReplayJob, table: Table, timestamp: datetime) -> dict[Format, StoredObject]:
    """Read one table's object of one interval, in both formats."""
    return {
        table_format: stored
        for table_format in layout.FORMATS
        if (stored := store.get(layout.table_key(table, job.metric_set, timestamp, table_format))) is not None
    }


def _read_archive(store: Store, job: ReplayJob, day: ArchivedDay) -> _ArchiveContents:
    item = job.metric_set
    contents = _ArchiveContents([], {}, {}, [], set(), 0, [])
    bodies = dict[
        str, str
    ]()  # with the key of an object that holds it; after a duplicate delivery, two objects can hold it
    folders = [layout.archive_day_folder(item.name, version, day.date) for version in day.versions]
    keys = [key for folder in folders for key in store.list(folder)]
    for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
        contents.objects[key] = stored.data if stored else b""
        for line in archive.unpack_bodies(contents.objects[key]):
            if isinstance(line, str):
                bodies[line] = key
            else:
                contents.findings.append(f"{key}: a line is damaged: {line}")
    moved_alerts = 0
    for body, key in bodies.items():
        routed_alerts, reasons = _route_archived(Message(key, body), job)
        contents.findings.extend(f"{key}: {reason}" for reason in reasons)
        for routed in routed_alerts:
            timestamp = item.start(routed.alert.instant)
            event = (routed.alert.impacted_metric.metric_name, routed.alert.event_id)
            contents.events.setdefault(timestamp, set()).add(event)
            if routed.metric_set.name == item.name and job.includes(timestamp):
                contents.alerts.append(routed)
        names = {routed.metric_set.name for routed in routed_alerts}
        if names - {item.name}:
            contents.rerouted.append(Message(key, body))
            if item.name not in names:
                contents.removed_bodies.add(body)
                moved_alerts += len(routed_alerts)
    return contents._replace(moved_alerts=moved_alerts)


def _route_archived(message: Message, job: ReplayJob) -> tuple[tuple[RoutedAlert, ...], list[str]]:
    """Return the alerts of an archived body that belong to the metric set it is archived under, and the reasons of
    rejections.

    With `reroute`, return all alerts of the body, routed by today's metric sets, if there are any and all of them are
    in the period of the job.
    """
    (routed_alerts, rejected), item = parse_message(message, job.sets, max_events=None), job.metric_set
    reasons = [part.reason for part in rejected]
    if routed_alerts or not rejected:
        if job.reroute and all(job.includes(item.start(routed.alert.instant)) for routed in routed_alerts):
            return routed_alerts, reasons
        own_alerts = tuple(routed for routed in routed_alerts if routed.metric_set.name == item.name)
        if own_alerts:
            return own_alerts, reasons
    try:  # today's metric sets route the alerts elsewhere or nowhere, but the archive has them under this metric set
        read = sources.read(message.body, job.sets)
        if len({alert.anomaly_detector_arn for alert in read}) > 1:
            return (), [
                "the alerts are from several detectors, and none of these belongs to the metric set "
                f"'{item.name}' today; use --re-route to store them in the metric sets that they belong to now"
            ]
        matched = [match_to_metric_set(alert, item) for alert in read]
    except (AlertError, UserError) as error:
        return (), [replace_unprintable(str(error))]
    return tuple(RoutedAlert(message, alert, item, item.start(alert.instant)) for alert in matched), []


def _write_target(
    store: Store, job: ReplayJob, target: _Target, group: Sequence[RoutedAlert], archived_events: Collection[_Event]
) -> ReplayResult:
    """Write an object from the alerts of the archive and the stored rows of events that the archive does not have."""
    table, timestamp, stored_formats = target
    item, schema = job.metric_set, tables.schema(table, job.metric_set)
    findings, stored_units = [], list[tables.Units]()
    for table_format, stored in stored_formats.items():
        key = layout.table_key(table, item, timestamp, table_format)
        try:
            columns = encoding.decode_table(table_format, schema, stored.data, key)
            stored_units.append(tables.units_from_columns(table, columns, item))
        except StorageError as error:
            if not group:
                return ReplayResult(
                    findings=(f"{error}; the archive has no alerts to rebuild it from",), finding_count=1
                )
            findings.append(f"{error}; rebuilt from the archive")
    unarchived = [
        {
            identity: unit
            for identity, unit in units.items()
            if not job.exact and tables.event_of_unit(identity) not in archived_events
        }
        for units in stored_units
    ]
    archived = (limits.limited_units(table, routed.alert, item) for routed in group)
    units = limits.keep_greatest(table, tables.merge_units([*archived, *unarchived]))
    kept_events = {tables.event_of_unit(identity) for part in unarchived for identity in part}
    result = ReplayResult(kept_events=len(kept_events), findings=tuple(findings), finding_count=len(findings))
    if not units and not stored_formats:
        return result
    # An object without rows is written too. Deleting it instead could delete rows that another writer adds at the same
    # time.
    data = encoding.encode_table(job.table_format, schema, tables.columns_from_units(table, units, item, timestamp))
    return result.plus(_replace_stored(store, job, target, data))


def _replace_stored(store: Store, job: ReplayJob, target: _Target, data: bytes) -> ReplayResult:
    """Write the object in the job's format, then delete it in the other format.

    Raise `_ConflictError` if it has changed.
    """
    table, timestamp, stored_formats = target
    key, current = (
        layout.table_key(table, job.metric_set, timestamp, job.table_format),
        stored_formats.get(job.table_format),
    )
    if current is not None and current.data == data:
        result = ReplayResult(unchanged=1)
    elif store.create(key, data) if current is None else store.replace(key, data, current.version):
        result = ReplayResult(written=1)
    else:
        raise _ConflictError
    for table_format in stored_formats.keys() - {job.table_format}:
        store.delete(layout.table_key(table, job.metric_set, timestamp, table_format))
        result = result.plus(ReplayResult(deleted=1))
    return result


def _convert_format(table: Table, store: Store, job: ReplayJob, date: str) -> ReplayResult:
    """Convert the day's objects of a detector table that are in the other format. The archive has no alerts for them.

    The object of a whole day is converted if a part of the day is in the period of the job.
    """
    result, schema, midnight = ReplayResult(), tables.schema(table, job.metric_set), datetime.fromisoformat(date)
    other: Format = "csv" if job.table_format == "parquet" else "parquet"
    for key in store.list(layout.day_folder(table, job.metric_set, date)):
        parsed = layout.parse_interval_key(key)
        if parsed is not None:
            is_included = job.includes(parsed[0])
        else:
            is_included = job.start < midnight + timedelta(days=1) and midnight < job.end
        if not is_included or not key.endswith(f".{other}") or (stored := store.get(key)) is None:
            continue
        try:
            data = encoding.encode_table(
                job.table_format, schema, encoding.decode_table(other, schema, stored.data, key)
            )
        except StorageError as error:
            result = result.plus(ReplayResult(findings=(str(error),), finding_count=1))
            continue
        put_if_absent(store, f"{key.removesuffix(other)}{job.table_format}", data)
        store.delete(key)
        result = result.plus(ReplayResult(written=1, deleted=1))
    return result
