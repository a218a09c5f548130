"""A metric set: what its YAML may say, and what a mistake is told."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.routing import find_metric_set
from anomalake.domain.series_key import build_series_key
from examples import shop_text


def test_a_metric_set_says_its_fields_and_fills_in_the_rest():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    assert item.path == "shop/v1"
    assert item.dimension_names == ("platform", "marketplace")
    assert item.measure_names == ("views", "revenue")
    assert (item.alerts.sensitivity, item.version, item.timezone) == (50, 1, "UTC")
    assert item.source is not None
    assert (item.source.delimiter, item.source.compression, item.source.offset) == (",", "none", 0)


@pytest.mark.parametrize(
    ("field", "line", "told"),
    [
        ("name", "name: Shop", r"name: 'Shop' must be a letter a-z"),
        ("frequency", "frequency: PT2H", r"frequency: 'PT2H' must be P1D, PT1H, PT10M or PT5M"),
        ("timezone", "timezone: Mars/Olympus", r"timezone: 'Mars/Olympus' is no time zone; use an IANA name"),
        ("timezone", "timezone: ../../etc/passwd", r"is no time zone"),
        (
            "timestamp",
            "timestamp: {column: timestamp, format: 'QQ'}",
            r"timestamp.format: the date pattern 'QQ' has 'QQ'; understood are yyyy",
        ),
        ("timestamp", "timestamp: {column: when, format: UNIX}", r"source.columns: must name 'when' once"),
        (
            "dimensions",
            "dimensions: [platform, Platform]",
            r"dimensions\[1\].name: 'Platform' collides with dimensions 'platform'",
        ),
        ("dimensions", "dimensions: [platform, key]", r"'key' collides with a column that the tables generate"),
        (
            "dimensions",
            "dimensions: [platform, viewsEventId]",
            r"collides with a column generated for the measure 'views'",
        ),
        ("dimensions", "dimensions: [a, b, c, d, e, f, g, h, i, j, k]", r"dimensions: 11 are too many; at most 10"),
        ("dimensions", "dimensions: ['a b', marketplace]", r"'a b' must start with a letter or digit"),
        ("dimensions", "dimension: [platform]", r"has the unknown field `dimension`; known are name, frequency"),
        ("timezone", "timezone: right/UTC", r"is no time zone"),
        ("timestamp", "timestamp: {column: timestamp, format: yyyy-MM-dd}", r"must say year, month, day and hour"),
        ("timestamp", "timestamp: {column: timestamp, format: 'yyyy-MM-dd HH yyyy'}", r"has 'y' twice"),
        ("name", "", r"lacks the field `name`"),
        ("name", "name: shop\nname: store", r"the field 'name' stands twice"),
        ("name", "name: [", r"shop.yaml: is not YAML"),
        ("name", "name: shop\nmapping: {metricName: m}", r"mapping: lacks `timestamp`; an alert needs it"),
        (
            "name",
            "name: shop\nmapping: {metricName: m, timestamp: t, score: s}",
            r"mapping.score: is no field that a mapping gives; known are each, ",
        ),
        (
            "name",
            "name: shop\nmapping: {metricName: 'a[', timestamp: t}",
            r"mapping.metricName: 'a\[' is no JMESPath: ",
        ),
        ("name", "name: shop\nmapping: {metricName: '', timestamp: t}", r"mapping.metricName: '' is no JMESPath: "),
        ("name", "name: shop\nmapping: {metricName: 1, timestamp: t}", r"mapping\[...\]: Expected `str`"),
    ],
)
def test_a_mistake_is_told_with_file_field_and_what_is_allowed(field, line, told):
    with pytest.raises(UserError, match=told) as caught:
        metric_set_yaml.parse(shop_text(**{field: line}), "shop.yaml")
    assert str(caught.value).startswith("shop.yaml: ")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"', "path: shop/live", "names no date"),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/live/{{yyyy^MM^dd}}/{{HHmm}}"',
            r"has '\^'; it may hold",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/live/{{yyyyMMdd}}"',
            "gives two intervals of PT1H one folder",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/{{MMdd}}/{{HHmm}}"',
            "one folder; it needs all of year",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/{{yyyyMMdd}}/{{hhmm}}"',
            "'hh' in its date; folders are named by",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "../{{yyyyMMdd}}/{{HHmm}}"',
            "must be a path inside the lake",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "{{yyyyMMdd}}/{{HHmm}}"',
            "must begin with a folder of its own",
        ),
        ("format: csv", "format: csv\n  delimiter: '\"'", "must differ"),
        (
            "[platform, marketplace, timestamp, views, revenue]",
            "[platform, marketplace, timestamp, views]",
            "must name 'revenue' once",
        ),
        (
            "[platform, marketplace, timestamp, views, revenue]",
            "[platform, marketplace, timestamp, views, revenue, slot]",
            "'slot' collides",
        ),
        ("format: csv", "format: xml", "source.format: 'xml' must be csv or jsonl"),
        ("format: csv", "format: csv\n  delimiter: ';;'", "source.delimiter: ';;' must be one ASCII character"),
        ("format: csv", "format: csv\n  charset: klingon", "source.charset: 'klingon' must be UTF-8 or ISO-8859-1"),
        ("format: csv", "format: csv\n  offset: 500000", "source.offset: 500000 must be from 0 to 432000"),
    ],
)
def test_a_mistake_in_the_source_is_told(old, new, told):
    with pytest.raises(UserError, match=told):
        metric_set_yaml.parse(shop_text().replace(old, new), "shop.yaml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "views, aggregation",
            "views, formerly: [revenue], aggregation",
            r"measures\[0\].formerly: 'revenue' would name two of the measures",
        ),
        (
            "views, aggregation",
            "views, formerly: [views], aggregation",
            r"measures\[0\].formerly: 'views' would name two",
        ),
        (
            "views, aggregation",
            "views, formerly: [hits, hits], aggregation",
            r"measures\[0\].formerly: 'hits' would name two",
        ),
        (
            "[platform,",
            "[{name: platform, formerly: [marketplace]},",
            r"dimensions\[0\].formerly: 'marketplace' would name two of the dimensions",
        ),
    ],
)
def test_a_former_name_leads_to_one(old, new, told):
    with pytest.raises(UserError, match=told):
        metric_set_yaml.parse(shop_text().replace(old, new, 1), "shop.yaml")


def test_a_folder_without_metric_sets_and_one_with_a_name_twice_are_told(tmp_path: Path):
    with pytest.raises(UserError, match="holds no metric set"):
        metric_set_yaml.load_all(tmp_path)
    (tmp_path / "a.yaml").write_text(shop_text())
    (tmp_path / "b.yaml").write_text(shop_text())
    with pytest.raises(UserError, match="two metric sets are named 'shop'"):
        metric_set_yaml.load_all(tmp_path)


@pytest.mark.parametrize(
    ("detectors", "arn"),
    [
        ("[checkout]", "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout"),
        (
            "['arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout']",
            "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout",
        ),
        ("['check*']", "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout"),
        ("['*:eu-west-1:*']", "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:checkout"),
        ("[]", "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:shop"),
    ],
)
def test_an_alert_goes_to_the_set_that_names_its_detector_or_is_named_as_it(detectors, arn):
    item = metric_set_yaml.parse(shop_text() + f"alerts: {{detectors: {detectors}}}\n", "shop.yaml")
    other = metric_set_yaml.parse(shop_text(name="name: other"), "other.yaml")
    assert find_metric_set(arn, (other, item)) is item


def test_a_detector_that_nobody_names_is_told_which_line_to_add():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    with pytest.raises(UserError, match=r"write `alerts: \{detectors: \[stranger\]\}`"):
        find_metric_set("arn:aws:x:AnomalyDetector:stranger", (item,))


def test_a_detector_that_two_sets_claim_is_told_whose():
    claims = "alerts: {detectors: ['*']}\n"
    sets = tuple(metric_set_yaml.parse(shop_text(name=f"name: {name}") + claims, name) for name in ("one", "two"))
    with pytest.raises(UserError, match=r"claimed by several metric sets \(one, two\)"):
        find_metric_set("arn:aws:x:AnomalyDetector:any", sets)


values = st.one_of(st.none(), st.text(alphabet="a|%nul27C5\\", max_size=6))


@example(["a|b", "c", ""], ["a", "b|c", ""])
@example([None, "", ""], ["%null", "", ""])
@example(["%7C", "", ""], ["|", "", ""])
@given(st.lists(values, min_size=3, max_size=3), st.lists(values, min_size=3, max_size=3))
def test_two_series_have_one_key_only_if_their_values_are_the_same(one, other):
    assert (build_series_key(one) == build_series_key(other)) == (one == other)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("alerts/{{yyyyMMdd}}/{{HHmm}}", "a folder of the lake's own"),
        ("athena-results/live/{{yyyyMMdd}}/{{HHmm}}", "a folder of the lake's own"),
        ("shop/${x}/{{yyyyMMdd}}/{{HHmm}}", "has '$'"),
        ("shop/live*/{{yyyyMMdd}}/{{HHmm}}", "has '*'"),
        ("日本/live/{{yyyyMMdd}}/{{HHmm}}", "has '日'"),
        ("shop/./live/{{yyyyMMdd}}/{{HHmm}}", "a folder named '.'"),
    ],
)
def test_a_source_lies_where_nothing_else_does_and_every_service_can_name_it(path, told):
    with pytest.raises(UserError, match=re.escape(told)):
        metric_set_yaml.parse(shop_text().replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", path), "shop.yaml")


def test_a_name_may_not_end_as_the_database_of_a_crawler_does():
    with pytest.raises(UserError, match="ends as the database of a crawler does"):
        metric_set_yaml.parse(shop_text(name="name: shop_crawled"), "shop.yaml")
