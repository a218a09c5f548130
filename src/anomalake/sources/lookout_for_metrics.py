"""Amazon Lookout for Metrics, of both generations, and Anomalake's own detector, which writes the same."""

import msgspec

from anomalake.alert import Alert, parse

SOURCE = "lookoutmetrics"


def read(body: str) -> tuple[Alert, ...]:
    """The one alert of a body; one that does not say its source comes from the ended service."""
    alert = parse(body)
    return (alert if alert.source else msgspec.structs.replace(alert, source=SOURCE),)
