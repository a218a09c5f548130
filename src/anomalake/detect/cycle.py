"""How the model divides time: times of day and seasons, for each frequency.

A season is the weekday. Of weeks and months, which have no weekday, it is the month of the year.
"""

from datetime import date, datetime
from functools import cache
from typing import NamedTuple

from anomalake.domain import intervals
from anomalake.domain.intervals import Frequency

MAX_SLOTS = 288  # times of day of which the model has separate estimates; shorter intervals share them
WEEKDAYS, MONTHS = 7, 12


class Cycle(NamedTuple):
    """The times of day and the seasons of a frequency."""

    slots: int  # times of day; 1 for a day and longer intervals
    intervals_per_slot: int  # consecutive intervals of a day that share a slot
    seasons: int  # WEEKDAYS or MONTHS

    @property
    def intervals(self) -> int:
        """Intervals of a day; 1 for a day and longer intervals."""
        return self.slots * self.intervals_per_slot

    @property
    def is_yearly(self) -> bool:
        """Whether seasons are months of the year, as for weeks and months."""
        return self.seasons == MONTHS

    def find_slot(self, number: int) -> int:
        """Return the slot of the interval with this number in its day (`intervals.get_slot`)."""
        return number // self.intervals_per_slot

    def find_season(self, day: int) -> int:
        """Return the season of a day, which is a date's ordinal: from 0 to `seasons` - 1."""
        return date.fromordinal(day).month - 1 if self.is_yearly else day % WEEKDAYS


@cache
def cycle_of(frequency: Frequency) -> Cycle:
    """Return the cycle of a frequency: the most slots, up to `MAX_SLOTS`, that divide the intervals of a day evenly."""
    per_day = intervals.slots_per_day(frequency)
    shared = next(count for count in range(1, per_day + 1) if per_day % count == 0 and per_day // count <= MAX_SLOTS)
    seasons = MONTHS if frequency in ("P1W", "P1M") else WEEKDAYS
    return Cycle(per_day // shared, shared, seasons)


def model_time(wall: datetime, frequency: Frequency) -> tuple[int, int]:
    """Return the day (a date's ordinal) and the slot of the interval that starts at `wall`, for the model."""
    return wall.toordinal(), cycle_of(frequency).find_slot(intervals.get_slot(wall, frequency))
