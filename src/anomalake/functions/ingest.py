"""The ingest Lambda function: files the alerts of an event in the lake and sends notifications of the severe ones.

The event is an SQS batch, an HTTP call, or the payload of any other invocation. Its content never raises an error.
When storage keeps failing, the response to SQS names the messages to send again, an HTTP call receives status 503,
and for every other event the function raises the error, so that the caller retries ("Handling errors for an SQS event
source in Lambda" in the Lambda developer guide). Messages that the function has no time for are reported in the same
way.
"""

import json
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from anomalake.functions import http
from anomalake.functions.messaging import publish_notification
from anomalake.functions.notification import format_notification
from anomalake.functions.settings import METRICS_NAMESPACE, Settings, load_settings
from anomalake.lake import layout
from anomalake.lake.ingest import Message, RoutedAlert, ingest_messages, split_by_size
from anomalake.lake.store import RetryPolicy, StorageError, with_deadline

# The function has a timeout of one minute for a batch.
BATCH_RETRY_POLICY = RetryPolicy(connect_seconds=2, request_seconds=5, total_seconds=10)
MAX_QUOTED_CHARACTERS = 1_000  # of an event that cannot be encoded as JSON
RESPONSE_RESERVE_SECONDS = 2.0  # of the function's time, to send the response
MAX_REASONS = 10  # in one response

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class BatchResult(NamedTuple):
    """The result of processing messages: counts, the messages to send again, and the first error of the storage.

    `filed` and `quarantined` count alerts; an event that cannot be read counts as one quarantined alert. `notified`
    counts the notifications. `failed` lists the ids of the messages to send again. `reasons` says why messages, or
    alerts in them, were quarantined.
    """

    filed: int = 0
    quarantined: int = 0
    notified: int = 0
    failed: tuple[str, ...] = ()
    error: StorageError | None = None
    reasons: tuple[str, ...] = ()

    def combine(self, other: "BatchResult") -> "BatchResult":
        """Return the result of both."""
        return BatchResult(
            self.filed + other.filed,
            self.quarantined + other.quarantined,
            self.notified + other.notified,
            tuple(dict.fromkeys(self.failed + other.failed)),
            self.error or other.error,
            (self.reasons + other.reasons)[:MAX_REASONS],
        )


@metrics.log_metrics
def handler(event: Any, context: Any) -> dict[str, Any]:
    """File the alerts of the event.

    Returns `{"batchItemFailures": [...]}` for an SQS batch, an HTTP response for an HTTP call, and the counts of
    filed and quarantined alerts for every other event. For such an event, raises `StorageError` when storage failed.
    """
    deadline = _get_deadline(context)
    if http.is_http_call(event):
        return http.respond(event, lambda messages: _process_and_count(messages, deadline))
    queued = _read_queue_messages(event)
    result = _process_and_count(queued or _read_direct_messages(event), deadline)
    if queued:
        return {"batchItemFailures": [{"itemIdentifier": message} for message in result.failed]}
    if result.error is not None:
        raise result.error
    return {"filed": result.filed, "quarantined": result.quarantined}


def _get_deadline(context: Any) -> float | None:
    """Return the time (of `time.monotonic`) after which no storage call starts; None without a Lambda context."""
    if context is None:
        return None
    end: float = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    return end - BATCH_RETRY_POLICY.max_call_seconds - RESPONSE_RESERVE_SECONDS


def _process_and_count(messages: Sequence[Message], deadline: float | None) -> BatchResult:
    """Process the messages and publish the counts as the function's metrics."""
    result = process_batch(messages, load_settings(BATCH_RETRY_POLICY), deadline)
    counts = {
        "AlertsFiled": result.filed,
        "AlertsQuarantined": result.quarantined,
        "MessagesFailed": len(result.failed),
        "NotificationsSent": result.notified,
    }
    for name, count in counts.items():
        metrics.add_metric(name, "Count", count)
    return result


def process_batch(messages: Sequence[Message], settings: Settings, deadline: float | None = None) -> BatchResult:
    """File the alerts of the messages, then send the notifications. Errors are in the log and in the result.

    The messages are processed in chunks, because the alerts of a whole batch may not fit into memory at once. After
    `deadline` (seconds of `time.monotonic`) no call of the storage starts; the remaining messages fail.
    """
    result = BatchResult()
    for chunk in split_by_size(messages):
        result = result.combine(_process_chunk(chunk, settings, deadline))
    return result


def _process_chunk(messages: Sequence[Message], settings: Settings, deadline: float | None) -> BatchResult:
    store = with_deadline(settings.store, deadline)
    outcome = ingest_messages(messages, store, settings.metric_sets, settings.format)
    notified, not_notified = _notify(outcome.stored, settings, deadline)
    for rejected in outcome.quarantined:
        logger.warning("quarantined", message_id=rejected.message.id, reason=rejected.reason)
    for warning in outcome.warnings:
        logger.warning(warning)
    error = outcome.error or next(iter(not_notified.values()), None)
    failed = tuple(dict.fromkeys([*outcome.failed_ids, *not_notified]))
    if error is not None:
        logger.error("storage failed", failed=failed, error=str(error))
    reasons = tuple(rejected.reason for rejected in outcome.quarantined[:MAX_REASONS])
    return BatchResult(len(outcome.stored), len(outcome.quarantined), notified, failed, error, reasons)


def _notify(
    stored: Iterable[RoutedAlert], settings: Settings, deadline: float | None
) -> tuple[int, dict[str, StorageError]]:
    """Send a notification of each event whose score is high enough, at least once, then write a marker in the lake.

    Returns the number of notifications, and the error of each message (by its id) whose notification failed.
    """
    notified, failed = 0, dict[str, StorageError]()
    if not settings.topic_arn:
        return notified, failed
    for marker_key, group in _group_by_event(stored, settings.notify_score).items():
        most_severe = max(group, key=lambda routed: routed.alert.anomaly_score or 0)
        alert, metric_set = most_severe.alert, most_severe.metric_set
        dashboard_url = settings.dashboard_url.replace("{metric_set}", metric_set.name.replace("_", "-"))
        marker = {"alertEventId": alert.alert_event_id, "score": alert.anomaly_score}
        try:
            if with_deadline(settings.store, deadline).get(marker_key) is None:
                publish_notification(settings.topic_arn, format_notification(alert, metric_set, dashboard_url))
                settings.store.create(marker_key, json.dumps(marker).encode())
                notified += 1
        except StorageError as error:
            failed |= dict.fromkeys((routed.message.id for routed in group), error)
    return notified, failed


def _group_by_event(stored: Iterable[RoutedAlert], min_score: float) -> dict[str, list[RoutedAlert]]:
    """Group the alerts with at least that score by event. The key of a group is the key of the event's marker."""
    groups: dict[str, list[RoutedAlert]] = {}
    for routed in stored:
        alert = routed.alert
        if alert.anomaly_score is not None and alert.anomaly_score >= min_score:
            identity = f"{routed.timestamp.isoformat()}|{alert.impacted_metric.metric_name}|{alert.event_id}"
            digest = sha256(identity.encode()).hexdigest()
            groups.setdefault(layout.notification_key(routed.metric_set, routed.timestamp, digest), []).append(routed)
    return groups


def _read_queue_messages(event: object) -> list[Message]:
    """Return the messages of an SQS batch, or of the list of such messages that EventBridge Pipes sends.

    The result is empty for every other event.
    """
    records = event.get("Records") if isinstance(event, dict) else event
    if not isinstance(records, list) or not records or not all(_is_queue_record(record) for record in records):
        return []
    return [Message(record["messageId"], record["body"]) for record in records]


def _is_queue_record(record: object) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("body"), str)
        and isinstance(record.get("messageId"), str)
    )


def _read_direct_messages(event: object) -> Sequence[Message]:
    """Return a message for each element of a list or for each record of an SNS event, or one message with the event."""
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records and all(_is_sns_record(record) for record in records):
        return [Message(str(number), _encode_sns_record(record["Sns"])) for number, record in enumerate(records)]
    if isinstance(event, list) and len(event) > 1:
        return [_encode_event(str(number), element) for number, element in enumerate(event)]
    return [_encode_event("event", event)]


def _encode_event(message_id: str, event: object) -> Message:
    try:
        return Message(message_id, json.dumps(event, ensure_ascii=True, separators=(",", ":")))
    except RecursionError:
        # Lambda can decode slightly deeper nesting than `json.dumps` encodes. No source sends an event nested like
        # that.
        start = _describe_start(event)[:MAX_QUOTED_CHARACTERS]
        return Message(message_id, f"{{the event is nested too deeply to be stored; it starts with {start}")


def _encode_sns_record(sns: dict[str, Any]) -> str:
    """Return the SNS message in an envelope with its time, or only the message when the record has no time or no topic.

    The time matters when an event has several alerts: the tables show the latest.
    """
    envelope = {"TopicArn": sns.get("TopicArn"), "Message": sns["Message"], "Timestamp": sns.get("Timestamp")}
    return json.dumps(envelope) if all(isinstance(text, str) for text in envelope.values()) else envelope["Message"]


def _describe_start(event: object) -> str:
    """Return the fields of the event whose values are not nested, as JSON, or the type of the event when it has no such
    field.
    """
    if not isinstance(event, dict):
        return "a list" if isinstance(event, list) else type(event).__name__
    flat = {name: value for name, value in event.items() if not isinstance(value, dict | list)}
    return json.dumps(flat) if flat else "an object"


def _is_sns_record(record: object) -> bool:
    sns = record.get("Sns") if isinstance(record, dict) else None
    return isinstance(sns, dict) and isinstance(sns.get("Message"), str)
