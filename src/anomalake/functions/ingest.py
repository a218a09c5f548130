"""The function that takes alerts: an SQS batch, an SNS event, or a bare alert; it files them in the lake.

Content never makes it raise. Storage that stays down does: for SQS the answer names the messages to send again, for a direct event the caller's
retries act on the exception ("Handling errors for an SQS event source in Lambda" in the Lambda guide).
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from anomalake import metric_set
from anomalake.lake.ingest import Message, ingest
from anomalake.lake.layout import Format
from anomalake.lake.store import Store, open_store
from anomalake.metric_set import MetricSet

logger = Logger(service="anomalake-ingest")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001  (Lambda's signature)
    """File what the event holds; `{"batchItemFailures": [...]}` for SQS, counts for everybody else."""
    return take(event, *setting(*(os.environ.get(name, "") for name in ("ANOMALAKE_LAKE", "ANOMALAKE_METRIC_SETS", "ANOMALAKE_FORMAT"))))


def take(event: dict[str, Any], store: Store, sets: tuple[MetricSet, ...], form: Format) -> dict[str, Any]:
    """What `handler` does, with what it read of its environment given."""
    queued = _queued(event)
    outcome = ingest(queued or _direct(event), store, sets, form)
    for refused in outcome.quarantined:
        logger.warning("quarantined", message_id=refused.message.id, reason=refused.reason)
    if outcome.error is not None:
        logger.error("storage failed", failed=list(outcome.failed), error=str(outcome.error))
        if not queued:
            raise outcome.error
    if queued:
        return {"batchItemFailures": [{"itemIdentifier": message} for message in outcome.failed]}
    return {"filed": outcome.filed, "quarantined": len(outcome.quarantined)}


def _queued(event: object) -> list[Message]:
    """The messages of an SQS batch; none where the event is no such batch."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        return []
    if not all(
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("body"), str)
        and isinstance(record.get("messageId"), str)
        for record in records
    ):
        return []
    return [Message(record["messageId"], record["body"]) for record in records]


def _direct(event: object) -> list[Message]:
    """An SNS event's messages, else the event itself."""
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records and all(_is_sns(record) for record in records):
        return [Message(str(number), record["Sns"]["Message"]) for number, record in enumerate(records)]
    return [Message("event", json.dumps(event, ensure_ascii=True, separators=(",", ":")))]


def _is_sns(record: object) -> bool:
    sns = record.get("Sns") if isinstance(record, dict) else None
    return isinstance(sns, dict) and isinstance(sns.get("Message"), str)


@cache
def setting(lake: str, sets: str, form: str) -> tuple[Store, tuple[MetricSet, ...], Format]:
    """What the environment names, opened once for a process."""
    if not lake or not sets:
        raise RuntimeError("ANOMALAKE_LAKE (s3://bucket or a folder) and ANOMALAKE_METRIC_SETS (a folder) must be set")
    if form not in ("", "parquet", "csv"):
        raise RuntimeError(f"ANOMALAKE_FORMAT is {form!r}; it must be parquet or csv")
    return open_store(lake), metric_set.load_all(Path(sets)), "csv" if form == "csv" else "parquet"
