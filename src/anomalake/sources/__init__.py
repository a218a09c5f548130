"""Who sends alerts: a message is opened (envelopes of SNS and EventBridge), recognised and read by the module of its source, one module each.

README.md beside this file shows how to add one; docs/alerts.md says what each gives.
"""

from anomalake import alert as alerts
from anomalake.alert import Alert, AlertError
from anomalake.metric_set import MetricSet
from anomalake.sources import cloudwatch, cost_anomaly_detection, envelopes, lookout_for_metrics, mapping, opensearch

SOURCES = (lookout_for_metrics, cloudwatch, cost_anomaly_detection, opensearch)


def read(body: str, sets: tuple[MetricSet, ...]) -> tuple[Alert, ...]:
    """The alerts of a message as received, none where it tells of no anomaly; `AlertError` where it is not understood."""
    innermost = envelopes.open_all(body)
    event = alerts.decode(innermost)
    for source in SOURCES:
        if source.recognises(event):
            return tuple(alerts.sound(alert) for alert in source.read(event))
    if len(innermost) > mapping.MOST_BODY:
        raise AlertError(f"an event of no known source, and with {len(innermost)} characters too long for a mapping ({mapping.MOST_BODY} at most)")
    return tuple(alerts.sound(alert) for alert in mapping.read(event, sets))
