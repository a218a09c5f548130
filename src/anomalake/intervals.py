"""Intervals: the steps of a metric set's frequency, counted on the wall clock of its time zone and stored in UTC.

An interval is named by its start. A wall time that happens twice (the hour before clocks go back) means its first occurrence, so both hours
are one interval; a wall time that never happens (the hour that clocks skip) names nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

Frequency = Literal["P1D", "PT1H", "PT10M", "PT5M"]
STEP: dict[str, timedelta] = {
    "P1D": timedelta(days=1),
    "PT1H": timedelta(hours=1),
    "PT10M": timedelta(minutes=10),
    "PT5M": timedelta(minutes=5),
}


@cache
def zone(name: str) -> ZoneInfo:
    """The zone by its IANA name, read once."""
    return ZoneInfo(name)


def to_utc(wall: datetime, zone_name: str, *, fold: Literal[0, 1] = 0) -> datetime:
    """The first instant at which a naive wall time happens (`fold` 1: the second), naive UTC; a skipped one is moved past the gap, as Java does."""
    return wall.replace(tzinfo=zone(zone_name), fold=fold).astimezone(UTC).replace(tzinfo=None)


def to_wall(instant: datetime, zone_name: str) -> datetime:
    """A naive UTC instant on the zone's wall clock, naive."""
    return instant.replace(tzinfo=UTC).astimezone(zone(zone_name)).replace(tzinfo=None, fold=0)


def end(wall: datetime, frequency: str, zone_name: str) -> datetime:
    """When the interval that starts at a wall time is over, naive UTC; one that happens twice is over after its second time."""
    over = to_utc(wall + STEP[frequency], zone_name)
    if frequency == "P1D":
        return over
    return max(over, to_utc(wall, zone_name, fold=1) + STEP[frequency])


@cache
def utc_days(zone_name: str) -> tuple[int, ...]:
    """The UTC days in which a local day has a part, as days from it on: (-1, 0) east of Greenwich, (0, 1) west of it; of the years 2000 to 2049."""
    if zone_name == "UTC":
        return (0,)
    noons = (datetime(2000, 1, 1, 12) + timedelta(weeks=week) for week in range(50 * 52))
    ahead = {noon - to_utc(noon, zone_name) for noon in noons}
    return (*((-1,) if max(ahead) > timedelta() else ()), 0, *((1,) if min(ahead) < timedelta() else ()))


def exists(wall: datetime, zone_name: str) -> bool:
    """Whether the wall time ever happens."""
    return zone_name == "UTC" or to_wall(to_utc(wall, zone_name), zone_name) == wall


def floor(wall: datetime, frequency: str) -> datetime:
    """The wall time at which the interval that holds this wall time starts."""
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (wall - midnight) // STEP[frequency] * STEP[frequency]


def start(instant: datetime, frequency: str, zone_name: str) -> datetime:
    """The start, in naive UTC, of the interval that holds a naive UTC instant."""
    return to_utc(floor(to_wall(instant, zone_name), frequency), zone_name)


def slot(wall: datetime, frequency: str) -> int:
    """The interval's number in its day: 0 to `slots_per_day` - 1."""
    return (wall - wall.replace(hour=0, minute=0, second=0, microsecond=0)) // STEP[frequency]


def slots_per_day(frequency: str) -> int:
    """1, 24, 144 or 288."""
    return timedelta(days=1) // STEP[frequency]


def walls(first: datetime, last: datetime, frequency: str) -> Iterator[datetime]:
    """Every wall time from first to last (both included), a frequency apart; skipped ones too."""
    while first <= last:
        yield first
        first += STEP[frequency]
