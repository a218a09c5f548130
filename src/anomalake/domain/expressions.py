"""JMESPath expressions of a metric set's `mapping`, evaluated within a budget: one that doubles what it finds again and again ends in an error."""

from functools import cache, lru_cache
from typing import Any

MAX_EXPRESSION_CHARACTERS = 4_000
MAX_EVALUATION_COST = 1_000_000  # values visited, list elements and characters of text that one evaluation makes
MAX_CACHED_EXPRESSIONS = 1_000


class TooCostlyError(ValueError):
    """An evaluation that exceeds `MAX_EVALUATION_COST`."""


def check(expression: str) -> None:
    """Raise `ValueError` (as all errors of the library are) or `RecursionError` where it is no expression that can be evaluated."""
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise ValueError(f"it has {len(expression)} characters; at most {MAX_EXPRESSION_CHARACTERS} are taken")
    _compiled(expression)


def search(expression: str, document: object) -> Any:
    """What the expression finds in decoded JSON, as JSON that is no larger than the budget; `ValueError`, `TypeError`, ... where it finds nothing."""
    meter = _interpreter()()
    found = meter.visit(_compiled(expression).parsed, document)
    _check_json(found)
    return found


@lru_cache(MAX_CACHED_EXPRESSIONS)
def _compiled(expression: str) -> Any:
    import jmespath  # noqa: PLC0415  (most metric sets map nothing)

    return jmespath.compile(expression)


@cache
def _interpreter() -> type[Any]:
    from jmespath.visitor import TreeInterpreter  # noqa: PLC0415

    class Metered(TreeInterpreter):  # type: ignore[misc]
        """The library's interpreter, which counts what it makes."""

        def __init__(self) -> None:
            super().__init__()
            self.cost = 0

        def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
            found = super().visit(node, *args, **kwargs)
            self.cost += 1 + (len(found) if node["type"] not in _FREE and isinstance(found, list | str | dict) else 0)
            if self.cost > MAX_EVALUATION_COST:
                raise TooCostlyError(f"it takes more than {MAX_EVALUATION_COST:,} steps")
            return found

    return Metered


_FREE = frozenset(
    {"field", "current", "identity", "literal", "index", "subexpression", "index_expression"}
)  # what these find is there already


def _check_json(found: object) -> None:
    """Raise where it is not JSON, or (a list that holds itself many times) far larger than it looks."""
    waiting, seen = [found], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > MAX_EVALUATION_COST:
            raise TooCostlyError(f"it finds more than {MAX_EVALUATION_COST:,} values")
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, float) and not -float("inf") < one < float("inf"):
            raise ValueError("it finds a number that is not finite")
        elif not isinstance(one, str | int | float | None):
            raise TypeError(f"it finds a {type(one).__name__}, which is no JSON")
