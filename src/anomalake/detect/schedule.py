"""When a metric set's detector runs, and which intervals are due then. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil

from anomalake import intervals
from anomalake.metric_set import MetricSet


def cron(metric_set: MetricSet) -> str:
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


def timezone(metric_set: MetricSet) -> str:
    """The zone of the schedule. An hour that happens twice calls a schedule in its zone once; minutes are alike in every zone."""
    return "UTC" if metric_set.frequency in {"PT5M", "PT10M"} else metric_set.timezone


def last_due(metric_set: MetricSet, now: datetime) -> datetime:
    """The start, on the set's wall clock, of the newest interval whose data should be there at `now` (naive UTC)."""
    step, zone, known = intervals.STEP[metric_set.frequency], metric_set.timezone, now - _offset(metric_set)
    wall = intervals.floor(intervals.to_wall(known, zone), metric_set.frequency) - step
    while intervals.end(wall, metric_set.frequency, zone) > known:  # in an hour that happens twice
        wall -= step
    return wall


def due(metric_set: MetricSet, after: datetime, last: datetime) -> Iterator[datetime]:
    """The starts of the intervals after one and up to the last, on the set's wall clock; hours that clocks skip are none."""
    for wall in intervals.walls(after + intervals.STEP[metric_set.frequency], last, metric_set.frequency):
        if metric_set.frequency == "P1D" or intervals.exists(wall, metric_set.timezone):
            yield wall


def _offset(metric_set: MetricSet) -> timedelta:
    return timedelta(seconds=metric_set.source.offset if metric_set.source else 0)
