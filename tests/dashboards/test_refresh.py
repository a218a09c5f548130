"""Datasets in SPICE show every change in the lake after one of their refreshes, within a day or a week."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.dashboards.quicksight import refresh
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MAX_OFFSET_SECONDS
from anomalake.lake import archive, layout
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import event_text, shop_text
from spice import SpiceDataset, build_spice_datasets, select_alert_datasets
from stack import TOP, expand, project

COST = metric_set_yaml.load(TOP / "src/metric_sets/aws_cost.yaml")
SHOP = metric_set_yaml.parse(shop_text(), "shop")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def cost_and_shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SpiceDataset]:
    """The datasets of a stack with the costs of AWS and a shop with live data."""
    return build_spice_datasets(tmp_path_factory.mktemp("both"), COST, SHOP)


# --- alerts that arrive long after the date under which they are filed


def build_cost_event(start: str, sent: datetime, identity: str) -> str:
    """Return an event that Cost Anomaly Detection sends at `sent`, one of several during an anomaly."""
    event = json.loads(event_text("cost_eventbridge"))
    event["time"] = f"{sent:%Y-%m-%dT%H:%M:%SZ}"
    event["detail"] |= {
        "anomalyId": identity,
        "anomalyStartDate": f"{start}T00:00:00Z",
        "anomalyEndDate": f"{sent:%Y-%m-%d}T00:00:00Z",
    }
    return json.dumps(event)


def read_arrivals(store: FolderStore) -> list[tuple[datetime, datetime]]:
    """Return for each archived message the date under which its alert is filed, and when it arrived.

    It arrived at the time of the event, or on the last day of the anomaly when the event has no time.
    """
    found = []
    for key in store.list(layout.ARCHIVE_FOLDER):
        place, stored = layout.parse_archive_key(key), store.get(key)
        assert place
        assert stored
        for body in archive.unpack_bodies(stored.data):
            event = json.loads(str(body))
            arrival = event.get("time") or event["anomalyEndDate"]
            found.append(
                (datetime.fromisoformat(place[1]), datetime.fromisoformat(arrival).astimezone(UTC).replace(tzinfo=None))
            )
    return found


def test_each_message_of_an_anomaly_of_costs_is_shown_within_a_day_for_90_days_and_within_a_week_after(
    tmp_path: Path, cost_and_shop: dict[str, SpiceDataset]
):
    store, first_day = FolderStore(tmp_path), datetime(2026, 3, 2)
    later = [
        build_cost_event("2026-03-02", first_day + timedelta(days=days, hours=16), "one")
        for days in (1, 2, 4, 5, 9, 30, 61, 90, 91, 120, 400)
    ]
    bodies = [event_text("cost_eventbridge"), event_text("cost_sns"), *later]
    for number, body in enumerate(bodies):
        assert ingest_messages([Message(str(number), body)], store, (COST,), "parquet").stored
    arrivals = read_arrivals(store)
    late_days = sorted((sent - filed).days for filed, sent in arrivals)
    assert late_days == [1, 1, 1, 2, 4, 5, 9, 30, 61, 90, 91, 120, 400]
    assert sorted(select_alert_datasets(cost_and_shop, "anomalake-set-aws-cost")) == [
        "anomalake-set-aws-cost-anomalies-with-contributions",
        "anomalake-set-aws-cost-anomalies-with-live",
        "anomalake-set-aws-cost-anomaly-log",
    ]
    for name, dataset in {
        **select_alert_datasets(cost_and_shop, "anomalake-set-aws-cost"),
        **select_alert_datasets(cost_and_shop, "anomalake-all"),
    }.items():
        for filed, sent in arrivals:
            shown = dataset.find_first_refresh(filed, sent)
            assert shown is not None, (
                f"{name}: the alert that arrived at {sent}, filed under {filed:%Y-%m-%d}, is never shown"
            )
            assert shown - sent <= (DAY if (sent - filed).days <= 90 else 7 * DAY), (
                f"{name}: {sent} under {filed:%Y-%m-%d}"
            )


SETS_WITH_ALERTS_OF_OTHER_SERVICES = {
    "no source": shop_text(name="name: alone").partition("source:")[0],
    "no source, five minutes": shop_text(name="name: alone", frequency="frequency: PT5M").partition("source:")[0],
    "a source, and alerts of another service": shop_text(name="name: alone")
    + "alerts: {detectors: ['anomalymonitor/*']}\n",
    "daily, a source, and alerts of another service": shop_text(name="name: alone", frequency="frequency: P1D")
    + "alerts: {detectors: ['anomalymonitor/*']}\n",
}


@pytest.mark.parametrize("kind", SETS_WITH_ALERTS_OF_OTHER_SERVICES)
def test_every_metric_set_for_alerts_of_other_services_shows_late_alerts_within_a_day(tmp_path: Path, kind: str):
    metric_set = metric_set_yaml.parse(SETS_WITH_ALERTS_OF_OTHER_SERVICES[kind], "alone")
    datasets = build_spice_datasets(tmp_path, SHOP, metric_set)
    now = datetime(2026, 7, 14, 7, 30)
    old_day = datetime(2026, 7, 14) - 90 * DAY
    of_alerts = {
        **select_alert_datasets(datasets, "anomalake-set-alone"),
        **select_alert_datasets(datasets, "anomalake-all"),
    }
    assert len(of_alerts) == 6
    for name, dataset in of_alerts.items():
        shown = dataset.find_first_refresh(old_day, now)
        assert shown is not None, name
        assert shown - now <= DAY, name


def test_new_alerts_of_a_set_with_a_finer_frequency_are_shown_within_an_hour(tmp_path: Path):
    metric_set = metric_set_yaml.parse(SETS_WITH_ALERTS_OF_OTHER_SERVICES["no source, five minutes"], "alone")
    datasets = build_spice_datasets(tmp_path, metric_set)
    now = datetime(2026, 7, 14, 7, 30)
    for dataset in select_alert_datasets(datasets, "anomalake-").values():
        assert dataset.find_first_refresh(datetime(2026, 7, 14), now) == now + timedelta(hours=1)


# --- results of the metric set's own detector


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
def test_an_interval_that_is_scored_on_time_is_in_the_next_incremental_refresh(
    at: datetime, frequency: str, zone: str, offset: int, late_seconds: int
):
    """The detector scores the interval at most one hour after it is due.

    This holds without full refreshes, for the datasets of the metric set and for those over all metric sets.
    """
    text = shop_text(zone, frequency=f"frequency: {frequency}") + f"  offset: {offset}\n"
    metric_set = metric_set_yaml.parse(text.replace("{{HHmm}}", "{{HHmm}}/x"), "shop")
    start = metric_set.clock.start(at)
    utcday = start.replace(hour=0, minute=0)
    filed = metric_set.clock.end(start) + timedelta(seconds=offset + late_seconds)
    for plan in (
        refresh.plan_set_refresh(metric_set, "metrics_with_band"),
        refresh.plan_all_sets_refresh([metric_set, SHOP, COST], "all_data_health"),
    ):
        interval = {"Interval": plan.incremental, "TimeZone": "UTC", "TimeOfTheDay": "06:00"}
        dataset = SpiceDataset(
            plan.look_back_days, ({"RefreshType": "INCREMENTAL_REFRESH", "ScheduleFrequency": interval},)
        )
        shown = dataset.find_first_refresh(utcday, filed)
        assert shown is not None
        assert shown - filed <= (timedelta(hours=1) if plan.incremental == "HOURLY" else DAY)


def test_an_offset_of_a_part_of_a_day_adds_a_whole_day():
    days = {}
    for seconds in (0, 1, 86_399, 86_400, 86_401, 200_000):
        metric_set = metric_set_yaml.parse(shop_text() + f"  offset: {seconds}\n", "shop")
        days[seconds] = refresh.count_look_back_days(metric_set)
    assert days == {0: 4, 1: 5, 86_399: 5, 86_400: 5, 86_401: 6, 200_000: 7}


def test_datasets_over_all_sets_look_back_as_far_as_the_set_with_the_largest_offset(tmp_path: Path):
    late = metric_set_yaml.parse(shop_text(name="name: late") + "  offset: 200000\n", "late")
    datasets = build_spice_datasets(tmp_path, SHOP, late)
    assert {dataset.days for name, dataset in datasets.items() if name.startswith("anomalake-set-shop-")} == {4}
    assert {
        dataset.days for name, dataset in datasets.items() if name.startswith(("anomalake-set-late-", "anomalake-all-"))
    } == {7}


# --- changes of old days: a rebuild, a replay, feedback on an old event, redriven dead letters, late live data


@pytest.mark.parametrize("name", ["shop", "cost", "all"])
def test_a_change_under_any_date_is_shown_within_a_week(cost_and_shop: dict[str, SpiceDataset], name: str):
    start = {"shop": "anomalake-set-shop", "cost": "anomalake-set-aws-cost", "all": "anomalake-all"}[name]
    datasets = {dataset_id: dataset for dataset_id, dataset in cost_and_shop.items() if dataset_id.startswith(start)}
    assert len(datasets) == (4 if name == "all" else 5)
    for hour in range(0, 24 * 7, 5):
        now = datetime(2026, 7, 12, 2) + timedelta(hours=hour)
        for dataset_id, dataset in datasets.items():
            shown = dataset.find_first_refresh(datetime(2001, 1, 1), now)
            assert shown is not None, dataset_id
            assert shown - now <= 7 * DAY, dataset_id


def test_schedules_follow_the_rules_of_quicksight(tmp_path: Path):
    """A dataset has at most five schedules, with different ids, and at most one hourly schedule.

    An incremental refresh requires a look-back window.
    """
    texts = [
        SETS_WITH_ALERTS_OF_OTHER_SERVICES["no source, five minutes"],
        shop_text(name="name: alone"),
        shop_text(name="name: alone", frequency="frequency: P1D"),
    ]
    sets = [metric_set_yaml.parse(text.replace("alone", f"set{number}"), "x") for number, text in enumerate(texts)]
    for name, dataset in build_spice_datasets(tmp_path, COST, *sets).items():
        kinds = [schedule["RefreshType"] for schedule in dataset.schedules]
        frequencies = [schedule["ScheduleFrequency"] for schedule in dataset.schedules]
        assert 1 <= len(kinds) <= 5
        assert kinds.count("FULL_REFRESH") == 1, name
        assert (dataset.days > 0) == ("INCREMENTAL_REFRESH" in kinds), name
        assert len({schedule["ScheduleId"] for schedule in dataset.schedules}) == len(kinds)
        assert [frequency["Interval"] for frequency in frequencies].count("HOURLY") <= 1
        times = [frequency["TimeOfTheDay"] for frequency in frequencies if frequency["Interval"] != "HOURLY"]
        assert len(set(times)) == len(times), name
        for frequency in frequencies:
            assert ("RefreshOnDay" in frequency) == (frequency["Interval"] == "WEEKLY")


def test_a_stack_with_direct_query_has_no_look_back_windows_and_no_schedules(tmp_path: Path):
    resources = expand(project(tmp_path, [COST, SHOP]), QuickSightOwner="user/default/alice").values()
    assert [
        resource.path
        for resource in resources
        if resource.type == "AWS::QuickSight::RefreshSchedule" or "DataSetRefreshProperties" in resource.properties
    ] == []
    assert len([resource for resource in resources if resource.type == "AWS::QuickSight::DataSet"]) == 14


def test_an_incremental_refresh_does_not_read_months_of_live_data(tmp_path: Path):
    """Live data has a file for each interval. A full refresh each day shows alerts that arrive late."""
    text = SETS_WITH_ALERTS_OF_OTHER_SERVICES["a source, and alerts of another service"]
    datasets = build_spice_datasets(tmp_path, metric_set_yaml.parse(text, "alone"))
    days = {
        dataset_id.removeprefix("anomalake-set-alone-"): dataset.days
        for dataset_id, dataset in datasets.items()
        if "-set-" in dataset_id
    }
    assert days == {
        "anomalies-with-live": 4,
        "anomalies-with-contributions": 94,
        "anomaly-log": 94,
        "metrics-with-band": 4,
        "data-health": 4,
    }
