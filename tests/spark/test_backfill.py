"""The Spark job, run as a job on local Spark: to the byte what a back-test writes, and the rows and the memory of the
live detector.

Requires `.venv/spark` and Java, so `make backfill-test` runs it, and `make test` does not.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
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
    """Run the job to its end; return its output."""
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
    """What a back-test in one process writes."""
    store = FolderStore(tmp_path_factory.mktemp("wanted"))
    write_live_data(store)
    return run_in_one_process(store)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with the shop's live data."""
    write_live_data(FolderStore(tmp_path / "lake"))
    return tmp_path / "lake"


def test_lost_tasks_run_again_and_a_killed_job_starts_again(lake, tmp_path, wanted):
    store = FolderStore(lake)
    with job(lake, tmp_path) as process:
        wait_until(lambda: some_days_are_written(lake), process)
        spark_job.kill_job(process)
    assert not list(lake.glob("detector/**/state.json"))  # nothing is said to be done
    assert 0 < len(read_outputs(store)) < len(wanted)
    with job(lake, tmp_path) as process:  # it waits for the lease of the dead
        wait_until(lambda: bool(workers(process)), process)
        for worker in workers(process):
            os.kill(worker, signal.SIGKILL)
        process.wait(timeout=400)
        log = (tmp_path / "log").read_text()
        assert process.returncode == 0, log[-5000:]
    assert "Python worker exited unexpectedly (crashed)" in log
    assert_same_objects(read_outputs(store), wanted)
    until_then = json.loads((lake / layout.lease_key(SHOP)).read_text())["until"]
    assert detect.datetime.fromisoformat(until_then) < detect.datetime.now(detect.UTC).replace(tzinfo=None)


def workers(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return Spark's Python workers, once one of them works; the first such process starts the others."""
    found = {number: one for number, one in spark_job.job_processes(process).items() if "pyspark.daemon" in one.command}
    return sorted(found)[1:] if any(one.seconds > 1 for one in found.values()) else []


def test_a_job_in_s3_and_csv_needs_only_the_permissions_of_its_role(s3_lake, s3_endpoint, tmp_path):
    folder, store = FolderStore(tmp_path / "wanted"), open_store(s3_lake)
    for one in (folder, store):
        write_live_data(one, days=17)
    expected = run_in_one_process(folder, form="csv")
    s3_server.requests(s3_endpoint)
    run(s3_lake, tmp_path, form="csv")
    prefix = f"/{s3_lake.removeprefix('s3://')}/"
    asked = {(one["method"], one["path"].removeprefix(prefix)) for one in s3_server.requests(s3_endpoint)}
    assert_same_objects(read_outputs(store), expected)
    refused = {call for call in asked if not allowed(*call)}
    assert not refused
    assert len(asked) > 400
    assert not allowed("PUT", "shop/live/20210301/0000/data.csv")


@cache
def permissions() -> list[tuple[str, str]]:
    """Actions, and patterns of the bucket's objects, that the role of the shop's job has."""
    with tempfile.TemporaryDirectory() as folder:
        made = expand(project(Path(folder), [SHOP]))
    (document,) = [policy["PolicyDocument"] for policy in made["Catalog/SetShop/BackfillRole"].properties["Policies"]]
    return [
        (action, arn.partition(":::")[2].partition("/")[2])
        for one in document["Statement"]
        for action in one["Action"]
        for arn in one["Resource"]
    ]


def allowed(method: str, key: str) -> bool:
    """Whether the job's role may send the request; one without a key is for the bucket, a list or the removal of
    objects that the request names.
    """
    if key.startswith("/"):
        return method in {"GET", "POST"}
    action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[method]
    return any(action == one and fnmatchcase(key, pattern) for one, pattern in permissions())


def test_the_job_writes_the_same_rows_and_state_as_the_live_detector(lake, tmp_path):
    live = FolderStore(tmp_path / "live")
    write_live_data(live)
    starts = list(timeline.build_timeline(live, SHOP, timeline.utc_now()).files)
    for start in [starts[0], *starts[5::29], starts[-1]]:  # the first run learns from then on
        now = SHOP.clock.end(start) + timedelta(minutes=5)
        detect.run_detector(SHOP, Settings(live, (SHOP,), "parquet"), now, lambda: True)
    run(lake, tmp_path)
    spark = FolderStore(lake)
    for table in layout.GLUE_TABLE_NAMES:
        assert rows(live, table) == rows(spark, table), table
        assert rows(live, table)
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
    assert shards[0] == shards[1]  # named by their contents


def rows(store: Store, table: Table) -> list[str]:
    """A table's rows, in whatever objects they are."""
    schema, found = tables.schema(table, SHOP), list[str]()
    for key in store.list(layout.table_folder(table, SHOP)):
        stored = store.get(key)
        assert stored is not None
        found += map(repr, zip(*encoding.decode_table("parquet", schema, stored.data, key).values(), strict=True))
    return sorted(found)
