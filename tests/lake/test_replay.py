"""Replay: the tables as the archive gives them, byte for byte, whatever became of them; and quarantine tried again."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from anomalake.cli.main import main
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.lake import encoding, layout, replay, replay_day, replay_job, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError, Store, open_store
from examples import alert_body, shop_text

DAYS = 2
SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


def bodies(days: int = DAYS) -> list[str]:
    """Alerts of some days: two measures, updates of one event, an event that two alert configurations report, one without a score."""
    found = []
    for day in range(days):
        for hour in (9, 10):
            at = f"2021-02-{10 + day}T{hour:02}:00Z[UTC]"
            series = [
                ({"platform": "pc_web", "marketplace": "us"}, 100.0 + day),
                ({"marketplace": 'a "b", \\c\n=1'}, None),
            ]
            found += [
                alert_body(timestamp=at, event=f"v{day}", score=40.0 + hour, series=series),
                alert_body(timestamp=at, event=f"v{day}", score=70.0, series=series[:1]),
                alert_body("revenue", timestamp=at, event=f"r{day}", score=None),
                alert_body("revenue", timestamp=at, event=f"r{day}", score=12.5, alertName="pager"),
            ]
    return found


def fill(lake: Path, some: list[str], *sets, form="parquet") -> None:
    file(FolderStore(lake), some, *sets, form=form)


def file(store: Store, some: list[str], *sets, form="parquet") -> None:
    for number in range(0, len(some), 7):
        outcome = ingest_messages(
            [Message(str(i), body) for i, body in enumerate(some[number : number + 7])], store, sets or (SHOP,), form
        )
        assert not outcome.failed_ids


def contents(lake: Path, below: str = "anomalyResults") -> dict[str, bytes]:
    """Every object below a folder of the lake."""
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in sorted((lake / below).rglob("*"))
        if path.is_file()
    }


def objects(store: Store) -> dict[str, bytes]:
    return {key: store.get(key).data for key in store.list("anomalyResults")}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder lake with the alerts in Parquet; its metric set lies beside them."""
    root = tmp_path / "lake"
    fill(root, bodies())
    (root / "metric_sets").mkdir()
    (root / "metric_sets/shop.yaml").write_text(shop_text())
    return root


def run(lake: Path, *arguments: str) -> int:
    return main(["replay", "--lake", str(lake), *arguments])


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(("days", "jobs"), [(2, 1), (6, 3)])
def test_tables_that_were_lost_are_made_anew_byte_for_byte(tmp_path, form, days, jobs, capsys):
    fill(tmp_path, bodies(days), form=form)
    (tmp_path / "shop.yaml").write_text(shop_text())
    before = contents(tmp_path)
    assert len(before) == 3 * 2 * days
    shutil.rmtree(tmp_path / "anomalyResults")
    assert run(tmp_path, "--jobs", str(jobs), "--format", form, "--metric-set", str(tmp_path / "shop.yaml")) == 0
    assert contents(tmp_path) == before
    assert capsys.readouterr().out == (
        f"shop/v1: {8 * days} alerts in the archive of {days} days\n  {form}: {len(before)} objects written, 0 unchanged\n"
    )


@pytest.mark.parametrize("damage", [b"", b"garbage", b"PAR1PAR1"])
def test_damaged_objects_are_made_anew_and_named(lake, damage, capsys):
    before = contents(lake)
    for key in list(before)[::5]:
        (lake / key).write_bytes(damage)
    assert run(lake) == 1
    assert contents(lake) == before
    told = capsys.readouterr().err
    assert f"{next(iter(before))}: cannot be read as parquet" in told
    assert "rebuilt from the archive" in told


def test_an_object_of_other_columns_is_made_anew(lake):
    before = contents(lake)
    key = next(iter(before))
    schema = (*tables.schema("anomalyGroups", SHOP), tables.Column("more", "string"))
    (lake / key).write_bytes(encoding.encode_table("parquet", schema, {column.name: [] for column in schema}))
    run(lake)
    assert contents(lake) == before


def test_a_row_of_a_known_event_becomes_what_the_archive_says(lake, capsys):
    before = contents(lake)
    fill(lake.parent / "other", [body.replace('"anomalyScore": 70.0', '"anomalyScore": 99.0') for body in bodies()])
    shutil.rmtree(lake / "anomalyResults")
    shutil.copytree(lake.parent / "other/anomalyResults", lake / "anomalyResults")
    assert contents(lake) != before
    assert run(lake) == 0
    assert contents(lake) == before
    assert capsys.readouterr().err == ""


def test_an_event_that_the_archive_does_not_have_is_kept_and_told_and_dropped_where_that_is_asked_for(lake, capsys):
    before = contents(lake)
    other = alert_body(timestamp="2021-02-10T09:00Z", event="x", series=[({"platform": "tv"}, 1.0)])
    fill(lake.parent / "other", [*bodies(), other])
    shutil.copytree(lake.parent / "other/anomalyResults", lake / "anomalyResults", dirs_exist_ok=True)
    changed = contents(lake)
    assert run(lake) == 0
    assert contents(lake) == changed
    assert (
        "3 events in tables of 'shop' are not in the archive; their rows are kept (--exact deletes them)"
        in capsys.readouterr().err
    )
    assert run(lake, "--exact") == 0
    assert contents(lake) == before


def test_only_the_table_and_the_time_that_are_named_are_touched(lake):
    before = contents(lake)
    for key in before:
        (lake / key).write_bytes(b"damaged")
    run(lake, "--table", "anomalyGroups", "--from", "2021-02-10T10:00", "--to", "2021-02-11T10:00")
    mended = {key for key, data in contents(lake).items() if data != b"damaged"}
    folder = "anomalyResults/anomalyGroups/shop/v1"
    stamps = ("2021-02-10/2021-02-10T1000Z", "2021-02-11/2021-02-11T0900Z")
    assert mended == {f"{folder}/date={stamp}.parquet" for stamp in stamps}
    assert all(contents(lake)[key] == before[key] for key in mended)


def test_another_format_takes_the_place_of_the_one_before_and_back_again(lake, tmp_path):
    schema = tables.schema("observations", SHOP)
    rows = [("pc|us", datetime(2021, 2, 10), "pc", "us", "views", 1.5, None, 0.0, 3.0, None)]
    keys = {
        form: [
            layout.table_key("observations", SHOP, datetime(2021, 2, 10), form),
            layout.day_key("observations", SHOP, "2021-03-01", form),
        ]
        for form in ("parquet", "csv")
    }
    for key in keys["parquet"]:
        FolderStore(lake).put(key, encoding.encode_records("parquet", schema, rows))
    before = contents(lake)
    assert run(lake, "--format", "csv") == 0
    fill(tmp_path / "csv", bodies(), form="csv")
    expected = contents(tmp_path / "csv") | dict.fromkeys(keys["csv"], encoding.encode_records("csv", schema, rows))
    assert contents(lake) == dict(sorted(expected.items()))
    assert run(lake, "--format", "parquet") == 0
    assert contents(lake) == before


def test_rows_that_only_the_tables_have_change_their_format_too(lake):
    before = contents(lake)
    shutil.rmtree(lake / "alerts")
    assert run(lake, "--format", "csv") == 0
    assert {key.rpartition(".")[0] for key in contents(lake)} == {key.rpartition(".")[0] for key in before}
    assert run(lake, "--format", "parquet") == 0
    assert contents(lake) == before


def test_a_raised_version_fills_its_new_folder_and_leaves_the_old_one(lake, tmp_path):
    before = contents(lake)
    text = shop_text(dimensions="dimensions: [platform, marketplace, device]").replace("revenue", "turnover")
    text = text.replace("name: turnover,", "name: turnover, formerly: [revenue],").replace(
        "marketplace, timestamp", "marketplace, device, timestamp"
    )
    (lake / "metric_sets/shop.yaml").write_text("version: 2\n" + text)
    item = metric_set_yaml.load(lake / "metric_sets/shop.yaml")
    assert run(lake) == 0
    fill(tmp_path / "new", bodies(), item)
    assert contents(lake) == dict(sorted((before | contents(tmp_path / "new")).items()))
    later = alert_body("turnover", timestamp="2021-02-10T09:00Z", event="new", series=[({"device": "tv"}, 2.0)])
    fill(lake, [later], item)
    after = contents(lake)
    assert run(lake) == 0
    assert contents(lake) == after


def test_an_older_version_takes_nothing_that_was_filed_under_a_newer_one(lake):
    before = contents(lake)
    fill(
        lake,
        [alert_body(timestamp="2021-02-10T09:00Z", event="new")],
        metric_set_yaml.parse("version: 2\n" + shop_text(), "shop.yaml"),
    )
    assert run(lake) == 0
    assert {key: data for key, data in contents(lake).items() if "/v1/" in key} == before


def test_alerts_of_a_measure_that_is_gone_are_named_and_cost_no_other(lake, tmp_path, capsys):
    text = "version: 2\n" + shop_text().replace("  - {name: revenue, aggregation: AVG}\n", "").replace(
        ", views, revenue]", ", views]"
    )
    (lake / "metric_sets/shop.yaml").write_text(text)
    assert run(lake) == 1
    assert "has no measure 'revenue'; it has views" in capsys.readouterr().err
    fill(tmp_path / "new", bodies(), metric_set_yaml.load(lake / "metric_sets/shop.yaml"))
    assert contents(lake, "anomalyResults/anomalyGroups/shop/v2") == contents(
        tmp_path / "new", "anomalyResults/anomalyGroups/shop/v2"
    )


def test_a_zone_that_changed_moves_alerts_to_the_interval_that_is_theirs_now(tmp_path):
    some = [
        alert_body(timestamp=f"2021-02-{day}T{hour}:00Z", event=f"e{day}{hour}")
        for day in range(10, 16)
        for hour in ("03", "20")
    ]
    old, new = (
        metric_set_yaml.parse(shop_text(zone, frequency="frequency: P1D"), "shop.yaml")
        for zone in ("UTC", "Asia/Tokyo")
    )
    fill(tmp_path, some, old)
    shutil.rmtree(tmp_path / "anomalyResults")
    (tmp_path / "shop.yaml").write_text(shop_text("Asia/Tokyo", frequency="frequency: P1D"))
    assert run(tmp_path, "--metric-set", str(tmp_path / "shop.yaml")) == 0
    fill(tmp_path / "new", some, new)
    assert contents(tmp_path) == contents(tmp_path / "new")


def rows(lake: Path) -> dict[str, int]:
    """How many rows each Parquet object of the lake has, where it has some."""
    schema = {table: tables.schema(table, SHOP) for table in tables.ALERT_TABLES}
    found = {
        key: len(encoding.decode_table("parquet", schema[key.split("/")[1]], data, key)["timestamp"])
        for key, data in contents(lake).items()
    }
    return {key: count for key, count in found.items() if count}


@pytest.mark.parametrize("zones", [("UTC", "Asia/Tokyo"), ("Asia/Tokyo", "UTC")])
def test_exact_after_a_zone_changed_takes_what_lies_under_other_dates_for_known(tmp_path, zones, capsys):
    some = [
        alert_body(timestamp=f"2021-02-{day}T{hour}:00Z", event=f"e{day}{hour}")
        for day in range(10, 16)
        for hour in ("03", "20")
    ]
    old, new = (metric_set_yaml.parse(shop_text(zone, frequency="frequency: P1D"), "shop.yaml") for zone in zones)
    fill(tmp_path, some, old)
    (tmp_path / "shop.yaml").write_text(shop_text(zones[1], frequency="frequency: P1D"))
    fill(tmp_path / "new", some, new)
    for _ in range(2):
        assert run(tmp_path, "--exact", "--jobs", "1", "--metric-set", str(tmp_path / "shop.yaml")) == 0
        assert rows(tmp_path) == rows(tmp_path / "new")
    assert capsys.readouterr().err == ""
    for key in contents(tmp_path, "alerts"):
        if "date=2021-02-12" in key:  # alerts that may lie under the dates beside it
            (tmp_path / key).write_bytes(b"damaged\n")
    assert run(tmp_path, "--exact", "--jobs", "1", "--metric-set", str(tmp_path / "shop.yaml")) == 1
    assert rows(tmp_path) == rows(tmp_path / "new")


def test_exact_drops_nothing_of_a_day_whose_archive_cannot_be_read_in_full(lake, capsys):
    before = contents(lake)
    key = next(iter(contents(lake, "alerts")))
    (lake / key).write_bytes(b"damaged\n")
    assert run(lake, "--exact") == 1
    assert contents(lake) == before
    assert f"{key}: a line is damaged" in capsys.readouterr().err


def test_alerts_of_two_dates_in_one_body_do_not_stumble_over_a_damaged_object(tmp_path):
    (shop,) = mapping_sets(tmp_path, shop="items")
    fill(tmp_path, [two_alerts("2021-02-10T09:00Z", "2021-02-11T10:00Z")], shop)
    before = contents(tmp_path)
    for key in before:
        (tmp_path / key).write_bytes(b"damaged")
    assert run(tmp_path) == 1
    assert contents(tmp_path) == before
    assert run(tmp_path) == 0


def test_observations_outside_the_time_that_is_named_keep_their_format(lake):
    schema = tables.schema("observations", SHOP)
    data = encoding.encode_records(
        "parquet", schema, [("pc|us", datetime(2021, 2, 10), "pc", "us", "views", 1.5, None, 0.0, 3.0, None)]
    )
    for hour in (9, 10, 11):
        FolderStore(lake).put(layout.table_key("observations", SHOP, datetime(2021, 2, 10, hour), "parquet"), data)
    for day in ("2021-02-09", "2021-02-10", "2021-02-11"):
        FolderStore(lake).put(layout.day_key("observations", SHOP, day, "parquet"), data)
    assert (
        run(
            lake, "--format", "csv", "--table", "observations", "--from", "2021-02-10T10:00", "--to", "2021-02-10T11:00"
        )
        == 0
    )
    converted = [key.rpartition("/")[2] for key in contents(lake) if key.endswith(".csv")]
    assert converted == ["2021-02-10.csv", "2021-02-10T1000Z.csv"]


# --- where alerts belong


@pytest.fixture
def rerouted(lake) -> Path:
    """The lake, where the shop's alerts belong to another set by now."""
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [shop]}\n")
    return lake


def test_an_alert_stays_in_the_set_that_it_was_filed_under(rerouted):
    before = contents(rerouted)
    shutil.rmtree(rerouted / "anomalyResults")
    assert run(rerouted) == 0
    assert contents(rerouted) == before


def test_alerts_of_a_detector_that_no_set_names_any_more_stay_too(lake):
    (lake / "metric_sets/shop.yaml").unlink()
    (lake / "metric_sets/other.yaml").write_text(shop_text(name="name: other"))
    before = contents(lake)
    job = replay_job.ReplayJob(str(lake), metric_set_yaml.load_all(lake / "metric_sets"), SHOP, "parquet")
    shutil.rmtree(lake / "anomalyResults")
    for day in replay.list_days(job):
        replay_day.rebuild_day(job, day)
    assert contents(lake) == before


def test_re_route_moves_alerts_where_they_belong_now_with_their_archive(rerouted, tmp_path, capsys):
    assert run(rerouted, "--re-route") == 0
    assert (
        f"shop/v1: {8 * DAYS} alerts in the archive of {DAYS} days, {8 * DAYS} of them moved" in capsys.readouterr().out
    )
    fill(tmp_path / "new", bodies(), *metric_set_yaml.load_all(rerouted / "metric_sets"))
    expected = contents(tmp_path / "new")
    after = contents(rerouted)
    assert {key: data for key, data in after.items() if "/store/" in key} == expected
    for key, data in after.items():
        if "/shop/" in key:  # what was there has no rows now
            table = key.split("/")[1]
            assert encoding.decode_table("parquet", tables.schema(table, SHOP), data, key)["timestamp"] == []
    assert contents(rerouted, "alerts/shop") == {}
    assert archived(rerouted) == sorted(set(bodies()))
    assert run(rerouted) == 0
    assert contents(rerouted) == after


def test_re_route_leaves_what_belongs_where_it_is(tmp_path):
    lake, new = tmp_path / "lake", tmp_path / "new"
    some = [
        body.replace("AnomalyDetector:shop", "AnomalyDetector:pager") if '"pager"' in body else body
        for body in bodies()
    ]
    fill(lake, some, metric_set_yaml.parse(shop_text() + "alerts: {detectors: [pager]}\n", "shop.yaml"))
    (lake / "metric_sets").mkdir()
    (lake / "metric_sets/shop.yaml").write_text(shop_text())
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [pager]}\n")
    assert run(lake, "--re-route") == 0
    fill(new, some, *metric_set_yaml.load_all(lake / "metric_sets"))
    assert contents(lake) == contents(new)
    for name in ("shop", "store"):
        assert archived(lake, name) == archived(new, name)


def archived(lake: Path, name: str = "") -> list[str]:
    return sorted(
        {
            json.loads(line)["body"]
            for data in contents(lake, f"alerts/{name}").values()
            for line in data.decode().splitlines()
        }
    )


def mapping_sets(lake: Path, **each: str) -> tuple[metric_set.MetricSet, ...]:
    """Metric sets of these names that read home-made events; `each` says which parts of one."""
    (lake / "metric_sets").mkdir(parents=True, exist_ok=True)
    for name, parts in each.items():
        text = (
            shop_text(name=f"name: {name}")
            + f"mapping: {{each: {parts}, metricName: m, timestamp: t, alertEventId: id}}\n"
        )
        (lake / f"metric_sets/{name}.yaml").write_text(text)
    return metric_set_yaml.load_all(lake / "metric_sets")


def two_alerts(*times: str) -> str:
    """A home-made event with an alert at each time."""
    return json.dumps({"items": [{"m": "views", "t": time, "id": f"e{time}"} for time in times]})


def test_re_route_leaves_an_event_that_two_sets_read_in_the_archive_of_both(tmp_path):
    sets = mapping_sets(tmp_path, shop="items", store="items")
    fill(tmp_path, [two_alerts("2021-02-10T09:00Z", "2021-02-11T09:00Z")], *sets)
    before, archive = contents(tmp_path), contents(tmp_path, "alerts")
    for _ in range(2):
        assert run(tmp_path, "--re-route") == 0
        assert contents(tmp_path) == before
        assert contents(tmp_path, "alerts") == archive


def test_re_route_files_an_event_where_it_is_read_since_too(tmp_path):
    sets = mapping_sets(tmp_path, shop="items")
    fill(tmp_path, [two_alerts("2021-02-10T09:00Z")], *sets)
    sets = mapping_sets(tmp_path, store="items")
    assert run(tmp_path, "--re-route") == 0
    fill(tmp_path / "new", [two_alerts("2021-02-10T09:00Z")], *sets)
    assert contents(tmp_path) == contents(tmp_path / "new")
    assert contents(tmp_path, "alerts") == contents(tmp_path / "new", "alerts")


def test_re_route_leaves_an_event_of_which_a_part_lies_outside_the_time(tmp_path):
    fill(tmp_path, [two_alerts("2021-02-10T09:00Z", "2021-02-10T10:00Z")], *mapping_sets(tmp_path, shop="items"))
    mapping_sets(tmp_path, shop="nothing", store="items")
    before, archive = rows(tmp_path), contents(tmp_path, "alerts")
    assert run(tmp_path, "--re-route", "--from", "2021-02-10T10:00") == 0
    assert rows(tmp_path) == before
    assert contents(tmp_path, "alerts") == archive
    assert run(tmp_path, "--re-route") == 0
    assert {key.split("/")[2] for key in rows(tmp_path)} == {"store"}
    assert not contents(tmp_path, "alerts/shop")


def test_re_route_leaves_alerts_that_no_set_takes_today_where_they_are(lake):
    before = contents(lake)
    shutil.rmtree(lake / "anomalyResults")
    shop, other = (metric_set_yaml.parse(shop_text(name=f"name: {name}"), name) for name in ("shop", "other"))
    job = replay_job.ReplayJob(str(lake), (other,), shop, "parquet", reroute=True)
    assert [replay_day.rebuild_day(job, day).finding_count for day in replay.list_days(job)] == [0] * DAYS
    assert contents(lake) == before


def test_re_route_leaves_a_damaged_line_of_the_archive_where_it_is(rerouted):
    damaged = b'{"body": tru\n'
    keys = list(contents(rerouted, "alerts"))
    for key in keys:
        with (rerouted / key).open("ab") as file:
            file.write(damaged)
    assert run(rerouted, "--re-route") == 1
    assert set(contents(rerouted, "alerts/shop").values()) == {damaged}
    assert archived(rerouted, "store") == sorted(set(bodies()))


class Interrupted(FolderStore):
    """A folder lake that fails at one of its calls."""

    def __init__(self, root: Path, fails_at: int) -> None:
        super().__init__(root)
        self.left = fails_at

    def _path(self, key):
        self.left -= 1
        if self.left == 0:
            raise StorageError("down")
        return super()._path(key)


def test_a_re_route_that_is_cut_short_anywhere_loses_nothing_and_ends_the_same(rerouted, tmp_path, monkeypatch):
    shutil.rmtree(rerouted / "alerts")
    shutil.rmtree(rerouted / "anomalyResults")
    some = [body for body in bodies() if "2021-02-10T09" in body]
    fill(rerouted, some)
    sets = metric_set_yaml.load_all(rerouted / "metric_sets")
    job = replay_job.ReplayJob(
        "lake", sets, next(item for item in sets if item.name == "shop"), "parquet", reroute=True
    )
    whole, calls = {}, 0
    for fails_at in range(10_000):
        copy = tmp_path / f"copy{fails_at}"
        shutil.copytree(rerouted, copy)
        store = Interrupted(copy, fails_at)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        failed = not attempt(job)
        assert archived(copy) == sorted(set(some))
        if failed:
            monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, copy=copy: FolderStore(copy))
            assert attempt(job)
            calls += 1
        whole = whole or contents(copy)
        assert contents(copy) == whole
        shutil.rmtree(copy)
        if fails_at and not failed:
            break
    assert calls > 20


def attempt(job: replay_job.ReplayJob) -> bool:
    """Rebuild the first day; whether that came to an end."""
    try:
        replay_day.rebuild_day(job, replay.list_days(job)[0])
    except StorageError:
        return False
    return True


# --- others who write meanwhile


class Busy:
    """A lake in memory in which, before each of the first calls, somebody else files an alert."""

    def __init__(self, some: list[str], waiting: list[str]) -> None:
        self.inner, self.waiting = ObjectStore.memory(), waiting
        file(self.inner, some, form="csv")

    def __getattr__(self, name):
        if self.waiting:
            file(self.inner, [self.waiting.pop(0)], form="csv")
        return getattr(self.inner, name)


@pytest.mark.parametrize("lost", [True, False])
def test_alerts_that_arrive_at_any_call_are_not_lost(monkeypatch, lost):
    some = [body for body in bodies() if "2021-02-10T09" in body]
    high = next(body for body in some if '"anomalyScore": 70.0' in body)
    updates = [high.replace('"anomalyScore": 70.0', f'"anomalyScore": {71 + n}.5') for n in range(12)]
    more = [
        alert_body(timestamp="2021-02-10T09:00Z", event=f"n{n}", score=85 + n / 2, series=[({"platform": f"p{n}"}, n)])
        for n in range(12)
    ]
    arriving = [body for pair in zip(more, updates, strict=True) for body in pair]
    job = replay_job.ReplayJob("lake", (SHOP,), SHOP, "csv")
    for number in range(len(arriving) + 1):  # the last one arrives at another call each time
        store = Busy(some, arriving[:number])
        for key in list(store.inner.list("anomalyResults")) if lost else []:
            store.inner.delete(key)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        for day in replay.list_days(job):
            replay_day.rebuild_day(job, day)
        assert not store.waiting
        whole = ObjectStore.memory()
        file(whole, [*some, *arriving[:number]], form="csv")
        assert objects(store.inner) == objects(whole)


# --- quarantine


def test_what_is_understood_since_a_set_was_mended_leaves_quarantine_once_it_is_filed(
    lake, tmp_path, capsys, monkeypatch
):
    strange = [body.replace("AnomalyDetector:shop", "AnomalyDetector:checkout") for body in bodies()]
    fill(lake, [*strange, "{", '"\ud800"'])
    assert len(contents(lake, "quarantine")) == len(set(strange)) + 2
    (lake / "metric_sets/shop.yaml").write_text(shop_text() + "alerts: {detectors: [checkout]}\n")
    assert run(lake, "--quarantine") == 1
    told = capsys.readouterr()
    assert (
        told.out == f"quarantine: {len(strange)} messages recognized, {len(strange)} alerts stored, 2 messages remain\n"
    )
    assert "not JSON" in told.err
    assert len(contents(lake, "quarantine")) == 2
    fill(tmp_path / "new", [*bodies(), *strange], metric_set_yaml.load(lake / "metric_sets/shop.yaml"))
    assert contents(lake) == contents(tmp_path / "new")
    assert archived(lake) == archived(tmp_path / "new")
    assert not (lake / "notifications").exists()


def test_what_could_not_be_filed_stays_in_quarantine(lake, monkeypatch):
    fill(
        lake,
        [
            alert_body(timestamp="2021-02-10T09:00Z", event="q").replace(
                "AnomalyDetector:shop", "AnomalyDetector:checkout"
            )
        ],
    )
    item = metric_set_yaml.parse(shop_text() + "alerts: {detectors: [checkout]}\n", "shop.yaml")
    before = contents(lake, "quarantine")
    for fails_at in range(3, 8):
        store = Interrupted(lake, fails_at)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        job = replay_job.ReplayJob("lake", (item,), item, "parquet")
        with pytest.raises(StorageError, match="down"):
            [replay.retry_quarantine(job, piece) for piece in replay.list_quarantine(job)]
        assert contents(lake, "quarantine") == before


def test_an_alert_that_cannot_be_filed_keeps_no_other_in_quarantine(lake, capsys):
    strange = [body.replace("AnomalyDetector:shop", "AnomalyDetector:checkout") for body in bodies()]
    fill(lake, strange)
    (lake / "metric_sets/shop.yaml").write_text(shop_text() + "alerts: {detectors: [checkout]}\n")
    for key in contents(lake):
        if "2021-02-10T0900Z" in key:
            (lake / key).write_bytes(b"damaged")
    left = {body for body in strange if "2021-02-10T09" in body}
    assert run(lake, "--quarantine") == 1
    assert {json.loads(data)["body"] for data in contents(lake, "quarantine").values()} == left
    assert (
        "cannot be stored: anomalyResults/metricValue_AnomalyScore/shop/v1/date=2021-02-10/2021-02-10T0900Z"
        in capsys.readouterr().err
    )
    assert run(lake) == 1
    assert run(lake, "--quarantine") == 0
    assert archived(lake) == sorted({*bodies(), *strange})


def test_a_damaged_line_and_a_damaged_object_of_quarantine_are_named_and_cost_no_other(lake, capsys):
    key = next(iter(contents(lake, "alerts")))
    with (lake / key).open("ab") as file:
        file.write(b'{"body": 1}\n\xff\n')
    before = contents(lake)
    shutil.rmtree(lake / "anomalyResults")
    assert run(lake) == 1
    assert contents(lake) == before
    assert f"{key}: a line is damaged" in capsys.readouterr().err
    (lake / "quarantine").mkdir()
    (lake / "quarantine/aa.json").write_text("[]")
    (lake / "quarantine/bb.json").write_text('{"reason": "", "body": 5}')
    assert run(lake, "--quarantine") == 1
    told = capsys.readouterr().err
    assert "quarantine/aa.json: is not an object of quarantine" in told
    assert "quarantine/bb.json: is not an object of quarantine" in told


# --- the command


def test_a_lake_in_s3_is_rebuilt_by_several_processes(s3_lake, sets_folder):
    store = open_store(s3_lake)
    file(store, bodies(6), form="csv")
    before = objects(store)
    for key in list(before)[::2]:
        store.delete(key)
    assert main(["replay", "--lake", s3_lake, "--metric-set", str(sets_folder), "--jobs", "2"]) == 0
    assert objects(store) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--quarantine", "--exact"], "--quarantine files what is there"),
        (["--re-route", "--table", "anomalyGroups"], "leave out --table"),
        (["--from", "2021-02-11", "--to", "2021-02-11"], "must be before"),
    ],
)
def test_options_that_do_not_go_together_are_told(lake, capsys, arguments, told):
    assert run(lake, *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_no_lake(lake, capsys):
    assert main(["replay", "--lake", str(lake / "lkae"), "--metric-set", str(lake / "metric_sets")]) == 1
    assert "there is no lake in this folder" in capsys.readouterr().err


def test_times_beyond_all_alerts_are_taken(lake):
    before = contents(lake)
    for arguments in (["--from", "0001-01-01", "--to", "9999-12-31"], ["--from", "0900-01-01"]):
        shutil.rmtree(lake / "anomalyResults")
        assert run(lake, *arguments) == 0
        assert contents(lake) == before


def test_the_format_is_that_of_the_version_and_not_of_an_older_one(lake):
    assert run(lake, "--format", "csv") == 0
    (lake / "metric_sets/shop.yaml").write_text("version: 2\n" + shop_text())
    assert run(lake) == 0  # the first of its version takes the format of the one before
    assert contents(lake, "anomalyResults/anomalyGroups/shop/v2").keys() == {
        key.replace("/v1/", "/v2/") for key in contents(lake, "anomalyResults/anomalyGroups/shop/v1")
    }
    assert run(lake, "--format", "parquet") == 0
    before = contents(lake)
    assert run(lake) == 0
    assert contents(lake) == before


def test_a_lake_in_both_formats_asks_for_one(lake, capsys):
    before = contents(lake)
    assert run(lake, "--format", "csv", "--to", "2021-02-11") == 0
    assert run(lake) == 1
    assert "holds tables in both formats" in capsys.readouterr().err
    assert run(lake, "--format", "parquet") == 0
    assert contents(lake) == before


def test_alerts_of_a_set_that_is_gone_are_told_and_move_once_it_is_back(lake, tmp_path, capsys):
    (lake / "metric_sets/shop.yaml").unlink()
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [shop]}\n")
    assert run(lake, "--re-route") == 0
    assert "the archive also has alerts of shop, and no metric set here has that name" in capsys.readouterr().err
    (lake / "metric_sets/shop.yaml").write_text(shop_text())
    assert run(lake, "--re-route") == 0
    (lake / "metric_sets/shop.yaml").unlink()
    assert run(lake) == 0
    assert capsys.readouterr().err == ""
    fill(tmp_path / "new", bodies(), *metric_set_yaml.load_all(lake / "metric_sets"))
    assert {key: data for key, data in contents(lake).items() if "/store/" in key} == contents(tmp_path / "new")


def test_a_replay_that_is_killed_leaves_no_process_behind_and_ends_the_same_when_run_again(tmp_path):
    fill(tmp_path, bodies(18))
    (tmp_path / "metric_sets").mkdir()
    (tmp_path / "metric_sets/shop.yaml").write_text(shop_text())
    before = contents(tmp_path)
    shutil.rmtree(tmp_path / "anomalyResults")
    command = [sys.executable, "-m", "anomalake", "replay", "--lake", str(tmp_path), "--jobs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            until((tmp_path / "anomalyResults").exists)
        finally:
            process.kill()
    until(lambda: not group(process.pid))
    assert run(tmp_path) == 0
    assert contents(tmp_path) == before


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def group(leader: int) -> list[str]:
    """The processes of a group that have not ended."""
    told = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [
        line for line in told.splitlines() if line.split()[0] == str(leader) and not line.split()[1].startswith("Z")
    ]


@pytest.mark.parametrize("moment", ["yesterday", "2021-02-11T00:00+01:00"])
def test_a_time_that_is_none_is_wrong_usage(lake, capsys, moment):
    with pytest.raises(SystemExit) as caught:
        run(lake, "--from", moment)
    assert caught.value.code == 2
    assert "must be written like 2026-07-01" in capsys.readouterr().err
