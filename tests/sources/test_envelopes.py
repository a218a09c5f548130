"""Envelopes: each kind, and nested ones, give the events inside; an event without an envelope stays unchanged."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake import sources
from anomalake.domain.errors import AlertError
from examples import alert_body, event_text

ONE, TWO = alert_body(event="one"), alert_body("revenue", event="two")


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRAPPINGS = {
    "SNS notification": lambda body: {"TopicArn": "t", "Message": body},
    "SNS record": lambda body: {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": body}}]},
    "SQS event": lambda body: {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": body}]},
    "SQS record of a pipe": lambda body: {"eventSource": "aws:sqs", "messageId": "1", "body": body},
    "Kinesis event": lambda body: {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": base64_of(body)}}]},
    "Kinesis record of a pipe": lambda body: {"eventSource": "aws:kinesis", "eventID": "1", "data": base64_of(body)},
    "failed call": lambda body: {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": json.loads(body),
    },
    "own event": lambda body: {"detail-type": "x", "source": "shop", "detail": json.loads(body)},
    "function URL": lambda body: {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "body": body,
        "isBase64Encoded": False,
    },
    "function URL, base64": lambda body: {
        "requestContext": {"http": {}},
        "body": base64_of(body),
        "isBase64Encoded": True,
    },
    "REST API": lambda body: {
        "httpMethod": "POST",
        "requestContext": {"stage": "prod"},
        "body": body,
        "isBase64Encoded": False,
    },
    "load balancer": lambda body: {
        "httpMethod": "POST",
        "requestContext": {"elb": {}},
        "body": body,
        "isBase64Encoded": False,
    },
    "search hit": lambda body: {"_index": "i", "_id": "1", "_source": json.loads(body)},
    "search response": lambda body: {
        "took": 1,
        "hits": {"total": {"value": 1}, "hits": [{"_source": json.loads(body)}]},
    },
    "array": lambda body: [json.loads(body)],
    "array of texts": lambda body: [body],
    "text": lambda body: body,
    "byte order mark": lambda body: "\ufeff" + body,
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_event_in_an_envelope_is_read_and_kept_as_received(name):
    wrapped = json.dumps(WRAPPINGS[name](ONE))
    assert sources.split_message(wrapped) == [wrapped]
    assert sources.read(wrapped, ()) == sources.read(ONE, ())


@given(st.lists(st.sampled_from(sorted(WRAPPINGS)), max_size=3))
def test_envelopes_can_be_nested(names):
    body = ONE
    for name in names:
        body = json.dumps(WRAPPINGS[name](body))
    assert sources.read(body, ()) == sources.read(ONE, ())


def test_byte_order_mark_is_removed():
    assert sources.read("\ufeff" + ONE, ()) == sources.read(ONE, ())


LISTS = {
    "array": lambda *bodies: [json.loads(body) for body in bodies],
    "array of texts": lambda *some: list(some),
    "SQS event": lambda *some: {
        "Records": [{"eventSource": "aws:sqs", "messageId": str(n), "body": body} for n, body in enumerate(some)]
    },
    "list of a pipe": lambda *some: [
        {"eventSource": "aws:sqs", "messageId": str(n), "body": body} for n, body in enumerate(some)
    ],
    "search response": lambda *bodies: {"hits": {"hits": [{"_source": json.loads(body)} for body in bodies]}},
    "array in an SNS notification": lambda *some: {
        "TopicArn": "t",
        "Message": json.dumps([json.loads(body) for body in some]),
    },
    "array in an HTTP call": lambda *some: {"requestContext": {"http": {}}, "body": "[" + ",".join(some) + "]"},
    "array in an own event": lambda *some: {
        "detail-type": "x",
        "source": "s",
        "detail": [json.loads(body) for body in some],
    },
}


@pytest.mark.parametrize("name", LISTS)
def test_list_is_split_into_its_events(name):
    bodies = sources.split_message(json.dumps(LISTS[name](ONE, TWO)))
    assert [sources.read(body, ())[0].event_id for body in bodies] == ["one", "two"]


def test_json_lines_are_one_event_each_and_an_invalid_line_stands_alone():
    assert sources.split_message(f"{ONE}\n\n{TWO}\n") == [ONE, TWO]
    assert sources.split_message(f'{ONE}\n{{"alert\n{TWO}') == [ONE, '{"alert', TWO]


@pytest.mark.parametrize("body", ['{"hits": {"hits": []}}', '{"Anomalies": []}'])
def test_empty_response_has_no_events(body):
    assert sources.split_message(body) == []


@pytest.mark.parametrize(
    "event",
    [
        {"Records": []},
        {"Records": [{"s3": {}}]},
        {"hits": 3},
        {"hits": {"hits": [{"a": 1}]}},
        {"Anomalies": [{"a": 1}]},
        {"Anomalies": "many"},
        {"requestContext": {}, "body": "x"},
        {"requestContext": {"http": {}}, "body": "%%%", "isBase64Encoded": True},
        {"body": ONE},
        {"eventSource": "s3.amazonaws.com", "body": ONE},
        {"detail-type": "x", "source": "aws.ec2", "detail": {}},
        {"Message": ONE},
    ],
)
def test_event_that_resembles_an_envelope_is_not_opened(event):
    body = json.dumps(event)
    assert sources.split_message(body) == [body]
    with pytest.raises(AlertError, match="no known source"):
        sources.read(body, ())


def test_message_with_too_many_events_is_rejected():
    assert len(sources.split_message(json.dumps([1] * 100), 100)) == 100
    with pytest.raises(AlertError, match="contains more than 100 events; send them in several"):
        sources.split_message(json.dumps([1] * 101), 100)


def test_get_anomalies_gives_the_same_alerts_as_the_events():
    event = json.loads(event_text("cost_eventbridge"))["detail"]

    def pascal(value):
        if isinstance(value, list):
            return [pascal(item) for item in value]
        return (
            {f"{name[0].upper()}{name[1:]}": pascal(value) for name, value in value.items()}
            if isinstance(value, dict)
            else value
        )

    past = pascal(
        {name: value for name, value in event.items() if name not in ("monitorName", "anomalyDetailsLink", "accountId")}
    )
    answer = json.dumps({"Anomalies": [past, {**past, "AnomalyId": "another"}], "NextPageToken": "x"})
    first, second = (sources.read(body, ())[0] for body in sources.split_message(answer))
    (live,) = sources.read(event_text("cost_eventbridge"), ())
    assert (first.alert_event_id, first.timestamp, first.anomaly_score) == (
        live.alert_event_id,
        live.timestamp,
        live.anomaly_score,
    )
    assert (first.root_cause, first.direction) == (live.root_cause, live.direction)
    assert first.impacted_metric.dimension_contribution == live.impacted_metric.dimension_contribution
    # The response contains neither the monitor nor the payer account, which are optional dimensions of the series.
    (past_series,), (live_series,) = (alert.impacted_metric.relevant_time_series for alert in (first, live))
    assert past_series.dimensions == live_series.dimensions
    assert (past_series.metric_value, past_series.expected_value) == (
        live_series.metric_value,
        live_series.expected_value,
    )
    assert second.event_id == "another"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Message",
                        "TopicArn",
                        "Records",
                        "body",
                        "requestContext",
                        "http",
                        "hits",
                        "_source",
                        "Anomalies",
                        "detail",
                        "source",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_split_raises_only_alert_error_and_is_idempotent(event):
    for body in sources.split_message(json.dumps(event)):
        try:
            sources.read(body, ())
        except AlertError:
            continue
