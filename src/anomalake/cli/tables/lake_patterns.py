"""The Java date pattern (`domain.time_patterns`) that all texts of a column have, if there is one."""

import itertools
import re

import pyarrow as pa
import pyarrow.compute as pc

from anomalake.cli.tables.time_forms import Form, Order
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError

MAX_SHAPES = 50  # forms of texts that differ in the widths of numbers, in zones, in fractions
_PARTS = re.compile(r"0+|[A-Za-z]+|.")
_WIDTHS = {"y": (4,), "S": (3, 6)}


def find_lake_pattern(values: "pa.Array", form: Form, order: Order) -> str | None:
    """Return the pattern of texts that have this form; None if the lake cannot read all of them with one pattern."""
    if not form.fields:
        return None
    fields = form.fields.replace("##", "dM" if order == "day-first" else "Md")
    shapes = pc.unique(pc.replace_substring_regex(values, r"\d", "0"))
    if len(shapes) > MAX_SHAPES:
        return None
    patterns = {_shape_to_pattern(shape, fields) for shape in shapes.to_pylist()}
    if None in patterns or pc.any(pc.match_substring_regex(values, r"[T ]24:")).as_py():
        return None
    # 1/2/2024 and 01/12/2024: one letter stands for both widths.
    narrow = {
        letter for pattern in patterns for letter in re.findall(r"(?<![A-Za-z])[MdHhms](?![A-Za-z])", pattern or "")
    }
    patterns = {
        re.sub(r"([MdHhms])\1", lambda two: two[1] if two[1] in narrow else two[0], str(one)) for one in patterns
    }
    if len(patterns) != 1:
        return None
    pattern = str(patterns.pop())
    try:
        time_patterns.check_timestamp_pattern(pattern, hour=False)
    except UserError:
        return None
    return pattern


def _shape_to_pattern(shape: str, fields: str) -> str | None:
    """Return the pattern of a text whose digits are written as 0: `0000-00-00T00:00` -> `yyyy-MM-dd'T'HH:mm`."""
    letters = itertools.chain(fields + "HmsS"[fields.count("H") * 3 :])
    is_half = re.search(r"[AaPp]M$|[ap]m$", shape) is not None
    pattern = ""
    for part in _PARTS.findall(shape):
        if part[0] == "0":
            widths = _split_digits(len(part), fields)
            for width in widths:
                letter = next(letters, "")
                letter = "h" if letter == "H" and is_half else letter
                if not letter or width not in _WIDTHS.get(letter, (1, 2)):
                    return None
                pattern += letter * width
        elif part in ("T", "Z"):
            pattern += f"'{part}'"
        elif is_half and part.upper() in ("AM", "PM"):
            pattern += "a"
        elif part in "-/.: ":
            pattern += part
        else:
            return None
    return pattern if "0" in shape and pattern == pattern.strip() and "+" not in shape else None


def _split_digits(count: int, fields: str) -> tuple[int, ...]:
    """Return the widths of the fields of a run of digits: those of yyyyMMdd are not separated."""
    if fields.startswith("y") and count in (8, 10, 12, 14):
        return (4, *[2] * ((count - 4) // 2))
    return (count,)
