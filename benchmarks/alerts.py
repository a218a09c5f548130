"""The alerts that the benchmarks send, in the JSON of Amazon Lookout for Metrics: 21 time series in two dimensions."""

import json

MEASURES = ("views", "revenue")
_ARN = "arn:aws:lookoutmetrics:eu-west-1:111122223333"
SERIES_PER_ALERT, CONTRIBUTIONS_PER_ALERT = 21, 10


def build_alert(number: int, measure: str, event: int = 0, owner: str = "") -> str:
    """An alert of a measure at the hour with this number (below 7,200). Each owner has dimension values of its own."""
    platforms = [owner + name for name in ("pc_web", "mobile_web", "mobile_app")]
    markets = [owner + name for name in ("us", "uk", "de", "fr", "es", "it", "jp")]
    series = [
        {
            "timeSeriesId": f"{p}-{m}",
            "metricValue": 100.5 + number,
            "dimensions": [
                {"dimensionName": "platform", "dimensionValue": p},
                {"dimensionName": "marketplace", "dimensionValue": m},
            ],
        }
        for p in platforms
        for m in markets
    ]
    shares = [
        {
            "dimensionName": name,
            "dimensionValueContributions": [
                {"dimensionValue": v, "valueContribution": 100 / len(values)} for v in values
            ],
        }
        for name, values in (("platform", platforms), ("marketplace", markets))
    ]
    body = {
        "alertName": "bench",
        "alertEventId": f"{_ARN}:Alert:bench:event/{owner}{measure}-{number}-{event}",
        "anomalyDetectorArn": f"{_ARN}:AnomalyDetector:ecommerce",
        "timestamp": f"2021-{1 + number // 600:02}-{1 + number // 24 % 28:02}T{number % 24:02}:00Z[UTC]",
        "anomalyScore": 71.5,
        "impactedMetric": {"metricName": measure, "dimensionContribution": shares, "relevantTimeSeries": series},
    }
    return json.dumps(body)
