"""Splits a message into its single events: opens envelopes (SNS, SQS, EventBridge, HTTP, ...) and lists.

Sources: "HTTP/HTTPS notification JSON format" and "Invoking Lambda functions with Amazon SNS notifications" (SNS),
"Amazon EventBridge event structure", "Retaining records of asynchronous invocations", "Lambda function URLs" and the
example events of SQS, Kinesis and load balancers (Lambda), "AWS Lambda proxy integrations" (API Gateway),
"GetAnomalies" (Cost Explorer), "Search" (OpenSearch).
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from anomalake.domain.errors import AlertError

MAX_ENVELOPES = 6  # around an event
BYTE_ORDER_MARK = "\ufeff"
MAX_PROBED_ELEMENTS = 100  # of a list, to find out whether it is a list of events
_Raw = msgspec.Raw | msgspec.UnsetType
_Kind = TypeVar("_Kind")


class _OuterFields(msgspec.Struct):
    """The fields that distinguish an envelope or a list from an event. Their values are decoded only if needed."""

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


class _SendTimes(msgspec.Struct):
    """The fields in which an envelope contains the time at which it was sent."""

    timestamp: object = msgspec.field(name="Timestamp", default=None)
    time: object = None
    sns: _Sns | None = msgspec.field(name="Sns", default=None)
    records: list[_SnsRecord] | None = msgspec.field(name="Records", default=None)


class _SqsRecord(msgspec.Struct):
    body: str


class _Data(msgspec.Struct):
    data: str  # base64


class _StreamRecord(msgspec.Struct):
    """A Kinesis record from an event source mapping, or from a pipe (without `kinesis` around the data)."""

    kinesis: _Data | None = None
    data: str | None = None


class _HttpRequest(msgspec.Struct):
    """An HTTP request to a function URL, an API or a load balancer."""

    body: str | None = None
    encoded: bool | None = msgspec.field(name="isBase64Encoded", default=False)


class _RequestContext(msgspec.Struct):
    http: _Raw = msgspec.UNSET
    elb: _Raw = msgspec.UNSET


class _Hits(msgspec.Struct):
    hits: list[msgspec.Raw]


class _Hit(msgspec.Struct):
    document: msgspec.Raw = msgspec.field(name="_source")


class _PastAnomaly(msgspec.Struct):
    anomaly_id: msgspec.Raw = msgspec.field(name="AnomalyId")


def split_message(body: str, max_events: int | None = None) -> list[str]:
    """Return the single events in a message: the message itself, or each element of the list in it, in any envelopes.

    An element keeps its own envelopes. Raises `AlertError` if there are more than `max_events`.
    """
    events: list[str] = []
    for event in _iterate_events(body, MAX_ENVELOPES):
        events.append(event)
        if max_events is not None and len(events) > max_events:
            raise AlertError(
                f"the message contains more than {max_events} events; send them in several messages, "
                "or ingest it with the command line"
            )
    return events


def _iterate_events(body: str, depth: int) -> Iterator[str]:
    inner = body
    for remaining in range(depth, 0, -1):
        opened = _open(inner)
        if opened is None:
            break
        if isinstance(opened, str):
            inner = opened
            continue
        for element in opened:
            yield from _iterate_events(element, remaining - 1)
        return
    yield body


class Unwrapped(NamedTuple):
    """An event without its envelopes, and the send time as the innermost envelope with a time writes it."""

    body: str
    sent_at: object = None


def unwrap(body: str) -> Unwrapped:
    """Remove all envelopes of an event.

    An EventBridge event from an AWS service (`source: aws.…`) is not an envelope.
    """
    sent_at: object = None
    for _ in range(MAX_ENVELOPES):
        inner = _open(body)
        if not isinstance(inner, str):
            break
        sent_at = _read_send_time(body) or sent_at
        body = inner
    return Unwrapped(body.removeprefix(BYTE_ORDER_MARK), sent_at)


def _read_send_time(envelope: str) -> object:
    """Return the time at which an envelope was sent: the `Timestamp` of SNS, the `time` of EventBridge.

    None if the envelope contains no time.
    """
    times = _decode(envelope.removeprefix(BYTE_ORDER_MARK), _SendTimes)
    if times is None:
        return None
    if times.records:
        return times.records[0].sns.sent_at if len(times.records) == 1 else None
    return times.sns.sent_at if times.sns is not None else times.timestamp or times.time


def is_http_call(event: dict[str, Any]) -> bool:
    """Return whether a decoded event is an HTTP request to a function URL, an API Gateway API, or a load balancer."""
    context = event.get("requestContext")
    return (
        isinstance(context, dict)
        and "requestPayload" not in event
        and ("httpMethod" in event or not {"http", "elb"}.isdisjoint(context))
    )


def read_http_body(event: dict[str, Any]) -> str:
    """Return the body of an HTTP request, or an empty text.

    Raises `AlertError` if it is not the base64 encoding of UTF-8 text.
    """
    body = event.get("body")
    if not isinstance(body, str):
        return ""
    return _decode_base64(body) if event.get("isBase64Encoded") is True else body


def _open(body: str) -> str | list[str] | None:
    """Return the content of an envelope or of a list of one, the elements of a longer list, or None for an event."""
    content = _read_content(body)
    return content[0] if isinstance(content, list) and len(content) == 1 else content


def _read_content(body: str) -> str | list[str] | None:
    body = body.removeprefix(BYTE_ORDER_MARK)
    start = body.lstrip(" \t\r\n")[:1]
    if start == '"':
        return _decode(body, str)
    if start == "[":
        elements = _decode(body, list[msgspec.Raw])
        return _to_texts(elements) if elements else None
    outer = _decode(body, _OuterFields) if start == "{" else None
    if outer is None:
        return _split_lines(body) if start == "{" else None
    return _open_object(body, outer)


def _open_object(body: str, outer: _OuterFields) -> str | list[str] | None:
    if _are_present(outer.message, outer.topic):
        return _decode(outer.message, str)
    if _are_present(outer.records):
        return _open_records(outer.records)
    if _are_present(outer.payload, outer.context):
        return _to_text(outer.payload)
    if _are_present(outer.context) and (_are_present(outer.method) or _is_http_context(outer.context)):
        return _open_http_request(body)
    if _are_present(outer.sns) or (_decode(outer.event_source, str) or "").startswith("aws:"):
        return _open_record(body)
    if _are_present(outer.hit):
        return _to_text(outer.hit)
    if _are_present(outer.hits):
        return _open_search_hits(outer.hits)
    if _are_present(outer.anomalies):
        return _open_cost_anomalies(outer.anomalies)
    if _are_present(outer.kind, outer.source, outer.detail):
        source = _decode(outer.source, str)
        return _to_text(outer.detail) if source is not None and not source.startswith("aws.") else None
    return None


def _open_records(records: _Raw) -> list[str] | None:
    """Return the records of a batch; None if no record is from a known service."""
    texts = _to_texts(_decode(records, list[msgspec.Raw]) or [])
    if len(texts) == 1:
        return None if (only := _open_record(texts[0])) is None else [only]
    return texts if any(_open_record(text) is not None for text in texts[:MAX_PROBED_ELEMENTS]) else None


def _open_record(text: str) -> str | None:
    """Return the content of a record of SNS, SQS or a stream."""
    if (topic := _decode(text, _SnsRecord)) is not None:
        return topic.sns.message
    if (queued := _decode(text, _SqsRecord)) is not None:
        return queued.body
    streamed = _decode(text, _StreamRecord)
    data = None if streamed is None else streamed.kinesis.data if streamed.kinesis else streamed.data
    try:
        return None if data is None else _decode_base64(data)
    except AlertError:
        return None


def _is_http_context(context: _Raw) -> bool:
    decoded = _decode(context, _RequestContext)
    return decoded is not None and (_are_present(decoded.http) or _are_present(decoded.elb))


def _open_http_request(body: str) -> str | None:
    request = _decode(body, _HttpRequest)
    if request is None or request.body is None:
        return None
    try:
        return _decode_base64(request.body) if request.encoded else request.body
    except AlertError:
        return None


def _decode_base64(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise AlertError(
            "the body is not the base64 encoding of UTF-8 text; send uncompressed JSON in UTF-8"
        ) from error


def _open_search_hits(hits: _Raw) -> list[str] | None:
    """Return the documents in the result of an OpenSearch search."""
    result = _decode(hits, _Hits)
    if result is None:
        return None
    is_known = not result.hits or any(_decode(hit, _Hit) is not None for hit in result.hits[:MAX_PROBED_ELEMENTS])
    return _to_texts(result.hits) if is_known else None


def _open_cost_anomalies(anomalies: _Raw) -> list[str] | None:
    """Return the anomalies in a response of `GetAnomalies` (Cost Explorer)."""
    found = _decode(anomalies, list[msgspec.Raw])
    if found is None:
        return None
    probed = found[:MAX_PROBED_ELEMENTS]
    is_known = not found or any(_decode(anomaly, _PastAnomaly) is not None for anomaly in probed)
    return _to_texts(found) if is_known else None


def _split_lines(body: str) -> list[str] | None:
    """Return the lines of a text with one JSON object a line (`.jsonl`); None for another text."""
    lines = [line for line in body.split("\n") if line.strip()]
    return lines if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines) else None


def _are_present(*fields: _Raw) -> bool:
    return all(field is not msgspec.UNSET for field in fields)


def _to_texts(elements: Sequence[msgspec.Raw]) -> list[str]:
    return [bytes(element).decode() for element in elements]


def _to_text(field: _Raw) -> str | None:
    return None if isinstance(field, msgspec.UnsetType) else bytes(field).decode()


def _decode(text: Any, kind: type[_Kind]) -> _Kind | None:
    """Return JSON as a value of the given kind; None if it is not valid."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):  # TypeError: the field is missing
        return None
