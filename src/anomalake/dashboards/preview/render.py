"""The whole page: prepares every visual of every sheet, runs the queries, and writes the HTML."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import duckdb

from anomalake.dashboards.preview.context import SheetContext, read_columns
from anomalake.dashboards.preview.cubes import Cube, run_cube
from anomalake.dashboards.preview.filters import read_controls
from anomalake.dashboards.preview.html import build_html
from anomalake.dashboards.preview.parameters import read_parameters
from anomalake.dashboards.preview.visuals import CubeKey, prepare_visual

_DEFAULT_PLACE = {"ColumnIndex": 0, "ColumnSpan": 36, "RowSpan": 11}  # on the grid, for a visual without a layout


def render_page(
    definition: Mapping[str, Any],
    connection: duckdb.DuckDBPyConnection,
    datasets: Mapping[str, str],
    title: str,
    now: datetime,
) -> str:
    """Return the HTML page.

    `datasets` gives for each dataset of the definition the name of its data in `connection`, in SQL. `now` replaces
    `now()` in rolling dates.

    Raises `UserError` for what the preview cannot draw: an unknown kind of visual, field, filter or calculated field,
    or a missing dataset or column.
    """
    parameters = read_parameters(definition, now)
    columns = read_columns(definition, connection, datasets)
    cubes: dict[CubeKey, Cube] = {}
    group_counts: dict[tuple[object, ...], int] = {}
    sheets = []
    for sheet in definition["Sheets"]:
        controls = read_controls(definition, sheet)
        context = SheetContext(
            definition, sheet["SheetId"], parameters, columns, controls, connection, datasets, group_counts
        )
        sheets.append(_prepare_sheet(sheet, context, cubes))
    window = [f"{value:%Y-%m-%d %H:%M}" for value in parameters.values() if isinstance(value, datetime)]
    content = {
        "title": title,
        "window": window,
        "sheets": sheets,
        "cubes": [run_cube(cube, connection, datasets[cube.dataset]) for cube in cubes.values()],
    }
    return build_html(title, content)


def _prepare_sheet(sheet: Mapping[str, Any], context: SheetContext, cubes: dict[CubeKey, Cube]) -> dict[str, Any]:
    """Return the sheet as the page reads it: with its visuals, and the drop-down lists that filter one of them."""
    places = {
        element["ElementId"]: element
        for layout in sheet.get("Layouts", ())
        for element in layout["Configuration"]["GridLayout"]["Elements"]
    }
    visuals = []
    for visual in sheet["Visuals"]:
        prepared = prepare_visual(visual, context, cubes)
        place = places.get(prepared["id"], {})
        prepared["place"] = [place.get(name, default) for name, default in _DEFAULT_PLACE.items()]
        visuals.append(prepared)
    used = {column for visual in visuals for column in visual["controls"]}
    return {
        "id": sheet["SheetId"],
        "name": sheet.get("Name", sheet["SheetId"]),
        "visuals": visuals,
        "controls": [
            {"column": column, "title": label} for column, label in context.controls.items() if column in used
        ],
    }
