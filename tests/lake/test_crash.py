"""The process is killed, or the disk is full, at any step of a batch. After the batch is delivered again, the lake is
correct.
"""

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

import traffic
import worker
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.store import Store, open_store
from examples import alert_body
from traffic import SHOP, Objects, messages, objects, settled

pytestmark = pytest.mark.slow

NOON, MIDNIGHT = "2021-02-17T12:00Z", "2021-02-18T00:00Z"
KNOWN = (alert_body(timestamp=NOON, event="a", score=40),)
# One timestamp is known and one is new. Two alerts have the same timestamp, and one message is invalid.
BATCH = (
    alert_body(timestamp=NOON, event="a", score=80),
    "{",
    alert_body("revenue", timestamp=NOON, event="b"),
    alert_body(timestamp=MIDNIGHT),
)
SAME, OTHERWISE = (
    (BATCH,),
    (BATCH[2:], BATCH[1:3], BATCH[:1]),
)  # what is delivered again: the batch, or its messages in other batches

clean = cache(traffic.clean)
Deliveries = Sequence[Sequence[str]]


@pytest.mark.parametrize(("fault", "form"), [("kill", "parquet"), ("kill", "csv"), ("no space", "csv")])
def test_a_fault_at_any_file_operation_loses_nothing_in_a_folder_lake(fault, form, tmp_path: Path, sets_folder):
    before, lake, copy = (tmp_path / name for name in ("before", "lake", "copy"))
    _fill(open_store(str(before)), clean(form, KNOWN))
    for step in _steps(fault, form, shutil.copytree(before, tmp_path / "untroubled"), sets_folder, least=50):
        for folder in (lake, copy):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, lake)
        failed = _interrupted(fault, step, form, lake, sets_folder)
        shutil.copytree(lake, copy)
        for again, folder in ((SAME, lake), (OTHERWISE, copy)):
            _delivered_again(again, failed, open_store(str(folder)), form, step)


@pytest.mark.parametrize(("form", "again"), [("parquet", SAME), ("csv", OTHERWISE)])
def test_a_kill_at_any_store_call_loses_nothing_in_a_lake_in_s3(form, again, s3_lake, sets_folder):
    _fill(open_store(s3_lake), clean(form, KNOWN))
    for step in _steps("kill", form, s3_lake, sets_folder, least=14):
        lake = f"{s3_lake}/{step}"
        _fill(open_store(lake), clean(form, KNOWN))
        failed = _interrupted("kill", step, form, lake, sets_folder)
        _delivered_again(again, failed, open_store(lake), form, step)


def _fill(store: Store, what: Objects) -> None:
    for key, data in what.items():
        store.put(key, data)


def _deliver(form: str, lake: object, sets: Path, plan: worker.Plan) -> worker.Answer | None:
    environment = {
        **os.environ,
        "ANOMALAKE_LAKE": str(lake),
        "ANOMALAKE_METRIC_SETS": str(sets),
        "ANOMALAKE_FORMAT": form,
    }
    return worker.deliver([messages(BATCH)], environment, plan)


def _steps(fault: worker.Fault, form: str, lake: object, sets: Path, least: int) -> range:
    """Return the steps of the batch without a fault. The last step is the kill just before the answer."""
    answer = _deliver(form, lake, sets, worker.NOTHING)
    assert answer is not None
    assert answer.steps >= least
    return range(1, answer.steps + (2 if fault == "kill" else 1))


def _interrupted(fault: worker.Fault, step: int, form: str, lake: object, sets: Path) -> set[str]:
    """Deliver the batch with the fault at that step. Returns the ids of the messages that SQS delivers again."""
    answer = _deliver(form, lake, sets, worker.Plan(step, fault))
    assert (answer is None) == (fault == "kill"), f"step {step}"
    _has_archived_what_its_tables_hold(objects(open_store(str(lake))), clean(form, KNOWN), step)
    return {message.id for message in messages(BATCH)} if answer is None else set(answer.failed)


def _has_archived_what_its_tables_hold(found: Objects, known: Objects, step: int) -> None:
    _, archived = settled(found)
    changed = {key for key, data in found.items() if key.startswith("anomalyResults/") and known.get(key) != data}
    for name, bodies in (("T1200Z", {BATCH[0], BATCH[2]}), ("T0000Z", {BATCH[3]})):
        if any(name in key for key in changed):
            assert bodies <= archived, f"step {step}: the tables hold what the archive does not"


def _delivered_again(again: Deliveries, failed: set[str], store: Store, form: str, step: int) -> None:
    ids = {message.body: message.id for message in messages(BATCH)}
    for bodies in again:
        assert not ingest_messages(
            [Message(ids[body], body) for body in bodies if ids[body] in failed], store, (SHOP,), form
        ).failed_ids, f"step {step}"
    found, expected = objects(store), clean(form, KNOWN, BATCH)
    assert settled(found) == settled(expected), f"step {step}"
    if again is SAME and len(failed) == len(BATCH):
        assert found == expected, f"step {step}"
