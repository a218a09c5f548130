"""Reads the three message formats of CloudWatch alarms: EventBridge event, Lambda action and SNS message.

Source: "Alarm events and EventBridge", "Invoke a Lambda function from an alarm" and "Notifying users on alarm changes"
in the CloudWatch guide.
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from anomalake.domain import alert as alerts

_MAX_METRICS = msgspec.Meta(max_length=500)  # an alarm has about ten metrics at most
Value = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class State(msgspec.Struct, rename="camel"):
    """The state of an alarm and its reason. `reason_data` is a JSON text, which SNS messages do not contain."""

    value: Value
    timestamp: str
    reason: str = ""
    reason_data: str | None = None


class Metric(msgspec.Struct):
    """A metric and its namespace."""

    name: str
    namespace: str | None = None
    dimensions: dict[str, str] = {}


class Stat(msgspec.Struct):
    """A metric and its statistic."""

    metric: Metric
    stat: str | None = None


class Query(msgspec.Struct, rename="camel"):
    """A metric or an expression of an alarm, such as the anomaly detection band."""

    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: Stat | None = None
    account_id: str | None = None  # only if the metric is in another account


class Configuration(msgspec.Struct):
    """The configuration of an alarm. A composite alarm has no metrics."""

    metrics: Annotated[list[Query], _MAX_METRICS] = []
    description: str | None = None


class Alarm(msgspec.Struct, rename="camel"):
    """An alarm in the format of EventBridge and the Lambda action."""

    alarm_name: str
    state: State
    configuration: Configuration = msgspec.field(default_factory=Configuration)


class AlarmMessage(NamedTuple):
    """An alarm, its ARN, and its account and region if the message contains them."""

    arn: str
    alarm: Alarm
    account: str | None
    region: str | None


class _EventBridgeEvent(msgspec.Struct):
    resources: Annotated[list[str], msgspec.Meta(min_length=1)]
    detail: Alarm


class _LambdaAction(msgspec.Struct, rename="camel"):
    alarm_arn: str
    alarm_data: Alarm


class _SnsDimension(msgspec.Struct):
    name: str
    value: str


class _SnsMetric(msgspec.Struct, rename="pascal"):
    metric_name: str
    namespace: str | None = None
    dimensions: list[_SnsDimension] = []


class _SnsStat(msgspec.Struct, rename="pascal"):
    metric: _SnsMetric
    stat: str | None = None


class _SnsQuery(msgspec.Struct, rename="pascal"):
    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: _SnsStat | None = None
    account_id: str | None = None


class _SnsTrigger(msgspec.Struct, rename="pascal"):
    metrics: Annotated[list[_SnsQuery], _MAX_METRICS] = []


class _SnsMessage(msgspec.Struct, rename="pascal"):
    alarm_name: str
    new_state_value: Value
    state_change_time: str
    new_state_reason: str = ""
    alarm_description: str | None = None
    alarm_arn: str | None = None
    account: str = msgspec.field(name="AWSAccountId", default="")
    region: str | None = None  # the display name, such as EU (Ireland)
    trigger: _SnsTrigger = msgspec.field(default_factory=_SnsTrigger)


def matches(event: dict[str, Any]) -> bool:
    """Return whether the event is a state change of an alarm, in one of the three formats."""
    is_eventbridge = (
        event.get("source") == "aws.cloudwatch" and event.get("detail-type") == "CloudWatch Alarm State Change"
    )
    return is_eventbridge or "alarmData" in event or {"AlarmName", "NewStateValue"} <= event.keys()


def read(event: dict[str, Any]) -> AlarmMessage:
    """Read an alarm. The ARN that is made for an SNS message without ARN has no region.

    Raises `AlertError`, which names the invalid field.
    """
    if "alarmData" in event:
        action = alerts.convert(event, _LambdaAction, "a Lambda action of CloudWatch")
        return _add_location(action.alarm_arn, action.alarm_data)
    if "detail-type" in event:
        state_change = alerts.convert(event, _EventBridgeEvent, "an alarm of CloudWatch")
        return _add_location(state_change.resources[0], state_change.detail)
    message = alerts.convert(event, _SnsMessage, "an SNS message of CloudWatch")
    queries = [
        Query(query.id, query.expression, query.label, _convert_stat(query.metric_stat), query.account_id)
        for query in message.trigger.metrics
    ]
    state = State(message.new_state_value, message.state_change_time, message.new_state_reason)
    alarm = Alarm(message.alarm_name, state, Configuration(queries, message.alarm_description))
    return _add_location(
        message.alarm_arn or f"arn:aws:cloudwatch::{message.account}:alarm:{message.alarm_name}", alarm, message.region
    )


def _add_location(arn: str, alarm: Alarm, region_name: str | None = None) -> AlarmMessage:
    """Add the account and region in the ARN of the alarm, if it contains them."""
    parts = arn.split(":")
    region, account = parts[3:5] if len(parts) > 5 else ("", "")
    return AlarmMessage(arn, alarm, account or None, region or region_name)


def _convert_stat(stat: _SnsStat | None) -> Stat | None:
    if stat is None:
        return None
    metric = stat.metric
    return Stat(
        Metric(
            metric.metric_name, metric.namespace, {dimension.name: dimension.value for dimension in metric.dimensions}
        ),
        stat.stat,
    )
