"""Columns of Arrow types (Parquet, DuckDB) as text: times in ISO 8601, all digits of numbers, flat structures."""

import json

import pyarrow as pa
import pyarrow.compute as pc

from anomalake.cli.tables.table import Texts


def to_texts(table: "pa.Table") -> Texts:
    """Return the table with all cells as text.

    Times with a zone become UTC and end in Z; fractions of a second are cut. A structure becomes one column for each
    field (`address.city`), and a list becomes JSON. Columns of bytes that are no text are left out, with a note.
    """
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    columns, notes = {}, []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name] = _to_text(column)
        except (pa.ArrowException, ValueError) as error:
            notes.append(f"columns: '{name}' is left out; its type {column.type} is not text: {error}")
    return Texts(columns, tuple(notes))


def _to_text(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _to_text(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        seconds = column.cast(pa.timestamp("s", kind.tz and "UTC"), safe=False)
        return pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ" if kind.tz else "%Y-%m-%d %H:%M:%S")
    if pa.types.is_floating(kind):
        text = column.cast(pa.string())
        return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.string()), text)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        cells = (None if value is None else json.dumps(value, default=str) for value in column.to_pylist())
        return pa.chunked_array([pa.array(cells, pa.string())])
    if pa.types.is_duration(kind):
        return column.cast(pa.int64()).cast(pa.string())
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
