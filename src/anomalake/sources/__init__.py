"""Who sends alerts: a message is opened (envelopes of SNS), recognised and read by the module of its source, one module each."""

from anomalake.alert import Alert
from anomalake.sources import envelopes, lookout_for_metrics


def read(body: str) -> tuple[Alert, ...]:
    """The alerts of a message as received; `AlertError` where it is not understood."""
    return lookout_for_metrics.read(envelopes.open_all(body))
