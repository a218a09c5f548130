"""Packs a column of a query's result into little JSON, which the page unpacks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from anomalake.dashboards.preview.limits import SIGNIFICANT_FIGURES

_EPOCH, _MINUTE = datetime(1970, 1, 1), timedelta(minutes=1)
_NUMBERS = {int, float, Decimal}
_ROUNDED = f"%.{SIGNIFICANT_FIGURES}g"


def pack_column(column: Sequence[Any], *, exact: bool) -> dict[str, Any]:
    """Return a column as numbers, as times, or as texts.

    A time is the difference in minutes from the time before it. A text is a position in the list of distinct texts.
    Infinity and NaN become null; a fraction keeps `SIGNIFICANT_FIGURES` significant figures unless `exact`.
    """
    types = set(map(type, column)) - {type(None)}
    if types == {datetime}:
        return {"kind": "time", "data": _pack_times(column)}
    if types and types <= _NUMBERS:
        return {"kind": "number", "data": _pack_numbers(column, exact)}
    distinct = {value: str(value) for value in column if value is not None}
    positions = {text: position for position, text in enumerate(dict.fromkeys(distinct.values()))}
    codes = {None: None, **{value: positions[text] for value, text in distinct.items()}}
    return {"kind": "text", "values": list(positions), "data": [codes[value] for value in column]}


def _pack_times(column: Sequence[datetime | None]) -> list[int | None]:
    minutes = {value: (value - _EPOCH) // _MINUTE for value in set(column) if value is not None}
    previous, differences = 0, list[int | None]()
    for value in column:
        if value is None:
            differences.append(None)
            continue
        differences.append(minutes[value] - previous)
        previous = minutes[value]
    return differences


def _pack_numbers(column: Sequence[float | Decimal | None], exact: bool) -> list[float | None]:
    numbers = [None if value is None else float(value) for value in column]
    finite = [None if number is None or number - number != 0 else number for number in numbers]
    if exact:
        return finite
    return [number if number is None or number % 1 == 0 else float(_ROUNDED % number) for number in finite]
