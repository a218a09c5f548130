"""AWS Cost Anomaly Detection: amounts become percentages, and messages about the same anomaly are one event."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake import sources
from anomalake.catalog import duckdb_catalog
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import AlertError
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import event_text

AWS_COST = (Path(__file__).parents[2] / "src/metric_sets/aws_cost.yaml").read_text("utf-8")
MONITOR = "arn:aws:ce::111122223333:anomalymonitor/3f1c9a52-77de-4f60-9d1b-2b8c0f6ad9e4"


def detail():
    """The anomaly in the format of SNS, with the amounts of the EventBridge event."""
    return json.loads(event_text("cost_eventbridge"))["detail"]


def read(event):
    (alert,) = sources.read(event if isinstance(event, str) else json.dumps(event), ())
    return alert


def contributions(alert):
    return {
        contribution.dimension_name: {
            value.dimension_value: value.value_contribution for value in contribution.dimension_value_contributions
        }
        for contribution in alert.impacted_metric.dimension_contribution
    }


def test_spend_of_an_anomaly_is_stored_under_its_first_day():
    alert = read(event_text("cost_eventbridge"))
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.timestamp, alert.impacted_metric.metric_name, alert.anomaly_score) == (
        "2026-07-13T00:00:00Z",
        "cost",
        81.5,
    )
    assert (series.metric_value, series.expected_value, alert.direction) == (1500.25, 1100.25, "above")
    assert (alert.source, alert.alert_name, alert.anomaly_detector_arn) == ("costanomalydetection", "services", MONITOR)
    assert alert.console_url.startswith("https://console.aws.amazon.com/cost-management/")


def test_amounts_become_percentages_by_dimension():
    assert contributions(read(event_text("cost_eventbridge"))) == {
        "service": {"Amazon EC2": 100.0},
        "region": {"eu-west-1": 93.88, "eu-central-1": 6.12},
        "linked_account": {"111122223333": 75.0, "444455556666": 25.0},
        "usage_type": {"EU-BoxUsage:c7g.4xlarge": 75.0, "EU-DataTransfer-Out": 18.88, None: 6.12},
    }


def test_series_has_only_the_dimension_that_the_monitor_watches():
    def dimensions(value):
        (series,) = read({**detail(), "dimensionValue": value}).impacted_metric.relevant_time_series
        return {dimension.dimension_name: dimension.dimension_value for dimension in series.dimensions}

    assert dimensions("Amazon EC2") == {"service": "Amazon EC2"}
    assert dimensions("111122223333") == {"linked_account": "111122223333"}
    assert dimensions("a cost category") == dimensions(None) == {}


def optional(alert):
    (series,) = alert.impacted_metric.relevant_time_series
    return {dimension.dimension_name: dimension.dimension_value for dimension in series.optional_dimensions}


@pytest.mark.parametrize("name", ["cost_eventbridge", "cost_sns"])
def test_monitor_monitored_value_and_account_are_optional_dimensions(name):
    assert optional(read(event_text(name))) == {
        "monitor": "services",
        "monitored_value": "Amazon EC2",
        "account": "111122223333",
    }


def test_monitor_without_a_name_has_its_id_as_name():
    assert optional(read({**detail(), "monitorName": None}))["monitor"] == MONITOR.rpartition("/")[2]


OTHER = MONITOR.replace("3f1c9a52", "99999999")


@pytest.mark.parametrize(
    "different",
    [
        {"dimensionValue": "team-b"},
        {"monitorArn": OTHER, "monitorName": "tags"},
        {"monitorArn": OTHER.replace("111122223333", "444455556666")},
        {"monitorArn": OTHER, "monitorName": None},
    ],
)
def test_two_values_or_monitors_on_one_day_are_two_series_or_in_an_old_metric_set_two_events(tmp_path, different):
    first = {**detail(), "dimensionValue": "team-a"}
    bodies = [json.dumps(first), json.dumps({**first, "anomalyId": "another", **different})]
    old = metric_set_yaml.parse(re.sub(r"\n  - {name: (monitor|monitored_value|account),.*", "", AWS_COST), "aws_cost")
    for item, series in ((metric_set_yaml.parse(AWS_COST, "aws_cost"), 2), (old, 1)):
        root = tmp_path / str(series)
        outcome = ingest_messages(
            [Message(str(n), body) for n, body in enumerate(bodies)], FolderStore(root), (item,), "csv"
        )
        assert (len(outcome.stored), outcome.quarantined) == (2, ())
        connection = duckdb_catalog.connect(root, [item])
        assert connection.sql("SELECT count(DISTINCT eventid), count(DISTINCT key) FROM all_anomalies").fetchall() == [
            (2, series)
        ]
        assert len(connection.sql("SELECT * FROM anomalies_with_live").fetchall()) == series


def test_report_time_comes_from_the_envelope_of_eventbridge_or_sns():
    by_bus, message = json.loads(event_text("cost_eventbridge")), event_text("cost_sns")
    assert read(by_bus).reported_at == "2026-07-14T16:20:00.000Z"
    assert (
        read({"TopicArn": "t", "Message": message, "Timestamp": "2026-07-14T16:20:03.123Z"}).reported_at
        == "2026-07-14T16:20:03.123Z"
    )
    assert (read(message).reported_at, read({**by_bus, "time": "soon"}).reported_at) == (None, None)


def test_sns_message_with_its_own_field_names_is_read():
    alert = read(event_text("cost_sns"))
    (series,) = alert.impacted_metric.relevant_time_series
    assert [(dimension.dimension_name, dimension.dimension_value) for dimension in series.dimensions] == [
        ("service", "Amazon EC2")
    ]
    assert series.expected_value == 0
    assert contributions(alert) == {}
    assert alert.root_cause.startswith("Amazon EC2, eu-west-1, 111122223333, EU-BoxUsage:c7g.4xlarge; ")


def test_later_message_about_an_anomaly_has_the_same_event_id():
    later = {**detail(), "anomalyEndDate": "2026-07-16T00:00:00Z", "impact": {"totalActualSpend": 2000.0}}
    assert (
        read(later).event_id
        == read(event_text("cost_sns")).event_id
        == read(event_text("cost_eventbridge")).event_id
        == detail()["anomalyId"]
    )


@pytest.mark.parametrize("score", [None, 1.2, -0.1])
def test_score_outside_0_to_1_is_null(score):
    assert read({**detail(), "anomalyScore": {"maxScore": score}}).anomaly_score is None


def test_date_without_a_time_means_midnight():
    assert f"{read({**detail(), 'anomalyStartDate': '2026-07-13'}).instant:%Y-%m-%d %H:%M}" == "2026-07-13 00:00"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_contributions_add_up_to_one_hundred_or_are_empty(money):
    causes = [
        {"service": f"s{number % 3}", "region": f"r{number}", "impact": {"contribution": amount}}
        for number, amount in enumerate(money)
    ]
    found = contributions(read({**detail(), "rootCauses": causes}))
    assert set(found) == ({"service", "region"} if any(money) else set())
    assert all(round(100 * sum(shares.values())) == 10_000 for shares in found.values())


@pytest.mark.parametrize(
    ("field", "value"), [("anomalyId", ""), ("monitorArn", None), ("anomalyStartDate", "soon"), ("rootCauses", [1])]
)
def test_invalid_field_is_named(field, value):
    with pytest.raises(
        AlertError,
        match="timestamp" if field == "anomalyStartDate" else rf"not an anomaly of AWS Cost.* at `\$.{field}",
    ):
        read({**detail(), field: value})
