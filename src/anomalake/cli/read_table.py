"""A user's CSV or Parquet file as a table of texts: nothing is guessed away, so that codes keep their zeros and numbers their digits."""

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from anomalake.domain.errors import UserError
from anomalake.domain.names import GENERATED_COLUMNS

SNIFFED, SNIFFED_LINES = 65_536, 100  # characters and lines that are read to find the delimiter
DELIMITERS = (",", ";", "\t", "|")  # in this order where several fit equally
MAX_NUMBER_CHARACTERS = 1_000
WALL_FORMAT = "yyyy-MM-dd HH:mm:ss"  # how a Parquet file's timestamps are written out


def read(file: Path) -> pd.DataFrame:
    """The file's table, as `read_texts` has it, its columns named as a metric set can name them (`column_names`)."""
    table = read_texts(file)
    return table.rename(columns=column_names([str(name) for name in table.columns]))


def read_texts(file: Path) -> pd.DataFrame:
    """The file's table; every cell a text, missing ones null."""
    try:
        table = _parquet(file) if file.suffix in (".parquet", ".pq") else _csv(file)
    except FileNotFoundError as error:
        raise UserError(f"{file}: there is no such file") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"{file}: cannot be read as {'Parquet' if file.suffix in ('.parquet', '.pq') else 'CSV with a header'}: {error}"
        ) from error
    if table.empty:
        raise UserError(f"{file}: holds no rows; a header and at least one row are needed")
    return table


def describe_renamed_columns(file: Path, table: pd.DataFrame) -> list[str]:
    """What `read` changed that its user should know of."""
    if file.suffix not in (".parquet", ".pq"):
        header = pd.read_csv(file, nrows=0, sep=_delimiter(file), encoding="utf-8-sig").columns
        return [
            f"columns: {old!r} is called {new!r} in the metric set"
            for old, new in zip(header, table.columns, strict=True)
            if old != new
        ]
    return [
        f"columns: {old!r} is called {new!r}"
        for old, new in column_names(pq.read_schema(file).names).items()
        if old != new
    ]


def column_names(columns: list[str]) -> dict[str, str]:
    """Each column's name in a metric set: letters, digits, - and _; different without case; none that the tables generate, but for timestamps."""
    names: dict[str, str] = {}
    for column in columns:
        clean = re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_-")[:60] or "column"
        clean = clean if clean[0].isalnum() else f"c{clean}"
        if clean.lower() in GENERATED_COLUMNS - {"timestamp", "date"}:
            clean += "_"
        while clean.lower() in {name.lower() for name in names.values()}:
            clean += "_2"
        names[column] = clean
    return names


def _delimiter(file: Path) -> str:
    """The delimiter that cuts the first lines into as many cells as the header, more than one; the one that gives the most cells.

    `csv.Sniffer` is not used: the time that it takes grows with the square of the sample.
    """
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        text = opened.read(SNIFFED)
    sample = text.splitlines()[: SNIFFED_LINES + 1]
    sample = sample[:-1] if len(text) == SNIFFED and len(sample) > 1 else sample  # the last line may be cut
    found = [(_fitting_lines(sample, delimiter), delimiter) for delimiter in DELIMITERS]
    best, delimiter = max(found, key=lambda one: one[0])
    return delimiter if best[0] else ","


def _fitting_lines(sample: list[str], delimiter: str) -> tuple[int, int]:
    """How many of the lines have as many cells as the first, and how many these are; (0, 0) where the first is one cell."""
    try:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
    except csv.Error:
        return 0, 0
    return (sum(width == widths[0] for width in widths), widths[0]) if widths and widths[0] > 1 else (0, 0)


def parse_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """The numbers that the texts of a column are; NaN for other texts. A text of thousands of digits is none (pandas raises an error for it)."""
    short = column.where(column.str.len() <= MAX_NUMBER_CHARACTERS) if column.dtype == object else column
    return pd.to_numeric(short, errors="coerce")


def _csv(file: Path) -> pd.DataFrame:
    table = pd.read_csv(
        file, sep=_delimiter(file), dtype="object", keep_default_na=False, encoding="utf-8-sig", index_col=False
    )
    return table.astype("object").where(table != "", None)


def _parquet(file: Path) -> pd.DataFrame:
    found = pq.read_table(file)
    columns = {}
    for name, column in zip(found.column_names, found.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            columns[name] = pc.strftime(
                column.cast(pa.timestamp("s", column.type.tz and "UTC"), safe=False), format="%Y-%m-%d %H:%M:%S"
            ).to_pylist()
        else:
            columns[name] = [None if value is None else str(value) for value in column.to_pylist()]
    return pd.DataFrame(columns, dtype="object")


def has_time_zone(file: Path) -> bool:
    """Whether a Parquet file's timestamps carry a zone of their own; they are read as UTC then."""
    if file.suffix not in (".parquet", ".pq"):
        return False
    return any(pa.types.is_timestamp(kind) and kind.tz is not None for kind in pq.read_schema(file).types)
