"""Reads a CSV or Parquet file of a user as a table of text.

No cell is converted, so that codes keep their leading zeros and numbers their digits.
"""

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

SAMPLE_CHARACTERS, SAMPLE_LINES = 65_536, 100  # the start of a file, which decides its delimiter
DELIMITERS = (",", ";", "\t", "|")  # the first of several that fit equally
MAX_NUMBER_CHARACTERS = 1_000
PARQUET_SUFFIXES = (".parquet", ".pq")


def read(file: Path) -> pd.DataFrame:
    """Return the table of `read_texts`, with columns renamed to names that a metric set allows (`column_names`)."""
    table = read_texts(file)
    return table.rename(columns=column_names([str(name) for name in table.columns]))


def read_texts(file: Path) -> pd.DataFrame:
    """Return the table of the file: every cell is text, missing cells are null.

    Raises `UserError` where the file cannot be read or has no rows.
    """
    try:
        table = _read_parquet(file) if file.suffix in PARQUET_SUFFIXES else _read_csv(file)
    except FileNotFoundError as error:
        raise UserError(f"{file}: the file does not exist; check the path") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        expected = "Parquet" if file.suffix in PARQUET_SUFFIXES else "CSV with a header"
        raise UserError(f"{file}: cannot be read as {expected}: {error}") from error
    if table.empty:
        raise UserError(f"{file}: holds no rows; a header and at least one row are required")
    return table


def describe_renamed_columns(file: Path, table: pd.DataFrame) -> list[str]:
    """Return a line for each column that `read` renamed."""
    if file.suffix in PARQUET_SUFFIXES:
        header = pq.read_schema(file).names
    else:
        header = list(pd.read_csv(file, nrows=0, sep=detect_delimiter(file), encoding="utf-8-sig").columns)
    return [
        f"columns: '{old}' is called '{new}' in the metric set"
        for old, new in zip(header, table.columns, strict=True)
        if old != new
    ]


def column_names(columns: list[str]) -> dict[str, str]:
    """Return the name of each column in a metric set.

    A name has letters, digits, - and _, and differs from all other names without regard to case. It is not the name of
    a generated column, except for `timestamp` and `date`.
    """
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


def detect_delimiter(file: Path) -> str:
    """Return the delimiter that gives most of the first lines as many cells as the header, and more than one cell.

    If there are several such delimiters, the one that gives the most cells is used; if there is no such delimiter, a
    comma. `csv.Sniffer` is not used, because its running time grows with the square of the sample.
    """
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        text = opened.read(SAMPLE_CHARACTERS)
    sample = text.splitlines()[: SAMPLE_LINES + 1]
    sample = (
        sample[:-1] if len(text) == SAMPLE_CHARACTERS and len(sample) > 1 else sample
    )  # the last line may be incomplete
    ratings = {delimiter: _count_fitting_lines(sample, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=ratings.__getitem__)
    return best if ratings[best][0] else ","


def _count_fitting_lines(sample: list[str], delimiter: str) -> tuple[int, int]:
    """Return the number of lines with as many cells as the first line, and the number of these cells.

    It is (0, 0) where the first line has one cell.
    """
    try:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
    except csv.Error:
        return 0, 0
    return (sum(width == widths[0] for width in widths), widths[0]) if widths and widths[0] > 1 else (0, 0)


def parse_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the column as numbers; NaN where the text is not a number, or is longer than `MAX_NUMBER_CHARACTERS`.

    pandas raises an error for a text of thousands of digits.
    """
    short = column.where(column.str.len() <= MAX_NUMBER_CHARACTERS) if column.dtype == object else column
    return pd.to_numeric(short, errors="coerce")


def _read_csv(file: Path) -> pd.DataFrame:
    table = pd.read_csv(
        file, sep=detect_delimiter(file), dtype="object", keep_default_na=False, encoding="utf-8-sig", index_col=False
    )
    return table.astype("object").where(table != "", None)


def _read_parquet(file: Path) -> pd.DataFrame:
    table = pq.read_table(file)
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            columns[name] = pc.strftime(
                column.cast(pa.timestamp("s", column.type.tz and "UTC"), safe=False), format="%Y-%m-%d %H:%M:%S"
            ).to_pylist()
        else:
            columns[name] = [None if value is None else str(value) for value in column.to_pylist()]
    return pd.DataFrame(columns, dtype="object")


def has_time_zone(file: Path) -> bool:
    """Return whether a Parquet file has timestamps with a time zone. Such timestamps are read as UTC."""
    if file.suffix not in PARQUET_SUFFIXES:
        return False
    return any(pa.types.is_timestamp(kind) and kind.tz is not None for kind in pq.read_schema(file).types)
