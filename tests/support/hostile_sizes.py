"""Hostile events of 1 MiB that are built to be slow or large."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from hostile_events import MIB, NO_ALERT, QUARANTINED, EventFactory, Message, expect_quarantined, expect_stored


def worst_cases() -> Iterator[Message]:
    """The most costly bodies of 1 MiB, by kind of content."""
    factory = EventFactory(9_000)
    for build_messages in (_many_series, _long_texts, _deep_nesting, _long_lists, _large_grafana_events, _large_events):
        yield from build_messages(factory)


def fill_body(event: dict[str, Any] | list[str], item: Callable[[int], str], max_size: int = MIB) -> str:
    """Return the event with as many items as fit in place of `"@@"`. Items with greater numbers must not be shorter."""
    head, tail = json.dumps(event).split('"@@"')
    count = (max_size - len(head) - len(tail)) // (len(item(MIB)) + 1)
    return head + ",".join(map(item, range(count))) + tail


def _build_alert(factory: EventFactory, identity: str = "", **metric: Any) -> dict[str, Any]:
    alert = factory.alert(score=95)
    alert["alertEventId"] += identity
    alert["impactedMetric"] = {"metricName": "views", **metric}
    return alert


def _fill_series(factory: EventFactory, item: Callable[[int], str], identity: str = "") -> str:
    return fill_body(_build_alert(factory, identity, relevantTimeSeries=["@@"]), item)


def _fill_contributions(factory: EventFactory, item: Callable[[int], str], identity: str = "") -> str:
    contributions = [{"dimensionName": "platform", "dimensionValueContributions": ["@@"]}]
    return fill_body(_build_alert(factory, identity, dimensionContribution=contributions), item)


def _format_platform(value: str) -> str:
    return f'{{"dimensions":[{{"dimensionName":"platform","dimensionValue":"{value}"}}],"metricValue":1}}'


def _many_series(factory: EventFactory) -> Iterator[Message]:
    long_id = "\n" * 400
    yield expect_stored("series that say nothing", _fill_series(factory, lambda number: "{}"))
    yield expect_stored(
        "distinct series without dimensions", _fill_series(factory, lambda number: f'{{"metricValue":{number}}}')
    )
    yield expect_stored("distinct series", _fill_series(factory, lambda number: _format_platform(f"{number:x}")))
    yield expect_stored(
        "distinct series of an event with a long id",
        _fill_series(factory, lambda number: _format_platform(f"{number:x}"), long_id),
    )
    yield expect_stored(
        "long values of line breaks", _fill_series(factory, lambda number: _format_platform("\\n" * 2000 + str(number)))
    )
    yield expect_stored(
        "values that are encoded at every second letter",
        _fill_series(factory, lambda number: _format_platform("a," * 100 + str(number))),
    )
    yield expect_stored("shares without values", _fill_contributions(factory, lambda number: '{"valueContribution":1}'))
    yield expect_stored(
        "distinct shares of an event with a long id",
        _fill_contributions(
            factory, lambda number: f'{{"dimensionValue":"{number:x}","valueContribution":1}}', long_id
        ),
    )
    yield expect_stored(
        "a dimension's contributions many times",
        fill_body(_build_alert(factory, dimensionContribution=["@@"]), lambda number: '{"dimensionName":"platform"}'),
    )
    yield expect_quarantined(
        "a series of one dimension",
        fill_body(
            _build_alert(factory, relevantTimeSeries=[{"dimensions": ["@@"]}]),
            lambda number: '{"dimensionName":"zone"}',
        ),
        "twice: zone",
    )
    yield expect_quarantined(
        "a series of many",
        fill_body(
            _build_alert(factory, relevantTimeSeries=[{"dimensions": ["@@"]}]),
            lambda number: f'{{"dimensionName":"{number:x}"}}',
        ),
        "no dimension",
    )


def _long_texts(factory: EventFactory) -> Iterator[Message]:
    for field in ("alertName", "consoleUrl", "rootCause", "alertDescription"):
        yield expect_stored(f"a long {field}", json.dumps(factory.alert(score=95) | {field: "é" * (MIB // 6 - 1000)}))
    yield expect_quarantined("a long event id", json.dumps(factory.alert(event="x" * MIB)), "^alertEventId: has 10")
    yield expect_quarantined(
        "a long detector",
        json.dumps(factory.alert(anomalyDetectorArn=":x" * (MIB // 2))),
        "^anomalyDetectorArn: has 10",
    )
    yield expect_quarantined("a long measure", json.dumps(factory.alert(measure="x" * MIB)), "^metricName: ")
    yield expect_quarantined("a long timestamp", json.dumps(factory.alert(timestamp="9" * MIB)), "^timestamp: ")
    yield expect_quarantined(
        "a long fraction", json.dumps(factory.alert(timestamp=f"2021-02-17T11:00:00.{'1' * MIB}x")), "^timestamp: "
    )
    yield expect_quarantined(
        "a long zone", json.dumps(factory.alert(timestamp=f"2021-02-17T11:00[{'a/' * (MIB // 2)}]")), "^timestamp: "
    )
    yield expect_quarantined("a long number", f'{{"alertEventId": {"9" * MIB}}}', "out of range")
    yield expect_quarantined("a long key", f'{{"{"x" * MIB}": 1}}', "no known source")
    yield expect_stored("many unknown fields", fill_body(factory.alert() | {"x": ["@@"]}, lambda number: "{}"))
    yield expect_quarantined(
        "many fields and no alert", json.dumps(dict.fromkeys(map(str, range(80_000)), 1)), "no known source"
    )


def _deep_nesting(factory: EventFactory) -> Iterator[Message]:
    yield expect_quarantined("brackets", "[" * MIB, "nested too deeply")
    yield expect_quarantined("braces", '{"a":' * (MIB // 5), "nested too deeply")
    yield expect_quarantined(
        "events in events", '{"detail-type":"a","source":"b","detail":' * (MIB // 41), "nested too deeply|^not JSON"
    )
    body = json.dumps(factory.alert(alertName='"\\' * 5_000))
    for _ in range(4):
        body = json.dumps({"TopicArn": "t", "Message": body})
    yield expect_stored("envelopes of backslashes", body)


def _long_lists(factory: EventFactory) -> Iterator[Message]:
    for outside in (
        ["@@"],
        {"Records": ["@@"]},
        {"hits": {"hits": ["@@"]}},
        {"Anomalies": ["@@"]},
        {"TopicArn": "t", "Message": ["@@"]},
    ):
        for item in (
            "{}",
            "[[[[]]]]",
            '"x"',
            '{"Sns":{"Message":"x"}}',
            '{"_source":{}}',
            '{"AnomalyId":1}',
            '{"eventSource":"aws:sqs","body":"[1]"}',
        ):
            yield expect_quarantined(
                f"a list of {item} in {json.dumps(outside)}",
                fill_body(outside, lambda number, item=item: item),
                "more than 100 events|no known source|^not",
            )
    yield expect_quarantined("lines of JSON", '{"a":1}\n' * (MIB // 8), "more than 100 events")
    yield expect_quarantined(
        "a hundred alerts with unknown measures",
        json.dumps([factory.alert(measure=f"m{n}") for n in range(100)]),
        "has no measure 'm0'.*'m9'",
    )
    yield expect_quarantined("a text in a text", json.dumps("x" * (MIB - 10)), "^not JSON")
    call = {"requestContext": {"http": {}}, "isBase64Encoded": True, "body": "A" * (MIB - 1000)}
    yield expect_quarantined("a call with base64 of nothing", json.dumps(call), "^not JSON")


def _large_grafana_events(factory: EventFactory) -> Iterator[Message]:
    grafana = factory.service_event("mapping_grafana")
    alert = json.dumps(grafana["alerts"][0])
    for item in ("1", "{}", '{"status":"firing"}', alert):
        for max_size, reason in ((MIB, "too long for a mapping"), (260_000, "")):
            body = fill_body(grafana | {"alerts": ["@@"]}, lambda number, item=item: item, max_size)
            yield Message(
                f"{len(body)} characters of {item[:20]} in a home-made event",
                body,
                frozenset({QUARANTINED} if reason else {QUARANTINED, NO_ALERT}),
                reason,
            )


def _large_events(factory: EventFactory) -> Iterator[Message]:
    search = factory.service_event("opensearch_result") | {"relevant_attribution": None}
    for field, item in (
        ("feature_data", '{"feature_id":"f"}'),
        ("entity", '{"name":"n","value":"v"}'),
        ("expected_values", "{}"),
    ):
        yield expect_quarantined(
            f"a result with many of {field}",
            fill_body(search | {field: ["@@"]}, lambda number, item=item: item),
            f"length <= 100 .*{field}",
        )
    cost = factory.service_event("cost_sns")
    yield expect_quarantined(
        "an anomaly of many causes",
        fill_body(cost | {"rootCauses": ["@@"]}, lambda number: "{}"),
        "length <= 1000 .*rootCauses",
    )
    alarm = factory.service_event("cloudwatch_lambda")
    alarm["alarmData"]["configuration"]["metrics"] = ["@@"]
    yield expect_quarantined(
        "an alarm of many metrics", fill_body(alarm, lambda number: '{"id":"m"}'), "length <= 500 .*metrics"
    )
    blanks = f'{{"id":"m","expression":"{"ANOMALY_DETECTION_BAND(" * 1_000}{" " * 900_000}"}}'
    yield expect_quarantined(
        "a band of blanks", json.dumps(alarm).replace('"@@"', blanks), "has no ANOMALY_DETECTION_BAND"
    )
    alarm = factory.service_event("cloudwatch_lambda")
    alarm["alarmData"]["state"]["reason"] = "datapoints " + "1 (14/07/26 11:10:00), " * 40_000
    yield expect_stored("an alarm of many points", json.dumps(alarm))
