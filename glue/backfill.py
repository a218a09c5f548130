"""The job that goes through a metric set's past in Spark: a back-test of years of live data, to the same tables and memory as one in one process.

A job of AWS Glue 5, or on this machine `.venv/spark/bin/python glue/backfill.py --lake FOLDER --metric-set NAME`. What each part does is in
`anomalake.detect.backtest`; here Spark hands the parts around. docs/backfill.md says how to run it and what it guarantees.
"""

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark import SparkConf, SparkContext, StorageLevel

from anomalake.cli.options import parse_utc_time
from anomalake.cli.reports import print_backtest_report, warn_of_unprojected_data
from anomalake.detect import backtest, backtest_parts, backtest_plan
from anomalake.detect.backtest import Report
from anomalake.detect.backtest_plan import Job
from anomalake.detect.state import Memory
from anomalake.detect.timeline import build_timeline, utc_now
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import delete_unused_shards, read_feedback, save_state
from anomalake.functions.lease import LEASE_DURATION as DETECTOR_LEASE
from anomalake.functions.lease import MAX_LEASE_DURATION, describe_holder, hold_lease
from anomalake.lake import layout
from anomalake.lake.credentials import open_lake

LEASE = 300  # seconds after which another run may begin where this one died; it is renewed as long as this one lives


def main(argv: list[str]) -> int:
    """Run the job; 0 done, 1 alerts were not taken. What cannot be done raises, which is how Glue knows that a run failed."""
    arguments = _arguments(argv)
    if arguments.region:
        os.environ["AWS_REGION"] = arguments.region
    conf = (
        SparkConf()
        .setAppName("anomalake-backfill")
        .set("spark.driver.maxResultSize", "0")
        .set("spark.executorEnv.AWS_REGION", arguments.region)
    )
    context = SparkContext.getOrCreate(conf)
    sets = _sets(arguments.metric_sets)
    item = next((one for one in sets if one.name == arguments.metric_set), None)
    if item is None or item.source is None:
        known = ", ".join(one.name for one in sets if one.source is not None)
        raise UserError(
            f"--metric-set: {arguments.metric_set!r} is no metric set with a source in {arguments.metric_sets}; there are {known}"
        )
    report = alone(backtest_plan.Job(arguments.lake, item, sets, arguments.format), context, arguments)
    print_backtest_report(report, item, arguments.lake)
    warn_of_unprojected_data([item.clock.wall_time(report.first_interval)], item, utc_now())
    return 1 if report.failed_alerts or report.quarantined_alerts else 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True, help="s3://BUCKET, or a folder")
    parser.add_argument("--metric-set", required=True, help="whose past: its name")
    parser.add_argument(
        "--metric-sets", default="src/metric_sets", help="the folder of the metric sets; s3://BUCKET/FOLDER too"
    )
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet", help="of the lake's tables")
    parser.add_argument(
        "--parts",
        type=int,
        default=0,
        help="parts that the series are cut into at least; as many as Spark has cores if not given",
    )
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", ""), help="of the bucket")
    parser.add_argument(
        "--now",
        type=parse_utc_time,
        help="intervals that are due at this time, 2026-07-01T11:00 in UTC, are processed (default: the clock)",
    )
    parser.add_argument(
        "--lease", type=float, default=LEASE, help="seconds after which another run may begin where this one died"
    )
    return parser.parse_known_args(argv)[0]  # Glue adds arguments of its own


def alone(job: Job, context: SparkContext, arguments: argparse.Namespace) -> Report:
    """Go through the past once the metric set's detector is this run's alone; a lease whose holder died is waited for."""
    length = timedelta(seconds=arguments.lease)
    if not timedelta(0) < length <= MAX_LEASE_DURATION:
        raise UserError(f"--lease: must be more than 0 and at most {MAX_LEASE_DURATION.total_seconds():.0f} seconds")
    patient = time.monotonic() + max(length, DETECTOR_LEASE).total_seconds() + 60
    while True:
        with hold_lease(job.store, job.metric_set, datetime.now(UTC).replace(tzinfo=None), length) as mine:
            if mine:
                return backfill(job, context, arguments.parts or context.defaultParallelism, arguments.now or utc_now())
        if time.monotonic() > patient:
            raise UserError(
                f"{job.metric_set.name}: another run of its detector is under way: {describe_holder(job.store, job.metric_set)}; try again when it has ended"
            )
        time.sleep(min(5, arguments.lease))


def backfill(job: Job, context: SparkContext, parts: int, now: datetime) -> Report:
    """Read, learn, write and file the intervals that are due at `now` (naive UTC); then keep what was learned, where nobody else did meanwhile."""
    head, feedback, before = (
        job.store.get(layout.state_key(job.metric_set)),
        read_feedback(job.store, job.metric_set),
        backtest.count_quarantined(job.store),
    )
    when = build_timeline(job.store, job.metric_set, now)
    compaction.cancel_compactions(job.store, job.metric_set)
    days = backtest_plan.group_by_day(when.files)

    read = (
        context.parallelize(days, len(days))
        .map(lambda day: backtest_plan.read_day(job, day))
        .persist(StorageLevel.DISK_ONLY)
    )
    told = [one for _, some in sorted(read.map(lambda one: (one.day, one.summaries)).collect()) for one in some]
    firsts = read.map(lambda one: one.first_seen).treeReduce(backtest_plan.merge_first_seen)
    course = backtest_plan.make_plan(job, days, firsts, told, feedback=feedback.feedback, parts=parts)
    known = context.broadcast(course)

    cut = read.flatMap(lambda one: backtest_parts.split_day(known.value, one)).repartitionAndSortWithinPartitions(
        max(1, len(course.chunks)), lambda key: key[0]
    )
    learned = cut.mapPartitionsWithIndex(
        lambda piece, blocks: (
            (_place(one, len(days)), one) for one in backtest_parts.score_chunk(known.value, piece, blocks)
        )
    )
    by_day = learned.partitionBy(len(days) + 1, lambda key: key).values()  # the last part: what the model remembers
    found = by_day.mapPartitionsWithIndex(
        lambda number, some: [backtest_parts.write_day_results(known.value, number, some)] if number < len(days) else some
    ).persist(StorageLevel.DISK_ONLY)  # fmt: skip
    events = found.filter(_is_found).flatMap(lambda one: one.events).collect()
    moved, ongoing = backtest_parts.group_events(course, events)
    settled = context.broadcast(moved)
    sent = found.filter(_is_found).map(lambda one: backtest_parts.ingest_day_alerts(job, one, settled.value)).collect()

    detector = backtest_parts.assemble_detector(course, ongoing, found.filter(lambda one: not _is_found(one)).collect())
    if detector.series:
        last = next(reversed(when.files))
        save_state(
            job.store, job.metric_set, Memory(detector, last_processed=last, alerts_from=last, silent_intervals=0), head
        )
        delete_unused_shards(job.store, job.metric_set)
    alerts, failed = (sum(some) for some in zip(*sent, strict=True))
    return backtest.build_report(
        when, told, detector, (alerts, failed, backtest.count_quarantined(job.store) - before), feedback.problems
    )


def _place(one: backtest_parts.DayPoints | backtest_parts.ChunkModel, days: int) -> int:
    """The day that it belongs to; what the model remembers comes after the last."""
    return one.day if isinstance(one, backtest_parts.DayPoints) else days


def _is_found(one: backtest_parts.DayAlerts | backtest_parts.ChunkModel) -> bool:
    return isinstance(one, backtest_parts.DayAlerts)


def _sets(where: str) -> tuple[MetricSet, ...]:
    """The metric sets of a folder, or of one in S3."""
    if "://" not in where:
        return metric_set_yaml.load_all(Path(where))
    store = open_lake(where)
    with tempfile.TemporaryDirectory() as folder:
        for key in store.list(""):
            if key.endswith(".yaml") and (stored := store.get(key)):
                (Path(folder) / Path(key).name).write_bytes(stored.data)
        return metric_set_yaml.load_all(Path(folder))


if __name__ == "__main__":
    failed = main(sys.argv[1:])
    if failed:
        sys.exit(failed)
