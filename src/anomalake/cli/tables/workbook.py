"""Reads a sheet of an Excel file (.xlsx, .xls, .xlsb) or of an OpenDocument file as a table of text."""

import io
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from anomalake.cli.tables.csv_layout import find_header
from anomalake.cli.tables.table import Texts, name_columns
from anomalake.domain.errors import UserError

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xls, and the wrapping of an encrypted .xlsx


def read_workbook(data: bytes, name: str, sheet_name: str | None) -> Texts:
    """Return the table of a sheet: the named one, or the only one with rows.

    Raises `UserError` for an encrypted file, and where the sheet has to be chosen.
    """
    import python_calamine  # noqa: PLC0415  (only for these files)

    if data.startswith(OLE_MAGIC) and "EncryptedPackage".encode("utf-16-le") in data:
        raise UserError(f"{name}: is encrypted; open it in Excel, save it without a password, and try again")
    try:
        workbook = python_calamine.load_workbook(io.BytesIO(data))
        names = workbook.sheet_names if sheet_name is None else [sheet_name]
        if sheet_name is not None and sheet_name not in workbook.sheet_names:
            raise UserError(f"{name}: has no sheet '{sheet_name}'; its sheets are {', '.join(workbook.sheet_names)}")
        sheets = {sheet: workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=True) for sheet in names}
    except python_calamine.PasswordError as error:
        raise UserError(f"{name}: is encrypted; open it in Excel, save it without a password, and try again") from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise UserError(f"{name}: cannot be read as a workbook: {error}") from error
    filled = {sheet: rows for sheet, rows in sheets.items() if len(rows) > 1}
    if not filled:
        raise UserError(f"{name}: no sheet holds a header and a row")
    if len(filled) > 1:
        raise UserError(f"{name}: has several sheets with data: {', '.join(filled)}; choose one with --table")
    return _to_texts(next(iter(filled.values())))


def _to_texts(rows: list[list[Any]]) -> Texts:
    rows = [row for row in rows if any(cell != "" for cell in row)]
    place = find_header([[str(cell) for cell in row] for row in rows[:100]])
    header = [_cell_text(cell) for cell in rows[place]]
    columns = []
    for number in range(len(header)):
        cells = [row[number] if number < len(row) else "" for row in rows[place + 1 :]]
        only_days = all(cell.time() == time() for cell in cells if isinstance(cell, datetime))
        columns.append(pa.chunked_array([pa.array([_cell_text(cell, only_days) for cell in cells], pa.string())]))
    texts = name_columns(header, columns)
    notes = (f"header: {place} rows above the header are left out",) if place else ()
    return Texts(texts.columns, (*notes, *texts.notes))


def _cell_text(cell: Any, only_days: bool = False) -> str | None:
    """Return the text of a cell: whole numbers without a fraction, times to the second in ISO 8601."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case datetime():
            rounded = cell + timedelta(milliseconds=500)  # Excel's times are fractions of days
            return rounded.strftime("%Y-%m-%d" if only_days else "%Y-%m-%d %H:%M:%S")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell.total_seconds())
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
    return str(cell) if cell != "" else None
