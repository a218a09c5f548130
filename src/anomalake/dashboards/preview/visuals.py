"""Prepares a visual for the page: reads it, chooses the query that gives its data, and describes it for the page."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from anomalake.dashboards.preview import limits
from anomalake.dashboards.preview.calculated_fields import fold_values, split_values
from anomalake.dashboards.preview.charts import read_bar_chart, read_combo_chart, read_heat_map, read_line_chart
from anomalake.dashboards.preview.context import SheetContext
from anomalake.dashboards.preview.cubes import Cube, count_groups, keep_most_frequent
from anomalake.dashboards.preview.fields import CALCULATED, Drawing, GroupField, Part, ValueField, describe_error
from anomalake.dashboards.preview.filters import read_predicates
from anomalake.dashboards.preview.tables import read_kpi, read_pivot_table, read_table
from anomalake.domain.errors import UserError

# The kinds of visuals that the preview draws, and what reads them.
READERS: dict[str, Callable[[Mapping[str, Any]], Drawing]] = {
    "LineChartVisual": read_line_chart,
    "BarChartVisual": read_bar_chart,
    "ComboChartVisual": read_combo_chart,
    "HeatMapVisual": read_heat_map,
    "KPIVisual": read_kpi,
    "PivotTableVisual": read_pivot_table,
    "TableVisual": read_table,
}
# How the page aggregates the rows of a cube again; by default as the query does.
_OPERATIONS = {"AVERAGE": "mean", "COUNT": "sum"}

CubeKey = tuple[Any, ...]


class _Selection(NamedTuple):
    """The rows of a visual's cube."""

    predicates: tuple[str, ...]
    groups: list[GroupField]
    controls: list[str]  # the columns of the drop-down lists that filter the visual
    note: str  # what the visual leaves out, for the reader


def prepare_visual(visual: Mapping[str, Any], context: SheetContext, cubes: dict[CubeKey, Cube]) -> dict[str, Any]:
    """Return the visual as the page reads it, and add its query to `cubes`.

    Raises `UserError`, with the visual and its sheet, for what the preview cannot draw.
    """
    ((kind, body),) = visual.items()
    where = f"visual {body.get('VisualId', '?')} on sheet {context.sheet_id}"
    drawing = _read_drawing(kind, body, context, where)
    selection = _select_rows(kind, body["VisualId"], drawing, context)
    is_table = kind == "TableVisual"
    key = (drawing.dataset, selection.predicates, body["VisualId"] if is_table else frozenset(selection.groups))
    cube = cubes.setdefault(
        key, Cube(drawing.dataset, selection.predicates, aggregated=not is_table, order=drawing.order)
    )
    cube.add_groups(selection.groups)
    if "melt" in drawing.look:
        drawing.look["spec"]["transform"] = fold_values(drawing.look["melt"])
    return {
        "id": body["VisualId"],
        "kind": kind,
        "title": _read_text(body, "Title") or body["VisualId"],
        "subtitle": _read_text(body, "Subtitle"),
        "cube": list(cubes).index(key),
        "parts": {
            part.name: _prepare_part(part, drawing.dataset, cube, context, f"{where}: its {kind}")
            for part in drawing.parts
        },
        "look": drawing.look,
        "controls": selection.controls,
        "note": selection.note,
    }


def _read_text(body: Mapping[str, Any], label: str) -> str:
    """Return the text of a visual's title or subtitle; an empty text if there is none."""
    return str(body.get(label, {}).get("FormatText", {}).get("PlainText", ""))


def _read_drawing(kind: str, body: Mapping[str, Any], context: SheetContext, where: str) -> Drawing:
    """Read the visual and check that its dataset has every column."""
    reader = READERS.get(kind)
    if reader is None:
        raise UserError(f"{where}: the preview cannot draw a {kind}; it draws {', '.join(READERS)}")
    try:
        drawing = reader(body["ChartConfiguration"])
    except (KeyError, ValueError) as error:
        raise UserError(f"{where}: the preview cannot read its {kind}: {describe_error(error)}") from error
    columns = context.columns.get(drawing.dataset)
    if columns is None:
        raise UserError(f"{where}: the definition does not declare the dataset '{drawing.dataset}'")
    values = [value for value in drawing.values if value.aggregation != CALCULATED]
    for column in [group.column for group in drawing.groups] + [value.column for value in values]:
        if column not in columns:
            raise UserError(f"{where}: the dataset '{drawing.dataset}' has no column '{column}'")
    return drawing


def _select_rows(kind: str, visual_id: str, drawing: Drawing, context: SheetContext) -> _Selection:
    """Choose the groups of the visual's cube, so that it has at most `MAX_QUERY_ROWS` rows.

    First the cube leaves out the columns of drop-down lists; then it keeps the `MAX_COLORS` most frequent values of
    the color field.
    """
    predicates = read_predicates(context, visual_id, drawing.dataset)
    table = context.datasets[drawing.dataset]
    columns = context.columns[drawing.dataset]
    controls = [] if kind == "TableVisual" else [column for column in context.controls if column in columns]
    by_control = [GroupField(column, None) for column in controls]
    counted = [GroupField(value.column, None) for value in drawing.values if value.aggregation == "DISTINCT_COUNT"]
    groups = list(dict.fromkeys([*drawing.groups, *by_control, *counted]))

    def is_too_large(groups: list[GroupField]) -> bool:
        key = (table, predicates, frozenset(groups))
        if key not in context.group_counts:
            context.group_counts[key] = count_groups(context.connection, table, predicates, groups)
        return context.group_counts[key] > limits.MAX_QUERY_ROWS

    if not by_control or not is_too_large(groups):
        return _Selection(predicates, groups, controls, "")
    own_groups = {*drawing.groups, *counted}
    groups = [group for group in groups if group in own_groups]
    first_part = drawing.parts[0]
    if len(first_part.groups) != 2 or not is_too_large(groups):
        return _Selection(predicates, groups, [], "too much data: the drop-down lists do not filter this chart")
    most_frequent = keep_most_frequent(table, predicates, first_part.groups[1].column, limits.MAX_COLORS)
    note = (
        f"too much data: only the {limits.MAX_COLORS} values with the most rows, "
        "and the drop-down lists do not filter this chart"
    )
    return _Selection((*predicates, most_frequent), groups, [], note)


def _prepare_part(part: Part, dataset: str, cube: Cube, context: SheetContext, where: str) -> dict[str, Any]:
    """Add the part's aggregates to the cube, and return how the page calculates its values from the cube's rows."""
    totals, formulas = split_values(part.values, context.definition, dataset, where)
    return {
        "groups": [cube.groups[group] for group in part.groups],
        "totals": [_prepare_total(total, cube) for total in totals],
        "values": formulas,
    }


def _prepare_total(total: ValueField, cube: Cube) -> dict[str, Any]:
    """Add the total to the cube, and return the operation that aggregates it again and the columns that it reads."""
    if total.aggregation == "DISTINCT_COUNT":
        return {"op": "distinct", "at": ["group", cube.groups[GroupField(total.column, None)]]}
    stored = [total]
    if total.aggregation == "AVERAGE":
        stored = [total._replace(aggregation="SUM"), total._replace(aggregation="COUNT")]
    positions = [["value", cube.add_value(field)] for field in stored]
    operation = _OPERATIONS.get(total.aggregation, total.aggregation.lower())
    return {"op": operation, "at": positions[0], "over": positions[-1]}
