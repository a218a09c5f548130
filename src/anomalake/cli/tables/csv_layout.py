"""Finds the delimiter and the header of CSV from its start."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from anomalake.cli.tables import timestamps
from anomalake.domain.errors import UserError

SAMPLE_BYTES, SAMPLE_ROWS = 65_536, 100  # the start of a file, which decides its delimiter and header
DELIMITERS = (",", ";", "\t", "|")  # the first of several that fit equally
RARE_DELIMITERS = ("\x01", "\x1f", "^", "~", "\xa6", " ")  # if none of the usual ones fits
MAX_TITLE_ROWS = 20
_NO_DELIMITER = "\x1f"  # for a file with one column of times, which can contain commas
_MIN_SHARE = 0.8  # of the cells of a column that have the form of its first cell, in a file without a header
_DATA_NUMBER = re.compile(r"[+-]?(\d*[.,]\d+|0\d+|\d{5,}|\d{1,3}(,\d{3})+)")  # no header; 2024 can be one
_NUMBER = re.compile(r"[+-]?[\d.,]*\d[\d.,]*")


class Layout(NamedTuple):
    """How the text is laid out: delimiter, names of the columns, where the data starts, and notes."""

    delimiter: str
    header: tuple[str, ...]
    data_start: int  # bytes before the first row of data
    is_spaced: bool  # a space follows the delimiters, also before quotes
    notes: tuple[str, ...]


def find_layout(encoded: bytes, name: str) -> Layout:
    """Return the layout of UTF-8 text. Raises `UserError` if it is empty."""
    sample = _take_sample(encoded)
    if not sample.strip():
        raise UserError(f"{name}: is empty; a header and at least one row are required")
    if sample.lstrip().startswith("<"):
        raise UserError(f"{name}: is HTML or XML, which cannot be read; export the data as CSV")
    delimiter = _NO_DELIMITER if _is_one_column_of_times(sample) else detect_delimiter(sample)
    rows = _split(sample, delimiter)
    is_spaced = any(re.match(r' +"', cell) for row in rows for cell in row)
    rows = _split(sample, delimiter, is_spaced) if is_spaced else rows
    if not rows:
        raise UserError(f"{name}: cannot be read as CSV: a quoted cell does not end")
    place = find_header(rows)
    notes = [f"header: {place} lines above the header are left out"] if place else []
    header, data = rows[place], rows[place + 1 :]
    width = _rate(data)[1] or len(header)
    if width == len(header) + 1:  # every row ends with a delimiter, or starts with the name of the row
        ends_blank = all(len(row) < width or not row[-1] for row in data)
        header = [*header, ""] if ends_blank else ["", *header]
    if is_data(header, data):
        notes.append("header: the first line looks like data, so the columns are called column_1, column_2 and so on")
        header = [f"column_{number}" for number in range(1, len(header) + 1)]
        place -= 1
    return Layout(delimiter, tuple(header), _end_of_row(sample, delimiter, place), is_spaced, tuple(notes))


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


def _split(sample: str, delimiter: str, is_spaced: bool = False) -> list[list[str]]:
    """Return the first rows that are not blank."""
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=is_spaced)
        return [row for row, _ in zip(reader, range(SAMPLE_ROWS + MAX_TITLE_ROWS), strict=False) if row]
    except csv.Error:
        return []


def _take_sample(encoded: bytes) -> str:
    """Return the start of the text, without a last line that may be incomplete."""
    size = SAMPLE_BYTES if b"\n" in encoded[:SAMPLE_BYTES] else encoded.find(b"\n", SAMPLE_BYTES) + 1 or len(encoded)
    sample = encoded[:size].decode(errors="ignore")
    cut = max(sample.rfind("\n"), sample.rfind("\r")) + 1
    return sample[:cut] if len(encoded) > size and cut else sample


def find_header(rows: list[list[str]]) -> int:
    """Return the place of the header: the first row that has about as many cells as most rows have.

    The rows above are titles. The first row is the header if no row of the start fits better.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    usual = Counter(filled[1:] or filled).most_common(1)[0][0]
    return next((place for place, count in enumerate(filled[:MAX_TITLE_ROWS]) if count >= max(2, 0.6 * usual)), 0)


def _end_of_row(sample: str, delimiter: str, place: int) -> int:
    """Return the bytes that the rows up to this place use, which may contain line breaks in quotes."""
    lines = io.StringIO(sample, newline="")
    reader = csv.reader(iter(lines.readline, ""), delimiter=delimiter)
    read = -1
    while read < place:
        read += bool(next(reader))
    return len(sample[: lines.tell()].encode())


def is_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a first row is no header: a cell is a number or a time, as most cells below it are."""
    for place, cell in enumerate(header):
        below = [row[place] for row in rows[:SAMPLE_ROWS] if place < len(row) and row[place].strip()]
        if _DATA_NUMBER.fullmatch(cell.strip()):
            numbers = sum(_NUMBER.fullmatch(other.strip()) is not None for other in below)
            if below and numbers >= _MIN_SHARE * len(below):
                return True
        elif re.search(r"\d", cell) and _are_times([cell]) and _are_times(below):
            return True
    return False


def _are_times(cells: list[str]) -> bool:
    found = timestamps.recognise(pd.Series(cells, dtype="str"), "")
    return found is not None and found.precision in ("day", "time") and found.bad.total == 0


def _is_one_column_of_times(sample: str) -> bool:
    """Return whether the lines after the first are times, which can contain a delimiter: Sat, 22 Apr 2017."""
    lines = [line for line in sample.split("\n", SAMPLE_ROWS + 1)[:SAMPLE_ROWS] if line.strip()]
    return len(lines) > 1 and _are_times(lines[1:])
