"""Runs a backtest in parts, as the Spark job does, in one process."""

from datetime import datetime

from anomalake.detect import backtest, backtest_parts, backtest_plan, reading, timeline
from anomalake.detect.state import DetectorState
from anomalake.domain.metric_set import MetricSet
from anomalake.functions.detector_state import read_feedback, save_state
from anomalake.lake import layout, live_data
from anomalake.lake.top_values import write_top_values


def run_in_parts(root: str, parts: int, item: MetricSet, now: datetime | None = None) -> backtest.Report:
    """Run the backtest in parts. Each part runs twice."""
    job = backtest_plan.Job(root, item, (item,), "parquet")
    head, feedback = job.store.get(layout.state_key(item)), read_feedback(job.store, item).feedback
    when = timeline.build_timeline(job.store, item, now or timeline.utc_now())
    if item.has_top:
        kept = reading.choose_top_values(job.store, item, when.files.items())
        write_top_values(job.store, item, kept)
        job = job._replace(top_values=kept)
    days = backtest_plan.group_by_day(when.files)
    read = [backtest_plan.read_day(job, day) for _ in range(2) for day in days][len(days) :]
    firsts: dict[live_data.Series, tuple[int, int]] = {}
    for day in reversed(read):
        firsts = backtest_plan.merge_first_seen(firsts, day.first_seen)
    known = backtest_plan.make_plan(
        job, days, firsts, [summary for day in read for summary in day.summaries], feedback=feedback, parts=parts
    )
    cut = sorted((block for day in read for block in backtest_parts.split_day(known, day)), key=lambda block: block[0])
    learned = []
    for piece in range(len(known.chunks)):
        blocks = [block for block in cut if block[0][0] == piece]
        learned += [list(backtest_parts.score_chunk(known, piece, blocks)) for _ in range(2)][1]
    points = [result for result in learned if isinstance(result, backtest_parts.DayPoints)]
    found = [
        backtest_parts.write_day_results(known, day.number, [result for result in points if result.day == day.number])
        for _ in range(2)
        for day in days
    ]
    moved, ongoing = backtest_parts.group_events(known, (event for day in found[: len(days)] for event in day.events))
    sent = [backtest_parts.ingest_day_alerts(job, day, moved) for day in found]
    detector = backtest_parts.assemble_detector(
        known, ongoing, [result for result in learned if isinstance(result, backtest_parts.ChunkModel)]
    )
    last = next(reversed(when.files))
    if detector.series:
        known_state = DetectorState(detector, last_processed=last, alerts_from=last, silent_intervals=0)
        save_state(job.store, item, known_state, head)
    return backtest.build_report(
        when,
        [summary for day in read for summary in day.summaries],
        detector,
        (sum(count for count, _ in sent) // 2, 0, 0),
        (),
    )
