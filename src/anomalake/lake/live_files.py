"""Reads one live file: its bytes become records of cells, and findings for what cannot be read. All functions are pure.

A file is untrusted input. Limits bound its size, its lines and its stored findings. Every step takes time proportional
to the size of the file. An exception that a file causes becomes a finding. A file that exceeds a limit is skipped as a
whole, because a part of its rows would give wrong sums.
"""

import csv
import io
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from anomalake.domain.metric_set import Source

# Limits for one file. With them, the detect function (1,769 MB) can read the worst possible file. docs/metric-sets.md
# lists them.
MAX_UNPACKED_BYTES = 64 * 2**20  # as stored, and after decompression
MAX_LINES = 1_000_000  # empty lines and lines within quoted cells count too
MAX_LINE_BYTES = 2**20
MAX_FINDINGS = 100  # that are stored with their text; further findings are only counted
MAX_QUOTED_CHARACTERS = 100  # of the data, in the text of a finding
MAX_CACHED_CHARACTERS = 64  # of a timestamp; longer texts are not cached, which bounds the memory of the cache

# The format of a number, here and in SQL. No two parts can match the same digits, so every regex engine matches it in
# linear time.
NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_NUMBER = re.compile(NUMBER)
_SURROGATE_ESCAPE = re.compile("[\udc80-\udcff]")
_ZERO_BYTES = re.compile(rb"\0*")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_CHUNK_BYTES = 2**14
csv.field_size_limit(MAX_LINE_BYTES)

Record = tuple[int, "Sequence[Any] | Finding"]  # a line number and the cells of its row


class Finding(NamedTuple):
    """A problem in the data: its place, and a text that describes it."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class FileError(Exception):
    """A whole file cannot be read."""


def quote(text: str) -> str:
    """Return the text in quotes, shortened to `MAX_QUOTED_CHARACTERS`."""
    return f"'{text if len(text) <= MAX_QUOTED_CHARACTERS else text[: MAX_QUOTED_CHARACTERS - 1] + '…'}'"


def is_number(text: str) -> bool:
    """Return whether the text is a number. SQL uses the same rule."""
    return _NUMBER.fullmatch(text) is not None


# --- bytes


def unpack(data: bytes, source: Source) -> bytes:
    """Return the decompressed file. Raise `FileError` if it is damaged or exceeds a limit."""
    return _check_limits(_decompress(data, source))


def _decompress(data: bytes, source: Source) -> bytes:
    """Return the decompressed file.

    Raise `FileError` if its compression is not `source.compression`, or if it is too large.
    """
    if source.compression != "gzip":
        if data.startswith(_GZIP_MAGIC):
            raise FileError(
                f"the file is a gzip file, but source.compression is {source.compression}; the file is skipped"
            )
        return data
    parts: list[bytes] = []
    size = position = 0
    try:
        while position < len(data):  # a gzip file has one or more members; zero bytes can follow each
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


def _check_limits(content: bytes) -> bytes:
    """Return the bytes. Raise `FileError`, which names the limit, if they exceed one."""
    if len(content) > MAX_UNPACKED_BYTES:
        raise FileError(_describe_size_limit("has"))
    if content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n") > MAX_LINES:
        raise FileError(f"the file has more than {MAX_LINES:,} lines, the limit for one file; the file is skipped")
    start = 0
    while len(content) - start > MAX_LINE_BYTES:  # step to the last line end within the allowed length of a line
        window = (start, start + MAX_LINE_BYTES + 1)
        end = max(content.rfind(b"\n", *window), content.rfind(b"\r", *window))
        if end < 0:
            line = content.count(b"\n", 0, start) + 1
            raise FileError(
                f"line {line} has more than {MAX_LINE_BYTES:,} bytes, the limit for one line; the file is skipped"
            )
        start = end + 1
    return content


def open_text(content: bytes, source: Source, newline: str, errors: str) -> io.TextIOWrapper:
    """Return the decoded text as a stream, which needs no copy of the whole text."""
    stream = io.BytesIO(content)
    if source.charset == "UTF-8" and content.startswith(BYTE_ORDER_MARK):
        stream.seek(3)
    return io.TextIOWrapper(stream, source.charset, errors, newline=newline)


# --- rows


def csv_records(content: bytes, source: Source, where: str, names: Sequence[str]) -> Iterator[Record]:
    """Yield for each row its line number and the cells of the columns `names`, or a finding if it has a problem."""
    reader = csv.reader(
        open_text(content, source, "", "surrogateescape"), delimiter=source.delimiter, quotechar=source.quote
    )
    header, ascii_only, width = source.header, content.isascii(), len(source.columns)
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
                problem = (
                    f"the header {quote(', '.join(record))} is not the metric set's source.columns {expected}; "
                    "the file is skipped"
                )
                yield line, Finding(f"{where}:{line}", problem)
                return
        elif len(record) != width:
            if record:
                yield (
                    line,
                    Finding(f"{where}:{line}", f"the row has {len(record)} cells, but source.columns has {width}"),
                )
        elif not ascii_only and _has_undecodable_text(record):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record[place] for place in places]


def _has_undecodable_text(cells: Iterable[object]) -> bool:
    """Return whether a text in the cells cannot be decoded in the file's charset."""
    return any(isinstance(cell, str) and not cell.isascii() and _SURROGATE_ESCAPE.search(cell) for cell in cells)


def json_records(content: bytes, source: Source, where: str, names: Sequence[str]) -> Iterator[Record]:
    """Yield the same as `csv_records` for a file of JSON lines."""
    for line, text in enumerate(open_text(content, source, "\n", "surrogateescape"), 1):
        if not text.strip():
            continue
        try:
            record = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            yield line, Finding(f"{where}:{line}", f"the line is not a JSON object: {error}")
            continue
        if _has_undecodable_text(record.values()):
            yield line, Finding(f"{where}:{line}", f"the row is not {source.charset} text")
        else:
            yield line, [record.get(name) for name in names]


def parse_dimension(value: object, source: Source) -> str | None:
    """Return the value of a dimension. Raise `ValueError`, which names the problem, if it is no text or number."""
    if isinstance(value, str):
        return None if source.format == "csv" and not value else value
    if isinstance(value, bool | list | dict):
        raise ValueError(f"the dimension value is {_json_kind(value)}, not text")
    return None if value is None else str(value)


def parse_number(value: object) -> tuple[float | None, str]:
    """Return the number, or None if the value is missing; and the problem if there is one, else an empty text."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, bool | list | dict):
        return None, f"{_json_kind(value)} is not a number"
    text = value.strip(" ") if isinstance(value, str) else str(value)
    if not is_number(text):
        return None, f"{quote(text)} is not a number"
    number = float(text)
    return (number + 0.0, "") if math.isfinite(number) else (None, f"{quote(text)} is outside the range of a number")


def parse_text(value: object) -> tuple[str | None, str]:
    """Return the text that is counted, or None if the value is missing; and the problem as `parse_number` does."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, list | dict):
        return None, f"{_json_kind(value)} is not a value that is counted"
    return _json_kind(value) if isinstance(value, bool) else str(value), ""


def _json_kind(value: "bool | list[Any] | dict[str, Any]") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a JSON array" if isinstance(value, list) else "a JSON object"
