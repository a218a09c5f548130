"""Where things lie in the lake: every key is made here (docs/lake.md)."""

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
# The table that Athena knows each folder of results as.
GLUE_TABLE_NAMES: dict[Table, str] = {
    "metricValue_AnomalyScore": "metricvalue_anomalyscore",
    "dimensionContributions": "dimensioncontributions",
    "anomalyGroups": "anomalygroups",
    "observations": "observations",
    "dataHealth": "datahealth",
}

DETECTOR_TABLES: tuple[Table, ...] = (
    "observations",
    "dataHealth",
)  # the detector's own, which no alert holds; days that are over become one object


def detect_format(store: Store, sets: Iterable[MetricSet]) -> Format | None:
    """The format of the sets' tables, else of what else the lake holds (an older version, another set); None where that does not tell.

    Tables in both are a `UserError`: a replay that was cut short left them, or writers of different formats.
    """
    found = _list_formats(store, [table_folder(table, item) for item in sets for table in GLUE_TABLE_NAMES])
    if len(found) > 1:
        raise UserError(
            "the lake holds tables in both formats; `anomalake replay --format parquet` (or csv) makes them one"
        )
    found = found or _list_formats(store, [RESULTS_FOLDER])
    return found.pop() if len(found) == 1 else None


def _list_formats(store: Store, folders: Iterable[str]) -> set[Format]:
    suffixes = {key.rpartition(".")[2] for name in folders for key in store.list(name)}
    return {form for form in FORMATS if form in suffixes}


def utc_date(instant: datetime) -> str:
    """The UTC date, as partitions are named."""
    return f"{instant:%Y-%m-%d}"


def table_folder(table: Table, metric_set: MetricSet) -> str:
    """The table's data for one metric set, without a closing slash."""
    return f"{RESULTS_FOLDER}/{table}/{metric_set.path}"


def table_key(table: Table, metric_set: MetricSet, instant: datetime, form: Format) -> str:
    """The object that holds a table's rows of one interval."""
    return f"{table_folder(table, metric_set)}/date={utc_date(instant)}/{instant:%Y-%m-%dT%H%MZ}.{form}"


def day_folder(table: Table, metric_set: MetricSet, day: str) -> str:
    """A table's objects of one UTC day."""
    return f"{table_folder(table, metric_set)}/date={day}"


def parse_interval_key(key: str) -> tuple[datetime, Format] | None:
    """The interval (naive UTC) and the format of an object that `table_key` named; None for any other."""
    match = _INTERVAL_KEY.fullmatch(key)
    if match is None:
        return None
    return datetime.strptime(match[1], "%Y-%m-%dT%H%MZ"), "csv" if match[2] == "csv" else "parquet"


def date_in_key(key: str) -> str:
    """The UTC date of the folder that the object lies in, empty where it lies in none."""
    match = _DATE_FOLDER.search(key)
    return match[1] if match else ""


def day_key(table: Table, metric_set: MetricSet, day: str, form: Format) -> str:
    """The object that holds a table's rows of one whole UTC day."""
    return f"{day_folder(table, metric_set, day)}/{day}.{form}"


def compaction_folder(metric_set: MetricSet) -> str:
    """Which days are on their way into one object."""
    return f"{RESULTS_FOLDER}/compaction/{metric_set.path}"


def compaction_key(metric_set: MetricSet) -> str:
    """The one object of `compaction_folder`."""
    return f"{compaction_folder(metric_set)}/days.jsonl"


def archive_folder(name: str) -> str:
    """The alerts of every version of the metric set of that name."""
    return f"{ARCHIVE_FOLDER}/{name}"


def archive_day_folder(name: str, version: int, day: str) -> str:
    """The alerts of one version and UTC date."""
    return f"{archive_folder(name)}/v{version}/date={day}"


def archive_key(metric_set: MetricSet, day: str, digest: str) -> str:
    """The alerts of one batch and date, as received."""
    return f"{archive_day_folder(metric_set.name, metric_set.version, day)}/{digest}.jsonl"


def parse_archive_key(key: str) -> tuple[int, str] | None:
    """The version of a metric set, and the UTC date, that `archive_key` named an object for; None for any other."""
    match = _ARCHIVE_KEY.fullmatch(key)
    return (int(match["version"]), match["day"]) if match else None


def notification_key(metric_set: MetricSet, instant: datetime, digest: str) -> str:
    """The marker of an event that people were told of."""
    return f"notifications/{metric_set.path}/date={utc_date(instant)}/{digest}.json"


def state_key(metric_set: MetricSet) -> str:
    """The head of what the detector remembers; it names the shards."""
    return f"{_state_folder(metric_set)}/state.json"


def shard_key(metric_set: MetricSet, name: str) -> str:
    """A part of what the detector remembers."""
    return f"{_state_folder(metric_set)}/shards/{name}.npz"


def _state_folder(metric_set: MetricSet) -> str:
    return f"detector/{metric_set.path}"


def feedback_folder(metric_set: MetricSet) -> str:
    """What people said of events."""
    return f"{FEEDBACK_FOLDER}/{metric_set.path}"


def feedback_key(metric_set: MetricSet, name: str) -> str:
    """One marking of an event or of series."""
    return f"{feedback_folder(metric_set)}/{name}.json"


def lease_key(metric_set: MetricSet) -> str:
    """Who runs the detector now, and until when."""
    return f"{_state_folder(metric_set)}/running.json"


def quarantine_key(digest: str) -> str:
    """An event that was not understood."""
    return f"{QUARANTINE_FOLDER}/{digest}.json"
