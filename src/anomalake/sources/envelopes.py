"""The envelopes that alerts travel in: what SNS wraps around a message that it hands to a queue."""

import msgspec

MOST_ENVELOPES = 3


class _Envelope(msgspec.Struct):
    """An SNS notification ("HTTP/HTTPS notification JSON format" in the SNS guide), as a queue without raw delivery receives it."""

    message: str = msgspec.field(name="Message")
    topic: str = msgspec.field(name="TopicArn")


def open_all(body: str) -> str:
    """The innermost message; a body in no envelope is itself."""
    for _ in range(MOST_ENVELOPES):
        try:
            body = msgspec.json.decode(body, type=_Envelope).message
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            break
    return body
