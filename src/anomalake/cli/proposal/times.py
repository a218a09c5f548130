"""The times of a table: the column that holds them, its form as live data, and the wall clock of the metric set."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from anomalake.cli.proposal.columns import NO_TIME_WORDS, split_name
from anomalake.cli.tables.table import BadRows
from anomalake.cli.tables.time_forms import Order
from anomalake.cli.tables.timestamps import NORMAL_FORMAT, Recognised, recognise_table
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT

SHOWN_COLUMNS = 8
MIN_TIMES_TO_TRIM, EDGE = 100, 0.01  # distinct times of a table, and their share at each end, that may be far away
_TIME_WORDS = ("time", "date", "day", "month", "hour", "when", "ts")


def find_times(rows: pd.DataFrame, order: Order | None = None) -> list[Recognised]:
    """Return the timestamps of a table, the one to use first.

    Raises `UserError` where no column holds timestamps, or all of them are one time, years, or beyond the tables.
    """
    found = [one for one in recognise_table(rows, order) if not _is_coordinate(one)]
    if not found:
        raise UserError(_describe_missing(rows))
    times = found[0]
    if times.precision == "year":
        raise UserError(
            f"the column '{times.name}' holds years ({_show_first(rows, times.columns[0])}), and the longest interval "
            "of a metric set is a month; use data with a date or a month in each row"
        )
    known = times.times.dropna()
    if known.nunique() < 2:
        raise UserError(
            f"the column '{times.name}' holds a single time, {known.iloc[0]:%Y-%m-%d %H:%M}, in {len(known):,} rows; "
            "anomalies require a history, such as the rows of several weeks"
        )
    inside = known[(known >= EARLIEST_TIMESTAMP) & (known < TIMESTAMP_LIMIT)]
    if inside.empty:
        raise UserError(
            f"the column '{times.name}' holds times from {known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}; the tables "
            f"cover the years {EARLIEST_TIMESTAMP.year} to {TIMESTAMP_LIMIT.year - 1}"
        )
    return found


def _is_coordinate(times: Recognised) -> bool:
    """Return whether large numbers have the name of a coordinate or a code, and so are no seconds since 1970."""
    return times.lake_format == time_patterns.UNIX and bool(set(split_name(times.name)) & NO_TIME_WORDS)


def _describe_missing(rows: pd.DataFrame) -> str:
    """Return the message for a table without timestamps; it shows the most likely column, or the first ones."""
    likely = [name for name in map(str, rows.columns) if any(word in name.lower() for word in _TIME_WORDS)]
    shown = (likely or [str(name) for name in rows.columns])[:SHOWN_COLUMNS]
    examples = [f"'{name}' ({_show_first(rows, name)})" for name in shown]
    return (
        f"no column holds timestamps of the years 1900 to 2199. Seen: {', '.join(examples)}. "
        "Add a column with times such as 2017-04-22 15:00:00, 04/22/2017, Apr 22 2017, or seconds since 1970"
    )


def _show_first(rows: pd.DataFrame, column: str) -> str:
    first = [(row + 1, str(value)[:40]) for row, value in enumerate(rows[column].head(100)) if pd.notna(value)]
    return BadRows(len(first), tuple(first[:2])).describe() or "empty"


def choose_format(times: Recognised, zone: str) -> str:
    """Return the format of the timestamps as live data: that of the text if the lake can read it, else a normal form.

    Times with UTC offsets are laid out in UTC, or as seconds since 1970 if the metric set has another time zone.
    """
    if times.is_instant and zone != "UTC":
        return time_patterns.UNIX
    return times.lake_format or NORMAL_FORMAT


def to_walls(times: "pd.Series[Any]", zone: str, *, is_instant: bool) -> "npt.NDArray[Any]":
    """Return times on the wall clock of a zone, as numpy datetimes in seconds; NaT stays."""
    if is_instant and zone != "UTC":
        times = times.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return np.asarray(times.to_numpy(), "datetime64[s]")


class Described(NamedTuple):
    """Notes on the timestamps, and which rows have a time that the tables cover."""

    notes: tuple[str, ...]
    is_usable: "pd.Series[bool]"


def describe_times(found: Sequence[Recognised], zone: str | None) -> Described:
    """Return what to check about the timestamps, and which rows are used."""
    times, notes = found[0], []
    if len(found) > 1 and (others := [one.name for one in found[1:] if one.name not in times.columns]):
        notes.append(
            f"timestamp.column: the column '{times.name}' is used; these columns also hold timestamps: "
            f"{', '.join(others)}"
        )
    if times.is_ambiguous:
        chosen, other = times.orders[:2]
        notes.append(
            f"timestamp.format: dates such as 01/02/2017 are read as {chosen}; {other} also fits every row "
            f"(--date-order {other})"
        )
    if times.is_instant:
        notes.append("timezone: the timestamps name instants; days begin at midnight of the metric set's time zone")
    elif zone is None and times.precision == "time":
        notes.append(
            "timezone: the data does not name a time zone; UTC is assumed. If the timestamps are local times, use an "
            "option such as --timezone Europe/Berlin"
        )
    if times.bad.total:
        notes.append(f"rows: {times.bad.total:,} rows have no readable time and are left out ({times.bad.describe()})")
    if times.blank:
        notes.append(f"rows: {times.blank:,} rows have no time and are left out")
    usable = times.times.notna()
    outside = usable & ((times.times < EARLIEST_TIMESTAMP) | (times.times >= TIMESTAMP_LIMIT))
    if outside.any():
        notes.append(
            f"rows: {int(outside.sum()):,} rows lie outside the years {EARLIEST_TIMESTAMP.year} to "
            f"{TIMESTAMP_LIMIT.year - 1}, which the tables cover; they are not scored"
        )
    usable &= ~outside
    far = usable & _is_far(times.times, usable)
    if far.any():
        examples = ", ".join(sorted({f"{time:%Y-%m-%d}" for time in times.times[far].head(3)}))
        notes.append(
            f"rows: {int(far.sum()):,} rows lie far from all others ({examples}); the proposal does not consider them"
        )
    return Described(tuple(notes), usable & ~far)


def _is_far(times: "pd.Series[Any]", usable: "pd.Series[bool]") -> "pd.Series[bool]":
    """Return which times are farther from nearly all times than these are from each other: dates written for null."""
    distinct = times[usable].drop_duplicates()
    if len(distinct) < MIN_TIMES_TO_TRIM:
        return pd.Series(False, times.index)
    low, high = distinct.quantile([EDGE, 1 - EDGE])
    return (times < low - (high - low)) | (times > high + (high - low))
