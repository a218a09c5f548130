"""Amazon CloudWatch: an alarm on an anomaly detection band that changes to the state ALARM.

Alarms come from EventBridge, SNS or the Lambda action. In all three formats, the reason of the state contains the
values with their times, and the bounds ("Thresholds Crossed: ... datapoints [28.2 (22/11/19 00:57:00)] ...").
`reasonData` is used only if the reason has another wording.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert
from anomalake.domain.errors import AlertError
from anomalake.domain.names import to_column_name
from anomalake.domain.text import quote
from anomalake.domain.timestamps import format_timestamp, parse_timestamp
from anomalake.sources import cloudwatch_messages

SOURCE = "cloudwatch"
MAX_REASON_CHARACTERS = 2_000  # CloudWatch writes at most 1,023
_BAND = re.compile(r"ANOMALY_DETECTION_BAND\(\s*(\w+)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORD = re.compile(r"\w+")
_POINT = re.compile(r"(?<![-+.\w])([-+.\w]+) \((\d\d/\d\d/\d\d \d\d:\d\d:\d\d)\)")
_METRICS = re.compile(r"METRICS\(\s*[\"']([^\"']*)")
_Numbers = Annotated[list[float | None], msgspec.Meta(max_length=1_000)]


class _Reason(msgspec.Struct, rename="camel"):
    start_date: str | None = None
    period: Annotated[int, msgspec.Meta(ge=1, le=604_800)] = 60
    recent_datapoints: _Numbers = []
    recent_lower_thresholds: _Numbers = []
    recent_upper_thresholds: _Numbers = []


class _Point(NamedTuple):
    instant: datetime
    value: float | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def direction(self) -> str | None:
        if self.value is not None and self.upper is not None and self.value > self.upper:
            return "above"
        return "below" if self.value is not None and self.lower is not None and self.value < self.lower else None


matches = cloudwatch_messages.matches


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """Return the alert of an alarm in the state ALARM; empty for other states.

    Raises `AlertError`, also if the alarm has no anomaly detection band.
    """
    message = cloudwatch_messages.read(event)
    arn, alarm = message.arn, message.alarm
    if alarm.state.value != "ALARM":
        return ()
    watched = _find_watched_metric(message)
    changed = parse_timestamp(alarm.state.timestamp)
    points = _parse_reason(alarm.state.reason) or _parse_reason_data(alarm.state.reason_data) or [_Point(changed)]
    point = max(points, key=lambda candidate: (candidate.direction is not None, candidate.instant))
    series = alerts.TimeSeries(
        dimensions=_to_dimension_values(watched.dimensions),
        optional_dimensions=_to_dimension_values(watched.optional),
        metric_value=point.value,
        lower_bound=point.lower,
        upper_bound=point.upper,
    )
    alert = Alert(
        alert_event_id=f"{arn}:event/{alerts.derive_id(arn, format_timestamp(changed))}",
        anomaly_detector_arn=arn,
        timestamp=format_timestamp(point.instant),
        impacted_metric=alerts.ImpactedMetric(to_column_name(watched.name), relevant_time_series=(series,)),
        anomaly_score=None,
        alert_name=alarm.alarm_name,
        alert_arn=arn,
        alert_description=alarm.configuration.description,
        source=SOURCE,
        direction=point.direction,
        reported_at=alarm.state.timestamp,
    )
    return (alert,)


def _to_dimension_values(values: Mapping[str, str | None]) -> tuple[alerts.DimensionValue, ...]:
    """Return the dimensions with valid column names."""
    return tuple(alerts.DimensionValue(to_column_name(name), value) for name, value in values.items())


class _WatchedMetric(NamedTuple):
    """The metric or expression of an anomaly detection band.

    Optional dimensions count only if the metric set declares them.
    """

    name: str
    dimensions: dict[str, str]
    optional: dict[str, str | None]


def _find_watched_metric(message: cloudwatch_messages.AlarmMessage) -> _WatchedMetric:
    """Return the metric or expression of the band.

    The name of an expression is its label; its dimensions are those that all its metrics share.
    """
    alarm = message.alarm
    queries = {query.id: query for query in alarm.configuration.metrics}
    bands = [match[1] for query in queries.values() if (match := _BAND.search(query.expression or ""))]
    if not bands or bands[0] not in queries:
        where = f"configuration.metrics: the alarm {quote(alarm.alarm_name)}"
        raise AlertError(f"{where} has no ANOMALY_DETECTION_BAND; send only alarms on an anomaly detection band")
    query = queries[bands[0]]
    own: dict[str, str | None] = {
        "metric_account": message.account,
        "metric_region": message.region,
        "alarm_name": alarm.alarm_name,
    }
    if query.metric_stat:
        return _WatchedMetric(
            query.metric_stat.metric.name,
            query.metric_stat.metric.dimensions,
            own | _identify_metric(query, query.metric_stat),
        )
    metrics = [(metric, metric.metric_stat) for metric in _find_metrics(query, queries) if metric.metric_stat]
    shared = _keep_shared([own | stat.metric.dimensions | _identify_metric(metric, stat) for metric, stat in metrics])
    return _WatchedMetric(query.label or query.id, {}, shared or own)


def _identify_metric(query: cloudwatch_messages.Query, stat: cloudwatch_messages.Stat) -> dict[str, str | None]:
    """Return dimensions that distinguish a metric from others with the same name, if the message contains them."""
    known = {
        "metric_namespace": stat.metric.namespace,
        "metric_statistic": stat.stat,
        "metric_account": query.account_id,
    }
    return {name: value for name, value in known.items() if value}


def _keep_shared(dimensions: Sequence[dict[str, str | None]]) -> dict[str, str | None]:
    """Return the entries that all dictionaries contain."""
    first, *others = dimensions or [{}]
    return {
        name: value for name, value in first.items() if all(name in other and other[name] == value for other in others)
    }


def _find_metrics(
    query: cloudwatch_messages.Query, queries: Mapping[str, cloudwatch_messages.Query]
) -> list[cloudwatch_messages.Query]:
    """Return the metrics that an expression uses, directly or through other expressions."""
    found, pending = {query.id: query}, [query]
    while pending:
        expression = pending.pop().expression or ""
        words = _WORD.findall(_QUOTED.sub("", expression))
        named = [queries[word] for word in words if word in queries]
        if "METRICS" in words:  # METRICS() means all metrics; METRICS("errors") means those with this text in their id
            part = next(iter(_METRICS.findall(expression)), "")
            named += [other for other in queries.values() if other.metric_stat and part in other.id]
        new = {other.id: other for other in named if other.id not in found}
        found |= new
        pending += new.values()
    return [metric for metric in found.values() if metric.metric_stat]


def _parse_reason(reason: str) -> list[_Point]:
    """Return the points in the text of the reason; empty if it has another wording."""
    reason = reason[:MAX_REASON_CHARACTERS]
    found = _POINT.findall(reason)
    try:
        instants = [datetime.strptime(when, "%d/%m/%y %H:%M:%S") for _, when in found]  # in UTC
    except ValueError:
        return []
    bounds = [_bounds(side, reason, len(found)) for side in ("lower", "upper")]
    return [_Point(*point) for point in zip(instants, [_number(value) for value, _ in found], *bounds, strict=True)]


def _bounds(side: str, reason: str, count: int) -> list[float | None]:
    match = re.search(side + r" thresholds? \[([^\[\]]*)\]", reason)
    numbers = [_number(text) for text in match[1].split(",")] if match else []
    return numbers if len(numbers) == count else [None] * count


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _parse_reason_data(text: str | None) -> list[_Point]:
    """Return the points in `reasonData`, oldest first, one for each period from `startDate` on."""
    data = alerts.convert(alerts.decode(text), _Reason, "the reasonData of an alarm") if text else _Reason()
    if data.start_date is None:
        return []
    start, count = parse_timestamp(data.start_date), len(data.recent_datapoints)
    bounds = [
        side if len(side) == count else [None] * count
        for side in (data.recent_lower_thresholds, data.recent_upper_thresholds)
    ]
    return [
        _Point(start + timedelta(seconds=data.period * i), data.recent_datapoints[i], bounds[0][i], bounds[1][i])
        for i in range(count)
    ]
