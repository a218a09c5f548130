"""Reads CSV of any delimiter as a table of text. No cell is converted."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.csv

from anomalake.cli.tables.csv_layout import Layout, find_layout
from anomalake.cli.tables.table import MAX_SHOWN_ROWS, Texts, name_columns
from anomalake.domain.errors import UserError

MAX_BAD_SHARE = 0.5  # of rows with another number of cells than the header; with more, the text is no table
_BLOCK_BYTES = 16 << 20


def read_csv(encoded: bytes, name: str) -> Texts:
    """Return the table of UTF-8 text. Raises `UserError` where it is empty or cannot be read."""
    layout = find_layout(encoded, name)
    data = memoryview(encoded)[layout.data_start :]
    if layout.is_spaced:
        data = _remove_spaces(data, layout.delimiter)
    table, row_notes = _parse(data, layout, name)
    texts = name_columns(layout.header, table.columns)
    return Texts(texts.columns, (*layout.notes, *texts.notes, *row_notes))


def _remove_spaces(data: memoryview, delimiter: str) -> memoryview:
    """Return the rows without the spaces after delimiters."""
    text = io.StringIO(newline="")
    lines = io.StringIO(str(data, "utf-8"), newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(
        csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    )
    return memoryview(text.getvalue().encode())


def _parse(data: memoryview, layout: Layout, name: str) -> tuple["pa.Table", tuple[str, ...]]:
    """Return the rows. Rows that lack cells are filled up; rows with more cells than the header are left out."""
    columns = [str(number) for number in range(len(layout.header))]
    short: list[pa.csv.InvalidRow] = []
    long: list[pa.csv.InvalidRow] = []

    def take_invalid(row: "pa.csv.InvalidRow") -> str:
        (short if row.actual_columns < row.expected_columns else long).append(row)
        return "skip"

    if len(data) < _BLOCK_BYTES and not bytes(data).strip():
        return pa.table({column: pa.array([], pa.string()) for column in columns}), ()
    types = dict.fromkeys(columns, pa.string())
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(data),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=columns),
            pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=take_invalid
            ),
            pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""]),
        )
    except pa.ArrowException as error:
        raise UserError(f"{name}: cannot be read as CSV: {error}") from error
    _check_widths(len(table), [*long, *short], layout, name)
    _check_last_row(table, data, name)
    return _repair_rows(table, short, long, layout)


def _check_widths(good: int, bad: list["pa.csv.InvalidRow"], layout: Layout, name: str) -> None:
    """Raise `UserError` if most rows have another number of cells than the header."""
    if len(bad) > MAX_BAD_SHARE * (good + len(bad)):
        first = ", ".join(f"row {row.number} has {row.actual_columns}" for row in bad[:MAX_SHOWN_ROWS])
        raise UserError(
            f"{name}: is no table: the header has {len(layout.header)} cells, and most rows have another number "
            f"({first}); export the data as CSV with a header"
        )


def _check_last_row(table: "pa.Table", data: memoryview, name: str) -> None:
    """Raise `UserError` if a quoted cell does not end, and so contains all rows up to the end of the file."""
    last = table.slice(max(0, len(table) - 1)).to_pylist()
    if any("\n" in (cell or "") for row in last for cell in row.values()) and bytes(data).count(b'"') % 2:
        raise UserError(
            f"{name}: row {len(table):,} has a quotation mark that no other one closes, so that all rows below it are "
            "part of its cell; remove the mark, or double it"
        )


def _repair_rows(
    table: "pa.Table", short: list["pa.csv.InvalidRow"], long: list["pa.csv.InvalidRow"], layout: Layout
) -> tuple["pa.Table", tuple[str, ...]]:
    """Return the table with the rows that could be repaired in their places, and notes on these and the others."""
    width, notes = len(layout.header), []
    repaired: dict[int, list[str | None]] = {}
    left_out = []
    for row in (*short, *long):
        cells: list[str | None] = [cell or None for cell in next(csv.reader([row.text], delimiter=layout.delimiter))]
        if any(cells[width:]):
            left_out.append(row)
        else:
            repaired[row.number] = cells[:width] + [None] * (width - len(cells))
    if short:
        first = ", ".join(f"row {row.number}" for row in short[:MAX_SHOWN_ROWS])
        notes.append(
            f"rows: {len(short):,} rows have fewer cells than the header; their last cells are empty ({first})"
        )
    if left_out:
        first = ", ".join(f"row {row.number} has {row.actual_columns} cells" for row in left_out[:MAX_SHOWN_ROWS])
        notes.append(f"rows: {len(left_out):,} rows have more than {width} cells and are left out ({first})")
    if repaired:
        skipped = {row.number for row in (*short, *long)}
        total = len(table) + len(skipped)
        numbers = np.setdiff1d(np.arange(1, total + 1), np.fromiter(skipped, int))
        filled = [pa.array(column, pa.string()) for column in zip(*repaired.values(), strict=True)]
        order = np.argsort(np.concatenate([numbers, np.fromiter(repaired, int)]), kind="stable")
        table = pa.concat_tables([table, pa.table(filled, names=table.column_names)]).take(pa.array(order))
    return table, tuple(notes)
