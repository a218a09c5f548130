"""The time window of a dashboard: the defaults of its parameters `From` and `Until`, and the step of its time axes."""

from datetime import datetime
from typing import Literal, NamedTuple

from anomalake.dashboards.definition.datasets import Node
from anomalake.domain import intervals
from anomalake.domain.metric_set import MetricSet

Granularity = Literal["DAY", "HOUR", "MINUTE"]

MAX_TIME_AXIS_POINTS = 2_000  # with more points, a time axis uses the next coarser granularity
MAX_ROLLING_DAYS = 90
ROLLING_DAYS_OF_DAILY_SET = 365


class Window(NamedTuple):
    """The window that a dashboard opens with.

    `start` and `end` are local times, or rolling date expressions of QuickSight. `granularity` is the step of the
    time axes.
    """

    start: datetime | str
    end: datetime | str
    granularity: Granularity


def rolling_window(metric_set: MetricSet) -> Window:
    """Return the window of a deployed dashboard, which moves with the current time.

    It covers as many days as a time axis can show at the metric set's frequency, at most `MAX_ROLLING_DAYS`. The
    window of a daily metric set covers a year.
    """
    if metric_set.frequency == "P1D":
        days = ROLLING_DAYS_OF_DAILY_SET
    else:
        step, day = intervals.INTERVAL_LENGTHS[metric_set.frequency], intervals.INTERVAL_LENGTHS["P1D"]
        days = min(MAX_ROLLING_DAYS, int(MAX_TIME_AXIS_POINTS * step / day))
    # now() is UTC, and the metric set's time zone can be ahead of UTC: the window ends one day later.
    return Window(f"addDateTime(-{days}, 'DD', now())", "addDateTime(1, 'DD', now())", finest_granularity(metric_set))


def fit_window(metric_set: MetricSet, start: datetime, end: datetime) -> Window:
    """Return the window from `start` to `end`, with the finest granularity that a time axis can show."""
    steps: tuple[tuple[Granularity, str], ...] = (("MINUTE", metric_set.frequency), ("HOUR", "PT1H"), ("DAY", "P1D"))
    granularities = [granularity for granularity, _ in steps]
    finest = granularities.index(finest_granularity(metric_set))
    for granularity, frequency in steps[finest:]:
        if (end - start) / intervals.INTERVAL_LENGTHS[frequency] <= MAX_TIME_AXIS_POINTS:
            return Window(start, end, granularity)
    return Window(start, end, "DAY")


def finest_granularity(metric_set: MetricSet) -> Granularity:
    """Return the granularity with which a time axis shows every interval of the metric set."""
    by_frequency: dict[str, Granularity] = {"P1D": "DAY", "PT1H": "HOUR", "PT10M": "MINUTE", "PT5M": "MINUTE"}
    return by_frequency[metric_set.frequency]


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
