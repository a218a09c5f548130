"""Calculated fields of a definition.

A field of single rows becomes SQL. A field of aggregates becomes SQL aggregates, and Vega-Lite steps that combine them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from anomalake.catalog import sql
from anomalake.dashboards.preview.fields import CALCULATED, ValueField
from anomalake.domain.errors import UserError

# An aggregate in a calculated field: its argument is arithmetic on columns, with at most one more level of parentheses.
_ARGUMENT = r"(?:\{[^{}]*\}|[-+*/ .0-9])*"
_AGGREGATE = re.compile(rf"(sum|count|min|max)\(({_ARGUMENT}(?:\({_ARGUMENT}\){_ARGUMENT})*)\)")
_COLUMN = re.compile(r"\{([^{}]*)\}")
_IFELSE = re.compile(r"ifelse\((.*), (\d+), (\d+)\)")
_ARITHMETIC = re.compile(r"(?:datum\.v\d+|sqrt|abs|[-+*/ .0-9()])*")


def read_expressions(definition: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the expression of each calculated field by dataset and name."""
    return {
        (field["DataSetIdentifier"], field["Name"]): field["Expression"]
        for field in definition.get("CalculatedFields", ())
    }


def row_expression_to_sql(expression: str, parameters: Mapping[str, Any]) -> str:
    """Return a calculated field of single rows as SQL.

    Raises `ValueError` for anything but `ifelse` of comparisons between columns and dates.
    """
    statement = re.sub(
        r"\$\{(\w+)\}", lambda match: f"TIMESTAMP '{parameters[match[1]]:%Y-%m-%d %H:%M:%S}'", expression
    )
    statement = re.sub(r"addDateTime\((-?\d+), 'DD', (TIMESTAMP '[^']*')\)", r"(\2 + INTERVAL '\1' DAY)", statement)
    match = _IFELSE.fullmatch(_quote_columns(statement))
    if match is None:
        raise ValueError(
            f"the preview does not support the calculated field '{expression}'; "
            "it supports ifelse(..., 1, 0) of comparisons with dates"
        )
    return f"CASE WHEN {match[1]} THEN {match[2]} ELSE {match[3]} END"


def split_calculated_values(
    values: Sequence[ValueField], definition: Mapping[str, Any], dataset: str, where: str
) -> tuple[list[ValueField], list[dict[str, Any]]]:
    """Return the aggregates to query, and the Vega-Lite steps that combine them to the calculated values.

    The aggregates are the values and, after them, the aggregates in the expressions of calculated values. The column
    `v0` holds the first value, `v1` the second, and so on. Raises `UserError`, which starts with `where`, for an
    expression that the preview cannot calculate.
    """
    expressions = read_expressions(definition)
    all_values, steps = list(values), []
    for number, value in enumerate(values):
        if value.aggregation != CALCULATED:
            continue
        expression = expressions.get((dataset, value.column))
        if expression is None:
            raise UserError(
                f"{where}: the field '{value.column}' has no aggregation and is not a calculated field of '{dataset}'"
            )
        formula = _replace_aggregates(expression, value.column, all_values)
        if not _ARITHMETIC.fullmatch(formula):
            raise UserError(
                f"{where}: the preview cannot calculate '{expression}'; "
                "it supports sum, count, min and max of arithmetic, sqrt and abs"
            )
        operands = sorted(set(re.findall(r"datum\.v\d+", formula)))
        valid = " && ".join(f"isValid({operand})" for operand in operands) or "true"
        steps.append({"calculate": f"{valid} ? {formula} : null", "as": f"v{number}"})
    return all_values, steps


def _replace_aggregates(expression: str, column: str, all_values: list[ValueField]) -> str:
    """Return the expression with a Vega-Lite reference for each aggregate, which is appended to `all_values`."""

    def replace(match: re.Match[str]) -> str:
        all_values.append(ValueField(column, match[1].upper(), _quote_columns(match[2])))
        return f"datum.v{len(all_values) - 1}"

    return _AGGREGATE.sub(replace, expression)


def _quote_columns(expression: str) -> str:
    return _COLUMN.sub(lambda match: sql.identifier(match[1]), expression)


def fold_values(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the Vega-Lite steps that make a row for each value of a row.

    The new rows have the columns `series` and `value`.
    """
    named: list[dict[str, Any]] = [{"calculate": f"datum.v{number}", "as": name} for number, name in enumerate(names)]
    return [*named, {"fold": list(names), "as": ["series", "value"]}, {"filter": "isValid(datum.value)"}]
