"""Filter groups: the time window, the partitions to read, drop-down lists of dimensions, fixed filters of visuals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anomalake.dashboards.definition.calculated_fields import PARTITION_IN_WINDOW
from anomalake.dashboards.definition.datasets import LIVE, TIME, Node, build_column
from anomalake.dashboards.definition.ids import dimension_filter_id, join_names, measure_sheet_id
from anomalake.domain.metric_set import Dimension, MetricSet


class FixedFilter(NamedTuple):
    """A filter of one visual that the reader cannot change: the values that each column of the dataset can have."""

    group_id: str
    dataset: str
    allowed_values: Mapping[str, Sequence[str]]


def build_time_filters(first_dataset: str, datasets: Sequence[str]) -> list[Node]:
    """Return the filters of every sheet.

    Rows are between `From` and `Until`, and Athena reads only the partitions around that window. The time range is
    defined on `first_dataset` and applies to all datasets by the name of the column.
    """
    window = {
        "FilterId": "window-range",
        "Column": build_column(first_dataset, TIME),
        "IncludeMinimum": True,
        "IncludeMaximum": True,
        "NullOption": "NON_NULLS_ONLY",
        "TimeGranularity": "MINUTE",
        "RangeMinimumValue": {"Parameter": "From"},
        "RangeMaximumValue": {"Parameter": "Until"},
    }
    return [
        _on_all_sheets("window", "ALL_DATASETS", {"TimeRangeFilter": window}),
        *(_build_partition_filter(dataset, side) for dataset in datasets for side in PARTITION_IN_WINDOW),
    ]


def _build_partition_filter(dataset: str, side: str) -> Node:
    name, _ = PARTITION_IN_WINDOW[side]
    condition = {
        "FilterId": f"days-{side}-{dataset}",
        "Column": {"DataSetIdentifier": dataset, "ColumnName": name},
        "Value": 1,
        "MatchOperator": "EQUALS",
        "NullOption": "NON_NULLS_ONLY",
    }
    return _on_all_sheets(f"partitions-{side}-{dataset}", "SINGLE_DATASET", {"NumericEqualityFilter": condition})


def _on_all_sheets(group_id: str, cross_dataset: str, condition: Node) -> Node:
    return {
        "FilterGroupId": group_id,
        "CrossDataset": cross_dataset,
        "Status": "ENABLED",
        "ScopeConfiguration": {"AllSheets": {}},
        "Filters": [condition],
    }


def build_dimension_filter(dimension: Dimension, metric_set: MetricSet) -> Node:
    """Return the filter behind the dimension's drop-down list, on every sheet that shows the dimension."""
    name = dimension.name.lower()
    sheets = (*(measure_sheet_id(measure) for measure in metric_set.measures), "contributions")
    listed = {"MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES", "NullOption": "ALL_VALUES"}
    condition = {
        "FilterId": dimension_filter_id(name),
        "Column": build_column(LIVE, name),
        "Configuration": {"FilterListConfiguration": listed},
        "DefaultFilterControlConfiguration": {
            "Title": dimension.title,
            "ControlOptions": {"DefaultDropdownOptions": {"Type": "MULTI_SELECT"}},
        },
    }
    return _on_sheets(
        join_names("by", name),
        "ALL_DATASETS",
        [{"SheetId": sheet, "Scope": "ALL_VISUALS"} for sheet in sheets],
        [{"CategoryFilter": condition}],
    )


def build_fixed_filter(fixed: FixedFilter, sheet_id: str, visual_id: str) -> Node:
    """Return the filter group of a visual's fixed filter."""
    scope = {"SheetId": sheet_id, "Scope": "SELECTED_VISUALS", "VisualIds": [visual_id]}
    conditions = []
    for column, values in fixed.allowed_values.items():
        listed = {"MatchOperator": "CONTAINS", "CategoryValues": list(values), "NullOption": "NON_NULLS_ONLY"}
        condition = {
            "FilterId": f"{fixed.group_id}-{column}",
            "Column": build_column(fixed.dataset, column),
            "Configuration": {"FilterListConfiguration": listed},
        }
        conditions.append({"CategoryFilter": condition})
    return _on_sheets(fixed.group_id, "SINGLE_DATASET", [scope], conditions)


def _on_sheets(group_id: str, cross_dataset: str, scopes: Sequence[Node], conditions: Sequence[Node]) -> Node:
    return {
        "FilterGroupId": group_id,
        "CrossDataset": cross_dataset,
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": list(scopes)}},
        "Filters": list(conditions),
    }
