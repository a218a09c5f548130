"""Reads a table of a DuckDB or SQLite file, which is opened read-only, as a table of text."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from anomalake.cli.tables.arrow_text import to_texts
from anomalake.cli.tables.table import Texts
from anomalake.domain.errors import UserError

SQLITE_MAGIC = b"SQLite format 3\0"
MAX_ROWS = 20_000_000
MAX_NAMED_TABLES = 20
_BATCH_ROWS = 50_000


def is_duckdb(head: bytes) -> bool:
    """Return whether the file starts as a DuckDB file: a checksum, then its mark."""
    return head[8:12] == b"DUCK"


def read_duckdb(file: Path, table_name: str | None) -> Texts:
    """Return the table or view of this name, or the only one. Raises `UserError`."""
    import duckdb  # noqa: PLC0415  (takes 100 ms, and only these files need it)

    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY ALL"
            ).fetchall()
            name = _quote(_choose(file, [row[0] for row in found], table_name))
            _check_rows(file, connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])
            return to_texts(connection.sql(f"SELECT * FROM {name}").to_arrow_table())
    except duckdb.Error as error:
        raise UserError(f"{file}: cannot be read as a DuckDB file: {error}") from error


def read_sqlite(file: Path, table_name: str | None) -> Texts:
    """Return the table or view of this name, or the only one. Raises `UserError`."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda data: data.decode(errors="replace")
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
            ).fetchall()
            name = _quote(_choose(file, [row[0] for row in found], table_name))
            _check_rows(file, connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])
            cursor = connection.execute(f"SELECT * FROM {name}")
            names = [column[0] for column in cursor.description]
            chunks: list[list[pa.Array]] = [[] for _ in names]
            while rows := cursor.fetchmany(_BATCH_ROWS):
                for chunk, cells in zip(chunks, zip(*rows, strict=True), strict=True):
                    chunk.append(pa.array([_cell_text(cell) for cell in cells], pa.string()))
    except sqlite3.Error as error:
        raise UserError(f"{file}: cannot be read as a SQLite file: {error}") from error
    columns = {name: pa.chunked_array(chunk, pa.string()) for name, chunk in zip(names, chunks, strict=True)}
    return Texts(columns)


def _cell_text(cell: object) -> str | None:
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    return None if cell is None or cell == "" else str(cell)


def _choose(file: Path, tables: list[str], table_name: str | None) -> str:
    shown = ", ".join(tables[:MAX_NAMED_TABLES]) + (", …" if len(tables) > MAX_NAMED_TABLES else "")
    if not tables:
        raise UserError(f"{file}: holds no table")
    if table_name is not None and table_name not in tables:
        raise UserError(f"{file}: has no table '{table_name}'; its tables are {shown}")
    if table_name is None and len(tables) > 1:
        raise UserError(f"{file}: has several tables: {shown}; choose one with --table")
    return table_name or tables[0]


def _check_rows(file: Path, count: int) -> None:
    if count > MAX_ROWS:
        raise UserError(
            f"{file}: the table has {count:,} rows, and at most {MAX_ROWS:,} are read; aggregate them first in a view, "
            "and name the view with --table"
        )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
