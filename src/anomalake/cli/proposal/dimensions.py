"""Chooses the dimensions: the columns of text whose values divide the rows into series that have data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from anomalake.cli.proposal.columns import Column, split_name
from anomalake.cli.proposal.frequency import MIN_COMPLETENESS, Step
from anomalake.domain.metric_set import MAX_DIMENSIONS

MAX_VALUES = 50  # of a dimension; the largest of more values are kept with `top`
SMALLER_TOPS = (20, 10, 5)  # tried where series with more values have too few rows
MAX_SERIES = 2_000
MIN_ROWS_OF_EVENTS = 1.0  # rows of a series in an interval, on average, of a table of events
MIN_ROWS_OF_VALUES = 0.3  # of a table of values, which has one row for each
MAX_REPEATED = 0.2  # the share of rows that repeat a series and time, up to which a table holds values
MIN_PANEL = 0.1  # the share of series and times with a row, from which a table holds values
_COUNT_WORDS = frozenset(
    "count counts n num number visits views pageviews clicks impressions requests sessions errors events orders trips "
    "hits calls anzahl".split()
)

Codes = npt.NDArray[np.int64]


class Dimension(NamedTuple):
    """A proposed dimension: its column, and the number of values to keep where it has more."""

    column: str
    top: int | None = None


class Dimensions(NamedTuple):
    """The proposed dimensions, the series that they give, and notes."""

    dimensions: tuple[Dimension, ...]
    series: Codes  # the number of each row's series, from 0
    notes: tuple[str, ...]

    @property
    def series_count(self) -> int:
        """The number of series."""
        return int(self.series.max()) + 1 if len(self.series) else 0


class Contents(NamedTuple):
    """What the rows of a table are: values of series at times, or events."""

    is_events: bool
    keys: tuple[str, ...]  # the columns of text that can be dimensions
    labels: tuple[str, ...]  # columns of text that describe a value and do not tell series apart


def encode(rows: pd.DataFrame, columns: Iterable[Column]) -> dict[str, Codes]:
    """Return the values of the columns of text as numbers from 0; null is a value too."""
    return {
        column.name: np.asarray(pd.factorize(rows[column.name], use_na_sentinel=False)[0], np.int64)
        for column in columns
        if column.role == "text"
    }


def combine(codes: Sequence[Codes], rows: int) -> Codes:
    """Return a number from 0 for each row; rows have the same number where all their codes are the same."""
    result = np.zeros(rows, np.int64)
    for one in codes:
        result = pd.factorize(result * (int(one.max(initial=0)) + 1) + one)[0].astype(np.int64)
    return result


def find_contents(
    columns: Sequence[Column], codes: Mapping[str, Codes], times: Codes, step: Step
) -> Contents:  # fmt: skip
    """Return what the rows are. `times` are the numbers of each row's timestamp.

    Rows at irregular times are events. One row for each time of a regular table is one series, whose texts are labels
    (the weather of a day). A table in which series and times repeat, or few of them have a row, holds events.
    """
    keys = tuple(codes)
    rows, instants = len(times), int(times.max()) + 1
    is_single = instants >= 0.98 * rows
    is_complete = step.fit.completeness >= MIN_COMPLETENESS and not step.is_finer
    if not any(column.role == "number" for column in columns):
        return Contents(not (is_single and is_complete), keys, ())
    if not step.is_regular:
        return Contents(True, keys, ())
    if is_single:
        return Contents(False, (), keys)
    kept = _drop_labels(codes, times)
    series = combine([codes[name] for name in kept], rows)
    cells = int(combine([series, times], rows).max()) + 1
    repeated, panel = 1 - cells / rows, cells / ((int(series.max()) + 1) * instants)
    has_counts = any(_COUNT_WORDS & set(split_name(column.name)) for column in columns if column.role == "number")
    if repeated > MAX_REPEATED or (panel < MIN_PANEL and not has_counts):
        return Contents(True, keys, ())
    return Contents(False, kept, tuple(name for name in keys if name not in kept))


def _drop_labels(codes: Mapping[str, Codes], times: Codes) -> tuple[str, ...]:
    """Return the columns that tell apart the rows of a time, in order.

    A column is a label if the others tell the same rows apart without it, and it changes within a series of the others.
    """
    rows, kept = len(times), list(codes)

    def count(*arrays: Codes) -> int:
        return int(combine(arrays, rows).max()) + 1

    for name in sorted(codes, key=lambda name: -int(codes[name].max())):
        others = [codes[other] for other in kept if other != name]
        without, with_it = count(*others), count(*others, codes[name])
        same_cells = count(*others, times) >= 0.99 * count(*others, codes[name], times)
        if same_cells and with_it > 1.02 * without:
            kept.remove(name)
    return tuple(kept)


def choose_dimensions(
    columns: Sequence[Column], codes: Mapping[str, Codes], contents: Contents, interval_count: int
) -> Dimensions:
    """Return the dimensions whose series have enough rows, those with few values first, and why others are left out.

    A dimension with more than `MAX_VALUES` values keeps the most frequent ones (`top`).
    """
    rows = len(next(iter(codes.values()))) if codes else 0
    min_rows = MIN_ROWS_OF_EVENTS if contents.is_events else MIN_ROWS_OF_VALUES
    distinct = {name: int(codes[name].max()) + 1 for name in contents.keys}
    chosen: dict[str, Dimension] = {}
    sparse: list[str] = []
    beyond: list[str] = []
    series = np.zeros(rows, np.int64)
    for name in sorted(distinct, key=distinct.__getitem__):
        if len(chosen) == MAX_DIMENSIONS:
            beyond.append(name)
            continue
        before = int(series.max(initial=0)) + 1
        for top in _tops(distinct[name]):
            divided = combine([series, _keep_top(codes[name], top)], rows)
            count = int(divided.max(initial=0)) + 1
            if count == before or (count <= MAX_SERIES and rows >= min_rows * count * interval_count):
                chosen[name], series = Dimension(name, top), divided
                break
        else:
            sparse.append(name)
    ordered = tuple(chosen[column.name] for column in columns if column.name in chosen)
    return Dimensions(ordered, series, (*_notes(columns, chosen, distinct, contents), *_left_out(sparse, beyond)))


def _tops(distinct: int) -> list[int | None]:
    first: list[int | None] = [MAX_VALUES if distinct > MAX_VALUES else None]
    return first + [top for top in SMALLER_TOPS if distinct > top]


def _keep_top(codes: Codes, top: int | None) -> Codes:
    """Return the codes with one code for all values but the most frequent `top`."""
    if top is None:
        return codes
    counts = np.bincount(codes)
    kept = np.argsort(-counts, kind="stable")[:top]
    places = np.full(len(counts), top, np.int64)
    places[kept] = np.arange(len(kept))
    return places[codes]


def _notes(
    columns: Sequence[Column], chosen: Mapping[str, Dimension], distinct: Mapping[str, int], contents: Contents
) -> Iterable[str]:
    for column in columns:
        dimension = chosen.get(column.name)
        if dimension and column.note:
            yield f"dimensions: the column '{column.name}': {column.note}; if it is a measure, move it to the measures"
        if dimension and dimension.top:
            yield (
                f"dimensions: '{column.name}' has {distinct[column.name]:,} values; the largest {dimension.top} are "
                "kept (`top`), and the rest becomes '(other)'"
            )
        if column.name in contents.labels:
            yield (
                f"dimensions: '{column.name}' is left out: it differs from row to row of a series, and does not tell "
                "series apart"
            )


def _left_out(sparse: Sequence[str], beyond: Sequence[str]) -> Iterable[str]:
    if sparse:
        names = ", ".join(f"'{name}'" for name in sparse)
        yield (
            f"dimensions: {names} left out: with more dimensions, most series have too few rows in an interval. "
            "To use one, add it and remove another, or choose a coarser frequency"
        )
    if beyond:
        yield f"dimensions: a metric set can have {MAX_DIMENSIONS}. Left out: {', '.join(beyond)}"
