"""Shared examples: a metric set as users write it, and alerts and events as services send them."""

import json
from pathlib import Path
from typing import Any

SHOP = """
name: shop
frequency: PT1H
timezone: {zone}
timestamp: {{column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}}
dimensions: [platform, marketplace]
measures:
  - {{name: views, aggregation: SUM}}
  - {{name: revenue, aggregation: AVG}}
source:
  path: "shop/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}"
  format: csv
  columns: [platform, marketplace, timestamp, views, revenue]
"""


def shop_text(zone: str = "UTC", **replaced: str) -> str:
    """The YAML of the shop. Each keyword replaces the line that begins with it."""
    lines = SHOP.format(zone=zone).strip().split("\n")
    for field, line in replaced.items():
        lines = [line if old.startswith(f"{field}:") else old for old in lines]
    return "\n".join(lines) + "\n"


Point = tuple[dict[str, str | None], float | None]


def alert_body(
    measure: str = "views",
    *,
    timestamp: str = "2021-02-17T11:00Z[UTC]",
    event: str = "5b0e7c9a",
    score: float | None = 71.5,
    series: list[Point] | None = None,
    contributions: dict[str, dict[str | None, float]] | None = None,
    **more: Any,
) -> str:
    """An alert for the shop in the JSON of the second generation."""
    points: list[Point] = [
        ({"platform": "pc_web", "marketplace": "us"}, 812.25),
        ({"platform": "mobile_app", "marketplace": "us"}, 377),
    ]
    shares: dict[str, dict[str | None, float]] = {
        "platform": {"pc_web": 64.0, "mobile_app": 36.0},
        "marketplace": {"us": 100},
    }
    body = {
        "alertName": "shop-alert",
        "alertArn": "arn:aws:lookoutmetrics:eu-west-1:111122223333:Alert:shop-alert",
        "alertEventId": f"arn:aws:lookoutmetrics:eu-west-1:111122223333:Alert:shop-alert:event/{event}",
        "alertDescription": None,
        "anomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:shop",
        "anomalyGroupId": event,
        "consoleUrl": "https://eu-west-1.console.aws.amazon.com/lookoutmetrics/home#x",
        "timestamp": timestamp,
        "anomalyScore": score,
        "impactedMetric": {
            "metricName": measure,
            "dimensionContribution": [
                {
                    "dimensionName": name,
                    "dimensionValueContributions": [
                        {"dimensionValue": v, "valueContribution": share} for v, share in values.items()
                    ],
                }
                for name, values in (shares if contributions is None else contributions).items()
            ],
            "relevantTimeSeries": [
                {
                    "timeSeriesId": f"id-{number}",
                    "metricValue": value,
                    "dimensions": [{"dimensionName": name, "dimensionValue": v} for name, v in dimensions.items()],
                }
                for number, (dimensions, value) in enumerate(points if series is None else series)
            ],
        },
    }
    return json.dumps({**body, **more})


def event_text(name: str) -> str:
    """The text of an event of another service, from tests/events."""
    return (Path(__file__).parents[1] / "events" / f"{name}.json").read_text("utf-8")


def sqs_event(*bodies: str) -> dict[str, Any]:
    """An SQS batch. The message ids are m0, m1, ..."""
    return {
        "Records": [
            {"eventSource": "aws:sqs", "messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)
        ]
    }
