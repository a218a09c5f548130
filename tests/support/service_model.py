"""Checks parameters of an AWS API call against the enumerations and patterns of botocore's service model."""

import re
from typing import Any


def list_problems(shape: Any, value: Any, where: str = "") -> list[str]:
    """The values that the service model does not list, and the texts that its patterns reject."""
    if shape.type_name == "structure":
        return [
            found
            for name, member in value.items()
            if name in shape.members
            for found in list_problems(shape.members[name], member, f"{where}.{name}")
        ]
    if shape.type_name == "list":
        return [
            found
            for number, item in enumerate(value)
            for found in list_problems(shape.member, item, f"{where}[{number}]")
        ]
    if shape.type_name == "map":
        return [
            found
            for key, item in value.items()
            for found in list_problems(shape.key, key, where) + list_problems(shape.value, item, f"{where}.{key}")
        ]
    found = []
    if getattr(shape, "enum", None) and value not in shape.enum:
        found.append(f"{where}: {value} is not one of {', '.join(shape.enum)}")
    pattern = shape.metadata.get("pattern") if isinstance(value, str) else None
    if (
        pattern
        and "\\u" not in pattern
        and "\\p" not in pattern
        and not re.search(f"^(?:{pattern})$", value, re.DOTALL)
    ):
        found.append(f"{where}: '{value}' does not match {pattern}")
    return found
