"""Reads CSV of any delimiter and encoding as a table of text. No cell is converted."""

import codecs
import csv
import io
from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from anomalake.cli.tables.table import Texts, name_columns
from anomalake.domain.errors import UserError

SAMPLE_BYTES, SAMPLE_ROWS = 65_536, 100  # the start of a file, which decides its delimiter and header
DELIMITERS = (",", ";", "\t", "|")  # the first of several that fit equally
RARE_DELIMITERS = ("\x01", "\x1f", "^", "~", "¦", " ")  # if none of the usual ones fits
MAX_TITLE_ROWS = 20
_BLOCK_BYTES = 16 << 20
_MARKS = (  # byte order marks; that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class _Layout(NamedTuple):
    """How the text is laid out: delimiter, names of the columns, where the data starts, and notes."""

    delimiter: str
    header: tuple[str, ...]
    data_start: int  # bytes before the first row of data
    notes: tuple[str, ...]


def read_csv(encoded: bytes, name: str) -> Texts:
    """Return the table of UTF-8 text. Raises `UserError` where it is empty or cannot be read."""
    layout = _find_layout(encoded, name)
    table, row_notes = _parse(memoryview(encoded)[layout.data_start :], layout, name)
    texts = name_columns(layout.header, table.columns)
    return Texts(texts.columns, (*layout.notes, *texts.notes, *row_notes))


def to_utf8(data: bytes, name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the text as UTF-8 without a byte order mark, and a note where the encoding is a guess.

    Text that is not UTF-8 and has no mark is UTF-16 if every other byte of its start is 0, else Windows-1252, which
    contains the characters of Latin-1.
    """
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None) or _utf16_without_mark(data)
    try:
        if encoding == "utf-8-sig":
            data = data.removeprefix(codecs.BOM_UTF8)
        elif encoding:
            data = data.decode(encoding).encode()
        if b"\0" in data:
            raise UserError(f"{name}: is not text: it has bytes of the value 0; export the data as CSV")
        data.decode()
    except UnicodeDecodeError as error:
        if encoding:
            raise UserError(f"{name}: starts as {encoding} text, but byte {error.start} does not fit") from error
        return _decode_latin(data, name)
    return data, ()


def _utf16_without_mark(data: bytes) -> str | None:
    start = np.frombuffer(data[:1_000], np.uint8) == 0
    even, odd = start[::2], start[1::2]
    if len(odd) < 2 or not (even.mean() > 0.7) ^ (odd.mean() > 0.7):
        return None
    return "utf-16-be" if even.mean() > 0.7 else "utf-16-le"


def _decode_latin(data: bytes, name: str) -> tuple[bytes, tuple[str, ...]]:
    controls = sum(data[:SAMPLE_BYTES].count(byte) for byte in (*range(9), *range(14, 27), 127))
    if controls > 0.01 * min(len(data), SAMPLE_BYTES):
        raise UserError(f"{name}: is not text, nor a form of file that can be read; export the data as CSV")
    try:
        text, encoding = data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "Latin-1"
    return text.encode(), (f"encoding: the text is not UTF-8; it is read as {encoding} (Western European)",)


def detect_delimiter(sample: str) -> str:
    """Return the delimiter that gives most of the first rows the same number of cells, and more than one cell.

    If there are several such delimiters, the one that gives the most cells is used; if there is none, a comma.
    `csv.Sniffer` is not used, because its running time grows with the square of the sample.
    """
    for delimiters in (DELIMITERS, RARE_DELIMITERS):
        ratings = {delimiter: _rate(_split(sample, delimiter)) for delimiter in delimiters}
        best = max(delimiters, key=ratings.__getitem__)
        if ratings[best][0]:
            return best
    return ","


def _rate(rows: list[list[str]]) -> tuple[int, int]:
    """Return the number of rows of the most usual width, and this width; (0, 0) where it is 1."""
    widths = Counter(len(row) for row in rows)
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return (count, width) if width > 1 and (count > 1 or len(rows) == 1) else (0, 0)


def _split(sample: str, delimiter: str) -> list[list[str]]:
    """Return the first rows that are not blank."""
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        return [row for row, _ in zip(reader, range(SAMPLE_ROWS + MAX_TITLE_ROWS), strict=False) if row]
    except csv.Error:
        return []


def _take_sample(encoded: bytes) -> str:
    """Return the start of the text, without a last line that may be incomplete."""
    sample = encoded[:SAMPLE_BYTES].decode(errors="ignore")
    cut = max(sample.rfind("\n"), sample.rfind("\r")) + 1
    return sample[:cut] if len(encoded) > SAMPLE_BYTES and cut else sample


def _find_layout(encoded: bytes, name: str) -> _Layout:
    sample = _take_sample(encoded)
    if not sample.strip():
        raise UserError(f"{name}: is empty; a header and at least one row are required")
    delimiter = detect_delimiter(sample)
    rows = _split(sample, delimiter)
    if not rows:
        raise UserError(f"{name}: cannot be read as CSV: a quoted cell does not end")
    place = find_header(rows)
    notes = [f"header: {place} lines above the header are left out"] if place else []
    header = rows[place]
    width = _rate(rows[place + 1 :])[1] or len(header)
    if width == len(header) + 1:  # every row ends with a delimiter, or starts with the name of the row
        ends_blank = all(len(row) < width or not row[-1] for row in rows[place + 1 :])
        header = [*header, ""] if ends_blank else ["", *header]
    return _Layout(delimiter, tuple(header), _end_of_row(sample, delimiter, place), tuple(notes))


def find_header(rows: list[list[str]]) -> int:
    """Return the place of the header: the first row that has about as many cells as most rows have.

    The rows above are titles. The first row is the header if no row of the start fits better.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    usual = Counter(filled[1:] or filled).most_common(1)[0][0]
    return next((place for place, count in enumerate(filled[:MAX_TITLE_ROWS]) if count >= max(2, usual / 2)), 0)


def _end_of_row(sample: str, delimiter: str, place: int) -> int:
    """Return the bytes that the rows up to this place use, which may contain line breaks in quotes."""
    lines = io.StringIO(sample, newline="")
    reader = csv.reader(iter(lines.readline, ""), delimiter=delimiter)
    read = -1
    while read < place:
        read += bool(next(reader))
    return len(sample[: lines.tell()].encode())


def _parse(data: memoryview, layout: _Layout, name: str) -> tuple["pa.Table", tuple[str, ...]]:
    """Return the rows. Rows that lack cells are filled up; rows with more cells than the header are left out."""
    columns = [str(number) for number in range(len(layout.header))]
    short: list[pa.csv.InvalidRow] = []
    long: list[pa.csv.InvalidRow] = []

    def take_invalid(row: "pa.csv.InvalidRow") -> str:
        (short if row.actual_columns < row.expected_columns else long).append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(data),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=columns),
            pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=take_invalid
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        ) if len(data) else pa.table({column: pa.array([], pa.string()) for column in columns})  # fmt: skip
    except pa.ArrowException as error:
        raise UserError(f"{name}: cannot be read as CSV: {error}") from error
    return _repair_rows(table, short, long, layout)


def _repair_rows(
    table: "pa.Table", short: list["pa.csv.InvalidRow"], long: list["pa.csv.InvalidRow"], layout: _Layout
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
        first = ", ".join(f"row {row.number}" for row in short[:3])
        notes.append(
            f"rows: {len(short):,} rows have fewer cells than the header; their last cells are empty ({first})"
        )
    if left_out:
        first = ", ".join(f"row {row.number} has {row.actual_columns} cells" for row in left_out[:3])
        notes.append(f"rows: {len(left_out):,} rows have more than {width} cells and are left out ({first})")
    if repaired:
        skipped = {row.number for row in (*short, *long)}
        total = len(table) + len(skipped)
        numbers = np.setdiff1d(np.arange(1, total + 1), np.fromiter(skipped, int))
        filled = [pa.array(column, pa.string()) for column in zip(*repaired.values(), strict=True)]
        order = np.argsort(np.concatenate([numbers, np.fromiter(repaired, int)]), kind="stable")
        table = pa.concat_tables([table, pa.table(filled, names=table.column_names)]).take(pa.array(order))
    return table, tuple(notes)
