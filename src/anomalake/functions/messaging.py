"""Sends notifications to SNS and alerts to SQS. boto3 is imported at the first call, because most batches do not
need it.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from anomalake.functions.notification import Notification
from anomalake.lake.store import StorageError

# Limits of one SendMessageBatch request ("SendMessageBatch" in the SQS API reference; the service allows 1 MiB).
MAX_REQUEST_MESSAGES, MAX_REQUEST_BYTES = 10, 1_000_000
# SQS rejects these two characters ("SendMessage" in the SQS API reference). A body is JSON, which can escape them.
_ESCAPES = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}


def publish_notification(topic_arn: str, notification: Notification) -> None:
    """Publish the notification: the long text by email, the short text by SMS and every other protocol.

    Raises `StorageError` when SNS rejects the message or does not answer.
    """
    message = {"default": notification.short, "email": notification.long, "sms": notification.short}
    _call_aws(
        "sns",
        "publish",
        TopicArn=topic_arn,
        Subject=notification.subject,
        Message=json.dumps(message),
        MessageStructure="json",
    )


def send_messages(queue_url: str, bodies: Sequence[str]) -> None:
    """Send the bodies, each of at most `MAX_REQUEST_BYTES`, to the queue.

    Raises `StorageError` when SQS rejects a message or does not answer.
    """
    request: list[str] = []
    request_bytes = 0
    for body in bodies:
        body_bytes = len(body.encode())
        if request and (len(request) == MAX_REQUEST_MESSAGES or request_bytes + body_bytes > MAX_REQUEST_BYTES):
            _send_request(queue_url, request)
            request, request_bytes = [], 0
        request.append(body)
        request_bytes += body_bytes
    if request:
        _send_request(queue_url, request)


def _send_request(queue_url: str, bodies: Sequence[str]) -> None:
    entries = [{"Id": str(number), "MessageBody": body.translate(_ESCAPES)} for number, body in enumerate(bodies)]
    failed = _call_aws("sqs", "send_message_batch", QueueUrl=queue_url, Entries=entries).get("Failed", [])
    if failed:
        accepted = f"SQS accepted {len(entries) - len(failed)} of {len(entries)} alerts"
        raise StorageError(f"{queue_url}: {accepted}: {failed[0].get('Code')} {failed[0].get('Message')}")


def _call_aws(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call one operation of an AWS API. Raises every error as `StorageError`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        response: dict[str, Any] = getattr(_client(service), operation)(**parameters)
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"{service}: {operation}: {error}") from error
    return response


@cache
def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415  (the import takes half a second)
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
    session: Any = boto3.session.Session()
    return session.client(service, config=config)
