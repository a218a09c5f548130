"""Alerts: both generations of the JSON, and invalid JSON of every kind."""

import json
from datetime import datetime

import pytest

from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import MAX_REASON_CHARACTERS, AlertError
from anomalake.domain.timestamps import parse_timestamp
from examples import alert_body, shop_text


def test_first_generation_alert_has_no_group_and_link():
    body = json.loads(alert_body())
    del body["consoleUrl"], body["anomalyGroupId"]
    found = alerts.parse(json.dumps(body))
    assert (found.console_url, found.anomaly_group_id, found.alert_description) == (None, None, None)
    assert found.event_id == "5b0e7c9a"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2022-03-04T05:25Z[UTC]", datetime(2022, 3, 4, 5, 25)),
        ("2022-03-04T05:25:30Z[UTC]", datetime(2022, 3, 4, 5, 25, 30)),
        ("2022-03-04T05:25:30.123456789Z", datetime(2022, 3, 4, 5, 25, 30)),
        ("2021-02-14T04:00Z[Atlantic/St_Helena]", datetime(2021, 2, 14, 4)),
        ("2021-02-14T04:00+05:30[Asia/Kolkata]", datetime(2021, 2, 13, 22, 30)),
        ("2021-02-14T04:00-03:00", datetime(2021, 2, 14, 7)),
        ("2021-02-14T04:00:05.000+0130", datetime(2021, 2, 14, 2, 30, 5)),
        ("2021-07-01T04:00[Europe/Berlin]", datetime(2021, 7, 1, 2)),
    ],
)
def test_timestamp_is_parsed_with_its_offset_or_else_its_zone(text, instant):
    assert parse_timestamp(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2022-03-04T05:25",
        "2022-02-30T05:25Z",
        "2022-03-04T05:25[No/Where]",
        "1969-12-31T23:00Z",
        "2100-01-01T00:00Z",
        "2022-03-04T05:25+99:00",
    ],
)
def test_invalid_timestamp_is_rejected(text):
    with pytest.raises(AlertError, match="timestamp"):
        alerts.parse(alert_body(timestamp=text))


def test_values_can_be_integers_decimals_or_missing():
    body = alert_body(
        series=[({"platform": "a"}, 377), ({"platform": "b"}, 0.5), ({"platform": "c"}, None)],
        contributions={"platform": {"a": 100}},
    )
    assert [series.metric_value for series in alerts.parse(body).impacted_metric.relevant_time_series] == [
        377.0,
        0.5,
        None,
    ]


def test_alert_without_series_and_score_is_valid(shop):
    found = alerts.parse(alert_body(series=[], contributions={}, score=None))
    match_to_metric_set(found, shop)
    assert found.anomaly_score is None


def test_two_alert_configurations_share_the_event_id():
    first, second = (json.loads(alert_body()) for _ in range(2))
    second["alertEventId"] = "arn:aws:lookoutmetrics:eu-west-1:111122223333:Alert:pager:event/5b0e7c9a"
    assert alerts.parse(json.dumps(first)).event_id == alerts.parse(json.dumps(second)).event_id == "5b0e7c9a"
    second["alertEventId"] = "no-slash"
    assert alerts.parse(json.dumps(second)).event_id == "no-slash"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anomalyScore": 101}, "anomalyScore: 101 must be from 0 to 100"),
        ({"anomalyScore": "high"}, "anomalyScore"),
        ({"impactedMetric": None}, "impactedMetric"),
        ({"alertEventId": ""}, "alertEventId: is empty"),
        ({"alertEventId": None}, "alertEventId"),
        ({"alertEventId": "x" * 513}, "alertEventId: has 513 characters; the limit is 512"),
        ({"anomalyDetectorArn": ":" * 513}, "anomalyDetectorArn: has 513 characters"),
        ({"anomalyScore": 10**400}, r"not an alert: Number out of range - at `\$.anomalyScore`"),
    ],
)
def test_invalid_field_is_named(change, message):
    with pytest.raises(AlertError, match=message):
        alerts.parse(alert_body(**change))


def test_number_too_large_for_a_double_is_not_reported_as_invalid_json():
    with pytest.raises(AlertError, match="not an alert: Number out of range"):
        alerts.parse(alert_body(score=5).replace('"anomalyScore": 5', '"anomalyScore": 1e999'))


def test_reason_that_quotes_a_long_text_is_cut(shop):
    with pytest.raises(AlertError) as caught:
        match_to_metric_set(alerts.parse(alert_body("x" * 1_000_000)), shop)
    assert str(caught.value).startswith("metricName: the metric set 'shop' has no measure 'xxx")
    assert len(str(caught.value)) == MAX_REASON_CHARACTERS


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"a": "\\ud800"}',
        alert_body(score=5).replace('"anomalyScore": 5', '"anomalyScore": 1e999'),
        "\ud800",
    ],
)
def test_text_that_is_not_an_alert_raises_only_alert_error(body):
    with pytest.raises(AlertError):
        alerts.parse(body)


def test_former_names_of_measures_and_dimensions_are_accepted():
    text = shop_text().replace(
        "[platform, marketplace]\nmeasures", "[{name: platform, formerly: [channel]}, marketplace]\nmeasures"
    )
    item = metric_set_yaml.parse(
        text.replace("views, aggregation", "views, formerly: [clicks, hits], aggregation"), "shop.yaml"
    )
    for former in ("clicks", "hits", "views"):
        series, shares = (
            [({"channel": "pc", "marketplace": "us"}, 1)],
            {"channel": {"pc": 100}, "platform": {"pc": 100}},
        )
        found = match_to_metric_set(
            alerts.parse(alert_body(former, series=series, contributions=shares)), item
        ).impacted_metric
        assert found.metric_name == "views"
        assert [dimension.dimension_name for dimension in found.relevant_time_series[0].dimensions] == [
            "platform",
            "marketplace",
        ]
        assert [contribution.dimension_name for contribution in found.dimension_contribution] == [
            "platform",
            "platform",
        ]


def test_series_with_a_dimension_under_both_names_is_rejected():
    text = shop_text().replace(
        "[platform, marketplace]\nmeasures", "[{name: platform, formerly: [channel]}, marketplace]\nmeasures"
    )
    with pytest.raises(AlertError, match="names a dimension twice: platform, platform"):
        match_to_metric_set(
            alerts.parse(alert_body(series=[({"channel": "pc", "platform": "pc"}, 1)])),
            metric_set_yaml.parse(text, "shop.yaml"),
        )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (alert_body("clicks"), "has no measure 'clicks'; it has views, revenue"),
        (alert_body(series=[({"country": "de"}, 1)]), "has no dimension 'country'; it has platform, marketplace"),
        (alert_body(contributions={"country": {"de": 100}}), "has no dimension 'country'"),
    ],
)
def test_unknown_measure_or_dimension_is_named(shop, body, message):
    with pytest.raises(AlertError, match=message):
        match_to_metric_set(alerts.parse(body), shop)
