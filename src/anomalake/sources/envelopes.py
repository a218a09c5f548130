"""The envelopes that alerts travel in, and the lists that hold several: each message becomes the bodies of its single events.

Sources: "HTTP/HTTPS notification JSON format" and "Invoking Lambda functions with Amazon SNS notifications" (SNS), "Amazon EventBridge event
structure", "Retaining records of asynchronous invocations", "Lambda function URLs" and the example events of SQS, Kinesis and load balancers
(Lambda), "AWS Lambda proxy integrations" (API Gateway), "GetAnomalies" (Cost Explorer), "Search" (OpenSearch).
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from anomalake.domain.errors import AlertError

MAX_ENVELOPES = 6  # around one event
BYTE_ORDER_MARK = "\ufeff"
PROBED_ELEMENTS = 100  # of a list, to tell whether it is one of events
_Raw = msgspec.Raw | msgspec.UnsetType
_Kind = TypeVar("_Kind")


class _Outside(msgspec.Struct):
    """The fields of an object that tell an envelope or a list from an event; none of them is decoded further than needed."""

    message: _Raw = msgspec.field(name="Message", default=msgspec.UNSET)
    topic: _Raw = msgspec.field(name="TopicArn", default=msgspec.UNSET)
    records: _Raw = msgspec.field(name="Records", default=msgspec.UNSET)
    payload: _Raw = msgspec.field(name="requestPayload", default=msgspec.UNSET)
    context: _Raw = msgspec.field(name="requestContext", default=msgspec.UNSET)
    method: _Raw = msgspec.field(name="httpMethod", default=msgspec.UNSET)
    kind: _Raw = msgspec.field(name="detail-type", default=msgspec.UNSET)
    source: _Raw = msgspec.field(name="source", default=msgspec.UNSET)
    detail: _Raw = msgspec.field(name="detail", default=msgspec.UNSET)
    hit: _Raw = msgspec.field(name="_source", default=msgspec.UNSET)
    hits: _Raw = msgspec.field(name="hits", default=msgspec.UNSET)
    anomalies: _Raw = msgspec.field(name="Anomalies", default=msgspec.UNSET)
    sns: _Raw = msgspec.field(name="Sns", default=msgspec.UNSET)
    event_source: _Raw = msgspec.field(name="eventSource", default=msgspec.UNSET)


class _Sns(msgspec.Struct):
    message: str = msgspec.field(name="Message")
    sent_at: object = msgspec.field(name="Timestamp", default=None)


class _SnsRecord(msgspec.Struct):
    sns: _Sns = msgspec.field(name="Sns")


class _Sent(msgspec.Struct):
    """Where an envelope says when it was sent."""

    timestamp: object = msgspec.field(name="Timestamp", default=None)
    time: object = None
    sns: _Sns | None = msgspec.field(name="Sns", default=None)
    records: list[_SnsRecord] | None = msgspec.field(name="Records", default=None)


class _SqsRecord(msgspec.Struct):
    body: str


class _Data(msgspec.Struct):
    data: str  # base64


class _StreamRecord(msgspec.Struct):
    """A record of a Kinesis stream: of an event source mapping, or (without `kinesis` around it) of a pipe."""

    kinesis: _Data | None = None
    data: str | None = None


class _Http(msgspec.Struct):
    """A call over HTTP: of a function URL, an API or a load balancer."""

    body: str | None = None
    encoded: bool | None = msgspec.field(name="isBase64Encoded", default=False)


class _Caller(msgspec.Struct):
    http: _Raw = msgspec.UNSET
    elb: _Raw = msgspec.UNSET


class _Hits(msgspec.Struct):
    hits: list[msgspec.Raw]


class _Hit(msgspec.Struct):
    document: msgspec.Raw = msgspec.field(name="_source")


class _PastAnomaly(msgspec.Struct):
    identity: msgspec.Raw = msgspec.field(name="AnomalyId")


def split_message(body: str, most: int | None = None) -> list[str]:
    """The bodies of the single events in a message: the message itself, or each element of the list that it holds, however it is wrapped.

    An element keeps its own envelopes. `AlertError` where there are more than `most`.
    """
    found: list[str] = []
    for one in _elements(body, MAX_ENVELOPES):
        found.append(one)
        if most is not None and len(found) > most:
            raise AlertError(
                f"the message holds more than {most} events; send them in several messages, or ingest it with the command line"
            )
    return found


def _elements(body: str, depth: int) -> Iterator[str]:
    inner = body
    for left in range(depth, 0, -1):
        opened = _open(inner)
        if opened is None:
            break
        if isinstance(opened, str):
            inner = opened
            continue
        for element in opened:
            yield from _elements(element, left - 1)
        return
    yield body


class Opened(NamedTuple):
    """An event without its envelopes, and when the innermost envelope that says so was sent, as it says it."""

    body: str
    sent_at: object = None


def unwrap(body: str) -> Opened:
    """The innermost event of one element; a body in no envelope is itself, and so is an event of an AWS service (`source: aws.…`)."""
    sent_at: object = None
    for _ in range(MAX_ENVELOPES):
        inner = _open(body)
        if not isinstance(inner, str):
            break
        sent_at = _sent_at(body) or sent_at
        body = inner
    return Opened(body.removeprefix(BYTE_ORDER_MARK), sent_at)


def _sent_at(envelope: str) -> object:
    """When an envelope was sent: the `Timestamp` of SNS, the `time` of an event of a bus; None where it says nothing."""
    found = _decode(envelope.removeprefix(BYTE_ORDER_MARK), _Sent)
    if found is None:
        return None
    if found.records:
        return found.records[0].sns.sent_at if len(found.records) == 1 else None
    return found.sns.sent_at if found.sns is not None else found.timestamp or found.time


def is_http_call(event: dict[str, Any]) -> bool:
    """Whether a decoded event is an HTTP call: of a function URL, an API Gateway API, or a load balancer."""
    context = event.get("requestContext")
    return (
        isinstance(context, dict)
        and "requestPayload" not in event
        and ("httpMethod" in event or not {"http", "elb"}.isdisjoint(context))
    )


def read_http_body(event: dict[str, Any]) -> str:
    """The body of an HTTP call, empty where it has none; `AlertError` where it is not the base64 of a UTF-8 text."""
    body = event.get("body")
    if not isinstance(body, str):
        return ""
    return _text(body) if event.get("isBase64Encoded") is True else body


def _open(body: str) -> str | list[str] | None:
    """What is inside: the one thing in an envelope or a list of one, the elements of a longer list, or None where the body is an event."""
    inside = _contents(body)
    return inside[0] if isinstance(inside, list) and len(inside) == 1 else inside


def _contents(body: str) -> str | list[str] | None:
    body = body.removeprefix(BYTE_ORDER_MARK)
    start = body.lstrip(" \t\r\n")[:1]
    if start == '"':
        return _decode(body, str)
    if start == "[":
        elements = _decode(body, list[msgspec.Raw])
        return _texts(elements) if elements else None
    outside = _decode(body, _Outside) if start == "{" else None
    if outside is None:
        return _lines(body) if start == "{" else None
    return _inside(body, outside)


def _inside(body: str, outside: _Outside) -> str | list[str] | None:
    if _given(outside.message, outside.topic):
        return _decode(outside.message, str)
    if _given(outside.records):
        return _records(outside.records)
    if _given(outside.payload, outside.context):
        return _raw(outside.payload)
    if _given(outside.context) and (_given(outside.method) or _called(outside.context)):
        return _call(body)
    if _given(outside.sns) or (_decode(outside.event_source, str) or "").startswith("aws:"):
        return _record(body)
    if _given(outside.hit):
        return _raw(outside.hit)
    if _given(outside.hits):
        return _documents(outside.hits)
    if _given(outside.anomalies):
        return _anomalies(outside.anomalies)
    if _given(outside.kind, outside.source, outside.detail):
        source = _decode(outside.source, str)
        return _raw(outside.detail) if source is not None and not source.startswith("aws.") else None
    return None


def _records(records: _Raw) -> list[str] | None:
    """The records of a batch; None where none of them is of a known service."""
    texts = _texts(_decode(records, list[msgspec.Raw]) or [])
    if len(texts) == 1:
        return None if (only := _record(texts[0])) is None else [only]
    return texts if any(_record(text) is not None for text in texts[:PROBED_ELEMENTS]) else None


def _record(text: str) -> str | None:
    """What one record of SNS, SQS or a stream holds."""
    if (topic := _decode(text, _SnsRecord)) is not None:
        return topic.sns.message
    if (queued := _decode(text, _SqsRecord)) is not None:
        return queued.body
    streamed = _decode(text, _StreamRecord)
    data = None if streamed is None else streamed.kinesis.data if streamed.kinesis else streamed.data
    try:
        return None if data is None else _text(data)
    except AlertError:
        return None


def _called(context: _Raw) -> bool:
    caller = _decode(context, _Caller)
    return caller is not None and (_given(caller.http) or _given(caller.elb))


def _call(body: str) -> str | None:
    call = _decode(body, _Http)
    if call is None or call.body is None:
        return None
    try:
        return _text(call.body) if call.encoded else call.body
    except AlertError:
        return None


def _text(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise AlertError("the body is not the base64 of a UTF-8 text; send JSON in UTF-8, not compressed") from error


def _documents(hits: _Raw) -> list[str] | None:
    found = _decode(hits, _Hits)
    known = found is not None and (
        not found.hits or any(_decode(hit, _Hit) is not None for hit in found.hits[:PROBED_ELEMENTS])
    )
    return _texts(found.hits) if found is not None and known else None


def _anomalies(anomalies: _Raw) -> list[str] | None:
    found = _decode(anomalies, list[msgspec.Raw])
    known = found is not None and (
        not found or any(_decode(one, _PastAnomaly) is not None for one in found[:PROBED_ELEMENTS])
    )
    return _texts(found) if found is not None and known else None


def _lines(body: str) -> list[str] | None:
    """The lines of a text with a JSON object on each (`.jsonl`)."""
    lines = [line for line in body.split("\n") if line.strip()]
    return lines if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines) else None


def _given(*fields: _Raw) -> bool:
    return all(field is not msgspec.UNSET for field in fields)


def _texts(some: Sequence[msgspec.Raw]) -> list[str]:
    return [bytes(one).decode() for one in some]


def _raw(field: _Raw) -> str | None:
    return None if isinstance(field, msgspec.UnsetType) else bytes(field).decode()


def _decode(text: Any, kind: type[_Kind]) -> _Kind | None:
    """The JSON as that kind of value, None where it is none."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):  # the last one of a field that is not there
        return None
