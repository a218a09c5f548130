"""The clock decides which intervals are due. Intervals with implausible dates are reported and not processed."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.cli.main import main
from anomalake.dashboards import definition, lake_page
from anomalake.detect import schedule
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.functions import detect
from anomalake.functions.settings import Settings
from anomalake.lake import live_data
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from examples import shop_text
from sales_set import NOW, daily_rows, sales_set, write_rows
from slow_cases import slow_after

# --- the future


def test_a_row_in_the_future_is_reported_and_does_not_move_the_detector():
    item, store = sales_set(), ObjectStore.memory()
    write_rows(store, item, daily_rows(60, datetime(2026, 3, 1)) | {datetime(2036, 3, 1): 5.0})
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert (report.intervals, report.empty_intervals, report.finding_count) == (60, 0, 1)
    assert report.findings[0].where == "sales/live/20360301"
    assert "lies in the future" in report.findings[0].problem
    assert any("1 folder has a date that cannot be processed (sales/live/20360301)" in note for note in report.notes)
    write_rows(store, item, {datetime(2026, 3, 2): 9_000.0})
    done, memory = detect.run_detector(item, Settings(store, (item,), "parquet"), NOW + timedelta(days=1), lambda: True)
    assert (done.scored, done.empty, done.alerts, memory.last_processed) == (1, 0, 1, datetime(2026, 3, 2))
    assert [finding.where for finding in done.findings] == ["sales/live/20360301"]


def test_a_first_live_run_and_a_rebuild_do_not_process_future_rows(tmp_path, capsys):
    item, store = sales_set(), FolderStore(tmp_path / "lake")
    write_rows(store, item, daily_rows(60, datetime(2026, 3, 1)) | {datetime(2036, 3, 1): 5.0})
    done, memory = detect.run_detector(item, Settings(store, (item,), "parquet"), NOW, lambda: True)
    assert (memory.last_processed, len(done.findings)) == (datetime(2026, 3, 1), 1)
    (tmp_path / "sales.yaml").write_text(SALES)
    for more in ([], ["--rebuild"]):
        files = [
            "detect",
            "--lake",
            str(tmp_path / "lake"),
            "--metric-set",
            str(tmp_path / "sales.yaml"),
            "--now",
            "2026-03-02T12:00",
        ]
        assert main([*files, *more]) == 0
        out = capsys.readouterr()
        assert "sales/live/20360301: the interval lies in the future" in out.err
        assert "2036" not in out.out.replace("sales/live/20360301", "")


SALES = """
name: sales
frequency: P1D
timestamp: {column: at, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: []
measures: [{name: amount, aggregation: SUM}]
source: {path: "sales/live/{{yyyyMMdd}}", format: csv, columns: [at, amount]}
"""


def test_a_state_in_the_future_is_rejected():
    item, store = sales_set(), ObjectStore.memory()
    write_rows(store, item, daily_rows(60, datetime(2026, 3, 1)))
    local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    with pytest.raises(
        UserError, match=r"processed intervals up to 2026-03-01 .* is in the future.*`anomalake detect --rebuild`"
    ):
        detect.run_detector(item, Settings(store, (item,), "parquet"), datetime(2026, 2, 1), lambda: True)


def test_live_data_that_is_not_due_gives_one_message():
    item, store = sales_set(), ObjectStore.memory()
    write_rows(store, item, {datetime(2026, 3, 2): 310.0})
    with pytest.raises(
        UserError,
        match=r"'sales' can be scored yet: left for later: "
        r"the interval 2026-03-02 00:00:00 \(UTC\) is due at 2026-03-03",
    ):
        local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)


def test_the_page_shows_the_scored_period_whatever_other_dates_the_data_has(tmp_path, monkeypatch):
    item, store = sales_set(), FolderStore(tmp_path / "lake")
    write_rows(
        store, item, daily_rows(60, datetime(2026, 3, 1)) | {datetime(2036, 3, 1): 5.0, datetime(1970, 1, 1): 5.0}
    )
    local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    windows = []
    original = definition.fit_window

    def fit_window(one: Any, first: datetime, last: datetime) -> Any:
        windows.append((first, last))
        return original(one, first, last)

    monkeypatch.setattr(definition, "fit_window", fit_window)
    lake_page.write_page(item, duckdb_catalog.connect(tmp_path / "lake", [item]), tmp_path / "page.html")
    assert windows == [(datetime(2026, 1, 1), datetime(2026, 3, 1))]


# --- the interval that is still running


@pytest.mark.parametrize("offset", [0, 7200])
def test_an_interval_is_scored_once_it_has_ended_and_its_offset_has_passed(offset):
    item, store = sales_set(offset=offset), ObjectStore.memory()
    write_rows(store, item, daily_rows(90, datetime(2026, 3, 1)) | {datetime(2026, 3, 2): 310.0})
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert (report.intervals, report.alerts) == (90, 0)
    due = "00:00:00" if offset == 0 else "02:00:00"
    assert report.notes == (
        f"left for later: the interval 2026-03-02 00:00:00 (UTC) is due at 2026-03-03 {due} UTC; "
        "its data is not complete yet",
    )
    write_rows(store, item, {datetime(2026, 3, 2): 1020.0})
    settings, midnight = Settings(store, (item,), "parquet"), datetime(2026, 3, 3)
    assert detect.run_detector(item, settings, midnight + timedelta(seconds=offset - 1), lambda: True)[0].scored == 0
    done, _ = detect.run_detector(item, settings, midnight + timedelta(seconds=offset), lambda: True)
    assert (done.scored, done.alerts) == (1, 0)


def test_the_live_run_reports_intervals_that_are_not_due():
    item, store = sales_set("PT1H"), ObjectStore.memory()
    write_rows(store, item, {NOW - timedelta(hours=back): 100.0 for back in range(10 * 24)})
    done, _ = detect.run_detector(item, Settings(store, (item,), "parquet"), NOW + timedelta(minutes=20), lambda: True)
    assert done.notes == (
        "left for later: the interval 2026-03-02 12:00:00 (UTC) is due at 2026-03-02 13:00:00 UTC; "
        "its data is not complete yet",
    )


def test_score_leaves_out_rows_of_intervals_that_have_not_ended(tmp_path, capsys):
    rows = [("a", start, value) for start, value in daily_rows(40, datetime(2026, 3, 1)).items()]
    rows += [("a", datetime(2026, 3, 2), 310.0), ("a", datetime(2036, 3, 1), 5.0)]
    pd.DataFrame(rows, columns=["series", "timestamp", "value"]).to_csv(tmp_path / "in.csv", index=False)
    files = [
        "score",
        str(tmp_path / "in.csv"),
        str(tmp_path / "out.csv"),
        "--frequency",
        "P1D",
        "--now",
        "2026-03-02T12:00",
    ]
    assert main(files) == 0
    out = pd.read_csv(tmp_path / "out.csv").set_index("timestamp")["score"]
    assert out.loc["2026-03-01"] >= 0
    assert out.loc[["2026-03-02", "2036-03-01"]].isna().all()
    output = capsys.readouterr().out
    assert "1 rows are of an interval that has not ended" in output
    assert "1 rows lie in the future and have no score; the first: series a, 2036-03-01" in output


# --- very old dates

VERY_OLD = [datetime(1970, 1, 1), datetime(1979, 12, 31), datetime(2000, 1, 1), datetime(2001, 1, 1)]


@pytest.mark.parametrize(
    ("frequency", "odd"),
    slow_after(
        6,  # every date with days, and one date with shorter intervals
        [
            *(("P1D", odd) for odd in VERY_OLD),
            *((frequency, odd) for odd in VERY_OLD for frequency in ("PT1H", "PT5M")),
        ],
    ),
)
def test_one_very_old_row_is_reported_and_not_processed(odd, frequency):
    item, store = sales_set(frequency), ObjectStore.memory()
    step = intervals.INTERVAL_LENGTHS[frequency]
    rows = {datetime(2026, 2, 27) - step * back: 100.0 + back % 7 for back in range(240)}
    write_rows(store, item, rows | {odd: 100.0})
    report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
    assert (report.intervals, report.empty_intervals, report.finding_count) == (240, 0, 1)
    assert report.findings[0].where.startswith(f"sales/live/{odd:%Y%m%d}")
    alone = ObjectStore.memory()
    write_rows(alone, item, rows)
    local_pipeline.run_backtest(item, alone, (item,), "parquet", NOW)
    results = [
        [(key, each_store.get(key).data) for key in each_store.list("anomalyResults")] for each_store in (store, alone)
    ]
    assert results[0] == results[1]


def test_the_number_of_processed_intervals_depends_on_the_data_and_not_on_its_time_span():
    item = sales_set("PT5M")
    years = [datetime(year, 1, 1) for year in (2001, 2006, 2012, 2020)]
    walked = list(schedule.intervals_to_process(item, datetime(2000, 12, 31, 23, 55), datetime(2026, 1, 1), years))
    assert set(years) <= set(walked)
    assert walked == sorted(set(walked))
    assert len(walked) <= 5 * 60 * 288 + 10


@pytest.mark.slow
def test_skipping_a_gap_of_months_gives_the_same_result_as_processing_it(monkeypatch):
    item = sales_set("PT1H")
    rows = {datetime(2025, 1, 1) + timedelta(hours=hour): 100.0 + hour % 24 for hour in range(40 * 24)}
    rows |= {datetime(2025, 7, 1) + timedelta(hours=hour): 120.0 + hour % 24 for hour in range(40 * 24)}
    rows[datetime(2025, 8, 5, 3)] = 900.0
    results = []
    for edge in (schedule.GAP_EDGE, timedelta(days=1000)):
        monkeypatch.setattr(schedule, "GAP_EDGE", edge)
        store = ObjectStore.memory()
        write_rows(store, item, rows)
        report = local_pipeline.run_backtest(item, store, (item,), "parquet", NOW)
        results.append(
            (report._replace(notes=()), [(key, store.get(key).data) for key in store.list("anomalyResults")])
        )
        assert bool(report.notes) == (edge == timedelta(days=30))
    assert results[0] == results[1]


@pytest.mark.slow
def test_a_live_run_after_a_gap_of_years_processes_only_the_ends_of_the_gap():
    item, store = sales_set("PT5M"), ObjectStore.memory()
    write_rows(store, item, {datetime(2020, 1, 1) + timedelta(minutes=5 * n): 100.0 for n in range(600)})
    settings = Settings(store, (item,), "parquet")
    detect.run_detector(item, settings, datetime(2020, 1, 3, 3), lambda: True)
    done, memory = detect.run_detector(item, settings, NOW, lambda: True)
    assert memory.last_processed == NOW - timedelta(minutes=5)
    assert 0 < done.empty <= 60 * 288 + 10
    assert done.due == 0


def test_only_later_folders_are_listed_if_folders_sort_by_date(tmp_path, monkeypatch):
    for path, sorts in (("sales/live/{{yyyyMMdd}}/{{HHmm}}", True), ("sales/live/{{ddMMyyyy}}/{{HHmm}}", False)):
        item = metric_set_yaml.parse(shop_text().replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", path), "shop.yaml")
        for store in (ObjectStore.memory(), FolderStore(tmp_path / str(sorts))):
            walls = [datetime(2026, 1, 30) + timedelta(hours=hour) for hour in range(96)]
            for wall in walls:
                store.put(f"{live_data.interval_folder(item, wall)}/data.csv", b"x")
            assert live_data.list_interval_starts(store, item, walls[40]) == walls[41:]
            listed = list(store.list("sales/live", f"{live_data.interval_folder(item, walls[40])}/"))
            assert (len(listed) == 56) == sorts


def test_the_work_of_a_live_run_does_not_depend_on_the_amount_of_history():
    item, store = sales_set("PT1H"), ObjectStore.memory()
    write_rows(store, item, {NOW - timedelta(hours=back): 100.0 for back in range(1, 300)})
    settings = Settings(store, (item,), "parquet")
    detect.run_detector(item, settings, NOW, lambda: True)
    listed = []
    original = store.list

    def counting_list(prefix: str, after: str = ""):
        keys = list(original(prefix, after))
        listed.append((prefix, len(keys)))
        return iter(keys)

    store.list = counting_list  # type: ignore[method-assign]
    detect.run_detector(item, settings, NOW + timedelta(hours=1), lambda: True)
    assert all(count <= 2 for prefix, count in listed if prefix.startswith("sales/live"))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
