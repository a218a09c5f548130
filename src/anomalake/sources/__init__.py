"""Sources of alerts: splits a message into events, and reads the alerts of each event with the module of its source.

README.md in this folder shows how to add a source. docs/alerts.md describes the fields that each source gives.
"""

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain.alert import Alert
from anomalake.domain.errors import AlertError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import normalize_report_time_or_none
from anomalake.sources import cloudwatch, cost_anomaly_detection, envelopes, lookout_for_metrics, mapping, opensearch

SOURCES = (lookout_for_metrics, cloudwatch, cost_anomaly_detection, opensearch)

split_message = envelopes.split_message


def read(body: str, sets: tuple[MetricSet, ...]) -> tuple[Alert, ...]:
    """Return the alerts of one event (an element of `split_message`); empty if the event reports no anomaly.

    Raises `AlertError`.
    """
    innermost, sent_at = envelopes.unwrap(body)
    event = alerts.decode(innermost)
    for source in SOURCES:
        if source.matches(event):
            # Two alert configurations of Lookout for Metrics send one report in two envelopes, so the times of the
            # envelopes do not order reports.
            return tuple(
                _complete(alert, None if source is lookout_for_metrics else sent_at) for alert in source.read(event)
            )
    if len(innermost) > mapping.MAX_BODY_CHARACTERS:
        raise AlertError(
            "the event has no known source, and is too long for a mapping: "
            f"{len(innermost)} characters, the limit is {mapping.MAX_BODY_CHARACTERS}"
        )
    return tuple(_complete(alert, sent_at) for alert in mapping.read(event, sets))


def _complete(alert: Alert, sent_at: object) -> Alert:
    """Validate the alert. Add its direction and, if it has no report time, the time of the envelope."""
    alert = alerts.add_direction(alerts.validate(alert))
    return msgspec.structs.replace(alert, reported_at=alert.reported_at or normalize_report_time_or_none(sent_at))


def split_event(body: str, sets: tuple[MetricSet, ...]) -> list[str]:
    """Split an event into events with one alert each, so that an invalid alert does not affect the others.

    Empty if the event cannot be split.
    """
    try:
        innermost = envelopes.unwrap(body).body
        if len(innermost) > mapping.MAX_BODY_CHARACTERS and '"detector_id"' not in innermost:
            return []
        event = alerts.decode(innermost)
        if opensearch.matches(event):
            return opensearch.split_event(event)
        known = any(source.matches(event) for source in SOURCES)
        return [] if known or len(innermost) > mapping.MAX_BODY_CHARACTERS else mapping.split_event(event, sets)
    except AlertError:
        return []
