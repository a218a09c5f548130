"""The three forms in which CloudWatch tells of an alarm, as one record: an EventBridge event, a Lambda action, an SNS message.

Source: "Alarm events and EventBridge", "Invoke a Lambda function from an alarm" and "Notifying users on alarm changes" in the CloudWatch guide.
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from anomalake.domain import alert as alerts

_FEW = msgspec.Meta(max_length=500)  # an alarm has ten metrics or so
Value = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class State(msgspec.Struct, rename="camel"):
    """A state and why; `reason_data` is a JSON text, which SNS leaves out."""

    value: Value
    timestamp: str
    reason: str = ""
    reason_data: str | None = None


class Metric(msgspec.Struct):
    """A metric of a namespace."""

    name: str
    namespace: str | None = None
    dimensions: dict[str, str] = {}


class Stat(msgspec.Struct):
    """A metric and its statistic."""

    metric: Metric
    stat: str | None = None


class Query(msgspec.Struct, rename="camel"):
    """What an alarm watches, and the band: a metric or an expression."""

    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: Stat | None = None
    account_id: str | None = None  # of a metric of another account


class Configuration(msgspec.Struct):
    """What the alarm is set to; an alarm over other alarms has no metrics."""

    metrics: Annotated[list[Query], _FEW] = []
    description: str | None = None


class Alarm(msgspec.Struct, rename="camel"):
    """An alarm as EventBridge and the Lambda action write it."""

    alarm_name: str
    state: State
    configuration: Configuration = msgspec.field(default_factory=Configuration)


class Told(NamedTuple):
    """An alarm, its ARN, and its account and region where the message says them."""

    arn: str
    alarm: Alarm
    account: str | None
    region: str | None


class _BusEvent(msgspec.Struct):
    resources: Annotated[list[str], msgspec.Meta(min_length=1)]
    detail: Alarm


class _Action(msgspec.Struct, rename="camel"):
    alarm_arn: str
    alarm_data: Alarm


class _Named(msgspec.Struct):
    name: str
    value: str


class _SnsMetric(msgspec.Struct, rename="pascal"):
    metric_name: str
    namespace: str | None = None
    dimensions: list[_Named] = []


class _SnsStat(msgspec.Struct, rename="pascal"):
    metric: _SnsMetric
    stat: str | None = None


class _SnsQuery(msgspec.Struct, rename="pascal"):
    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: _SnsStat | None = None
    account_id: str | None = None


class _Trigger(msgspec.Struct, rename="pascal"):
    metrics: Annotated[list[_SnsQuery], _FEW] = []


class _SnsMessage(msgspec.Struct, rename="pascal"):
    alarm_name: str
    new_state_value: Value
    state_change_time: str
    new_state_reason: str = ""
    alarm_description: str | None = None
    alarm_arn: str | None = None
    account: str = msgspec.field(name="AWSAccountId", default="")
    region: str | None = None  # as people call it, such as EU (Ireland)
    trigger: _Trigger = msgspec.field(default_factory=_Trigger)


def matches(event: dict[str, Any]) -> bool:
    """Whether it is an alarm's change of state, in one of the three forms."""
    by_bus = event.get("source") == "aws.cloudwatch" and event.get("detail-type") == "CloudWatch Alarm State Change"
    return by_bus or "alarmData" in event or {"AlarmName", "NewStateValue"} <= event.keys()


def read(event: dict[str, Any]) -> Told:
    """The alarm and where it is; an SNS message without ARN gives one without region. `AlertError` names the field that is wrong."""
    if "alarmData" in event:
        action = alerts.convert(event, _Action, "a Lambda action of CloudWatch")
        return _told(action.alarm_arn, action.alarm_data)
    if "detail-type" in event:
        told = alerts.convert(event, _BusEvent, "an alarm of CloudWatch")
        return _told(told.resources[0], told.detail)
    message = alerts.convert(event, _SnsMessage, "an SNS message of CloudWatch")
    queries = [
        Query(one.id, one.expression, one.label, _stat(one.metric_stat), one.account_id)
        for one in message.trigger.metrics
    ]
    state = State(message.new_state_value, message.state_change_time, message.new_state_reason)
    alarm = Alarm(message.alarm_name, state, Configuration(queries, message.alarm_description))
    return _told(
        message.alarm_arn or f"arn:aws:cloudwatch::{message.account}:alarm:{message.alarm_name}", alarm, message.region
    )


def _told(arn: str, alarm: Alarm, region_name: str | None = None) -> Told:
    """The alarm with the account and region of its ARN, as far as that has them."""
    parts = arn.split(":")
    region, account = parts[3:5] if len(parts) > 5 else ("", "")
    return Told(arn, alarm, account or None, region or region_name)


def _stat(stat: _SnsStat | None) -> Stat | None:
    if stat is None:
        return None
    metric = stat.metric
    return Stat(
        Metric(metric.metric_name, metric.namespace, {one.name: one.value for one in metric.dimensions}), stat.stat
    )
