"""The reference for the ingest of Anomalake: a pandas read-modify-write of two CSV objects for each alert, as in a
well-known sample.

It is implemented from the description of the sample. The objects are read, changed and written without a condition, so
the first of two concurrent writes is lost. Contributions are appended, so an alert that is delivered again duplicates
its rows. The unnecessary costs of the sample are omitted: the client is created once, and no other service is called.
"""

import io
import json
from collections.abc import Callable
from typing import Any

import pandas as pd

VALUES, CONTRIBUTIONS = "anomalyResults/metricValue_AnomalyScore", "anomalyResults/dimensionContributions"


def file(client: Any, bucket: str, body: str) -> None:
    """Write one alert to the two objects of its timestamp."""
    alert = json.loads(body)
    metric, timestamp = alert["impactedMetric"], alert["timestamp"]
    measure = metric["metricName"]
    values = []
    for series in metric["relevantTimeSeries"]:
        dimensions = {dimension["dimensionName"]: dimension["dimensionValue"] for dimension in series["dimensions"]}
        cells = {f"{measure}AnomalyMetricValue": series["metricValue"], f"{measure}GroupScore": alert["anomalyScore"]}
        values.append({"key": "_".join(dimensions.values()), "timestamp": timestamp, **dimensions, **cells})
    shares = [
        {"timestamp": timestamp, "metricName": measure, "dimensionName": dimension["dimensionName"], **share}
        for dimension in metric["dimensionContribution"]
        for share in dimension["dimensionValueContributions"]
    ]
    _update(client, bucket, f"{VALUES}/{timestamp}.csv", pd.DataFrame(values), _filled)
    _update(
        client,
        bucket,
        f"{CONTRIBUTIONS}/{timestamp}.csv",
        pd.DataFrame(shares),
        lambda known, arrived: pd.concat([known, arrived]),
    )


def _filled(known: pd.DataFrame, arrived: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each series, with the last value of each column that is not empty. It needs half the time of
    `combine_first`.
    """
    return pd.concat([known, arrived]).groupby("key", as_index=False).last()


def _update(
    client: Any,
    bucket: str,
    key: str,
    arrived: pd.DataFrame,
    change: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame],
) -> None:
    try:
        known = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.NoSuchKey:
        table = arrived
    else:
        table = change(pd.read_csv(io.BytesIO(known)), arrived)
    client.put_object(Bucket=bucket, Key=key, Body=table.to_csv(index=False).encode())
