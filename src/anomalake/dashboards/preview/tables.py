"""Visuals that the page draws without Vega-Lite: KPIs, pivot tables and tables.

Each function reads one kind of visual. It takes the visual's `ChartConfiguration` and returns the data that the
visual needs and what the page needs to draw it. Raises `KeyError` or `ValueError` for what the preview cannot read.
"""

from collections.abc import Mapping
from typing import Any

from anomalake.catalog import sql
from anomalake.dashboards.preview.fields import Drawing, FieldWells, GroupField, Part, require_one_dataset
from anomalake.dashboards.preview.limits import MAX_TABLE_ROWS


def read_kpi(configuration: Mapping[str, Any]) -> Drawing:
    """Return one number."""
    wells = FieldWells(configuration["FieldWells"])
    return Drawing(wells.dataset, (Part("rows", (), wells.values("Values")[:1]),), {})


def read_pivot_table(configuration: Mapping[str, Any]) -> Drawing:
    """Return a pivot table with rows and values."""
    wells = FieldWells(configuration["FieldWells"]["PivotTableAggregatedFieldWells"])
    if wells.fields.get("Columns"):
        raise ValueError("the preview draws the Rows and Values of a pivot table, not its Columns")
    rows, values = wells.groups("Rows"), wells.values("Values")
    descending = {
        sort["FieldId"]
        for sort in configuration.get("SortConfiguration", {}).get("FieldSortOptions", ())
        if sort["SortBy"].get("Field", {}).get("Direction") == "DESC"
    }
    custom = _read_labels(configuration)
    look = {
        "labels": [
            custom.get(field_id) or field.column
            for well in ("Rows", "Values")
            for field_id, field in wells.fields[well]
        ],
        "descending": [position for position, row_id in enumerate(wells.field_ids("Rows")) if row_id in descending],
        "dates": [position for position, row in enumerate(rows) if row.granularity],
        "most": MAX_TABLE_ROWS,
    }
    return Drawing(wells.dataset, (Part("rows", rows, values),), look)


def read_table(configuration: Mapping[str, Any]) -> Drawing:
    """Return the rows of a dataset, not aggregated."""
    fields = configuration["FieldWells"]["TableUnaggregatedFieldWells"]["Values"]
    dataset = require_one_dataset([field["Column"]["DataSetIdentifier"] for field in fields])
    columns = {field["FieldId"]: field["Column"]["ColumnName"] for field in fields}
    sorts = [
        sort["FieldSort"]
        for sort in configuration.get("SortConfiguration", {}).get("RowSort", ())
        if "FieldSort" in sort
    ]
    order = ", ".join(f"{sql.identifier(columns[sort['FieldId']])} {sort['Direction']} NULLS LAST" for sort in sorts)
    custom = _read_labels(configuration)
    look = {
        "labels": [custom.get(field_id) or column for field_id, column in columns.items()],
        "most": MAX_TABLE_ROWS,
    }
    groups = tuple(GroupField(column, None) for column in columns.values())
    return Drawing(dataset, (Part("rows", groups, ()),), look, order)


def _read_labels(configuration: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the labels of columns that the definition sets, by field id."""
    options = configuration.get("FieldOptions", {}).get("SelectedFieldOptions", ())
    return {option["FieldId"]: option.get("CustomLabel") for option in options}
