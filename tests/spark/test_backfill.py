"""The Spark job on local Spark: it writes the bytes of a backtest, and the rows and the state of the live detector.

Requires `.venv/spark` and Java, so `make backfill-test` runs it, and `make test` does not.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

import s3_server
import spark_job
from anomalake.detect import timeline
from anomalake.functions import detect
from anomalake.functions.detector_state import load_state
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import Format, Table
from anomalake.lake.store import Store, open_store
from examples import shop_text
from shop_history import SHOP, assert_same_objects, read_outputs, run_in_one_process, write_live_data
from stack import expand, project

LEASE = "4"  # seconds


def job(
    lake: Path | str, folder: Path, *more: str, form: Format = "parquet"
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Start the job on the shop, in five parts."""
    (folder / "sets").mkdir(exist_ok=True)
    (folder / "sets/shop.yaml").write_text(shop_text("Europe/Berlin"))
    named = [
        "--lake",
        lake,
        "--metric-set",
        "shop",
        "--metric-sets",
        folder / "sets",
        "--format",
        form,
        "--parts",
        "5",
        "--lease",
        LEASE,
    ]
    return spark_job.running_job([*named, *more], folder)


def run(lake: Path | str, folder: Path, *more: str, form: Format = "parquet") -> str:
    """Run the job to its end, and return its output."""
    with job(lake, folder, *more, form=form) as process:
        process.wait(timeout=400)
        log = (folder / "log").read_text()
        assert process.returncode == 0, log[-5000:]
    return log


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until the condition holds; fail if the job ends before."""
    while not condition():
        assert process.poll() is None, "the job ended before"
        time.sleep(0.02)


def some_days_are_written(lake: Path) -> bool:
    return len(list(lake.glob("anomalyResults/observations/shop/v1/date=*/*.parquet"))) > 2


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what a backtest in one process writes."""
    store = FolderStore(tmp_path_factory.mktemp("wanted"))
    write_live_data(store)
    return run_in_one_process(store)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with the live data of the shop."""
    write_live_data(FolderStore(tmp_path / "lake"))
    return tmp_path / "lake"


def test_lost_tasks_run_again_and_a_killed_job_starts_again(lake, tmp_path, wanted):
    store = FolderStore(lake)
    with job(lake, tmp_path) as process:
        wait_until(lambda: some_days_are_written(lake), process)
        spark_job.kill_job(process)
    assert not list(lake.glob("detector/**/state.json"))  # the job reports nothing as completed
    assert 0 < len(read_outputs(store)) < len(wanted)
    with job(lake, tmp_path) as process:  # the job waits for the lease of the killed job
        wait_until(lambda: kills_a_task(process, tmp_path / "log"), process)
        process.wait(timeout=400)
        log = (tmp_path / "log").read_text()
        assert process.returncode == 0, log[-5000:]
    assert_same_objects(read_outputs(store), wanted)
    until_then = json.loads((lake / layout.lease_key(SHOP)).read_text())["until"]
    assert datetime.fromisoformat(until_then) < timeline.utc_now()


def kills_a_task(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    """Kill the Python workers of Spark; return whether a task was lost. Workers can be between two tasks."""
    for worker in list_working_processes(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    time.sleep(0.5)
    return "Python worker exited unexpectedly (crashed)" in log.read_text()


def list_working_processes(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the Python workers of Spark as soon as one of them works. The first such process starts the others."""
    found = {
        number: job_process
        for number, job_process in spark_job.job_processes(process).items()
        if "pyspark.daemon" in job_process.command
    }
    return sorted(found)[1:] if any(job_process.seconds > 0.5 for job_process in found.values()) else []


def test_a_job_in_s3_and_csv_needs_only_the_permissions_of_its_role(s3_lake, s3_endpoint, tmp_path):
    folder, store = FolderStore(tmp_path / "wanted"), open_store(s3_lake)
    for each_store in (folder, store):
        write_live_data(each_store, days=17)
    expected = run_in_one_process(folder, form="csv")
    s3_server.requests(s3_endpoint)
    run(s3_lake, tmp_path, form="csv")
    prefix = f"/{s3_lake.removeprefix('s3://')}/"
    requests = {
        (request["method"], request["path"].removeprefix(prefix)) for request in s3_server.requests(s3_endpoint)
    }
    assert_same_objects(read_outputs(store), expected)
    refused = {call for call in requests if not allowed(*call)}
    assert not refused
    assert len(requests) > 400
    assert not allowed("PUT", "shop/live/20210301/0000/data.csv")


@cache
def permissions() -> list[tuple[str, str]]:
    """Return the actions, and the patterns of objects in the bucket, that the role of the job has."""
    with tempfile.TemporaryDirectory() as folder:
        resources = expand(project(Path(folder), [SHOP]))
    (document,) = [
        policy["PolicyDocument"] for policy in resources["Catalog/SetShop/BackfillRole"].properties["Policies"]
    ]
    return [
        (action, arn.partition(":::")[2].partition("/")[2])
        for statement in document["Statement"]
        for action in statement["Action"]
        for arn in statement["Resource"]
    ]


def allowed(method: str, key: str) -> bool:
    """Return whether the role of the job allows the request. A request without a key is for the bucket: a list, or the
    deletion of the objects that it names.
    """
    if key.startswith("/"):
        return method in {"GET", "POST"}
    action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[method]
    return any(action == one and fnmatchcase(key, pattern) for one, pattern in permissions())


def test_the_job_writes_the_same_rows_and_state_as_the_live_detector(lake, tmp_path):
    live = FolderStore(tmp_path / "live")
    write_live_data(live)
    starts = list(timeline.build_timeline(live, SHOP, timeline.utc_now()).files)
    for start in [starts[0], *starts[5::29], starts[-1]]:  # the first run learns from here on
        now = SHOP.clock.end(start) + timedelta(minutes=5)
        detect.run_detector(SHOP, Settings(live, (SHOP,), "parquet"), now, lambda: True)
    run(lake, tmp_path)
    spark = FolderStore(lake)
    for table in layout.GLUE_TABLE_NAMES:
        assert read_table_rows(live, table) == read_table_rows(spark, table), table
        assert read_table_rows(live, table)
    (one, _), (other, _) = load_state(live, SHOP), load_state(spark, SHOP)
    assert one is not None
    assert other is not None
    assert (one.last_processed, one.detector.series, one.detector.ongoing) == (
        other.last_processed,
        other.detector.series,
        other.detector.ongoing,
    )
    assert one.detector.completeness.counts.tolist() == other.detector.completeness.counts.tolist()
    shards = [{key for key in store.list("detector") if "/shards/" in key} for store in (live, spark)]
    assert shards[0] == shards[1]  # named by their content


def read_table_rows(store: Store, table: Table) -> list[str]:
    """Return the rows of a table, in whatever objects they are."""
    schema, found = tables.schema(table, SHOP), list[str]()
    for key in store.list(layout.table_folder(table, SHOP)):
        stored = store.get(key)
        assert stored is not None
        found += map(repr, zip(*encoding.decode_table("parquet", schema, stored.data, key).values(), strict=True))
    return sorted(found)
