"""A file of series scored, without a lake: columns series, timestamp, value in; score, expected value and band of each row out.

The model is the live detector's, all series as its columns, one interval after another: no row's score knows of a later one.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from anomalake.cli import read_table
from anomalake.detect import model
from anomalake.detect.timeline import utc_now
from anomalake.domain import intervals
from anomalake.domain.errors import UserError
from anomalake.domain.intervals import Frequency
from anomalake.domain.metric_set import Alerts
from anomalake.lake import files

COLUMNS = ("series", "timestamp", "value")
DEFAULT_SENSITIVITY = Alerts().sensitivity


class Quality(NamedTuple):
    """What is to be known of the data: rows by what became of them, and how much of what could be there is there."""

    rows: int
    unreadable: int  # without a series, or with a timestamp or value that is none
    empty: int  # with an empty value
    repeated: int  # beyond the first of a series and interval; their values are added up
    disordered: int  # before an earlier row of their series in time
    series: int
    constant: int  # series with one value only
    unscored: int  # series with too little history for any score
    values: int
    expected_values: int  # intervals between each series' first and last
    waiting: int  # rows of intervals that began and have not ended
    future: tuple[int, str]  # rows of intervals that begin later, and where the first of them is

    def findings(self) -> list[str]:
        """In words, for the one who is to trust the scores."""
        complete, of = 100 * self.values / self.expected_values, f"{self.values:,} of {self.expected_values:,}"
        return [
            f"completeness  {complete:.2f} % of the intervals between a series' first and last have a value ({of})",
            f"duplicates    {self.repeated:,} rows repeat a series and interval; values of one interval are added up",
            f"cardinality   {self.series:,} series: {self.constant:,} never change, {self.unscored:,} are too short to be scored",
            f"rows          {self.rows:,}: {self.unreadable:,} unreadable, {self.empty:,} without a value, {self.disordered:,} out of order (sorted)",
            *(
                [f"left          {self.waiting:,} rows are of an interval that has not ended; they have no score yet"]
                if self.waiting
                else []
            ),
            *(
                [
                    f"future        {self.future[0]:,} rows lie in the future and have no score; the first: {self.future[1]}"
                ]
                if self.future[0]
                else []
            ),
        ]


def score_file(source: Path, target: Path, frequency: Frequency, now: datetime | None = None) -> Quality:
    """Score the source's rows into the target (both CSV or Parquet by their suffix), sorted by series and time; what the data was like.

    A timestamp is ISO 8601, read on the clock it is written on (UTC where it names a zone), and written as its interval's start. A row whose interval
    has not ended at `now` (on the same clock; UTC's, if not given) is written without a score.
    """
    now = now or utc_now()
    if target.suffix not in (".csv", ".parquet", ".pq"):
        raise UserError(f"{target}: the scores are written as .csv or .parquet; name such a file")
    if target.resolve() == source.resolve():
        raise UserError(f"{target}: is the data itself; name another file for the scores")
    rows, quality = _rows(read_table.read_texts(source), source, frequency)
    ended = rows["timestamp"] + intervals.INTERVAL_LENGTHS[frequency] <= now
    scored = pd.concat([score_rows(rows[ended], frequency), rows[~ended]])
    quality = _not_ended(quality, rows[~ended], now)
    lengths = scored.groupby("series").agg(values=("value", "nunique"), scored=("score", "count"))
    out = scored.drop(columns="value").sort_values(["series", "timestamp"])
    with files.replace_file(target) as file:
        if target.suffix == ".csv":
            out.to_csv(file, index=False)
        else:
            out.to_parquet(file, index=False)
    return quality._replace(constant=int((lengths["values"] <= 1).sum()), unscored=int((lengths["scored"] == 0).sum()))


def score_rows(rows: pd.DataFrame, frequency: Frequency) -> pd.DataFrame:
    """The rows (series; timestamp: an interval's start; value: one an interval) with score, expected, lower and upper, in time's order."""
    rows = rows.sort_values("timestamp", kind="stable")
    codes, names = pd.factorize(rows["series"])
    state = model.State(intervals.slots_per_day(frequency), len(names))
    times, values = rows["timestamp"], rows["value"].to_numpy(float)
    begins = np.flatnonzero(times.ne(times.shift()).to_numpy())
    ends = np.append(begins[1:], len(rows))
    found = np.full((len(rows), 4), np.nan)
    for begin, end in tqdm(
        zip(begins, ends, strict=True), desc="detector", unit=" intervals", total=len(begins), disable=None, leave=False
    ):
        wall, here = times.iloc[begin].to_pydatetime(), codes[begin:end]
        row = np.full(len(names), np.nan)
        row[here] = values[begin:end]
        points = model.score_interval(
            state, wall.toordinal(), intervals.get_slot(wall, frequency), row, DEFAULT_SENSITIVITY
        )
        found[begin:end] = np.stack([points.score, points.expected, points.lower, points.upper], axis=1)[here]
    return rows.assign(**dict(zip(("score", "expected", "lower", "upper"), found.T, strict=True)))


def _not_ended(quality: Quality, rows: pd.DataFrame, now: datetime) -> Quality:
    """What the data was like, with the rows whose intervals have not ended."""
    future = rows[rows["timestamp"] > now].sort_values("timestamp")
    first = f"series {future['series'].iloc[0]}, {future['timestamp'].iloc[0]}" if len(future) else ""
    return quality._replace(waiting=len(rows) - len(future), future=(len(future), first))


def _rows(table: pd.DataFrame, source: Path, frequency: Frequency) -> tuple[pd.DataFrame, Quality]:
    """The table's texts as one value for each series and interval, and what was found on the way; `UserError` where nothing can be read."""
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise UserError(f"{source}: has no column {missing[0]!r}; the columns series, timestamp and value are wanted")
    step = intervals.INTERVAL_LENGTHS[frequency]
    times = pd.to_datetime(table["timestamp"], format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    numbers = read_table.parse_numbers(table["value"])
    empty = table["value"].isna()
    readable = table["series"].notna() & times.notna() & (np.isfinite(numbers) | empty)
    if not (readable & ~empty).any():
        raise UserError(f"{source}: no row can be read; a timestamp looks like 2026-07-01T11:00, a value is a number")
    read = pd.DataFrame({"series": table["series"], "timestamp": times.dt.floor(step), "value": numbers})[readable]
    disordered = times[readable] < times[readable].groupby(table["series"][readable]).cummax()
    repeated = read.duplicated(["series", "timestamp"])
    rows = read[~empty[readable]].groupby(["series", "timestamp"], sort=True)["value"].sum().reset_index()
    spans = rows.groupby("series")["timestamp"].agg(["min", "max"])
    possible = int(((spans["max"] - spans["min"]) // pd.Timedelta(step) + 1).sum())
    return rows, Quality(
        len(table), int((~readable).sum()), int((readable & empty).sum()), int(repeated.sum()), int(disordered.sum()),
        len(spans), constant=0, unscored=0, values=len(rows), expected_values=possible, waiting=0, future=(0, ""),
    )  # fmt: skip
