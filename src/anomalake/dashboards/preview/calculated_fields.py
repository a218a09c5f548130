"""Calculated fields of a definition.

A field of single rows becomes SQL. A field of aggregates becomes SQL aggregates, and a formula that combines them on
the page.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from anomalake.catalog import sql
from anomalake.dashboards.preview.fields import CALCULATED, ValueField
from anomalake.domain.errors import UserError

# An aggregate in a calculated field: its argument is arithmetic and `coalesce` on columns, with at most one more level
# of parentheses.
_ARGUMENT = r"(?:\{[^{}]*\}|coalesce(?=\()|[-+*/ ,.0-9])*"
_AGGREGATE = re.compile(rf"(sum|avg|count|min|max)\(({_ARGUMENT}(?:\({_ARGUMENT}\){_ARGUMENT})*)\)")
_AGGREGATIONS = {"avg": "AVERAGE"}
_COLUMN = re.compile(r"\{([^{}]*)\}")
_IFELSE = re.compile(r"ifelse\((.*), (\d+), (\d+)\)")
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS = ("abs", "sqrt")

# A value of a visual on the page: ("total", 0) is the first total that the page calculates, a number is itself, and
# ("+", a, b), ("-", a), ("sqrt", a) and so on are arithmetic on formulas.
Formula = float | tuple[Any, ...]


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


def split_values(
    values: Sequence[ValueField], definition: Mapping[str, Any], dataset: str, where: str
) -> tuple[list[ValueField], list[Formula]]:
    """Return the totals that a visual needs, which are aggregates, and the formula of each of its values.

    Raises `UserError`, which starts with `where`, for a field without an aggregation that is not a calculated field,
    and for an expression that the preview cannot calculate.
    """
    expressions, totals, formulas = read_expressions(definition), list[ValueField](), list[Formula]()
    for value in values:
        if value.aggregation != CALCULATED:
            formulas.append(("total", len(totals)))
            totals.append(value)
            continue
        expression = expressions.get((dataset, value.column))
        if expression is None:
            raise UserError(
                f"{where}: the field '{value.column}' has no aggregation and is not a calculated field of '{dataset}'"
            )
        try:
            formulas.append(_parse_formula(expression, value.column, totals))
        except (SyntaxError, ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: the preview cannot calculate '{expression}'; "
                "it supports sum, avg, count, min and max of arithmetic and coalesce, sqrt and abs"
            ) from error
    return totals, formulas


def _parse_formula(expression: str, column: str, totals: list[ValueField]) -> Formula:
    """Return the expression as a formula, and append its aggregates to `totals`.

    Raises `SyntaxError`, `ValueError` or `RecursionError` for anything but arithmetic on aggregates.
    """
    positions: dict[str, int] = {}

    def replace(match: re.Match[str]) -> str:
        function, argument = match[1], match[2]
        positions[name := f"total_{len(totals)}"] = len(totals)
        totals.append(ValueField(column, _AGGREGATIONS.get(function, function.upper()), _quote_columns(argument)))
        return name

    arithmetic = _AGGREGATE.sub(replace, expression)
    return _read_arithmetic(ast.parse(arithmetic.strip(), mode="eval").body, positions)


def _read_arithmetic(node: ast.AST, positions: Mapping[str, int]) -> Formula:
    """Return a part of Python's syntax tree as a formula; raises `ValueError` for an unknown part."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in positions:
            return ("total", positions[name])
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            operands = (_read_arithmetic(left, positions), _read_arithmetic(right, positions))
            return (_OPERATORS[type(operator)], *operands)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ("-", _read_arithmetic(operand, positions))
        case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]) if function in _FUNCTIONS:
            return (function, _read_arithmetic(argument, positions))
    raise ValueError("is not arithmetic on aggregates")


def _quote_columns(expression: str) -> str:
    return _COLUMN.sub(lambda match: sql.identifier(match[1]), expression)


def fold_values(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the Vega-Lite steps that make a row for each value of a row.

    The new rows have the columns `series` and `value`.
    """
    named: list[dict[str, Any]] = [{"calculate": f"datum.v{number}", "as": name} for number, name in enumerate(names)]
    return [*named, {"fold": list(names), "as": ["series", "value"]}, {"filter": "isValid(datum.value)"}]
