"""A backtest in parts writes, byte for byte, what a backtest in one process writes.

This holds for any number of parts, and if parts run again. tests/spark tests the same with Spark.
"""

from datetime import datetime, timedelta

import numpy as np
import pytest

from anomalake.cli import local_pipeline
from anomalake.cli.give_feedback import save_feedback
from anomalake.detect import backtest, detector, timeline
from anomalake.detect.feedback import Feedback
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake import live_data
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import StorageError
from backtest_in_parts import run_in_parts
from examples import shop_text
from shop_history import SHOP, assert_same_objects, read_outputs, run_in_one_process, write_live_data


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], backtest.Report]:
    """Run a backtest in one process. Returns what it writes and reports."""
    store = FolderStore(tmp_path_factory.mktemp("wanted"))
    write_live_data(store)
    report = local_pipeline.run_backtest(SHOP, store, (SHOP,), "parquet")
    assert report.alerts > 50
    assert report.finding_count > 100
    assert report.empty_intervals >= 5
    assert any(b"missing-data" in data for key, data in read_outputs(store).items() if key.startswith("alerts/"))
    return read_outputs(store), report


@pytest.mark.parametrize("parts", [1, *(pytest.param(parts, marks=pytest.mark.slow) for parts in (4, 1000))])
def test_parts_write_and_report_the_same_as_a_backtest_in_one_process(tmp_path, wanted, parts):
    write_live_data(FolderStore(tmp_path))
    assert run_in_parts(str(tmp_path), parts, SHOP) == wanted[1]
    assert_same_objects(read_outputs(FolderStore(tmp_path)), wanted[0])


@pytest.mark.slow
def test_parts_contain_whole_shards_of_the_state_and_apply_feedback(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "SHARD_COLUMNS", 10)  # five series of two measures
    lakes = [FolderStore(tmp_path / name) for name in ("one", "parts")]
    for store in lakes:
        write_live_data(store)
        at = datetime(2021, 3, 14, 23)
        save_feedback(
            Feedback("views", at, wanted=False, direction="above", series=({"platform": "pc_web"},), said_at=at),
            SHOP,
            store,
        )
        save_feedback(Feedback("missing data", at, wanted=True, said_at=at), SHOP, store)
    expected = run_in_one_process(lakes[0])
    assert len([key for key in expected if "/shards/" in key]) == 5
    run_in_parts(str(lakes[1].root), 8, SHOP)
    assert_same_objects(read_outputs(lakes[1]), expected)


def test_a_backtest_handles_a_gap_of_days_a_late_first_series_and_daily_data(tmp_path):
    item = metric_set_yaml.parse(
        shop_text(
            "America/New_York",
            frequency="frequency: P1D",
            timestamp='timestamp: {column: timestamp, format: "yyyy-MM-dd"}',
        ).replace("{{yyyyMMdd}}/{{HHmm}}", "{{yyyyMMdd}}"),
        "shop.yaml",
    )
    lakes = [FolderStore(tmp_path / name) for name in ("one", "parts")]
    rng = np.random.default_rng(3)
    for day in range(120):
        wall = datetime(2021, 1, 1) + day * timedelta(days=1)
        rows = [
            f"{platform},us,{wall:%Y-%m-%d},{int(rng.poisson(50)) * (5 if day == 100 else 1)},{rng.normal(5, 1):.2f}"
            for platform in "abc"
        ]
        for store in lakes if not 60 <= day < 63 and day != 1 else []:
            present = rows[:1] if day < 30 else rows
            text = "\n".join([",".join(live_data.require_source(item).columns), *(present if day else [])])
            store.put(f"{live_data.interval_folder(item, wall)}/data.csv", f"{text}\n".encode())
    report = local_pipeline.run_backtest(item, lakes[0], (item,), "parquet")
    assert report.alerts > 0
    assert run_in_parts(str(lakes[1].root), 2, item) == report
    assert_same_objects(read_outputs(lakes[1]), read_outputs(lakes[0]))


def test_live_data_that_cannot_be_read_is_reported(tmp_path):
    lakes = [FolderStore(tmp_path / name) for name in ("one", "parts")]
    for store in lakes:
        store.put(
            f"{live_data.interval_folder(SHOP, datetime(2021, 3, 1))}/data.csv",
            b"nothing,of,what,is,wanted\n1,2,3,4,5\n",
        )
    report = local_pipeline.run_backtest(SHOP, lakes[0], (SHOP,), "parquet")
    assert run_in_parts(str(lakes[1].root), 2, SHOP) == report
    assert report.status == ("views: no data yet", "revenue: no data yet")
    assert_same_objects(read_outputs(lakes[1]), {})


def test_alerts_that_cannot_be_stored_are_counted_and_the_reason_is_a_warning(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)
    write_live_data(store)
    create = store.create

    def fail_in_the_archive(key: str, data: bytes) -> bool:
        if key.startswith("alerts/"):
            raise StorageError(f"{key}: the disk is full")
        return create(key, data)

    monkeypatch.setattr(store, "create", fail_in_the_archive)
    with pytest.warns(UserWarning, match=r"^\d+ alerts were not stored: alerts/\S+: the disk is full"):
        report = local_pipeline.run_backtest(SHOP, store, (SHOP,), "parquet")
    assert report.failed_alerts == report.alerts > 20


def test_missing_live_data_is_reported(tmp_path):
    with pytest.raises(
        UserError, match="holds no live data of the metric set 'shop'; put its files in folders shop/live"
    ):
        timeline.build_timeline(FolderStore(tmp_path), SHOP, timeline.utc_now())
