"""The command `anomalake replay`: options, formats, processes, and a lake in S3."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from anomalake.cli.main import main
from anomalake.domain import metric_set_yaml
from anomalake.lake.store import open_store
from examples import shop_text
from replay_lake import alert_bodies, fill_lake, ingest_bodies, read_folder, read_results, run_replay


def test_a_lake_in_s3_is_rebuilt_by_several_processes(s3_lake, sets_folder):
    store = open_store(s3_lake)
    ingest_bodies(store, alert_bodies(6), form="csv")
    before = read_results(store)
    for key in list(before)[::2]:
        store.delete(key)
    assert main(["replay", "--lake", s3_lake, "--metric-set", str(sets_folder), "--jobs", "2"]) == 0
    assert read_results(store) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--quarantine", "--exact"], "--quarantine routes messages by today's metric sets"),
        (["--re-route", "--table", "anomalyGroups"], "omit --table"),
        (["--from", "2021-02-11", "--to", "2021-02-11"], "must be before"),
    ],
)
def test_options_that_exclude_each_other_are_reported(lake, capsys, arguments, told):
    assert run_replay(lake, *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_missing_folder_is_not_a_lake(lake, capsys):
    assert main(["replay", "--lake", str(lake / "lkae"), "--metric-set", str(lake / "metric_sets")]) == 1
    assert "there is no lake in this folder" in capsys.readouterr().err


def test_times_outside_the_period_of_the_alerts_are_accepted(lake):
    before = read_folder(lake)
    for arguments in (["--from", "0001-01-01", "--to", "9999-12-31"], ["--from", "0900-01-01"]):
        shutil.rmtree(lake / "anomalyResults")
        assert run_replay(lake, *arguments) == 0
        assert read_folder(lake) == before


def test_the_format_is_that_of_the_current_version_and_not_of_an_older_version(lake):
    assert run_replay(lake, "--format", "csv") == 0
    (lake / "metric_sets/shop.yaml").write_text("version: 2\n" + shop_text())
    assert run_replay(lake) == 0  # the first object of a version has the format of the previous version
    assert read_folder(lake, "anomalyResults/anomalyGroups/shop/v2").keys() == {
        key.replace("/v1/", "/v2/") for key in read_folder(lake, "anomalyResults/anomalyGroups/shop/v1")
    }
    assert run_replay(lake, "--format", "parquet") == 0
    before = read_folder(lake)
    assert run_replay(lake) == 0
    assert read_folder(lake) == before


def test_a_lake_in_both_formats_requires_the_format_option(lake, capsys):
    before = read_folder(lake)
    assert run_replay(lake, "--format", "csv", "--to", "2021-02-11") == 0
    assert run_replay(lake) == 1
    assert "holds tables in both formats" in capsys.readouterr().err
    assert run_replay(lake, "--format", "parquet") == 0
    assert read_folder(lake) == before


def test_alerts_of_a_removed_metric_set_are_reported_and_move_after_it_is_restored(lake, tmp_path, capsys):
    (lake / "metric_sets/shop.yaml").unlink()
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [shop]}\n")
    assert run_replay(lake, "--re-route") == 0
    assert "the archive also has alerts of shop, and no metric set here has that name" in capsys.readouterr().err
    (lake / "metric_sets/shop.yaml").write_text(shop_text())
    assert run_replay(lake, "--re-route") == 0
    (lake / "metric_sets/shop.yaml").unlink()
    assert run_replay(lake) == 0
    assert capsys.readouterr().err == ""
    fill_lake(tmp_path / "new", alert_bodies(), *metric_set_yaml.load_all(lake / "metric_sets"))
    assert {key: data for key, data in read_folder(lake).items() if "/store/" in key} == read_folder(tmp_path / "new")


@pytest.mark.slow
def test_a_replay_that_is_killed_leaves_no_process_behind_and_ends_the_same_when_run_again(tmp_path):
    fill_lake(tmp_path, alert_bodies(18))
    (tmp_path / "metric_sets").mkdir()
    (tmp_path / "metric_sets/shop.yaml").write_text(shop_text())
    before = read_folder(tmp_path)
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
    assert run_replay(tmp_path) == 0
    assert read_folder(tmp_path) == before


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def group(leader: int) -> list[str]:
    """Return the running processes of a process group."""
    processes = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [
        line
        for line in processes.splitlines()
        if line.split()[0] == str(leader) and not line.split()[1].startswith("Z")
    ]


@pytest.mark.parametrize("moment", ["yesterday", "2021-02-11T00:00+01:00"])
def test_an_invalid_time_is_a_usage_error(lake, capsys, moment):
    with pytest.raises(SystemExit) as caught:
        run_replay(lake, "--from", moment)
    assert caught.value.code == 2
    assert "must be a time in UTC without a zone, such as 2026-07-01" in capsys.readouterr().err
