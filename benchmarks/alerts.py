"""The alerts that the benchmarks send: 21 series and two dimensions of the shop's metric set, as the service wrote them."""

import json

MEASURES = ("views", "revenue")
SERIES, SHARES = 21, 10  # of one alert: cells it fills, contribution rows it adds


def alert(number: int, measure: str, event: int = 0, owner: str = "") -> str:
    """An event of a measure at the hour of this number (below 7,200); an owner's alerts have dimension values that are nobody else's."""
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
        "alertEventId": f"arn:aws:lookoutmetrics:eu-west-1:111122223333:Alert:bench:event/{owner}{measure}-{number}-{event}",
        "anomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:ecommerce",
        "timestamp": f"2021-{1 + number // 600:02}-{1 + number // 24 % 28:02}T{number % 24:02}:00Z[UTC]",
        "anomalyScore": 71.5,
        "impactedMetric": {"metricName": measure, "dimensionContribution": shares, "relevantTimeSeries": series},
    }
    return json.dumps(body)
