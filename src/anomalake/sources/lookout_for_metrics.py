"""Amazon Lookout for Metrics, both generations, and Anomalake's own detector, which writes the same format."""

from typing import Any

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert

SOURCE = "lookoutmetrics"


def matches(event: dict[str, Any]) -> bool:
    """Return whether the event has a field that only these alerts have."""
    return not event.keys().isdisjoint({"alertEventId", "anomalyDetectorArn", "impactedMetric"})


def read(event: dict[str, Any]) -> tuple[Alert, ...]:
    """Return the alert of an event. An alert without a source is from Lookout for Metrics.

    Raises `AlertError`, which names the invalid field.
    """
    alert = alerts.convert(event, Alert, "an alert")
    return (alert if alert.source else msgspec.structs.replace(alert, source=SOURCE),)
