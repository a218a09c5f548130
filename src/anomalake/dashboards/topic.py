"""What QuickSight's topics know of a dataset's columns: friendly names, synonyms, roles and how they add up. Pure."""

from typing import Any

from anomalake.catalog.views import View
from anomalake.domain.metric_set import ANOMALY_COLUMN_SUFFIXES, MetricSet

# Columns that every metric set has: friendly name, synonyms, aggregation (None: a dimension).
_COMMON: dict[str, tuple[str, tuple[str, ...], str | None]] = {
    "localtimestamp": ("Time", ("when", "date", "hour", "day", "moment"), None),
    "metricname": ("Measure", ("metric", "indicator"), None),
    "severity": ("Severity", ("how bad", "seriousness", "level"), None),
    "direction": ("Direction", ("above or below", "up or down", "higher or lower"), None),
    "source": ("Source", ("service", "reported by"), None),
    "rootcause": ("Root cause", ("cause", "reason", "why"), None),
    "feedback": ("Feedback", ("wanted", "what people said"), None),
    "eventid": ("Event", ("anomaly", "incident", "anomalies", "events"), "DISTINCT_COUNT"),
    "groupscore": ("Score", ("severity score", "anomaly score"), "MAX"),
    "affectedseries": ("Affected series", ("number of series", "how many series"), "MAX"),
    "isanomaly": ("Is anomalous", ("anomalous", "abnormal", "unusual"), None),
    "haslive": ("Has live data", ("live",), None),
}
_OF_MEASURE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "AnomalyMetricValue": ("anomalous value", ("anomalous {}", "abnormal {}", "unusual {}"), ""),
    "GroupScore": ("anomaly score", ("{} severity",), "MAX"),
    "ExpectedValue": ("expected", ("expected {}", "normal {}", "usual {}"), ""),
    "LowerBound": ("lower bound", ("lowest expected {}",), ""),
    "UpperBound": ("upper bound", ("highest expected {}",), ""),
}


def columns(view: View, metric_set: MetricSet) -> list[dict[str, Any]]:
    """The view's columns as a topic has them, those that people ask for; the names are different without regard to case."""
    known: dict[str, dict[str, Any]] = {}
    for name, common in _COMMON.items():
        known[name] = _column(name, *common)
    for dimension in metric_set.dimensions:
        known[dimension.name.lower()] = _column(dimension.name.lower(), dimension.title, (dimension.name,), None)
    for measure in metric_set.measures:
        label, how = measure.title, {"SUM": "SUM", "AVG": "AVERAGE"}[measure.aggregation]
        in_unit = (f"{label} in {measure.short_unit}",) if measure.unit else ()
        known[measure.name.lower()] = _column(measure.name.lower(), label, (measure.name, *in_unit), how)
        for suffix in ANOMALY_COLUMN_SUFFIXES:
            if suffix in _OF_MEASURE:
                friendly, asked, aggregation = _OF_MEASURE[suffix]
                name = (measure.name + suffix).lower()
                known[name] = _column(
                    name, f"{label}: {friendly}", tuple(one.format(label.lower()) for one in asked), aggregation or how
                )
    made, taken = [], set[str]()
    for column in view.columns:
        if (found := known.get(column.name)) is not None:
            if found["ColumnFriendlyName"].lower() in taken:  # two labels may be one
                found["ColumnFriendlyName"] = f"{found['ColumnFriendlyName']} ({column.name})"
            taken.add(found["ColumnFriendlyName"].lower())
            made.append({**found, "ColumnDescription": column.comment[:500]})
    return made


def _column(name: str, friendly: str, synonyms: tuple[str, ...], aggregation: str | None) -> dict[str, Any]:
    role = {"ColumnDataRole": "MEASURE", "Aggregation": aggregation} if aggregation else {"ColumnDataRole": "DIMENSION"}
    told = [synonym for synonym in synonyms if synonym.lower() != friendly.lower()]
    return {
        "ColumnName": name,
        "ColumnFriendlyName": friendly,
        "ColumnSynonyms": told,
        "IsIncludedInTopic": True,
        **role,
    }
