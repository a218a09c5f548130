"""Finds the encoding of text, and turns it into UTF-8."""

import codecs

import numpy as np

from anomalake.domain.errors import UserError

_SAMPLE_BYTES = 65_536
_MARKS = (  # byte order marks; that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


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
    controls = sum(data[:_SAMPLE_BYTES].count(byte) for byte in (*range(9), *range(14, 27), 127))
    if controls > 0.01 * min(len(data), _SAMPLE_BYTES):
        raise UserError(f"{name}: is not text, nor a form of file that can be read; export the data as CSV")
    try:
        text, encoding = data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "Latin-1"
    return text.encode(), (f"encoding: the text is not UTF-8; it is read as {encoding} (Western European)",)
