"""What the functions read of their environment, and the services of AWS they call beside the store; boto3 is imported when it is first needed."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from anomalake.domain import metric_set
from anomalake.domain.metric_set import MetricSet
from anomalake.functions.notification import Notice
from anomalake.lake.layout import Format
from anomalake.lake.store import DEFAULT_RETRY_POLICY, RetryPolicy, StorageError, Store, open_store

METRICS_NAMESPACE = "Anomalake"
MOST_MESSAGES, MOST_BYTES = 10, 1_000_000  # of one request to SQS (the service takes 1 MiB)


class Setting(NamedTuple):
    """The lake, the metric sets, the tables' format; whom to tell of which alerts, and where people look; where the detector sends alerts."""

    store: Store
    sets: tuple[MetricSet, ...]
    format: Format
    topic: str = ""  # nobody is told
    notify_score: float = 0
    dashboard: str = ""
    queue: str = ""


_NAMES = ("LAKE", "METRIC_SETS", "FORMAT", "TOPIC_ARN", "NOTIFY_SCORE", "DASHBOARD", "QUEUE_URL")


def setting(retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY) -> Setting:
    """The environment's, opened once for a process; the store uses that retry policy."""
    return _opened(tuple(os.environ.get(f"ANOMALAKE_{name}", "") for name in _NAMES), retry_policy)


@cache
def _opened(values: tuple[str, ...], retry_policy: RetryPolicy) -> Setting:
    lake, sets, form, topic, score, dashboard, queue = values
    if not lake or not sets:
        raise RuntimeError("ANOMALAKE_LAKE (s3://bucket or a folder) and ANOMALAKE_METRIC_SETS (a folder) must be set")
    if form not in ("", "parquet", "csv"):
        raise RuntimeError(f"ANOMALAKE_FORMAT is {form!r}; it must be parquet or csv")
    try:
        lowest = float(score or 0)
    except ValueError:
        raise RuntimeError(f"ANOMALAKE_NOTIFY_SCORE is {score!r}; it must be a number from 0 to 100") from None
    kept: Format = "csv" if form == "csv" else "parquet"
    return Setting(
        open_store(lake, retry_policy=retry_policy),
        metric_set.load_all(Path(sets)),
        kept,
        topic,
        lowest,
        dashboard,
        queue,
    )


forget = _opened.cache_clear  # the next call of `setting` opens anew


def publish(topic: str, notice: Notice) -> None:
    """Tell the topic's subscribers: mail at length, telephones briefly; `StorageError` where SNS does not take it."""
    message = {"default": notice.short, "email": notice.long, "sms": notice.short}
    _call(
        "sns", "publish", TopicArn=topic, Subject=notice.subject, Message=json.dumps(message), MessageStructure="json"
    )


def send(queue: str, bodies: Sequence[str]) -> None:
    """Send the bodies (each at most `MOST_BYTES`) to the queue; `StorageError` where SQS does not take one."""
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == MOST_MESSAGES or size + length > MOST_BYTES):
            _send(queue, batch)
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        _send(queue, batch)


# Characters that SQS refuses ("SendMessage" in the SQS API); a body is JSON, in which they can be written otherwise.
_ESCAPED = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}


def _send(queue: str, batch: Sequence[str]) -> None:
    entries = [{"Id": str(number), "MessageBody": body.translate(_ESCAPED)} for number, body in enumerate(batch)]
    failed = _call("sqs", "send_message_batch", QueueUrl=queue, Entries=entries).get("Failed", [])
    if failed:
        raise StorageError(
            f"{queue}: took {len(entries) - len(failed)} of {len(entries)} alerts: {failed[0].get('Code')} {failed[0].get('Message')}"
        )


def _call(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """One call of AWS's API; every error as `StorageError`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        answer: dict[str, Any] = getattr(_client(service), operation)(**parameters)
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"{service}: {operation}: {error}") from error
    return answer


@cache
def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415  (half a second that most batches need not pay)
    from botocore.config import Config  # noqa: PLC0415

    session: Any = boto3.session.Session()
    return session.client(
        service, config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
    )
