"""Completeness of data: how many series an interval has, how many are usual at that time, and where a gap begins.

The usual number is the median of the last seven days at that time of day, and at most the largest number of the last
four weeks at that weekday and time. So nights and weekends without data are no gap. Where gaps are usual, an event is
reported only for a gap more than twice as long as the third longest of the last four weeks.

Weeks and months are counted like days: the usual number is the median of the last seven, and gaps are remembered for
28 of them. They have no weekday.
"""

from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import numpy as np
from numpy.typing import NDArray

from anomalake.domain import intervals
from anomalake.domain.intervals import Frequency

UNKNOWN = -1  # in `Completeness.counts`: no interval was recorded
HISTORY_WEEKS, RECENT_DAYS, MIN_RECENT_DAYS = 4, 7, 4
_STORED_DAYS = 7 * HISTORY_WEEKS + 1  # the day of four weeks ago is still there when today's is written
CHANCE_ROOTS = 2  # in square roots of the usual number: if some series have data, a smaller difference is chance
USUAL_GAP_FACTOR, USUAL_GAP_RANK = (
    2,
    3,
)  # a longer gap than this factor times the gap of this rank by length is an event


def count_place(wall: datetime, frequency: Frequency) -> tuple[int, int]:
    """Return the day of the interval that starts at `wall`, as a date's ordinal, and its number in the day.

    The day of a week is the number of the week, and the day of a month that of the month, counted from the year 0.
    """
    match frequency:
        case "P1M":
            return wall.year * 12 + wall.month, 0
        case "P1W":
            return wall.toordinal() // 7, 0
    return wall.toordinal(), intervals.get_slot(wall, frequency)


@dataclass
class Completeness:
    """What is known of the number of series with a value; `record_count` updates it in place.

    Days and slots are those of `count_place`.
    """

    slots: int  # intervals a day
    has_weekdays: bool = True
    day: int = -1  # the last day
    counts: NDArray[np.int32] = field(init=False)  # [day % _STORED_DAYS, slot]: series with a value
    # The last day (ordinal) and the length (intervals) of gaps that ended in the last four weeks.
    recent_gaps: list[tuple[int, int]] = field(default_factory=list)
    gap_length: int = 0  # of the current gap, in intervals; 0: no gap
    reported: bool = False  # whether the current gap is reported

    def __post_init__(self) -> None:
        self.counts = np.full((_STORED_DAYS, self.slots), UNKNOWN, np.int32)

    def usual_count(self, day: int, slot: int) -> int | None:
        """Return how many series usually have a value at that time; None with less than a week of history.

        Of weeks and months, less than `MIN_RECENT_DAYS` are too few.
        """
        counts: list[int] = self.counts[:, slot].tolist()
        recent = _known_counts(counts, day, range(1, RECENT_DAYS + 1))
        same_weekday = _known_counts(counts, day, range(7, 7 * HISTORY_WEEKS + 1, 7)) if self.has_weekdays else recent
        if len(recent) < MIN_RECENT_DAYS or not same_weekday:
            return None
        return int(min(median(recent), max(same_weekday)))


def completeness_of(frequency: Frequency) -> Completeness:
    """Return the completeness of a metric set of this frequency, without history."""
    return Completeness(intervals.slots_per_day(frequency), has_weekdays=frequency not in ("P1W", "P1M"))


def _known_counts(counts: list[int], day: int, days_ago: range) -> list[int]:
    return [count for ago in days_ago if (count := counts[(day - ago) % _STORED_DAYS]) != UNKNOWN]


def record_count(
    state: Completeness, day: int, slot: int, count: int, threshold: float
) -> tuple[int | None, float, bool]:
    """Record the number of series with a value in an interval.

    Returns the usual number, the percentage of it that is missing, and whether an event begins now. An interval is in a
    gap if `threshold` per cent or more are missing, and more than chance explains. `day` is not before the
    last one.
    """
    if day != state.day:
        new_days = range(max(state.day + 1, day - _STORED_DAYS + 1), day + 1)
        state.counts[[new % _STORED_DAYS for new in new_days]] = UNKNOWN
        state.day = day
        state.recent_gaps = [gap for gap in state.recent_gaps if gap[0] > day - 7 * HISTORY_WEEKS]
    usual = state.usual_count(day, slot)
    state.counts[day % _STORED_DAYS, slot] = count
    missing = 100 * max(0, usual - count) / usual if usual else 0.0
    if usual and count < usual and missing >= threshold and (not count or usual - count > CHANCE_ROOTS * usual**0.5):
        state.gap_length += 1
        lengths = sorted((length for _, length in state.recent_gaps), reverse=True)
        usual_length = lengths[USUAL_GAP_RANK - 1] if len(lengths) >= USUAL_GAP_RANK else 0
        begins = not state.reported and state.gap_length > USUAL_GAP_FACTOR * usual_length
        state.reported = state.reported or begins
        return usual, missing, begins
    if count and state.gap_length:
        state.recent_gaps.append((day, state.gap_length))
        state.gap_length, state.reported = 0, False
    return usual, missing, False
