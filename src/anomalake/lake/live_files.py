"""One live file: its bytes as rows, and findings for what cannot be read. Pure.

A file is untrusted input. Limits bound its size, its lines and what is kept of its findings, every step takes time in proportion to the file, and an
exception that a file causes becomes a finding. A file beyond a limit is skipped as a whole: a part of its rows would give wrong sums.
"""

import csv
import io
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from anomalake.domain.metric_set import MetricSet, Source

# For a file, chosen so that the detect function (1,769 MB) reads the worst file that they allow; docs/metric-sets.md names them.
MAX_UNPACKED_BYTES = 64 * 2**20  # as stored, and after gzip
MAX_LINES = 1_000_000  # empty lines and lines within quoted cells count too
MAX_LINE_BYTES = 2**20
MAX_FINDINGS = 100  # kept to be named; the others are counted
MAX_QUOTED_CHARACTERS = 100  # of the data, in a finding
OTHER_INTERVAL = ""  # no problem: the row belongs to the other of the two intervals that share a folder
MAX_CACHED_CHARACTERS = 64  # of a timestamp; longer ones are parsed each time, so that the cache stays small

# What counts as a number, here and in SQL. No two parts can match the same digits, so that every engine decides in linear time.
NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_NUMBER = re.compile(NUMBER)
_SURROGATE_ESCAPE = re.compile("[\udc80-\udcff]")
_ZERO_BYTES = re.compile(rb"\0*")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_CHUNK_BYTES = 2**14
csv.field_size_limit(MAX_LINE_BYTES)

Series = tuple[str | None, ...]  # the values of the dimensions, in declared order
Row = tuple[Series, tuple[float | None, ...]]  # ... and of the measures
Record = tuple[int, "Sequence[Any] | Finding"]  # a line number and the cells of its row


class Finding(NamedTuple):
    """Something that could not be read: where, and what would be right."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class FileContents(NamedTuple):
    """What a file holds: its rows, the first findings, and the number of all findings."""

    rows: Sequence[Row]
    findings: Sequence[Finding]
    finding_count: int


class FileError(Exception):
    """Why a whole file cannot be read."""


def quote(text: str) -> str:
    """The text in quotes, shortened to what a finding quotes at most."""
    return f"'{text if len(text) <= MAX_QUOTED_CHARACTERS else text[: MAX_QUOTED_CHARACTERS - 1] + '…'}'"


def is_number(text: str) -> bool:
    """Whether the text is a number, as SQL decides it too."""
    return _NUMBER.fullmatch(text) is not None


def collect_contents(items: Iterator[Row | Finding], where: str) -> FileContents:
    """What a file holds, from `parse`; whatever goes wrong there costs this file only."""
    rows: list[Row] = []
    findings: list[Finding] = []
    found = 0
    try:
        for item in items:
            if isinstance(item, Finding):
                found += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(item)
            else:
                rows.append(item)
    except Exception as error:  # noqa: BLE001  (a file never stops a run)
        rows.clear()
        return FileContents(
            (),
            (
                Finding(
                    where,
                    f"the file is skipped after an error in Anomalake: {type(error).__name__}: {str(error)[:200]}",
                ),
            ),
            1,
        )
    return FileContents(rows, findings, found)


def parse_file(
    data: bytes, metric_set: MetricSet, source: Source, where: str, problem_of: Callable[[str], str | None]
) -> Iterator[Row | Finding]:
    """The rows of one file, and what could not be read of it. `problem_of` says what is wrong with a row's timestamp."""
    try:
        raw = _check_limits(_decompress(data, source))
    except FileError as error:
        yield Finding(where, str(error))
        return
    if source.format == "csv" and (sound := _parse_valid_csv(raw, metric_set, source, problem_of)) is not None:
        yield from sound
        return
    cached = lru_cache(maxsize=4096)(problem_of)  # many rows share a timestamp
    dimensions, measures = metric_set.dimension_names, metric_set.measure_names
    names, first = (metric_set.timestamp.column, *dimensions, *measures), 1 + len(dimensions)
    records = (
        _csv_records(raw, source, where, names) if source.format == "csv" else _json_records(raw, source, where, names)
    )
    for line, record in records:
        if isinstance(record, Finding):
            yield record
            continue
        stamp = "" if record[0] is None else str(record[0])
        problem = (cached if len(stamp) <= MAX_CACHED_CHARACTERS else problem_of)(stamp)
        if problem == OTHER_INTERVAL:
            continue
        if problem is not None:
            yield Finding(f"{where}:{line}", problem)
            continue
        try:
            series = tuple([_parse_dimension(value, source) for value in record[1:first]])
        except ValueError as error:
            yield Finding(f"{where}:{line}", str(error))
            continue
        values: list[float | None] = []
        for name, cell in zip(measures, record[first:], strict=True):
            value = _parse_number(cell)
            if isinstance(value, str):
                yield Finding(f"{where}:{line}", f"{name}: {value}; it counts as missing")
                value = None
            values.append(value)
        yield series, tuple(values)


# --- bytes


def _decompress(data: bytes, source: Source) -> bytes:
    """The file without compression; `FileError` where it is not what `source.compression` says, or is too large."""
    if source.compression != "gzip":
        if data.startswith(_GZIP_MAGIC):
            raise FileError(
                f"the file is a gzip file, but source.compression is {source.compression}; the file is skipped"
            )
        return data
    parts: list[bytes] = []
    size = position = 0
    try:
        while position < len(data):  # a gzip file is one or more members, each of which may be followed by zero bytes
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                if position >= len(data):
                    raise FileError("the gzip file ends too early; the file is skipped")
                chunk = data[position : position + _GZIP_CHUNK_BYTES]
                parts.append(member.decompress(chunk, MAX_UNPACKED_BYTES - size + 1))
                size, position = size + len(parts[-1]), position + len(chunk) - len(member.unused_data)
                if size > MAX_UNPACKED_BYTES:
                    raise FileError(_describe_size_limit("unpacks to"))
            position = match.end() if (match := _ZERO_BYTES.match(data, position)) else position
    except zlib.error as error:
        raise FileError(f"the file is not a valid gzip file ({error}); the file is skipped") from error
    return b"".join(parts)


def _describe_size_limit(what: str) -> str:
    return f"the file {what} more than {MAX_UNPACKED_BYTES // 2**20} MiB, the limit for one file; the file is skipped"


def _check_limits(raw: bytes) -> bytes:
    """The bytes, if they keep the limits; `FileError` names the limit otherwise."""
    if len(raw) > MAX_UNPACKED_BYTES:
        raise FileError(_describe_size_limit("has"))
    if raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n") > MAX_LINES:
        raise FileError(f"the file has more than {MAX_LINES:,} lines, the limit for one file; the file is skipped")
    start = 0
    while len(raw) - start > MAX_LINE_BYTES:  # step from line end to line end, as far ahead as a line may reach
        window = (start, start + MAX_LINE_BYTES + 1)
        end = max(raw.rfind(b"\n", *window), raw.rfind(b"\r", *window))
        if end < 0:
            line = raw.count(b"\n", 0, start) + 1
            raise FileError(
                f"line {line} has more than {MAX_LINE_BYTES:,} bytes, the limit for one line; the file is skipped"
            )
        start = end + 1
    return raw


def _open_text(raw: bytes, source: Source, newline: str, errors: str) -> io.TextIOWrapper:
    """The decoded text as a stream, so that no copy of the whole text is needed."""
    stream = io.BytesIO(raw)
    if source.charset == "UTF-8" and raw.startswith(b"\xef\xbb\xbf"):  # a byte order mark
        stream.seek(3)
    return io.TextIOWrapper(stream, source.charset, errors, newline=newline)


# --- rows


def _parse_valid_csv(
    raw: bytes, metric_set: MetricSet, source: Source, problem_of: Callable[[str], str | None]
) -> Iterator[Row] | None:
    """The rows of a CSV file without any problem, read by the column in a third of the time; None where each row has to be looked at."""
    records: list[list[str]] = []
    header, width = list(source.columns), len(source.columns)
    try:
        for record in csv.reader(
            _open_text(raw, source, "", "strict"), delimiter=source.delimiter, quotechar=source.quote
        ):
            if len(record) != width:
                return None
            records.append(record)
    except (csv.Error, UnicodeDecodeError):
        return None
    if source.header and records and [name.strip() for name in records.pop(0)] != header:
        return None
    if not records:
        return None
    columns = dict(zip(header, zip(*records, strict=True), strict=True))
    if any(problem_of(stamp) is not None for stamp in set(columns[metric_set.timestamp.column])):
        return None
    measures: list[list[float | None]] = []
    for cells in (columns[name] for name in metric_set.measure_names):
        if not all(map(_NUMBER.fullmatch, filter(None, cells))):
            return None
        measures.append([float(cell) + 0.0 if cell else None for cell in cells])
        if math.inf in measures[-1] or -math.inf in measures[-1]:
            return None
    dimensions = [[cell or None for cell in columns[name]] for name in metric_set.dimension_names]
    return zip(
        zip(*dimensions, strict=True) if dimensions else ((),) * len(records), zip(*measures, strict=True), strict=True
    )


def _csv_records(raw: bytes, source: Source, where: str, names: Sequence[str]) -> Iterator[Record]:
    """The cells of those columns, row by row, with the row's line; a finding instead of a row that cannot be read."""
    reader = csv.reader(
        _open_text(raw, source, "", "surrogateescape"), delimiter=source.delimiter, quotechar=source.quote
    )
    header, ascii_only, width = source.header, raw.isascii(), len(source.columns)
    places = [source.columns.index(name) for name in names]
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, Finding(f"{where}:{reader.line_num}", f"the line is not CSV: {error}")
            continue
        line = reader.line_num
        if header:
            header = False
            if [name.strip() for name in record] != list(source.columns):
                expected = quote(", ".join(source.columns))
                problem = f"the header {quote(', '.join(record))} is not the metric set's source.columns {expected}; the file is skipped"
                yield line, Finding(f"{where}:{line}", problem)
                return
        elif len(record) != width:
            if record:
                yield line, Finding(f"{where}:{line}", f"{len(record)} cells where source.columns names {width}")
        elif not ascii_only and _has_undecodable_text(record):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record[place] for place in places]


def _has_undecodable_text(cells: Iterable[object]) -> bool:
    """Whether a text among the cells is not in the file's charset."""
    return any(isinstance(cell, str) and not cell.isascii() and _SURROGATE_ESCAPE.search(cell) for cell in cells)


def _json_records(raw: bytes, source: Source, where: str, names: Sequence[str]) -> Iterator[Record]:
    """The same of JSON lines."""
    for line, written in enumerate(_open_text(raw, source, "\n", "surrogateescape"), 1):
        if not written.strip():
            continue
        try:
            record = msgspec.json.decode(written, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            yield line, Finding(f"{where}:{line}", f"the line is not a JSON object: {error}")
            continue
        if _has_undecodable_text(record.values()):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record.get(name) for name in names]


def _parse_dimension(value: object, source: Source) -> str | None:
    if isinstance(value, str):
        return None if source.format == "csv" and not value else value
    if isinstance(value, bool | list | dict):
        raise ValueError(f"the dimension value is {_json_kind(value)}, not text")
    return None if value is None else str(value)


def _parse_number(value: object) -> float | str | None:
    """The number; None where there is none; a text that says what is wrong with it."""
    if value is None or value == "":
        return None
    if isinstance(value, bool | list | dict):
        return f"{_json_kind(value)} is not a number"
    text = value.strip(" ") if isinstance(value, str) else str(value)
    if not is_number(text):
        return f"{quote(text)} is not a number"
    number = float(text)
    return number + 0.0 if math.isfinite(number) else f"{quote(text)} is beyond the range of a number"


def _json_kind(value: "bool | list[Any] | dict[str, Any]") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a JSON array" if isinstance(value, list) else "a JSON object"
