"""Hostile events of 1 MiB that are built to be slow or large."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from hostile_events import MIB, NO_ALERT, QUARANTINED, EventFactory, Message, expect_quarantined, expect_stored


def worst_cases() -> Iterator[Message]:
    """The most costly bodies of 1 MiB, by kind of content."""
    factory = EventFactory(9_000)

    def full(event: dict[str, Any], item: Callable[[int], str], most: int = MIB) -> str:
        """The event with as many items as fit in place of `"@@"`. Items with greater numbers must not be shorter."""
        head, tail = json.dumps(event).split('"@@"')
        count = (most - len(head) - len(tail)) // (len(item(MIB)) + 1)
        return head + ",".join(map(item, range(count))) + tail

    def alert(identity: str = "", **metric: Any) -> dict[str, Any]:
        found = factory.alert(score=95)
        found["alertEventId"] += identity
        found["impactedMetric"] = {"metricName": "views", **metric}
        return found

    def series(item: Callable[[int], str], identity: str = "") -> str:
        return full(alert(identity, relevantTimeSeries=["@@"]), item)

    def shares(item: Callable[[int], str], identity: str = "") -> str:
        return full(
            alert(
                identity, dimensionContribution=[{"dimensionName": "platform", "dimensionValueContributions": ["@@"]}]
            ),
            item,
        )

    def dimensions(item: Callable[[int], str]) -> str:
        return full(alert(relevantTimeSeries=[{"dimensions": ["@@"]}]), item)

    def platform(value: str) -> str:
        return f'{{"dimensions":[{{"dimensionName":"platform","dimensionValue":"{value}"}}],"metricValue":1}}'

    long = "\n" * 400
    yield expect_stored("series that say nothing", series(lambda i: "{}"))
    yield expect_stored("distinct series without dimensions", series(lambda i: f'{{"metricValue":{i}}}'))
    yield expect_stored("distinct series", series(lambda i: platform(f"{i:x}")))
    yield expect_stored("distinct series of an event with a long id", series(lambda i: platform(f"{i:x}"), long))
    yield expect_stored("long values of line breaks", series(lambda i: platform("\\n" * 2000 + str(i))))
    yield expect_stored(
        "values that are encoded at every second letter", series(lambda i: platform("a," * 100 + str(i)))
    )
    yield expect_stored("shares without values", shares(lambda i: '{"valueContribution":1}'))
    yield expect_stored(
        "distinct shares of an event with a long id",
        shares(lambda i: f'{{"dimensionValue":"{i:x}","valueContribution":1}}', long),
    )
    yield expect_stored(
        "a dimension's contributions many times",
        full(alert(dimensionContribution=["@@"]), lambda i: '{"dimensionName":"platform"}'),
    )
    yield expect_quarantined(
        "a series of one dimension",
        full(alert(relevantTimeSeries=[{"dimensions": ["@@"]}]), lambda i: '{"dimensionName":"zone"}'),
        "twice: zone",
    )
    yield expect_quarantined(
        "a series of many",
        full(alert(relevantTimeSeries=[{"dimensions": ["@@"]}]), lambda i: f'{{"dimensionName":"{i:x}"}}'),
        "no dimension",
    )
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
    yield expect_stored("many unknown fields", full(factory.alert() | {"x": ["@@"]}, lambda i: "{}"))
    yield expect_quarantined(
        "many fields and no alert", json.dumps(dict.fromkeys(map(str, range(80_000)), 1)), "no known source"
    )
    yield expect_quarantined("brackets", "[" * MIB, "nested too deeply")
    yield expect_quarantined("braces", '{"a":' * (MIB // 5), "nested too deeply")
    yield expect_quarantined(
        "events in events", '{"detail-type":"a","source":"b","detail":' * (MIB // 41), "nested too deeply|^not JSON"
    )
    body = json.dumps(factory.alert(alertName='"\\' * 5_000))
    for _ in range(4):
        body = json.dumps({"TopicArn": "t", "Message": body})
    yield expect_stored("envelopes of backslashes", body)
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
                full(outside, lambda i, item=item: item),
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
    grafana = factory.service_event("mapping_grafana")
    one = json.dumps(grafana["alerts"][0])
    for item in ("1", "{}", '{"status":"firing"}', one):
        for most, why in ((MIB, "too long for a mapping"), (260_000, "")):
            body = full(grafana | {"alerts": ["@@"]}, lambda i, item=item: item, most)
            yield Message(
                f"{len(body)} characters of {item[:20]} in a home-made event",
                body,
                frozenset({QUARANTINED} if why else {QUARANTINED, NO_ALERT}),
                why,
            )
    search = factory.service_event("opensearch_result") | {"relevant_attribution": None}
    for field, item in (
        ("feature_data", '{"feature_id":"f"}'),
        ("entity", '{"name":"n","value":"v"}'),
        ("expected_values", "{}"),
    ):
        yield expect_quarantined(
            f"a result with many of {field}",
            full(search | {field: ["@@"]}, lambda i, item=item: item),
            f"length <= 100 .*{field}",
        )
    cost = factory.service_event("cost_sns")
    yield expect_quarantined(
        "an anomaly of many causes", full(cost | {"rootCauses": ["@@"]}, lambda i: "{}"), "length <= 1000 .*rootCauses"
    )
    alarm = factory.service_event("cloudwatch_lambda")
    alarm["alarmData"]["configuration"]["metrics"] = ["@@"]
    yield expect_quarantined("an alarm of many metrics", full(alarm, lambda i: '{"id":"m"}'), "length <= 500 .*metrics")
    blanks = f'{{"id":"m","expression":"{"ANOMALY_DETECTION_BAND(" * 1_000}{" " * 900_000}"}}'
    yield expect_quarantined(
        "a band of blanks", json.dumps(alarm).replace('"@@"', blanks), "has no ANOMALY_DETECTION_BAND"
    )
    alarm = factory.service_event("cloudwatch_lambda")
    alarm["alarmData"]["state"]["reason"] = "datapoints " + "1 (14/07/26 11:10:00), " * 40_000
    yield expect_stored("an alarm of many points", json.dumps(alarm))
