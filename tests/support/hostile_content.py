"""Hostile events with damage to the content: wrong types, missing fields, hostile names and timestamps, envelopes."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from anomalake.domain.text import quote
from hostile_events import (
    FIELD_TYPES,
    NO_ALERT,
    SERVICE_EVENTS,
    TEXT,
    TEXT_OR_NULL,
    WRONG_VALUES,
    EventFactory,
    Message,
    change_at,
    expect_either,
    expect_quarantined,
    expect_stored,
    iterate_paths,
)


def _no_alert_if_decisive(name: str, path: tuple[str | int, ...]) -> tuple[str, ...]:
    """`NO_ALERT` if the value at this path decides whether the event reports an anomaly."""
    last = path[-1]
    return (
        (NO_ALERT,)
        if last == "anomaly_grade" or (name == "mapping_grafana" and last in ("alerts", 0, "status"))
        else ()
    )


def wrong_types(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for path in iterate_paths(factory.alert()):
        for wrong in WRONG_VALUES:
            body = change_at(factory.alert(), path, lambda inner, last, wrong=wrong: inner.__setitem__(last, wrong))
            damage = f"alert with {str(wrong)[:20]!r} at {path}"
            named = next(step for step in reversed(path) if isinstance(step, str))
            right = type(wrong) in FIELD_TYPES[path[-1]]
            yield (
                expect_either(damage, body) if right else expect_quarantined(damage, body, rf"^not an alert: .*{named}")
            )
    for name in SERVICE_EVENTS:
        places = [(path, wrong) for path in iterate_paths(factory.service_event(name)) for wrong in WRONG_VALUES]
        for path, wrong in rng.sample(places, 180):
            body = change_at(
                factory.service_event(name), path, lambda inner, last, wrong=wrong: inner.__setitem__(last, wrong)
            )
            yield expect_either(f"{name} with {str(wrong)[:20]!r} at {path}", body, *_no_alert_if_decisive(name, path))


def removed_fields(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *SERVICE_EVENTS):
        for path in iterate_paths(factory.event(name)):
            body = change_at(factory.event(name), path, lambda inner, last: inner.__delitem__(last))
            yield expect_either(f"{name} without {path}", body, *_no_alert_if_decisive(name, path))


def alarm_states(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for name in ("cloudwatch_eventbridge", "cloudwatch_lambda", "cloudwatch_sns"):
        for state in ("OK", "INSUFFICIENT_DATA"):
            body = json.dumps(factory.service_event(name)).replace('"ALARM"', f'"{state}"')
            yield Message(f"{name} in the state {state}", body, frozenset({NO_ALERT}))
        yield expect_quarantined(
            f"{name} in an unknown state",
            json.dumps(factory.service_event(name)).replace('"ALARM"', '"alarm"'),
            "Invalid enum value 'alarm'",
        )
    for grade in (0, 0.0, None):
        yield Message(
            f"a grade of {grade}",
            json.dumps(factory.service_event("opensearch_result") | {"anomaly_grade": grade}),
            frozenset({NO_ALERT}),
        )
    yield expect_quarantined(
        "a grade and no feature",
        json.dumps(factory.service_event("opensearch_result") | {"feature_data": []}),
        "feature_data",
    )
    yield expect_quarantined(
        "a grade of 2", json.dumps(factory.service_event("opensearch_result") | {"anomaly_grade": 2}), "anomalyScore"
    )


HOSTILE_NAMES = (
    "../../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "/",
    "//x",
    "..\\..\\x",
    "C:\\x",
    "file:///etc/passwd",
    "s3://other/bucket",
    "~/x",
    "a\0b",
    "\0",
    "%2e%2e%2f",
    "%00",
    "%",
    "%null",
    "date=2021-02-17",
    "x/../../alerts/y",
    "$(touch x)",
    "`x`",
    "; rm -rf /",
    "=cmd|' /C calc'!A0",
    "a\r\nb",
    "é" * 100,
    "\u202egnp.exe",
    "\u2028",
    "\ufeff",
    "\uffff",
    "🦀",
    "a" * 300,
    " ",
    "\t",
    "'",
    '"',
    "\\",
    "${jndi:ldap://x}",
    "{{x}}",
    "{0}",
    "%s%n",
    "__proto__",
    "NaN",
    "null",
    "None",
)


def hostile_names(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    def quoted(name: str) -> str:
        return re.escape(quote(name))

    for name in HOSTILE_NAMES:
        series = [({"platform": name, "marketplace": name}, 1.0), ({"platform": name + name}, 2.0)]
        shares = {"platform": {name: 60.0, "x": 40.0}, "marketplace": {name: 100.0}}
        yield expect_stored(
            f"the values {name[:20]!r}", json.dumps(factory.alert(series=series, contributions=shares, score=95))
        )
        yield expect_stored(f"the event id {name[:20]!r}", json.dumps(factory.alert(event=name, score=95)))
        yield expect_stored(f"the alert's id {name[:20]!r}", json.dumps(factory.alert(alertEventId=name)))
        yield expect_stored(
            f"the name {name[:20]!r}",
            json.dumps(
                factory.alert(alertName=name, consoleUrl=name, rootCause=name, direction=name, source=name, score=95)
            ),
        )
        yield expect_stored(
            f"a detector of {name[:20]!r}", json.dumps(factory.alert(anomalyDetectorArn=f"{name}:shop"))
        )
        yield expect_quarantined(
            f"the detector {name[:20]!r}",
            json.dumps(factory.alert(anomalyDetectorArn=name)),
            f"no metric set accepts .* detector {quoted(name)}",
        )
        yield expect_quarantined(
            f"the detector :{name[:20]!r}",
            json.dumps(factory.alert(anomalyDetectorArn=f"x:{name}")),
            "no metric set accepts alerts of the detector",
        )
        yield expect_quarantined(
            f"the measure {name[:20]!r}",
            json.dumps(factory.alert(measure=name)),
            f"metricName: .* has no measure {quoted(name)}",
        )
        yield expect_quarantined(
            f"the dimension {name[:20]!r}",
            json.dumps(factory.alert(series=[({name: "x"}, 1.0)])),
            f"dimensionName: .* has no dimension {quoted(name)}",
        )
        yield expect_quarantined(
            f"the share of {name[:20]!r}",
            json.dumps(factory.alert(contributions={name: {"x": 1.0}})),
            "dimensionName: .* has no dimension",
        )
        yield expect_quarantined(
            f"the timestamp {name[:20]!r}", json.dumps(factory.alert(timestamp=name)), "^timestamp: "
        )
        yield expect_either(f"the zone {name[:20]!r}", json.dumps(factory.alert(timestamp=f"2021-02-17T11:00[{name}]")))
        yield expect_stored(f"an unknown field {name[:20]!r}", json.dumps({name: name, **factory.alert()}))
        for kind, field in (
            ("cloudwatch_lambda", "alarmArn"),
            ("cost_sns", "monitorArn"),
            ("opensearch_result", "detector_id"),
        ):
            yield expect_either(
                f"{kind} with the {field} {name[:20]!r}", json.dumps(factory.service_event(kind) | {field: name})
            )


HOSTILE_ZONES = (
    "Nowhere/City",
    "../../etc/passwd",
    "/etc/passwd",
    "/usr/share/zoneinfo/UTC",
    "Europe",
    "Europe/",
    "leapseconds",
    "zone1970",
    "zones",
    "tzdata",
    "+VERSION",
    "Europe//Berlin",
    "Europe/../UTC",
    "UTC/UTC",
    "-",
    "/",
    "a" * 5000,
    "a/" * 3000,
    "UTC\0",
    "utc\n",
    " UTC",
    "UTC][UTC",
    "",
    "::1",
)

_ARABIC_DIGITS = {ord(digit): 0x660 + int(digit) for digit in "0123456789"}

INVALID_TIMESTAMPS = (
    "1969-12-31T23:59:59Z",
    "1979-12-31T23:59Z",
    "1980-01-01T00:59+01:00",
    "2100-01-01T00:00Z",
    "2099-12-31T23:59-00:01",
    "9999-12-31T23:59-23:59",
    "0001-01-01T00:00+23:59",
    "0000-01-01T00:00Z",
    "-2021-02-17T11:00Z",
    "+12021-02-17T11:00Z",
    "2021-02-29T11:00Z",
    "2021-13-01T11:00Z",
    "2021-00-00T00:00Z",
    "2021-02-17T24:00Z",
    "2021-02-17T11:60Z",
    "2021-02-17T11:00:61Z",
    "2021-02-17T11:00+24:00",
    "2021-02-17T11:00+99:99",
    "2021-02-17T11:00",
    "2021-02-17",
    "2021",
    "1613559600",
    "2021-02-17T11:00Z" * 3,
    "2021-02-17t11:00z",
    "now",
    "[UTC]",
    "2021-02-17T11:00:00,5Z",
    f"2021-02-17T11:00:00.{'1' * 9999}",
    "2021-02-17T11:00Z".translate(_ARABIC_DIGITS),
    "2021-02-17T11:00+01:00".translate(_ARABIC_DIGITS),
)


def hostile_timestamps(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for zone in HOSTILE_ZONES:
        yield expect_either(
            f"the zone {zone[:20]!r} after an offset",
            json.dumps(factory.alert(timestamp=f"2021-02-17T11:00Z[{zone}]")),
        )
        yield expect_quarantined(
            f"the zone {zone[:20]!r}", json.dumps(factory.alert(timestamp=f"2021-02-17T11:00[{zone}]")), "^timestamp: "
        )
    for timestamp in INVALID_TIMESTAMPS:
        yield expect_quarantined(
            f"the timestamp {timestamp[:20]}", json.dumps(factory.alert(timestamp=timestamp)), "^timestamp: "
        )


def empty_texts(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    reasons = {
        "alertEventId": "^alertEventId: is empty",
        "timestamp": "^timestamp: ",
        "metricName": "^metricName: ",
        "dimensionName": "^dimensionName: ",
    }
    reasons["anomalyDetectorArn"] = "no metric set accepts"
    for path in iterate_paths(factory.alert()):
        if FIELD_TYPES[path[-1]] in (TEXT, TEXT_OR_NULL):
            body = change_at(factory.alert(), path, lambda inner, last: inner.__setitem__(last, ""))
            yield (
                expect_quarantined(f"an empty {path}", body, reasons[str(path[-1])])
                if path[-1] in reasons
                else expect_stored(f"an empty {path}", body)
            )
    yield expect_stored("no series and no contributions", json.dumps(factory.alert(series=[], contributions={})))


def enveloped_events(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    wrappers: tuple[Callable[[str], Any], ...] = (
        lambda body: {"Type": "Notification", "TopicArn": "t", "Message": body},
        lambda body: {"Records": [{"Sns": {"Message": body}}]},
        lambda body: {"requestContext": {}, "requestPayload": json.loads(body)},
        lambda body: {"detail-type": "x", "source": "shop", "detail": json.loads(body)},
    )
    for depth in range(1, 9):
        for _ in range(24):
            body = json.dumps(factory.alert())
            for _ in range(depth):
                body = json.dumps(rng.choice(wrappers)(body))
            yield (
                expect_stored(f"{depth} envelopes", body)
                if depth <= 6
                else expect_quarantined(f"{depth} envelopes", body, "no known source")
            )
    for inner in (None, 1, [], {}, "", "x", "[", "null", "{}", "\0", {"Message": "x"}):
        for wrap in (
            {"TopicArn": "t", "Message": inner},
            {"Records": [{"Sns": {"Message": inner}}]},
            {"Records": [{"Sns": inner}]},
            {"Records": [inner]},
        ):
            yield expect_quarantined(
                f"an envelope around {inner!r}", json.dumps(wrap), "no known source|^not JSON|JSON is not an object"
            )
        yield expect_quarantined(
            f"an event around {inner!r}",
            json.dumps({"detail-type": "x", "source": "y", "detail": inner}),
            "no known source|not an object|^not JSON",
        )
        yield expect_quarantined(
            f"an event of {inner!r}",
            json.dumps({**factory.service_event("cloudwatch_eventbridge"), "detail": inner}),
            "detail|not an alarm",
        )
    body = json.dumps(factory.alert())
    yield expect_stored("two records of SNS in one message", json.dumps({"Records": [{"Sns": {"Message": body}}] * 2}))
    yield expect_stored(
        "a batch within a message",
        json.dumps({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body}]}),
    )
