"""CloudWatch: an alarm on an anomaly detection band, in its three message formats."""

import json

import pytest

from anomalake import sources
from anomalake.catalog import duckdb_catalog
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import AlertError
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import event_text

ARN = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:checkout-latency"
FORMS = ("cloudwatch_eventbridge", "cloudwatch_lambda", "cloudwatch_sns")


def read(event):
    return sources.read(event if isinstance(event, str) else json.dumps(event), ())


def event(form="cloudwatch_eventbridge"):
    return json.loads(event_text(form))


def test_three_formats_give_the_same_alert():
    (alert,), *others = [read(event_text(form)) for form in FORMS]
    assert others == [(alert,), (alert,)]


def test_alert_is_about_the_newest_point_outside_the_band():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.timestamp == "2026-07-14T11:10:00Z[UTC]"
    assert (series.metric_value, series.lower_bound, series.upper_bound, alert.direction) == (
        48.5,
        21.5,
        37.25,
        "above",
    )
    assert (alert.source, alert.alert_name, alert.anomaly_detector_arn) == ("cloudwatch", "checkout-latency", ARN)
    assert alert.alert_description == "Checkout answers unlike it usually does"


def test_invalid_characters_in_column_names_become_underscores():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.impacted_metric.metric_name == "Latency_p90"
    assert {dimension.dimension_name: dimension.dimension_value for dimension in series.dimensions} == {
        "Service": "pay",
        "Stage": "prod",
    }


def test_values_missing_in_cloudwatch_messages_are_null():
    (alert,) = read(event())
    (series,) = alert.impacted_metric.relevant_time_series
    assert (
        alert.anomaly_score,
        alert.console_url,
        alert.anomaly_group_id,
        alert.root_cause,
        series.expected_value,
    ) == (None,) * 5
    assert alert.impacted_metric.dimension_contribution == ()


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_other_states_give_no_alert(state):
    by_bus, action, message = (event(form) for form in FORMS)
    by_bus["detail"]["state"]["value"] = action["alarmData"]["state"]["value"] = message["NewStateValue"] = state
    assert [read(alarm_event) for alarm_event in (by_bus, action, message)] == [(), (), ()]


def test_unknown_state_is_rejected():
    by_bus, action, message = (event(form) for form in FORMS)
    by_bus["detail"]["state"]["value"] = action["alarmData"]["state"]["value"] = message["NewStateValue"] = "ALARMED"
    for alarm_event in (by_bus, action, message):
        with pytest.raises(AlertError, match="Invalid enum value 'ALARMED'"):
            read(alarm_event)


def test_reason_data_is_used_if_the_reason_has_another_wording():
    by_bus = event()
    (alert,) = read(by_bus)
    by_bus["detail"]["state"]["reason"] = "set by hand"
    assert read(by_bus) == (alert,)


def test_alert_without_points_has_the_time_of_the_state_change_and_no_values():
    message = event("cloudwatch_sns")
    message["NewStateReason"] = "set by hand"
    (alert,) = read(message)
    (series,) = alert.impacted_metric.relevant_time_series
    assert alert.timestamp == "2026-07-14T11:15:40Z[UTC]"
    assert (series.metric_value, series.lower_bound, series.upper_bound, alert.direction) == (None,) * 4


def test_direction_needs_only_one_bound():
    message = event("cloudwatch_sns")
    message["NewStateReason"] = (
        "Thresholds Crossed: 1 of the last 1 datapoints [3.5 (22/11/25 00:57:00)] was less than "
        "the lower thresholds [4.0]."
    )
    (alert,) = read(message)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.timestamp, alert.direction) == ("2025-11-22T00:57:00Z[UTC]", "below")
    assert (series.metric_value, series.lower_bound, series.upper_bound) == (3.5, 4.0, None)


def test_detector_of_an_sns_message_without_arn_has_no_region():
    message = event("cloudwatch_sns")
    del message["AlarmArn"]
    assert read(message)[0].anomaly_detector_arn == "arn:aws:cloudwatch::111122223333:alarm:checkout-latency"


def optional(alert):
    (series,) = alert.impacted_metric.relevant_time_series
    return {dimension.dimension_name: dimension.dimension_value for dimension in series.optional_dimensions}


def test_statistic_namespace_account_region_and_alarm_are_optional_dimensions_in_all_formats():
    expected = {
        "metric_namespace": "Shop/Checkout",
        "metric_statistic": "p90",
        "metric_account": "111122223333",
        "metric_region": "eu-west-1",
        "alarm_name": "checkout-latency",
    }
    assert [optional(*read(event_text(form))) for form in FORMS] == [expected] * 3


def test_metric_of_another_account_has_that_account():
    by_bus, message = event(), event("cloudwatch_sns")
    by_bus["detail"]["configuration"]["metrics"][0]["accountId"] = message["Trigger"]["Metrics"][0]["AccountId"] = (
        "444455556666"
    )
    assert [optional(*read(alarm_event))["metric_account"] for alarm_event in (by_bus, message)] == ["444455556666"] * 2


def test_message_without_arn_gives_the_display_name_of_the_region():
    message = event("cloudwatch_sns")
    del message["AlarmArn"]
    assert optional(*read(message))["metric_region"] == "EU (Ireland)"


def metric(name, query, namespace="AWS/ApplicationELB", stat="Sum", **dimensions):
    return {
        "id": query,
        "metricStat": {
            "metric": {"namespace": namespace, "name": name, "dimensions": dimensions},
            "period": 300,
            "stat": stat,
        },
    }


def on_expression(expression, *metrics, label="Error rate"):
    by_bus = event()
    by_bus["detail"]["configuration"]["metrics"] = [
        *metrics,
        {"id": "e1", "expression": expression, "label": label},
        {"id": "ad1", "expression": "ANOMALY_DETECTION_BAND(e1, 2)"},
    ]
    return by_bus


def test_expression_has_the_dimensions_that_all_its_metrics_share():
    errors = metric("HTTPCode_Target_5XX_Count", "m1", LoadBalancer="app/one", TargetGroup="a")
    requests = metric("RequestCount", "m2", LoadBalancer="app/one", TargetGroup="b")
    (alert,) = read(on_expression("100 * m1 / m2", errors, requests))
    assert alert.impacted_metric.metric_name == "Error_rate"
    assert alert.impacted_metric.relevant_time_series[0].dimensions == ()
    found = optional(alert)
    assert (found["LoadBalancer"], found["metric_namespace"], found["metric_statistic"]) == (
        "app/one",
        "AWS/ApplicationELB",
        "Sum",
    )
    assert "TargetGroup" not in found


@pytest.mark.parametrize(
    "expression",
    [
        "m1 / m2",
        "e2 * 100",
        "SUM(METRICS())",
        'AVG(METRICS("m"))',
        "AVG(METRICS('m'))",
        "IF(m2 > 0, m1 / m2, 0)",
        "e1 + m1 / m2",
    ],
)
def test_metrics_are_found_through_expressions_functions_and_cycles(expression):
    errors, requests = (
        metric("Errors", "m1", LoadBalancer="x"),
        metric("Requests", "m2", LoadBalancer="x", stat="Average"),
    )
    unrelated = metric("Other", "n3", LoadBalancer="y") if expression != "SUM(METRICS())" else requests
    (alert,) = read(on_expression(expression, errors, requests, unrelated, {"id": "e2", "expression": "m1 / m2"}))
    found = optional(alert)
    assert found["LoadBalancer"] == "x"
    assert "metric_statistic" not in found


def test_quoted_name_is_not_a_metric_of_an_expression():
    (alert,) = read(
        on_expression(
            "SEARCH('{AWS/EC2,m2} m2', 'Sum') + m1",
            metric("Errors", "m1", Host="x"),
            metric("Requests", "m2", Host="y"),
        )
    )
    assert optional(alert)["Host"] == "x"


def test_expression_without_metrics_has_account_region_and_alarm():
    (alert,) = read(on_expression("SEARCH('{AWS/EC2,InstanceId} CPU', 'Sum')"))
    assert optional(alert) == {
        "metric_account": "111122223333",
        "metric_region": "eu-west-1",
        "alarm_name": "checkout-latency",
    }


CHECKOUT = """
name: checkout
frequency: PT5M
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [%s]
measures: [{name: Latency_p90, aggregation: AVG}, {name: Error_rate, aggregation: AVG}]
alerts: {detectors: ["*"]}
"""
ALL = "Service, Stage, LoadBalancer, metric_namespace, metric_statistic, metric_account, metric_region"


def another(change):
    """The same alarm with another name and with changes."""
    alarm_event = event()
    alarm_event["resources"] = [f"{ARN}-2"]
    alarm_event["detail"]["alarmName"] += "-2"
    change(alarm_event, alarm_event["detail"]["configuration"]["metrics"])
    return alarm_event


def in_region(alarm_event, _):
    alarm_event["resources"] = [alarm_event["resources"][0].replace("eu-west-1", "us-east-1")]


PAIRS = {
    "load balancers": [
        on_expression("m1 / m2", metric("E", "m1", LoadBalancer=lb), metric("R", "m2", LoadBalancer=lb))
        for lb in ("app/a", "app/b")
    ],
    "statistics": [event(), another(lambda _, metrics: metrics[0]["metricStat"].update(stat="p99"))],
    "namespaces": [event(), another(lambda _, metrics: metrics[0]["metricStat"]["metric"].update(namespace="Other"))],
    "accounts": [event(), another(lambda _, metrics: metrics[0].update(accountId="444455556666"))],
    "regions": [event(), another(in_region)],
}
PAIRS["load balancers"][1]["resources"] = [f"{ARN}-2"]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("dimensions", "series"), [(ALL, 2), ("Service, Stage", 1)])
def test_two_alarms_on_one_measure_are_two_events_and_two_series_if_the_metric_set_distinguishes_them(
    tmp_path, pair, dimensions, series
):
    item = metric_set_yaml.parse(CHECKOUT % dimensions, "checkout")
    outcome = ingest_messages(
        [Message(str(n), json.dumps(one)) for n, one in enumerate(PAIRS[pair])],
        FolderStore(tmp_path),
        (item,),
        "parquet",
    )
    assert (len(outcome.stored), outcome.quarantined) == (2, ())
    connection = duckdb_catalog.connect(tmp_path, [item])
    assert connection.sql("SELECT count(DISTINCT eventid), count(DISTINCT key) FROM all_anomalies").fetchall() == [
        (2, series)
    ]
    assert len(connection.sql("SELECT * FROM anomalies_with_live").fetchall()) == series


def test_alarm_with_too_many_metrics_is_rejected():
    by_bus = event()
    by_bus["detail"]["configuration"]["metrics"] = [metric("E", f"m{number}") for number in range(501)]
    with pytest.raises(AlertError, match=r"length <= 500 - at `\$.detail.configuration.metrics"):
        read(by_bus)


def test_each_state_change_is_an_event_of_its_own():
    later = event()
    later["detail"]["state"]["timestamp"] = "2026-07-14T12:15:40.216+0000"
    assert read(later)[0].event_id != read(event())[0].event_id


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [{"id": "m1", "metricStat": {"metric": {"name": "Errors"}}}],
        [{"id": "a", "expression": "ANOMALY_DETECTION_BAND(m9)"}],
    ],
)
def test_alarm_without_a_band_is_rejected(metrics):
    by_bus = event()
    by_bus["detail"]["configuration"]["metrics"] = metrics
    with pytest.raises(AlertError, match="'checkout-latency' has no ANOMALY_DETECTION_BAND"):
        read(by_bus)


def test_invalid_field_is_named():
    by_bus = event()
    del by_bus["detail"]["state"]["timestamp"]
    with pytest.raises(AlertError, match=r"not an alarm of CloudWatch: .*`timestamp` - at `\$.detail.state`"):
        read(by_bus)
