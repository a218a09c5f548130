"""Events that nobody should send, several thousand, the same in every run; each says what was done to it and what must become of it.

`messages` are bodies, as a queue hands them over; `whole_events` are events of which not even the outside is right; `worst_cases` are bodies of 1 MiB
that are built to be slow or large. Every alert that is sound has an hour of its own, so that none hides behind another.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from examples import alert_body, event_text, shop_text

MIB = 1 << 20
TOP = Path(__file__).parents[2]
FOREIGN = sorted(path.stem for path in (TOP / "tests/events").glob("*.json"))
SEARCH = """
name: search
frequency: PT10M
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [host_keyword, zone]
measures: [{name: requests, aggregation: SUM}, {name: error_rate, aggregation: AVG}, {name: bytes, aggregation: SUM}]
alerts: {detectors: [Zr4kqo0BtLw7xP2cVdQh]}
"""

# The metric sets by name, as people write them: those that come along, the shop, and one for OpenSearch.
SETS = {
    **{
        file.stem: file.read_text("utf-8")
        for file in (*(TOP / "docs/metric_sets").glob("*.yaml"), TOP / "src/metric_sets/aws_cost.yaml")
    },
    "shop": shop_text(),
    "search": SEARCH,
}
FILED, KEPT, NOTHING = "filed", "quarantined", "nothing"


class Message(NamedTuple):
    """A body; what was done to it, what may become of it, and what the reason must say (a pattern) if it is quarantined."""

    what: str
    body: str
    becomes: frozenset[str]
    reason: str = ""


class Delivery(NamedTuple):
    """What the function is called with, and the messages that it holds, with the bodies under which the lake must know them."""

    event: Any
    messages: tuple[Message, ...]


def filed(what: str, body: str) -> Message:
    """A body that must end in the tables and the archive."""
    return Message(what, body, frozenset({FILED}))


def kept(what: str, body: str, reason: str) -> Message:
    """A body that must end in quarantine, for this reason."""
    return Message(what, body, frozenset({KEPT}), reason)


def either(what: str, body: str, *also: str) -> Message:
    """A body that must end in one of the two; `also` may be `NOTHING`, where it may tell of no anomaly."""
    return Message(what, body, frozenset({FILED, KEPT, *also}))


def metric_sets() -> tuple[MetricSet, ...]:
    """A home for the events of every source."""
    return tuple(metric_set_yaml.parse(text, name) for name, text in SETS.items())


class Fresh:
    """Sound events, each of an hour or a day of its own; `number` days after the first of 2001 is the first."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def _next(self) -> int:
        self.number += 1
        return self.number

    def alert(self, **more: Any) -> dict[str, Any]:
        """An alert for the shop; a keyword replaces a field of it or of what `conftest.alert_body` takes."""
        number = self._next()
        found: dict[str, Any] = json.loads(
            alert_body(
                **{
                    "timestamp": f"{datetime(2001, 1, 1) + timedelta(hours=3 * number):%Y-%m-%dT%H:%M}Z",
                    "event": f"e{number}",
                    **more,
                }
            )
        )
        return found

    def foreign(self, name: str) -> dict[str, Any]:
        """An event of another service."""
        day = datetime(2001, 1, 1) + timedelta(days=self._next())
        text = re.sub(r"2026-07-\d\d", f"{day:%Y-%m-%d}", event_text(name))
        text = re.sub(r"\d\d/07/26", f"{day:%d/%m/%y}", text)
        text = re.sub(r"\b17\d{11}\b", str(int((day - datetime(1970, 1, 1)).total_seconds() * 1000)), text)
        found: dict[str, Any] = json.loads(text)
        return found

    def any(self, name: str) -> dict[str, Any]:
        """An event of another service, or an alert."""
        return self.alert() if name == "alert" else self.foreign(name)


def messages() -> Iterator[Message]:
    """All kinds of damage, one after the other."""
    fresh, rng = Fresh(), random.Random(20210217)
    for kind in (
        _truncated, _wrong_types, _removed, _mutated, _nested, _repeated_keys, _surrogates, _numbers, _names, _timestamps, _empty, _marks, _enveloped,
        _junk, _states,
    ):  # fmt: skip
        yield from kind(fresh, rng)


# --- damage to the text


def _truncated(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *FOREIGN):
        body = json.dumps(fresh.any(name))
        for cut in rng.sample(range(len(body)), 90):
            yield kept(f"{name} cut at {cut}", body[:cut], "^not JSON")


def _mutated(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    letters = '{}[]",:\\/.0123456789-+eEtrufalsn \t\n\0\x7f\ufeff\u2028é🦀\ud800\udc00'
    for number in range(900):
        name = ("alert", "alert", *(name for name in FOREIGN if name.startswith("c")))[number % 7]
        body = json.dumps(fresh.any(name), ensure_ascii=bool(number % 2))
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(body))
            body = (
                body[:place]
                + rng.choice(["", rng.choice(letters), rng.choice(letters) * 3])
                + body[place + rng.randrange(3) :]
            )
        yield either(f"{name} with other letters, {number}", body)


def _repeated_keys(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for field in ("alertEventId", "timestamp", "impactedMetric", "anomalyScore", "anomalyDetectorArn"):
        for wrong in ('["x"]', "{}", "true"):
            body = json.dumps(fresh.alert())
            yield filed(f"{field} twice, the last one right", f'{{"{field}": {wrong}, {body[1:]}')
            yield kept(
                f"{field} twice, the last one wrong",
                f'{body[:-1]}, "{field}": {wrong}}}',
                field if wrong != "{}" else "",
            )
    yield filed("a field ten thousand times", "{" + '"alertName": "x", ' * 10_000 + json.dumps(fresh.alert())[1:])


def _surrogates(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *FOREIGN):
        for half in ("\\ud800", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "\ud800", "\udfff"):
            body = json.dumps(fresh.any(name))
            places = [match.end() for match in re.finditer('": "', body)]
            place = rng.choice(places)
            yield kept(f"{name} with {half!a} at {place}", body[:place] + half + body[place:], "^not JSON")
    yield filed("a whole pair of surrogates", json.dumps(fresh.alert(alertName="🦀")))


def _marks(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *FOREIGN):
        yield filed(f"{name} behind a byte order mark", "\ufeff" + json.dumps(fresh.any(name)))
        for mark in ("\ufffe", "\0", "\x1a", "ï»¿", ")]}',\n", "//\n", "'"):
            yield kept(f"{name} behind {mark!r}", mark + json.dumps(fresh.any(name)), "^not JSON")
            yield kept(f"{name} before {mark!r}", json.dumps(fresh.any(name)) + mark, "^not JSON")
        yield kept(f"{name} twice", json.dumps(fresh.any(name)) * 2, "^not JSON")
        yield either(f"{name} among blanks", f" \r\n\t{json.dumps(fresh.any(name), indent=3)}\n\n")


def _junk(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for text in (
        "",
        " ",
        "{",
        "}",
        "[",
        '"',
        "\\",
        "<alert/>",
        "alert: 1",
        "%7B%7D",
        "\0" * 1000,
        "nul",
        "tru",
        "0x10",
        "'{}'",
        "{]",
        "{,}",
        "[1,]",
    ):
        yield kept(f"the text {text[:9]!r}", text, "^not JSON")
    for text in ("null", "true", "0", "[]", "-0.0", "[5]", "[[]]", "[null, 7]"):
        yield kept(f"the JSON {text}", text, "the JSON is no object")
    for text in ('"text"', '[["Records"]]', '"\\ufeff"', '"\\"\\""'):
        yield kept(f"the JSON {text}", text, "^not JSON")
    yield kept("a list of an empty object", "[{}]", "no known source")
    for number in range(300):
        length = rng.choice([1, 10, 100, 1000, 10_000])
        yield kept(
            f"noise {number}", chr(0x21A2) + "".join(map(chr, rng.choices(range(0xD7FF), k=length))), "^not JSON"
        )
    for number in range(60):
        yield kept(
            f"an object of somebody's, {number}",
            json.dumps({f"f{number}": rng.choice([None, 1, "x", [], {}])}),
            f"no known source.*f{number}",
        )


# --- damage to the content

WRONG = (
    None,
    True,
    False,
    0,
    -1,
    7.5,
    1e308,
    2**70,
    "",
    "x",
    "../../etc/passwd",
    "\0",
    [],
    [[]],
    [None],
    ["x"] * 50,
    {},
    {"a": 1},
    {"": None},
)
_TEXT, _TEXT_OR_NULL, _NUMBER, _NUMBER_OR_NULL = (str,), (str, type(None)), (int, float), (int, float, type(None))
# What may stand in a field of an alert; the places of lists (`0`) hold objects.
TYPES: dict[Any, tuple[type, ...]] = {
    **dict.fromkeys(("alertEventId", "anomalyDetectorArn", "timestamp", "metricName", "dimensionName"), _TEXT),
    **dict.fromkeys(
        ("alertName", "alertArn", "alertDescription", "anomalyGroupId", "consoleUrl", "timeSeriesId", "dimensionValue"),
        _TEXT_OR_NULL,
    ),
    **dict.fromkeys(("anomalyScore", "metricValue"), _NUMBER_OR_NULL),
    "valueContribution": _NUMBER,
    "impactedMetric": (dict,),
    **dict.fromkeys(
        ("dimensionContribution", "dimensionValueContributions", "relevantTimeSeries", "dimensions"), (list,)
    ),
    0: (dict,),
}


def paths(inner: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in decoded JSON, of a list the first alone."""
    steps = list(inner) if isinstance(inner, dict) else range(min(1, len(inner))) if isinstance(inner, list) else []
    for step in steps:
        yield (*at, step)
        yield from paths(inner[step], (*at, step))


def at(event: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at a place."""
    for step in path:
        event = event[step]
    return event


def change(event: Any, path: tuple[str | int, ...], act: Callable[[Any, Any], None]) -> str:
    """The event as JSON after `act(container, last step)`."""
    act(at(event, path[:-1]), path[-1])
    return json.dumps(event)


def _silent(name: str, path: tuple[str | int, ...]) -> tuple[str, ...]:
    """`NOTHING` where the place decides whether an event tells of an anomaly at all."""
    last = path[-1]
    return (
        (NOTHING,) if last == "anomaly_grade" or (name == "mapping_grafana" and last in ("alerts", 0, "status")) else ()
    )


def _wrong_types(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for path in paths(fresh.alert()):
        for wrong in WRONG:
            body = change(fresh.alert(), path, lambda inner, last, wrong=wrong: inner.__setitem__(last, wrong))
            what = f"alert with {str(wrong)[:20]!r} at {path}"
            named = next(step for step in reversed(path) if isinstance(step, str))
            right = type(wrong) in TYPES[path[-1]]
            yield either(what, body) if right else kept(what, body, rf"^not an alert: .*{named}")
    for name in FOREIGN:
        places = [(path, wrong) for path in paths(fresh.foreign(name)) for wrong in WRONG]
        for path, wrong in rng.sample(places, 180):
            body = change(fresh.foreign(name), path, lambda inner, last, wrong=wrong: inner.__setitem__(last, wrong))
            yield either(f"{name} with {str(wrong)[:20]!r} at {path}", body, *_silent(name, path))


def _removed(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *FOREIGN):
        for path in paths(fresh.any(name)):
            body = change(fresh.any(name), path, lambda inner, last: inner.__delitem__(last))
            yield either(f"{name} without {path}", body, *_silent(name, path))


def _states(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for name in ("cloudwatch_eventbridge", "cloudwatch_lambda", "cloudwatch_sns"):
        for state in ("OK", "INSUFFICIENT_DATA"):
            body = json.dumps(fresh.foreign(name)).replace('"ALARM"', f'"{state}"')
            yield Message(f"{name} in the state {state}", body, frozenset({NOTHING}))
        yield kept(
            f"{name} in no state",
            json.dumps(fresh.foreign(name)).replace('"ALARM"', '"alarm"'),
            "Invalid enum value 'alarm'",
        )
    for grade in (0, 0.0, None):
        yield Message(
            f"a grade of {grade}",
            json.dumps(fresh.foreign("opensearch_result") | {"anomaly_grade": grade}),
            frozenset({NOTHING}),
        )
    yield kept(
        "a grade and no feature", json.dumps(fresh.foreign("opensearch_result") | {"feature_data": []}), "feature_data"
    )
    yield kept("a grade of 2", json.dumps(fresh.foreign("opensearch_result") | {"anomaly_grade": 2}), "anomalyScore")


def _numbers(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    def body_with(field: str, literal: str) -> str:
        return re.sub(rf'("{field}": )[-0-9.]+', lambda match: match[1] + literal, json.dumps(fresh.alert()))

    for field in ("anomalyScore", "metricValue", "valueContribution"):
        for literal in (
            "NaN",
            "Infinity",
            "-Infinity",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "0x1",
            "1_000",
            "--1",
            "\u0661",
            "nan",
            "1,5",
            "- 1",
        ):
            yield kept(f"{field} {literal}", body_with(field, literal), "^not JSON|not an alert")
        for literal in ("1e999", "-1e999", f"1{'0' * 400}", f"-{'9' * 400}", "9" * 5000, "1e400000000"):
            yield kept(f"{field} {literal[:20]}", body_with(field, literal), "out of range|^not JSON")
        for literal in ("1e-999", "-0", "-0.0", "0e0", f"0.{'1' * 5000}", "5e-324", f"0.{'0' * 400}1"):
            yield filed(f"{field} {literal[:20]}", body_with(field, literal))
        for literal in (
            "9223372036854775808",
            "18446744073709551616",
            "-9223372036854775809",
            "1e308",
            "1" * 300,
            "-1e308",
            "123456789012345678901234567",
        ):
            body = body_with(field, literal)
            yield (
                kept(f"{field} {literal[:20]}", body, "anomalyScore: .* must be from 0 to 100")
                if field == "anomalyScore"
                else filed(f"{field} {literal[:20]}", body)
            )
    for score in (-0.001, 100.001, -1e-300, 1e9):
        yield kept(
            f"a score of {score}", json.dumps(fresh.alert(score=score)), "anomalyScore: .* must be from 0 to 100"
        )


NAMES = (
    "../../../etc/passwd", "..", ".", "/etc/passwd", "/", "//x", "..\\..\\x", "C:\\x", "file:///etc/passwd", "s3://other/bucket", "~/x", "a\0b", "\0",
    "%2e%2e%2f", "%00", "%", "%null", "date=2021-02-17", "x/../../alerts/y", "$(touch x)", "`x`", "; rm -rf /", "=cmd|' /C calc'!A0", "a\r\nb",
    "é" * 100, "\u202egnp.exe", "\u2028", "\ufeff", "\uffff", "🦀", "a" * 300, " ", "\t", "'", '"', "\\", "${jndi:ldap://x}", "{{x}}", "{0}",
    "%s%n", "__proto__", "NaN", "null", "None",
)  # fmt: skip


def _names(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    def quoted(name: str) -> str:
        return re.escape(repr(name))

    for name in NAMES:
        series = [({"platform": name, "marketplace": name}, 1.0), ({"platform": name + name}, 2.0)]
        shares = {"platform": {name: 60.0, "x": 40.0}, "marketplace": {name: 100.0}}
        yield filed(f"the values {name[:20]!r}", json.dumps(fresh.alert(series=series, contributions=shares, score=95)))
        yield filed(f"the event id {name[:20]!r}", json.dumps(fresh.alert(event=name, score=95)))
        yield filed(f"the alert's id {name[:20]!r}", json.dumps(fresh.alert(alertEventId=name)))
        yield filed(
            f"the name {name[:20]!r}",
            json.dumps(
                fresh.alert(alertName=name, consoleUrl=name, rootCause=name, direction=name, source=name, score=95)
            ),
        )
        yield filed(f"a detector of {name[:20]!r}", json.dumps(fresh.alert(anomalyDetectorArn=f"{name}:shop")))
        yield kept(
            f"the detector {name[:20]!r}",
            json.dumps(fresh.alert(anomalyDetectorArn=name)),
            f"no metric set takes .* detector {quoted(name)}",
        )
        yield kept(
            f"the detector :{name[:20]!r}",
            json.dumps(fresh.alert(anomalyDetectorArn=f"x:{name}")),
            "no metric set takes the alerts of the detector",
        )
        yield kept(
            f"the measure {name[:20]!r}",
            json.dumps(fresh.alert(measure=name)),
            f"metricName: .* has no measure {quoted(name)}",
        )
        yield kept(
            f"the dimension {name[:20]!r}",
            json.dumps(fresh.alert(series=[({name: "x"}, 1.0)])),
            f"dimensionName: .* has no dimension {quoted(name)}",
        )
        yield kept(
            f"the share of {name[:20]!r}",
            json.dumps(fresh.alert(contributions={name: {"x": 1.0}})),
            "dimensionName: .* has no dimension",
        )
        yield kept(f"the timestamp {name[:20]!r}", json.dumps(fresh.alert(timestamp=name)), "^timestamp: ")
        yield either(f"the zone {name[:20]!r}", json.dumps(fresh.alert(timestamp=f"2021-02-17T11:00[{name}]")))
        yield filed(f"an unknown field {name[:20]!r}", json.dumps({name: name, **fresh.alert()}))
        for kind, field in (
            ("cloudwatch_lambda", "alarmArn"),
            ("cost_sns", "monitorArn"),
            ("opensearch_result", "detector_id"),
        ):
            yield either(f"{kind} with the {field} {name[:20]!r}", json.dumps(fresh.foreign(kind) | {field: name}))


def _timestamps(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    zones = (
        "Nowhere/City", "../../etc/passwd", "/etc/passwd", "/usr/share/zoneinfo/UTC", "Europe", "Europe/", "leapseconds", "zone1970", "zones",
        "tzdata", "+VERSION", "Europe//Berlin", "Europe/../UTC", "UTC/UTC", "-", "/", "a" * 5000, "a/" * 3000, "UTC\0", "utc\n", " UTC",
        "UTC][UTC", "", "::1",
    )  # fmt: skip
    for zone in zones:
        yield either(
            f"the zone {zone[:20]!r} beside an offset", json.dumps(fresh.alert(timestamp=f"2021-02-17T11:00Z[{zone}]"))
        )
        yield kept(
            f"the zone {zone[:20]!r}", json.dumps(fresh.alert(timestamp=f"2021-02-17T11:00[{zone}]")), "^timestamp: "
        )
    for when in (
        "1969-12-31T23:59:59Z", "1999-12-31T23:59Z", "2000-01-01T00:59+01:00", "2100-01-01T00:00Z", "2099-12-31T23:59-00:01",
        "9999-12-31T23:59-23:59", "0001-01-01T00:00+23:59", "0000-01-01T00:00Z", "-2021-02-17T11:00Z", "+12021-02-17T11:00Z",
        "2021-02-29T11:00Z", "2021-13-01T11:00Z",
        "2021-00-00T00:00Z", "2021-02-17T24:00Z", "2021-02-17T11:60Z", "2021-02-17T11:00:61Z", "2021-02-17T11:00+24:00",
        "2021-02-17T11:00+99:99", "2021-02-17T11:00", "2021-02-17", "2021", "1613559600", "2021-02-17T11:00Z" * 3, "2021-02-17t11:00z", "now",
        "[UTC]", "2021-02-17T11:00:00,5Z", f"2021-02-17T11:00:00.{'1' * 9999}", "2021-02-17T11:00Z".translate(_ARABIC),
        "2021-02-17T11:00+01:00".translate(_ARABIC),
    ):  # fmt: skip
        yield kept(f"the timestamp {when[:20]}", json.dumps(fresh.alert(timestamp=when)), "^timestamp: ")


_ARABIC = {ord(digit): 0x660 + int(digit) for digit in "0123456789"}


def _empty(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    reasons = {
        "alertEventId": "^alertEventId: is empty",
        "timestamp": "^timestamp: ",
        "metricName": "^metricName: ",
        "dimensionName": "^dimensionName: ",
    }
    reasons["anomalyDetectorArn"] = "no metric set takes"
    for path in paths(fresh.alert()):
        if TYPES[path[-1]] in (_TEXT, _TEXT_OR_NULL):
            body = change(fresh.alert(), path, lambda inner, last: inner.__setitem__(last, ""))
            yield (
                kept(f"an empty {path}", body, reasons[str(path[-1])])
                if path[-1] in reasons
                else filed(f"an empty {path}", body)
            )
    yield filed("no series and no contributions", json.dumps(fresh.alert(series=[], contributions={})))


def _nested(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    for depth in (2, 50, 500, 900):
        for open_, close in (("[", "]"), ('{"a":', "}")):
            inner = f"{open_ * depth}1{close * depth}"
            yield filed(f"{depth} deep in an unknown field", f'{json.dumps(fresh.alert())[:-1]}, "x": {inner}}}')
            yield kept(
                f"{depth} deep in a field", f'{json.dumps(fresh.alert())[:-1]}, "alertName": {inner}}}', "alertName"
            )
            yield either(f"{depth} deep in an event bus's", f'{{"detail-type": "x", "source": "y", "detail": {inner}}}')
    for depth in (1_100, 5_000, 100_000):
        for open_, close in (("[", "]"), ('{"a":', "}")):
            inner = f"{open_ * depth}1{close * depth}"
            for what, body in (
                ("bare", inner),
                ("open", open_ * depth),
                ("in a field", f'{json.dumps(fresh.alert())[:-1]}, "x": {inner}}}'),
            ):
                yield kept(f"{depth} deep, {what}", body, "nested too deeply")


def _enveloped(fresh: Fresh, rng: random.Random) -> Iterator[Message]:
    wraps: tuple[Callable[[str], Any], ...] = (
        lambda body: {"Type": "Notification", "TopicArn": "t", "Message": body},
        lambda body: {"Records": [{"Sns": {"Message": body}}]},
        lambda body: {"requestContext": {}, "requestPayload": json.loads(body)},
        lambda body: {"detail-type": "x", "source": "shop", "detail": json.loads(body)},
    )
    for depth in range(1, 9):
        for _ in range(24):
            body = json.dumps(fresh.alert())
            for _ in range(depth):
                body = json.dumps(rng.choice(wraps)(body))
            yield (
                filed(f"{depth} envelopes", body) if depth <= 6 else kept(f"{depth} envelopes", body, "no known source")
            )
    for inner in (None, 1, [], {}, "", "x", "[", "null", "{}", "\0", {"Message": "x"}):
        for wrap in (
            {"TopicArn": "t", "Message": inner},
            {"Records": [{"Sns": {"Message": inner}}]},
            {"Records": [{"Sns": inner}]},
            {"Records": [inner]},
        ):
            yield kept(f"an envelope around {inner!r}", json.dumps(wrap), "no known source|^not JSON|JSON is no object")
        yield kept(
            f"an event around {inner!r}",
            json.dumps({"detail-type": "x", "source": "y", "detail": inner}),
            "no known source|no object|^not JSON",
        )
        yield kept(
            f"an event of {inner!r}",
            json.dumps({**fresh.foreign("cloudwatch_eventbridge"), "detail": inner}),
            "detail|not an alarm",
        )
    body = json.dumps(fresh.alert())
    yield filed("two records of SNS in one message", json.dumps({"Records": [{"Sns": {"Message": body}}] * 2}))
    yield filed(
        "a batch within a message",
        json.dumps({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body}]}),
    )


# --- events of which the outside is wrong


def whole_events() -> Iterator[Delivery]:
    """Events that are no batch and no alert: kept whole; batches with records that are none; then batches with odd ids, of sound messages."""
    fresh = Fresh(8_000)
    record = {"eventSource": "aws:sqs", "messageId": "m", "body": json.dumps(fresh.alert())}
    bad: tuple[Any, ...] = (
        None, 1, "x", [], {}, *({**record, **odd} for odd in ({"body": None}, {"body": 1}, {"body": {}}, {"messageId": None}, {"messageId": 3})),
        {**record, "eventSource": "aws:kinesis"}, *({key: record[key] for key in record if key != gone} for gone in record),
        {"Sns": {}}, {"Sns": {"Message": None}}, {"Sns": None}, {"EventSource": "aws:sns", "Sns": {"Message": ["x"]}},
    )  # fmt: skip
    wholes: list[Any] = [{"Records": records} for one in bad for records in ([one], [record, one], [one, record])]
    wholes += [{"Records": other} for other in (None, [], {}, "x", 1, [[]], [record] and {"0": record})]
    wholes += [
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
    for event in wholes:
        what, body = f"the event {str(event)[:60]!r}", as_kept(event)
        with_alert = (
            isinstance(event, dict) and isinstance(event.get("Records"), list) and json.dumps(record["body"]) in body
        )
        yield Delivery(
            event,
            (either(what, body) if with_alert else kept(what, body, "no known source|no object|^not JSON|nested"),),
        )
    for identity in ("", "\0", "\ud800", "../../x", "x" * 10_000, "\n", "é", '"', "m"):
        sound, broken = (
            filed("a sound message", json.dumps(fresh.alert())),
            kept("a broken message", f"{identity!r}{{", "^not JSON"),
        )
        records = [
            {"eventSource": "aws:sqs", "messageId": identity, "body": message.body} for message in (sound, broken)
        ]
        yield Delivery({"Records": records}, (sound, broken))


def as_kept(event: Any) -> str:
    """A direct event as the text that the lake keeps of it."""
    return json.dumps(event, separators=(",", ":"))


# --- bodies of 1 MiB


def worst_cases() -> Iterator[Message]:
    """What costs most, by what a body of 1 MiB can hold of it."""
    fresh = Fresh(9_000)

    def full(event: dict[str, Any], item: Callable[[int], str], most: int = MIB) -> str:
        """The event with as many items as fit where it says `"@@"`; those of greater numbers are no shorter."""
        head, tail = json.dumps(event).split('"@@"')
        count = (most - len(head) - len(tail)) // (len(item(MIB)) + 1)
        return head + ",".join(map(item, range(count))) + tail

    def alert(identity: str = "", **metric: Any) -> dict[str, Any]:
        found = fresh.alert(score=95)
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
    yield filed("series that say nothing", series(lambda i: "{}"))
    yield filed("distinct series without dimensions", series(lambda i: f'{{"metricValue":{i}}}'))
    yield filed("distinct series", series(lambda i: platform(f"{i:x}")))
    yield filed("distinct series of an event with a long id", series(lambda i: platform(f"{i:x}"), long))
    yield filed("long values of line breaks", series(lambda i: platform("\\n" * 2000 + str(i))))
    yield filed("values that are encoded at every second letter", series(lambda i: platform("a," * 100 + str(i))))
    yield filed("shares without values", shares(lambda i: '{"valueContribution":1}'))
    yield filed(
        "distinct shares of an event with a long id",
        shares(lambda i: f'{{"dimensionValue":"{i:x}","valueContribution":1}}', long),
    )
    yield filed(
        "a dimension's shares again and again",
        full(alert(dimensionContribution=["@@"]), lambda i: '{"dimensionName":"platform"}'),
    )
    yield kept(
        "a series of one dimension",
        full(alert(relevantTimeSeries=[{"dimensions": ["@@"]}]), lambda i: '{"dimensionName":"zone"}'),
        "twice: zone",
    )
    yield kept(
        "a series of many",
        full(alert(relevantTimeSeries=[{"dimensions": ["@@"]}]), lambda i: f'{{"dimensionName":"{i:x}"}}'),
        "no dimension",
    )
    for field in ("alertName", "consoleUrl", "rootCause", "alertDescription"):
        yield filed(f"a long {field}", json.dumps(fresh.alert(score=95) | {field: "é" * (MIB // 6 - 1000)}))
    yield kept("a long event id", json.dumps(fresh.alert(event="x" * MIB)), "^alertEventId: has 10")
    yield kept(
        "a long detector", json.dumps(fresh.alert(anomalyDetectorArn=":x" * (MIB // 2))), "^anomalyDetectorArn: has 10"
    )
    yield kept("a long measure", json.dumps(fresh.alert(measure="x" * MIB)), "^metricName: ")
    yield kept("a long timestamp", json.dumps(fresh.alert(timestamp="9" * MIB)), "^timestamp: ")
    yield kept(
        "a long fraction", json.dumps(fresh.alert(timestamp=f"2021-02-17T11:00:00.{'1' * MIB}x")), "^timestamp: "
    )
    yield kept(
        "a long zone", json.dumps(fresh.alert(timestamp=f"2021-02-17T11:00[{'a/' * (MIB // 2)}]")), "^timestamp: "
    )
    yield kept("a long number", f'{{"alertEventId": {"9" * MIB}}}', "out of range")
    yield kept("a long key", f'{{"{"x" * MIB}": 1}}', "no known source")
    yield filed("many unknown fields", full(fresh.alert() | {"x": ["@@"]}, lambda i: "{}"))
    yield kept("many fields and no alert", json.dumps(dict.fromkeys(map(str, range(80_000)), 1)), "no known source")
    yield kept("brackets", "[" * MIB, "nested too deeply")
    yield kept("braces", '{"a":' * (MIB // 5), "nested too deeply")
    yield kept(
        "events in events", '{"detail-type":"a","source":"b","detail":' * (MIB // 41), "nested too deeply|^not JSON"
    )
    body = json.dumps(fresh.alert(alertName='"\\' * 5_000))
    for _ in range(4):
        body = json.dumps({"TopicArn": "t", "Message": body})
    yield filed("envelopes of backslashes", body)
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
            yield kept(
                f"a list of {item} in {json.dumps(outside)}",
                full(outside, lambda i, item=item: item),
                "more than 100 events|no known source|^not",
            )
    yield kept("lines of JSON", '{"a":1}\n' * (MIB // 8), "more than 100 events")
    yield kept(
        "a hundred alerts of no set",
        json.dumps([fresh.alert(measure=f"m{n}") for n in range(100)]),
        "has no measure 'm0'.*'m9'",
    )
    yield kept("a text in a text", json.dumps("x" * (MIB - 10)), "^not JSON")
    call = {"requestContext": {"http": {}}, "isBase64Encoded": True, "body": "A" * (MIB - 1000)}
    yield kept("a call with base64 of nothing", json.dumps(call), "^not JSON")
    grafana = fresh.foreign("mapping_grafana")
    one = json.dumps(grafana["alerts"][0])
    for item in ("1", "{}", '{"status":"firing"}', one):
        for most, why in ((MIB, "too long for a mapping"), (260_000, "")):
            body = full(grafana | {"alerts": ["@@"]}, lambda i, item=item: item, most)
            yield Message(
                f"{len(body)} characters of {item[:20]} in a home-made event",
                body,
                frozenset({KEPT} if why else {KEPT, NOTHING}),
                why,
            )
    search = fresh.foreign("opensearch_result") | {"relevant_attribution": None}
    for field, item in (
        ("feature_data", '{"feature_id":"f"}'),
        ("entity", '{"name":"n","value":"v"}'),
        ("expected_values", "{}"),
    ):
        yield kept(
            f"a result with many of {field}",
            full(search | {field: ["@@"]}, lambda i, item=item: item),
            f"length <= 100 .*{field}",
        )
    cost = fresh.foreign("cost_sns")
    yield kept(
        "an anomaly of many causes", full(cost | {"rootCauses": ["@@"]}, lambda i: "{}"), "length <= 1000 .*rootCauses"
    )
    alarm = fresh.foreign("cloudwatch_lambda")
    alarm["alarmData"]["configuration"]["metrics"] = ["@@"]
    yield kept("an alarm of many metrics", full(alarm, lambda i: '{"id":"m"}'), "length <= 500 .*metrics")
    blanks = f'{{"id":"m","expression":"{"ANOMALY_DETECTION_BAND(" * 1_000}{" " * 900_000}"}}'
    yield kept("a band of blanks", json.dumps(alarm).replace('"@@"', blanks), "watches no ANOMALY_DETECTION_BAND")
    alarm = fresh.foreign("cloudwatch_lambda")
    alarm["alarmData"]["state"]["reason"] = "datapoints " + "1 (14/07/26 11:10:00), " * 40_000
    yield filed("an alarm of many points", json.dumps(alarm))


# --- how they arrive


def deliveries() -> Iterator[Delivery]:
    """All of them: by turns alone in a batch, ten in a batch, and direct; the worst cases alone."""
    tens: list[Message] = []
    for number, message in enumerate(messages()):
        direct = _loaded(message.body) if number % 3 == 0 else None
        if direct is not None:
            yield Delivery(direct, (message._replace(body=as_kept(direct)),))
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


def _batch(some: list[Message]) -> Delivery:
    records = [
        {"eventSource": "aws:sqs", "messageId": f"m{number}", "body": message.body}
        for number, message in enumerate(some)
    ]
    return Delivery({"Records": records}, tuple(some))


def _loaded(body: str) -> dict[str, Any] | None:
    """The body as Lambda would hand it over; None where Lambda would refuse it, or take it for a batch."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "Records" not in found else None
