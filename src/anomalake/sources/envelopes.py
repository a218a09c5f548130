"""The envelopes that alerts travel in: an SNS notification in a queue, an event of an event bus, and what Lambda keeps of a call that failed."""

from typing import Annotated, NamedTuple

import msgspec

MOST_ENVELOPES = 4


class _Notification(msgspec.Struct):
    """What SNS hands to a queue without raw delivery ("HTTP/HTTPS notification JSON format" in the SNS guide)."""

    message: str = msgspec.field(name="Message")
    topic: str = msgspec.field(name="TopicArn")
    sent_at: object = msgspec.field(name="Timestamp", default=None)


class _Sns(msgspec.Struct):
    message: str = msgspec.field(name="Message")
    sent_at: object = msgspec.field(name="Timestamp", default=None)


class _Record(msgspec.Struct):
    sns: _Sns = msgspec.field(name="Sns")


class _SnsEvent(msgspec.Struct):
    """What SNS calls a function with: one record ("Invoking Lambda functions with Amazon SNS notifications" in the Lambda guide)."""

    records: Annotated[list[_Record], msgspec.Meta(min_length=1, max_length=1)] = msgspec.field(name="Records")


class _Failure(msgspec.Struct):
    """A dead letter of a direct call ("Retaining records of asynchronous invocations" in the Lambda guide): the event stands in it."""

    payload: msgspec.Raw = msgspec.field(name="requestPayload")
    context: msgspec.Raw = msgspec.field(name="requestContext")


class _BusEvent(msgspec.Struct):
    """An event that somebody put on an event bus, an alert as its detail ("Amazon EventBridge event structure")."""

    kind: str = msgspec.field(name="detail-type")
    source: str
    detail: msgspec.Raw
    time: object = None


class Opened(NamedTuple):
    """A message without its envelopes, and when the innermost envelope that says so was sent, as it says it."""

    body: str
    sent_at: object = None


def open_all(body: str) -> Opened:
    """The innermost message; a body in no envelope is itself, and so is an event of a service of AWS (`source: aws.…`): its source reads it whole."""
    opened = Opened(body)
    for _ in range(MOST_ENVELOPES):
        inner = _open(opened.body)
        if inner is None:
            break
        opened = Opened(inner.body, inner.sent_at or opened.sent_at)
    return opened


def _open(body: str) -> Opened | None:
    for kind in (_Notification, _SnsEvent, _Failure, _BusEvent):
        try:
            found = msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        match found:
            case _Notification():
                return Opened(found.message, found.sent_at)
            case _SnsEvent():
                return Opened(found.records[0].sns.message, found.records[0].sns.sent_at)
            case _Failure():
                return Opened(bytes(found.payload).decode())
            case _BusEvent() if not found.source.startswith("aws."):
                return Opened(bytes(found.detail).decode(), found.time)
    return None
