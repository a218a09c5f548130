"""The keys of all objects in the lake (docs/lake.md). Every key is built and parsed here."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.store import Store

Format = Literal["parquet", "csv"]
Table = Literal["metricValue_AnomalyScore", "dimensionContributions", "anomalyGroups", "observations", "dataHealth"]

FORMATS: tuple[Format, ...] = ("parquet", "csv")
RESULTS_FOLDER, QUARANTINE_FOLDER, ARCHIVE_FOLDER, FEEDBACK_FOLDER = (
    "anomalyResults",
    "quarantine",
    "alerts",
    "feedback",
)
_ARCHIVE_KEY = re.compile(ARCHIVE_FOLDER + r"/[^/]+/v(?P<version>\d+)/date=(?P<day>\d{4}-\d\d-\d\d)/[0-9a-f]+\.jsonl")
_INTERVAL_KEY = re.compile(r".*/date=\d{4}-\d\d-\d\d/(\d{4}-\d\d-\d\dT\d{4}Z)\.(parquet|csv)")
_DATE_FOLDER = re.compile(r"/date=(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))/")
# The Glue name of each table.
GLUE_TABLE_NAMES: dict[Table, str] = {
    "metricValue_AnomalyScore": "metricvalue_anomalyscore",
    "dimensionContributions": "dimensioncontributions",
    "anomalyGroups": "anomalygroups",
    "observations": "observations",
    "dataHealth": "datahealth",
}

# The tables that the detector writes. The archive holds no alerts for them. The objects of a past day are compacted
# into one.
DETECTOR_TABLES: tuple[Table, ...] = ("observations", "dataHealth")


def detect_format(store: Store, sets: Iterable[MetricSet]) -> Format | None:
    """Return the format of the tables of these metric sets, or else of other tables in the lake (an older version,
    another metric set).

    Return None if the lake holds no tables, or other tables in both formats. Raise `UserError` if the tables of these
    metric sets are in both formats: a replay was interrupted, or writers use different formats.
    """
    formats = _list_formats(store, [table_folder(table, item) for item in sets for table in GLUE_TABLE_NAMES])
    if len(formats) > 1:
        raise UserError(
            "the lake holds tables in both formats; convert them with `anomalake replay --format parquet` (or csv)"
        )
    formats = formats or _list_formats(store, [RESULTS_FOLDER])
    return formats.pop() if len(formats) == 1 else None


def _list_formats(store: Store, folders: Iterable[str]) -> set[Format]:
    suffixes = {key.rpartition(".")[2] for name in folders for key in store.list(name)}
    return {table_format for table_format in FORMATS if table_format in suffixes}


def utc_date(instant: datetime) -> str:
    """Return the date as a partition names it, for example 2021-02-17."""
    return f"{instant:%Y-%m-%d}"


def table_folder(table: Table, metric_set: MetricSet) -> str:
    """Return the folder of a table and metric set, without a trailing slash."""
    return f"{RESULTS_FOLDER}/{table}/{metric_set.path}"


def table_key(table: Table, metric_set: MetricSet, instant: datetime, table_format: Format) -> str:
    """Return the key of a table's rows of one interval (naive UTC)."""
    return f"{table_folder(table, metric_set)}/date={utc_date(instant)}/{instant:%Y-%m-%dT%H%MZ}.{table_format}"


def day_folder(table: Table, metric_set: MetricSet, day: str) -> str:
    """Return the folder of a table's objects of one UTC day."""
    return f"{table_folder(table, metric_set)}/date={day}"


def parse_interval_key(key: str) -> tuple[datetime, Format] | None:
    """Return the interval (naive UTC) and the format of a key that `table_key` built; None for any other key."""
    match = _INTERVAL_KEY.fullmatch(key)
    if match is None:
        return None
    return datetime.strptime(match[1], "%Y-%m-%dT%H%MZ"), "csv" if match[2] == "csv" else "parquet"


def date_in_key(key: str) -> str:
    """Return the UTC date of the partition in the key; an empty string if the key has none."""
    match = _DATE_FOLDER.search(key)
    return match[1] if match else ""


def day_key(table: Table, metric_set: MetricSet, day: str, table_format: Format) -> str:
    """Return the key of a table's rows of one whole UTC day."""
    return f"{day_folder(table, metric_set, day)}/{day}.{table_format}"


def compaction_folder(metric_set: MetricSet) -> str:
    """Return the folder of the state of compaction."""
    return f"{RESULTS_FOLDER}/compaction/{metric_set.path}"


def compaction_key(metric_set: MetricSet) -> str:
    """Return the key of the list of days that are being compacted."""
    return f"{compaction_folder(metric_set)}/days.jsonl"


def archive_folder(name: str) -> str:
    """Return the folder of the archived alerts of all versions of a metric set."""
    return f"{ARCHIVE_FOLDER}/{name}"


def archive_day_folder(name: str, version: int, day: str) -> str:
    """Return the folder of the archived alerts of one version and UTC date."""
    return f"{archive_folder(name)}/v{version}/date={day}"


def archive_key(metric_set: MetricSet, day: str, digest: str) -> str:
    """Return the key of the archived alerts of one batch and date."""
    return f"{archive_day_folder(metric_set.name, metric_set.version, day)}/{digest}.jsonl"


def parse_archive_key(key: str) -> tuple[int, str] | None:
    """Return the version of the metric set and the date of a key that `archive_key` built; None for any other key."""
    match = _ARCHIVE_KEY.fullmatch(key)
    return (int(match["version"]), match["day"]) if match else None


def notification_key(metric_set: MetricSet, instant: datetime, digest: str) -> str:
    """Return the key of the marker that a notification about an event was sent."""
    return f"notifications/{metric_set.path}/date={utc_date(instant)}/{digest}.json"


def state_key(metric_set: MetricSet) -> str:
    """Return the key of the detector's state, which names the shards."""
    return f"{_state_folder(metric_set)}/state.json"


def shard_key(metric_set: MetricSet, name: str) -> str:
    """Return the key of one shard of the detector's state."""
    return f"{_state_folder(metric_set)}/shards/{name}.npz"


def _state_folder(metric_set: MetricSet) -> str:
    return f"detector/{metric_set.path}"


def feedback_folder(metric_set: MetricSet) -> str:
    """Return the folder of the feedback for a metric set."""
    return f"{FEEDBACK_FOLDER}/{metric_set.path}"


def feedback_key(metric_set: MetricSet, name: str) -> str:
    """Return the key of one feedback entry for an event or for series."""
    return f"{feedback_folder(metric_set)}/{name}.json"


def lease_key(metric_set: MetricSet) -> str:
    """Return the key of the lease, which says which run of the detector is active and until when."""
    return f"{_state_folder(metric_set)}/running.json"


def top_values_key(metric_set: MetricSet) -> str:
    """Return the key of the values that `top` keeps of the dimensions."""
    return f"topValues/{metric_set.path}/values.jsonl"


def quarantine_key(digest: str) -> str:
    """Return the key of a message that could not be parsed."""
    return f"{QUARANTINE_FOLDER}/{digest}.json"
