"""For every frequency and aggregation, a backtest in one process, one in parts and live runs write the same bytes.

Live runs write an object for each interval; joined, the objects of a day are that of a backtest.
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from anomalake.cli import local_pipeline
from anomalake.detect.state import shard_names
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import detect
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from backtest_in_parts import run_in_parts
from shop_history import assert_same_objects, read_outputs
from slow_cases import slow_after
from visits_set import due_after, list_starts, visits_set, write_visits


class Case(NamedTuple):
    """A metric set's frequency, folders and time zone, and how much data it has."""

    frequency: str
    count: int  # of intervals
    first: datetime
    folder: str  # of live data; one for each interval if not given
    zone: str


CASES = [
    Case("PT6H", 90, datetime(2026, 3, 16), "{{yyyyMMdd}}", "Europe/Berlin"),
    Case("P1M", 40, datetime(2019, 1, 1), "", "America/New_York"),
    Case("P1W", 50, datetime(2025, 1, 6), "", "Europe/Berlin"),
    Case("P1D", 80, datetime(2026, 1, 20), "{{yyyyMM}}", "Asia/Kolkata"),
    Case("PT1M", 1500, datetime(2026, 3, 28, 20), "{{yyyyMMdd}}/{{HH}}", "Europe/Berlin"),
    Case("PT5M", 340, datetime(2026, 10, 24, 12), "{{yyyyMMdd}}", "Europe/Berlin"),
    Case("PT90M", 140, datetime(2026, 3, 25), "", "America/New_York"),
    Case("PT2H", 100, datetime(2026, 3, 5), "{{yyyyMMdd}}", "America/New_York"),
    Case("PT12H", 130, datetime(2026, 1, 5), "", "UTC"),
]


def read_live_results(store: FolderStore, item: MetricSet) -> dict[str, bytes]:
    """Return the objects of the detector's tables, joined by day under the key of a backtest's object."""
    joined = {}
    for table in layout.DETECTOR_TABLES:
        by_day: dict[str, list[bytes]] = {}
        for key in sorted(store.list(layout.table_folder(table, item))):
            by_day.setdefault(layout.date_in_key(key), []).append(store.get(key).data)
        schema = tables.schema(table, item)
        for day, parts in by_day.items():
            key = layout.day_key(table, item, day, "parquet")
            joined[key] = encoding.join_objects("parquet", schema, parts, key)
    return joined


def read_results(store: FolderStore, item: MetricSet) -> dict[str, bytes]:
    """Return the objects of the detector's tables."""
    keys = [key for table in layout.DETECTOR_TABLES for key in store.list(layout.table_folder(table, item))]
    return {key: store.get(key).data for key in keys}


def read_alert_tables(store: FolderStore, item: MetricSet) -> dict[str, bytes]:
    keys = [key for table in tables.ALERT_TABLES for key in store.list(layout.table_folder(table, item))]
    return {key: store.get(key).data for key in keys}


def run_live(store: FolderStore, item: MetricSet, starts: list[datetime], seed: int) -> None:
    """Run the detector when the first interval is due, then after random numbers of intervals up to the last."""
    settings, rng = Settings(store, (item,), "parquet"), np.random.default_rng(seed)
    ends = sorted({0, *rng.choice(len(starts), 12, replace=False).tolist(), len(starts) - 1})
    for end in ends:
        detect.run_detector(item, settings, due_after(item, starts[end]), lambda: True)


def check_all_runs(tmp_path: Path, item: MetricSet, starts: list[datetime]) -> None:
    """Check that all three ways to run the detector write the same."""
    one, parts, live = (write_visits(tmp_path / name, item, starts, seed=5) for name in ("one", "parts", "live"))
    now = due_after(item, starts[-1])
    report = local_pipeline.run_backtest(item, one, (item,), "parquet", now)
    assert report.alerts > 0
    assert report.findings == ()
    assert run_in_parts(str(parts.root), 3, item, now) == report
    assert_same_objects(read_outputs(parts), read_outputs(one))
    if kept := one.get(layout.top_values_key(item)):
        live.put(layout.top_values_key(item), kept.data)
        assert parts.get(layout.top_values_key(item)).data == kept.data
    run_live(live, item, starts, seed=7)
    assert_same_objects(read_live_results(live, item), read_results(one, item))
    assert_same_objects(read_alert_tables(live, item), read_alert_tables(one, item))
    heads = [store.get(layout.state_key(item)).data for store in (one, live)]
    assert shard_names(heads[0]) == shard_names(heads[1])


@pytest.mark.parametrize("missing", ["zero", "unknown"])
@pytest.mark.parametrize("case", slow_after(3, CASES))
def test_a_backtest_in_one_process_and_in_parts_and_live_runs_write_the_same(tmp_path, case, missing):
    item = visits_set(case.frequency, missing=missing, zone=case.zone, folder=case.folder)
    check_all_runs(tmp_path, item, list_starts(item, case.first, case.count))


def test_a_backtest_in_parts_and_live_runs_keep_the_same_top_values(tmp_path):
    item = visits_set("P1D", top=2)
    starts = list_starts(item, datetime(2026, 1, 20), 60)
    check_all_runs(tmp_path, item, starts)
    store = FolderStore(tmp_path / "one")
    kept = store.get(layout.top_values_key(item)).data.decode()
    assert [line.split('"')[-2] for line in kept.split()] == ["de", "it"]
    schema = tables.schema("observations", item)
    key = layout.day_key("observations", item, f"{starts[20]:%Y-%m-%d}", "parquet")
    rows = encoding.decode_table("parquet", schema, store.get(key).data, key)
    assert sorted(set(rows["country"])) == ["(other)", "de", "it"]
