"""How QuickSight refreshes datasets in SPICE. Pure.

A plan gives the days that an incremental refresh reads again, and how often a full refresh runs. An incremental refresh
replaces the rows of the last days, by `utcday`. A row that changes later, under an older date, is visible after the
next full refresh.

Source: "RefreshFrequency", "LookbackWindow" and "CreateRefreshSchedule" in the QuickSight API. A dataset has at most
five schedules, and at most one of them is hourly.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from anomalake.dashboards.definition import ALL_DATASETS, CONTRIBUTIONS, LIVE, LOG
from anomalake.domain import intervals
from anomalake.domain.metric_set import MetricSet

# The days before a refresh under which the detector files the last interval of at most a day: the interval's own day,
# and one day each for its start within a UTC day, for the wait until the refresh, and for a late run of the detector.
# An interval of a week or a month has that many more days of its own.
LOOK_BACK_DAYS = 4
# The days after the first day of an anomaly on which Cost Anomaly Detection, the latest of the known services, can
# still report it ("GetAnomalies": anomalies are available for up to 90 days). A message that waits in the queue, or
# is redriven from the dead-letter queue, arrives earlier: after 4 and 14 days.
LATE_ALERT_DAYS = 90
_SECONDS_PER_DAY = 86_400
_VIEWS_OF_ALERTS = {LIVE, CONTRIBUTIONS, LOG, *ALL_DATASETS}  # the views whose rows alerts change


class RefreshPlan(NamedTuple):
    """The refreshes of a dataset: an incremental refresh of the last `look_back_days`, and a full refresh."""

    incremental: Literal["HOURLY", "DAILY"]
    look_back_days: int
    full: Literal["DAILY", "WEEKLY"]


def plan_set_refresh(metric_set: MetricSet, view: str) -> RefreshPlan:
    """Return the refreshes of a metric set's dataset over the view."""
    incremental: Literal["HOURLY", "DAILY"] = "HOURLY" if metric_set.clock.is_sub_daily else "DAILY"
    days = count_look_back_days(metric_set)
    if view == LIVE and metric_set.source is not None:
        # A refresh reads the live files of every interval: it does not look back for months. A daily full refresh
        # shows late alerts.
        return RefreshPlan(incremental, days, "DAILY" if takes_late_alerts(metric_set) else "WEEKLY")
    return RefreshPlan(incremental, days + _count_late_days([metric_set], view), "WEEKLY")


def plan_all_sets_refresh(sets: Sequence[MetricSet], view: str) -> RefreshPlan:
    """Return the refreshes of a dataset over all metric sets."""
    days = max(map(count_look_back_days, sets), default=LOOK_BACK_DAYS)
    return RefreshPlan("HOURLY", days + _count_late_days(sets, view), "WEEKLY")


def _count_late_days(sets: Sequence[MetricSet], view: str) -> int:
    return LATE_ALERT_DAYS if view in _VIEWS_OF_ALERTS and any(map(takes_late_alerts, sets)) else 0


def takes_late_alerts(metric_set: MetricSet) -> bool:
    """Return whether the metric set takes alerts of other services.

    Such alerts arrive, and change, long after the date under which they are filed.
    """
    return metric_set.source is None or bool(metric_set.alerts.detectors)


def count_look_back_days(metric_set: MetricSet) -> int:
    """Return the days that an incremental refresh reads again.

    With these days it shows what the metric set's own detector files on time.
    """
    offset_seconds = metric_set.source.offset if metric_set.source else 0
    own_days = max(1, intervals.INTERVAL_LENGTHS[metric_set.frequency].days)
    return LOOK_BACK_DAYS - 1 + own_days + -(-offset_seconds // _SECONDS_PER_DAY)
