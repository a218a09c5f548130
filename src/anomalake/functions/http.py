"""HTTP calls of the ingest function: reads the body of a call, and builds the response that reports the result.

A call comes from a function URL, an API Gateway API or an Application Load Balancer. Sources: "Lambda function URLs"
and "Application Load Balancer" in the Lambda developer guide, "Lambda proxy integrations" in the API Gateway
developer guide.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from anomalake.domain.errors import AlertError
from anomalake.lake.ingest import Message
from anomalake.lake.store import StorageError
from anomalake.sources import envelopes

METHODS = frozenset({"POST", "PUT"})


class Result(Protocol):
    """The result of processing the messages of a call."""

    @property
    def filed(self) -> int: ...  # noqa: D102
    @property
    def quarantined(self) -> int: ...  # noqa: D102
    @property
    def error(self) -> StorageError | None: ...  # noqa: D102
    @property
    def reasons(self) -> tuple[str, ...]: ...  # noqa: D102


def is_http_call(event: object) -> bool:
    """Return whether the event of the function is an HTTP call."""
    return isinstance(event, dict) and envelopes.is_http_call(event)


def respond(event: dict[str, Any], process: Callable[[Sequence[Message]], Result]) -> dict[str, Any]:
    """Process the body of a call and return the response.

    Status codes: 200 when all alerts are filed; 202 when some are filed and some are quarantined; 422 when all are
    quarantined; 503 when storage failed and the caller must send the body again. 400 (empty body) and 405 (method not
    supported) store nothing.
    """
    if (method := _get_method(event)) not in METHODS:
        problem = f"{method or 'the method'} is not supported; send alerts with POST"
        return _build_response(405, {"error": problem}, {"allow": "POST, PUT"})
    try:
        body = envelopes.read_http_body(event)
    except AlertError as error:
        body, reason = str(event["body"]), str(error)
    else:
        reason = ""
    if not body.strip():
        return _build_response(400, {"error": "the body is empty; send an alert as JSON"})
    result = process([Message("call", body)])
    if result.error is not None:
        return _build_response(503, {"error": "storage failed; send the same body again"}, {"retry-after": "60"})
    status = 200 if not result.quarantined else 202 if result.filed else 422
    reasons = [reason] if reason and result.quarantined else list(result.reasons)
    counts: dict[str, Any] = {"filed": result.filed, "quarantined": result.quarantined}
    return _build_response(status, counts | ({"reasons": reasons} if reasons else {}))


def _get_method(event: dict[str, Any]) -> str:
    """Return the method of the call in capital letters; POST when the event does not name one."""
    call = event["requestContext"].get("http")
    method = call.get("method") if isinstance(call, dict) else event.get("httpMethod")
    return method.upper() if isinstance(method, str) else "POST"


def _build_response(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"} | (headers or {}),
        "body": json.dumps(content),
        "isBase64Encoded": False,
    }
