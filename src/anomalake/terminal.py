"""What the command prints: tables for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

WIDEST = 60


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under their columns; numbers to the right, long texts cut."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max([len(column), *(len(row[place]) for row in texts)]) for place, column in enumerate(columns)]
    right = [all(isinstance(row[place], int | float) or row[place] is None for row in rows) for place in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, texts)])


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    text = f"{cell:,.10g}" if isinstance(cell, float) else str(cell)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
