"""Fields of a visual's field wells, as the QuickSight API describes them ("DimensionField", "MeasureField")."""

from anomalake.dashboards.definition.datasets import TIME, Node, build_column
from anomalake.domain.metric_set import Aggregation

# The aggregation of QuickSight that rolls up the values of several series. A ratio requires a calculated field, because
# it is a ratio of sums. The live data does not have the numbers of rows behind means, so that each mean counts once.
ROLL_UP_FUNCTIONS: dict[Aggregation, str] = {
    "SUM": "SUM",
    "COUNT": "SUM",
    "COUNT_DISTINCT": "SUM",
    "AVG": "AVERAGE",
    "MIN": "MIN",
    "MAX": "MAX",
}


def category_field(field_id: str, dataset: str, column: str) -> Node:
    """Return a field that groups rows by a text column."""
    return {"CategoricalDimensionField": {"FieldId": field_id, "Column": build_column(dataset, column)}}


def time_field(field_id: str, dataset: str, granularity: str) -> Node:
    """Return a field that groups rows by local time, in steps of the granularity."""
    return {
        "DateDimensionField": {
            "FieldId": field_id,
            "Column": build_column(dataset, TIME),
            "DateGranularity": granularity,
        }
    }


def number_field(field_id: str, dataset: str, column: str, aggregation: str = "SUM") -> Node:
    """Return a field that aggregates a numeric column by an aggregation of QuickSight."""
    return {
        "NumericalMeasureField": {
            "FieldId": field_id,
            "Column": build_column(dataset, column),
            "AggregationFunction": {"SimpleNumericalAggregation": aggregation},
        }
    }


def calculated_field(field_id: str, dataset: str, name: str) -> Node:
    """Return a calculated field whose expression aggregates; QuickSight rejects a second aggregation of the field."""
    return {
        "NumericalMeasureField": {"FieldId": field_id, "Column": {"DataSetIdentifier": dataset, "ColumnName": name}}
    }


def distinct_count_field(field_id: str, dataset: str, column: str) -> Node:
    """Return a field that counts the distinct values of a text column."""
    return {
        "CategoricalMeasureField": {
            "FieldId": field_id,
            "Column": build_column(dataset, column),
            "AggregationFunction": "DISTINCT_COUNT",
        }
    }


def field_id_of(field: Node) -> str:
    """Return the id of a field."""
    (body,) = field.values()
    field_id: str = body["FieldId"]
    return field_id
