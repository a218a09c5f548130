"""Places visuals on the grid of a sheet, and gives the sheet its controls: date pickers and drop-down lists."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from anomalake.dashboards.definition.datasets import Node
from anomalake.dashboards.definition.filters import FixedFilter, build_fixed_filter
from anomalake.dashboards.definition.ids import dimension_filter_id, join_names
from anomalake.domain.metric_set import Dimension

GRID_COLUMNS = 36  # of QuickSight's grid
MAX_VISUAL_ROWS = 21  # rows of the grid


class PlacedVisual(NamedTuple):
    """A visual, the columns and rows of the grid that it covers, and its fixed filter."""

    visual: Node
    width: int
    height: int
    fixed_filter: FixedFilter | None = None


class Sheet(NamedTuple):
    """A sheet, and the filter groups of its visuals."""

    node: Node
    filter_groups: list[Node]


def build_sheet(
    sheet_id: str, name: str, visuals: Iterable[PlacedVisual], dimensions: Sequence[Dimension] = ()
) -> Sheet:
    """Place the visuals from left to right in rows; `dimensions` are those with a drop-down list on the sheet."""
    placed = list(visuals)
    sheet: Node = {
        "SheetId": sheet_id,
        "Name": name,
        "ContentType": "INTERACTIVE",
        "ParameterControls": _build_date_pickers(sheet_id),
        "Visuals": [item.visual for item in placed],
        "Layouts": [{"Configuration": {"GridLayout": _build_grid(placed)}}],
    }
    if dimensions:
        sheet["FilterControls"] = [_build_drop_down(sheet_id, dimension) for dimension in dimensions]
    filter_groups = [
        build_fixed_filter(item.fixed_filter, sheet_id, _visual_id(item.visual)) for item in placed if item.fixed_filter
    ]
    return Sheet(sheet, filter_groups)


def _build_grid(placed: Sequence[PlacedVisual]) -> Node:
    elements = []
    column = row = row_height = 0
    for item in placed:
        if column + item.width > GRID_COLUMNS:
            column, row, row_height = 0, row + row_height, 0
        elements.append(
            {
                "ElementId": _visual_id(item.visual),
                "ElementType": "VISUAL",
                "ColumnIndex": column,
                "ColumnSpan": item.width,
                "RowIndex": row,
                "RowSpan": min(item.height, MAX_VISUAL_ROWS),
            }
        )
        column, row_height = column + item.width, max(row_height, item.height)
    canvas = {"ScreenCanvasSizeOptions": {"ResizeOption": "FIXED", "OptimizedViewPortWidth": "1600px"}}
    return {"Elements": elements, "CanvasSizeOptions": canvas}


def _visual_id(visual: Node) -> str:
    (body,) = visual.values()
    visual_id: str = body["VisualId"]
    return visual_id


def _build_date_pickers(sheet_id: str) -> list[Node]:
    return [
        {
            "DateTimePicker": {
                "ParameterControlId": f"{sheet_id}-{name.lower()}",
                "Title": name,
                "SourceParameterName": name,
            }
        }
        for name in ("From", "Until")
    ]


def _build_drop_down(sheet_id: str, dimension: Dimension) -> Node:
    return {
        "CrossSheet": {
            "FilterControlId": join_names("control", sheet_id, dimension.name),
            "SourceFilterId": dimension_filter_id(dimension.name),
        }
    }
