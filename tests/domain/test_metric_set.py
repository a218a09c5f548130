"""Metric sets: valid YAML, and the error message for each invalid one."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import find_folder_period
from anomalake.domain.routing import find_metric_set
from anomalake.domain.series_key import build_series_key
from examples import shop_text


def test_metric_set_has_defaults_for_omitted_fields():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    assert item.path == "shop/v1"
    assert item.dimension_names == ("platform", "marketplace")
    assert item.measure_names == ("views", "revenue")
    assert (item.alerts.sensitivity, item.version, item.timezone) == (50, 1, "UTC")
    assert item.source is not None
    assert (item.source.delimiter, item.source.compression, item.source.offset) == (",", "none", 0)


@pytest.mark.parametrize(
    ("field", "line", "message"),
    [
        ("name", "name: Shop", r"name: 'Shop' must be a letter a-z"),
        ("frequency", "frequency: PT7M", r"frequency: 'PT7M' must be a step that divides a day"),
        ("timezone", "timezone: Mars/Olympus", r"timezone: 'Mars/Olympus' is not a time zone; use an IANA name"),
        ("timezone", "timezone: ../../etc/passwd", r"is not a time zone"),
        (
            "timestamp",
            "timestamp: {column: timestamp, format: 'QQ'}",
            r"timestamp.format: the date pattern 'QQ' has 'QQ'; supported are yyyy",
        ),
        ("timestamp", "timestamp: {column: when, format: UNIX}", r"source.columns: must contain 'when' once"),
        (
            "dimensions",
            "dimensions: [platform, Platform]",
            r"dimensions\[1\].name: 'Platform' collides with dimensions 'platform'",
        ),
        ("dimensions", "dimensions: [platform, key]", r"'key' collides with a generated column of the tables"),
        (
            "dimensions",
            "dimensions: [platform, viewsEventId]",
            r"collides with a generated column of the measure 'views'",
        ),
        (
            "dimensions",
            "dimensions: [a, b, c, d, e, f, g, h, i, j, k]",
            r"dimensions: 11 are too many; a metric set can have 10",
        ),
        ("dimensions", "dimensions: ['a b', marketplace]", r"'a b' must start with a letter or digit"),
        ("dimensions", "dimension: [platform]", r"has the unknown field `dimension`; known fields: name, frequency"),
        ("timezone", "timezone: right/UTC", r"is not a time zone"),
        ("timestamp", "timestamp: {column: timestamp, format: yyyy-MM-dd}", r"must contain year, month, day and hour"),
        ("timestamp", "timestamp: {column: timestamp, format: 'yyyy-MM-dd HH yyyy'}", r"has 'y' twice"),
        ("name", "", r"lacks the field `name`"),
        ("name", "name: shop\nname: store", r"the field 'name' occurs twice"),
        ("name", "name: [", r"shop.yaml: is not valid YAML"),
        ("name", "name: shop\nmapping: {metricName: m}", r"mapping: lacks `timestamp`, which every alert requires"),
        (
            "name",
            "name: shop\nmapping: {metricName: m, timestamp: t, score: s}",
            r"mapping.score: is not a field of a mapping; known fields: each, ",
        ),
        (
            "name",
            "name: shop\nmapping: {metricName: 'a[', timestamp: t}",
            r"mapping.metricName: 'a\[' is not a JMESPath expression: ",
        ),
        (
            "name",
            "name: shop\nmapping: {metricName: '', timestamp: t}",
            r"mapping.metricName: '' is not a JMESPath expression: ",
        ),
        ("name", "name: shop\nmapping: {metricName: 1, timestamp: t}", r"mapping\[...\]: Expected `str`"),
    ],
)
def test_error_names_file_field_and_allowed_values(field, line, message):
    with pytest.raises(UserError, match=message) as caught:
        metric_set_yaml.parse(shop_text(**{field: line}), "shop.yaml")
    assert str(caught.value).startswith("shop.yaml: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"', "path: shop/live", "contains no date"),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/live/{{yyyy^MM^dd}}/{{HHmm}}"',
            r"has '\^'; allowed are",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/live/{{yyyy}}"',
            "the intervals of PT1H do not each lie in one folder",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/{{MMdd}}/{{HHmm}}"',
            "do not each lie in one folder of .*; it must contain year",
        ),
        (
            'path: "shop/live/{{yyyyMMdd}}/{{HHmm}}"',
            'path: "shop/{{yyyyMMdd}}/{{hhmm}}"',
            "'hh' in its date; supported in folders are",
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
            "must contain 'revenue' once",
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
def test_error_in_the_source_is_reported(old, new, message):
    with pytest.raises(UserError, match=message):
        metric_set_yaml.parse(shop_text().replace(old, new), "shop.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
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
def test_former_name_must_lead_to_one_measure_or_dimension(old, new, message):
    with pytest.raises(UserError, match=message):
        metric_set_yaml.parse(shop_text().replace(old, new, 1), "shop.yaml")


def test_empty_folder_and_duplicate_names_are_reported(tmp_path: Path):
    with pytest.raises(UserError, match="contains no metric set"):
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
def test_alert_is_routed_by_the_detectors_or_the_name_of_a_metric_set(detectors, arn):
    item = metric_set_yaml.parse(shop_text() + f"alerts: {{detectors: {detectors}}}\n", "shop.yaml")
    other = metric_set_yaml.parse(shop_text(name="name: other"), "other.yaml")
    assert find_metric_set(arn, (other, item)) is item


def test_error_for_an_unknown_detector_shows_the_line_to_add():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    with pytest.raises(UserError, match=r"write `alerts: \{detectors: \[stranger\]\}`"):
        find_metric_set("arn:aws:x:AnomalyDetector:stranger", (item,))


def test_error_for_a_detector_of_two_metric_sets_names_both():
    claims = "alerts: {detectors: ['*']}\n"
    sets = tuple(metric_set_yaml.parse(shop_text(name=f"name: {name}") + claims, name) for name in ("one", "two"))
    with pytest.raises(UserError, match=r"claimed by several metric sets \(one, two\)"):
        find_metric_set("arn:aws:x:AnomalyDetector:any", sets)


values = st.one_of(st.none(), st.text(alphabet="a|%nul27C5\\", max_size=6))


@example(["a|b", "c", ""], ["a", "b|c", ""])
@example([None, "", ""], ["%null", "", ""])
@example(["%7C", "", ""], ["|", "", ""])
@given(st.lists(values, min_size=3, max_size=3), st.lists(values, min_size=3, max_size=3))
def test_series_keys_are_equal_only_if_the_values_are_equal(one, other):
    assert (build_series_key(one) == build_series_key(other)) == (one == other)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("alerts/{{yyyyMMdd}}/{{HHmm}}", "a reserved folder of the lake"),
        ("athena-results/live/{{yyyyMMdd}}/{{HHmm}}", "a reserved folder of the lake"),
        ("shop/${x}/{{yyyyMMdd}}/{{HHmm}}", "has '$'"),
        ("shop/live*/{{yyyyMMdd}}/{{HHmm}}", "has '*'"),
        ("日本/live/{{yyyyMMdd}}/{{HHmm}}", "has '日'"),
        ("shop/./live/{{yyyyMMdd}}/{{HHmm}}", "a folder named '.'"),
    ],
)
def test_source_path_in_a_reserved_folder_or_with_special_characters_is_rejected(path, message):
    with pytest.raises(UserError, match=re.escape(message)):
        metric_set_yaml.parse(shop_text().replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", path), "shop.yaml")


def test_name_with_the_suffix_of_crawler_databases_is_rejected():
    with pytest.raises(UserError, match="ends with _crawled, which is reserved for the database of a crawler"):
        metric_set_yaml.parse(shop_text(name="name: shop_crawled"), "shop.yaml")


@pytest.mark.parametrize(
    ("frequency", "path", "period"),
    [
        ("PT1H", "shop/{{yyyyMMdd}}/{{HHmm}}", "PT1H"),
        ("PT1H", "shop/{{yyyyMMddHH}}", "PT1H"),
        ("PT1H", "shop/{{yyyyMMdd}}", "P1D"),
        ("PT5M", "shop/{{yyyyMMdd}}/{{HH}}", "PT1H"),
        ("PT5M", "shop/{{yyyyMM}}", "P1M"),
        ("P1D", "shop/{{yyyyMM}}", "P1M"),
        ("P1W", "shop/{{yyyyMMdd}}", "P1W"),
        ("P1M", "shop/{{yyyyMM}}", "P1M"),
        ("P1M", "shop/{{yyyyMMdd}}", "P1M"),
        ("PT1M", "shop/{{yyyyMMdd}}/{{HHmm}}", "PT1M"),
        ("PT1M", "shop/{{yyyyMMdd}}", "P1D"),
    ],
)
def test_folder_of_live_data_covers_one_interval_or_the_shorter_intervals_of_an_hour_day_or_month(
    frequency, path, period
):
    assert find_folder_period(path, frequency) == period


@pytest.mark.parametrize(
    ("frequency", "path"),
    [
        ("PT90M", "shop/{{yyyyMMdd}}/{{HH}}"),  # 01:30 is not the start of an hour
        ("P1W", "shop/{{yyyyMM}}"),  # a week can lie in two months
        ("P1D", "shop/{{yyyy}}"),
        ("PT1H", "shop/{{HHmm}}"),
        ("P1D", "shop/{{MMdd}}"),
    ],
)
def test_folders_that_intervals_do_not_fit_into_are_rejected(frequency, path):
    assert find_folder_period(path, frequency) is None


def parse_with(measures, extra=""):
    text = shop_text()
    start, end = text.index("measures:"), text.index("source:")
    return metric_set_yaml.parse(f"{text[:start]}measures:\n{measures}{text[end:]}{extra}", "shop.yaml")


def test_measure_can_count_rows_read_another_column_and_divide_two_measures():
    item = parse_with(
        "  - {name: orders, aggregation: COUNT}\n"
        "  - {name: sales, aggregation: SUM, column: revenue}\n"
        "  - {name: visitors, aggregation: COUNT_DISTINCT, column: views}\n"
        "  - {name: order_value, aggregation: RATIO, numerator: sales, denominator: orders}\n"
    )
    assert [measure.source_column for measure in item.measures] == [None, "revenue", "views", None]
    assert [measure.is_additive for measure in item.measures] == [True, True, True, False]
    assert item.missing_is_zero  # because measures count


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ("  - {name: rate, aggregation: RATIO}\n", r"measures\[0\].numerator: is missing; it names a measure with"),
        (
            "  - {name: views, aggregation: SUM}\n"
            "  - {name: rate, aggregation: RATIO, numerator: views, denominator: v}\n",
            r"measures\[1\].denominator: 'v' is no such measure; .*: views",
        ),
        (
            "  - {name: views, aggregation: SUM}\n"
            "  - {name: rate, aggregation: RATIO, numerator: views, denominator: views}\n",
            r"measures\[1\].denominator: is the numerator",
        ),
        ("  - {name: views, aggregation: SUM, numerator: views}\n", "belongs to the aggregation RATIO, not to SUM"),
        ("  - {name: clicks, aggregation: SUM}\n", "must contain 'clicks' once"),
        ("  - {name: views, aggregation: MEDIAN}\n", "'MEDIAN' must be SUM, AVG, COUNT, COUNT_DISTINCT, MIN, MAX or"),
    ],
)
def test_fields_that_do_not_fit_the_aggregation_are_rejected(measures, message):
    with pytest.raises(UserError, match=message):
        parse_with(measures)


def test_missing_rows_mean_zero_for_counts_and_nothing_for_amounts_unless_the_metric_set_says_so():
    amounts = "  - {name: views, aggregation: SUM}\n"
    assert not parse_with(amounts).missing_is_zero
    assert parse_with(amounts, "missing: zero\n").missing_is_zero
    counts = "  - {name: views, aggregation: COUNT}\n"
    assert parse_with(counts).missing_is_zero
    assert not parse_with(counts, "missing: unknown\n").missing_is_zero


@pytest.mark.parametrize(
    ("frequency", "advice"), [("PT60M", "written PT1H"), ("PT24H", "written P1D"), ("P7D", "PT1M to PT12H, or P1D")]
)
def test_other_spellings_of_a_frequency_name_the_right_one(frequency, advice):
    with pytest.raises(UserError, match=advice):
        metric_set_yaml.parse(shop_text().replace("frequency: PT1H", f"frequency: {frequency}"), "shop.yaml")
