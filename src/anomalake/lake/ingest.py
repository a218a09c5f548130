"""Messages into the lake: understand each, keep it as received, update the tables. What cannot be understood is quarantined, nothing is lost.

The order is quarantine, archive, tables; each step can be done again without harm, so a batch that failed half-way is simply sent again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from anomalake import sources
from anomalake.domain.alert import Alert
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import AlertError, UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.routing import find_metric_set
from anomalake.domain.text import replace_unprintable
from anomalake.lake import archive, encoding, layout, limits, tables
from anomalake.lake.layout import Format, Table
from anomalake.lake.store import StorageError, Store, put_if_absent, update_object

MAX_EVENTS_PER_MESSAGE = 100  # in one message, which the ingest function has to file within its time
MAX_REASON_CHARACTERS = 5_000
MAX_CHUNK_CHARACTERS = 1_100_000  # one message of the greatest length that SQS takes, or many short ones


class Message(NamedTuple):
    """Something that arrived, or one event of it: the id its sender knows it by, and its body as received."""

    id: str
    body: str


class RoutedAlert(NamedTuple):
    """An alert, the set it belongs to and the interval it is filed under (naive UTC)."""

    message: Message
    alert: Alert
    metric_set: MetricSet
    timestamp: datetime


class RejectedMessage(NamedTuple):
    """A message that was not understood, and why."""

    message: Message
    reason: str


class ParsedMessage(NamedTuple):
    """The alerts of a message, and its parts that are not understood, each alone; the whole message where no part of it is."""

    alerts: tuple[RoutedAlert, ...] = ()
    rejected: tuple[RejectedMessage, ...] = ()


class IngestResult(NamedTuple):
    """The result of a batch: alerts in the tables, what is in quarantine, the ids whose storage failed, with the first error, and warnings."""

    stored: tuple[RoutedAlert, ...]
    quarantined: tuple[RejectedMessage, ...]
    failed_ids: tuple[str, ...]
    error: StorageError | None
    warnings: tuple[str, ...] = ()


def split_by_size(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """The messages in order, in lists of at most `CHUNK_CHARACTERS` together (a longer message is alone), so that few alerts are in memory."""
    chunk: list[Message] = []
    size = 0
    for message in messages:
        if chunk and size + len(message.body) > MAX_CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += len(message.body)
    if chunk:
        yield chunk


def parse_message(
    message: Message, sets: tuple[MetricSet, ...], max_events: int | None = MAX_EVENTS_PER_MESSAGE
) -> ParsedMessage:
    """The alerts of a message, each with its place, and what is not understood of it. A state that is no alert gives neither."""
    try:
        events = [message._replace(body=body) for body in sources.split_message(message.body, max_events)]
    except AlertError as error:
        return ParsedMessage(rejected=(_reject(message, error),))
    found = [_parse_event(event, sets) for event in events]
    if all(one.rejected and not one.alerts for one in found) and found:
        reasons = dict.fromkeys(refused.reason for one in found for refused in one.rejected)
        return ParsedMessage(rejected=(RejectedMessage(message, "; ".join(reasons)[:MAX_REASON_CHARACTERS]),))
    return ParsedMessage(
        tuple(item for one in found for item in one.alerts), tuple(item for one in found for item in one.rejected)
    )


def _parse_event(event: Message, sets: tuple[MetricSet, ...]) -> ParsedMessage:
    """One event; where it is not understood as a whole, the alerts that it is made of, one by one."""
    whole = _route_alerts(event, sets)
    if not isinstance(whole, RejectedMessage):
        return ParsedMessage(whole)
    parts = [_route_alerts(event._replace(body=body), sets) for body in sources.split_event(event.body, sets)]
    if all(isinstance(part, RejectedMessage) for part in parts):
        return ParsedMessage(rejected=(whole,))
    filed = tuple(item for part in parts if not isinstance(part, RejectedMessage) for item in part)
    return ParsedMessage(filed, tuple(part for part in parts if isinstance(part, RejectedMessage)))


def _route_alerts(event: Message, sets: tuple[MetricSet, ...]) -> tuple[RoutedAlert, ...] | RejectedMessage:
    """The alerts of one event, all or none."""
    try:
        filed = []
        for alert in sources.read(event.body, sets):
            item = find_metric_set(alert.anomaly_detector_arn, sets)
            filed.append(RoutedAlert(event, match_to_metric_set(alert, item), item, item.start(alert.instant)))
        return tuple(filed)
    except (AlertError, UserError) as error:
        return _reject(event, error)
    except Exception as error:  # noqa: BLE001  (content never stops a batch: what surprised the code is kept, and said)
        return _reject(event, AlertError(f"not understood, by a fault of Anomalake: {type(error).__name__}: {error}"))


def _reject(message: Message, error: Exception) -> RejectedMessage:
    """The reason as one line: it goes to logs and terminals, and may quote the sender's text."""
    return RejectedMessage(message, replace_unprintable(str(error)))


def ingest_messages(
    messages: Iterable[Message],
    store: Store,
    sets: tuple[MetricSet, ...],
    form: Format,
    max_events: int | None = MAX_EVENTS_PER_MESSAGE,
) -> IngestResult:
    """File a batch of messages with at most `max_events` events each. Storage that fails costs the messages it touched, which are named, and no other."""
    filed: list[RoutedAlert] = []
    refused: list[RejectedMessage] = []
    for message in messages:
        understood = parse_message(message, sets, max_events)
        filed.extend(understood.alerts)
        refused.extend(understood.rejected)
    failed: dict[str, None] = {}
    error: StorageError | None = None
    warnings: list[str] = []

    def attempt(touched: Iterable[Message], key: str, write: Callable[[str], bool]) -> bool | None:
        """Whether there was an object before; None where storage failed."""
        nonlocal error
        try:
            return write(key)
        except StorageError as failure:
            error = error or failure
            failed.update(dict.fromkeys(message.id for message in touched))
            return None

    for item in refused:
        body = json.dumps(
            {"reason": item.reason, "body": item.message.body}
        ).encode()  # ASCII: a body may hold half a surrogate pair
        attempt(
            [item.message],
            layout.quarantine_key(archive.digest_bodies([item.message.body])),
            partial(put_if_absent, store, data=body),
        )
    for group in _group_alerts(filed, lambda item: (item.metric_set.path, layout.utc_date(item.timestamp))):
        bodies = sorted({item.message.body for item in group})
        key = layout.archive_key(
            group[0].metric_set, layout.utc_date(group[0].timestamp), archive.digest_bodies(bodies)
        )
        attempt([item.message for item in group], key, partial(put_if_absent, store, data=archive.pack_bodies(bodies)))
    archived = [item for item in filed if item.message.id not in failed]
    put = partial(merge_alerts, store=store, form=form, warn=warnings.append)
    for group in _group_alerts(
        archived, lambda item: (item.metric_set.path, layout.utc_date(item.timestamp), str(item.timestamp))
    ):
        known = False  # a timestamp that one table has, the others probably_exists have too
        for table in tables.ALERT_TABLES:
            key = layout.table_key(table, group[0].metric_set, group[0].timestamp, form)
            there = attempt(
                [item.message for item in group], key, partial(put, table=table, group=group, probably_exists=known)
            )
            if there is None:
                break
            known = known or there
    return IngestResult(
        tuple(item for item in filed if item.message.id not in failed),
        tuple(refused),
        tuple(failed),
        error,
        tuple(warnings),
    )


def merge_alerts(
    key: str,
    *,
    store: Store,
    table: Table,
    group: Sequence[RoutedAlert],
    form: Format,
    probably_exists: bool = False,
    warn: Callable[[str], None] | None = None,
) -> bool:
    """Merge the alerts, all of one set and interval, into a table's object. Whether it was there, which may be `probably_exists` already."""
    item, timestamp = group[0].metric_set, group[0].timestamp
    schema = tables.schema(table, item)
    full = False
    arrived = limits.keep_greatest(
        table, tables.merge_units(limits.limited_units(table, one.alert, item) for one in group)
    )
    if not arrived:
        return probably_exists

    def change(current: bytes | None) -> bytes:
        nonlocal full
        known = (
            []
            if current is None
            else [tables.units_from_columns(table, encoding.decode_table(form, schema, current, key), item)]
        )
        merged = limits.keep_greatest(table, tables.merge_units([*known, arrived]))
        full = limits.reaches_limit(table, merged)
        return encoding.encode_table(form, schema, tables.columns_from_units(table, merged, item, timestamp))

    there = update_object(store, key, change, probably_exists=probably_exists)
    if full and warn is not None:
        warn(
            f"{key}: is full; of what an interval has more, the greatest scores are kept (docs/alerts.md), and the archive has every alert"
        )
    return there


def _group_alerts(
    filed: Iterable[RoutedAlert], place: Callable[[RoutedAlert], tuple[str, ...]]
) -> list[list[RoutedAlert]]:
    groups: dict[tuple[str, ...], list[RoutedAlert]] = {}
    for item in filed:
        groups.setdefault(place(item), []).append(item)
    return list(groups.values())
