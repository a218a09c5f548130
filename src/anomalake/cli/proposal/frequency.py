"""Finds the step of a metric set: the finest one at which nearly all intervals have data."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomalake.domain import intervals
from anomalake.domain.intervals import Frequency

MIN_COMPLETENESS = 0.9  # of the intervals between the first and the last that must have data
MAX_OFFERED = 4  # coarser steps that are named
REGULAR_SHARE = 0.5  # of the distances between times, from which the most usual one is that of the data
MAX_REGULAR_SPREAD = 0.5  # of the distances, up to which a device measures at intervals of its own
MAX_TIMES_PER_INTERVAL = 1.1  # distinct times in an interval, on average, of data that has the step itself
MINUTES_PER_DAY = intervals.MINUTES_PER_DAY

Times = npt.NDArray[np.datetime64]
Integers = npt.NDArray[np.int64]


class Fit(NamedTuple):
    """A step, the intervals from the first to the last with data, and how many of them have data."""

    frequency: Frequency
    intervals: int
    filled: int

    @property
    def completeness(self) -> float:
        """The share of intervals with data."""
        return self.filled / self.intervals


class Step(NamedTuple):
    """The step of a table."""

    fit: Fit
    coarser: tuple[Fit, ...]  # of the common steps that also fit, the finest first
    is_regular: bool  # the data has this step itself, or a finer one; false for events at any time
    is_finer: bool  # several times lie in an interval
    is_working_days: bool  # daily data from Monday to Friday
    usual_seconds: int  # the most usual distance of times
    note: str


def number_intervals(times: Times, frequency: Frequency) -> Integers:
    """Return the number of each time's interval; the numbers of consecutive intervals are consecutive."""
    if frequency == "P1M":
        return times.astype("datetime64[M]").astype(np.int64)
    days = times.astype("datetime64[D]").astype(np.int64)
    if frequency == "P1D":
        return days
    if frequency == "P1W":
        return (days + 3) // 7  # 1970-01-01 was a Thursday
    minutes = int(intervals.INTERVAL_LENGTHS[frequency].total_seconds() // 60)
    return times.astype("datetime64[m]").astype(np.int64) // minutes


def measure_fit(times: Times, frequency: Frequency) -> Fit:
    """Return how many intervals of the frequency have one of the times."""
    distinct = np.unique(number_intervals(times, frequency))
    return Fit(frequency, int(distinct[-1] - distinct[0]) + 1, len(distinct))


def find_step(times: "npt.NDArray[Any]", frequency: Frequency | None = None) -> Step:
    """Return the finest common step, or the usual time between rows, at which nine tenths of the intervals have data.

    `times` are on the wall clock of the metric set, without NaT. `frequency` is the choice of the user. Daily data that
    lacks only Saturdays and Sundays is daily. If no step fits, it is the month.
    """
    distinct = np.unique(times.astype("datetime64[s]"))
    usual, usual_share, spread = _measure_distances(distinct)
    shortest = usual if usual_share >= REGULAR_SHARE else 0
    candidates = [
        name
        for name, length in intervals.INTERVAL_LENGTHS.items()
        if (name in intervals.COMMON_FREQUENCIES and length.total_seconds() >= shortest)
        or length.total_seconds() == usual
    ]
    fits = [fit for fit in (measure_fit(distinct, name) for name in candidates) if fit.completeness >= MIN_COMPLETENESS]
    working_days = _is_working_days(distinct, fits)
    if working_days:
        fits.insert(0, measure_fit(distinct, "P1D"))
    chosen = measure_fit(distinct, frequency) if frequency else (fits or [measure_fit(distinct, "P1M")])[0]
    length = intervals.INTERVAL_LENGTHS[chosen.frequency]
    coarser = tuple(
        fit for fit in fits if intervals.INTERVAL_LENGTHS[fit.frequency] > length and fit.intervals > 1
    )[:MAX_OFFERED]  # fmt: skip
    times_per_interval = len(distinct) / chosen.filled
    is_regular = (
        usual_share >= REGULAR_SHARE or spread <= MAX_REGULAR_SPREAD or times_per_interval <= MAX_TIMES_PER_INTERVAL
    )
    is_finer = times_per_interval > MAX_TIMES_PER_INTERVAL
    working_days &= chosen.frequency == "P1D"
    note = _describe(chosen, coarser, is_finer, working_days)
    return Step(chosen, coarser, is_regular, is_finer, working_days, usual, note)


def _measure_distances(distinct: Times) -> tuple[int, float, float]:
    """Return the most usual distance of times in seconds, its share of all distances, and their relative spread.

    The spread is half of the range of the middle 80 % over the median. It is about 1.6 for events at random times.
    """
    all_distances = np.diff(distinct).astype(np.int64)
    if not len(all_distances):
        return 0, 0.0, 0.0
    distances, counts = np.unique(all_distances, return_counts=True)
    low, median, high = np.quantile(all_distances, [0.1, 0.5, 0.9])
    return int(distances[counts.argmax()]), float(counts.max() / counts.sum()), float((high - low) / 2 / median)


def _is_working_days(distinct: Times, fits: Sequence[Fit]) -> bool:
    """Return whether days lack only at weekends (prices of an exchange, figures of an office)."""
    days = np.unique(distinct.astype("datetime64[D]"))
    if len(days) < 10 or len(days) < len(distinct) or any(fit.frequency == "P1D" for fit in fits):
        return False
    weekdays = (days.astype(np.int64) + 3) % 7
    expected = np.busday_count(days[0], days[-1] + 1)
    return bool((weekdays < 5).mean() > 0.99 and expected and len(days) / expected >= MIN_COMPLETENESS)


def _describe(chosen: Fit, coarser: Sequence[Fit], is_finer: bool, working_days: bool) -> str:
    share = f"{chosen.filled:,} of {chosen.intervals:,} intervals have data"
    parts = [f"frequency: {chosen.frequency}; {share}"]
    if working_days:
        parts.append(
            "the days without data are Saturdays, Sundays and holidays, so missing data "
            "raises no alert (alerts.missingData)"
        )
    elif chosen.completeness < MIN_COMPLETENESS:
        parts.append(
            "no longer step exists" if chosen.frequency == "P1M" else "a longer step has fewer empty intervals"
        )
    if is_finer:
        parts.append("the rows of an interval are aggregated")
    if coarser:
        parts.append(f"coarser steps: {', '.join(fit.frequency for fit in coarser)}")
    return "; ".join(parts)
