"""Encodes tables as Parquet or CSV, and decodes them. All functions are pure.

The CSV preserves every string, and no spreadsheet runs a cell as a formula. It has a header, no quoting, and one
injective encoding of cells: null is an empty cell, the empty string is `""`, and characters that would break a line, a
cell or a spreadsheet are percent-encoded. SQL decodes a cell with `url_decode` (see `catalog.views`). A spreadsheet can
split cells at commas, semicolons or tabs, drop spaces and quotes before the text of a cell, and treat full-width signs
as the start of a formula (source: "CSV Injection" by OWASP).
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from numbers import Number
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from anomalake.lake.layout import Format
from anomalake.lake.store import StorageError
from anomalake.lake.tables import Column, Columns, Kind, is_of_older_version

_ARROW_TYPES = {"string": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "timestamp": pa.timestamp("ms")}
_EMPTY_STRING_CELL = '""'
# The start of a formula: one of these signs, and before it only characters other than letters, digits and `_`.
_FORMULA = re.compile(r"\W*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def _percent(text: str) -> str:
    return "%" + text.encode().hex("%").upper() if text else ""


# Percent-encodes each character that splits or ends a cell. It lists the rest of ASCII too, because `str.translate` is
# ten times slower for a character that is not in its table.
_CELL_TRANSLATION = {code: chr(code) for code in range(128)} | {
    code: _percent(chr(code)) for code in (*range(32), *map(ord, '%+"\\,;\x7f\x85\u2028\u2029'))
}


def encode_table(table_format: Format, schema: Sequence[Column], columns: Columns) -> bytes:
    """Encode a table as one object; its columns are lists or Arrow arrays.

    The same columns give the same bytes (with one version of pyarrow).
    """
    names = [name for name, _ in schema]
    if table_format == "csv":
        cells = [
            _encode_texts(values) if kind == "string" else list(map(_encode_other, values))
            for (_, kind), values in zip(schema, map(_list_values, map(columns.__getitem__, names)), strict=True)
        ]
        lines = [",".join(names), *(",".join(row) for row in zip(*cells, strict=True))]
        return ("\n".join(lines) + "\n").encode()
    arrays = [
        values if isinstance(values := columns[name], pa.Array) else pa.array(values, _ARROW_TYPES[kind])
        for name, kind in schema
    ]
    return _write_parquet(pa.Table.from_arrays(arrays, names))


def _list_values(values: Sequence[Any]) -> Sequence[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _write_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    # Without dictionaries and statistics an object is a third smaller and faster to write. Queries read all of an
    # object, so they do not need them.
    pq.write_table(
        table, sink, compression="zstd", version="2.6", store_schema=False, use_dictionary=False, write_statistics=False
    )
    return bytes(sink.getvalue())


def encode_records(table_format: Format, schema: Sequence[Column], records: Sequence[Sequence[Any]]) -> bytes:
    """Encode rows (one or more), each with a cell for every column, as `encode_table` does."""
    return encode_table(
        table_format, schema, dict(zip([column.name for column in schema], zip(*records, strict=True), strict=True))
    )


def join_objects(table_format: Format, schema: Sequence[Column], parts: Sequence[bytes], where: str) -> bytes:
    """Join objects (one or more) into one, with their rows in order. The result is byte-equal to `encode_table` of all
    rows. Columns that were added to the table after a part was written are null.

    Raise `StorageError`, which names the object `where`, if a part cannot be read or has other columns.
    """
    if table_format == "csv":
        header = ",".join(name for name, _ in schema) + "\n"
        return header.encode() + b"".join(_csv_lines(schema, part, where) for part in parts)
    try:
        read = [pq.ParquetFile(pa.BufferReader(part)).read(use_threads=False) for part in parts]
        arrow_schema = pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in schema])
        complete = [_add_null_columns(table, schema).cast(arrow_schema) for table in read]
        return _write_parquet(pa.concat_tables(complete).combine_chunks())
    except (ValueError, pa.ArrowException) as error:
        raise StorageError(f"{where}: an object of that day cannot be joined: {error}") from error


def _csv_lines(schema: Sequence[Column], part: bytes, where: str) -> bytes:
    """Return the lines of a CSV object without its header, with an empty cell for each column that it lacks."""
    header, _, lines = part.partition(b"\n")
    names = header.decode(errors="replace").split(",")
    if not is_of_older_version(names, schema):
        expected = ", ".join(name for name, _ in schema)
        raise StorageError(f"{where}: an object of that day does not have the columns {expected}")
    missing = len(schema) - len(names)
    return lines.replace(b"\n", b"," * missing + b"\n") if missing else lines


def _add_null_columns(table: pa.Table, schema: Sequence[Column]) -> pa.Table:
    """Return the table with the columns that were added after it was written, as nulls."""
    if is_of_older_version(table.column_names, schema):
        for name, kind in schema[len(table.column_names) :]:
            table = table.append_column(name, pa.nulls(len(table), _ARROW_TYPES[kind]))
    return table


def decode_table(table_format: Format, schema: Sequence[Column], data: bytes, where: str) -> dict[str, list[Any]]:
    """Decode an object that `encode_table` wrote: the values by column.

    Columns that were added to the table after the object was written are null.

    Raise `StorageError`, which names the object `where`, if it cannot be read or has other columns.
    """
    names = [column.name for column in schema]
    try:
        column_names, table = _read_csv(data) if table_format == "csv" else _read_parquet(data, schema)
        is_complete = column_names == names or is_of_older_version(column_names, schema)
        if is_complete and table_format == "csv":
            table = {n: [_decode_cell(cell, kind) for cell in table[n]] for n, kind in schema if n in table}
    except (ValueError, pa.ArrowException) as error:
        raise StorageError(f"{where}: cannot be read as {table_format}: {error}") from error
    if not is_complete:
        raise StorageError(
            f"{where}: has the columns {', '.join(column_names)}, not {', '.join(names)}; "
            f"raise the metric set's `version` "
            "when dimensions or measures change. If an older version of Anomalake wrote the object, rebuild it with "
            "`anomalake replay`"
        )
    row_count = len(next(iter(table.values())))
    return table | {name: [None] * row_count for name in names[len(column_names) :]}


def _read_csv(data: bytes) -> tuple[list[str], dict[str, list[Any]]]:
    header, *lines = data.decode().split("\n")[:-1]
    column_names = header.split(",")
    cells = zip(*(line.split(",") for line in lines), strict=True) if lines else ([] for _ in column_names)
    return column_names, {name: list(column) for name, column in zip(column_names, cells, strict=True)}


def _read_parquet(data: bytes, schema: Sequence[Column]) -> tuple[list[str], dict[str, list[Any]]]:
    table = pq.ParquetFile(pa.BufferReader(data)).read(
        use_threads=False
    )  # for twenty rows, twice as fast as read_table
    for name, kind in schema:
        if name in table.column_names and table.schema.field(name).type != _ARROW_TYPES[kind]:
            raise ValueError(f"the column {name} is {table.schema.field(name).type}, not {_ARROW_TYPES[kind]}")
    return table.column_names, {name: table.column(name).to_pylist() for name in table.column_names}


def _encode_texts(values: Sequence[str | None]) -> list[str]:
    """Encode texts as cells. A text that occurs in many rows, such as an event ID, is encoded once."""
    cells = {value: "" if value is None else _encode_text(value) for value in set(values)}
    return [cells[value] for value in values]


def _encode_text(value: str) -> str:
    end = match.end() if (match := _FORMULA.match(value)) else 0
    return _percent(value[:end]) + value[end:].translate(_CELL_TRANSLATION) or _EMPTY_STRING_CELL


def encode_safe_cell(value: object) -> str:
    """Encode any value as a CSV cell that is safe in a spreadsheet and a terminal.

    Texts are encoded as in the lake; in addition, every character that is not printable is percent-encoded.
    """
    if value is None or isinstance(value, Number | date):
        return "" if value is None else str(value)
    return "".join(char if char.isprintable() else _percent(char) for char in _encode_text(str(value)))


def _encode_other(value: datetime | float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return repr(float(value)) if isinstance(value, float) else str(value)


def _decode_cell(cell: str, kind: Kind) -> Any:
    if not cell:
        return None
    match kind:
        case "string":
            return "" if cell == _EMPTY_STRING_CELL else unquote(cell)
        case "double":
            return float(cell)
        case "bigint":
            return int(cell)
        case "timestamp":
            return datetime.fromisoformat(cell)
