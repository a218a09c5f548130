"""CloudWatch: an alarm on an anomaly band, in its three forms."""

import json

import pytest

from anomalake import sources
from anomalake.alert import AlertError
from conftest import event_text

ARN = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:checkout-latency"
FORMS = ("cloudwatch_eventbridge", "cloudwatch_lambda", "cloudwatch_sns")


def read(event):
    return sources.read(event if isinstance(event, str) else json.dumps(event), ())


def event(form="cloudwatch_eventbridge"):
    return json.loads(event_text(form))


def test_the_three_forms_give_the_same_alert():
    (alert,), *others = [read(event_text(form)) for form in FORMS]
    assert others == [(alert,), (alert,)]


def test_the_alert_is_the_newest_point_outside_the_band():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.timestamp == "2026-07-14T11:10:00Z[UTC]"
    assert (series.metric_value, series.lower_bound, series.upper_bound, alert.direction) == (48.5, 21.5, 37.25, "above")
    assert (alert.source, alert.alert_name, alert.anomaly_detector_arn) == ("cloudwatch", "checkout-latency", ARN)
    assert alert.alert_description == "Checkout answers unlike it usually does"


def test_names_that_a_column_may_not_have_are_written_with_underscores():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.impacted_metric.metric_name == "Latency_p90"
    assert {one.dimension_name: one.dimension_value for one in series.dimensions} == {"Service": "pay", "Stage": "prod"}


def test_what_cloudwatch_does_not_say_is_null():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.anomaly_score, alert.console_url, alert.anomaly_group_id, alert.root_cause, series.expected_value) == (None,) * 5
    assert alert.impacted_metric.dimension_contribution == ()


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_another_state_is_no_alert(state):
    by_bus, action, message = (event(form) for form in FORMS)
    by_bus["detail"]["state"]["value"] = action["alarmData"]["state"]["value"] = message["NewStateValue"] = state
    assert [read(one) for one in (by_bus, action, message)] == [(), (), ()]


def test_a_state_that_cloudwatch_does_not_have_is_refused():
    by_bus, action, message = (event(form) for form in FORMS)
    by_bus["detail"]["state"]["value"] = action["alarmData"]["state"]["value"] = message["NewStateValue"] = "ALARMED"
    for one in (by_bus, action, message):
        with pytest.raises(AlertError, match="Invalid enum value 'ALARMED'"):
            read(one)


def test_a_reason_in_other_words_leaves_the_reason_data():
    by_bus = event()
    (alert,) = read(by_bus)
    by_bus["detail"]["state"]["reason"] = "set by hand"
    assert read(by_bus) == (alert,)


def test_without_points_the_time_is_that_of_the_change_and_the_values_are_null():
    message = event("cloudwatch_sns")
    message["NewStateReason"] = "set by hand"
    (alert,) = read(message)
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.timestamp == "2026-07-14T11:15:40Z[UTC]"
    assert (series.metric_value, series.lower_bound, series.upper_bound, alert.direction) == (None,) * 4


def test_one_bound_is_enough():
    message = event("cloudwatch_sns")
    message["NewStateReason"] = "Thresholds Crossed: 1 of the last 1 datapoints [3.5 (22/11/25 00:57:00)] was less than the lower thresholds [4.0]."
    (alert,) = read(message)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.timestamp, alert.direction) == ("2025-11-22T00:57:00Z[UTC]", "below")
    assert (series.metric_value, series.lower_bound, series.upper_bound) == (3.5, 4.0, None)


def test_a_message_of_sns_without_arn_names_its_detector_without_region():
    message = event("cloudwatch_sns")
    del message["AlarmArn"]
    assert read(message)[0].anomaly_detector_arn == "arn:aws:cloudwatch::111122223333:alarm:checkout-latency"


def test_an_expression_in_the_band_is_a_measure_without_dimensions():
    by_bus = event()
    by_bus["detail"]["configuration"]["metrics"][0] = {"id": "m1", "expression": "a/b", "label": "Error rate"}
    (alert,) = read(by_bus)
    assert alert.impacted_metric.metric_name == "Error_rate"
    assert alert.impacted_metric.relevant_time_series[0].dimensions == ()


def test_each_change_of_state_is_an_event_of_its_own():
    later = event()
    later["detail"]["state"]["timestamp"] = "2026-07-14T12:15:40.216+0000"
    assert read(later)[0].event_id != read(event())[0].event_id


@pytest.mark.parametrize(
    "metrics", [[], [{"id": "m1", "metricStat": {"metric": {"name": "Errors"}}}], [{"id": "a", "expression": "ANOMALY_DETECTION_BAND(m9)"}]]
)
def test_an_alarm_on_no_band_is_refused(metrics):
    by_bus = event()
    by_bus["detail"]["configuration"]["metrics"] = metrics
    with pytest.raises(AlertError, match="'checkout-latency' watches no ANOMALY_DETECTION_BAND"):
        read(by_bus)


def test_a_field_that_is_wrong_is_named():
    by_bus = event()
    del by_bus["detail"]["state"]["timestamp"]
    with pytest.raises(AlertError, match=r"not an alarm of CloudWatch: .*`timestamp` - at `\$.detail.state`"):
        read(by_bus)
