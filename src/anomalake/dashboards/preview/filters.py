"""Filters of a definition: the drop-down lists of a sheet, and the conditions of a visual as SQL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from anomalake.catalog import sql
from anomalake.dashboards.preview.calculated_fields import read_expressions, row_expression_to_sql
from anomalake.dashboards.preview.context import SheetContext
from anomalake.dashboards.preview.fields import describe_error
from anomalake.domain.errors import UserError


def read_controls(definition: Mapping[str, Any], sheet: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of the sheet's drop-down lists with their titles.

    Raises `UserError` for a control without a filter.
    """
    filters = {
        body["FilterId"]: body
        for group in definition.get("FilterGroups", ())
        for condition in group["Filters"]
        for body in condition.values()
    }
    titles = {}
    for control in sheet.get("FilterControls", ()):
        ((kind, body),) = control.items()
        source = filters.get(body["SourceFilterId"])
        if source is None:
            raise UserError(
                f"sheet {sheet['SheetId']}: the control {body['FilterControlId']} refers to the filter "
                f"{body['SourceFilterId']}, which the definition does not have"
            )
        if kind in ("CrossSheet", "Dropdown") and "ColumnName" in source.get("Column", {}):
            column = source["Column"]["ColumnName"]
            title = body.get("Title") or source.get("DefaultFilterControlConfiguration", {}).get("Title")
            titles[column] = title or column
    return titles


def read_predicates(context: SheetContext, visual_id: str, dataset: str) -> tuple[str, ...]:
    """Return the conditions that the definition's filters set on the dataset for this visual, as SQL.

    Raises `UserError`, with the filter's id, for a filter that the preview does not support or cannot read.
    """
    predicates: list[str] = []
    for group in context.definition.get("FilterGroups", ()):
        if group.get("Status", "ENABLED") != "ENABLED":
            continue
        if not _is_in_scope(group["ScopeConfiguration"], context.sheet_id, visual_id):
            continue
        for condition in group["Filters"]:
            ((kind, body),) = condition.items()
            predicates += _read_condition(kind, body, group["CrossDataset"], context, dataset)
    return tuple(predicates)


def _is_in_scope(scope: Mapping[str, Any], sheet_id: str, visual_id: str) -> bool:
    if "AllSheets" in scope:
        return True
    return any(
        part["SheetId"] == sheet_id and (part["Scope"] == "ALL_VISUALS" or visual_id in part.get("VisualIds", ()))
        for part in scope["SelectedSheets"]["SheetVisualScopingConfigurations"]
    )


def _read_condition(
    kind: str, body: Mapping[str, Any], cross_dataset: str, context: SheetContext, dataset: str
) -> list[str]:
    """Return the filter's conditions on the dataset, or an empty list when the filter does not apply to it."""
    own_dataset, column = body["Column"]["DataSetIdentifier"], body["Column"]["ColumnName"]
    expression = read_expressions(context.definition).get((own_dataset, column))
    if expression is None and column not in context.columns.get(own_dataset, {}):
        raise UserError(f"filter {body['FilterId']}: the dataset '{own_dataset}' has no column '{column}'")
    if own_dataset != dataset and (cross_dataset == "SINGLE_DATASET" or column not in context.columns[dataset]):
        return []
    try:
        operand = (
            sql.identifier(column) if expression is None else row_expression_to_sql(expression, context.parameters)
        )
        return _filter_to_sql(kind, body, operand, context.parameters)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"filter {body['FilterId']}: the preview cannot read its {kind}: {describe_error(error)}"
        ) from error


def _filter_to_sql(kind: str, body: Mapping[str, Any], operand: str, parameters: Mapping[str, Any]) -> list[str]:
    predicates = [f"{operand} IS NOT NULL"] if body.get("NullOption") == "NON_NULLS_ONLY" else []
    if kind == "TimeRangeFilter":
        return predicates + _time_range_to_sql(body, operand, parameters)
    if kind == "NumericEqualityFilter" and body["MatchOperator"] == "EQUALS":
        return [*predicates, f"{operand} = {float(body['Value'])}"]
    listed = body.get("Configuration", {}).get("FilterListConfiguration") if kind == "CategoryFilter" else None
    if listed is None or listed["MatchOperator"] not in ("CONTAINS", "EQUALS"):
        raise UserError(
            f"filter {body['FilterId']}: the preview does not support this {kind}; "
            "it supports TimeRangeFilter, NumericEqualityFilter with EQUALS, and CategoryFilter with a list"
        )
    if "CategoryValues" in listed:
        predicates.append(f"{operand} IN ({', '.join(map(sql.literal, listed['CategoryValues']))})")
    return predicates


def _time_range_to_sql(body: Mapping[str, Any], operand: str, parameters: Mapping[str, Any]) -> list[str]:
    predicates = []
    for name, inclusion, sign in (
        ("RangeMinimumValue", "IncludeMinimum", ">"),
        ("RangeMaximumValue", "IncludeMaximum", "<"),
    ):
        bound = body.get(name)
        if bound is None:
            continue
        if "Parameter" in bound:
            moment = parameters.get(bound["Parameter"])
        else:
            moment = datetime.fromisoformat(bound["StaticValue"])
        operator = f"{sign}=" if body.get(inclusion) else sign
        predicates.append(f"{operand} {operator} TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'")
    return predicates
