"""The S3 server and the worker processes of ingest_load.py. Each worker files its alerts with the ingest function or
with the reference.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import s3_server
from alerts import MEASURES, build_alert

METRIC_SETS = Path(__file__).parent.parent / "src/metric_sets"
REFERENCE = "reference"
START_SECONDS = 120  # until all workers must be ready


class Job(NamedTuple):
    """The alerts of a worker. `system` is the reference, or the table format of the ingest function."""

    system: str
    bucket: str
    batches: list[list[str]]


class Work(NamedTuple):
    """The start and end of a worker (seconds of `time.monotonic`), its processor time, and the number of retried
    messages.
    """

    started: float
    ended: float
    processor_seconds: float
    retried: int


@contextmanager
def start_server() -> Iterator[str]:
    """Start the S3 server with the bucket `warm`, and direct this process and its children to it."""
    with s3_server.running() as endpoint:
        names = {
            "ENDPOINT_URL_S3": endpoint,
            "ACCESS_KEY_ID": "testing",
            "SECRET_ACCESS_KEY": "testing",
            "REGION": "us-east-1",
        }
        os.environ.update({f"AWS_{name}": value for name, value in names.items()})
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        s3_server.create_bucket(endpoint, "warm")
        yield endpoint


@contextmanager
def start_workers(count: int) -> Iterator[Pool]:
    """Start processes, send an alert in each way, and make them start their jobs together."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count, _initialize_worker, (context.Barrier(count),)) as pool:
        pool.map(_warm_up, range(count), chunksize=1)
        yield pool


_start_barrier: Barrier


def _initialize_worker(barrier: Barrier) -> None:
    global _start_barrier  # noqa: PLW0603  (a pool offers no other way to pass it)
    _start_barrier = barrier
    sys.stdout = None  # discards the metrics of the handler


def _warm_up(_: int) -> None:
    _start_barrier.wait(START_SECONDS)
    for system in (REFERENCE, "parquet", "csv"):
        for measure in MEASURES:
            create_sender(system, "warm")([build_alert(0, measure)])


def run_job(job: Job) -> Work:
    send = create_sender(job.system, job.bucket)
    _start_barrier.wait(START_SECONDS)
    began, used = time.monotonic(), time.process_time()
    retried = sum(send(batch) for batch in job.batches)
    return Work(began, time.monotonic(), time.process_time() - used, retried)


def create_sender(system: str, bucket: str) -> Callable[[Sequence[str]], int]:
    """Return a function that files a batch, retries until it is filed, and returns the number of retried messages."""
    if system == REFERENCE:
        import boto3

        import reference

        client = boto3.client("s3")

        def send_to_reference(bodies: Sequence[str]) -> int:
            for body in bodies:
                reference.file(client, bucket, body)
            return 0

        return send_to_reference

    from anomalake.functions import ingest, settings

    os.environ |= {
        "ANOMALAKE_LAKE": f"s3://{bucket}",
        "ANOMALAKE_METRIC_SETS": str(METRIC_SETS),
        "ANOMALAKE_FORMAT": system,
    }
    settings.reset()
    settings.load_settings(ingest.BATCH_RETRY_POLICY)

    def send_to_function(bodies: Sequence[str]) -> int:
        records = [
            {"eventSource": "aws:sqs", "messageId": str(number), "body": body} for number, body in enumerate(bodies)
        ]
        retried = 0
        while True:
            failed = {
                item["itemIdentifier"] for item in ingest.handler({"Records": records}, None)["batchItemFailures"]
            }
            if not failed:
                return retried
            records = [record for record in records if record["messageId"] in failed]
            retried += len(records)

    return send_to_function


def get_wall_seconds(work: Sequence[Work]) -> float:
    return max(worker.ended for worker in work) - min(worker.started for worker in work)
