"""The settings of the Lambda functions, read from the environment variables that template.yaml sets."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.layout import Format
from anomalake.lake.store import DEFAULT_RETRY_POLICY, RetryPolicy, Store, open_store

METRICS_NAMESPACE = "Anomalake"


class Settings(NamedTuple):
    """The lake and its metric sets, and where to send notifications and alerts.

    `topic_arn` is the SNS topic for notifications; when it is empty, no notification is sent. `notify_score` is the
    lowest severity score (0 to 100) that sends one. `dashboard_url` may contain the placeholder `{metric_set}`.
    `queue_url` is the SQS queue to which the detector sends alerts; when it is empty, the detector files them itself.
    """

    store: Store
    metric_sets: tuple[MetricSet, ...]
    format: Format
    topic_arn: str = ""
    notify_score: float = 0
    dashboard_url: str = ""
    queue_url: str = ""


_NAMES = ("LAKE", "METRIC_SETS", "FORMAT", "TOPIC_ARN", "NOTIFY_SCORE", "DASHBOARD", "QUEUE_URL")


def load_settings(retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY) -> Settings:
    """Return the settings of the environment. They are read once in a process; the store uses the retry policy.

    Raises `RuntimeError` when a variable is missing or invalid.
    """
    return _parse_settings(tuple(os.environ.get(f"ANOMALAKE_{name}", "") for name in _NAMES), retry_policy)


@cache
def _parse_settings(values: tuple[str, ...], retry_policy: RetryPolicy) -> Settings:
    lake, folder, table_format, topic_arn, score, dashboard_url, queue_url = values
    if not lake or not folder:
        raise RuntimeError("set ANOMALAKE_LAKE (s3://bucket or a folder) and ANOMALAKE_METRIC_SETS (a folder)")
    if table_format not in ("", "parquet", "csv"):
        raise RuntimeError(f"ANOMALAKE_FORMAT is '{table_format}'; set it to parquet or csv")
    try:
        notify_score = float(score or 0)
    except ValueError:
        raise RuntimeError(f"ANOMALAKE_NOTIFY_SCORE is '{score}'; set it to a number from 0 to 100") from None
    return Settings(
        store=open_store(lake, retry_policy=retry_policy),
        metric_sets=metric_set_yaml.load_all(Path(folder)),
        format="csv" if table_format == "csv" else "parquet",
        topic_arn=topic_arn,
        notify_score=notify_score,
        dashboard_url=dashboard_url,
        queue_url=queue_url,
    )


reset = _parse_settings.cache_clear  # the next call of `load_settings` reads the environment again
