"""The table of text that every reader returns, with notes on what it changed or left out."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

PARTITION_COLUMN = "slot"  # of the live table, which no column of the data can have the name of
MAX_SHOWN_ROWS = 3  # of the rows with a problem that a message names
MAX_SHOWN_CHARACTERS = 60
_NO_NAME = re.compile(r"\s*|Unnamed: \d+")  # how pandas calls a column without a name


class Table(NamedTuple):
    """A table whose cells are text or null, and a note for each thing that was renamed, repaired or left out."""

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()


class Texts(NamedTuple):
    """A table of text as the readers make it: columns of Arrow strings, in order, and the notes."""

    columns: dict[str, "pa.ChunkedArray"]
    notes: tuple[str, ...] = ()


class BadRows(NamedTuple):
    """Rows with a problem: their number, and the first of them as (row number from 1, value)."""

    total: int
    first: tuple[tuple[int, str], ...]

    def describe(self) -> str:
        """Return the first rows for a message: row 3: 'abc'; row 9: 'n/k'."""
        rest = "; …" if self.total > len(self.first) else ""
        return "; ".join(f"row {row}: '{value}'" for row, value in self.first) + rest


def find_bad_rows(column: "pd.Series[Any]", is_bad: "pd.Series[bool]") -> BadRows:
    """Return the rows where `is_bad` is true, with the values of the column."""
    positions = np.flatnonzero(is_bad.to_numpy())
    shown = [(int(at) + 1, _shorten(column.iloc[at])) for at in positions[:MAX_SHOWN_ROWS]]
    return BadRows(len(positions), tuple(shown))


def _shorten(value: object) -> str:
    text = "" if pd.isna(value) else str(value)  # type: ignore[call-overload]  # a text, or a null of pandas
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def to_table(texts: Texts) -> Table:
    """Return the columns as a data frame of the type `str`, without a copy."""
    frame = pd.DataFrame({name: pd.Series(column, dtype="str") for name, column in texts.columns.items()})
    return Table(frame, texts.notes)


def name_columns(header: Sequence[str | None], columns: Sequence["pa.ChunkedArray"]) -> Texts:
    """Return the columns under their names: a blank or repeated name gets a number.

    A column without a name is left out where it is empty, or where it counts the rows (an index that was saved).
    """
    named: dict[str, pa.ChunkedArray] = {}
    notes = []
    for place, (name, column) in enumerate(zip(header, columns, strict=True), 1):
        new = (name or "").strip()
        if _NO_NAME.fullmatch(new):
            if column.null_count == len(column):
                continue
            if place == 1 and counts_rows(column):
                notes.append("columns: column 1 has no name and only numbers the rows; it is left out")
                continue
            new = f"column_{place}"
            notes.append(f"columns: column {place} has no name; it is called '{new}'")
        if new in named:
            repeated, number = new, 2
            while new in named or new in header:
                new, number = f"{repeated}_{number}", number + 1
            notes.append(f"columns: '{repeated}' is the name of several columns; column {place} is called '{new}'")
        named[new] = column
    return Texts(named, tuple(notes))


def counts_rows(column: "pa.ChunkedArray") -> bool:
    """Return whether the cells are 0, 1, 2 … or 1, 2, 3 …"""
    if not len(column) or column[0].as_py() not in ("0", "1"):
        return False
    first = int(column[0].as_py())
    counted = pc.cast(pa.array(np.arange(first, first + len(column))), pa.string())
    return bool(pc.all(pc.fill_null(pc.equal(column, counted), False)).as_py())


def column_names(columns: list[str]) -> dict[str, str]:
    """Return the name of each column in a metric set.

    A name has letters, digits, - and _, and differs from all other names without regard to case. It is not the name of
    the partition column of the live table.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns:
        clean = re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_-")[:60] or "column"
        clean = clean if clean[0].isalnum() else f"c{clean}"
        if clean.lower() == PARTITION_COLUMN:
            clean += "_"
        while clean.lower() in taken:
            clean += "_2"
        names[column] = clean
        taken.add(clean.lower())
    return names
