"""An HTTP call as Lambda gets it, from a function URL, an API Gateway API or a load balancer, and the response that says what came of its body.

Sources: "Lambda function URLs" and "Application Load Balancer" in the Lambda guide, "Lambda proxy integrations" in the API Gateway guide.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from anomalake.domain.alert import AlertError
from anomalake.lake.ingest import Message
from anomalake.lake.store import StorageError
from anomalake.sources import envelopes

METHODS = frozenset({"POST", "PUT"})


class Result(Protocol):
    """What came of the messages."""

    @property
    def filed(self) -> int: ...  # noqa: D102
    @property
    def quarantined(self) -> int: ...  # noqa: D102
    @property
    def error(self) -> StorageError | None: ...  # noqa: D102
    @property
    def reasons(self) -> tuple[str, ...]: ...  # noqa: D102


def is_call(event: object) -> bool:
    """Whether it is an HTTP call."""
    return isinstance(event, dict) and envelopes.is_http_call(event)


def answer(event: dict[str, Any], take: Callable[[Sequence[Message]], Result]) -> dict[str, Any]:
    """The response: 200 filed, 202 filed in part, 422 not understood (and in quarantine), 503 to be sent again; 400 and 405 keep nothing."""
    if (method := _method(event)) not in METHODS:
        return _response(
            405, {"error": f"{method or 'the method'} is not supported; send alerts with POST"}, {"allow": "POST, PUT"}
        )
    try:
        body = envelopes.read_http_body(event)
    except AlertError as error:
        body, reason = str(event["body"]), str(error)
    else:
        reason = ""
    if not body.strip():
        return _response(400, {"error": "the body is empty; send an alert as JSON"})
    taken = take([Message("call", body)])
    if taken.error is not None:
        return _response(503, {"error": "storage failed; send the same body again"}, {"retry-after": "60"})
    status = 200 if not taken.quarantined else 202 if taken.filed else 422
    reasons = [reason] if reason and taken.quarantined else list(taken.reasons)
    return _response(
        status, {"filed": taken.filed, "quarantined": taken.quarantined} | ({"reasons": reasons} if reasons else {})
    )


def _method(event: dict[str, Any]) -> str:
    """In capital letters; POST where the call does not say."""
    call = event["requestContext"].get("http")
    method = call.get("method") if isinstance(call, dict) else event.get("httpMethod")
    return method.upper() if isinstance(method, str) else "POST"


def _response(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"} | (headers or {}),
        "body": json.dumps(content),
        "isBase64Encoded": False,
    }
