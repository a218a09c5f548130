"""Copies in SPICE show what changes in the lake: each change is made good by one of the dataset's refresh schedules, within a day or a week.

A refresh is simulated as QuickSight describes it: a full one reads everything, an incremental one the rows of the window's days before its start.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.dashboards.quicksight import refresh
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MAX_OFFSET_SECONDS, MetricSet
from anomalake.lake import archive, layout
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import event_text, shop_text
from stack import TOP, Resource, expand, project

COST = metric_set_yaml.load(TOP / "src/metric_sets/aws_cost.yaml")
SHOP = metric_set_yaml.parse(shop_text(), "shop")
DAY = timedelta(days=1)


class Copy(NamedTuple):
    """A dataset in SPICE: the days that an incremental refresh reads, and its schedules."""

    days: int
    schedules: tuple[dict[str, Any], ...]

    def shows(
        self, utcday: datetime, changed: datetime, kinds: tuple[str, ...] = ("FULL_REFRESH", "INCREMENTAL_REFRESH")
    ) -> datetime | None:
        """When it shows a row of that `utcday` which changed then, by refreshes of these kinds; None where it does not within a year."""
        seen = [
            self._sees(schedule, utcday, changed) for schedule in self.schedules if schedule["RefreshType"] in kinds
        ]
        return min((moment for moment in seen if moment), default=None)

    def _sees(self, schedule: dict[str, Any], utcday: datetime, changed: datetime) -> datetime | None:
        for start in _starts(schedule["ScheduleFrequency"], changed):
            if schedule["RefreshType"] == "FULL_REFRESH" or utcday >= start - timedelta(days=self.days):
                return start
        return None


def _starts(frequency: dict[str, Any], after: datetime) -> Iterator[datetime]:
    """The next starts of a schedule; an incremental one that missed a row misses it for ever, so a few are enough."""
    assert frequency["TimeZone"] == "UTC"
    if frequency["Interval"] == "HOURLY":
        yield from (
            after + timedelta(hours=hours) for hours in (1, 2)
        )  # the minute is QuickSight's choice: the longest wait
        return
    hour, minute = map(int, frequency["TimeOfTheDay"].split(":"))
    start = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
    for number in range(9):
        moment = start + number * DAY
        if moment >= after and (
            frequency["Interval"] == "DAILY" or f"{moment:%A}".upper() == frequency["RefreshOnDay"]["DayOfWeek"]
        ):
            yield moment


def copies(resources: dict[str, Resource]) -> dict[str, Copy]:
    """Every dataset of a stack in SPICE by its id."""
    made: dict[str, Copy] = {}
    for one in resources.values():
        if one.type == "AWS::QuickSight::DataSet":
            properties = one.properties["DataSetRefreshProperties"]
            window = properties["RefreshConfiguration"]["IncrementalRefresh"]["LookbackWindow"]
            assert window["SizeUnit"] == "DAY"
            made[one.properties["DataSetId"]] = Copy(window["Size"], ())
    for one in resources.values():
        if one.type == "AWS::QuickSight::RefreshSchedule":
            copy = made[one.properties["DataSetId"]]
            made[one.properties["DataSetId"]] = Copy(copy.days, (*copy.schedules, one.properties["Schedule"]))
    return made


def spice(folder: Path, *sets: MetricSet) -> dict[str, Copy]:
    return copies(expand(project(folder, sets), QuickSightOwner="user/default/alice", QuickSightImportMode="SPICE"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Copy]:
    """The datasets of a stack with the costs of AWS and a shop with live data."""
    return spice(tmp_path_factory.mktemp("both"), COST, SHOP)


def of_alerts(some: dict[str, Copy], start: str) -> dict[str, Copy]:
    """The datasets that alerts change."""
    ends = (
        "anomalies-with-live",
        "anomalies-with-contributions",
        "anomaly-log",
        "all-anomalies",
        "all-contributions",
        "all-anomaly-log",
    )
    return {name: copy for name, copy in some.items() if name.startswith(start) and name.endswith(ends)}


# --- alerts that arrive long after the date under which they are filed


def cost_event(start: str, sent: datetime, identity: str) -> str:
    """An anomaly of Cost Anomaly Detection as its event of that time tells it: one message of several while it lasts."""
    event = json.loads(event_text("cost_eventbridge"))
    event["time"] = f"{sent:%Y-%m-%dT%H:%M:%SZ}"
    event["detail"] |= {
        "anomalyId": identity,
        "anomalyStartDate": f"{start}T00:00:00Z",
        "anomalyEndDate": f"{sent:%Y-%m-%d}T00:00:00Z",
    }
    return json.dumps(event)


def archived(store: FolderStore) -> list[tuple[datetime, datetime]]:
    """Of every archived message the date under which its alert is filed, and its arrival: the event's time, else the anomaly's last day."""
    found = []
    for key in store.list(layout.ARCHIVE_FOLDER):
        place, stored = layout.parse_archive_key(key), store.get(key)
        assert place
        assert stored
        for body in archive.unpack_bodies(stored.data):
            event = json.loads(str(body))
            told = event.get("time") or event["anomalyEndDate"]
            found.append(
                (datetime.fromisoformat(place[1]), datetime.fromisoformat(told).astimezone(UTC).replace(tzinfo=None))
            )
    return found


def test_each_message_of_an_anomaly_of_costs_is_shown_within_a_day_for_90_days_and_within_a_week_after(
    tmp_path: Path, both: dict[str, Copy]
):
    store, began = FolderStore(tmp_path), datetime(2026, 3, 2)
    later = [
        cost_event("2026-03-02", began + timedelta(days=days, hours=16), "one")
        for days in (1, 2, 4, 5, 9, 30, 61, 90, 91, 120, 400)
    ]
    bodies = [event_text("cost_eventbridge"), event_text("cost_sns"), *later]
    for number, body in enumerate(bodies):
        assert ingest_messages([Message(str(number), body)], store, (COST,), "parquet").stored
    arrivals = archived(store)
    needed = sorted((sent - filed).days for filed, sent in arrivals)
    assert needed == [1, 1, 1, 2, 4, 5, 9, 30, 61, 90, 91, 120, 400]
    assert sorted(of_alerts(both, "anomalake-set-aws-cost")) == [
        "anomalake-set-aws-cost-anomalies-with-contributions", "anomalake-set-aws-cost-anomalies-with-live", "anomalake-set-aws-cost-anomaly-log"
    ]  # fmt: skip
    for name, copy in {**of_alerts(both, "anomalake-set-aws-cost"), **of_alerts(both, "anomalake-all")}.items():
        for filed, sent in arrivals:
            shown = copy.shows(filed, sent)
            assert shown is not None, f"{name}: what arrived at {sent} under {filed:%Y-%m-%d} is never shown"
            assert shown - sent <= (DAY if (sent - filed).days <= 90 else 7 * DAY), (
                f"{name}: {sent} under {filed:%Y-%m-%d}"
            )


SETS_OF_OTHERS = {
    "no source": shop_text(name="name: alone").partition("source:")[0],
    "no source, five minutes": shop_text(name="name: alone", frequency="frequency: PT5M").partition("source:")[0],
    "a source, and alerts of another service": shop_text(name="name: alone")
    + "alerts: {detectors: ['anomalymonitor/*']}\n",
    "daily, a source, and alerts of another service": shop_text(name="name: alone", frequency="frequency: P1D")
    + "alerts: {detectors: ['anomalymonitor/*']}\n",
}


@pytest.mark.parametrize("kind", SETS_OF_OTHERS)
def test_every_set_that_takes_alerts_of_other_services_shows_late_ones_within_a_day(tmp_path: Path, kind: str):
    made = spice(tmp_path, SHOP, metric_set_yaml.parse(SETS_OF_OTHERS[kind], "alone"))
    now = datetime(2026, 7, 14, 7, 30)
    old = datetime(2026, 7, 14) - 90 * DAY
    some = {**of_alerts(made, "anomalake-set-alone"), **of_alerts(made, "anomalake-all")}
    assert len(some) == 6
    for name, copy in some.items():
        shown = copy.shows(old, now)
        assert shown is not None, name
        assert shown - now <= DAY, name


def test_new_alerts_of_a_set_with_a_finer_frequency_are_shown_within_an_hour(tmp_path: Path):
    made = spice(tmp_path, metric_set_yaml.parse(SETS_OF_OTHERS["no source, five minutes"], "alone"))
    now = datetime(2026, 7, 14, 7, 30)
    for copy in of_alerts(made, "anomalake-").values():
        assert copy.shows(datetime(2026, 7, 14), now) == now + timedelta(hours=1)


# --- what the own detector files


ZONES = (
    "UTC",
    "Asia/Tokyo",
    "America/New_York",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Europe/Berlin",
    "Australia/Lord_Howe",
)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1))


@given(
    moments,
    st.sampled_from(sorted(intervals.INTERVAL_LENGTHS)),
    st.sampled_from(ZONES),
    st.integers(0, MAX_OFFSET_SECONDS),
    st.integers(0, 3600),
)
def test_an_interval_that_is_scored_in_time_is_in_the_next_incremental_refresh(
    at: datetime, frequency: str, zone: str, offset: int, late_seconds: int
):
    """An hour after it is due at the latest; without the full refreshes, for the set's own datasets and those of all sets."""
    text = shop_text(zone, frequency=f"frequency: {frequency}") + f"  offset: {offset}\n"
    item = metric_set_yaml.parse(text.replace("{{HHmm}}", "{{HHmm}}/x"), "shop")
    start = item.clock.start(at)
    utcday = start.replace(hour=0, minute=0)
    filed = item.clock.end(start) + timedelta(seconds=offset + late_seconds)
    for plan in (
        refresh.plan_set_refresh(item, "metrics_with_band"),
        refresh.plan_all_sets_refresh([item, SHOP, COST], "all_data_health"),
    ):
        interval = {"Interval": plan.incremental, "TimeZone": "UTC", "TimeOfTheDay": "06:00"}
        copy = Copy(plan.look_back_days, ({"RefreshType": "INCREMENTAL_REFRESH", "ScheduleFrequency": interval},))
        shown = copy.shows(utcday, filed)
        assert shown is not None
        assert shown - filed <= (timedelta(hours=1) if plan.incremental == "HOURLY" else DAY)


def test_a_part_of_a_day_of_offset_counts_as_a_whole_one():
    days = {seconds: refresh.count_look_back_days(metric_set_yaml.parse(shop_text() + f"  offset: {seconds}\n", "shop"))
            for seconds in (0, 1, 86_399, 86_400, 86_401, 200_000)}  # fmt: skip
    assert days == {0: 4, 1: 5, 86_399: 5, 86_400: 5, 86_401: 6, 200_000: 7}


def test_the_datasets_over_all_sets_look_back_as_far_as_the_latest_of_them(tmp_path: Path):
    late = metric_set_yaml.parse(shop_text(name="name: late") + "  offset: 200000\n", "late")
    made = spice(tmp_path, SHOP, late)
    assert {copy.days for name, copy in made.items() if name.startswith("anomalake-set-shop-")} == {4}
    assert {copy.days for name, copy in made.items() if name.startswith(("anomalake-set-late-", "anomalake-all-"))} == {
        7
    }


# --- what changes old days: a rebuild, a replay, feedback on an old event, redriven dead letters, live data that came late


@pytest.mark.parametrize("name", ["shop", "cost", "all"])
def test_what_changes_under_any_date_is_shown_within_a_week(both: dict[str, Copy], name: str):
    start = {"shop": "anomalake-set-shop", "cost": "anomalake-set-aws-cost", "all": "anomalake-all"}[name]
    some = {dataset: copy for dataset, copy in both.items() if dataset.startswith(start)}
    assert len(some) == (4 if name == "all" else 5)
    for hour in range(0, 24 * 7, 5):
        now = datetime(2026, 7, 12, 2) + timedelta(hours=hour)
        for dataset, copy in some.items():
            shown = copy.shows(datetime(2001, 1, 1), now)
            assert shown is not None, dataset
            assert shown - now <= 7 * DAY, dataset


def test_schedules_keep_quicksight_s_rules(tmp_path: Path):
    """At most five for a dataset, of one identity each; one hourly; an incremental one requires a window."""
    texts = [
        SETS_OF_OTHERS["no source, five minutes"],
        shop_text(name="name: alone"),
        shop_text(name="name: alone", frequency="frequency: P1D"),
    ]
    sets = [metric_set_yaml.parse(text.replace("alone", f"set{number}"), "x") for number, text in enumerate(texts)]
    for name, copy in spice(tmp_path, COST, *sets).items():
        kinds = [schedule["RefreshType"] for schedule in copy.schedules]
        frequencies = [schedule["ScheduleFrequency"] for schedule in copy.schedules]
        assert 1 <= len(kinds) <= 5
        assert kinds.count("FULL_REFRESH") == 1, name
        assert (copy.days > 0) == ("INCREMENTAL_REFRESH" in kinds), name
        assert len({schedule["ScheduleId"] for schedule in copy.schedules}) == len(kinds)
        assert [one["Interval"] for one in frequencies].count("HOURLY") <= 1
        timed = [one["TimeOfTheDay"] for one in frequencies if one["Interval"] != "HOURLY"]
        assert len(set(timed)) == len(timed), name
        assert all(("RefreshOnDay" in one) == (one["Interval"] == "WEEKLY") for one in frequencies)


def test_a_stack_that_asks_athena_each_time_has_neither_windows_nor_schedules(tmp_path: Path):
    made = expand(project(tmp_path, [COST, SHOP]), QuickSightOwner="user/default/alice").values()
    assert [
        one.path
        for one in made
        if one.type == "AWS::QuickSight::RefreshSchedule" or "DataSetRefreshProperties" in one.properties
    ] == []
    assert len([one for one in made if one.type == "AWS::QuickSight::DataSet"]) == 14


def test_live_data_of_months_is_not_read_each_hour(tmp_path: Path):
    """Its file an interval would be; once a day is enough for alerts that come late."""
    made = spice(tmp_path, metric_set_yaml.parse(SETS_OF_OTHERS["a source, and alerts of another service"], "alone"))
    assert {name.removeprefix("anomalake-set-alone-"): copy.days for name, copy in made.items() if "-set-" in name} == {
        "anomalies-with-live": 4, "anomalies-with-contributions": 94, "anomaly-log": 94, "metrics-with-band": 4, "data-health": 4
    }  # fmt: skip
