"""OpenSearch anomaly detection: a result document gives an alert for each feature that has a share in it."""

import json

import pytest

from anomalake import sources
from anomalake.alert import AlertError
from conftest import event_text


def read(**replaced):
    return sources.read(json.dumps({**json.loads(event_text("opensearch_result")), **replaced}), ())


def test_each_feature_with_a_share_is_an_alert_of_its_own():
    found = read()
    assert [alert.impacted_metric.metric_name for alert in found] == ["requests", "error_rate"]
    assert len({alert.event_id for alert in found}) == 2
    assert len({alert.anomaly_group_id for alert in found}) == 1


@pytest.mark.parametrize("attribution", [None, [], [{"feature_id": "aF1", "data": 0}]])
def test_without_shares_each_feature_is_one(attribution):
    assert [alert.impacted_metric.metric_name for alert in read(relevant_attribution=attribution)] == ["requests", "error_rate", "bytes"]


def test_score_time_value_and_the_likeliest_expected_value():
    alert, other = read()
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.anomaly_score, alert.timestamp, alert.source) == (86.42, "2026-07-14T11:00:00Z[UTC]", "opensearch")
    assert alert.anomaly_detector_arn == "arn:anomalake:opensearch:::AnomalyDetector:Zr4kqo0BtLw7xP2cVdQh"
    assert (series.metric_value, series.expected_value, alert.direction, other.direction) == (120.0, 450.0, "below", "above")
    assert {one.dimension_name: one.dimension_value for one in series.dimensions} == {"host_keyword": "web-7", "zone": "b"}


def test_what_opensearch_does_not_say_is_null():
    alert, _ = read(entity=None, expected_values=None)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (series.expected_value, series.lower_bound, series.upper_bound, alert.direction, alert.console_url) == (None,) * 5
    assert (series.dimensions, alert.impacted_metric.dimension_contribution) == ((), ())


@pytest.mark.parametrize("grade", [0, 0.0, None])
def test_a_normal_result_is_no_alert(grade):
    assert read(anomaly_grade=grade) == ()


def test_another_entity_is_another_event():
    entity = [{"name": "host.keyword", "value": "web-8"}, {"name": "zone", "value": "b"}]
    assert not {alert.event_id for alert in read()} & {alert.event_id for alert in read(entity=entity)}
    assert [alert.event_id for alert in read(entity=entity)] == [alert.event_id for alert in read(entity=entity[::-1])]


MANY = {"feature_id": "f", "name": "n", "value": "v"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("detector_id", ""),
        ("data_start_time", "now"),
        ("feature_data", {}),
        ("feature_data", [MANY] * 101),
        ("entity", [{}]),
        ("entity", [MANY] * 101),
    ],
)
def test_a_field_that_is_wrong_is_named(field, value):
    with pytest.raises(AlertError, match=rf"not a result of OpenSearch.* at `\$.{field}"):
        read(**{field: value})


def test_a_grade_beyond_one_is_refused():
    with pytest.raises(AlertError, match="anomalyScore: 120 must be from 0 to 100"):
        read(anomaly_grade=1.2)


def test_an_anomaly_of_no_feature_is_refused_and_a_normal_result_without_features_is_no_alert():
    with pytest.raises(AlertError, match="feature_data: is empty"):
        read(feature_data=[])
    assert read(feature_data=[], anomaly_grade=0) == ()
