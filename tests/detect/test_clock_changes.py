"""Clock changes are not anomalies: an hour that occurs twice, days of 23 and 25 hours, an hour that clocks skip."""

import itertools
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.cli.write_live_data import write_live_data
from anomalake.detect import timeline
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from sales_set import NOW, alert_times, sales_set, write_rows
from slow_cases import slow_after

ZONES = {  # the zone, and the first instant (UTC) of the first occurrence of the repeated hour
    "America/New_York": datetime(2025, 11, 2, 5),
    "Europe/Berlin": datetime(2025, 10, 26, 0),
    "Europe/Chisinau": datetime(2020, 10, 24, 23),
    "Australia/Lord_Howe": datetime(2025, 4, 5, 14, 30),
    "Atlantic/Azores": datetime(2025, 10, 26, 0),
    "Asia/Beirut": datetime(2025, 10, 25, 20),
}


def feed(store, item: MetricSet, around: datetime, *, days: int, factor: dict[datetime, float] | None = None) -> None:
    """Return a row every five minutes for whole local days, up to two days after the change: 130 in two local hours,
    otherwise 100.
    """
    step, midnight = timedelta(minutes=5), intervals.Clock("P1D", item.timezone)
    first, end = midnight.start(around - timedelta(days=days)), midnight.end(midnight.start(around + timedelta(days=2)))
    instants = [first + step * number for number in range((end - first) // step)]
    moments = [
        str(int((instant - datetime(1970, 1, 1)).total_seconds()))
        if item.clock.absolute
        else f"{intervals.to_wall_time(instant, item.timezone):%Y-%m-%d %H:%M:%S}"
        for instant in instants
    ]
    locals_ = [intervals.to_wall_time(instant, item.timezone).hour for instant in instants]
    shaped = [
        (130 if hour in (8, 9) else 100) * (factor or {}).get(item.start(instant), 1)
        for instant, hour in zip(instants, locals_, strict=True)
    ]
    write_live_data(pd.DataFrame({"at": moments, "amount": shaped}), item, store)


@pytest.mark.parametrize("zone", slow_after(1, ZONES))
@pytest.mark.parametrize("frequency", ["P1D", "PT1H", pytest.param("PT10M", marks=pytest.mark.slow)])
@pytest.mark.parametrize("aggregation", ["SUM", pytest.param("AVG", marks=pytest.mark.slow)])
@pytest.mark.parametrize("unix", [False, True])
def test_a_clock_change_is_not_an_anomaly(tmp_path, zone, frequency, aggregation, unix):
    item = sales_set(frequency, zone, unix=unix, aggregation=aggregation)
    store = FolderStore(tmp_path)
    feed(store, item, ZONES[zone], days=26 if frequency == "P1D" else 12)
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert (report.alerts, report.finding_count) == (0, 0)
    assert report.intervals > 13


@pytest.mark.parametrize(("factor", "found"), [(10, 1), (0, 1), (1.0, 0), (0.5, 0)])
def test_in_the_repeated_hour_very_high_and_missing_values_are_anomalies_and_values_of_one_hour_are_not(factor, found):
    item, store = sales_set("PT1H", "America/New_York"), ObjectStore.memory()
    first = ZONES["America/New_York"]
    feed(store, item, first, days=12, factor={first: factor})
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert report.alerts == found
    assert alert_times(store) == ["2025-11-02T05:00Z[UTC]"] * found


@pytest.mark.parametrize("zone", slow_after(2, ZONES))
@pytest.mark.parametrize("path", ["sales/live/{{yyyyMMdd}}/{{HHmm}}", "sales/live/{{yyyyMMddHHmm}}"])
def test_absolute_timestamps_keep_both_hours_apart_in_tables_and_views(tmp_path, zone, path):
    frequency = "PT10M" if "Lord" in zone else "PT1H"
    text = sales_set(frequency, zone, unix=True)
    assert text.source is not None
    item = metric_set_yaml.parse(
        f"name: sales\nfrequency: {frequency}\ntimezone: {zone}\ntimestamp: {{column: at, format: UNIX}}\n"
        "dimensions: []\n"
        f"measures: [{{name: amount, aggregation: SUM}}]\n"
        f"source: {{path: '{path}', format: csv, columns: [at, amount]}}\n",
        "sales.yaml",
    )
    store, first = FolderStore(tmp_path), ZONES[zone]
    second = first + (timedelta(minutes=30) if "Lord" in zone else timedelta(hours=1))
    feed(store, item, first, days=8, factor={second: 3})
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert alert_times(store) == [f"{second:%Y-%m-%dT%H:%M}Z[UTC]"]
    assert report.alerts == 1
    connection = duckdb_catalog.connect(tmp_path, [item])
    live_rows = connection.sql('SELECT "timestamp", amount, "date" FROM anomalies_with_live ORDER BY 1').fetchall()
    seen = connection.sql('SELECT "timestamp", value, "date" FROM metrics_with_band ORDER BY 1').fetchall()
    assert live_rows == seen
    assert all(f"{start:%Y-%m-%d}" == date for start, _, date in live_rows)
    values = {start: value for start, value, _ in live_rows}
    rows = 2 if frequency == "PT10M" else 12
    assert (values[first], values[second]) == (100.0 * rows, 300.0 * rows)
    assert len(values) == len(live_rows)
    assert {later - earlier for earlier, later in itertools.pairwise(values)} == {intervals.INTERVAL_LENGTHS[frequency]}


def test_folders_of_a_skipped_hour_are_named():
    item, store = sales_set("PT1H", "America/New_York"), ObjectStore.memory()
    write_rows(store, item, {datetime(2025, 3, 8) + timedelta(hours=hour): 100.0 for hour in range(24)})
    store.put("sales/live/20250309/0200/data.csv", b"at,amount\n2025-03-09 02:00:00,1\n")
    found = timeline.build_timeline(store, item, NOW)
    assert [str(finding) for finding in found.findings] == [
        "sales/live/20250309/0200: this local time does not exist in America/New_York, "
        "because clocks skip it; its files are not read"
    ]


def test_an_alert_in_the_second_occurrence_of_an_hour_is_stored_under_it_if_timestamps_are_absolute():
    instant = datetime(2025, 11, 2, 6, 20)
    assert sales_set("PT1H", "America/New_York", unix=True).start(instant) == datetime(2025, 11, 2, 6)
    assert sales_set("PT1H", "America/New_York").start(instant) == datetime(2025, 11, 2, 5)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
