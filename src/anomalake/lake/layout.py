"""Where things lie in the lake: every key is made here (docs/lake.md)."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from anomalake.metric_set import MetricSet

Format = Literal["parquet", "csv"]
Table = Literal["metricValue_AnomalyScore", "dimensionContributions", "anomalyGroups", "observations"]

RESULTS = "anomalyResults"
# The table that Athena knows each folder of results as.
GLUE_NAMES: dict[Table, str] = {
    "metricValue_AnomalyScore": "metricvalue_anomalyscore",
    "dimensionContributions": "dimensioncontributions",
    "anomalyGroups": "anomalygroups",
    "observations": "observations",
}


def format_of(root: Path) -> Format | None:
    """The format of the tables in a lake's folder; None where there are none yet."""
    for path in (root / RESULTS).rglob("*.*"):
        if path.suffix == ".parquet":
            return "parquet"
        if path.suffix == ".csv":
            return "csv"
    return None


def date(instant: datetime) -> str:
    """The UTC date, as partitions are named."""
    return f"{instant:%Y-%m-%d}"


def folder(table: Table, metric_set: MetricSet) -> str:
    """The table's data for one metric set, without a closing slash."""
    return f"{RESULTS}/{table}/{metric_set.path}"


def table_key(table: Table, metric_set: MetricSet, instant: datetime, form: Format) -> str:
    """The object that holds a table's rows of one interval."""
    return f"{folder(table, metric_set)}/date={date(instant)}/{instant:%Y-%m-%dT%H%MZ}.{form}"


def day_key(table: Table, metric_set: MetricSet, day: str, form: Format) -> str:
    """The object that holds a table's rows of one whole UTC day."""
    return f"{folder(table, metric_set)}/date={day}/{day}.{form}"


def archive_key(metric_set: MetricSet, day: str, digest: str) -> str:
    """The alerts of one batch and date, as received."""
    return f"alerts/{metric_set.path}/date={day}/{digest}.jsonl"


def notification_key(metric_set: MetricSet, instant: datetime, digest: str) -> str:
    """The marker of an event that people were told of."""
    return f"notifications/{metric_set.path}/date={date(instant)}/{digest}.json"


def state_key(metric_set: MetricSet) -> str:
    """What the detector remembers."""
    return f"detector/{metric_set.path}/state.npz"


def lease_key(metric_set: MetricSet) -> str:
    """Who runs the detector now, and until when."""
    return f"detector/{metric_set.path}/running.json"


def quarantine_key(digest: str) -> str:
    """An event that was not understood."""
    return f"quarantine/{digest}.json"
