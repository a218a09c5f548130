"""Who sends alerts: a message is split into its events, and each is recognised and read by the module of its source, one module each.

README.md beside this file shows how to add one; docs/alerts.md says what each gives.
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
    """The alerts of one event (an element of `split`), none where it reports no anomaly; `AlertError` where it is not understood."""
    innermost, sent_at = envelopes.unwrap(body)
    event = alerts.decode(innermost)
    for source in SOURCES:
        if source.matches(event):
            # Two alert configurations of Lookout for Metrics send one report in two envelopes, so that their times tell nothing.
            return tuple(
                _complete(alert, None if source is lookout_for_metrics else sent_at) for alert in source.read(event)
            )
    if len(innermost) > mapping.MAX_BODY_CHARACTERS:
        raise AlertError(
            f"an event of no known source, and with {len(innermost)} characters too long for a mapping ({mapping.MAX_BODY_CHARACTERS} at most)"
        )
    return tuple(_complete(alert, sent_at) for alert in mapping.read(event, sets))


def _complete(alert: Alert, sent_at: object) -> Alert:
    """The alert, checked, with what follows from it: its direction, and the time of the report where only the envelope says it."""
    alert = alerts.add_direction(alerts.validate(alert))
    return msgspec.structs.replace(alert, reported_at=alert.reported_at or normalize_report_time_or_none(sent_at))


def split_event(body: str, sets: tuple[MetricSet, ...]) -> list[str]:
    """The same event as several smaller ones, an alert each, so that one that cannot be filed costs no other; empty where it cannot be divided."""
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
