"""Any order, duplicates, batches and number of concurrent processes give the same bytes in the lake."""

import os
import random
from pathlib import Path

import pytest

import worker
from anomalake.lake.ingest import Message
from anomalake.lake.store import open_store
from traffic import batches, bodies, clean, messages, objects, settled

pytestmark = pytest.mark.slow

SEED = 20210217
WRITERS = 5


@pytest.fixture(params=["folder", "s3"])
def lake(request, tmp_path: Path) -> str:
    return str(tmp_path / "lake") if request.param == "folder" else request.getfixturevalue("s3_lake")


def test_the_alerts_of_these_tests_conflict_in_cells_and_events():
    all_bodies = bodies(random.Random(SEED), 50)
    first, last = (settled(clean("csv", *([body] for body in group))) for group in (all_bodies[:25], all_bodies))
    assert any(first[0][key] != last[0][key] for key in first[0])
    assert {key.split("/")[0] for key in last[0]} == {"anomalyResults", "quarantine"}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_concurrent_processes_write_the_same_lake_as_one_process(form, lake, sets_folder):
    rng = random.Random(SEED)
    all_bodies = bodies(rng, 50)
    environment = {
        **os.environ,
        "ANOMALAKE_LAKE": lake,
        "ANOMALAKE_METRIC_SETS": str(sets_folder),
        "ANOMALAKE_FORMAT": form,
    }
    sent = [messages(rng.sample(all_bodies, 20) + rng.choices(all_bodies, k=20)) for _ in range(WRITERS - 1)] + [
        messages(all_bodies)
    ]
    rounds = 0
    while any(sent):
        started = [worker.start(batches(rng, sent_messages), environment) for sent_messages in sent]
        answers = [worker.finish(process) for process in started]
        sent = [_handed_back(sent_messages, answer) for sent_messages, answer in zip(sent, answers, strict=True)]
        rounds += 1
        assert rounds < 10, "messages are handed back again and again"
    assert settled(objects(open_store(lake))) == settled(clean(form, all_bodies))


def _handed_back(sent_messages: list[Message], answer: worker.Answer | None) -> list[Message]:
    assert answer is not None, "nobody killed it"
    return [message for message in sent_messages if message.id in answer.failed]
