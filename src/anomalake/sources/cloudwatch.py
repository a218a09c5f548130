"""Amazon CloudWatch: an alarm on an anomaly detection band that went into ALARM, told by EventBridge, by SNS or by its Lambda action.

Value and bounds stand in the state's reason ("Thresholds Crossed: ... datapoints [28.2 (22/11/19 00:57:00)] ..."), each value with its time, in all
three forms; `reasonData` is read where the reason is written otherwise.
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
from anomalake.domain.timestamps import format_timestamp, parse_timestamp
from anomalake.sources import cloudwatch_forms as forms

SOURCE = "cloudwatch"
MAX_REASON_CHARACTERS = 2_000  # characters; CloudWatch writes 1,023 at most
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


matches = forms.matches


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """The one alert of an alarm that went into ALARM, none of another state; `AlertError` where the alarm watches no anomaly band."""
    told = forms.read(event)
    arn, alarm = told.arn, told.alarm
    if alarm.state.value != "ALARM":
        return ()
    watched = _watched(told)
    changed = parse_timestamp(alarm.state.timestamp)
    points = _in_words(alarm.state.reason) or _in_data(alarm.state.reason_data) or [_Point(changed)]
    point = max(points, key=lambda one: (one.direction is not None, one.instant))
    series = alerts.TimeSeries(
        dimensions=_dimensions(watched.dimensions),
        optional_dimensions=_dimensions(watched.optional),
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


def _dimensions(some: Mapping[str, str | None]) -> tuple[alerts.DimensionValue, ...]:
    """Dimensions by their column names."""
    return tuple(alerts.DimensionValue(to_column_name(name), value) for name, value in some.items())


class _Watched(NamedTuple):
    """What a band is drawn around; the optional dimensions count where the metric set declares them."""

    name: str
    dimensions: dict[str, str]
    optional: dict[str, str | None]


def _watched(told: forms.Told) -> _Watched:
    """The metric or expression of the band. An expression is named by its label, and has what all its metrics share."""
    alarm = told.alarm
    queries = {query.id: query for query in alarm.configuration.metrics}
    bands = [match[1] for query in queries.values() if (match := _BAND.search(query.expression or ""))]
    if not bands or bands[0] not in queries:
        where = f"configuration.metrics: the alarm {alarm.alarm_name!r}"
        raise AlertError(f"{where} watches no ANOMALY_DETECTION_BAND; only alarms on such a band are taken")
    query = queries[bands[0]]
    own: dict[str, str | None] = {
        "metric_account": told.account,
        "metric_region": told.region,
        "alarm_name": alarm.alarm_name,
    }
    if query.metric_stat:
        return _Watched(
            query.metric_stat.metric.name,
            query.metric_stat.metric.dimensions,
            own | _identity(query, query.metric_stat),
        )
    metrics = [(one, one.metric_stat) for one in _metrics(query, queries) if one.metric_stat]
    shared = _shared([own | stat.metric.dimensions | _identity(one, stat) for one, stat in metrics])
    return _Watched(query.label or query.id, {}, shared or own)


def _identity(query: forms.Query, stat: forms.Stat) -> dict[str, str | None]:
    """What tells a metric from others of its name and dimensions, as far as the message says it."""
    found = {
        "metric_namespace": stat.metric.namespace,
        "metric_statistic": stat.stat,
        "metric_account": query.account_id,
    }
    return {name: value for name, value in found.items() if value}


def _shared(some: Sequence[dict[str, str | None]]) -> dict[str, str | None]:
    """The entries that all of them have."""
    first, *others = some or [{}]
    return {
        name: value for name, value in first.items() if all(name in other and other[name] == value for other in others)
    }


def _metrics(query: forms.Query, queries: Mapping[str, forms.Query]) -> list[forms.Query]:
    """The metrics that an expression is computed from, through other expressions too."""
    found, waiting = {query.id: query}, [query]
    while waiting:
        expression = waiting.pop().expression or ""
        words = _WORD.findall(_QUOTED.sub("", expression))
        named = [queries[word] for word in words if word in queries]
        if "METRICS" in words:  # METRICS() is every metric; METRICS("errors") is each that has this in its id
            part = next(iter(_METRICS.findall(expression)), "")
            named += [one for one in queries.values() if one.metric_stat and part in one.id]
        new = {one.id: one for one in named if one.id not in found}
        found |= new
        waiting += new.values()
    return [one for one in found.values() if one.metric_stat]


def _in_words(reason: str) -> list[_Point]:
    """The points that the reason's text names; none where it is worded otherwise."""
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


def _in_data(text: str | None) -> list[_Point]:
    """The points of `reasonData`, oldest first, one a period from `startDate` on."""
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
