"""Names of metric sets and columns: which are allowed, which are taken, and how to derive them from other text."""

import re

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,40}")
COLUMN_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}")

# What the lake writes itself lies in these (lake.layout); live data among it would be expired, or read as results.
LAKE_FOLDERS = frozenset(
    "anomalyResults alerts quarantine detector feedback notifications athena-results backfill metric_sets".split()
)

# Columns that the tables and views add to those of the metric set, lower-cased; names may not collide with them.
GENERATED_COLUMNS = frozenset(
    "key timestamp localtimestamp date utcday slot isanomaly haslive metricset metricname dimensions dimensionname dimensionvalue valuecontribution "
    "contributionshare groupscore severity direction affectedseries eventid anomalygroupid alerteventid alertname detectorarn source consoleurl "
    "rootcause reportid reportedat eventrank value expectedvalue lowerbound upperbound score".split()
)
# What the anomaly table holds of each measure: `<measure><suffix>`; the views show all but the id of the report.
ANOMALY_COLUMN_SUFFIXES = ("AnomalyMetricValue", "GroupScore", "ExpectedValue", "LowerBound", "UpperBound", "EventId")
REPORT_ID_SUFFIX = "ReportId"


def to_metric_set_name(text: str) -> str:
    """A metric set's name made of somebody's words (a file's name, another service's): lower case, `_` for what a name may not hold, 41 at most."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).lstrip("_0123456789")[:41].rstrip("_") or "metrics"


def to_column_name(text: str) -> str:
    """A dimension's or measure's name made of another service's: `_` for what a column may not hold, and behind a generated column's name."""
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", text).lstrip("_-")[:63] or "unnamed"
    return f"{name}_" if name.lower() in GENERATED_COLUMNS else name
