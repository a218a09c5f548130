"""When a metric set's detector runs, which intervals are due then, and which of them it walks through. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from anomalake.domain.intervals import Clock
from anomalake.domain.metric_set import MetricSet

# Days without data at the beginning and at the end of a gap that the detector walks through. It remembers four weeks of
# arrivals (detect.completeness), so the days between change nothing.
GAP_EDGE = timedelta(days=30)
OUTLIER_GAP = (
    10  # times as many empty intervals as there are intervals with data: what lies before such a gap is an outlier
)


def cron_expression(metric_set: MetricSet) -> str:
    """The schedule in the set's own zone: an interval has ended and the source's offset passed ("Schedule types" of EventBridge Scheduler)."""
    minutes = ceil(_offset(metric_set).total_seconds() / 60)
    match metric_set.frequency:
        case "P1D":
            return f"cron({minutes % 60} {minutes // 60 % 24} * * ? *)"
        case "PT1H":
            return f"cron({minutes % 60} * * * ? *)"
        case "PT10M":
            return f"cron({minutes % 10}/10 * * * ? *)"
        case "PT5M":
            return f"cron({minutes % 5}/5 * * * ? *)"


def schedule_timezone(metric_set: MetricSet) -> str:
    """The zone of the schedule. An hour that happens twice calls a schedule in its zone once; minutes are alike in every zone."""
    return "UTC" if metric_set.frequency in {"PT5M", "PT10M"} else metric_set.timezone


def due_time(metric_set: MetricSet, start: datetime) -> datetime:
    """When an interval is due, naive UTC: it has ended, and the source's offset has passed."""
    return metric_set.clock.end(start) + _offset(metric_set)


def last_due(metric_set: MetricSet, now: datetime) -> datetime:
    """The start of the newest interval whose data should be there at `now` (both naive UTC)."""
    clock = metric_set.clock
    start = clock.previous_start(clock.start(now - _offset(metric_set)))
    while due_time(metric_set, start) > now:  # in an hour that happens twice
        start = clock.previous_start(start)
    return start


def due_intervals(metric_set: MetricSet, after: datetime, last: datetime) -> Iterator[datetime]:
    """The starts of the intervals after one and up to the last, naive UTC."""
    yield from metric_set.clock.starts_between(metric_set.clock.next_start(after), last)


def intervals_to_process(
    metric_set: MetricSet, after: datetime, last: datetime, with_data: Sequence[datetime]
) -> Iterator[datetime]:
    """Those of `due` that the detector walks through: all but the middle of a gap longer than two times `EDGE`.

    `with_data` are the starts of the intervals that have data, sorted. The work grows with the data, not with the time that it spans.
    """
    clock = metric_set.clock
    bounds = [after, *with_data[bisect_right(with_data, after) : bisect_left(with_data, last)], last]
    for begin, end in pairwise(bounds):
        if end - begin <= 2 * GAP_EDGE:
            yield from due_intervals(metric_set, begin, end)
        else:
            yield from due_intervals(metric_set, begin, clock.start(begin + GAP_EDGE))
            yield from clock.starts_between(clock.start(end - GAP_EDGE), end)


def long_gaps(starts: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """The gaps between intervals with data (sorted) that `walked` does not walk through whole: the interval before, and the one after."""
    return [(before, after) for before, after in pairwise(starts) if after - before > 2 * GAP_EDGE]


def count_leading_outliers(starts: Sequence[datetime], clock: Clock) -> int:
    """How many of the first intervals with data (sorted) are outliers, such as a date that was written for null.

    The gap after them has `OUTLIER_GAP` times as many intervals as have data, and no fewer intervals with data follow than come before.
    """
    for before, after in reversed(long_gaps(starts)):
        number = bisect_left(starts, after)
        if (after - before) // clock.step > OUTLIER_GAP * len(starts) and number <= len(starts) - number:
            return number
    return 0


def _offset(metric_set: MetricSet) -> timedelta:
    return timedelta(seconds=metric_set.source.offset if metric_set.source else 0)
