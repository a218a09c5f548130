"""Writes a table as live data: CSV files in the folders of the metric set, which the detector and SQL read."""

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from anomalake.domain import intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet, Source
from anomalake.lake import live_data, live_files
from anomalake.lake.folder_store import sync_at_end
from anomalake.lake.live_data import Finding, require_source
from anomalake.lake.live_timestamps import Codes, number_intervals
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import Store


def write_live_data(frame: pd.DataFrame, metric_set: MetricSet, store: Store) -> tuple[int, list[Finding]]:
    """Write the rows of a table as live data: one file in each folder, or several where one would be too large.

    The table has the columns of the source. Its timestamps are text in the metric set's timestamp format, or datetimes
    on the metric set's wall clock. Returns the number of folders, and a finding for each row that belongs to no
    interval. Raises `UserError` where a column is missing, or the source is not plain CSV.
    """
    source, column = require_source(metric_set), metric_set.timestamp.column
    if source.format != "csv" or source.compression != "none":
        raise UserError(
            f"metric set '{metric_set.name}': data is written as plain CSV only; "
            f"put {source.format} files in the folders of source.path"
        )
    if missing := [name for name in source.columns if name not in frame.columns]:
        raise UserError(
            f"the data has no column '{missing[0]}' of the metric set '{metric_set.name}'; "
            f"its columns are {', '.join(map(str, frame.columns))}"
        )
    stamps = _format_timestamps(frame[column], metric_set.timestamp.format)
    codes, starts = _find_intervals(stamps, metric_set)
    findings = [
        Finding(f"row {row + 1}", str(starts[codes[row]]))
        for row in np.flatnonzero(np.array([isinstance(start, str) for start in starts], bool)[codes]).tolist()
    ]
    order, folders = _sort_by_folder(codes, starts, metric_set)
    cells = [_cells_of(stamps if name == column else frame[name], order) for name in source.columns]
    files = _encode_folders(cells, folders, metric_set)
    written = map_in_order(store, lambda file: store.put(*file), files)
    with sync_at_end(store):
        deque(tqdm(written, desc="live data", unit=" files", disable=None, leave=False), maxlen=0)
    return len(folders), findings


def _format_timestamps(column: "pd.Series[Any]", timestamp_format: str) -> "pd.Series[Any]":
    """Return the timestamps as the files have them: datetimes become text."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        return column
    codes, values = pd.factorize(column)
    texts = pd.DatetimeIndex(values).strftime(time_patterns.to_python_format(timestamp_format))
    by_code = pd.Series([*texts, None], dtype=object)  # the code of a missing timestamp is -1: the last
    return by_code.iloc[codes].reset_index(drop=True)


def _find_intervals(stamps: "pd.Series[Any]", metric_set: MetricSet) -> tuple[Codes, list[datetime | str]]:
    """Return a code for each row, and the start of the interval of each code, or what is wrong with the timestamp."""
    codes, values = pd.factorize(stamps)
    texts = pa.array([*map(str, values), ""], pa.string())
    code_of_text, starts = number_intervals(texts, metric_set.timestamp.format, metric_set.clock)
    return code_of_text[codes], starts


def _sort_by_folder(
    codes: Codes, starts: Sequence[datetime | str], metric_set: MetricSet
) -> tuple[Codes, list[tuple[str, int, int]]]:
    """Return the rows that have an interval, in order of folder and time, and the folders: name, first row, end."""
    clock, period = metric_set.clock, metric_set.folder_period
    found = [
        (intervals.floor_to_interval(clock.wall_time(start), period), start, code)
        for code, start in enumerate(starts)
        if isinstance(start, datetime)
    ]
    rank = np.full(len(starts), -1, np.int64)
    folder_of_rank: list[datetime] = []
    for wall, _, code in sorted(found):
        rank[code] = len(folder_of_rank)
        folder_of_rank.append(wall)
    ranks = rank[codes]
    order = np.argsort(ranks, kind="stable")[np.count_nonzero(ranks < 0) :]
    ends = np.cumsum(np.bincount(ranks[order], minlength=len(folder_of_rank))).tolist()
    end_of_folder = dict(zip(folder_of_rank, ends, strict=True))  # the end of its last interval
    bounds = [0, *end_of_folder.values()]
    names = [live_data.interval_folder(metric_set, wall) for wall in end_of_folder]
    folders = list(zip(names, bounds[:-1], bounds[1:], strict=True))
    return order, [folder for folder in folders if folder[1] < folder[2]]


def _cells_of(column: "pd.Series[Any]", order: NDArray[np.int64]) -> list[Any]:
    """Return the cells of the rows in this order; an empty text where one is missing."""
    cells = column.iloc[order].astype(object)
    return cells.where(cells.notna(), "").tolist()


def _encode_folders(
    cells: Sequence[list[Any]], folders: Sequence[tuple[str, int, int]], metric_set: MetricSet
) -> Iterator[tuple[str, bytes]]:
    """Yield the key and the bytes of each file."""
    for folder, first, end in folders:
        files = _encode_files([column[first:end] for column in cells], metric_set)
        if len(files) == 1:
            yield f"{folder}/data.csv", files[0]
        else:
            yield from ((f"{folder}/data-{number:04}.csv", data) for number, data in enumerate(files, 1))


def _encode_files(cells: Sequence[list[Any]], metric_set: MetricSet) -> list[bytes]:
    """Return the rows as one CSV file, or as several if one would exceed the limits of a live file."""
    data, count = _encode_csv(cells, metric_set.name, require_source(metric_set)), len(cells[0])
    is_too_large = len(data) > live_files.MAX_UNPACKED_BYTES or data.count(b"\n") > live_files.MAX_LINES
    if not is_too_large or count == 1:
        return [data]
    halves = ([column[: count // 2] for column in cells], [column[count // 2 :] for column in cells])
    return [part for half in halves for part in _encode_files(half, metric_set)]


def _encode_csv(cells: Sequence[list[Any]], name: str, source: Source) -> bytes:
    """Return the rows as a CSV file of the source.

    Raises `UserError` if the charset of the source lacks a character.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=source.delimiter, quotechar=source.quote, lineterminator="\n")
    if source.header:
        writer.writerow(source.columns)
    writer.writerows(zip(*cells, strict=True))
    try:
        return text.getvalue().encode(source.charset)
    except UnicodeEncodeError as error:
        raise UserError(
            f"metric set '{name}': the data cannot be written in source.charset {source.charset}: {error}"
        ) from error
