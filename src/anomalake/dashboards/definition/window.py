"""The time window of a dashboard: the defaults of its parameters `From` and `Until`, and the step of its time axes."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from anomalake.dashboards.definition.datasets import Node
from anomalake.domain import intervals
from anomalake.domain.metric_set import MetricSet

# The steps of a time axis. QuickSight also has WEEK, but its weeks start on Sunday unless an analysis sets "WeekStart"
# ("AssetOptions" in the QuickSight API). An ISO week has the granularity DAY: its rows have the time of its Monday.
Granularity = Literal["MONTH", "DAY", "HOUR", "MINUTE"]

MAX_TIME_AXIS_POINTS = 2_000  # with more points, a time axis uses the next coarser granularity
_LENGTHS: dict[Granularity, timedelta] = {
    "MINUTE": timedelta(minutes=1),
    "HOUR": timedelta(hours=1),
    "DAY": timedelta(days=1),
    "MONTH": intervals.INTERVAL_LENGTHS["P1M"],
}
_SUB_DAILY: tuple[Granularity, ...] = ("MINUTE", "HOUR")
# The most days that a deployed dashboard opens with, for intervals of less than a day, and for longer ones.
MAX_ROLLING_DAYS = 90
_ROLLING_DAYS = {"P1D": 365, "P1W": 3 * 365, "P1M": 10 * 365}


class Window(NamedTuple):
    """The window that a dashboard opens with.

    `start` and `end` are local times, or rolling date expressions of QuickSight. `granularity` is the step of the
    time axes.
    """

    start: datetime | str
    end: datetime | str
    granularity: Granularity


class Period(NamedTuple):
    """The step by which a dashboard counts events: a day, or an interval that is longer."""

    name: str
    granularity: Granularity


DAILY = Period("day", "DAY")
_LONG_PERIODS = {"P1W": Period("week", "DAY"), "P1M": Period("month", "MONTH")}


def event_period(metric_set: MetricSet) -> Period:
    """Return the step by which the dashboard of the metric set counts events."""
    return _LONG_PERIODS.get(metric_set.frequency, DAILY)


def rolling_window(metric_set: MetricSet) -> Window:
    """Return the window of a deployed dashboard, which moves with the current time.

    It covers as many days as a time axis can show at the metric set's frequency, at most `MAX_ROLLING_DAYS`. The
    window of days covers one year, that of weeks three years, and that of months ten years.
    """
    step = intervals.INTERVAL_LENGTHS[metric_set.frequency]
    shown = min(MAX_ROLLING_DAYS, int(MAX_TIME_AXIS_POINTS * step / timedelta(days=1)))
    days = _ROLLING_DAYS.get(metric_set.frequency, shown)
    # now() is UTC, and the metric set's time zone can be ahead of UTC: the window ends one day later.
    return Window(f"addDateTime(-{days}, 'DD', now())", "addDateTime(1, 'DD', now())", finest_granularity(metric_set))


def fit_window(metric_set: MetricSet, start: datetime, end: datetime) -> Window:
    """Return the window from `start` to `end`, with the finest granularity that a time axis can show.

    The granularity is at most a day, or a month for months.
    """
    step, finest = intervals.INTERVAL_LENGTHS[metric_set.frequency], finest_granularity(metric_set)
    for granularity in _SUB_DAILY:
        points = (end - start) / max(step, _LENGTHS[granularity])
        if _LENGTHS[granularity] >= _LENGTHS[finest] and points <= MAX_TIME_AXIS_POINTS:
            return Window(start, end, granularity)
    return Window(start, end, "MONTH" if finest == "MONTH" else "DAY")


def finest_granularity(metric_set: MetricSet) -> Granularity:
    """Return the granularity with which a time axis shows every interval of the metric set.

    It is the longest whose steps the intervals consist of.
    """
    if metric_set.frequency == "P1M":
        return "MONTH"
    step = intervals.INTERVAL_LENGTHS[metric_set.frequency]
    return "MINUTE" if step % _LENGTHS["HOUR"] else "HOUR" if step < _LENGTHS["DAY"] else "DAY"


def declare_parameters(window: Window) -> list[Node]:
    """Return the declarations of the parameters `From` and `Until`."""
    return [_declare_date_time("From", window.start), _declare_date_time("Until", window.end)]


def _declare_date_time(name: str, value: datetime | str) -> Node:
    default = (
        {"StaticValues": [f"{value:%Y-%m-%dT%H:%M:%S.000Z}"]}
        if isinstance(value, datetime)
        else {"RollingDate": {"Expression": value}}
    )
    return {"DateTimeParameterDeclaration": {"Name": name, "TimeGranularity": "MINUTE", "DefaultValues": default}}
