"""Names of metric sets and columns: which are allowed, which are reserved, and how other text becomes a valid name."""

import re

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,40}")
COLUMN_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}")

# Folders that Anomalake itself writes to (lake.layout). Live data in one of them would expire, or be read as results.
LAKE_FOLDERS = frozenset(
    (
        "anomalyResults alerts quarantine detector feedback notifications topValues athena-results backfill metric_sets"
    ).split()
)

# Columns that the tables and views add to the columns of the metric set, in lower case. A dimension or measure cannot
# have one of these names.
GENERATED_COLUMNS = frozenset(
    (
        "key timestamp localtimestamp date utcday slot isanomaly haslive metricset metricname dimensions "
        "dimensionname dimensionvalue valuecontribution contributionshare groupscore severity direction "
        "affectedseries eventid anomalygroupid alerteventid alertname detectorarn source consoleurl rootcause "
        "reportid reportedat eventrank value expectedvalue lowerbound upperbound score weight"
    ).split()
)
# The columns of the anomaly table for each measure are named `<measure><suffix>`. The views show all of them except the
# id of the report.
ANOMALY_COLUMN_SUFFIXES = ("AnomalyMetricValue", "GroupScore", "ExpectedValue", "LowerBound", "UpperBound", "EventId")
REPORT_ID_SUFFIX = "ReportId"


def to_metric_set_name(text: str) -> str:
    """Return a valid metric set name made from other text, such as a file name.

    It is in lower case, with `_` for other characters, and has at most 41 characters.
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).lstrip("_0123456789")[:41].rstrip("_") or "metrics"


def to_column_name(text: str) -> str:
    """Return a valid dimension or measure name made from another service's name.

    `_` replaces each character that a column name cannot contain, and is added to the name of a generated column.
    """
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", text).lstrip("_-")[:63] or "unnamed"
    return f"{name}_" if name.lower() in GENERATED_COLUMNS else name
