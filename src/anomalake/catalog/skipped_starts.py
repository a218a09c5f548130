"""Intervals whose wall time clocks skip, but which end later: when they start. Pure functions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache

from anomalake.domain import intervals
from anomalake.domain.intervals import MINUTE, Frequency


@cache
def minutes_into_gaps(zone: str, frequency: Frequency) -> tuple[int, ...]:
    """Return how many minutes after clocks are set forward such wall times would come, each number once.

    Clocks in New York skip 2:00 to 3:00. The interval of 40 minutes from 2:40 begins at 3:00, and clocks skip 40
    minutes of it: (40,). Empty if every such interval has the wall time at which clocks are set forward, as with PT1H
    in New York. Based on the years 1980 to 2049.
    """
    if zone == "UTC":
        return ()
    found = set[timedelta]()
    for first_skipped, first_after in _list_gaps(zone):
        wall_time = intervals.floor_to_interval(first_after, frequency)
        if first_skipped <= wall_time < first_after:
            found.add(wall_time - first_skipped)
    minutes = tuple(sorted(shift // MINUTE for shift in found))
    return minutes if any(minutes) else ()


@cache
def _list_gaps(zone: str) -> tuple[tuple[datetime, datetime], ...]:
    """Return the wall times that clocks skip: the first of each gap, and the first after it."""
    return tuple(_find_gaps(zone))


def _find_gaps(zone: str) -> Iterator[tuple[datetime, datetime]]:
    def offset(instant: datetime) -> timedelta:
        return intervals.to_wall_time(instant, zone) - instant

    week = timedelta(weeks=1)
    before = datetime(1980, 1, 1)
    while before < datetime(2050, 1, 1):
        if offset(before) < offset(before + week):
            low, high = 0, week // MINUTE
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(before + middle * MINUTE) == offset(before) else (low, middle)
            change = before + high * MINUTE
            yield change + offset(before), change + offset(change)
        before += week
