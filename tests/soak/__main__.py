"""Random rounds of all faults together: `make soak ROUNDS=20`, or `python -m soak --rounds 20 --seed 7` in tests/.

In each round several processes empty a queue that delivers at least once, in random batches, into a folder or into S3
through a proxy that injects faults. Some processes are killed, and some have a full disk. Then the lake must equal the
lake that one process writes without faults. The seed determines the messages and the faults; the order of the processes
differs from run to run.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import s3_proxy
import s3_server
import traffic
import worker
from anomalake.lake.ingest import Message
from anomalake.lake.layout import Format
from anomalake.lake.store import RetryPolicy, open_store
from examples import shop_text

SHORT_RETRY_POLICY = RetryPolicy(connect_seconds=0.5, request_seconds=0.5, total_seconds=3, max_attempts=4)
LONGEST = 300.0  # seconds of a round
FAULTY = (0.02, 0.1, 0.3)  # share of the requests of a round


class Queue:
    """A queue of messages that are not acknowledged yet. Acknowledged messages can be delivered again."""

    def __init__(self, rng: random.Random, bodies: list[str]) -> None:
        self._rng = rng
        self._waiting = traffic.messages(rng.sample(bodies, len(bodies)) + rng.choices(bodies, k=len(bodies) // 3))

    def batch(self) -> list[Message]:
        """Return up to ten messages. No other process gets them until they are returned."""
        sample = self._rng.sample(self._waiting, min(len(self._waiting), self._rng.randint(1, 10)))
        self._waiting = [message for message in self._waiting if message not in sample]
        return sample

    def done(self, sent: list[Message], answer: worker.Answer | None) -> None:
        """Return unacknowledged messages to the queue, and sometimes acknowledged ones."""
        self._waiting += [
            message for message in sent if answer is None or message.id in answer.failed or self._rng.random() < 0.05
        ]


@contextmanager
def lake_in(
    kind: str, rng: random.Random, folder: str, endpoint: str, did: Counter[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Return a new lake, and the environment variables of its workers."""
    if kind == "folder":
        yield f"{folder}/lake", {}
        return

    faulty = rng.choice(FAULTY)

    def plan(_: int, request: s3_proxy.Request) -> s3_proxy.Fault | None:
        if rng.random() >= faulty:
            return None
        did["requests failed"] += 1
        return rng.choice(s3_proxy.FAULTS)

    with s3_proxy.before(endpoint) as proxy:
        proxy.begin(plan)
        lake = s3_server.new_lake(endpoint)
        yield lake, s3_server.leading_to(proxy.endpoint)
        s3_server.remove(lake)


def fate(rng: random.Random, kind: str) -> worker.Plan:
    """Return the fault of a worker: usually none, otherwise a fault at a random step."""
    if rng.random() < 0.7:
        return worker.Plan(retry_policy=SHORT_RETRY_POLICY)
    fault: worker.Fault = "no space" if kind == "folder" and rng.random() < 0.5 else "kill"
    return worker.Plan(rng.randint(1, 100 if kind == "folder" else 40), fault, SHORT_RETRY_POLICY)


def run_round(
    rng: random.Random, kind: str, form: Format, endpoint: str, folder: str
) -> tuple[Counter[str], list[str]]:
    """Run one round. Returns the counts of the faults, and the keys in which the lake is wrong."""
    bodies, did, writers = traffic.bodies(rng, rng.randint(20, 60)), Counter[str](), rng.randint(2, 5)
    did.update(
        {
            "alerts": len(bodies),
            "writers": writers,
            "batches": 0,
            "requests failed": 0,
            "killed": 0,
            "messages handed back": 0,
        }
    )
    (sets := Path(folder, "sets")).mkdir()
    (sets / "shop.yaml").write_text(shop_text())
    queue, began = Queue(rng, bodies), time.monotonic()
    with lake_in(kind, random.Random(rng.random()), folder, endpoint, did) as (lake, way):
        environment = {
            **os.environ,
            **way,
            "ANOMALAKE_LAKE": lake,
            "ANOMALAKE_METRIC_SETS": str(sets),
            "ANOMALAKE_FORMAT": form,
        }
        working = list[
            tuple[worker.Worker, list[Message], float]
        ]()  # the worker, its messages, and the time at which it is killed
        while True:
            while len(working) < writers and (
                batches := [batch for _ in range(rng.randint(1, 3)) if (batch := queue.batch())]
            ):
                killed_at = time.monotonic() + (rng.uniform(0, 0.5) if rng.random() < 0.15 else LONGEST)
                sent = [message for batch in batches for message in batch]
                working.append((worker.start(batches, environment, fate(rng, kind)), sent, killed_at))
                did["batches"] += len(batches)
            if not working:
                break
            time.sleep(0.01)
            for entry in list(working):
                process, sent, killed_at = entry
                if time.monotonic() > killed_at:
                    process.process.kill()
                elif not process.answers.poll(0):
                    continue
                working.remove(entry)
                answer = worker.finish(process)
                did["killed"] += answer is None
                did["messages handed back"] += 0 if answer is None else len(answer.failed)
                queue.done(sent, answer)
            if time.monotonic() - began > LONGEST:
                raise AssertionError(f"the queue was not empty after {LONGEST} s")
        found, bodies_found = traffic.settled(traffic.objects(open_store(lake)))
    expected, bodies_expected = traffic.settled(traffic.clean(form, bodies))
    differing = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    return did, [*differing, *(["alerts/"] if bodies_found != bodies_expected else [])]


def main() -> int:
    """Run the rounds. Returns 1 if a lake is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with ExitStack() as stack:
        endpoint = s3_server.named_endpoint() or stack.enter_context(s3_server.running())
        os.environ.update(s3_server.leading_to(endpoint))
        for number in range(arguments.rounds):
            kind, form = ("folder", "s3")[number % 2], (("parquet", "csv")[number // 2 % 2])
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                did, differing = run_round(random.Random(f"{arguments.seed} {number}"), kind, form, endpoint, folder)
            summary = ", ".join(f"{count} {name}" for name, count in did.items())
            print(
                f"round {number + 1}: {kind}, {form}, {summary}: "
                f"{'NOT as it must be' if differing else 'as it must be'}",
                flush=True,
            )
            if differing:
                print(f"lost or doubled: {', '.join(differing)}")
                print(f"again with: --rounds {number + 1} --seed {arguments.seed}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
