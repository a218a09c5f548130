"""Reads the default values of a definition's parameters."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from anomalake.domain.errors import UserError

_ROLLING_DATE = re.compile(r"now\(\)|addDateTime\((-?\d+), '(DD|HH)', now\(\)\)")


def read_parameters(definition: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return each parameter's default value by name; `now` replaces `now()` in rolling dates.

    Raises `UserError` for a rolling date that the preview does not support.
    """
    values: dict[str, Any] = {}
    for declaration in definition.get("ParameterDeclarations", ()):
        ((kind, parameter),) = declaration.items()
        name, default = parameter["Name"], parameter.get("DefaultValues", {})
        if kind == "DateTimeParameterDeclaration" and "RollingDate" in default:
            values[name] = _evaluate_rolling_date(name, default["RollingDate"]["Expression"], now)
        elif kind == "DateTimeParameterDeclaration" and default.get("StaticValues"):
            values[name] = datetime.fromisoformat(default["StaticValues"][0]).replace(tzinfo=None)
        else:
            values[name] = next(iter(default.get("StaticValues", [])), None)
    return values


def _evaluate_rolling_date(name: str, expression: str, now: datetime) -> datetime:
    match = _ROLLING_DATE.fullmatch(expression)
    if match is None:
        raise UserError(
            f"parameter {name}: the preview does not support the rolling date '{expression}'; "
            "it supports now() and addDateTime(NUMBER, 'DD' or 'HH', now())"
        )
    unit = timedelta(days=1) if match[2] == "DD" else timedelta(hours=1)
    return now + int(match[1] or 0) * unit
