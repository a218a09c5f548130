"""Compares the ingest function under load with the reference (reference.py), both against one moto S3 server on
loopback.

`load` measures alerts per second, S3 requests and bytes. `contention` counts lost and duplicate rows when eight
processes write the same timestamps. `volume` measures the memory for 10,000 alerts. Workers import and run everything
once before they are timed.
"""

import io
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import s3_server
from alerts import CONTRIBUTIONS_PER_ALERT, MEASURES, SERIES_PER_ALERT, build_alert
from ingest_workers import REFERENCE, Job, Work, create_sender, get_wall_seconds, run_job, start_server, start_workers

ROUNDS = 3
BATCH_SIZE = 10  # alerts in an SQS batch
# Alerts of each worker, by the number of workers. Batches have more alerts, so that they have as many timestamps.
ALERTS_BY_WORKERS = {1: 20, 8: 10}
WRITERS, SHARED_TIMESTAMPS = 8, 20  # parallel processes, and the timestamps that all of them write
VOLUME_BATCHES, FIRST_CHECK_ALERTS = 1_000, 1_000  # batches in total; alerts before the memory is first measured


class Scenario(NamedTuple):
    """A way to send alerts: the system, the alerts in a batch, and the distinct timestamps among ten alerts."""

    system: str
    size: int
    distinct: int


class Run(NamedTuple):
    """The mean cost of an alert over all workers, and the load of the server."""

    rate: float  # alerts per second
    client: float  # milliseconds of processor time
    server: float  # milliseconds of processor time
    busy: float  # processor time of the server as a share of the wall time
    requests: float
    received: float  # bytes, at the server
    sent: float

    @property
    def processor(self) -> float:
        """Milliseconds of processor time on both sides. They depend least on other work of the machine."""
        return self.client + self.server


SCENARIOS = (
    Scenario(REFERENCE, 1, 10),
    Scenario("parquet", 1, 10),
    Scenario("csv", 1, 10),
    Scenario("parquet", BATCH_SIZE, 10),
    Scenario(REFERENCE, 1, 5),
    Scenario("parquet", 1, 5),
    Scenario("parquet", BATCH_SIZE, 5),
    Scenario(REFERENCE, 1, 1),
    Scenario("parquet", 1, 1),
    Scenario("parquet", BATCH_SIZE, 1),
    Scenario("csv", BATCH_SIZE, 1),
)


def load(_: Path) -> None:
    """Measure alerts per second with one worker and with eight, at new and at known timestamps; requests and bytes
    per alert.
    """
    with start_server() as endpoint:
        for workers, fewest in ALERTS_BY_WORKERS.items():
            runs: dict[tuple[Scenario, bool], list[Run]] = {
                (scenario, known): [] for scenario in SCENARIOS for known in (False, True)
            }
            with start_workers(workers) as pool:
                for number in range(ROUNDS):
                    for scenario in SCENARIOS:
                        bucket = f"load-{workers}-{number}-{scenario.system}-{scenario.size}-{scenario.distinct}"
                        s3_server.create_bucket(endpoint, bucket)
                        count = fewest if scenario.size == 1 else fewest * BATCH_SIZE // scenario.distinct
                        for known in (False, True):
                            jobs = [
                                Job(scenario.system, bucket, _batches(scenario, worker, count, known))
                                for worker in range(workers)
                            ]
                            runs[scenario, known].append(_measure_run(pool, endpoint, jobs))
            print(f"{workers} worker{'s' * (workers > 1)}, medians of {ROUNDS} rounds; at new / known timestamps:")
            medians = {place: Run(*map(statistics.median, zip(*rounds, strict=True))) for place, rounds in runs.items()}
            for scenario in SCENARIOS:
                reference = [medians[Scenario(REFERENCE, 1, scenario.distinct), known] for known in (False, True)]
                measured = [medians[scenario, known] for known in (False, True)]
                print(f"  {_describe_scenario(scenario)}: {_describe_runs(measured, reference)}")


def _describe_scenario(scenario: Scenario) -> str:
    how = "one at a time" if scenario.size == 1 else "in a batch"
    return f"ten alerts of {scenario.distinct} timestamp{'s' * (scenario.distinct > 1)} {how}, {scenario.system}"


def _describe_runs(runs: Sequence[Run], reference: Sequence[Run]) -> str:
    def each(form: Callable[[Run], str]) -> str:
        return " / ".join(map(form, runs))

    pairs = list(zip(runs, reference, strict=True))
    faster = " / ".join(f"{run.rate / other.rate:.1f}" for run, other in pairs)
    cheaper = " / ".join(f"{other.processor / run.processor:.1f}" for run, other in pairs)
    return (
        f"{each(lambda run: f'{run.rate:,.0f}')} alerts/s, {faster} times the reference "
        f"(by processor time {cheaper}); for one alert "
        f"{each(lambda run: f'{run.requests:.1f}')} requests, "
        f"{each(lambda run: f'{run.received / 1000:.1f}')} kB sent, "
        f"{each(lambda run: f'{run.sent / 1000:.1f}')} kB received, "
        f"processor {each(lambda run: f'{run.client:.1f}')} ms in the client, "
        f"{each(lambda run: f'{run.server:.1f}')} ms in the server ({each(lambda run: f'{run.busy:.0%}')} of a core)"
    )


def _batches(scenario: Scenario, worker: int, count: int, known: bool) -> list[list[str]]:
    """The alerts of a worker, at timestamps that no other worker uses."""
    bodies = [
        body
        for ten in range(count // BATCH_SIZE)
        for body in _build_ten_alerts(400 * worker + ten * scenario.distinct, scenario.distinct, known)
    ]
    return [bodies[first : first + scenario.size] for first in range(0, count, scenario.size)]


def _build_ten_alerts(first: int, distinct: int, known: bool) -> list[str]:
    """Ten alerts of both measures at `distinct` timestamps.

    With `known`, other events of the other measure at the same times.
    """
    places = [(number % distinct, number // distinct) for number in range(BATCH_SIZE)]
    return [
        build_alert(first + place, MEASURES[(place + event + known) % 2], event=event + BATCH_SIZE * known)
        for place, event in places
    ]


def contention(_: Path) -> None:
    """Eight processes write their own series and contributions to the same timestamps: once, and with every alert
    sent twice.
    """
    expected = WRITERS * SHARED_TIMESTAMPS * SERIES_PER_ALERT, WRITERS * SHARED_TIMESTAMPS * CONTRIBUTIONS_PER_ALERT
    with start_server() as endpoint, start_workers(WRITERS) as pool:
        for times in (1, 2):
            for system in (REFERENCE, "parquet", "csv"):
                bucket = f"contention-{times}-{system}"
                s3_server.create_bucket(endpoint, bucket)
                work = pool.map(
                    run_job,
                    [Job(system, bucket, _build_shared_alerts(worker) * times) for worker in range(WRITERS)],
                    chunksize=1,
                )
                cells, shares, doubled = pool.apply(_count_rows, (bucket,))
                print(
                    f"{WRITERS} writers of the same {SHARED_TIMESTAMPS} timestamps, "
                    f"each alert {'once' if times == 1 else 'twice'}, {system}: "
                    f"{expected[0] - cells:,} of {expected[0]:,} values lost ({1 - cells / expected[0]:.0%}), "
                    f"{expected[1] - shares:,} of {expected[1]:,} contributions ({1 - shares / expected[1]:.0%}), "
                    f"{doubled:,} duplicate rows; "
                    f"{WRITERS * SHARED_TIMESTAMPS * times / get_wall_seconds(work):,.0f} alerts/s, "
                    f"{sum(worker.retried for worker in work)} retried"
                )


def _build_shared_alerts(worker: int) -> list[list[str]]:
    return [[build_alert(number, MEASURES[worker % 2], owner=f"{worker}-")] for number in range(SHARED_TIMESTAMPS)]


def _count_rows(bucket: str) -> tuple[int, int, int]:
    """Count cells with a value, distinct contributions, and duplicate rows in all objects of the two tables."""
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
    """Send 10,000 alerts, one batch for each of 1,000 timestamps, through the handler in one process; report rate
    and peak memory.
    """
    with start_server() as endpoint:
        s3_server.create_bucket(endpoint, "volume")
        send, began = create_sender("parquet", "volume"), time.monotonic()
        for number in range(VOLUME_BATCHES):
            with redirect_stdout(None):
                send(_build_ten_alerts(number, 1, known=False))
            count = BATCH_SIZE * (number + 1)
            if count in (FIRST_CHECK_ALERTS, BATCH_SIZE * VOLUME_BATCHES):
                peak = (
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
                )
                print(
                    f"{count:,} alerts in batches of ten: {count / (time.monotonic() - began):,.0f} alerts/s, "
                    f"peak memory {peak:.0f} MB"
                )


def _measure_run(pool: Pool, endpoint: str, jobs: Sequence[Job]) -> Run:
    s3_server.requests(endpoint)
    before = s3_server.seconds(endpoint)
    work: list[Work] = pool.map(run_job, jobs, chunksize=1)
    server = s3_server.seconds(endpoint) - before
    requests: list[dict[str, Any]] = s3_server.requests(endpoint)
    count, wall = sum(len(batch) for job in jobs for batch in job.batches), get_wall_seconds(work)
    return Run(
        rate=count / wall,
        client=1000 * sum(worker.processor_seconds for worker in work) / count,
        server=1000 * server / count,
        busy=server / wall,
        requests=len(requests) / count,
        received=sum(request["received"] for request in requests) / count,
        sent=sum(request["sent"] for request in requests) / count,
    )
