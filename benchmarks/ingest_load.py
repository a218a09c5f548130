"""The ingest function under load beside the reference (reference.py), both against one moto S3 server on loopback.

`load`: alerts a second, S3 requests and bytes. `contention`: what is lost and doubled where eight processes write the same timestamps.
`volume`: 10,000 alerts, and the memory they take. Workers have imported and run everything once before they are timed.
"""

import io
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import s3_server
from alerts import MEASURES, SERIES, SHARES, alert

METRIC_SETS = Path(__file__).parent.parent / "src/metric_sets"
REFERENCE = "reference"
ROUNDS = 3
BATCH = 10  # alerts of an SQS batch
LOAD = {1: 20, 8: 10}  # workers: alerts of each; in batches so many more that a batch's timestamps are as many
PROMPT = 120  # seconds until all workers must have come
WRITERS, SHARED = 8, 20  # processes at once, timestamps that all of them write
VOLUME, EARLY = 1_000, 1_000  # batches in all, alerts after which the memory is looked at first


class Job(NamedTuple):
    """What one worker sends: to the reference, or to the handler with the format of its tables, into which bucket."""

    system: str
    bucket: str
    batches: list[list[str]]


class Work(NamedTuple):
    """When a worker began and ended (monotonic seconds), the processor time it used, and the messages that had to be sent again."""

    began: float
    ended: float
    seconds: float
    again: int


class Lane(NamedTuple):
    """A way of sending: to whom, alerts in a batch, distinct timestamps among ten alerts."""

    system: str
    size: int
    distinct: int


class Run(NamedTuple):
    """What all workers needed for their alerts, each of them in the mean, and how much of a core the server took."""

    rate: float  # alerts a second
    client: float  # milliseconds of processor time
    server: float  # the same
    busy: float  # the server's processor time as a share of the wall time
    requests: float
    received: float  # bytes, at the server
    sent: float

    @property
    def processor(self) -> float:
        """Milliseconds on both sides, which depend least on what else the machine does."""
        return self.client + self.server


LANES = (
    Lane(REFERENCE, 1, 10), Lane("parquet", 1, 10), Lane("csv", 1, 10), Lane("parquet", BATCH, 10),
    Lane(REFERENCE, 1, 5), Lane("parquet", 1, 5), Lane("parquet", BATCH, 5),
    Lane(REFERENCE, 1, 1), Lane("parquet", 1, 1), Lane("parquet", BATCH, 1), Lane("csv", BATCH, 1),
)  # fmt: skip


def load(_: Path) -> None:
    """Alerts a second with one worker and with eight, of timestamps that are new and of the same again; requests and bytes of an alert."""
    with _server() as endpoint:
        for workers, fewest in LOAD.items():
            runs: dict[tuple[Lane, bool], list[Run]] = {(lane, known): [] for lane in LANES for known in (False, True)}
            with _workers(workers) as pool:
                for number in range(ROUNDS):
                    for lane in LANES:
                        bucket = f"load-{workers}-{number}-{lane.system}-{lane.size}-{lane.distinct}"
                        s3_server.create_bucket(endpoint, bucket)
                        count = fewest if lane.size == 1 else fewest * BATCH // lane.distinct
                        for known in (False, True):
                            jobs = [
                                Job(lane.system, bucket, _batches(lane, worker, count, known))
                                for worker in range(workers)
                            ]
                            runs[lane, known].append(_run(pool, endpoint, jobs))
            print(
                f"{workers} worker{'s' * (workers > 1)}, medians of {ROUNDS} rounds; at timestamps that are new / known:"
            )
            medians = {place: Run(*map(statistics.median, zip(*some, strict=True))) for place, some in runs.items()}
            for lane in LANES:
                reference = [medians[Lane(REFERENCE, 1, lane.distinct), known] for known in (False, True)]
                print(f"  {_named(lane)}: {_told([medians[lane, known] for known in (False, True)], reference)}")


def _named(lane: Lane) -> str:
    how = "one at a time" if lane.size == 1 else "in a batch"
    return f"ten alerts of {lane.distinct} timestamp{'s' * (lane.distinct > 1)} {how}, {lane.system}"


def _told(runs: Sequence[Run], reference: Sequence[Run]) -> str:
    def each(form: Callable[[Run], str]) -> str:
        return " / ".join(map(form, runs))

    pairs = list(zip(runs, reference, strict=True))
    faster = " / ".join(f"{run.rate / other.rate:.1f}" for run, other in pairs)
    cheaper = " / ".join(f"{other.processor / run.processor:.1f}" for run, other in pairs)
    return (
        f"{each(lambda run: f'{run.rate:,.0f}')} alerts/s, {faster} times the reference (by processor time {cheaper}); of one alert "
        f"{each(lambda run: f'{run.requests:.1f}')} requests, {each(lambda run: f'{run.received / 1000:.1f}')} kB sent, "
        f"{each(lambda run: f'{run.sent / 1000:.1f}')} kB received, processor {each(lambda run: f'{run.client:.1f}')} ms here, "
        f"{each(lambda run: f'{run.server:.1f}')} ms in the server ({each(lambda run: f'{run.busy:.0%}')} of a core)"
    )


def _batches(lane: Lane, worker: int, count: int, known: bool) -> list[list[str]]:
    """The worker's alerts, at timestamps that no other worker has."""
    bodies = [
        body for ten in range(count // BATCH) for body in _ten(400 * worker + ten * lane.distinct, lane.distinct, known)
    ]
    return [bodies[first : first + lane.size] for first in range(0, count, lane.size)]


def _ten(first: int, distinct: int, known: bool) -> list[str]:
    """Alerts of so many timestamps, from the first on, of both measures in turn; where they are known, other events of the other measure."""
    places = [(one % distinct, one // distinct) for one in range(BATCH)]
    return [
        alert(first + place, MEASURES[(place + event + known) % 2], event=event + BATCH * known)
        for place, event in places
    ]


def contention(_: Path) -> None:
    """Eight processes write the same timestamps, each its own series and contributions: once, and with every alert delivered twice."""
    expected = WRITERS * SHARED * SERIES, WRITERS * SHARED * SHARES
    with _server() as endpoint, _workers(WRITERS) as pool:
        for times in (1, 2):
            for system in (REFERENCE, "parquet", "csv"):
                bucket = f"contention-{times}-{system}"
                s3_server.create_bucket(endpoint, bucket)
                work = pool.map(
                    _work, [Job(system, bucket, _shared(worker) * times) for worker in range(WRITERS)], chunksize=1
                )
                cells, shares, doubled = pool.apply(_found, (bucket,))
                print(
                    f"{WRITERS} writers of the same {SHARED} timestamps, each alert {'once' if times == 1 else 'twice'}, {system}: "
                    f"{expected[0] - cells:,} of {expected[0]:,} values lost ({1 - cells / expected[0]:.0%}), "
                    f"{expected[1] - shares:,} of {expected[1]:,} contributions ({1 - shares / expected[1]:.0%}), {doubled:,} rows doubled; "
                    f"{WRITERS * SHARED * times / _wall(work):,.0f} alerts/s, {sum(one.again for one in work)} sent again"
                )


def _shared(worker: int) -> list[list[str]]:
    return [[alert(number, MEASURES[worker % 2], owner=f"{worker}-")] for number in range(SHARED)]


def _found(bucket: str) -> tuple[int, int, int]:
    """Cells with a value, distinct contributions, and rows that are there twice, in all objects of the two tables."""
    import boto3
    import pandas as pd

    import reference

    client = boto3.client("s3")
    tables = []
    for folder in (reference.VALUES, reference.CONTRIBUTIONS):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        objects = [(key, io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]
        tables.append(
            pd.concat(
                [pd.read_parquet(data) if key.endswith(".parquet") else pd.read_csv(data) for key, data in objects]
            )
        )
    values, shares = tables
    cells = sum(int(values[f"{measure}AnomalyMetricValue"].notna().sum()) for measure in MEASURES)
    distinct = shares.drop_duplicates(["timestamp", "metricName", "dimensionName", "dimensionValue"])
    return (
        cells,
        len(distinct),
        len(shares) - len(distinct) + int(values.duplicated(["timestamp", "platform", "marketplace"]).sum()),
    )


def volume(_: Path) -> None:
    """10,000 alerts of 1,000 timestamps, a batch for each, through the handler in one process: how fast, and its peak memory on the way."""
    with _server() as endpoint:
        s3_server.create_bucket(endpoint, "volume")
        send, began = _sender("parquet", "volume"), time.monotonic()
        for number in range(VOLUME):
            with redirect_stdout(None):
                send(_ten(number, 1, known=False))
            count = BATCH * (number + 1)
            if count in (EARLY, BATCH * VOLUME):
                peak = (
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
                )
                print(
                    f"{count:,} alerts in batches of ten: {count / (time.monotonic() - began):,.0f} alerts/s, peak memory {peak:.0f} MB"
                )


@contextmanager
def _server() -> Iterator[str]:
    """The S3 server, to which this process and those it starts send everything; its bucket `warm` is there."""
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
def _workers(count: int) -> Iterator[Pool]:
    """Processes that have sent an alert each way, and take one job each when all have one."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count, _ready, (context.Barrier(count),)) as pool:
        pool.map(_warm, range(count), chunksize=1)
        yield pool


_together: Barrier


def _ready(barrier: Barrier) -> None:
    global _together  # noqa: PLW0603  (a pool hands it over no other way)
    _together = barrier
    sys.stdout = None  # the handler's metrics go nowhere


def _warm(_: int) -> None:
    _together.wait(PROMPT)
    for system in (REFERENCE, "parquet", "csv"):
        for measure in MEASURES:
            _sender(system, "warm")([alert(0, measure)])


def _work(job: Job) -> Work:
    send = _sender(job.system, job.bucket)
    _together.wait(PROMPT)
    began, used = time.monotonic(), time.process_time()
    again = sum(send(batch) for batch in job.batches)
    return Work(began, time.monotonic(), time.process_time() - used, again)


def _sender(system: str, bucket: str) -> Callable[[Sequence[str]], int]:
    """What files a batch, again until it is filed, and answers with how many messages were sent again."""
    if system == REFERENCE:
        import boto3

        import reference

        client = boto3.client("s3")

        def plain(bodies: Sequence[str]) -> int:
            for body in bodies:
                reference.file(client, bucket, body)
            return 0

        return plain

    from anomalake.functions import ingest, settings

    os.environ |= {
        "ANOMALAKE_LAKE": f"s3://{bucket}",
        "ANOMALAKE_METRIC_SETS": str(METRIC_SETS),
        "ANOMALAKE_FORMAT": system,
    }
    settings.reset()
    settings.load_settings(ingest.BATCH_RETRY_POLICY)

    def queued(bodies: Sequence[str]) -> int:
        records = [
            {"eventSource": "aws:sqs", "messageId": str(number), "body": body} for number, body in enumerate(bodies)
        ]
        again = 0
        while True:
            failed = {
                item["itemIdentifier"] for item in ingest.handler({"Records": records}, None)["batchItemFailures"]
            }
            if not failed:
                return again
            records = [record for record in records if record["messageId"] in failed]
            again += len(records)

    return queued


def _wall(work: Sequence[Work]) -> float:
    return max(one.ended for one in work) - min(one.began for one in work)


def _run(pool: Pool, endpoint: str, jobs: Sequence[Job]) -> Run:
    s3_server.requests(endpoint)
    before = s3_server.seconds(endpoint)
    work: list[Work] = pool.map(_work, jobs, chunksize=1)
    server = s3_server.seconds(endpoint) - before
    seen: list[dict[str, Any]] = s3_server.requests(endpoint)
    count, wall = sum(len(batch) for job in jobs for batch in job.batches), _wall(work)
    return Run(
        rate=count / wall,
        client=1000 * sum(one.seconds for one in work) / count,
        server=1000 * server / count,
        busy=server / wall,
        requests=len(seen) / count,
        received=sum(one["received"] for one in seen) / count,
        sent=sum(one["sent"] for one in seen) / count,
    )
