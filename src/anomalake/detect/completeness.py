"""Completeness of data: how many series an interval has, how many are usual at that time, and where a gap begins.

The usual number is the median of the last seven days at that time of day, and at most the largest number of the last
four weeks at that weekday and time. So nights and weekends without data are no gap. Where gaps are usual, an event is
reported only for a gap more than twice as long as the third longest of the last four weeks.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1  # in `Completeness.counts`: no interval was recorded
HISTORY_WEEKS, RECENT_DAYS, MIN_RECENT_DAYS = 4, 7, 4
_STORED_DAYS = 7 * HISTORY_WEEKS + 1  # the day of four weeks ago is still there when today's is written
CHANCE_ROOTS = 2  # in square roots of the usual number: if some series have data, a smaller difference is chance
USUAL_GAP_FACTOR, USUAL_GAP_RANK = (
    2,
    3,
)  # a longer gap than this factor times the gap of this rank by length is an event


@dataclass
class Completeness:
    """What is known of the number of series with a value; `record_count` updates it in place."""

    slots: int  # intervals a day
    day: int = -1  # the last day, as a date's ordinal
    counts: NDArray[np.int32] = field(init=False)  # [day % _STORED_DAYS, slot]: series with a value
    # The last day (ordinal) and the length (intervals) of gaps that ended in the last four weeks.
    recent_gaps: list[tuple[int, int]] = field(default_factory=list)
    gap_length: int = 0  # of the current gap, in intervals; 0: no gap
    reported: bool = False  # whether the current gap is reported

    def __post_init__(self) -> None:
        self.counts = np.full((_STORED_DAYS, self.slots), UNKNOWN, np.int32)

    def usual_count(self, day: int, slot: int) -> int | None:
        """Return how many series usually have a value at that time; None with less than a week of history."""
        recent = self._known_counts(day, slot, range(1, RECENT_DAYS + 1))
        same_weekday = self._known_counts(day, slot, range(7, 7 * HISTORY_WEEKS + 1, 7))
        if len(recent) < MIN_RECENT_DAYS or not len(same_weekday):
            return None
        return int(min(np.median(recent), same_weekday.max()))

    def _known_counts(self, day: int, slot: int, days_ago: range) -> NDArray[np.int32]:
        counts: NDArray[np.int32] = self.counts[[(day - ago) % _STORED_DAYS for ago in days_ago], slot]
        known: NDArray[np.int32] = counts[counts != UNKNOWN]
        return known


def record_count(
    state: Completeness, day: int, slot: int, count: int, threshold: float
) -> tuple[int | None, float, bool]:
    """Record the number of series with a value in an interval.

    Returns the usual number, the percentage of it that is missing, and whether an event begins now. An interval is in a
    gap if `threshold` per cent or more are missing, and more than chance explains. `day` is a date's ordinal, not
    before the last one.
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
