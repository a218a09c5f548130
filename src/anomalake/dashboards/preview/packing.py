"""Packs a column of a query's result into little JSON, which the page unpacks."""

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from anomalake.dashboards.preview.limits import SIGNIFICANT_FIGURES

_EPOCH = datetime(1970, 1, 1)


def pack_column(column: Sequence[Any], *, exact: bool) -> dict[str, Any]:
    """Return a column as numbers, as times, or as texts.

    A time is the difference in minutes from the time before it. A text is a position in the list of distinct texts.
    Infinity and NaN become null; a fraction keeps `SIGNIFICANT_FIGURES` significant figures unless `exact`.
    """
    present = [value for value in column if value is not None]
    if present and all(isinstance(value, datetime) for value in present):
        return {"kind": "time", "data": _pack_times(column)}
    if present and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in present):
        return {"kind": "number", "data": [_pack_number(value, exact) for value in column]}
    positions = {text: position for position, text in enumerate(dict.fromkeys(str(value) for value in present))}
    data = [None if value is None else positions[str(value)] for value in column]
    return {"kind": "text", "values": list(positions), "data": data}


def _pack_times(column: Sequence[datetime | None]) -> list[int | None]:
    previous, differences = 0, list[int | None]()
    for value in column:
        if value is None:
            differences.append(None)
            continue
        minutes = int((value - _EPOCH).total_seconds() // 60)
        differences.append(minutes - previous)
        previous = minutes
    return differences


def _pack_number(value: float | Decimal | None, exact: bool) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    number = float(value)
    return number if exact or number.is_integer() else float(f"{number:.{SIGNIFICANT_FIGURES}g}")
