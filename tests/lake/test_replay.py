"""Replay rebuilds the tables from the archive, byte for byte."""

import shutil
from datetime import datetime

import pytest

from anomalake.domain import metric_set_yaml
from anomalake.lake import encoding, layout, replay, replay_day, replay_job, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, shop_text
from replay_lake import (
    SHOP,
    alert_bodies,
    fill_lake,
    ingest_bodies,
    read_anomaly_rows,
    read_folder,
    read_results,
    run_replay,
    two_alert_body,
    write_mapping_sets,
)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(("days", "jobs"), [(2, 1), (6, 3)])
def test_lost_tables_are_rebuilt_byte_for_byte(tmp_path, form, days, jobs, capsys):
    fill_lake(tmp_path, alert_bodies(days), form=form)
    (tmp_path / "shop.yaml").write_text(shop_text())
    before = read_folder(tmp_path)
    assert len(before) == 3 * 2 * days
    shutil.rmtree(tmp_path / "anomalyResults")
    assert run_replay(tmp_path, "--jobs", str(jobs), "--format", form, "--metric-set", str(tmp_path / "shop.yaml")) == 0
    assert read_folder(tmp_path) == before
    assert capsys.readouterr().out == (
        f"shop/v1: {8 * days} alerts in the archive of {days} days\n"
        f"  {form}: {len(before)} objects written, 0 unchanged\n"
    )


@pytest.mark.parametrize("damage", [b"", b"garbage", b"PAR1PAR1"])
def test_damaged_objects_are_rebuilt_and_reported(lake, damage, capsys):
    before = read_folder(lake)
    for key in list(before)[::5]:
        (lake / key).write_bytes(damage)
    assert run_replay(lake) == 1
    assert read_folder(lake) == before
    errors = capsys.readouterr().err
    assert f"{next(iter(before))}: cannot be read as parquet" in errors
    assert "rebuilt from the archive" in errors


def test_an_object_with_other_columns_is_rebuilt(lake):
    before = read_folder(lake)
    key = next(iter(before))
    schema = (*tables.schema("anomalyGroups", SHOP), tables.Column("more", "string"))
    (lake / key).write_bytes(encoding.encode_table("parquet", schema, {column.name: [] for column in schema}))
    run_replay(lake)
    assert read_folder(lake) == before


def test_a_row_of_an_archived_event_is_rebuilt_from_the_archive(lake, capsys):
    before = read_folder(lake)
    fill_lake(
        lake.parent / "other", [body.replace('"anomalyScore": 70.0', '"anomalyScore": 99.0') for body in alert_bodies()]
    )
    shutil.rmtree(lake / "anomalyResults")
    shutil.copytree(lake.parent / "other/anomalyResults", lake / "anomalyResults")
    assert read_folder(lake) != before
    assert run_replay(lake) == 0
    assert read_folder(lake) == before
    assert capsys.readouterr().err == ""


def test_an_event_that_is_not_in_the_archive_is_kept_and_reported_or_dropped_with_exact(lake, capsys):
    before = read_folder(lake)
    other = alert_body(timestamp="2021-02-10T09:00Z", event="x", series=[({"platform": "tv"}, 1.0)])
    fill_lake(lake.parent / "other", [*alert_bodies(), other])
    shutil.copytree(lake.parent / "other/anomalyResults", lake / "anomalyResults", dirs_exist_ok=True)
    changed = read_folder(lake)
    assert run_replay(lake) == 0
    assert read_folder(lake) == changed
    assert (
        "3 events in tables of 'shop' are not in the archive; their rows are kept (--exact deletes them)"
        in capsys.readouterr().err
    )
    assert run_replay(lake, "--exact") == 0
    assert read_folder(lake) == before


def test_only_the_given_table_and_period_are_rebuilt(lake):
    before = read_folder(lake)
    for key in before:
        (lake / key).write_bytes(b"damaged")
    run_replay(lake, "--table", "anomalyGroups", "--from", "2021-02-10T10:00", "--to", "2021-02-11T10:00")
    mended = {key for key, data in read_folder(lake).items() if data != b"damaged"}
    folder = "anomalyResults/anomalyGroups/shop/v1"
    stamps = ("2021-02-10/2021-02-10T1000Z", "2021-02-11/2021-02-11T0900Z")
    assert mended == {f"{folder}/date={stamp}.parquet" for stamp in stamps}
    assert all(read_folder(lake)[key] == before[key] for key in mended)


def test_another_format_replaces_the_previous_one_and_can_be_reverted(lake, tmp_path):
    schema = tables.schema("observations", SHOP)
    rows = [("pc|us", datetime(2021, 2, 10), "pc", "us", "views", 1.5, None, 0.0, 3.0, None, 2.0)]
    keys = {
        form: [
            layout.table_key("observations", SHOP, datetime(2021, 2, 10), form),
            layout.day_key("observations", SHOP, "2021-03-01", form),
        ]
        for form in ("parquet", "csv")
    }
    for key in keys["parquet"]:
        FolderStore(lake).put(key, encoding.encode_records("parquet", schema, rows))
    before = read_folder(lake)
    assert run_replay(lake, "--format", "csv") == 0
    fill_lake(tmp_path / "csv", alert_bodies(), form="csv")
    expected = read_folder(tmp_path / "csv") | dict.fromkeys(keys["csv"], encoding.encode_records("csv", schema, rows))
    assert read_folder(lake) == dict(sorted(expected.items()))
    assert run_replay(lake, "--format", "parquet") == 0
    assert read_folder(lake) == before


def test_rows_that_are_only_in_the_tables_also_change_their_format(lake):
    before = read_folder(lake)
    shutil.rmtree(lake / "alerts")
    assert run_replay(lake, "--format", "csv") == 0
    assert {key.rpartition(".")[0] for key in read_folder(lake)} == {key.rpartition(".")[0] for key in before}
    assert run_replay(lake, "--format", "parquet") == 0
    assert read_folder(lake) == before


def test_a_new_version_fills_its_own_folder_and_leaves_the_old_folder_unchanged(lake, tmp_path):
    before = read_folder(lake)
    text = shop_text(dimensions="dimensions: [platform, marketplace, device]").replace("revenue", "turnover")
    text = text.replace("name: turnover,", "name: turnover, formerly: [revenue],").replace(
        "marketplace, timestamp", "marketplace, device, timestamp"
    )
    (lake / "metric_sets/shop.yaml").write_text("version: 2\n" + text)
    item = metric_set_yaml.load(lake / "metric_sets/shop.yaml")
    assert run_replay(lake) == 0
    fill_lake(tmp_path / "new", alert_bodies(), item)
    assert read_folder(lake) == dict(sorted((before | read_folder(tmp_path / "new")).items()))
    later = alert_body("turnover", timestamp="2021-02-10T09:00Z", event="new", series=[({"device": "tv"}, 2.0)])
    fill_lake(lake, [later], item)
    after = read_folder(lake)
    assert run_replay(lake) == 0
    assert read_folder(lake) == after


def test_an_older_version_contains_no_alert_that_was_stored_under_a_newer_version(lake):
    before = read_folder(lake)
    fill_lake(
        lake,
        [alert_body(timestamp="2021-02-10T09:00Z", event="new")],
        metric_set_yaml.parse("version: 2\n" + shop_text(), "shop.yaml"),
    )
    assert run_replay(lake) == 0
    assert {key: data for key, data in read_folder(lake).items() if "/v1/" in key} == before


def test_alerts_of_a_removed_measure_are_reported_and_affect_no_other_alert(lake, tmp_path, capsys):
    text = "version: 2\n" + shop_text().replace("  - {name: revenue, aggregation: AVG}\n", "").replace(
        ", views, revenue]", ", views]"
    )
    (lake / "metric_sets/shop.yaml").write_text(text)
    assert run_replay(lake) == 1
    assert "has no measure 'revenue'; it has views" in capsys.readouterr().err
    fill_lake(tmp_path / "new", alert_bodies(), metric_set_yaml.load(lake / "metric_sets/shop.yaml"))
    assert read_folder(lake, "anomalyResults/anomalyGroups/shop/v2") == read_folder(
        tmp_path / "new", "anomalyResults/anomalyGroups/shop/v2"
    )


@pytest.mark.slow
def test_a_changed_time_zone_moves_alerts_to_their_new_interval(tmp_path):
    bodies = [
        alert_body(timestamp=f"2021-02-{day}T{hour}:00Z", event=f"e{day}{hour}")
        for day in range(10, 16)
        for hour in ("03", "20")
    ]
    old, new = (
        metric_set_yaml.parse(shop_text(zone, frequency="frequency: P1D"), "shop.yaml")
        for zone in ("UTC", "Asia/Tokyo")
    )
    fill_lake(tmp_path, bodies, old)
    shutil.rmtree(tmp_path / "anomalyResults")
    (tmp_path / "shop.yaml").write_text(shop_text("Asia/Tokyo", frequency="frequency: P1D"))
    assert run_replay(tmp_path, "--metric-set", str(tmp_path / "shop.yaml")) == 0
    fill_lake(tmp_path / "new", bodies, new)
    assert read_folder(tmp_path) == read_folder(tmp_path / "new")


@pytest.mark.parametrize("zones", [("UTC", "Asia/Tokyo"), ("Asia/Tokyo", "UTC")])
def test_exact_after_a_change_of_time_zone_keeps_events_that_are_archived_under_other_dates(tmp_path, zones, capsys):
    bodies = [
        alert_body(timestamp=f"2021-02-{day}T{hour}:00Z", event=f"e{day}{hour}")
        for day in range(10, 16)
        for hour in ("03", "20")
    ]
    old, new = (metric_set_yaml.parse(shop_text(zone, frequency="frequency: P1D"), "shop.yaml") for zone in zones)
    fill_lake(tmp_path, bodies, old)
    (tmp_path / "shop.yaml").write_text(shop_text(zones[1], frequency="frequency: P1D"))
    fill_lake(tmp_path / "new", bodies, new)
    for _ in range(2):
        assert run_replay(tmp_path, "--exact", "--jobs", "1", "--metric-set", str(tmp_path / "shop.yaml")) == 0
        assert read_anomaly_rows(tmp_path) == read_anomaly_rows(tmp_path / "new")
    assert capsys.readouterr().err == ""
    for key in read_folder(tmp_path, "alerts"):
        if "date=2021-02-12" in key:  # alerts that can be stored under a neighboring date
            (tmp_path / key).write_bytes(b"damaged\n")
    assert run_replay(tmp_path, "--exact", "--jobs", "1", "--metric-set", str(tmp_path / "shop.yaml")) == 1
    assert read_anomaly_rows(tmp_path) == read_anomaly_rows(tmp_path / "new")


def test_exact_drops_nothing_on_a_day_with_a_damaged_archive(lake, capsys):
    before = read_folder(lake)
    key = next(iter(read_folder(lake, "alerts")))
    (lake / key).write_bytes(b"damaged\n")
    assert run_replay(lake, "--exact") == 1
    assert read_folder(lake) == before
    assert f"{key}: a line is damaged" in capsys.readouterr().err


def test_a_damaged_object_does_not_affect_alerts_of_two_dates_in_one_body(tmp_path):
    (shop,) = write_mapping_sets(tmp_path, shop="items")
    fill_lake(tmp_path, [two_alert_body("2021-02-10T09:00Z", "2021-02-11T10:00Z")], shop)
    before = read_folder(tmp_path)
    for key in before:
        (tmp_path / key).write_bytes(b"damaged")
    assert run_replay(tmp_path) == 1
    assert read_folder(tmp_path) == before
    assert run_replay(tmp_path) == 0


def test_observations_outside_the_given_period_keep_their_format(lake):
    schema = tables.schema("observations", SHOP)
    data = encoding.encode_records(
        "parquet", schema, [("pc|us", datetime(2021, 2, 10), "pc", "us", "views", 1.5, None, 0.0, 3.0, None, 2.0)]
    )
    for hour in (9, 10, 11):
        FolderStore(lake).put(layout.table_key("observations", SHOP, datetime(2021, 2, 10, hour), "parquet"), data)
    for day in ("2021-02-09", "2021-02-10", "2021-02-11"):
        FolderStore(lake).put(layout.day_key("observations", SHOP, day, "parquet"), data)
    assert (
        run_replay(
            lake, "--format", "csv", "--table", "observations", "--from", "2021-02-10T10:00", "--to", "2021-02-10T11:00"
        )
        == 0
    )
    converted = [key.rpartition("/")[2] for key in read_folder(lake) if key.endswith(".csv")]
    assert converted == ["2021-02-10.csv", "2021-02-10T1000Z.csv"]


class Busy:
    """A lake in memory in which another process stores an alert before each of the first calls."""

    def __init__(self, bodies: list[str], waiting: list[str]) -> None:
        self.inner, self.waiting = ObjectStore.memory(), waiting
        ingest_bodies(self.inner, bodies, form="csv")

    def __getattr__(self, name):
        if self.waiting:
            ingest_bodies(self.inner, [self.waiting.pop(0)], form="csv")
        return getattr(self.inner, name)


@pytest.mark.parametrize("lost", [True, False])
def test_alerts_that_arrive_at_any_call_are_not_lost(monkeypatch, lost):
    bodies = [body for body in alert_bodies() if "2021-02-10T09" in body]
    high = next(body for body in bodies if '"anomalyScore": 70.0' in body)
    updates = [high.replace('"anomalyScore": 70.0', f'"anomalyScore": {71 + n}.5') for n in range(12)]
    more = [
        alert_body(timestamp="2021-02-10T09:00Z", event=f"n{n}", score=85 + n / 2, series=[({"platform": f"p{n}"}, n)])
        for n in range(12)
    ]
    arriving = [body for pair in zip(more, updates, strict=True) for body in pair]
    job = replay_job.ReplayJob("lake", (SHOP,), SHOP, "csv")
    for number in range(len(arriving) + 1):  # in each run, the last alert arrives at another call
        store = Busy(bodies, arriving[:number])
        for key in list(store.inner.list("anomalyResults")) if lost else []:
            store.inner.delete(key)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        for day in replay.list_days(job):
            replay_day.rebuild_day(job, day)
        assert not store.waiting
        expected = ObjectStore.memory()
        ingest_bodies(expected, [*bodies, *arriving[:number]], form="csv")
        assert read_results(store.inner) == read_results(expected)
