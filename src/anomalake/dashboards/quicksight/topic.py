"""The topic of a metric set, for questions in words. Pure.

A topic has datasets, and the names, synonyms, roles and aggregations of their columns. A ratio is a calculated field,
because it is a ratio of sums over several series.
"""

from collections import Counter
from typing import Any, NamedTuple

from anomalake.catalog import views
from anomalake.catalog.views import View
from anomalake.cloudformation import ACCOUNT_ID, PREFIX_PLACEHOLDER, Node, fn_sub
from anomalake.dashboards import definition
from anomalake.dashboards.definition import LIVE, LOG
from anomalake.dashboards.definition.calculated_fields import (
    build_ratio_fields,
    name_anomalous_ratio,
    name_live_ratio,
)
from anomalake.dashboards.definition.fields import ROLL_UP_FUNCTIONS
from anomalake.dashboards.quicksight.ids import dataset_arn, resource_id
from anomalake.domain.metric_set import Measure, MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES

_DATASET_NAMES = {LIVE: "Live data and anomalies", LOG: "Events"}


class _ColumnTerms(NamedTuple):
    """What people call a column, and how its values add up; a dimension has no aggregation."""

    friendly_name: str
    synonyms: tuple[str, ...]
    aggregation: str | None


# Columns that every metric set has.
_COMMON_COLUMNS = {
    "localtimestamp": _ColumnTerms("Time", ("when", "date", "hour", "day", "moment"), None),
    "metricname": _ColumnTerms("Measure", ("metric", "indicator"), None),
    "severity": _ColumnTerms("Severity", ("how bad", "seriousness", "level"), None),
    "direction": _ColumnTerms("Direction", ("above or below", "up or down", "higher or lower"), None),
    "source": _ColumnTerms("Source", ("service", "reported by"), None),
    "rootcause": _ColumnTerms("Root cause", ("cause", "reason", "why"), None),
    "feedback": _ColumnTerms("Feedback", ("wanted", "what people said"), None),
    "eventid": _ColumnTerms("Event", ("anomaly", "incident", "anomalies", "events"), "DISTINCT_COUNT"),
    "groupscore": _ColumnTerms("Score", ("severity score", "anomaly score"), "MAX"),
    "affectedseries": _ColumnTerms("Affected series", ("number of series", "how many series"), "MAX"),
    "isanomaly": _ColumnTerms("Is anomalous", ("anomalous", "abnormal", "unusual"), None),
    "haslive": _ColumnTerms("Has live data", ("live",), None),
}
# Columns of each measure, by the suffix of their name; {} stands for the measure. None: the aggregation is the
# measure's own.
_MEASURE_COLUMNS = {
    "AnomalyMetricValue": _ColumnTerms("anomalous value", ("anomalous {}", "abnormal {}", "unusual {}"), None),
    "GroupScore": _ColumnTerms("anomaly score", ("{} severity",), "MAX"),
    "ExpectedValue": _ColumnTerms("expected", ("expected {}", "normal {}", "usual {}"), None),
    "LowerBound": _ColumnTerms("lower bound", ("lowest expected {}",), None),
    "UpperBound": _ColumnTerms("upper bound", ("highest expected {}",), None),
}


def build_topic(metric_set: MetricSet) -> Node:
    """Return the resource of the metric set's topic, over its live data with anomalies and its events."""
    views_by_name = {view.name: view for view in views.views_of_set(metric_set, PREFIX_PLACEHOLDER, "parquet")}
    title, ratios = metric_set.title, build_topic_ratios(metric_set)
    datasets: list[dict[str, Any]] = [
        {
            "DatasetArn": dataset_arn(metric_set, view),
            "DatasetName": name,
            "DatasetDescription": views_by_name[view].comment[:256],
            "Columns": build_topic_columns(views_by_name[view], metric_set),
            **({"CalculatedFields": ratios} if view == LIVE and ratios else {}),
            "DataAggregation": {
                "DatasetRowDateGranularity": definition.finest_granularity(metric_set),
                "DefaultDateColumnName": definition.TIME,
            },
        }
        for view, name in _DATASET_NAMES.items()
    ]
    return {
        "Type": "AWS::QuickSight::Topic",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "TopicId": fn_sub(resource_id(metric_set)),
            "Name": title[:128],
            "Description": f"Ask about {title}: its values, its anomalies, its events."[:256],
            "UserExperienceVersion": "NEW_READER_EXPERIENCE",
            "FolderArns": [{"Ref": "FolderArn"}],
            "DataSets": datasets,
        },
    }


def build_topic_columns(view: View, metric_set: MetricSet) -> list[dict[str, Any]]:
    """Return the columns of the view that people ask about, in the order of the view.

    The friendly names differ without regard to case: a name that occurs again is followed by the column's name in
    parentheses.
    """
    terms_by_column = _collect_terms(metric_set)
    columns, used_names = [], set[str]()
    for column in view.columns:
        terms = terms_by_column.get(column.name)
        if terms is None:
            continue
        topic_column = _build_column(column.name, terms)
        if terms.friendly_name.lower() in used_names:
            topic_column["ColumnFriendlyName"] = f"{terms.friendly_name} ({column.name})"
        used_names.add(topic_column["ColumnFriendlyName"].lower())
        columns.append({**topic_column, "ColumnDescription": column.comment[:500]})
    return columns


def build_topic_ratios(metric_set: MetricSet) -> list[dict[str, Any]]:
    """Return the calculated fields of the ratios in the live data, and of their anomalous values.

    Where another measure or a dimension has the same title, the name is followed by the measure's name in parentheses.
    """
    expressions = {field["Name"]: field["Expression"] for field in build_ratio_fields(metric_set)}
    titles = Counter(item.title.lower() for item in (*metric_set.dimensions, *metric_set.measures))
    fields = []
    for measure in metric_set.measures:
        if measure.aggregation != "RATIO":
            continue
        addition = f" ({measure.name})" if titles[measure.title.lower()] > 1 else ""
        for name, terms in (
            (name_live_ratio(measure), _live_terms(measure)),
            (name_anomalous_ratio(measure), _terms_of_suffix(measure, "AnomalyMetricValue", None)),
        ):
            fields.append(
                {
                    "CalculatedFieldName": terms.friendly_name + addition,
                    "CalculatedFieldDescription": f"{terms.friendly_name}: the ratio of sums over several series",
                    "CalculatedFieldSynonyms": list(terms.synonyms),
                    "ColumnDataRole": "MEASURE",
                    "Expression": expressions[name],
                    "IsIncludedInTopic": True,
                }
            )
    return fields


def _collect_terms(metric_set: MetricSet) -> dict[str, _ColumnTerms]:
    """Return the terms of every column by the name of the column."""
    terms = dict(_COMMON_COLUMNS)
    for dimension in metric_set.dimensions:
        terms[dimension.name.lower()] = _ColumnTerms(dimension.title, (dimension.name,), None)
    for measure in metric_set.measures:
        terms |= _collect_measure_terms(measure)
    return terms


def _collect_measure_terms(measure: Measure) -> dict[str, _ColumnTerms]:
    aggregation = ROLL_UP_FUNCTIONS.get(measure.aggregation)
    terms = {
        (measure.name + suffix).lower(): _terms_of_suffix(measure, suffix, aggregation or "AVERAGE")
        for suffix in ANOMALY_COLUMN_SUFFIXES
        if suffix in _MEASURE_COLUMNS
    }
    if aggregation is None:  # `build_topic_ratios` has the calculated fields
        del terms[f"{measure.name}AnomalyMetricValue".lower()]
        return terms
    return {measure.name.lower(): _live_terms(measure)._replace(aggregation=aggregation), **terms}


def _live_terms(measure: Measure) -> _ColumnTerms:
    in_unit = (f"{measure.title} in {measure.short_unit}",) if measure.unit else ()
    return _ColumnTerms(measure.title, (measure.name, *in_unit), None)


def _terms_of_suffix(measure: Measure, suffix: str, aggregation: str | None) -> _ColumnTerms:
    """Return the terms of a column of the measure's anomalies; `aggregation` is the measure's own."""
    column = _MEASURE_COLUMNS[suffix]
    synonyms = tuple(synonym.format(measure.title.lower()) for synonym in column.synonyms)
    return _ColumnTerms(f"{measure.title}: {column.friendly_name}", synonyms, column.aggregation or aggregation)


def _build_column(name: str, terms: _ColumnTerms) -> dict[str, Any]:
    role = (
        {"ColumnDataRole": "MEASURE", "Aggregation": terms.aggregation}
        if terms.aggregation
        else {"ColumnDataRole": "DIMENSION"}
    )
    return {
        "ColumnName": name,
        "ColumnFriendlyName": terms.friendly_name,
        "ColumnSynonyms": [synonym for synonym in terms.synonyms if synonym.lower() != terms.friendly_name.lower()],
        "IsIncludedInTopic": True,
        **role,
    }
