"""What the command prints: tables for people, and texts of other people without control characters."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

WIDEST = 60
MEASURED_ROWS = 1_000  # the first rows, by which a table's columns get their widths


def printable(text: str) -> str:
    r"""The text with an escape (`\x1b`, `\n`, `\u202e`) for each character that would move, colour, reorder or hide what a terminal shows."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def lines(text: str) -> str:
    """The same of a message that may have several lines."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def json_line(value: Any) -> str:
    """The value as JSON on one line; characters that are not printable are escaped as JSON has it."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return (
        text if text.isprintable() else "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under their columns; numbers to the right, long texts cut."""
    return "\n".join(table_lines(columns, rows))


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a table, one after the other, so that it may have any number of rows."""
    rows = iter(rows)
    first = list(islice(rows, MEASURED_ROWS))
    texts = [[_text(cell) for cell in row] for row in first]
    heads = [_text(column) for column in columns]
    widths = [max([len(head), *(len(row[place]) for row in texts)]) for place, head in enumerate(heads)]
    right = [
        all(isinstance(row[place], int | float) or row[place] is None for row in first) for place in range(len(columns))
    ]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)).rstrip()

    yield from map(
        line, chain([heads, ["-" * width for width in widths]], texts, ([_text(cell) for cell in row] for row in rows))
    )


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    text = f"{cell:,.10g}" if isinstance(cell, float) else str(cell)
    text = printable(text[: WIDEST + 1])
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
