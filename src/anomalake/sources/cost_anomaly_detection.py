"""AWS Cost Anomaly Detection: the spend of a monitor and its root causes.

Anomalies come from EventBridge, SNS or the `GetAnomalies` API of Cost Explorer.

Source: "Using EventBridge with Cost Anomaly Detection" and "Creating an Amazon SNS topic for anomaly notifications" in
the Cost Management guide; "Anomaly" and "RootCause" in the Cost Explorer API.
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


class _RootCause(msgspec.Struct, rename="camel"):
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
    root_causes: Annotated[list[_RootCause], msgspec.Meta(max_length=1_000)] = []  # the service sends ten
    dimension_value: str | None = None
    dimensional_value: str | None = None  # the name of the field in SNS messages
    anomaly_details_link: str | None = None


class _EventBridgeEvent(msgspec.Struct):
    detail: _Anomaly


_PASCAL_CASE_FIELDS = {"AnomalyId", "MonitorArn"}  # of `GetAnomalies`
DIMENSIONS = ("service", "region", "linked_account", "usage_type")  # a root cause's fields


def matches(event: dict[str, Any]) -> bool:
    """Return whether the event is an anomaly of a cost monitor, in an EventBridge event or without one."""
    is_eventbridge = event.get("source") == "aws.ce" and event.get("detail-type") == "Anomaly Detected"
    return is_eventbridge or {"anomalyId", "monitorArn"} <= event.keys() or event.keys() >= _PASCAL_CASE_FIELDS


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """Return the alert of an anomaly, with the day it began as its timestamp.

    A later message with the same `anomalyId` updates it. Raises `AlertError`, which names the invalid field.
    """
    what = "an anomaly of AWS Cost Anomaly Detection"
    anomaly = (
        alerts.convert(event, _EventBridgeEvent, what).detail
        if "detail-type" in event
        else alerts.convert(_to_camel_case(event), _Anomaly, what)
    )
    start, score, causes = anomaly.anomaly_start_date, anomaly.anomaly_score.max_score, anomaly.root_causes
    actual, expected = anomaly.impact.total_actual_spend, anomaly.impact.total_expected_spend
    metric = alerts.ImpactedMetric(
        MEASURE,
        dimension_contribution=_compute_contributions(causes),
        relevant_time_series=(
            alerts.TimeSeries(
                dimensions=_find_monitored_dimension(anomaly.dimension_value or anomaly.dimensional_value, causes),
                optional_dimensions=_describe_monitor(anomaly),
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


def _to_camel_case(event: dict[str, Any]) -> dict[str, Any]:
    """Return an anomaly of `GetAnomalies` with the field names of events; another anomaly unchanged."""
    renamed: dict[str, Any] = _rename_fields(event, 3) if event.keys() >= _PASCAL_CASE_FIELDS else event
    return renamed


def _rename_fields(value: Any, depth: int) -> Any:
    """Change the first letter of field names to lower case, down to a depth: anomaly, root causes, impact."""
    if isinstance(value, list):
        return [_rename_fields(element, depth) for element in value]
    if isinstance(value, dict) and depth:
        return {f"{name[:1].lower()}{name[1:]}": _rename_fields(inner, depth - 1) for name, inner in value.items()}
    return value


def _find_monitored_dimension(value: str | None, causes: Sequence[_RootCause]) -> tuple[alerts.DimensionValue, ...]:
    """Return the dimension that the monitor watches, if a root cause has the value of the event in it.

    The spend is the total of this value.
    """
    return tuple(
        alerts.DimensionValue(name, value)
        for name in DIMENSIONS
        if value and any(getattr(cause, name) == value for cause in causes)
    )[:1]


def _describe_monitor(anomaly: _Anomaly) -> tuple[alerts.DimensionValue, ...]:
    """Return the monitor and its value, as optional dimensions: other monitors and values are other series."""
    parts = anomaly.monitor_arn.split(":")
    known = {
        "monitor": anomaly.monitor_name or anomaly.monitor_arn.rpartition("/")[2],
        "monitored_value": anomaly.dimension_value or anomaly.dimensional_value,
        "account": (parts[4] if len(parts) > 4 else None) or anomaly.account_id,
    }
    return tuple(alerts.DimensionValue(name, value) for name, value in known.items() if value)


def _compute_contributions(causes: Sequence[_RootCause]) -> tuple[alerts.DimensionContribution, ...]:
    """Return the contribution of each dimension value to the cost, in percent; empty if a root cause has no amount."""
    weights = [abs(amount) for cause in causes if (amount := cause.impact.contribution) is not None]
    if len(weights) < len(causes) or not any(weights):
        return ()
    return tuple(
        alerts.compute_contribution(name, values, weights)
        for name in DIMENSIONS
        if any(values := [getattr(cause, name) or None for cause in causes])
    )
