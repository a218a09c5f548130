"""AWS Cost Anomaly Detection, from EventBridge, SNS or Cost Explorer's `GetAnomalies`: the spend of a monitor, and what drove it.

Source: "Using EventBridge with Cost Anomaly Detection" and "Creating an Amazon SNS topic for anomaly notifications" in the Cost Management guide;
"Anomaly" and "RootCause" in the Cost Explorer API.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert
from anomalake.domain.timestamps import normalize_report_time_or_none

SOURCE = "costanomalydetection"
MEASURE = "cost"
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Score(msgspec.Struct, rename="camel"):
    max_score: float | None = None


class _Impact(msgspec.Struct, rename="camel"):
    total_actual_spend: float | None = None
    total_expected_spend: float | None = None


class _Share(msgspec.Struct):
    contribution: float | None = None


class _Cause(msgspec.Struct, rename="camel"):
    service: str | None = None
    region: str | None = None
    linked_account: str | None = None
    usage_type: str | None = None
    impact: _Share = msgspec.field(default_factory=_Share)


class _Anomaly(msgspec.Struct, rename="camel"):
    anomaly_id: _Text
    anomaly_start_date: str
    monitor_arn: _Text
    monitor_name: str | None = None
    account_id: str | None = None
    anomaly_score: _Score = msgspec.field(default_factory=_Score)
    impact: _Impact = msgspec.field(default_factory=_Impact)
    root_causes: Annotated[list[_Cause], msgspec.Meta(max_length=1_000)] = []  # the service names ten
    dimension_value: str | None = None
    dimensional_value: str | None = None  # SNS's name for it
    anomaly_details_link: str | None = None


class _BusEvent(msgspec.Struct):
    detail: _Anomaly


_IN_API = {"AnomalyId", "MonitorArn"}  # `GetAnomalies` writes the names of fields in Pascal case
DIMENSIONS = ("service", "region", "linked_account", "usage_type")  # a root cause's fields


def matches(event: dict[str, Any]) -> bool:
    """Whether it is an anomaly of a cost monitor, in its event or bare."""
    by_bus = event.get("source") == "aws.ce" and event.get("detail-type") == "Anomaly Detected"
    return by_bus or {"anomalyId", "monitorArn"} <= event.keys() or event.keys() >= _IN_API


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """The one alert of an anomaly, filed under the day it began: a later message of its `anomalyId` updates it. `AlertError` names a wrong field."""
    what = "an anomaly of AWS Cost Anomaly Detection"
    anomaly = (
        alerts.convert(event, _BusEvent, what).detail
        if "detail-type" in event
        else alerts.convert(_in_camel_case(event), _Anomaly, what)
    )
    start, score, causes = anomaly.anomaly_start_date, anomaly.anomaly_score.max_score, anomaly.root_causes
    actual, expected = anomaly.impact.total_actual_spend, anomaly.impact.total_expected_spend
    metric = alerts.ImpactedMetric(
        MEASURE,
        dimension_contribution=_contributions(causes),
        relevant_time_series=(
            alerts.TimeSeries(
                dimensions=_monitored(anomaly.dimension_value or anomaly.dimensional_value, causes),
                optional_dimensions=_watch(anomaly),
                metric_value=actual,
                expected_value=expected,
            ),
        ),
    )
    alert = Alert(
        alert_event_id=f"{anomaly.monitor_arn}:event/{anomaly.anomaly_id}",
        anomaly_detector_arn=anomaly.monitor_arn,
        timestamp=start if "T" in start else f"{start}T00:00Z",
        impacted_metric=metric,
        anomaly_score=round(100 * score, 2) if score is not None and 0 <= score <= 1 else None,
        alert_name=anomaly.monitor_name,
        anomaly_group_id=anomaly.anomaly_id,
        console_url=anomaly.anomaly_details_link,
        source=SOURCE,
        reported_at=normalize_report_time_or_none(event.get("time")),
        root_cause="; ".join(", ".join(filter(None, (getattr(cause, name) for name in DIMENSIONS))) for cause in causes)
        or None,
    )
    return (alert,)


def _in_camel_case(event: dict[str, Any]) -> dict[str, Any]:
    """An anomaly of `GetAnomalies` with the names of fields that events have; any other as it is."""
    renamed: dict[str, Any] = _camel(event, 3) if event.keys() >= _IN_API else event
    return renamed


def _camel(found: Any, depth: int) -> Any:
    """The names of fields with a small first letter, down to that depth: an anomaly, its root causes, their impact."""
    if isinstance(found, list):
        return [_camel(one, depth) for one in found]
    if isinstance(found, dict) and depth:
        return {f"{name[:1].lower()}{name[1:]}": _camel(value, depth - 1) for name, value in found.items()}
    return found


def _monitored(value: str | None, causes: Sequence[_Cause]) -> tuple[alerts.DimensionValue, ...]:
    """The dimension that the monitor watches, where a root cause tells which one has the event's value; the spend is of it as a whole."""
    return tuple(
        alerts.DimensionValue(name, value)
        for name in DIMENSIONS
        if value and any(getattr(cause, name) == value for cause in causes)
    )[:1]


def _watch(anomaly: _Anomaly) -> tuple[alerts.DimensionValue, ...]:
    """What was watched, whether or not a root cause names it: it keeps monitors and values of one day apart."""
    parts = anomaly.monitor_arn.split(":")
    known = {
        "monitor": anomaly.monitor_name or anomaly.monitor_arn.rpartition("/")[2],
        "monitored_value": anomaly.dimension_value or anomaly.dimensional_value,
        "account": (parts[4] if len(parts) > 4 else None) or anomaly.account_id,
    }
    return tuple(alerts.DimensionValue(name, value) for name, value in known.items() if value)


def _contributions(causes: Sequence[_Cause]) -> tuple[alerts.DimensionContribution, ...]:
    """The causes' money as per cent by dimension; none where one of them does not say its money."""
    weights = [abs(money) for cause in causes if (money := cause.impact.contribution) is not None]
    if len(weights) < len(causes) or not any(weights):
        return ()
    return tuple(
        alerts.compute_contribution(name, values, weights)
        for name in DIMENSIONS
        if any(values := [getattr(cause, name) or None for cause in causes])
    )
