"""When a metric set's detector runs, which intervals are due then, and which of them it processes."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, gcd

from anomalake.domain.intervals import INTERVAL_LENGTHS, MINUTES_PER_DAY
from anomalake.domain.metric_set import MetricSet

# Time that the detector processes at the beginning and at the end of a long gap; for weeks and months, this number of
# intervals. It remembers the completeness of four weeks (detect.completeness), so the time between changes nothing.
GAP_EDGE = timedelta(days=30)
DAY = timedelta(days=1)
# Empty intervals of a gap / intervals with data, above which the data before the gap is an outlier.
OUTLIER_GAP_RATIO = 10
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT")


def cron_expression(metric_set: MetricSet) -> str:
    """Return the schedule as a cron expression in the set's own time zone ("Schedule types" in the user guide of
    EventBridge Scheduler).

    The detector runs when an interval has ended and the source's offset has passed.
    """
    minutes = ceil(_offset(metric_set).total_seconds() / 60)
    days, minute, hour = minutes // MINUTES_PER_DAY, minutes % 60, minutes // 60 % 24
    match metric_set.frequency:
        case "P1M":
            return f"cron({minute} {hour} {1 + days} * ? *)"
        case "P1W":
            return f"cron({minute} {hour} ? * {_WEEKDAYS[days]} *)"
        case "P1D":
            return f"cron({minute} {hour} * * ? *)"
    step = _run_minutes(metric_set)
    if step < 60:
        return f"cron({minutes % step}/{step} * * * ? *)"
    hours = "*" if step == 60 else f"{minutes // 60 % (step // 60)}/{step // 60}"
    return f"cron({minute} {hours} * * ? *)"


def _run_minutes(metric_set: MetricSet) -> int:
    """Return the minutes between two runs of an interval shorter than a day.

    Cron repeats minutes within an hour, so intervals of 8 or 90 minutes run at a common divisor with the hour, and
    every second or third run has an interval to process.
    """
    step = INTERVAL_LENGTHS[metric_set.frequency] // timedelta(minutes=1)
    return step if step % 60 == 0 else gcd(step, 60)


def schedule_timezone(metric_set: MetricSet) -> str:
    """Return the time zone of the schedule.

    In an hour that occurs twice, a schedule in a local zone runs once. So a schedule by the minute is in UTC: its
    minutes are the same in every zone.
    """
    by_minute = metric_set.clock.is_sub_daily and _run_minutes(metric_set) < 60
    return "UTC" if by_minute else metric_set.timezone


def due_time(metric_set: MetricSet, start: datetime) -> datetime:
    """Return when an interval is due (naive UTC): it has ended, and the source's offset has passed."""
    return metric_set.clock.end(start) + _offset(metric_set)


def last_due(metric_set: MetricSet, now: datetime) -> datetime:
    """Return the start of the newest interval that is due at `now` (both naive UTC)."""
    clock = metric_set.clock
    start = clock.previous_start(clock.start(now - _offset(metric_set)))
    while due_time(metric_set, start) > now:  # in an hour that occurs twice
        start = clock.previous_start(start)
    return start


def due_intervals(metric_set: MetricSet, after: datetime, last: datetime) -> Iterator[datetime]:
    """Return the starts of the intervals after `after`, up to `last` (naive UTC)."""
    yield from metric_set.clock.starts_between(metric_set.clock.next_start(after), last)


def gap_edge(metric_set: MetricSet) -> timedelta:
    """Return the time that the detector processes at each end of a long gap.

    It is twice as long if missing rows mean zero: by then every series is retired (detect.missing_rows).
    """
    edge = GAP_EDGE * max(1, metric_set.clock.step // DAY)
    return 2 * edge if metric_set.missing_is_zero else edge


def intervals_to_process(
    metric_set: MetricSet, after: datetime, last: datetime, with_data: Sequence[datetime]
) -> Iterator[datetime]:
    """Yield the `due_intervals` that the detector processes: all but the middle of a gap longer than two times
    `gap_edge`.

    `with_data` are the sorted starts of the intervals with data. The work grows with the data, not with the time that
    it spans.
    """
    clock, edge = metric_set.clock, gap_edge(metric_set)
    bounds = [after, *with_data[bisect_right(with_data, after) : bisect_left(with_data, last)], last]
    for begin, end in pairwise(bounds):
        if clock.next_start(begin) == end:
            yield end
        elif end - begin <= 2 * edge:
            yield from due_intervals(metric_set, begin, end)
        else:
            yield from due_intervals(metric_set, begin, clock.start(begin + edge))
            yield from clock.starts_between(clock.start(end - edge), end)


def long_gaps(starts: Iterable[datetime], metric_set: MetricSet) -> list[tuple[datetime, datetime]]:
    """Return the gaps that `intervals_to_process` shortens, as (interval before, interval after); `starts` are sorted
    intervals with data.
    """
    edge = gap_edge(metric_set)
    return [(before, after) for before, after in pairwise(starts) if after - before > 2 * edge]


def count_skipped(gap: tuple[datetime, datetime], metric_set: MetricSet) -> int:
    """Return how many intervals of a long gap are not processed; a change of clocks in them is not counted."""
    clock, edge = metric_set.clock, gap_edge(metric_set)
    first, last = (clock.wall_time(clock.start(instant)) for instant in (gap[0] + edge, gap[1] - edge))
    if metric_set.frequency == "P1M":
        return (last.year - first.year) * 12 + last.month - first.month - 1
    return (last - first) // clock.step - 1


def count_leading_outliers(starts: Sequence[datetime], metric_set: MetricSet) -> int:
    """Return how many of the first intervals with data (sorted) are outliers, such as a date written for null.

    The gap after them has `OUTLIER_GAP_RATIO` times as many intervals as have data, and at least as many intervals with
    data follow as come before.
    """
    step = metric_set.clock.step
    for before, after in reversed(long_gaps(starts, metric_set)):
        number = bisect_left(starts, after)
        if (after - before) // step > OUTLIER_GAP_RATIO * len(starts) and number <= len(starts) - number:
            return number
    return 0


def _offset(metric_set: MetricSet) -> timedelta:
    return timedelta(seconds=metric_set.source.offset if metric_set.source else 0)
