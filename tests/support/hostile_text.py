"""Hostile events with damage to the text: truncated, mutated, not JSON, invalid numbers, nested too deeply."""

import json
import random
import re
from collections.abc import Iterator

from hostile_events import SERVICE_EVENTS, EventFactory, Message, expect_either, expect_quarantined, expect_stored


def truncated(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *SERVICE_EVENTS):
        body = json.dumps(factory.event(name))
        for cut in rng.sample(range(len(body)), 90):
            yield expect_quarantined(f"{name} cut at {cut}", body[:cut], "^not JSON")


def mutated(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    letters = '{}[]",:\\/.0123456789-+eEtrufalsn \t\n\0\x7f\ufeff\u2028é🦀\ud800\udc00'
    for number in range(900):
        name = ("alert", "alert", *(name for name in SERVICE_EVENTS if name.startswith("c")))[number % 7]
        body = json.dumps(factory.event(name), ensure_ascii=bool(number % 2))
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(body))
            body = (
                body[:place]
                + rng.choice(["", rng.choice(letters), rng.choice(letters) * 3])
                + body[place + rng.randrange(3) :]
            )
        yield expect_either(f"{name} with other letters, {number}", body)


def repeated_keys(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for field in ("alertEventId", "timestamp", "impactedMetric", "anomalyScore", "anomalyDetectorArn"):
        for wrong in ('["x"]', "{}", "true"):
            body = json.dumps(factory.alert())
            yield expect_stored(f"{field} twice, the last one valid", f'{{"{field}": {wrong}, {body[1:]}')
            yield expect_quarantined(
                f"{field} twice, the last one invalid",
                f'{body[:-1]}, "{field}": {wrong}}}',
                field if wrong != "{}" else "",
            )
    yield expect_stored(
        "a field ten thousand times", "{" + '"alertName": "x", ' * 10_000 + json.dumps(factory.alert())[1:]
    )


def surrogates(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *SERVICE_EVENTS):
        for half in ("\\ud800", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "\ud800", "\udfff"):
            body = json.dumps(factory.event(name))
            places = [match.end() for match in re.finditer('": "', body)]
            place = rng.choice(places)
            yield expect_quarantined(
                f"{name} with {half!a} at {place}", body[:place] + half + body[place:], "^not JSON"
            )
    yield expect_stored("a whole pair of surrogates", json.dumps(factory.alert(alertName="🦀")))


def marks(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for name in ("alert", *SERVICE_EVENTS):
        yield expect_stored(f"{name} after a byte order mark", "\ufeff" + json.dumps(factory.event(name)))
        for mark in ("\ufffe", "\0", "\x1a", "ï»¿", ")]}',\n", "//\n", "'"):
            yield expect_quarantined(f"{name} after {mark!r}", mark + json.dumps(factory.event(name)), "^not JSON")
            yield expect_quarantined(f"{name} before {mark!r}", json.dumps(factory.event(name)) + mark, "^not JSON")
        yield expect_quarantined(f"{name} twice", json.dumps(factory.event(name)) * 2, "^not JSON")
        yield expect_either(f"{name} between spaces", f" \r\n\t{json.dumps(factory.event(name), indent=3)}\n\n")


def junk(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
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
        yield expect_quarantined(f"the text {text[:9]!r}", text, "^not JSON")
    for text in ("null", "true", "0", "[]", "-0.0", "[5]", "[[]]", "[null, 7]"):
        yield expect_quarantined(f"the JSON {text}", text, "the JSON is not an object")
    for text in ('"text"', '[["Records"]]', '"\\ufeff"', '"\\"\\""'):
        yield expect_quarantined(f"the JSON {text}", text, "^not JSON")
    yield expect_quarantined("a list of an empty object", "[{}]", "no known source")
    for number in range(300):
        length = rng.choice([1, 10, 100, 1000, 10_000])
        yield expect_quarantined(
            f"noise {number}", chr(0x21A2) + "".join(map(chr, rng.choices(range(0xD7FF), k=length))), "^not JSON"
        )
    for number in range(60):
        yield expect_quarantined(
            f"an unknown object, {number}",
            json.dumps({f"f{number}": rng.choice([None, 1, "x", [], {}])}),
            f"no known source.*f{number}",
        )


def numbers(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    def body_with(field: str, literal: str) -> str:
        return re.sub(rf'("{field}": )[-0-9.]+', lambda match: match[1] + literal, json.dumps(factory.alert()))

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
            yield expect_quarantined(f"{field} {literal}", body_with(field, literal), "^not JSON|not an alert")
        for literal in ("1e999", "-1e999", f"1{'0' * 400}", f"-{'9' * 400}", "9" * 5000, "1e400000000"):
            yield expect_quarantined(f"{field} {literal[:20]}", body_with(field, literal), "out of range|^not JSON")
        for literal in ("1e-999", "-0", "-0.0", "0e0", f"0.{'1' * 5000}", "5e-324", f"0.{'0' * 400}1"):
            yield expect_stored(f"{field} {literal[:20]}", body_with(field, literal))
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
                expect_quarantined(f"{field} {literal[:20]}", body, "anomalyScore: .* must be from 0 to 100")
                if field == "anomalyScore"
                else expect_stored(f"{field} {literal[:20]}", body)
            )
    for score in (-0.001, 100.001, -1e-300, 1e9):
        yield expect_quarantined(
            f"a score of {score}", json.dumps(factory.alert(score=score)), "anomalyScore: .* must be from 0 to 100"
        )


def nested(factory: EventFactory, rng: random.Random) -> Iterator[Message]:
    for depth in (2, 50, 500, 900):
        for open_, close in (("[", "]"), ('{"a":', "}")):
            inner = f"{open_ * depth}1{close * depth}"
            yield expect_stored(
                f"{depth} deep in an unknown field", f'{json.dumps(factory.alert())[:-1]}, "x": {inner}}}'
            )
            yield expect_quarantined(
                f"{depth} deep in a field", f'{json.dumps(factory.alert())[:-1]}, "alertName": {inner}}}', "alertName"
            )
            yield expect_either(
                f"{depth} deep in an event bus's", f'{{"detail-type": "x", "source": "y", "detail": {inner}}}'
            )
    for depth in (1_100, 5_000, 100_000):
        for open_, close in (("[", "]"), ('{"a":', "}")):
            inner = f"{open_ * depth}1{close * depth}"
            for damage, body in (
                ("bare", inner),
                ("open", open_ * depth),
                ("in a field", f'{json.dumps(factory.alert())[:-1]}, "x": {inner}}}'),
            ):
                yield expect_quarantined(f"{depth} deep, {damage}", body, "nested too deeply")
