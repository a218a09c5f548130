"""Datasets in SPICE, with simulated refreshes.

A full refresh reads all rows; an incremental refresh reads the rows of the look-back window before its start.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from anomalake.domain.metric_set import MetricSet
from stack import Resource, expand, project

DAY = timedelta(days=1)


class SpiceDataset(NamedTuple):
    """A dataset in SPICE: the days that an incremental refresh reads, and its schedules."""

    days: int
    schedules: tuple[dict[str, Any], ...]

    def find_first_refresh(
        self, utcday: datetime, changed: datetime, kinds: tuple[str, ...] = ("FULL_REFRESH", "INCREMENTAL_REFRESH")
    ) -> datetime | None:
        """Return the start of the first refresh, of these kinds, that reads a row of `utcday` after its change.

        Returns None when no refresh reads the row.
        """
        starts = [
            self._find_start(schedule, utcday, changed)
            for schedule in self.schedules
            if schedule["RefreshType"] in kinds
        ]
        return min((start for start in starts if start), default=None)

    def _find_start(self, schedule: dict[str, Any], utcday: datetime, changed: datetime) -> datetime | None:
        for start in _list_starts(schedule["ScheduleFrequency"], changed):
            if schedule["RefreshType"] == "FULL_REFRESH" or utcday >= start - timedelta(days=self.days):
                return start
        return None


def _list_starts(frequency: dict[str, Any], after: datetime) -> Iterator[datetime]:
    """Return the next starts of a schedule.

    A few starts are enough: when one incremental refresh does not read a row, no later one does.
    """
    assert frequency["TimeZone"] == "UTC"
    if frequency["Interval"] == "HOURLY":
        # QuickSight chooses the minute: these are the latest starts.
        yield from (after + timedelta(hours=hours) for hours in (1, 2))
        return
    hour, minute = map(int, frequency["TimeOfTheDay"].split(":"))
    start = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
    for number in range(9):
        moment = start + number * DAY
        if moment >= after and (
            frequency["Interval"] == "DAILY" or f"{moment:%A}".upper() == frequency["RefreshOnDay"]["DayOfWeek"]
        ):
            yield moment


def read_spice_datasets(resources: dict[str, Resource]) -> dict[str, SpiceDataset]:
    """Return every dataset of a stack in SPICE by its id."""
    datasets: dict[str, SpiceDataset] = {}
    for resource in resources.values():
        if resource.type == "AWS::QuickSight::DataSet":
            properties = resource.properties["DataSetRefreshProperties"]
            window = properties["RefreshConfiguration"]["IncrementalRefresh"]["LookbackWindow"]
            assert window["SizeUnit"] == "DAY"
            datasets[resource.properties["DataSetId"]] = SpiceDataset(window["Size"], ())
    for resource in resources.values():
        if resource.type == "AWS::QuickSight::RefreshSchedule":
            dataset = datasets[resource.properties["DataSetId"]]
            schedules = (*dataset.schedules, resource.properties["Schedule"])
            datasets[resource.properties["DataSetId"]] = SpiceDataset(dataset.days, schedules)
    return datasets


def build_spice_datasets(folder: Path, *sets: MetricSet) -> dict[str, SpiceDataset]:
    return read_spice_datasets(
        expand(project(folder, sets), QuickSightOwner="user/default/alice", QuickSightImportMode="SPICE")
    )


def select_alert_datasets(datasets: dict[str, SpiceDataset], start: str) -> dict[str, SpiceDataset]:
    """Return the datasets whose rows alerts change, and whose ids start with `start`."""
    ends = (
        "anomalies-with-live",
        "anomalies-with-contributions",
        "anomaly-log",
        "all-anomalies",
        "all-contributions",
        "all-anomaly-log",
    )
    return {name: dataset for name, dataset in datasets.items() if name.startswith(start) and name.endswith(ends)}
