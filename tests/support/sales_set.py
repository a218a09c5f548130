"""A metric set with one measure and no dimensions, and live data for it."""

import json
from datetime import datetime, timedelta

import pandas as pd

from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout

NOW = datetime(2026, 3, 2, 12)


def sales_set(
    frequency: str = "P1D", zone: str = "UTC", *, unix: bool = False, aggregation: str = "SUM", offset: int = 0
) -> MetricSet:
    """Return a metric set with one measure and no dimensions."""
    form = "UNIX" if unix else "yyyy-MM-dd HH:mm:ss"
    folder = "{{yyyyMMdd}}" if frequency == "P1D" else "{{yyyyMMdd}}/{{HHmm}}"
    return metric_set_yaml.parse(
        f"name: sales\nfrequency: {frequency}\ntimezone: {zone}\ntimestamp: {{column: at, format: '{form}'}}\n"
        "dimensions: []\n"
        f"measures: [{{name: amount, aggregation: {aggregation}}}]\n"
        f"source: {{path: 'sales/live/{folder}', format: csv, columns: [at, amount], offset: {offset}}}\n",
        "sales.yaml",
    )


def write_rows(store, item: MetricSet, rows: dict[datetime, float]) -> None:
    """Write one row for each wall time."""
    frame = pd.DataFrame({"at": [f"{wall:%Y-%m-%d %H:%M:%S}" for wall in rows], "amount": list(rows.values())})
    write_live_data(frame, item, store)


def daily_rows(count: int, last: datetime, level: float = 1000) -> dict[datetime, float]:
    """Return values of `count` days up to `last`, which vary a little."""
    return {last - timedelta(days=back): level + 7 * (back * 37 % 11) for back in range(count)}


def alert_times(store) -> list[str]:
    """Return the timestamps of the alerts in the archive."""
    return [
        json.loads(json.loads(line)["body"])["timestamp"]
        for key in store.list(layout.ARCHIVE_FOLDER)
        for line in store.get(key).data.splitlines()
    ]
