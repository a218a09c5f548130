"""Whether an interval's data arrived: how many series it has, how many are usual then, and gaps that are told once. Pure.

Usual is the median of the last seven days at that time of day, and no more than the most of the last four weeks at that weekday and time: nights and
weekends without data are no gap. Interrupted data is usual too: a gap is told when it is more than twice as long as the third longest of four weeks.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
WEEKS, RECENT_DAYS, FEWEST_RECENT = 4, 7, 4
_KEPT = 7 * WEEKS + 1  # days: that of four weeks ago is still there when today's is written
CHANCE = 2  # roots of the usual number; where some came, fewer than that many less are chance
FORGIVEN, THEIR = 2, 3  # a gap is told from more than `FORGIVEN` times the length of the `THEIR`rd longest


@dataclass
class Completeness:
    """What is known of the number of series with a value; `step` changes it in place."""

    slots: int  # intervals a day
    day: int = -1  # the last one, as an ordinal
    counts: NDArray[np.int32] = field(init=False)  # [day % kept, slot]: series with a value
    recent_gaps: list[tuple[int, int]] = field(
        default_factory=list
    )  # day (an ordinal) and intervals of those that ended in the last four weeks
    gap_length: int = 0  # intervals of the one that is under way
    reported: bool = False  # ... and whether it was told

    def __post_init__(self) -> None:
        self.counts = np.full((_KEPT, self.slots), UNKNOWN, np.int32)

    def usual_count(self, day: int, slot: int) -> int | None:
        """How many series have a value at that time as a rule; None while less than a week is known."""
        recent = self._known(day, slot, range(1, RECENT_DAYS + 1))
        weekday = self._known(day, slot, range(7, 7 * WEEKS + 1, 7))
        if len(recent) < FEWEST_RECENT or not len(weekday):
            return None
        return int(min(np.median(recent), weekday.max()))

    def _known(self, day: int, slot: int, ago: range) -> NDArray[np.int32]:
        found: NDArray[np.int32] = self.counts[[(day - some) % _KEPT for some in ago], slot]
        known: NDArray[np.int32] = found[found != UNKNOWN]
        return known


def record_count(
    state: Completeness, day: int, slot: int, count: int, most_missing: float
) -> tuple[int | None, float, bool]:
    """Take an interval's number of series: how many are usual, the per cent of them that is missing, and whether that is to be told now.

    `most_missing` per cent or more is a gap, where it is more than chance too. `day` is a date's ordinal, not before the last one.
    """
    if day != state.day:
        passed = [some % _KEPT for some in range(max(state.day + 1, day - _KEPT + 1), day + 1)]
        state.counts[passed] = UNKNOWN
        state.day = day
        state.recent_gaps = [gap for gap in state.recent_gaps if gap[0] > day - 7 * WEEKS]
    usual = state.usual_count(day, slot)
    state.counts[day % _KEPT, slot] = count
    missing = 100 * max(0, usual - count) / usual if usual else 0.0
    if usual and count < usual and missing >= most_missing and (not count or usual - count > CHANCE * usual**0.5):
        state.gap_length += 1
        longest = sorted((length for _, length in state.recent_gaps), reverse=True)
        tells = not state.reported and state.gap_length > FORGIVEN * (
            longest[THEIR - 1] if len(longest) >= THEIR else 0
        )
        state.reported = state.reported or tells
        return usual, missing, tells
    if count and state.gap_length:
        state.recent_gaps.append((day, state.gap_length))
        state.gap_length, state.reported = 0, False
    return usual, missing, False
