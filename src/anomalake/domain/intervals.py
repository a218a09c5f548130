"""Intervals: the time steps of a metric set.

They are counted on the wall clock of its time zone and named by their start in UTC. Any step that divides a day is a
frequency, from one minute to twelve hours; and so are a day, an ISO week and a month.

A wall time that occurs twice (the hour before clocks are set back) belongs to one interval, which starts at the first
occurrence. If the timestamps of the data are absolute, the two occurrences are two intervals. A wall time that clocks
skip belongs to no interval.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Frequency = str  # a key of `INTERVAL_LENGTHS`: an ISO 8601 duration, such as PT5M, PT1H or P1D
MINUTES_PER_DAY = 1440
_SUB_DAILY_MINUTES = [minutes for minutes in range(1, 721) if MINUTES_PER_DAY % minutes == 0]
# The nominal length of an interval, from short to long. Intervals of less than a day divide it; a week starts on
# Monday, as in ISO 8601; a month has at most this length.
INTERVAL_LENGTHS: dict[Frequency, timedelta] = {
    **{
        f"PT{minutes}M" if minutes % 60 else f"PT{minutes // 60}H": timedelta(minutes=minutes)
        for minutes in _SUB_DAILY_MINUTES
    },
    "P1D": timedelta(days=1),
    "P1W": timedelta(weeks=1),
    "P1M": timedelta(days=31),
}
COMMON_FREQUENCIES = ("PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "PT2H", "PT6H", "PT12H", "P1D", "P1W", "P1M")
MINUTE = timedelta(minutes=1)
# The most that clocks are set back at once. The largest shift since 1980 is three hours (Antarctica/Casey).
MAX_CLOCK_SHIFT = timedelta(hours=3)


class Clock(NamedTuple):
    """Counts the intervals of a metric set.

    `absolute` means that timestamps name instants, so both occurrences of a repeated hour are intervals.
    """

    frequency: Frequency
    zone: str
    absolute: bool = False

    @property
    def step(self) -> timedelta:
        """The nominal length of an interval."""
        return INTERVAL_LENGTHS[self.frequency]

    @property
    def is_sub_daily(self) -> bool:
        """Whether an interval is shorter than a day."""
        return is_sub_daily(self.frequency)

    def start(self, instant: datetime) -> datetime:
        """Return the start of the interval that contains the instant, both naive UTC."""
        if self.zone == "UTC":
            return floor_to_interval(instant, self.frequency)
        local = instant.replace(tzinfo=UTC).astimezone(get_time_zone(self.zone))
        wall_time = floor_to_interval(local.replace(tzinfo=None, fold=0), self.frequency)
        start, second = to_utc(wall_time, self.zone), to_utc(wall_time, self.zone, fold=1)
        if start < second <= instant and self.absolute and self.is_sub_daily:  # the wall time occurs twice
            return second
        if second < start:  # clocks skip the wall time: the interval starts when they are set forward
            if start > instant or self.wall_time(start) != wall_time:
                start = instant.replace(second=0, microsecond=0)
            while self.wall_time(start - MINUTE) == wall_time:
                start -= MINUTE
        return start

    def wall_time(self, start: datetime) -> datetime:
        """Return the wall time that names the interval: it gives the folder, the time of day and the weekday."""
        return floor_to_interval(to_wall_time(start, self.zone), self.frequency)

    def starts_at_wall_time(self, wall_time: datetime) -> tuple[datetime, ...]:
        """Return the starts of the intervals that a wall time names.

        One start; two if the wall time occurs twice and timestamps are absolute; none if clocks skip the wall time.
        """
        if floor_to_interval(wall_time, self.frequency) != wall_time:
            return ()
        first, second = to_utc(wall_time, self.zone), to_utc(wall_time, self.zone, fold=1)
        if first == second and _measure_interval(first, self) == (first + self.step, self.step):
            return (first,)
        candidates = dict.fromkeys((self.start(first), self.start(second), self.start(second + self.step - MINUTE)))
        return tuple(start for start in candidates if self.wall_time(start) == wall_time)

    def next_start(self, start: datetime) -> datetime:
        """Return the start of the next interval."""
        if not self.is_sub_daily:
            return self.end(start)
        if _measure_interval(start, self) == (start + self.step, self.step):
            return start + self.step
        instant = start + MINUTE
        while self.start(instant) <= start:  # a repeated wall time leads back to this interval
            instant += MINUTE
        return self.start(instant)

    def previous_start(self, start: datetime) -> datetime:
        """Return the start of the previous interval."""
        previous = self.start(start - MINUTE)
        while (following := self.next_start(previous)) < start:
            previous = following
        return previous

    def end(self, start: datetime) -> datetime:
        """Return the end of the interval, naive UTC."""
        return _measure_interval(start, self)[0]

    def length(self, start: datetime) -> timedelta:
        """Return the real duration of the interval.

        It is longer than `step` if clocks are set back in the interval, and shorter if they are set forward. Months
        differ in length.
        """
        return _measure_interval(start, self)[1]

    def length_ratio(self, start: datetime) -> float:
        """Return the real duration of an interval / its usual duration: 1, unless clocks change in the interval.

        It is always 1 for a week and a month, in which an hour is less than a hundredth.
        """
        if self.zone == "UTC" or self.step > timedelta(days=1):
            return 1.0
        return self.length(start) / self.step

    def starts_between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield the starts from first to last, both included."""
        while first <= last:
            yield first
            first = self.next_start(first)


@lru_cache(maxsize=4096)
def _measure_interval(start: datetime, clock: Clock) -> tuple[datetime, timedelta]:
    """Return the end and the real duration of an interval, counted by the minute if the clock is set nearby."""
    if clock.zone == "UTC" and clock.step <= timedelta(days=1):
        return start + clock.step, clock.step
    if clock.step > timedelta(days=1):
        following = next_wall_time(clock.wall_time(start), clock.frequency)
        end = clock.start(to_utc(following, clock.zone))
        return end, end - start
    until = start + clock.step + MAX_CLOCK_SHIFT
    wall_time = to_wall_time(start, clock.zone)
    same_offset = to_wall_time(until, clock.zone) - until == wall_time - start
    if wall_time == clock.wall_time(start) and same_offset:
        return start + clock.step, clock.step
    minutes = [minute for minute in range((until - start) // MINUTE) if clock.start(start + minute * MINUTE) == start]
    return start + (minutes[-1] + 1) * MINUTE, len(minutes) * MINUTE


@cache
def get_time_zone(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name, cached.

    Raises `ZoneInfoNotFoundError`, `ValueError` or `OSError` for another name.
    """
    return ZoneInfo(name)


def to_utc(wall_time: datetime, zone_name: str, *, fold: Literal[0, 1] = 0) -> datetime:
    """Return the first time (`fold=1`: the second time) that a naive wall time occurs, naive UTC.

    A skipped wall time moves forward by the length of the gap, as in Java.
    """
    if zone_name == "UTC":
        return wall_time
    return wall_time.replace(tzinfo=get_time_zone(zone_name), fold=fold).astimezone(UTC).replace(tzinfo=None)


def to_wall_time(instant: datetime, zone_name: str) -> datetime:
    """Return a naive UTC time on the wall clock of the time zone, naive."""
    if zone_name == "UTC":
        return instant
    return instant.replace(tzinfo=UTC).astimezone(get_time_zone(zone_name)).replace(tzinfo=None, fold=0)


@cache
def get_utc_day_offsets(zone_name: str) -> tuple[int, ...]:
    """Return the UTC days that a local day overlaps, as offsets in days: (-1, 0) east of Greenwich, (0, 1) west of it.

    Based on the years 1980 to 2049.
    """
    if zone_name == "UTC":
        return (0,)
    noons = (datetime(1980, 1, 1, 12) + timedelta(weeks=week) for week in range(70 * 52))
    utc_offsets = {noon - to_utc(noon, zone_name) for noon in noons}
    east, west = max(utc_offsets) > timedelta(), min(utc_offsets) < timedelta()
    return (*((-1,) if east else ()), 0, *((1,) if west else ()))


def wall_time_exists(wall_time: datetime, zone_name: str) -> bool:
    """Return whether the wall time occurs, that is, clocks do not skip it."""
    return zone_name == "UTC" or to_wall_time(to_utc(wall_time, zone_name), zone_name) == wall_time


def is_sub_daily(frequency: Frequency) -> bool:
    """Return whether an interval of the frequency is shorter than a day."""
    return INTERVAL_LENGTHS[frequency] < timedelta(days=1)


def floor_to_interval(wall_time: datetime, frequency: Frequency) -> datetime:
    """Return the wall time at which the interval that contains this wall time starts."""
    midnight = wall_time.replace(hour=0, minute=0, second=0, microsecond=0)
    match frequency:
        case "P1M":
            return midnight.replace(day=1)
        case "P1W":
            return midnight - timedelta(days=midnight.weekday())
    return midnight + (wall_time - midnight) // INTERVAL_LENGTHS[frequency] * INTERVAL_LENGTHS[frequency]


def next_wall_time(wall_time: datetime, frequency: Frequency) -> datetime:
    """Return the wall time that follows the wall time of an interval's start."""
    if frequency == "P1M":
        return (wall_time.replace(day=1) + timedelta(days=31)).replace(day=1)
    return wall_time + INTERVAL_LENGTHS[frequency]


def get_slot(wall_time: datetime, frequency: Frequency) -> int:
    """Return the number of the interval in its day: 0 to `slots_per_day` - 1."""
    if not is_sub_daily(frequency):
        return 0
    midnight = wall_time.replace(hour=0, minute=0, second=0, microsecond=0)
    return (wall_time - midnight) // INTERVAL_LENGTHS[frequency]


def slots_per_day(frequency: Frequency) -> int:
    """Return the number of intervals in a day, from 1 to 1440; 1 for a week and a month."""
    return max(1, timedelta(days=1) // INTERVAL_LENGTHS[frequency])


def iterate_wall_times(first: datetime, last: datetime, frequency: Frequency) -> Iterator[datetime]:
    """Yield every wall time of the frequency from first to last, both included; also those that clocks skip."""
    while first <= last:
        yield first
        first = next_wall_time(first, frequency)
