"""Prints to the terminal: lines, warnings and tables, with every control character escaped."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

MAX_CELL_CHARACTERS = 60
MEASURED_ROWS = 1_000  # the first rows of a table, which decide the widths of its columns


def print_line(text: str) -> None:
    """Print a line to standard output and flush it; control characters are escaped."""
    print(escape_lines(text), flush=True)  # noqa: T201


def print_warning(text: str) -> None:
    """Print a warning or an error to standard error, with the command's name; control characters are escaped."""
    print(f"anomalake: {escape_lines(text)}", file=sys.stderr)  # noqa: T201


def print_detail(text: str) -> None:
    """Print an indented line below a warning to standard error; line breaks and control characters are escaped."""
    print(f"  {printable(text)}", file=sys.stderr)  # noqa: T201


def printable(text: str) -> str:
    r"""Return the text with an escape for each character that is not printable (`\x1b`, `\n`, `\u202e`).

    Such characters move, color, reorder or hide what a terminal shows.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def escape_lines(text: str) -> str:
    """Return the text of a message with the same escapes, except for its line breaks and tabs."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def json_line(value: Any) -> str:
    """Return the value as JSON on one line; characters that are not printable become JSON escapes."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return (
        text if text.isprintable() else "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as a table; numbers are aligned to the right, long texts are cut."""
    return "\n".join(table_lines(columns, rows))


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a table one by one, so that a table of any number of rows needs little memory."""
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
    text = printable(text[: MAX_CELL_CHARACTERS + 1])
    return text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"
