"""Reads a CSV live file by column: faster than row by row, with the same result. Only a file without problems can be
read in this way.
"""

import csv
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from anomalake.domain.metric_set import Source
from anomalake.lake.live_files import BYTE_ORDER_MARK, MAX_LINE_BYTES, NUMBER, open_text
from anomalake.lake.live_rows import OTHER_INTERVAL, Input, Request, Rows, Series
from anomalake.lake.live_timestamps import Codes, number_intervals

_NUMBER_OR_EMPTY = f"^({NUMBER})?$"


def read_by_column(content: bytes, request: Request) -> Rows | None:
    """Return the rows of a file. Return None if it may have a problem: then each row must be read separately."""
    metric_set, source = request.metric_set, request.source
    dimensions = tuple(dimension.source_column for dimension in metric_set.dimensions)
    names = dict.fromkeys((metric_set.timestamp.column, *dimensions, *(item.column for item in request.inputs)))
    columns = _read_plain_columns(content, source, list(names))
    if columns is None:
        columns = _read_quoted_columns(content, source, list(names))
    if columns is None or not all(len(column) for column in columns.values()):
        return None
    codes, starts = number_intervals(
        columns[metric_set.timestamp.column], metric_set.timestamp.format, metric_set.clock
    )
    places = [None if isinstance(start, str) else request.find_place(start) for start in starts]
    if None in places:
        return None
    place_of_row = np.array(places, np.int64)[codes]
    selected = np.flatnonzero(place_of_row != OTHER_INTERVAL)
    numbers = {item: _parse_numbers(columns[item.column]) for item in request.inputs if item.kind == "number"}
    if any(column is None for column in numbers.values()):
        return None  # also if the number belongs to another interval: it is not decided here whether it counts
    cells: dict[Input, NDArray[Any]] = {
        item: column[selected] for item, column in numbers.items() if column is not None
    }
    texts: dict[Input, list[str]] = {}
    for item in request.inputs:
        if item.kind == "text":
            cells[item], found = _encode(columns[item.column], selected)
            texts[item] = ["" if text is None else text for text in found]
            cells[item] = np.where(np.array([text is None for text in found], bool)[cells[item]], -1, cells[item])
    encoded = [_encode(columns[name], selected) for name in dimensions]
    kept = [(codes, request.keep_values(number, values)) for number, (codes, values) in enumerate(encoded)]
    series, known_series = _combine_dimensions(kept, len(selected))
    return Rows(place_of_row[selected], series, known_series, cells, texts)


def _read_plain_columns(content: bytes, source: Source, names: list[str]) -> dict[str, pa.Array] | None:
    """Return the columns of a file without quotes, in which each line break ends a row and each delimiter a cell."""
    if content.count(source.quote.encode()) or b"\0" in content or source.charset != "UTF-8":
        return None
    content = content.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\n")
    first, _, rest = content.partition(b"\n")
    if source.header:
        try:
            header = [name.strip() for name in first.decode().split(source.delimiter)]
        except UnicodeDecodeError:
            return None
        if header != list(source.columns):
            return None
        content = rest
    if b"\r" in content or b"\n\n" in content or content[:1] in {b"\n", b""}:
        return None
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(content),
            pa.csv.ReadOptions(
                use_threads=False, block_size=min(4 * MAX_LINE_BYTES, len(content)), column_names=source.columns
            ),
            pa.csv.ParseOptions(delimiter=source.delimiter, quote_char=False, ignore_empty_lines=False),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=names),
        )
    except pa.ArrowInvalid:
        return None
    return {name: table[name].combine_chunks() for name in names}


def _read_quoted_columns(content: bytes, source: Source, names: list[str]) -> dict[str, pa.Array] | None:
    """Return the columns of any CSV file in which every row has the cells of the source."""
    records: list[list[str]] = []
    text = open_text(content, source, "", "strict")
    try:
        for record in csv.reader(text, delimiter=source.delimiter, quotechar=source.quote):
            if len(record) != len(source.columns):
                return None
            records.append(record)
    except (csv.Error, UnicodeDecodeError):
        return None
    if not records:
        return None
    if source.header and [name.strip() for name in records.pop(0)] != list(source.columns):
        return None
    if not records:
        return None
    columns = dict(zip(source.columns, zip(*records, strict=True), strict=True))
    return {name: pa.array(columns[name], pa.string()) for name in names}


def _parse_numbers(texts: pa.StringArray) -> NDArray[np.float64] | None:
    """Return the numbers, NaN for an empty text; None if a text is something else, or outside the range."""
    if not pc.all(pc.match_substring_regex(texts, _NUMBER_OR_EMPTY)).as_py():
        return None
    empty = pc.equal(texts, "")
    digits = pc.if_else(empty, "0", pc.utf8_ltrim(texts, "+"))
    try:
        numbers = digits.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if not np.isfinite(numbers).all():
        return None
    return np.where(empty.to_numpy(zero_copy_only=False), np.nan, numbers + 0.0)  # + 0.0: no negative zero


def _encode(texts: pa.StringArray, selected: Codes) -> tuple[Codes, list[str | None]]:
    """Return the codes of the selected texts, and the text of each code: None if it is empty."""
    encoded = (texts if len(selected) == len(texts) else texts.take(pa.array(selected))).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), [text or None for text in encoded.dictionary.to_pylist()]


def _combine_dimensions(columns: list[tuple[Codes, list[str | None]]], count: int) -> tuple[Codes, list[Series]]:
    """Return the code of each row's series, and the series of each code."""
    combined, rows = np.zeros(count, np.int64), np.zeros(min(count, 1), np.int64)
    for codes, values in columns:
        _, rows, combined = np.unique(combined * len(values) + codes, return_index=True, return_inverse=True)
    series = zip(*([values[code] for code in codes[rows].tolist()] for codes, values in columns), strict=True)
    known: dict[Series, int] = {}
    numbers = [known.setdefault(item, len(known)) for item in (series if columns else ((),) * len(rows))]
    return np.array(numbers, np.int64)[combined], list(known)
