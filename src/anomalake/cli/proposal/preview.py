"""Describes a proposal before a back-test: what the data has, a chart as text, and how long a back-test takes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomalake.cli.proposal.document import describe_length
from anomalake.cli.proposal.frequency import Step
from anomalake.domain import intervals

CHART_WIDTH, CHART_HEIGHT = 60, 6  # characters
_BLOCKS = " ▁▂▃▄▅▆▇█"
# Of back-tests of the files in docs/your-data.md on two cores: to start and to write the page; for the folders and
# tables of days (or months), for intervals, and for points, which are values of a series and measure.
START_SECONDS, FOLDERS_PER_SECOND, INTERVALS_PER_SECOND, POINTS_PER_SECOND = 2.0, 160, 4_000, 50_000


class Preview(NamedTuple):
    """What a proposal makes of the data."""

    rows: int
    used_rows: int
    first: np.datetime64
    last: np.datetime64
    step: Step
    series: int
    cells: int  # series and intervals with a row
    dimensions: tuple[str, ...]
    measure_count: int
    chart_name: str
    totals: "npt.NDArray[np.float64]"  # of the first measure by interval; NaN where there is none

    @property
    def completeness(self) -> float:
        """The share of series and intervals that have a row."""
        return self.cells / (self.series * self.step.fit.intervals)

    @property
    def seconds(self) -> float:
        """The estimated time of a back-test."""
        count = self.step.fit.intervals
        folders = count / intervals.slots_per_day(self.step.fit.frequency)
        points = count * self.series * self.measure_count
        return START_SECONDS + folders / FOLDERS_PER_SECOND + count / INTERVALS_PER_SECOND + points / POINTS_PER_SECOND


def describe_preview(preview: Preview) -> str:
    """Return the lines of a preview, without the chart."""
    fit = preview.step.fit
    left_out = preview.rows - preview.used_rows
    of = f" by {', '.join(preview.dimensions)}" if preview.dimensions else ""
    return "\n".join(
        [
            f"rows        {preview.used_rows:,}" + (f" ({left_out:,} left out)" if left_out else ""),
            f"span        {_show(preview.first)} to {_show(preview.last)}",
            f"step        {describe_length(fit.frequency)} ({fit.frequency}): {fit.filled:,} of {fit.intervals:,} "
            f"intervals have data ({100 * fit.completeness:.1f} %)",
            f"series      {preview.series:,}{of}; {100 * preview.completeness:.1f} % of series and intervals have rows",
            f"back-test   about {_describe_seconds(preview.seconds)}",
        ]
    )


def _show(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="m")).replace("T", " ")


def _describe_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5_400 else f"{seconds / 3_600:.1f} hours"


def draw_chart(preview: Preview) -> str:
    """Return a chart of the first measure as text; each column is the mean of some intervals."""
    values = preview.totals
    parts = np.array_split(values, min(CHART_WIDTH, len(values)))
    means = [float(np.nanmean(part)) if (~np.isnan(part)).any() else float("nan") for part in parts]
    known = [mean for mean in means if not math.isnan(mean)]
    if not known:
        return ""
    low, high = min(0.0, *known) if min(known) < 0.5 * max(known) else min(known), max(known)
    lines = _draw_columns(means, low, high)
    labels = [f"{high:,.4g}", *[""] * (CHART_HEIGHT - 2), f"{low:,.4g}"]
    width = max(map(len, labels))
    drawn = [f"{label:>{width}} |{line}" for label, line in zip(labels, lines, strict=True)]
    first, last = _show(preview.first)[:10], _show(preview.last)[:10]
    axis = f"{'':>{width}}  {first}{last:>{max(len(last), len(means) - len(first))}}"
    return "\n".join([f"{preview.chart_name} by {describe_length(preview.step.fit.frequency)}", *drawn, axis])


def _draw_columns(means: Sequence[float], low: float, high: float) -> list[str]:
    """Return the lines of a chart of columns, from top to bottom. The smallest known value has an eighth of a line."""
    span = high - low or 1.0
    eighths = [0 if math.isnan(mean) else 1 + round((mean - low) / span * (8 * CHART_HEIGHT - 1)) for mean in means]
    return [
        "".join(_BLOCKS[max(0, min(8, eighth - 8 * row))] for eighth in eighths)
        for row in reversed(range(CHART_HEIGHT))
    ]


def total_by_interval(values: "npt.NDArray[Any] | None", interval: "npt.NDArray[np.int64]", *, mean: bool) -> Any:
    """Return the sum, the mean or the number of rows (`values` is None) of each interval; NaN where there is none."""
    places = interval - interval.min()
    known = np.ones(len(places), np.bool_) if values is None else ~np.isnan(values)
    counts = np.bincount(places[known], minlength=int(places.max()) + 1).astype(np.float64)
    if values is None:
        return counts
    sums = np.bincount(places[known], values[known], minlength=len(counts))
    return np.where(counts > 0, sums / counts.clip(1) if mean else sums, np.nan)
