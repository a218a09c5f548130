"""The Spark job that processes a metric set's past: a back-test of years of live data.

It writes the same tables and the same state as a back-test in one process. It runs as a job of AWS Glue 5, or locally:
`.venv/spark/bin/python glue/backfill.py --lake FOLDER --metric-set NAME`. `anomalake.detect.backtest_plan` and
`backtest_parts` do the work of each part; Spark distributes the parts. docs/backfill.md describes how to run the job
and what it guarantees.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pyspark import RDD, SparkConf, SparkContext, StorageLevel

from anomalake.cli.options import parse_utc_time
from anomalake.cli.reports import print_backtest_report, warn_of_unprojected_data
from anomalake.detect import backtest, backtest_parts, backtest_plan, reading
from anomalake.detect.backtest import Report
from anomalake.detect.backtest_plan import Job
from anomalake.detect.state import DetectorState
from anomalake.detect.timeline import build_timeline, utc_now
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import delete_unused_shards, read_feedback, save_state
from anomalake.functions.lease import LEASE_DURATION as DETECTOR_LEASE
from anomalake.functions.lease import MAX_LEASE_DURATION, describe_holder, hold_lease
from anomalake.lake import layout, top_values
from anomalake.lake.credentials import open_lake
from anomalake.lake.top_values import TopValues

LEASE_SECONDS = (
    300  # after the death of a run, another run can start when this time has passed; a live run renews its lease
)


def main(argv: list[str]) -> int:
    """Run the job; return 0 if it succeeded, 1 if alerts failed.

    Other failures raise, so that Glue reports a failed run.
    """
    arguments = _parse_arguments(argv)
    if arguments.region:
        os.environ["AWS_REGION"] = arguments.region
    conf = (
        SparkConf()
        .setAppName("anomalake-backfill")
        .set("spark.driver.maxResultSize", "0")
        .set("spark.executorEnv.AWS_REGION", arguments.region)
    )
    context = SparkContext.getOrCreate(conf)
    sets = _load_metric_sets(arguments.metric_sets)
    metric_set = next((item for item in sets if item.name == arguments.metric_set), None)
    if metric_set is None or metric_set.source is None:
        known = ", ".join(item.name for item in sets if item.source is not None)
        raise UserError(
            f"--metric-set: {arguments.metric_sets} has no metric set '{arguments.metric_set}' with a source; "
            f"use one of: {known}"
        )
    report = backfill_alone(Job(arguments.lake, metric_set, sets, arguments.format), context, arguments)
    print_backtest_report(report, metric_set, arguments.lake)
    warn_of_unprojected_data([metric_set.clock.wall_time(report.first_interval)], metric_set, utc_now())
    return 1 if report.failed_alerts or report.quarantined_alerts else 0


def _parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True, help="s3://BUCKET, or a folder")
    parser.add_argument("--metric-set", required=True, help="the name of the metric set to process")
    parser.add_argument(
        "--metric-sets", default="src/metric_sets", help="the folder of the metric sets, or s3://BUCKET/FOLDER"
    )
    parser.add_argument(
        "--format", choices=["parquet", "csv"], default="parquet", help="the format of the lake's tables"
    )
    parser.add_argument(
        "--parts",
        type=int,
        default=0,
        help="the minimum number of parts into which the job divides the series (default: the number of Spark's cores)",
    )
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", ""), help="the region of the bucket")
    parser.add_argument(
        "--now",
        type=parse_utc_time,
        help="process the intervals that are due at this time in UTC, such as 2026-07-01T11:00 (default: the clock)",
    )
    parser.add_argument(
        "--lease",
        type=float,
        default=LEASE_SECONDS,
        help="seconds after the death of a run until another run can start (default: %(default)s)",
    )
    return parser.parse_known_args(argv)[0]  # Glue adds arguments of its own


def backfill_alone(job: Job, context: SparkContext, arguments: argparse.Namespace) -> Report:
    """Process the past while this run alone holds the detector's lease; wait for the lease of a run that died."""
    length = timedelta(seconds=arguments.lease)
    if not timedelta(0) < length <= MAX_LEASE_DURATION:
        most = MAX_LEASE_DURATION.total_seconds()
        raise UserError(f"--lease: must be more than 0 and at most {most:.0f} seconds")
    deadline = time.monotonic() + max(length, DETECTOR_LEASE).total_seconds() + 60
    while True:
        with hold_lease(job.store, job.metric_set, utc_now(), length) as acquired:
            if acquired:
                parts = arguments.parts or context.defaultParallelism
                return backfill(job, context, parts, arguments.now or utc_now())
        if time.monotonic() > deadline:
            raise UserError(
                f"{job.metric_set.name}: another run of its detector holds the lease: "
                f"{describe_holder(job.store, job.metric_set)}; try again when it has ended"
            )
        time.sleep(min(5, arguments.lease))


def backfill(job: Job, context: SparkContext, parts: int, now: datetime) -> Report:
    """Process the intervals that are due at `now` (naive UTC), then write what the detector learned.

    The state is written only if no other run wrote it meanwhile.
    """
    head = job.store.get(layout.state_key(job.metric_set))
    feedback = read_feedback(job.store, job.metric_set)
    quarantined = backtest.count_quarantined(job.store)
    timeline = build_timeline(job.store, job.metric_set, now)
    compaction.cancel_compactions(job.store, job.metric_set)
    days = backtest_plan.group_by_day(timeline.files)
    if job.metric_set.has_top:
        job = job._replace(top_values=_choose_top_values(job, context, timeline.files, len(days)))

    data = context.parallelize(days, len(days)).map(lambda day: backtest_plan.read_day(job, day))
    data = data.persist(StorageLevel.DISK_ONLY)
    by_day = sorted(data.map(lambda day: (day.day, day.summaries)).collect())
    summaries = [summary for _, of_day in by_day for summary in of_day]
    first_seen = data.map(lambda day: day.first_seen).treeReduce(backtest_plan.merge_first_seen)
    plan = backtest_plan.make_plan(job, days, first_seen, summaries, feedback=feedback.feedback, parts=parts)
    found, models = _score_and_write(context, data, plan)

    new_groups, ongoing = backtest_parts.group_events(plan, found.flatMap(lambda day: day.events).collect())
    groups = context.broadcast(new_groups)
    sent = found.map(lambda day: backtest_parts.ingest_day_alerts(job, day, groups.value)).collect()

    detector = backtest_parts.assemble_detector(plan, ongoing, models.collect())
    if detector.series:
        last = next(reversed(timeline.files))
        state = DetectorState(detector, last_processed=last, alerts_from=last, silent_intervals=0)
        save_state(job.store, job.metric_set, state, head)
        delete_unused_shards(job.store, job.metric_set)
    alerts, failed = (sum(counts) for counts in zip(*sent, strict=True))
    quarantined = backtest.count_quarantined(job.store) - quarantined
    return backtest.build_report(timeline, summaries, detector, (alerts, failed, quarantined), feedback.problems)


def _choose_top_values(
    job: Job, context: SparkContext, files: Mapping[datetime, Sequence[str]], slices: int
) -> TopValues:
    """Choose the values that `top` keeps of all data, and write them to the lake."""
    folders = [folder for folder in reading.group_by_folder(files.items()) if folder[1]]
    totals = context.parallelize(folders, slices).map(
        lambda folder: top_values.read_totals(job.store, job.metric_set, *folder)
    )
    chosen = reading.choose_largest(job.metric_set, totals.collect())
    top_values.write_top_values(job.store, job.metric_set, chosen)
    return chosen


def _score_and_write(
    context: SparkContext, data: RDD[backtest_plan.DayData], plan: backtest_plan.Plan
) -> tuple[RDD[backtest_parts.DayAlerts], RDD[backtest_parts.ChunkModel]]:
    """Score the chunks of series, then write each day; return the days' alerts and the models of the chunks."""
    known, days = context.broadcast(plan), len(plan.days)
    blocks = data.flatMap(lambda day: backtest_parts.split_day(known.value, day)).repartitionAndSortWithinPartitions(
        max(1, len(plan.chunks)), lambda key: key[0]
    )
    scored = blocks.mapPartitionsWithIndex(
        lambda chunk, part: (
            (_partition(item, days), item) for item in backtest_parts.score_chunk(known.value, chunk, part)
        )
    )
    by_day = scored.partitionBy(days + 1, lambda key: key).values()  # the last partition has the models
    written = by_day.mapPartitionsWithIndex(
        lambda number, items: [backtest_parts.write_day_results(known.value, number, items)] if number < days else items
    ).persist(StorageLevel.DISK_ONLY)
    return written.filter(_is_day_alerts), written.filter(lambda item: not _is_day_alerts(item))


def _partition(item: backtest_parts.DayPoints | backtest_parts.ChunkModel, days: int) -> int:
    """Return the number of the item's day; models come after the last day."""
    return item.day if isinstance(item, backtest_parts.DayPoints) else days


def _is_day_alerts(item: backtest_parts.DayAlerts | backtest_parts.ChunkModel) -> bool:
    return isinstance(item, backtest_parts.DayAlerts)


def _load_metric_sets(where: str) -> tuple[MetricSet, ...]:
    """Load the metric sets of a local folder, or of a folder in S3."""
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
