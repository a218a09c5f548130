"""Ingests alerts: parses each message, archives it as received and updates the tables. A message that cannot be parsed
goes to quarantine.

The order is quarantine, archive, tables. Every step is idempotent, so a batch that fails can be sent again as a whole.
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

MAX_EVENTS_PER_MESSAGE = 100  # the ingest function must store all of them within its time
MAX_REASON_CHARACTERS = 5_000
MAX_CHUNK_CHARACTERS = 1_100_000  # one message of the maximum length of SQS, or many short ones


class Message(NamedTuple):
    """A message, or one event of it: the ID that the sender knows, and the body as received."""

    id: str
    body: str


class RoutedAlert(NamedTuple):
    """An alert, its metric set, and the start of the interval that it is stored under (naive UTC)."""

    message: Message
    alert: Alert
    metric_set: MetricSet
    timestamp: datetime


class RejectedMessage(NamedTuple):
    """A message that could not be parsed, and the reason."""

    message: Message
    reason: str


class ParsedMessage(NamedTuple):
    """The alerts of a message, and each part of it that could not be parsed.

    If no part could be parsed: the whole message, rejected.
    """

    alerts: tuple[RoutedAlert, ...] = ()
    rejected: tuple[RejectedMessage, ...] = ()


class IngestResult(NamedTuple):
    """The result of a batch."""

    stored: tuple[RoutedAlert, ...]  # in the tables
    quarantined: tuple[RejectedMessage, ...]
    failed_ids: tuple[str, ...]  # of the messages that could not be stored; send them again
    error: StorageError | None  # the first error of these
    warnings: tuple[str, ...] = ()


def split_by_size(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Yield the messages in order, in lists of at most `MAX_CHUNK_CHARACTERS`, to limit memory.

    A longer message is alone in its list.
    """
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
    """Parse a message and route its alerts to their metric sets.

    An event that reports no anomaly gives neither alerts nor a rejection.
    """
    try:
        events = [message._replace(body=body) for body in sources.split_message(message.body, max_events)]
    except AlertError as error:
        return ParsedMessage(rejected=(_reject(message, error),))
    parsed = [_parse_event(event, sets) for event in events]
    if parsed and all(event.rejected and not event.alerts for event in parsed):
        reasons = dict.fromkeys(rejected.reason for event in parsed for rejected in event.rejected)
        return ParsedMessage(rejected=(RejectedMessage(message, "; ".join(reasons)[:MAX_REASON_CHARACTERS]),))
    return ParsedMessage(
        tuple(alert for event in parsed for alert in event.alerts),
        tuple(rejected for event in parsed for rejected in event.rejected),
    )


def _parse_event(event: Message, sets: tuple[MetricSet, ...]) -> ParsedMessage:
    """Parse one event. If that fails, parse each of its alerts separately."""
    whole = _route_alerts(event, sets)
    if not isinstance(whole, RejectedMessage):
        return ParsedMessage(whole)
    parts = [_route_alerts(event._replace(body=body), sets) for body in sources.split_event(event.body, sets)]
    if all(isinstance(part, RejectedMessage) for part in parts):
        return ParsedMessage(rejected=(whole,))
    routed = tuple(alert for part in parts if not isinstance(part, RejectedMessage) for alert in part)
    return ParsedMessage(routed, tuple(part for part in parts if isinstance(part, RejectedMessage)))


def _route_alerts(event: Message, sets: tuple[MetricSet, ...]) -> tuple[RoutedAlert, ...] | RejectedMessage:
    """Return all alerts of one event, or a rejection of the event."""
    try:
        routed = []
        for alert in sources.read(event.body, sets):
            item = find_metric_set(alert.anomaly_detector_arn, sets)
            routed.append(RoutedAlert(event, match_to_metric_set(alert, item), item, item.start(alert.instant)))
        return tuple(routed)
    except (AlertError, UserError) as error:
        return _reject(event, error)
    except Exception as error:  # noqa: BLE001  (no content may stop a batch; the event goes to quarantine with this reason)
        return _reject(event, AlertError(f"an error in Anomalake: {type(error).__name__}: {error}"))


def _reject(message: Message, error: Exception) -> RejectedMessage:
    """Reject a message.

    The reason is one printable line, because it goes to logs and terminals and can quote the sender's text.
    """
    return RejectedMessage(message, replace_unprintable(str(error)))


def ingest_messages(
    messages: Iterable[Message],
    store: Store,
    sets: tuple[MetricSet, ...],
    table_format: Format,
    max_events: int | None = MAX_EVENTS_PER_MESSAGE,
) -> IngestResult:
    """Ingest a batch of messages with at most `max_events` events each.

    A storage error fails only the messages that it affects.
    """
    routed: list[RoutedAlert] = []
    rejected: list[RejectedMessage] = []
    for message in messages:
        parsed = parse_message(message, sets, max_events)
        routed.extend(parsed.alerts)
        rejected.extend(parsed.rejected)
    writer = _BatchWriter(store, table_format)
    for item in rejected:
        writer.quarantine(item)
    for group in _group_alerts(routed, lambda alert: (alert.metric_set.path, layout.utc_date(alert.timestamp))):
        writer.archive(group)
    archived = [alert for alert in routed if alert.message.id not in writer.failed_ids]
    for group in _group_alerts(
        archived,
        lambda alert: (alert.metric_set.path, layout.utc_date(alert.timestamp), str(alert.timestamp)),
    ):
        writer.update_tables(group)
    return IngestResult(
        tuple(alert for alert in routed if alert.message.id not in writer.failed_ids),
        tuple(rejected),
        tuple(writer.failed_ids),
        writer.error,
        tuple(writer.warnings),
    )


class _BatchWriter:
    """Writes the objects of a batch, and collects the messages whose storage failed."""

    def __init__(self, store: Store, table_format: Format) -> None:
        self._store, self._table_format = store, table_format
        self.failed_ids: dict[str, None] = {}
        self.error: StorageError | None = None
        self.warnings: list[str] = []

    def quarantine(self, item: RejectedMessage) -> None:
        """Write a rejected message to quarantine."""
        # ASCII, because a body can hold an unpaired surrogate
        data = json.dumps({"reason": item.reason, "body": item.message.body}).encode()
        key = layout.quarantine_key(archive.digest_bodies([item.message.body]))
        self._attempt([item.message], lambda: put_if_absent(self._store, key, data))

    def archive(self, group: Sequence[RoutedAlert]) -> None:
        """Archive the bodies of alerts, all of one metric set and date."""
        bodies = sorted({alert.message.body for alert in group})
        day = layout.utc_date(group[0].timestamp)
        key = layout.archive_key(group[0].metric_set, day, archive.digest_bodies(bodies))
        self._attempt(_messages(group), lambda: put_if_absent(self._store, key, archive.pack_bodies(bodies)))

    def update_tables(self, group: Sequence[RoutedAlert]) -> None:
        """Merge alerts, all of one metric set and interval, into the tables."""
        exists = False  # if one table has an object for the interval, the others probably have one too
        for table in tables.ALERT_TABLES:
            merge = partial(self._merge, table, group, exists)
            existed = self._attempt(_messages(group), merge)
            if existed is None:
                break
            exists = exists or existed

    def _merge(self, table: Table, group: Sequence[RoutedAlert], probably_exists: bool) -> bool:
        key = layout.table_key(table, group[0].metric_set, group[0].timestamp, self._table_format)
        return merge_alerts(
            key,
            store=self._store,
            table=table,
            group=group,
            table_format=self._table_format,
            probably_exists=probably_exists,
            warn=self.warnings.append,
        )

    def _attempt(self, messages: Iterable[Message], write: Callable[[], bool]) -> bool | None:
        """Return whether the object existed before, or None if storage failed; then note the messages as failed."""
        try:
            return write()
        except StorageError as error:
            self.error = self.error or error
            self.failed_ids.update(dict.fromkeys(message.id for message in messages))
            return None


def _messages(group: Iterable[RoutedAlert]) -> list[Message]:
    return [alert.message for alert in group]


def merge_alerts(
    key: str,
    *,
    store: Store,
    table: Table,
    group: Sequence[RoutedAlert],
    table_format: Format,
    probably_exists: bool = False,
    warn: Callable[[str], None] | None = None,
) -> bool:
    """Merge alerts, all of one metric set and interval, into an object of a table. Return whether the object existed
    before.

    `probably_exists` saves a request if the object exists. `warn` gets a message if the object reaches the limit of its
    table.
    """
    item, timestamp = group[0].metric_set, group[0].timestamp
    schema = tables.schema(table, item)
    is_full = False
    new_units = limits.keep_greatest(
        table, tables.merge_units(limits.limited_units(table, routed.alert, item) for routed in group)
    )
    if not new_units:
        return probably_exists

    def change(current: bytes | None) -> bytes:
        nonlocal is_full
        stored_units = []
        if current is not None:
            columns = encoding.decode_table(table_format, schema, current, key)
            stored_units.append(tables.units_from_columns(table, columns, item))
        merged = limits.keep_greatest(table, tables.merge_units([*stored_units, new_units]))
        is_full = limits.reaches_limit(table, merged)
        return encoding.encode_table(table_format, schema, tables.columns_from_units(table, merged, item, timestamp))

    existed = update_object(store, key, change, probably_exists=probably_exists)
    if is_full and warn is not None:
        warn(
            f"{key}: the object reached its limit; the table keeps the greatest scores of the interval "
            "(docs/alerts.md), and the archive keeps every alert"
        )
    return existed


def _group_alerts(
    routed: Iterable[RoutedAlert], group_key: Callable[[RoutedAlert], tuple[str, ...]]
) -> list[list[RoutedAlert]]:
    groups: dict[tuple[str, ...], list[RoutedAlert]] = {}
    for alert in routed:
        groups.setdefault(group_key(alert), []).append(alert)
    return list(groups.values())
