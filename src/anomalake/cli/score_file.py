"""Scores a file of time series without a lake: adds a score, an expected value and bounds to each row.

The input has the columns series, timestamp and value. The model is the same as in the live detector. It processes one
interval after another with all series at once, so that no score depends on a later row.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from anomalake.cli.tables import numbers, read
from anomalake.detect import model
from anomalake.detect.cycle import cycle_of
from anomalake.detect.timeline import utc_now
from anomalake.domain import intervals
from anomalake.domain.errors import UserError
from anomalake.domain.intervals import Frequency
from anomalake.domain.metric_set import Alerts
from anomalake.lake import files

COLUMNS = ("series", "timestamp", "value")
DEFAULT_SENSITIVITY = Alerts().sensitivity


class Quality(NamedTuple):
    """The quality of the data: counts of rows by problem, and the completeness of the series."""

    rows: int
    unreadable: int  # without a series, or with a timestamp or a value that cannot be read
    empty: int  # with an empty value
    repeated: int  # further rows of the same series and interval; the values are summed up
    disordered: int  # with an earlier timestamp than a previous row of the series
    series: int
    constant: int  # series with a single distinct value
    unscored: int  # series with too little history for any score
    values: int
    expected_values: int  # intervals between the first and the last value of each series
    waiting: int  # rows of an interval that has not ended yet
    future: tuple[int, str]  # rows of intervals in the future: their number, and the first one

    def findings(self) -> list[str]:
        """Return the lines that the command prints."""
        percent, ratio = 100 * self.values / self.expected_values, f"{self.values:,} of {self.expected_values:,}"
        lines = [
            f"completeness  {percent:.2f} % of the intervals between a series' first and last have a value ({ratio})",
            f"duplicates    {self.repeated:,} rows repeat a series and interval; values of one interval are summed up",
            f"cardinality   {self.series:,} series: {self.constant:,} never change, "
            f"{self.unscored:,} are too short to be scored",
            f"rows          {self.rows:,}: {self.unreadable:,} unreadable, {self.empty:,} without a value, "
            f"{self.disordered:,} out of order (sorted)",
        ]
        if self.waiting:
            lines.append(
                f"left          {self.waiting:,} rows are of an interval that has not ended; they have no score yet"
            )
        if self.future[0]:
            count, first = self.future
            lines.append(f"future        {count:,} rows lie in the future and have no score; the first: {first}")
        return lines


def score_file(source: Path, target: Path, frequency: Frequency, now: datetime | None = None) -> Quality:
    """Score the rows of `source` and write them to `target`, sorted by series and time; returns the data's quality.

    Both files are CSV or Parquet, by their suffix. A timestamp is ISO 8601: local time, or UTC where it names a zone.
    The target has the start of each interval. A row whose interval has not ended at `now` is written without a score;
    `now` is on the clock of the timestamps (the present time in UTC by default). Raises `UserError` for files that
    cannot be read or written.
    """
    now = now or utc_now()
    if target.suffix not in (".csv", ".parquet", ".pq"):
        raise UserError(f"{target}: scores are written as .csv or .parquet; name such a file")
    if target.resolve() == source.resolve():
        raise UserError(f"{target}: is the data itself; name another file for the scores")
    rows, quality = _aggregate_rows(read.read_texts(str(source)).rows, source, frequency)
    ended = rows["timestamp"] + intervals.INTERVAL_LENGTHS[frequency] <= now
    scored = pd.concat([score_rows(rows[ended], frequency), rows[~ended]])
    quality = _count_unscored_rows(quality, rows[~ended], now)
    by_series = scored.groupby("series").agg(values=("value", "nunique"), scored=("score", "count"))
    out = scored.drop(columns="value").sort_values(["series", "timestamp"])
    with files.replace_file(target) as file:
        if target.suffix == ".csv":
            out.to_csv(file, index=False)
        else:
            out.to_parquet(file, index=False)
    return quality._replace(
        constant=int((by_series["values"] <= 1).sum()), unscored=int((by_series["scored"] == 0).sum())
    )


def score_rows(rows: pd.DataFrame, frequency: Frequency) -> pd.DataFrame:
    """Return the rows with the columns score, expected, lower and upper, in order of time.

    Each row has a series, a timestamp (the start of an interval) and a value; a series has one row an interval.
    """
    rows = rows.sort_values("timestamp", kind="stable")
    codes, names = pd.factorize(rows["series"])
    state = model.State(cycle_of(frequency), len(names))
    times, values = rows["timestamp"], rows["value"].to_numpy(float)
    starts = np.flatnonzero(times.ne(times.shift()).to_numpy())
    ends = np.append(starts[1:], len(rows))
    results = np.full((len(rows), 4), np.nan)
    for start, end in tqdm(
        zip(starts, ends, strict=True), desc="detector", unit=" intervals", total=len(starts), disable=None, leave=False
    ):
        wall, present = times.iloc[start].to_pydatetime(), codes[start:end]
        row = np.full(len(names), np.nan)
        row[present] = values[start:end]
        points = model.score_interval(
            state, wall.toordinal(), intervals.get_slot(wall, frequency), row, DEFAULT_SENSITIVITY
        )
        results[start:end] = np.stack([points.score, points.expected, points.lower, points.upper], axis=1)[present]
    return rows.assign(**dict(zip(("score", "expected", "lower", "upper"), results.T, strict=True)))


def _count_unscored_rows(quality: Quality, rows: pd.DataFrame, now: datetime) -> Quality:
    """Return the quality of the data with the counts of rows whose intervals have not ended."""
    future = rows[rows["timestamp"] > now].sort_values("timestamp")
    first = f"series {future['series'].iloc[0]}, {future['timestamp'].iloc[0]}" if len(future) else ""
    return quality._replace(waiting=len(rows) - len(future), future=(len(future), first))


def _aggregate_rows(table: pd.DataFrame, source: Path, frequency: Frequency) -> tuple[pd.DataFrame, Quality]:
    """Return one value for each series and interval, and the quality of the data.

    Raises `UserError` if no row can be read.
    """
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise UserError(f"{source}: has no column '{missing[0]}'; the columns series, timestamp and value are required")
    step = intervals.INTERVAL_LENGTHS[frequency]
    times = pd.to_datetime(table["timestamp"], format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    values = numbers.parse_numbers(table["value"])
    empty = table["value"].isna()
    readable = table["series"].notna() & times.notna() & (np.isfinite(values) | empty)
    if not (readable & ~empty).any():
        raise UserError(
            f"{source}: no row can be read; a timestamp looks like 2026-07-01T11:00, and a value is a number"
        )
    read = pd.DataFrame({"series": table["series"], "timestamp": times.dt.floor(step), "value": values})[readable]
    disordered = times[readable] < times[readable].groupby(table["series"][readable]).cummax()
    repeated = read.duplicated(["series", "timestamp"])
    rows = read[~empty[readable]].groupby(["series", "timestamp"], sort=True)["value"].sum().reset_index()
    spans = rows.groupby("series")["timestamp"].agg(["min", "max"])
    possible = int(((spans["max"] - spans["min"]) // pd.Timedelta(step) + 1).sum())
    return rows, Quality(
        len(table), int((~readable).sum()), int((readable & empty).sum()), int(repeated.sum()), int(disordered.sum()),
        len(spans), constant=0, unscored=0, values=len(rows), expected_values=possible, waiting=0, future=(0, ""),
    )  # fmt: skip
