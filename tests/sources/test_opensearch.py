"""OpenSearch anomaly detection: a result document gives an alert for each feature that contributes to the anomaly."""

import json
from typing import Any

import pytest

from anomalake import sources
from anomalake.domain.errors import AlertError
from examples import event_text


def read(**replaced):
    return sources.read(json.dumps({**json.loads(event_text("opensearch_result")), **replaced}), ())


def test_each_contributing_feature_is_an_alert():
    found = read()
    assert [alert.impacted_metric.metric_name for alert in found] == ["requests", "error_rate"]
    assert len({alert.event_id for alert in found}) == 2
    assert len({alert.anomaly_group_id for alert in found}) == 1


@pytest.mark.parametrize("attribution", [None, [], [{"feature_id": "aF1", "data": 0}]])
def test_each_feature_is_an_alert_if_none_contributes(attribution):
    assert [alert.impacted_metric.metric_name for alert in read(relevant_attribution=attribution)] == [
        "requests",
        "error_rate",
        "bytes",
    ]


def test_score_time_value_and_the_likeliest_expected_value():
    alert, other = read()
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.anomaly_score, alert.timestamp, alert.source) == (86.42, "2026-07-14T11:00:00Z[UTC]", "opensearch")
    assert alert.anomaly_detector_arn == "arn:anomalake:opensearch:::AnomalyDetector:Zr4kqo0BtLw7xP2cVdQh"
    assert (series.metric_value, series.expected_value, alert.direction, other.direction) == (
        120.0,
        450.0,
        "below",
        "above",
    )
    assert {dimension.dimension_name: dimension.dimension_value for dimension in series.dimensions} == {
        "host_keyword": "web-7",
        "zone": "b",
    }


def test_values_missing_in_opensearch_results_are_null():
    alert, _ = read(entity=None, expected_values=None)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (series.expected_value, series.lower_bound, series.upper_bound, alert.direction, alert.console_url) == (
        None,
    ) * 5
    assert (series.dimensions, alert.impacted_metric.dimension_contribution) == ((), ())


@pytest.mark.parametrize("grade", [0, 0.0, None])
def test_normal_result_gives_no_alert(grade):
    assert read(anomaly_grade=grade) == ()


def test_another_entity_gives_another_event():
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
def test_invalid_field_is_named(field, value):
    with pytest.raises(AlertError, match=rf"not a result of OpenSearch.* at `\$.{field}"):
        read(**{field: value})


def test_grade_above_one_is_rejected():
    with pytest.raises(AlertError, match="anomalyScore: 120 must be from 0 to 100"):
        read(anomaly_grade=1.2)


def test_anomaly_without_features_is_rejected_and_a_normal_result_without_features_gives_no_alert():
    with pytest.raises(AlertError, match="feature_data: is empty"):
        read(feature_data=[])
    assert read(feature_data=[], anomaly_grade=0) == ()


LATE: dict[str, Any] = {
    "past_values": [
        {"feature_id": "aF1", "data": 90.0},
        {"feature_id": "bF2", "data": 0.5},
        {"feature_id": "cF3", "data": 1.0},
    ],
    "approx_anomaly_start_time": 1_784_023_200_000,  # 10:00, an hour before the data of the result
}


def test_late_anomaly_has_the_past_values_and_their_time():
    late = {
        "past_values": [
            {**one, "feature_id": other["feature_id"]}
            for one, other in zip(LATE["past_values"], features(), strict=True)
        ]
    }
    alert, _ = read(**LATE | late)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.timestamp, series.metric_value, series.expected_value) == ("2026-07-14T10:00:00Z[UTC]", 90.0, 450.0)
    assert alert.direction == "below"


def features():
    return json.loads(event_text("opensearch_result"))["feature_data"]


def test_direction_of_a_late_anomaly_follows_from_its_past_value():
    late = {"past_values": [{"feature_id": feature["feature_id"], "data": 9_999.0} for feature in features()]}
    assert [alert.direction for alert in read(**LATE | late)] == ["above", "above"]


def test_feature_without_a_past_value_has_no_value():
    alert, _ = read(**LATE | {"past_values": [{"feature_id": "other", "data": 1.0}]})
    assert (alert.impacted_metric.relevant_time_series[0].metric_value, alert.direction) == (None, None)


@pytest.mark.parametrize("past", [None, []])
def test_current_values_are_used_without_past_values(past):
    assert read(past_values=past, approx_anomaly_start_time=LATE["approx_anomaly_start_time"]) == read()


def test_past_values_without_a_time_are_rejected():
    with pytest.raises(AlertError, match="approx_anomaly_start_time: is missing"):
        read(past_values=LATE["past_values"])


def test_late_result_is_a_later_report_of_the_earlier_event():
    (then, _), (late, _) = (
        read(data_start_time=LATE["approx_anomaly_start_time"], execution_end_time=1_784_023_300_000),
        read(**LATE, execution_end_time=1_784_026_900_123),
    )
    assert then.event_id == late.event_id
    assert then.reported_at < late.reported_at == "2026-07-14T11:01:40.123Z"


def test_the_detector_is_an_optional_dimension():
    (series,) = read()[0].impacted_metric.relevant_time_series
    assert [(dimension.dimension_name, dimension.dimension_value) for dimension in series.optional_dimensions] == [
        ("detector_id", "Zr4kqo0BtLw7xP2cVdQh")
    ]
