"""Replay with `--re-route`: alerts move to the metric sets that they belong to now."""

import shutil

from anomalake.domain import metric_set_yaml
from anomalake.lake import encoding, replay, replay_day, replay_job, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import StorageError
from examples import shop_text
from replay_lake import (
    DAYS,
    SHOP,
    FailingFolderStore,
    alert_bodies,
    fill_lake,
    read_anomaly_rows,
    read_archive,
    read_folder,
    run_replay,
    two_alert_body,
    write_mapping_sets,
)


def test_an_alert_stays_in_the_set_that_it_was_filed_under(rerouted):
    before = read_folder(rerouted)
    shutil.rmtree(rerouted / "anomalyResults")
    assert run_replay(rerouted) == 0
    assert read_folder(rerouted) == before


def test_alerts_of_a_detector_that_no_metric_set_accepts_any_more_stay_in_their_set(lake):
    (lake / "metric_sets/shop.yaml").unlink()
    (lake / "metric_sets/other.yaml").write_text(shop_text(name="name: other"))
    before = read_folder(lake)
    job = replay_job.ReplayJob(str(lake), metric_set_yaml.load_all(lake / "metric_sets"), SHOP, "parquet")
    shutil.rmtree(lake / "anomalyResults")
    for day in replay.list_days(job):
        replay_day.rebuild_day(job, day)
    assert read_folder(lake) == before


def test_re_route_moves_alerts_and_their_archive_to_the_metric_set_that_accepts_them_now(rerouted, tmp_path, capsys):
    assert run_replay(rerouted, "--re-route") == 0
    assert (
        f"shop/v1: {8 * DAYS} alerts in the archive of {DAYS} days, {8 * DAYS} of them moved" in capsys.readouterr().out
    )
    fill_lake(tmp_path / "new", alert_bodies(), *metric_set_yaml.load_all(rerouted / "metric_sets"))
    expected = read_folder(tmp_path / "new")
    after = read_folder(rerouted)
    assert {key: data for key, data in after.items() if "/store/" in key} == expected
    for key, data in after.items():
        if "/shop/" in key:  # the previous metric set has no rows now
            table = key.split("/")[1]
            assert encoding.decode_table("parquet", tables.schema(table, SHOP), data, key)["timestamp"] == []
    assert read_folder(rerouted, "alerts/shop") == {}
    assert read_archive(rerouted) == sorted(set(alert_bodies()))
    assert run_replay(rerouted) == 0
    assert read_folder(rerouted) == after


def test_re_route_keeps_alerts_that_belong_to_their_metric_set(tmp_path):
    lake, new = tmp_path / "lake", tmp_path / "new"
    bodies = [
        body.replace("AnomalyDetector:shop", "AnomalyDetector:pager") if '"pager"' in body else body
        for body in alert_bodies()
    ]
    fill_lake(lake, bodies, metric_set_yaml.parse(shop_text() + "alerts: {detectors: [pager]}\n", "shop.yaml"))
    (lake / "metric_sets").mkdir()
    (lake / "metric_sets/shop.yaml").write_text(shop_text())
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [pager]}\n")
    assert run_replay(lake, "--re-route") == 0
    fill_lake(new, bodies, *metric_set_yaml.load_all(lake / "metric_sets"))
    assert read_folder(lake) == read_folder(new)
    for name in ("shop", "store"):
        assert read_archive(lake, name) == read_archive(new, name)


def test_re_route_keeps_an_event_that_two_metric_sets_read_in_the_archive_of_both(tmp_path):
    sets = write_mapping_sets(tmp_path, shop="items", store="items")
    fill_lake(tmp_path, [two_alert_body("2021-02-10T09:00Z", "2021-02-11T09:00Z")], *sets)
    before, archive = read_folder(tmp_path), read_folder(tmp_path, "alerts")
    for _ in range(2):
        assert run_replay(tmp_path, "--re-route") == 0
        assert read_folder(tmp_path) == before
        assert read_folder(tmp_path, "alerts") == archive


def test_re_route_also_stores_an_event_in_a_metric_set_that_reads_it_now(tmp_path):
    sets = write_mapping_sets(tmp_path, shop="items")
    fill_lake(tmp_path, [two_alert_body("2021-02-10T09:00Z")], *sets)
    sets = write_mapping_sets(tmp_path, store="items")
    assert run_replay(tmp_path, "--re-route") == 0
    fill_lake(tmp_path / "new", [two_alert_body("2021-02-10T09:00Z")], *sets)
    assert read_folder(tmp_path) == read_folder(tmp_path / "new")
    assert read_folder(tmp_path, "alerts") == read_folder(tmp_path / "new", "alerts")


def test_re_route_keeps_an_event_that_is_partly_outside_the_period(tmp_path):
    fill_lake(
        tmp_path,
        [two_alert_body("2021-02-10T09:00Z", "2021-02-10T10:00Z")],
        *write_mapping_sets(tmp_path, shop="items"),
    )
    write_mapping_sets(tmp_path, shop="nothing", store="items")
    before, archive = read_anomaly_rows(tmp_path), read_folder(tmp_path, "alerts")
    assert run_replay(tmp_path, "--re-route", "--from", "2021-02-10T10:00") == 0
    assert read_anomaly_rows(tmp_path) == before
    assert read_folder(tmp_path, "alerts") == archive
    assert run_replay(tmp_path, "--re-route") == 0
    assert {key.split("/")[2] for key in read_anomaly_rows(tmp_path)} == {"store"}
    assert not read_folder(tmp_path, "alerts/shop")


def test_re_route_does_not_move_alerts_that_no_metric_set_accepts(lake):
    before = read_folder(lake)
    shutil.rmtree(lake / "anomalyResults")
    shop, other = (metric_set_yaml.parse(shop_text(name=f"name: {name}"), name) for name in ("shop", "other"))
    job = replay_job.ReplayJob(str(lake), (other,), shop, "parquet", reroute=True)
    assert [replay_day.rebuild_day(job, day).finding_count for day in replay.list_days(job)] == [0] * DAYS
    assert read_folder(lake) == before


def test_re_route_does_not_move_a_damaged_line_of_the_archive(rerouted):
    damaged = b'{"body": tru\n'
    keys = list(read_folder(rerouted, "alerts"))
    for key in keys:
        with (rerouted / key).open("ab") as file:
            file.write(damaged)
    assert run_replay(rerouted, "--re-route") == 1
    assert set(read_folder(rerouted, "alerts/shop").values()) == {damaged}
    assert read_archive(rerouted, "store") == sorted(set(alert_bodies()))


def test_an_interrupted_re_route_loses_nothing_and_a_repeated_one_gives_the_same_result(
    rerouted, tmp_path, monkeypatch
):
    shutil.rmtree(rerouted / "alerts")
    shutil.rmtree(rerouted / "anomalyResults")
    bodies = [body for body in alert_bodies() if "2021-02-10T09" in body]
    fill_lake(rerouted, bodies)
    sets = metric_set_yaml.load_all(rerouted / "metric_sets")
    job = replay_job.ReplayJob(
        "lake", sets, next(item for item in sets if item.name == "shop"), "parquet", reroute=True
    )
    original, calls = {}, 0
    for fails_at in range(10_000):
        copy = tmp_path / f"copy{fails_at}"
        shutil.copytree(rerouted, copy)
        store = FailingFolderStore(copy, fails_at)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        failed = not attempt(job)
        assert read_archive(copy) == sorted(set(bodies))
        if failed:
            monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, copy=copy: FolderStore(copy))
            assert attempt(job)
            calls += 1
        original = original or read_folder(copy)
        assert read_folder(copy) == original
        shutil.rmtree(copy)
        if fails_at and not failed:
            break
    assert calls > 20


def attempt(job: replay_job.ReplayJob) -> bool:
    """Rebuild the first day. Returns whether it finished."""
    try:
        replay_day.rebuild_day(job, replay.list_days(job)[0])
    except StorageError:
        return False
    return True
