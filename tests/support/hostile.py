"""Several thousand hostile events, the same in every run. Each one describes its damage and the expected outcome.

`messages` returns bodies as a queue delivers them, `whole_events` events without a valid batch or message,
`worst_cases` bodies of 1 MiB that are built to be slow or large. Every valid alert has an hour of its own, so that none
replaces another.
"""

import json
import random
from collections.abc import Iterator
from typing import Any

import hostile_content as content
import hostile_text as text
from hostile_events import Delivery, EventFactory, Message, expect_either, expect_quarantined, expect_stored
from hostile_sizes import worst_cases


def messages() -> Iterator[Message]:
    """Messages with every kind of damage."""
    factory, rng = EventFactory(), random.Random(20210217)
    kinds = (
        text.truncated_texts,
        content.wrong_types,
        content.removed_fields,
        text.mutated_texts,
        text.nested,
        text.repeated_keys,
        text.surrogates,
        text.extreme_numbers,
        content.hostile_names,
        content.hostile_timestamps,
        content.empty_texts,
        text.byte_order_marks,
        content.enveloped_events,
        text.junk_texts,
        content.alarm_states,
    )
    for kind in kinds:
        yield from kind(factory, rng)


def whole_events() -> Iterator[Delivery]:
    """Events that are neither a batch nor an alert; batches with invalid records; batches with unusual ids."""
    factory = EventFactory(8_000)
    record = {"eventSource": "aws:sqs", "messageId": "m", "body": json.dumps(factory.alert())}
    for event in _build_invalid_events(record):
        damage, body = f"the event {str(event)[:60]!r}", to_quarantine_text(event)
        with_alert = (
            isinstance(event, dict) and isinstance(event.get("Records"), list) and json.dumps(record["body"]) in body
        )
        yield Delivery(
            event,
            (
                expect_either(damage, body)
                if with_alert
                else expect_quarantined(damage, body, "no known source|not an object|^not JSON|nested"),
            ),
        )
    for message_id in ("", "\0", "\ud800", "../../x", "x" * 10_000, "\n", "é", '"', "m"):
        valid, broken = (
            expect_stored("a valid message", json.dumps(factory.alert())),
            expect_quarantined("a broken message", f"{message_id!r}{{", "^not JSON"),
        )
        records = [
            {"eventSource": "aws:sqs", "messageId": message_id, "body": message.body} for message in (valid, broken)
        ]
        yield Delivery({"Records": records}, (valid, broken))


def _build_invalid_events(record: dict[str, Any]) -> list[Any]:
    """Batches with invalid records beside the valid `record`, batches without records, and values of any type."""
    invalid_records: tuple[Any, ...] = (
        None,
        1,
        "x",
        [],
        {},
        *(
            {**record, **changed}
            for changed in ({"body": None}, {"body": 1}, {"body": {}}, {"messageId": None}, {"messageId": 3})
        ),
        {**record, "eventSource": "aws:kinesis"},
        *({key: record[key] for key in record if key != missing} for missing in record),
        {"Sns": {}},
        {"Sns": {"Message": None}},
        {"Sns": None},
        {"EventSource": "aws:sns", "Sns": {"Message": ["x"]}},
    )
    events: list[Any] = [
        {"Records": records}
        for invalid in invalid_records
        for records in ([invalid], [record, invalid], [invalid, record])
    ]
    events += [{"Records": other} for other in (None, [], {}, "x", 1, [[]], [record] and {"0": record})]
    events += [
        None,
        True,
        0,
        -1.5,
        "",
        "text",
        "\ud800",
        [],
        [[]],
        {},
        {"": ""},
        {"\ud800": "\udfff"},
        {"body": record["body"]},
        {"detail": record},
    ]
    return events


def to_quarantine_text(event: Any) -> str:
    """The text of a direct event in quarantine."""
    return json.dumps(event, separators=(",", ":"))


def deliveries() -> Iterator[Delivery]:
    """All messages: in turn as a batch of one, in a batch of ten, and as a direct event; the worst cases alone."""
    tens: list[Message] = []
    for number, message in enumerate(messages()):
        direct = _load(message.body) if number % 3 == 0 else None
        if direct is not None:
            yield Delivery(direct, (message._replace(body=to_quarantine_text(direct)),))
        elif number % 3 == 1:
            tens.append(message)
        else:
            yield _batch([message])
        if len(tens) == 10:
            yield _batch(tens)
            tens = []
    yield _batch(tens)
    yield from whole_events()
    for message in worst_cases():
        yield _batch([message])


def _batch(group: list[Message]) -> Delivery:
    records = [
        {"eventSource": "aws:sqs", "messageId": f"m{number}", "body": message.body}
        for number, message in enumerate(group)
    ]
    return Delivery({"Records": records}, tuple(group))


def _load(body: str) -> dict[str, Any] | None:
    """The body as Lambda delivers it; None if Lambda would reject it, or treat it as a batch."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "Records" not in event else None
