"""Routing: an alert belongs to the metric set with the most specific pattern, and the line that a rejection suggests
works for any detector.
"""

import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anomalake.domain import metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.routing import extract_detector_name, find_metric_set
from examples import shop_text

ALARM = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:"
MAPPING = "mapping: {metricName: m, timestamp: t}\n"


def one(name: str, *detectors: str, more: str = "") -> metric_set.MetricSet:
    claims = (
        yaml.safe_dump({"alerts": {"detectors": list(detectors)}}, allow_unicode=True, default_style='"')
        if detectors
        else ""
    )
    return metric_set_yaml.parse(shop_text(name=f"name: {name}") + claims + more, f"{name}.yaml")


OTHER = one("other", "nobody")
NAMES = [
    *(
        "yes",
        "null",
        "1234",
        "1e3",
        "0x1F",
        "~",
        "a, b",
        "api: 5xx",
        "x:y:z",
        "[cpu]",
        "{a}",
        "*",
        "cpu [high]?",
        "#1",
        "- a",
        "'",
        '"',
        "\\",
        "a  b",
    ),
    *(
        " a ",
        "@x",
        "`x`",
        "%x",
        "&x",
        "!x",
        "| x",
        "> x",
        "🦀",
        "é",
        "2026-07-14",
        "a\nb",
        "\t",
        "\x85",
        "\u2028",
        "${x}",
        "=",
        "<<",
        "...",
    ),
]


def _paste_suggested_line(called: str) -> None:
    with pytest.raises(UserError) as caught:
        find_metric_set(ALARM + called, (OTHER,))
    line = re.search(r"write `(alerts: \{detectors: \[.*\]\})`, or add", str(caught.value))[1]
    assert line.isprintable()
    pasted = metric_set_yaml.parse(shop_text() + line + "\n", "shop.yaml")
    assert find_metric_set(ALARM + called, (OTHER, pasted)) is pasted


@pytest.mark.parametrize("name", NAMES)
def test_the_line_in_the_quarantine_reason_can_be_pasted_into_the_metric_set(name):
    _paste_suggested_line(name)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_the_line_in_the_quarantine_reason_works_for_any_alarm_name(name):
    _paste_suggested_line(name)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ALARM + "api: 5xx/a:b", "api: 5xx/a:b"),
        ("arn:aws:cloudwatch::1:alarm:x", "x"),
        ("arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout", "checkout"),
        ("arn:aws:ce::1:anomalymonitor/a-b:c", "anomalymonitor/a-b:c"),
        ("arn:anomalake:opensearch:::AnomalyDetector:a:b", "a:b"),
        ("no arn:x", "x"),
        ("plain", "plain"),
    ],
)
def test_the_name_of_a_detector_follows_its_type(arn, name):
    assert extract_detector_name(arn) == name


@pytest.mark.parametrize("name", ["a[b]c", "*", "x?y", "[!a]"])
def test_a_name_is_compared_literally_before_it_is_a_pattern(name):
    literal, wide = one("literal", name), one("wide", "[ab*x]*", "?*")
    assert find_metric_set(ALARM + name, (wide, literal)) is literal


def test_a_metric_set_for_every_detector_does_not_accept_detectors_of_another_metric_set():
    everything, shop, named = one("everything", "*"), one("shop", more=MAPPING), one("named", "checkout")
    sets = (everything, shop, named)
    assert find_metric_set(shop.mapping_arn, sets) is shop
    assert find_metric_set(shop.detector_arn, sets) is shop
    assert find_metric_set("arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout", sets) is named
    assert find_metric_set("arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:shop", sets) is shop
    assert find_metric_set(ALARM + "anything", sets) is everything


def test_alerts_of_a_mapping_stay_in_its_metric_set_and_a_renamed_one_can_accept_its_old_detector():
    shop, other = one("shop", more=MAPPING), one("other", "shop")
    assert find_metric_set(shop.mapping_arn, (other, shop)) is shop
    assert find_metric_set(shop.detector_arn, (other, shop)) is other


def test_two_metric_sets_that_accept_a_detector_equally_are_named():
    for claims in (("checkout", "checkout"), ("check*", "*out")):
        with pytest.raises(UserError, match=r"claimed by several metric sets \(a, b\)"):
            find_metric_set("arn:aws:x:eu:1:AnomalyDetector:checkout", (one("a", claims[0]), one("b", claims[1])))


@settings(deadline=None, max_examples=30)
@example("old: name")
@example("*")
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_literal_arn_is_routed_to_its_metric_set(text):
    item = one("item", ALARM + text)
    assert find_metric_set(ALARM + text, (one("wide", "*"), item)) is item
