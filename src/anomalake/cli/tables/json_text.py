"""Reads JSON lines, an array of objects, or an object that contains one, as a table of text.

Numbers keep their digits. The fields of an object in a field become columns (`address.city`); a list stays JSON.
"""

import json
from typing import Any

import pyarrow as pa

from anomalake.cli.tables.table import MAX_SHOWN_ROWS, Texts
from anomalake.domain.errors import UserError

MAX_COLUMNS = 1_000
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)


def is_json(data: bytes) -> bool:
    """Return whether the text starts as JSON objects or an array of them."""
    start = data[:4_096].lstrip()
    return start.startswith(b"{") or (start.startswith(b"[") and start[1:].lstrip()[:1] in (b"{", b"]"))


def read_json(data: bytes, name: str) -> Texts:
    """Return the table of UTF-8 text. Raises `UserError` where there are no objects."""
    text = data.decode()
    records, notes = _read_document(text, name) if _is_document(text) else _read_lines(text, name)
    columns: dict[str, list[str | None]] = {}
    for row, record in enumerate(records):
        for key, value in _flatten("", record):
            column = columns.setdefault(key, [])
            if len(columns) > MAX_COLUMNS:
                raise UserError(f"{name}: the objects have more than {MAX_COLUMNS:,} different fields; export fewer")
            column.extend([None] * (row - len(column)))
            if len(column) == row:
                column.append(value)
    for column in columns.values():
        column.extend([None] * (len(records) - len(column)))
    texts = {key: pa.chunked_array([pa.array(column, pa.string())]) for key, column in columns.items()}
    return Texts(texts, notes)


def _is_document(text: str) -> bool:
    """Return whether the whole text is one array, or one object over several lines."""
    text = text.strip()
    if text.startswith("["):
        return True
    first = text.partition("\n")[0]
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return len(first) == len(text) and not isinstance(_find_records(json.loads(first)), dict)


def _find_records(document: Any) -> Any:
    """Return the rows in the document: itself, its only array of objects, or its columns (`{"x": [1, 2]}`)."""
    if not isinstance(document, dict):
        return document
    columns = [list(value.values()) if isinstance(value, dict) else value for value in document.values()]
    if (
        columns
        and all(isinstance(column, list) and len(column) == len(columns[0]) > 1 for column in columns)
        and not any(isinstance(cell, dict | list) for column in columns for cell in column)
    ):
        return [dict(zip(document, cells, strict=True)) for cells in zip(*columns, strict=True)]
    arrays = [value for value in document.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return arrays[0] if len(arrays) == 1 else document


def _read_document(text: str, name: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    try:
        document, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip()))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: is not valid JSON: {error}") from error
    if text[end:].strip():
        line = text.count("\n", 0, end) + 1
        raise UserError(f"{name}: is not valid JSON: line {line} has text after the end; write one object a line")
    records = _find_records(document)
    if not isinstance(records, list):
        raise UserError(f"{name}: is one JSON object without an array of rows; write one object a line, or an array")
    found = [record for record in records if isinstance(record, dict)]
    others = len(records) - len(found)
    return found, ((f"rows: {others:,} elements of the array are not objects and are left out",) if others else ())


def _read_lines(text: str, name: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the objects; a line that is none is left out and counted."""
    records, bad, first = [], 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            record = _DECODER.decode(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            bad += 1
            first += [f"line {number}"] if len(first) < MAX_SHOWN_ROWS else []
    if not records:
        raise UserError(f"{name}: no line is a JSON object; write one object a line")
    return records, (
        (f"rows: {bad:,} lines are not JSON objects and are left out ({', '.join(first)})",) if bad else ()
    )


def _flatten(prefix: str, record: dict[str, Any]) -> list[tuple[str, str | None]]:
    cells: list[tuple[str, str | None]] = []
    for key, value in record.items():
        if isinstance(value, dict):
            cells += _flatten(f"{prefix}{key}.", value)
        elif isinstance(value, bool):
            cells.append((prefix + key, "true" if value else "false"))
        elif isinstance(value, list):
            cells.append((prefix + key, json.dumps(value, ensure_ascii=False)))
        else:
            cells.append((prefix + key, value or None))
    return cells
