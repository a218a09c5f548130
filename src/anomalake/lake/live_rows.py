"""The rows of live files by column, and the findings of each interval. Reads a file row by row.

`live_columns` reads a file without problems faster, with the same result.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalake.domain import intervals
from anomalake.domain.metric_set import OTHER_VALUES, Measure, MetricSet, Source
from anomalake.lake.live_files import (
    MAX_CACHED_CHARACTERS,
    MAX_FINDINGS,
    Finding,
    csv_records,
    json_records,
    parse_dimension,
    parse_number,
    parse_text,
    quote,
)
from anomalake.lake.live_timestamps import Codes, parse_interval_start

Series = tuple[str | None, ...]  # the values of the dimensions, in declared order
TopValues = Mapping[str, frozenset[str | None]]  # by dimension: the values that are kept
NO_TOP: TopValues = {}
FOLDER = OTHER_INTERVAL = -1  # the place of a finding that belongs to no interval; of a row that is not asked for
_PERIOD_NAMES = {"PT1H": "hour", "P1D": "day", "P1M": "month"}


class Input(NamedTuple):
    """What a measure reads of each row: a number, or a text that is counted."""

    column: str
    kind: Literal["number", "text"]


class Rows(NamedTuple):
    """Rows of live files, by column."""

    intervals: Codes  # [row] the place of the interval in `Request.places`
    series: Codes  # [row] the place in `known_series`
    known_series: list[Series]
    cells: dict[Input, NDArray[Any]]  # [row] a number, NaN if it is missing; or the place in `texts`, -1 if it is empty
    texts: dict[Input, list[str]]


class Request(NamedTuple):
    """The intervals of one folder that are read, and what is read of their rows."""

    metric_set: MetricSet
    source: Source
    wall: datetime  # the wall time of the folder
    places: dict[datetime, int]  # by the start of the interval, naive UTC
    kept: tuple[frozenset[str | None] | None, ...]  # of each dimension: the values that are kept; None: all
    inputs: tuple[Input, ...]

    def find_place(self, start: datetime) -> int | None:
        """Return the place of an interval; `OTHER_INTERVAL` for another of the folder; None for any other."""
        if start in self.places:
            return self.places[start]
        wall = intervals.floor_to_interval(self.metric_set.clock.wall_time(start), self.metric_set.folder_period)
        return OTHER_INTERVAL if wall == self.wall else None

    def place_timestamp(self, text: str) -> int | str:
        """Return the place of a timestamp's interval, or what is wrong with the timestamp."""
        metric_set = self.metric_set
        start = parse_interval_start(text, metric_set.timestamp.format, metric_set.clock)
        if isinstance(start, str):
            return start
        place = self.find_place(start)
        if place is not None:
            return place
        period = metric_set.folder_period
        name = "interval" if period == metric_set.frequency else _PERIOD_NAMES[period]
        return (
            f"the timestamp {quote(text)} lies outside the {name} of its folder, {self.wall:%Y-%m-%d %H:%M} "
            f"({metric_set.timezone})"
        )

    def keep_values(self, dimension: int, values: Iterable[str | None]) -> list[str | None]:
        """Replace the values of a dimension that are not kept."""
        kept = self.kept[dimension]
        return [value if kept is None or value in kept else OTHER_VALUES for value in values]


def find_input(measure: Measure) -> Input | None:
    """Return what a measure reads of each row; None for a count of rows and for a ratio."""
    if measure.source_column is None:
        return None
    return Input(measure.source_column, "text" if measure.aggregation in ("COUNT", "COUNT_DISTINCT") else "number")


class Findings:
    """The findings of each interval: the first ones with their text, and the number of all."""

    def __init__(self) -> None:
        self.first: dict[int, list[Finding]] = {}
        self.counts: Counter[int] = Counter()

    def add(self, place: int, finding: Finding) -> None:
        """Add a finding of the interval at the place, or of the `FOLDER`."""
        self.counts[place] += 1
        first = self.first.setdefault(place, [])
        if len(first) < MAX_FINDINGS:
            first.append(finding)

    def replace(self, place: int, finding: Finding) -> None:
        """Replace the findings of an interval by one."""
        self.first[place], self.counts[place] = [finding], 1

    def add_all(self, other: "Findings") -> None:
        """Add the findings of one more file."""
        for place, found in other.first.items():
            first = self.first.setdefault(place, [])
            first.extend(found[: MAX_FINDINGS - len(first)])
        self.counts.update(other.counts)


def read_by_row(content: bytes, request: Request, where: str, findings: Findings) -> Rows:
    """Read one file row by row, and add a finding for each problem."""
    source, metric_set = request.source, request.metric_set
    dimensions = tuple(dimension.source_column for dimension in metric_set.dimensions)
    names = (metric_set.timestamp.column, *dimensions, *(item.column for item in request.inputs))
    has_top = any(kept is not None for kept in request.kept)
    first = 1 + len(dimensions)  # the place of the first input in a record
    read = csv_records if source.format == "csv" else json_records
    find_place = lru_cache(maxsize=4096)(request.place_timestamp)  # many rows share a timestamp
    places: list[int] = []
    series_of_row: list[int] = []
    known_series: dict[Series, int] = {}
    cells: dict[Input, list[Any]] = {item: [] for item in request.inputs}
    texts: dict[Input, dict[str, int]] = {item: {} for item in request.inputs if item.kind == "text"}
    for line, record in read(content, source, where, names):
        if isinstance(record, Finding):
            findings.add(FOLDER, record)
            continue
        stamp = "" if record[0] is None else str(record[0])
        place = (find_place if len(stamp) <= MAX_CACHED_CHARACTERS else request.place_timestamp)(stamp)
        if isinstance(place, str):
            findings.add(FOLDER, Finding(f"{where}:{line}", place))
            continue
        if place == OTHER_INTERVAL:
            continue
        try:
            values = [parse_dimension(value, source) for value in record[1:first]]
        except ValueError as error:
            findings.add(place, Finding(f"{where}:{line}", str(error)))
            continue
        if has_top:
            values = [request.keep_values(number, [value])[0] for number, value in enumerate(values)]
        places.append(place)
        series_of_row.append(known_series.setdefault(tuple(values), len(known_series)))
        for item, cell in zip(request.inputs, record[first:], strict=True):
            if item.kind == "number":
                number, problem = parse_number(cell)
                cells[item].append(number)
            else:
                text, problem = parse_text(cell)
                cells[item].append(-1 if text is None else texts[item].setdefault(text, len(texts[item])))
            if problem:
                findings.add(place, Finding(f"{where}:{line}", f"{item.column}: {problem}; it counts as missing"))
    arrays = {
        item: np.array(column, np.float64 if item.kind == "number" else np.int64) for item, column in cells.items()
    }
    return Rows(
        np.array(places, np.int64),
        np.array(series_of_row, np.int64),
        list(known_series),
        arrays,
        {item: list(known) for item, known in texts.items()},
    )


class Numbering(NamedTuple):
    """The numbers of series and texts in several files."""

    series: dict[Series, int]
    texts: dict[Input, dict[str, int]]


def renumber(rows: Rows, numbering: Numbering) -> Rows:
    """Return the rows with the numbers of `numbering`, which gets the new series and texts."""
    cells = dict(rows.cells)
    for item, texts in rows.texts.items():
        numbers = _number_values(texts, numbering.texts.setdefault(item, {}))
        cells[item] = np.append(numbers, -1)[rows.cells[item]]  # the place -1 is the last one
    series = _number_values(rows.known_series, numbering.series)[rows.series]
    return rows._replace(series=series, known_series=[], cells=cells, texts={})


def _number_values(values: list[Any], known: dict[Any, int]) -> Codes:
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def select_rows(rows: Rows, selected: NDArray[np.bool_]) -> Rows:
    """Return the selected rows."""
    cells = {item: column[selected] for item, column in rows.cells.items()}
    return rows._replace(intervals=rows.intervals[selected], series=rows.series[selected], cells=cells)


def join_rows(parts: list[Rows], numbering: Numbering, inputs: Iterable[Input]) -> Rows:
    """Join the renumbered rows of several files."""
    none = np.array([], np.int64)
    return Rows(
        np.concatenate([none, *(part.intervals for part in parts)]),
        np.concatenate([none, *(part.series for part in parts)]),
        list(numbering.series),
        {item: np.concatenate([none[:0], *(part.cells[item] for part in parts)]) for item in inputs},
        {item: list(numbering.texts.get(item, ())) for item in inputs if item.kind == "text"},
    )
