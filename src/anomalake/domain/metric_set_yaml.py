"""Reads metric sets from YAML files. An error names the file, the field, and the values that are allowed."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from anomalake.domain import strict_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import Alerts, Dimension, Measure, MetricSet, Snooze, Source, Timestamp
from anomalake.domain.metric_set_checks import find_problems


def load(file: Path) -> MetricSet:
    """Read and check the metric set in a YAML file. Raises `UserError`."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(strict_yaml.MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    return parse(text, str(file))


def load_all(folder: Path) -> tuple[MetricSet, ...]:
    """Read the metric sets in a folder (its `*.yaml` files), or the metric set in a file.

    Raises `UserError`, also if two have the same name.
    """
    if not folder.exists():
        raise UserError(f"{folder}: there is no such metric set; name a YAML file, or a folder with YAML files")
    files = [folder] if folder.is_file() else sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(
            f"{folder}: contains no metric set; add a file <name>.yaml "
            "(`anomalake init FILE` writes one from your data)"
        )
    sets = tuple(load(file) for file in files)
    if repeated := [name for name, count in Counter(item.name for item in sets).items() if count > 1]:
        raise UserError(f"{folder}: two metric sets are named '{repeated[0]}'; rename one")
    return sets


def parse(text: str, where: str) -> MetricSet:
    """Read and check the metric set in a YAML text. Raises `UserError`, whose text begins with `where`."""
    document = strict_yaml.parse(text, where)
    if not isinstance(document, dict):
        raise UserError(
            f"{where}: contains no metric set; it starts with `name:`, `frequency:`, `timestamp:` (docs/metric-sets.md)"
        )
    try:
        item = msgspec.convert(_expand_short_forms(document), MetricSet)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {_explain(str(error))}") from error
    for field, problem in find_problems(item):
        raise UserError(f"{where}: {field}: {problem}")
    return item


def _expand_short_forms(document: dict[Any, Any]) -> dict[Any, Any]:
    """Expand a dimension that is only a name to a record, and convert the number `scale` to text."""
    dimensions = document.get("dimensions")
    if isinstance(dimensions, list):
        document = {
            **document,
            "dimensions": [{"name": item} if isinstance(item, str) else item for item in dimensions],
        }
    mapping = document.get("mapping")
    if (
        isinstance(mapping, dict)
        and isinstance(scale := mapping.get("scale"), int | float)
        and not isinstance(scale, bool)
    ):
        document = {**document, "mapping": {**mapping, "scale": _format_number(scale)}}
    return document


def _format_number(number: float) -> str:
    try:
        return str(float(number))
    except OverflowError:
        return "inf"


_ALLOWED_VALUES = {
    "aggregation": "SUM, AVG, COUNT, COUNT_DISTINCT, MIN, MAX or RATIO",
    "missing": "zero or unknown",
    "source.format": "csv or jsonl",
    "format": "number, integer, percent or currency",
    "compression": "none or gzip",
    "charset": "UTF-8 or ISO-8859-1",
    "direction": "above or below",
}


def _explain(message: str) -> str:
    """Return a message of msgspec (`<problem> - at `$.a.b``) with the field first and the allowed values last."""
    problem, _, path = message.partition(" - at ")
    field = path.strip("`").removeprefix("$").removeprefix(".").replace("key in `$`", "")
    last = field.rpartition(".")[2]
    if problem.startswith("Invalid enum value"):
        allowed = _ALLOWED_VALUES.get(field) or _ALLOWED_VALUES.get(last, "one of the known values")
        problem = f"{problem.removeprefix('Invalid enum value ')} must be {allowed}"
    elif problem.startswith("Object contains unknown field"):
        known = _RECORDS.get(last.partition("[")[0], MetricSet).__struct_encode_fields__
        problem = f"has the unknown field {problem.rpartition('field ')[2]}; known fields: {', '.join(known)}"
    problem = problem.replace("Object missing required field", "lacks the field")
    return f"{field}: {problem}" if field else problem


_RECORDS: dict[str, type[msgspec.Struct]] = {
    "dimensions": Dimension,
    "measures": Measure,
    "timestamp": Timestamp,
    "source": Source,
    "alerts": Alerts,
    "snoozed": Snooze,
}
