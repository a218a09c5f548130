"""Replay with `--quarantine`: messages that can be parsed now are stored and deleted from quarantine."""

import json
import shutil

import pytest

from anomalake.domain import metric_set_yaml
from anomalake.lake import replay, replay_job
from anomalake.lake.store import StorageError
from examples import alert_body, shop_text
from replay_lake import FailingFolderStore, alert_bodies, fill_lake, read_archive, read_folder, run_replay


def test_messages_that_a_fixed_metric_set_accepts_leave_quarantine_after_they_are_stored(
    lake, tmp_path, capsys, monkeypatch
):
    strange = [body.replace("AnomalyDetector:shop", "AnomalyDetector:checkout") for body in alert_bodies()]
    fill_lake(lake, [*strange, "{", '"\ud800"'])
    assert len(read_folder(lake, "quarantine")) == len(set(strange)) + 2
    (lake / "metric_sets/shop.yaml").write_text(shop_text() + "alerts: {detectors: [checkout]}\n")
    assert run_replay(lake, "--quarantine") == 1
    output = capsys.readouterr()
    assert (
        output.out
        == f"quarantine: {len(strange)} messages recognized, {len(strange)} alerts stored, 2 messages remain\n"
    )
    assert "not JSON" in output.err
    assert len(read_folder(lake, "quarantine")) == 2
    fill_lake(tmp_path / "new", [*alert_bodies(), *strange], metric_set_yaml.load(lake / "metric_sets/shop.yaml"))
    assert read_folder(lake) == read_folder(tmp_path / "new")
    assert read_archive(lake) == read_archive(tmp_path / "new")
    assert not (lake / "notifications").exists()


def test_messages_that_cannot_be_stored_stay_in_quarantine(lake, monkeypatch):
    fill_lake(
        lake,
        [
            alert_body(timestamp="2021-02-10T09:00Z", event="q").replace(
                "AnomalyDetector:shop", "AnomalyDetector:checkout"
            )
        ],
    )
    item = metric_set_yaml.parse(shop_text() + "alerts: {detectors: [checkout]}\n", "shop.yaml")
    before = read_folder(lake, "quarantine")
    for fails_at in range(3, 8):
        store = FailingFolderStore(lake, fails_at)
        monkeypatch.setattr(replay_job, "_open_cached_lake", lambda lake, store=store: store)
        job = replay_job.ReplayJob("lake", (item,), item, "parquet")
        with pytest.raises(StorageError, match="down"):
            [replay.retry_quarantine(job, piece) for piece in replay.list_quarantine(job)]
        assert read_folder(lake, "quarantine") == before


def test_an_alert_that_cannot_be_filed_keeps_no_other_in_quarantine(lake, capsys):
    strange = [body.replace("AnomalyDetector:shop", "AnomalyDetector:checkout") for body in alert_bodies()]
    fill_lake(lake, strange)
    (lake / "metric_sets/shop.yaml").write_text(shop_text() + "alerts: {detectors: [checkout]}\n")
    for key in read_folder(lake):
        if "2021-02-10T0900Z" in key:
            (lake / key).write_bytes(b"damaged")
    rejected = {body for body in strange if "2021-02-10T09" in body}
    assert run_replay(lake, "--quarantine") == 1
    assert {json.loads(data)["body"] for data in read_folder(lake, "quarantine").values()} == rejected
    assert (
        "cannot be stored: anomalyResults/metricValue_AnomalyScore/shop/v1/date=2021-02-10/2021-02-10T0900Z"
        in capsys.readouterr().err
    )
    assert run_replay(lake) == 1
    assert run_replay(lake, "--quarantine") == 0
    assert read_archive(lake) == sorted({*alert_bodies(), *strange})


def test_a_damaged_line_and_a_damaged_object_of_quarantine_are_reported_and_affect_no_other(lake, capsys):
    key = next(iter(read_folder(lake, "alerts")))
    with (lake / key).open("ab") as file:
        file.write(b'{"body": 1}\n\xff\n')
    before = read_folder(lake)
    shutil.rmtree(lake / "anomalyResults")
    assert run_replay(lake) == 1
    assert read_folder(lake) == before
    assert f"{key}: a line is damaged" in capsys.readouterr().err
    (lake / "quarantine").mkdir()
    (lake / "quarantine/aa.json").write_text("[]")
    (lake / "quarantine/bb.json").write_text('{"reason": "", "body": 5}')
    assert run_replay(lake, "--quarantine") == 1
    errors = capsys.readouterr().err
    assert "quarantine/aa.json: is not an object of quarantine" in errors
    assert "quarantine/bb.json: is not an object of quarantine" in errors
