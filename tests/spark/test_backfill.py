"""The Spark job, run as a job on local Spark: tables, archive and memory to the byte those of a back-test, and the rows of the live detector.

Wants `.venv/spark` and Java, so `make backfill-test` runs it, and `make test` does not.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from anomalake import laptop, live, metric_set
from anomalake.demo import shop
from anomalake.lake.layout import Format
from anomalake.lake.store import FolderStore, Store
from anomalake.metric_set import MetricSet
from conftest import shop_text
from stack import TOP

PYTHON = TOP / ".venv/spark/bin/python"
WRITTEN = ("anomalyResults", "alerts", "quarantine", "detector")
SHOP = metric_set.parse(shop_text("Europe/Berlin"), "shop.yaml")


def fill(store: Store, item: MetricSet = SHOP, days: int = 26) -> None:
    """Live data over the days when clocks go forward: a series that comes late, one that goes, cells without a value, a gap, a row that is none."""
    frame = shop.make(days, start="2021-03-05").data
    day = (frame.timestamp - frame.timestamp.min()).dt.days
    late = (frame.platform == "mobile_app") & (frame.marketplace == "jp") & (day < 9)
    gone = (frame.platform == "pc_web") & (frame.marketplace == "us") & (day > 20)
    gap = (day == 22) & frame.timestamp.dt.hour.between(9, 13)
    thin = (day == 24) & frame.timestamp.dt.hour.between(9, 11) & (frame.platform != "pc_web")
    frame = frame[~(late | gone | gap | thin)].astype({"revenue": float})
    frame.loc[frame.index % 97 == 0, "revenue"] = np.nan
    again = frame[frame.index % 11 == 0]  # two rows of one series and interval: a sum and a mean
    laptop.lay_out(frame, item, store)
    for wall, rows in again.groupby("timestamp"):
        lines = "".join(f"{row.platform},{row.marketplace},{row.timestamp},{row.views},{row.revenue * 1.01:.3f}\n" for row in rows.itertuples())
        store.put(f"{live.folder(item, wall)}/more.csv", f"platform,marketplace,timestamp,views,revenue\n{lines}bad,row\n".encode())


@contextmanager
def started(lake: str, tmp_path: Path, *more: str, form: Format = "parquet", item: MetricSet = SHOP) -> Iterator["subprocess.Popen[str]"]:
    """The job, in a process group of its own; what it says goes to `log`."""
    sets = tmp_path / "sets"
    sets.mkdir(exist_ok=True)
    (sets / f"{item.name}.yaml").write_text(shop_text("Europe/Berlin"))
    command = [
        PYTHON, TOP / "glue/backfill.py", "--lake", lake, "--metric-set", item.name, "--metric-sets", sets, "--format", form, "--lease", "4", *more
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(TOP / "src"), "PYSPARK_PYTHON": str(PYTHON), "SPARK_LOCAL_IP": "127.0.0.1", "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "PYSPARK_SUBMIT_ARGS": f"--master local[2,4] --conf spark.ui.enabled=false --conf spark.local.dir={tmp_path / 'spark'} pyspark-shell",
    }  # fmt: skip
    with (tmp_path / "log").open("a") as log, subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def run(lake: str, tmp_path: Path, *more: str, form: Format = "parquet") -> str:
    """What the job says, once it is done."""
    with started(lake, tmp_path, *more, form=form) as process:
        process.wait(timeout=300)
    said = (tmp_path / "log").read_text()
    assert process.returncode == 0, said[-5000:]
    return said


def contents(store: Store) -> dict[str, bytes]:
    """Everything that a back-test writes, but for the lease."""
    keys = [key for folder in WRITTEN for key in store.list(folder) if not key.endswith("running.json")]
    return {key: stored.data for key in keys if (stored := store.get(key))}


def same(found: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(wanted)
    assert [key for key in wanted if found[key] != wanted[key]] == []


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a back-test in one process writes."""
    store = FolderStore(tmp_path_factory.mktemp("wanted"))
    fill(store)
    report = laptop.backtest(SHOP, store, (SHOP,), "parquet")
    assert report.alerts > 50
    assert report.found > 100
    return contents(store)


def test_the_job_writes_to_the_byte_what_a_backtest_writes(tmp_path, wanted):
    store = FolderStore(tmp_path / "lake")
    fill(store)
    said = run(str(store.root), tmp_path, "--parts", "5")
    same(contents(store), wanted)
    assert "alerts" in said
