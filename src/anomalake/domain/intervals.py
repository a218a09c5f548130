"""Intervals: the steps of a metric set's frequency, counted on the wall clock of its time zone and named by their start in UTC.

A wall time that happens twice (the hour before clocks go back) belongs to one interval, the one that starts at its first occurrence. Where the
timestamps of the data are absolute, the two occurrences are two intervals. A wall time that clocks skip belongs to no interval.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Frequency = Literal["P1D", "PT1H", "PT10M", "PT5M"]
INTERVAL_LENGTHS: dict[str, timedelta] = {
    "P1D": timedelta(days=1),
    "PT1H": timedelta(hours=1),
    "PT10M": timedelta(minutes=10),
    "PT5M": timedelta(minutes=5),
}
MINUTE = timedelta(minutes=1)
MAX_CLOCK_SHIFT = timedelta(
    hours=3
)  # by which clocks are set back at once; the largest shift since 2000 is two hours (Antarctica/Troll)


class Clock(NamedTuple):
    """How a metric set counts intervals. `absolute`: timestamps name instants, so both occurrences of a repeated hour are kept apart."""

    frequency: Frequency
    zone: str
    absolute: bool = False

    @property
    def step(self) -> timedelta:
        """The nominal length of an interval."""
        return INTERVAL_LENGTHS[self.frequency]

    def start(self, instant: datetime) -> datetime:
        """The start of the interval that holds the instant, both naive UTC."""
        if self.zone == "UTC":
            return floor_to_interval(instant, self.frequency)
        local = instant.replace(tzinfo=UTC).astimezone(get_time_zone(self.zone))
        second: Literal[0, 1] = 1 if self.absolute and self.frequency != "P1D" and local.fold else 0
        wall = floor_to_interval(local.replace(tzinfo=None, fold=0), self.frequency)
        start = to_utc(wall, self.zone, fold=second)
        if start > instant:  # clocks skip the wall time: the interval begins where they are set
            start = instant.replace(second=0, microsecond=0)
            while self.wall_time(start - MINUTE) == wall:
                start -= MINUTE
        return start

    def wall_time(self, start: datetime) -> datetime:
        """The wall time that names the interval, for its folder, its time of day and its weekday."""
        return floor_to_interval(to_wall_time(start, self.zone), self.frequency)

    def starts_at_wall_time(self, wall: datetime) -> tuple[datetime, ...]:
        """The starts of the intervals that a wall time names: one; two where it happens twice and timestamps are absolute; none where skipped."""
        first, second = to_utc(wall, self.zone), to_utc(wall, self.zone, fold=1)
        candidates = dict.fromkeys((self.start(first), self.start(second), self.start(second + self.step - MINUTE)))
        return tuple(start for start in candidates if self.wall_time(start) == wall)

    def next_start(self, start: datetime) -> datetime:
        """The start of the next interval."""
        regular = _extent(start, self) == (start + self.step, self.step)
        instant = start + (self.step if regular else MINUTE)
        while self.start(instant) <= start:  # a repeated wall time leads back
            instant += MINUTE
        return self.start(instant)

    def previous_start(self, start: datetime) -> datetime:
        """The start of the interval before."""
        before = self.start(start - MINUTE)
        while (after := self.next_start(before)) < start:
            before = after
        return before

    def end(self, start: datetime) -> datetime:
        """When the interval is over, naive UTC."""
        return _extent(start, self)[0]

    def length(self, start: datetime) -> timedelta:
        """How much time the interval holds: more than `step` where clocks go back in it, less where they go forward."""
        return _extent(start, self)[1]

    def starts_between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The starts from first to last, both included."""
        while first <= last:
            yield first
            first = self.next_start(first)


@lru_cache(maxsize=4096)
def _extent(start: datetime, clock: Clock) -> tuple[datetime, timedelta]:
    """The end of an interval and the time it holds, counted by the minute where the clock is set nearby."""
    until = start + clock.step + MAX_CLOCK_SHIFT
    here = to_wall_time(start, clock.zone)
    if here == clock.wall_time(start) and to_wall_time(until, clock.zone) - until == here - start:
        return start + clock.step, clock.step
    minutes = [minute for minute in range((until - start) // MINUTE) if clock.start(start + minute * MINUTE) == start]
    return start + (minutes[-1] + 1) * MINUTE, len(minutes) * MINUTE


@cache
def get_time_zone(name: str) -> ZoneInfo:
    """The zone by its IANA name, read once."""
    return ZoneInfo(name)


def to_utc(wall: datetime, zone_name: str, *, fold: Literal[0, 1] = 0) -> datetime:
    """The first instant at which a naive wall time happens (`fold` 1: the second), naive UTC; a skipped one is moved past the gap, as Java does."""
    return wall.replace(tzinfo=get_time_zone(zone_name), fold=fold).astimezone(UTC).replace(tzinfo=None)


def to_wall_time(instant: datetime, zone_name: str) -> datetime:
    """A naive UTC instant on the zone's wall clock, naive."""
    return instant.replace(tzinfo=UTC).astimezone(get_time_zone(zone_name)).replace(tzinfo=None, fold=0)


@cache
def get_utc_day_offsets(zone_name: str) -> tuple[int, ...]:
    """The UTC days in which a local day has a part, as days from it on: (-1, 0) east of Greenwich, (0, 1) west of it; of the years 2000 to 2049."""
    if zone_name == "UTC":
        return (0,)
    noons = (datetime(2000, 1, 1, 12) + timedelta(weeks=week) for week in range(50 * 52))
    ahead = {noon - to_utc(noon, zone_name) for noon in noons}
    return (*((-1,) if max(ahead) > timedelta() else ()), 0, *((1,) if min(ahead) < timedelta() else ()))


def wall_time_exists(wall: datetime, zone_name: str) -> bool:
    """Whether the wall time ever happens."""
    return zone_name == "UTC" or to_wall_time(to_utc(wall, zone_name), zone_name) == wall


def floor_to_interval(wall: datetime, frequency: str) -> datetime:
    """The wall time at which the interval that holds this wall time starts."""
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (wall - midnight) // INTERVAL_LENGTHS[frequency] * INTERVAL_LENGTHS[frequency]


def get_slot(wall: datetime, frequency: str) -> int:
    """The interval's number in its day: 0 to `slots_per_day` - 1."""
    return (wall - wall.replace(hour=0, minute=0, second=0, microsecond=0)) // INTERVAL_LENGTHS[frequency]


def slots_per_day(frequency: str) -> int:
    """1, 24, 144 or 288."""
    return timedelta(days=1) // INTERVAL_LENGTHS[frequency]


def iterate_wall_times(first: datetime, last: datetime, frequency: str) -> Iterator[datetime]:
    """Every wall time from first to last (both included), a frequency apart; skipped ones too."""
    while first <= last:
        yield first
        first += INTERVAL_LENGTHS[frequency]
