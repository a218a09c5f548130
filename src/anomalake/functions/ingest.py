"""The function that takes alerts: an SQS batch, an HTTP call, or any other event; it files them in the lake and notifies people of the severe ones.

Content never makes it raise. Where storage stays down, the answer to SQS names the messages to send again, an HTTP call gets a 503, and for any other
event the function raises, so that the caller's retries act ("Handling errors for an SQS event source in Lambda" in the Lambda guide). What cannot be
done in the function's time is handed back in the same way.
"""

import json
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from anomalake.functions import http, notification
from anomalake.functions.setting import METRICS_NAMESPACE, Setting, publish, setting
from anomalake.lake import layout
from anomalake.lake.ingest import Message, RoutedAlert, ingest_messages, split_by_size
from anomalake.lake.store import RetryPolicy, StorageError, with_deadline

HURRIED = RetryPolicy(connect_seconds=2, request_seconds=5, total_seconds=10)  # a batch has a minute
MOST_KEPT = 1_000  # characters of an event that cannot be written
SPARE = 2.0  # seconds of the function's time for the answer
MAX_REASONS = 10  # of one answer

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class Taken(NamedTuple):
    """The result for some messages: how many alerts were filed, quarantined and notified of; which messages failed, and the first error."""

    filed: int = 0
    quarantined: int = 0
    told: int = 0
    failed: tuple[str, ...] = ()
    error: StorageError | None = None
    reasons: tuple[str, ...] = ()  # why messages, or parts of them, were not understood

    def plus(self, other: "Taken") -> "Taken":
        """Both together."""
        failed = tuple(dict.fromkeys(self.failed + other.failed))
        reasons = (self.reasons + other.reasons)[:MAX_REASONS]
        return Taken(
            self.filed + other.filed,
            self.quarantined + other.quarantined,
            self.told + other.told,
            failed,
            self.error or other.error,
            reasons,
        )


@metrics.log_metrics
def handler(event: Any, context: Any) -> dict[str, Any]:
    """File what the event holds; `{"batchItemFailures": [...]}` for SQS, a response for an HTTP call, counts for everybody else."""
    until = (
        None
        if context is None
        else time.monotonic() + context.get_remaining_time_in_millis() / 1000 - HURRIED.max_call_seconds - SPARE
    )
    if http.is_call(event):
        return http.answer(event, lambda messages: _counted(messages, until))
    queued = _queued(event)
    taken = _counted(queued or _direct(event), until)
    if queued:
        return {"batchItemFailures": [{"itemIdentifier": message} for message in taken.failed]}
    if taken.error is not None:
        raise taken.error
    return {"filed": taken.filed, "quarantined": taken.quarantined}


def _counted(messages: Sequence[Message], until: float | None) -> Taken:
    """Take the messages, and count what comes of them in the function's metrics."""
    taken = take(messages, setting(HURRIED), until)
    counts = {
        "AlertsFiled": taken.filed,
        "AlertsQuarantined": taken.quarantined,
        "MessagesFailed": len(taken.failed),
        "NotificationsSent": taken.told,
    }
    for name, count in counts.items():
        metrics.add_metric(name, "Count", count)
    return taken


def take(messages: Sequence[Message], chosen: Setting, until: float | None = None) -> Taken:
    """File the messages' alerts, then notify people; what went wrong is in the log, and in the answer.

    A few messages at a time: the alerts of a whole batch need not fit into memory at once. After `until` (seconds of `time.monotonic`) nothing is
    begun any more; what is left counts as failed.
    """
    taken = Taken()
    for some in split_by_size(messages):
        taken = taken.plus(_take(some, chosen, until))
    return taken


def _take(messages: Sequence[Message], chosen: Setting, until: float | None) -> Taken:
    outcome = ingest_messages(messages, with_deadline(chosen.store, until), chosen.sets, chosen.format)
    told, untold = _tell(outcome.stored, chosen, until)
    for refused in outcome.quarantined:
        logger.warning("quarantined", message_id=refused.message.id, reason=refused.reason)
    for warning in outcome.warnings:
        logger.warning(warning)
    error = outcome.error or next(iter(untold.values()), None)
    failed = tuple(dict.fromkeys([*outcome.failed_ids, *untold]))
    if error is not None:
        logger.error("storage failed", failed=failed, error=str(error))
    reasons = tuple(refused.reason for refused in outcome.quarantined[:MAX_REASONS])
    return Taken(len(outcome.stored), len(outcome.quarantined), told, failed, error, reasons)


def _tell(filed: Iterable[RoutedAlert], chosen: Setting, until: float | None) -> tuple[int, dict[str, StorageError]]:
    """Publish each event at or above the score, then mark it as told: at least once. How many, and the messages for which that failed."""
    told, failed = 0, dict[str, StorageError]()
    if not chosen.topic:
        return told, failed
    for key, group in _events(filed, chosen.notify_score).items():
        worst = max(group, key=lambda item: item.alert.anomaly_score or 0)
        dashboard = chosen.dashboard.replace("{metric_set}", worst.metric_set.name.replace("_", "-"))
        try:
            if with_deadline(chosen.store, until).get(key) is None:
                publish(chosen.topic, notification.notice(worst.alert, worst.metric_set, dashboard))
                chosen.store.create(
                    key,
                    json.dumps(
                        {"alertEventId": worst.alert.alert_event_id, "score": worst.alert.anomaly_score}
                    ).encode(),
                )
                told += 1
        except StorageError as error:
            failed |= dict.fromkeys((item.message.id for item in group), error)
    return told, failed


def _events(filed: Iterable[RoutedAlert], lowest: float) -> dict[str, list[RoutedAlert]]:
    """The alerts to tell people of, by the key of their event's marker."""
    found: dict[str, list[RoutedAlert]] = {}
    for item in filed:
        if item.alert.anomaly_score is not None and item.alert.anomaly_score >= lowest:
            identity = f"{item.timestamp.isoformat()}|{item.alert.impacted_metric.metric_name}|{item.alert.event_id}"
            found.setdefault(
                layout.notification_key(item.metric_set, item.timestamp, sha256(identity.encode()).hexdigest()), []
            ).append(item)
    return found


def _queued(event: object) -> list[Message]:
    """The messages of an SQS batch, or of the list that a pipe makes of one; none where the event is no such batch."""
    records = event.get("Records") if isinstance(event, dict) else event
    if not isinstance(records, list) or not records or not all(_is_queued(record) for record in records):
        return []
    return [Message(record["messageId"], record["body"]) for record in records]


def _is_queued(record: object) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("body"), str)
        and isinstance(record.get("messageId"), str)
    )


def _direct(event: object) -> Sequence[Message]:
    """Each element of a list, each record of an SNS event, else the event itself."""
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records and all(_is_sns(record) for record in records):
        return [Message(str(number), _notification(record["Sns"])) for number, record in enumerate(records)]
    if isinstance(event, list) and len(event) > 1:
        return [_written(str(number), element) for number, element in enumerate(event)]
    return [_written("event", event)]


def _written(name: str, event: object) -> Message:
    try:
        return Message(name, json.dumps(event, ensure_ascii=True, separators=(",", ":")))
    except (
        RecursionError
    ):  # Lambda decoded it with a frame or two to spare; what is nested like that is no event of anybody
        return Message(name, f"{{nested too deeply to be kept; it began with {str(_first(event))[:MOST_KEPT]}")


def _notification(sns: dict[str, Any]) -> str:
    """The message, in an envelope that keeps when it was sent, where SNS says that: of several reports of an event the latest is shown."""
    kept = {"TopicArn": sns.get("TopicArn"), "Message": sns["Message"], "Timestamp": sns.get("Timestamp")}
    return json.dumps(kept) if all(isinstance(text, str) for text in kept.values()) else kept["Message"]


def _first(event: object) -> object:
    """The fields of an event whose values are not nested, else what kind of thing it is."""
    flat = (
        {name: value for name, value in event.items() if not isinstance(value, dict | list)}
        if isinstance(event, dict)
        else {}
    )
    return flat or type(event).__name__


def _is_sns(record: object) -> bool:
    sns = record.get("Sns") if isinstance(record, dict) else None
    return isinstance(sns, dict) and isinstance(sns.get("Message"), str)
