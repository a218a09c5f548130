"""Amazon Lookout for Metrics, of both generations, and Anomalake's own detector, which writes the same."""

from typing import Any

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert

SOURCE = "lookoutmetrics"


def matches(event: dict[str, Any]) -> bool:
    """Whether the event has a field that only an alert has."""
    return not event.keys().isdisjoint({"alertEventId", "anomalyDetectorArn", "impactedMetric"})


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """The one alert of an event; one that does not say its source comes from the ended service. `AlertError` names the field that is wrong."""
    alert = alerts.convert(event, Alert, "an alert")
    return (alert if alert.source else msgspec.structs.replace(alert, source=SOURCE),)
