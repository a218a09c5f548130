"""Reads a table in any common form: CSV, JSON, Excel, Parquet, databases, folders of files, S3, standard input.

The content of a file decides its form, and not its name.
"""

import io
import re
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from anomalake.cli.tables import arrow_text, csv_text, database, files, json_text, text_encoding, workbook
from anomalake.cli.tables.files import File
from anomalake.cli.tables.table import Table, Texts, column_names, to_table
from anomalake.domain.errors import UserError

MAX_CELLS = 500_000_000  # of a Parquet file
_HIVE_FOLDER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_NO_TABLE = {b"%PDF": "a PDF file", b"\x89PNG": "an image", b"\xff\xd8\xff": "an image", b"\x28\xb5\x2f\xfd": "compressed with Zstandard", b"Obj\x01": "an Avro file", b"ORC": "an ORC file"}  # fmt: skip  # noqa: E501


def read(location: str, table_name: str | None = None) -> Table:
    """Return the table of `read_texts`, with columns renamed to names that a metric set allows (`column_names`)."""
    table = read_texts(location, table_name)
    names = column_names([str(name) for name in table.rows.columns])
    renamed = (f"columns: '{old}' is called '{new}' in the metric set" for old, new in names.items() if old != new)
    return Table(table.rows.rename(columns=names), (*table.notes, *renamed))


def read_texts(location: str, table_name: str | None = None) -> Table:
    """Return the table at a location: a file, a folder, `s3://BUCKET/KEY`, or `-` for standard input.

    Every cell is text as it is written, and missing cells are null. The notes name whatever is left out. `table_name`
    chooses a table of a database, or a sheet of a workbook. Raises `UserError` where nothing can be read, or the table
    has no rows.
    """
    found = files.find_files(location)
    texts = _read_file(found[0], table_name) if not found[0].path else _read_folder(found, table_name)
    table = to_table(texts)
    if table.rows.empty:
        raise UserError(f"{location}: holds no rows; a header and at least one row are required")
    return table


def _read_folder(found: list[File], table_name: str | None) -> Texts:
    """Return the rows of all files; folders such as `year=2024` become columns (Hive partitions)."""
    parts: list[pa.Table] = []
    notes: dict[str, None] = {}
    for file in found:
        texts = _read_file(file, table_name)
        columns = dict(texts.columns)
        rows = len(next(iter(columns.values()), ()))
        for folder in file.path.split("/")[:-1]:
            if (match := _HIVE_FOLDER.fullmatch(folder)) is not None:
                value = None if match[2] == _HIVE_NULL else unquote(match[2])
                columns[match[1]] = pa.chunked_array([pa.repeat(pa.scalar(value, pa.string()), rows)])
        parts.append(pa.table(columns))
        notes |= dict.fromkeys(f"{file.path}: {note}" for note in texts.notes)
    names = list(dict.fromkeys(name for part in parts for name in part.column_names))
    for file, part in zip(found, parts, strict=True):
        if missing := [name for name in names if name not in part.column_names]:
            notes[f"{file.path}: has no column {', '.join(missing)}; its cells are empty"] = None
    table = pa.concat_tables(parts, promote_options="default")
    return Texts(dict(zip(table.column_names, table.columns, strict=True)), tuple(notes))


def _read_file(file: File, table_name: str | None) -> Texts:
    if file.local is not None:
        with _opened(file.local) as opened:
            head = opened.read(files.HEAD_BYTES)
        if head.startswith(database.SQLITE_MAGIC):
            return database.read_sqlite(file.local, table_name)
        if database.is_duckdb(head):
            return database.read_duckdb(file.local, table_name)
        if head.startswith(b"PAR1"):
            return _read_parquet(file.local, file.name)
    return _read_bytes(*files.unpack(file.read(), file.name), table_name)


def _opened(file: Path) -> io.BufferedReader:
    try:
        return file.open("rb")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error


def _read_bytes(data: bytes, name: str, table_name: str | None) -> Texts:
    if data.startswith((database.SQLITE_MAGIC,)) or database.is_duckdb(data[:12]):
        raise UserError(f"{name}: is a database, which is read from a local file only; copy it, and name the copy")
    if data.startswith(b"PAR1"):
        return _read_parquet(io.BytesIO(data), name)
    if data.startswith((b"PK\x03\x04", workbook.OLE_MAGIC)):
        return workbook.read_workbook(data, name, table_name)
    for mark, kind in _NO_TABLE.items():
        if data.startswith(mark):
            raise UserError(f"{name}: is {kind}, which cannot be read; export the data as CSV or Parquet")
    if table_name is not None:
        raise UserError(f"{name}: holds one table; omit --table, which is for databases and workbooks")
    encoded, notes = text_encoding.to_utf8(data, name)
    if json_text.is_json(encoded):
        texts = json_text.read_json(encoded, name)
    elif name.endswith((".parquet", ".pq")):
        raise UserError(f"{name}: cannot be read as Parquet: it does not start with the mark of a Parquet file")
    else:
        texts = csv_text.read_csv(encoded, name)
    return Texts(texts.columns, (*notes, *texts.notes))


def _read_parquet(source: Path | io.BytesIO, name: str) -> Texts:
    try:
        with pq.ParquetFile(source) as file:
            cells = file.metadata.num_rows * file.metadata.num_columns
            if cells > MAX_CELLS:
                raise UserError(
                    f"{name}: has {cells:,} cells, and at most {MAX_CELLS:,} are read; aggregate the data first, for "
                    "example by hour with DuckDB, or keep fewer columns"
                )
            return arrow_text.to_texts(file.read())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{name}: cannot be read as Parquet: {error}") from error
