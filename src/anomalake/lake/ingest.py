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
from anomalake.lake.store import StorageError, Store, keep, update

MAX_EVENTS = 100  # in one message, which the ingest function has to file within its time
MAX_REASON_CHARACTERS = 5_000
CHUNK_CHARACTERS = 1_100_000  # one message of the greatest length that SQS takes, or many short ones


class Message(NamedTuple):
    """Something that arrived, or one event of it: the id its sender knows it by, and its body as received."""

    id: str
    body: str


class Filed(NamedTuple):
    """An alert, the set it belongs to and the interval it is filed under (naive UTC)."""

    message: Message
    alert: Alert
    metric_set: MetricSet
    timestamp: datetime


class Refused(NamedTuple):
    """A message that was not understood, and why."""

    message: Message
    reason: str


class Understood(NamedTuple):
    """The alerts of a message, and its parts that are not understood, each alone; the whole message where no part of it is."""

    filed: tuple[Filed, ...] = ()
    refused: tuple[Refused, ...] = ()


class Outcome(NamedTuple):
    """The result of a batch: alerts in the tables, what is in quarantine, the ids whose storage failed, with the first error, and warnings."""

    filed: tuple[Filed, ...]
    quarantined: tuple[Refused, ...]
    failed: tuple[str, ...]
    error: StorageError | None
    warnings: tuple[str, ...] = ()


def chunks(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """The messages in order, in lists of at most `CHUNK_CHARACTERS` together (a longer message is alone), so that few alerts are in memory."""
    chunk: list[Message] = []
    size = 0
    for message in messages:
        if chunk and size + len(message.body) > CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += len(message.body)
    if chunk:
        yield chunk


def understand(message: Message, sets: tuple[MetricSet, ...], most: int | None = MAX_EVENTS) -> Understood:
    """The alerts of a message, each with its place, and what is not understood of it. A state that is no alert gives neither."""
    try:
        events = [message._replace(body=body) for body in sources.split_message(message.body, most)]
    except AlertError as error:
        return Understood(refused=(_refused(message, error),))
    found = [_divided(event, sets) for event in events]
    if all(one.refused and not one.filed for one in found) and found:
        reasons = dict.fromkeys(refused.reason for one in found for refused in one.refused)
        return Understood(refused=(Refused(message, "; ".join(reasons)[:MAX_REASON_CHARACTERS]),))
    return Understood(
        tuple(item for one in found for item in one.filed), tuple(item for one in found for item in one.refused)
    )


def _divided(event: Message, sets: tuple[MetricSet, ...]) -> Understood:
    """One event; where it is not understood as a whole, the alerts that it is made of, one by one."""
    whole = _read(event, sets)
    if not isinstance(whole, Refused):
        return Understood(whole)
    parts = [_read(event._replace(body=body), sets) for body in sources.split_event(event.body, sets)]
    if all(isinstance(part, Refused) for part in parts):
        return Understood(refused=(whole,))
    filed = tuple(item for part in parts if not isinstance(part, Refused) for item in part)
    return Understood(filed, tuple(part for part in parts if isinstance(part, Refused)))


def _read(event: Message, sets: tuple[MetricSet, ...]) -> tuple[Filed, ...] | Refused:
    """The alerts of one event, all or none."""
    try:
        filed = []
        for alert in sources.read(event.body, sets):
            item = find_metric_set(alert.anomaly_detector_arn, sets)
            filed.append(Filed(event, match_to_metric_set(alert, item), item, item.start(alert.instant)))
        return tuple(filed)
    except (AlertError, UserError) as error:
        return _refused(event, error)
    except Exception as error:  # noqa: BLE001  (content never stops a batch: what surprised the code is kept, and said)
        return _refused(event, AlertError(f"not understood, by a fault of Anomalake: {type(error).__name__}: {error}"))


def _refused(message: Message, error: Exception) -> Refused:
    """The reason as one line: it goes to logs and terminals, and may quote the sender's text."""
    return Refused(message, replace_unprintable(str(error)))


def ingest(
    messages: Iterable[Message], store: Store, sets: tuple[MetricSet, ...], form: Format, most: int | None = MAX_EVENTS
) -> Outcome:
    """File a batch of messages with at most `most` events each. Storage that fails costs the messages it touched, which are named, and no other."""
    filed: list[Filed] = []
    refused: list[Refused] = []
    for message in messages:
        understood = understand(message, sets, most)
        filed.extend(understood.filed)
        refused.extend(understood.refused)
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
            [item.message], layout.quarantine_key(archive.digest([item.message.body])), partial(keep, store, data=body)
        )
    for group in _grouped(filed, lambda item: (item.metric_set.path, layout.date(item.timestamp))):
        bodies = sorted({item.message.body for item in group})
        key = layout.archive_key(group[0].metric_set, layout.date(group[0].timestamp), archive.digest(bodies))
        attempt([item.message for item in group], key, partial(keep, store, data=archive.pack(bodies)))
    archived = [item for item in filed if item.message.id not in failed]
    put = partial(add, store=store, form=form, warn=warnings.append)
    for group in _grouped(
        archived, lambda item: (item.metric_set.path, layout.date(item.timestamp), str(item.timestamp))
    ):
        known = False  # a timestamp that one table has, the others likely have too
        for table in tables.INGESTED:
            key = layout.table_key(table, group[0].metric_set, group[0].timestamp, form)
            there = attempt([item.message for item in group], key, partial(put, table=table, group=group, likely=known))
            if there is None:
                break
            known = known or there
    return Outcome(
        tuple(item for item in filed if item.message.id not in failed),
        tuple(refused),
        tuple(failed),
        error,
        tuple(warnings),
    )


def add(
    key: str,
    *,
    store: Store,
    table: Table,
    group: Sequence[Filed],
    form: Format,
    likely: bool = False,
    warn: Callable[[str], None] | None = None,
) -> bool:
    """Merge the alerts, all of one set and interval, into a table's object. Whether it was there, which may be `likely` already."""
    item, timestamp = group[0].metric_set, group[0].timestamp
    schema = tables.schema(table, item)
    full = False
    arrived = limits.kept(table, tables.merge(limits.units(table, one.alert, item) for one in group))
    if not arrived:
        return likely

    def change(current: bytes | None) -> bytes:
        nonlocal full
        known = [] if current is None else [tables.units_of(table, encoding.decode(form, schema, current, key), item)]
        merged = limits.kept(table, tables.merge([*known, arrived]))
        full = limits.overflows(table, merged)
        return encoding.encode(form, schema, tables.rows(table, merged, item, timestamp))

    there = update(store, key, change, likely=likely)
    if full and warn is not None:
        warn(
            f"{key}: is full; of what an interval has more, the greatest scores are kept (docs/alerts.md), and the archive has every alert"
        )
    return there


def _grouped(filed: Iterable[Filed], place: Callable[[Filed], tuple[str, ...]]) -> list[list[Filed]]:
    groups: dict[tuple[str, ...], list[Filed]] = {}
    for item in filed:
        groups.setdefault(place(item), []).append(item)
    return list(groups.values())
