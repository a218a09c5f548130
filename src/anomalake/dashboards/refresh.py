"""How datasets in SPICE are kept up to date: which days an incremental refresh reads again, and how often everything is read. Pure.

An incremental refresh replaces the rows of the last days, by `utcday`. A row that changes later under an older date is seen at the next full refresh.
Source: "RefreshFrequency", "LookbackWindow" and "CreateRefreshSchedule" (at most five schedules for a dataset, one of them hourly) in the QuickSight
API.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from anomalake.dashboards.definition import CONTRIBUTIONS, LIVE, LOG
from anomalake.domain.metric_set import MetricSet

# Days before a refresh of a daily set at which the detector's last interval may be filed: the interval's own, and one each for its start within a UTC
# day, for the wait until the refresh, and for a run that is late.
LOOK_BACK_DAYS = 4
# Days after its first one for which Cost Anomaly Detection, the latest of the known services, reports an anomaly ("GetAnomalies": anomalies are
# available for up to 90 days). A message that waits in the queue, or is redriven from the dead letters, comes sooner: after 4 and 14 days.
LATE_ALERT_DAYS = 90
_DAY_SECONDS = 86_400
_OF_ALERTS = {
    LIVE,
    CONTRIBUTIONS,
    LOG,
    "all_anomalies",
    "all_contributions",
    "all_anomaly_log",
}  # the views that alerts change


class Refreshes(NamedTuple):
    """The schedules of a dataset: the last days are read each hour or day, everything each day or week."""

    new_rows: Literal["HOURLY", "DAILY"]
    look_back_days: int
    everything: Literal["DAILY", "WEEKLY"]


def of_set(item: MetricSet, view: str) -> Refreshes:
    """The schedules of a metric set's dataset over the view."""
    new_rows: Literal["HOURLY", "DAILY"] = "DAILY" if item.frequency == "P1D" else "HOURLY"
    if (
        view == LIVE and item.source is not None
    ):  # each refresh reads a file an interval, so it does not look back for months
        return Refreshes(new_rows, look_back_days(item), "DAILY" if takes_late_alerts(item) else "WEEKLY")
    return Refreshes(new_rows, look_back_days(item) + _late_days([item], view), "WEEKLY")


def of_all(sets: Sequence[MetricSet], view: str) -> Refreshes:
    """The schedules of a dataset over all metric sets."""
    return Refreshes(
        "HOURLY", max(map(look_back_days, sets), default=LOOK_BACK_DAYS) + _late_days(sets, view), "WEEKLY"
    )


def _late_days(sets: Sequence[MetricSet], view: str) -> int:
    return LATE_ALERT_DAYS if view in _OF_ALERTS and any(map(takes_late_alerts, sets)) else 0


def takes_late_alerts(item: MetricSet) -> bool:
    """Whether alerts of other services belong to the set: these arrive, and are updated, long after the date under which they are filed."""
    return item.source is None or bool(item.alerts.detectors)


def look_back_days(item: MetricSet) -> int:
    """The days that an incremental refresh has to read again, so that it sees what the set's own detector files in time."""
    offset = item.source.offset if item.source else 0
    return LOOK_BACK_DAYS + -(-offset // _DAY_SECONDS)
