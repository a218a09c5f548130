"""Evaluates the JMESPath expressions of a metric set's `mapping` within a budget.

An expression that doubles its result again and again ends in an error.

Source: "JMESPath Specification".
"""

from functools import cache, lru_cache
from typing import Any

MAX_EXPRESSION_CHARACTERS = 4_000
MAX_EVALUATION_COST = 1_000_000  # nodes visited, plus list elements and characters of text that one evaluation creates
MAX_CACHED_EXPRESSIONS = 1_000


class TooCostlyError(ValueError):
    """An evaluation that exceeds `MAX_EVALUATION_COST`."""


def check(expression: str) -> None:
    """Raise `ValueError` (the base of all errors of the library) or `RecursionError` if the expression is invalid."""
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise ValueError(f"it has {len(expression)} characters; the limit is {MAX_EXPRESSION_CHARACTERS}")
    _compile(expression)


def search(expression: str, document: object) -> Any:
    """Evaluate the expression on decoded JSON.

    The result is JSON no larger than the budget; None if the expression finds nothing.

    Raises `ValueError`, `TypeError` or another error of the library if the evaluation fails or costs too much.
    """
    interpreter = _get_interpreter()()
    result = interpreter.visit(_compile(expression).parsed, document)
    _check_json(result)
    return result


@lru_cache(MAX_CACHED_EXPRESSIONS)
def _compile(expression: str) -> Any:
    import jmespath  # noqa: PLC0415  (most metric sets have no mapping)

    return jmespath.compile(expression)


@cache
def _get_interpreter() -> type[Any]:
    from jmespath.visitor import TreeInterpreter  # noqa: PLC0415

    class MeteredInterpreter(TreeInterpreter):  # type: ignore[misc]
        """The library's interpreter, with a count of what it creates."""

        def __init__(self) -> None:
            super().__init__()
            self.cost = 0

        def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
            result = super().visit(node, *args, **kwargs)
            creates = node["type"] not in _NODES_WITHOUT_COST and isinstance(result, list | str | dict)
            self.cost += 1 + (len(result) if creates else 0)
            if self.cost > MAX_EVALUATION_COST:
                raise TooCostlyError(f"it takes more than {MAX_EVALUATION_COST:,} steps")
            return result

    return MeteredInterpreter


# The results of these nodes are parts of the document, not new values.
_NODES_WITHOUT_COST = frozenset(
    {"field", "current", "identity", "literal", "index", "subexpression", "index_expression"}
)


def _check_json(result: object) -> None:
    """Raise an error if the result is not JSON, or is too large: a list can contain the same list many times."""
    pending, count = [result], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > MAX_EVALUATION_COST:
            raise TooCostlyError(f"it finds more than {MAX_EVALUATION_COST:,} values")
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, float) and not -float("inf") < value < float("inf"):
            raise ValueError("it finds a number that is not finite")
        elif not isinstance(value, str | int | float | None):
            raise TypeError(f"it finds a {type(value).__name__}, which is not JSON")
