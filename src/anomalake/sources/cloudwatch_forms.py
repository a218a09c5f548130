"""The three forms in which CloudWatch tells of an alarm, as one record: an EventBridge event, a Lambda action, an SNS message.

Source: "Alarm events and EventBridge", "Invoke a Lambda function from an alarm" and "Notifying users on alarm changes" in the CloudWatch guide.
"""

from typing import Annotated, Any, Literal

import msgspec

from anomalake import alert as alerts

Value = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class State(msgspec.Struct, rename="camel"):
    """A state and why; `reason_data` is a JSON text, which SNS leaves out."""

    value: Value
    timestamp: str
    reason: str = ""
    reason_data: str | None = None


class Metric(msgspec.Struct):
    """A metric without its namespace."""

    name: str
    dimensions: dict[str, str] = {}


class Stat(msgspec.Struct):
    """A metric's statistic."""

    metric: Metric


class Query(msgspec.Struct, rename="camel"):
    """What an alarm watches, and the band: a metric or an expression."""

    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: Stat | None = None


class Configuration(msgspec.Struct):
    """What the alarm is set to; an alarm over other alarms has no metrics."""

    metrics: list[Query] = []
    description: str | None = None


class Alarm(msgspec.Struct, rename="camel"):
    """An alarm as EventBridge and the Lambda action write it."""

    alarm_name: str
    state: State
    configuration: Configuration = msgspec.field(default_factory=Configuration)


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
    dimensions: list[_Named] = []


class _SnsStat(msgspec.Struct, rename="pascal"):
    metric: _SnsMetric


class _SnsQuery(msgspec.Struct, rename="pascal"):
    id: str
    expression: str | None = None
    label: str | None = None
    metric_stat: _SnsStat | None = None


class _Trigger(msgspec.Struct, rename="pascal"):
    metrics: list[_SnsQuery] = []


class _SnsMessage(msgspec.Struct, rename="pascal"):
    alarm_name: str
    new_state_value: Value
    state_change_time: str
    new_state_reason: str = ""
    alarm_description: str | None = None
    alarm_arn: str | None = None
    account: str = msgspec.field(name="AWSAccountId", default="")
    trigger: _Trigger = msgspec.field(default_factory=_Trigger)


def recognises(event: dict[str, Any]) -> bool:
    """Whether it is an alarm's change of state, in one of the three forms."""
    by_bus = event.get("source") == "aws.cloudwatch" and event.get("detail-type") == "CloudWatch Alarm State Change"
    return by_bus or "alarmData" in event or {"AlarmName", "NewStateValue"} <= event.keys()


def read(event: dict[str, Any]) -> tuple[str, Alarm]:
    """The alarm's ARN and the alarm; an SNS message without ARN gives one without region. `AlertError` names the field that is wrong."""
    if "alarmData" in event:
        action = alerts.convert(event, _Action, "a Lambda action of CloudWatch")
        return action.alarm_arn, action.alarm_data
    if "detail-type" in event:
        told = alerts.convert(event, _BusEvent, "an alarm of CloudWatch")
        return told.resources[0], told.detail
    message = alerts.convert(event, _SnsMessage, "an SNS message of CloudWatch")
    queries = [Query(one.id, one.expression, one.label, _stat(one.metric_stat)) for one in message.trigger.metrics]
    state = State(message.new_state_value, message.state_change_time, message.new_state_reason)
    alarm = Alarm(message.alarm_name, state, Configuration(queries, message.alarm_description))
    return message.alarm_arn or f"arn:aws:cloudwatch::{message.account}:alarm:{message.alarm_name}", alarm


def _stat(stat: _SnsStat | None) -> Stat | None:
    return None if stat is None else Stat(Metric(stat.metric.metric_name, {one.name: one.value for one in stat.metric.dimensions}))
