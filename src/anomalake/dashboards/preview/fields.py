"""Reads the field wells of a visual, and describes the data that the visual needs."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

GRANULARITIES = ("DAY", "HOUR", "MINUTE", "MONTH", "QUARTER", "YEAR")
AGGREGATIONS = ("AVERAGE", "COUNT", "DISTINCT_COUNT", "MAX", "MIN", "SUM")
CALCULATED = "CALCULATED"  # stands for the aggregation of a calculated field whose expression aggregates


class GroupField(NamedTuple):
    """A field that rows are grouped by; a time field has a granularity."""

    column: str
    granularity: str | None


class ValueField(NamedTuple):
    """A field that is aggregated, by one of `AGGREGATIONS` or `CALCULATED`."""

    column: str
    aggregation: str
    expression: str = ""  # the SQL to aggregate, where it is not the column itself


class Part(NamedTuple):
    """One table of a visual's data: a row for each combination of the groups, with the values."""

    name: str
    groups: tuple[GroupField, ...]
    values: tuple[ValueField, ...]


class Drawing(NamedTuple):
    """What a visual needs: its dataset, the tables of its data, and how the page draws them."""

    dataset: str
    parts: tuple[Part, ...]
    look: dict[str, Any]
    order: str = ""  # ORDER BY of a table's rows

    @property
    def groups(self) -> list[GroupField]:
        """The grouping fields of all parts."""
        return [group for part in self.parts for group in part.groups]

    @property
    def values(self) -> list[ValueField]:
        """The aggregated fields of all parts."""
        return [value for part in self.parts for value in part.values]


class FieldWells:
    """The fields of a visual by well; all are of one dataset.

    Raises `ValueError` for fields of several datasets, and for an unknown kind of field, aggregation or granularity.
    """

    def __init__(self, wells: Mapping[str, Any]) -> None:
        self.fields: dict[str, list[tuple[str, GroupField | ValueField]]] = {}
        datasets = []
        for well, items in wells.items():
            self.fields[well] = []
            for item in items:
                field_id, dataset, field = _read_field(item)
                self.fields[well].append((field_id, field))
                datasets.append(dataset)
        self.dataset = require_one_dataset(datasets)

    def groups(self, well: str) -> tuple[GroupField, ...]:
        """Return the grouping fields of the well, in order."""
        return tuple(field for _, field in self.fields.get(well, ()) if isinstance(field, GroupField))

    def values(self, well: str) -> tuple[ValueField, ...]:
        """Return the aggregated fields of the well, in order."""
        return tuple(field for _, field in self.fields.get(well, ()) if isinstance(field, ValueField))

    def single_group(self, well: str) -> GroupField:
        """Return the grouping field of a well that has exactly one; raises `ValueError` otherwise."""
        return _require_one(self.groups(well), well)

    def single_value(self, well: str) -> ValueField:
        """Return the aggregated field of a well that has exactly one; raises `ValueError` otherwise."""
        return _require_one(self.values(well), well)

    def field_ids(self, well: str) -> list[str]:
        """Return the ids of the well's fields, in order."""
        return [field_id for field_id, _ in self.fields.get(well, ())]


_Field = TypeVar("_Field", GroupField, ValueField)


def require_one_dataset(datasets: list[str]) -> str:
    """Return the dataset that all fields have; raises `ValueError` for none or several."""
    distinct = set(datasets)
    if len(distinct) != 1:
        raise ValueError(f"its fields are of {len(distinct)} datasets; a visual requires fields of one dataset")
    return distinct.pop()


def _require_one(fields: tuple[_Field, ...], well: str) -> _Field:
    if len(fields) != 1:
        raise ValueError(f"its field well {well} has {len(fields)} fields; the preview draws one")
    return fields[0]


def _read_field(item: Mapping[str, Any]) -> tuple[str, str, GroupField | ValueField]:
    """Return the field's id, its dataset, and the field."""
    ((kind, body),) = item.items()
    column = body["Column"]["ColumnName"]
    field: GroupField | ValueField
    match kind:
        case "CategoricalDimensionField" | "NumericalDimensionField":
            field = GroupField(column, None)
        case "DateDimensionField":
            field = GroupField(column, body.get("DateGranularity", "DAY"))
        case "NumericalMeasureField":
            function = body.get("AggregationFunction")
            field = ValueField(column, function["SimpleNumericalAggregation"] if function else CALCULATED)
        case "CategoricalMeasureField":
            field = ValueField(column, body["AggregationFunction"])
        case _:
            raise ValueError(f"the preview does not support a {kind}")
    if isinstance(field, ValueField) and field.aggregation not in (*AGGREGATIONS, CALCULATED):
        raise ValueError(
            f"the preview does not support the aggregation {field.aggregation}; it supports {', '.join(AGGREGATIONS)}"
        )
    if isinstance(field, GroupField) and field.granularity not in (None, *GRANULARITIES):
        raise ValueError(
            f"the preview does not support the granularity {field.granularity}; it supports {', '.join(GRANULARITIES)}"
        )
    return body["FieldId"], body["Column"]["DataSetIdentifier"], field


def describe_error(error: Exception) -> str:
    """Return what is wrong with a part of the definition that could not be read."""
    return f"it has no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
