"""The function that runs a metric set's detector: `{"metricSet": "<name>"}`, as the schedule sends it; it scores every interval that is due.

One run at a time for a metric set: a lease in the lake keeps a second one away, and the state is only replaced where it is still the one that was
read. A run that is cut short did nothing that the next one would not do again, to the same bytes and with the same alert ids.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from anomalake.detect import model, schedule, state
from anomalake.detect.detector import Detector, Health, IntervalResult
from anomalake.detect.state import Memory
from anomalake.detect.timeline import describe_waiting, find_not_due
from anomalake.domain import alert as alerts
from anomalake.domain import intervals
from anomalake.domain.alert import Alert
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import load_state, read_feedback, save_state
from anomalake.functions.ingest import process_batch
from anomalake.functions.lease import describe_holder, hold_lease
from anomalake.functions.messaging import MAX_REQUEST_BYTES, send_messages
from anomalake.functions.settings import METRICS_NAMESPACE, Settings, load_settings
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.ingest import Message
from anomalake.lake.layout import Table
from anomalake.lake.live_data import Finding
from anomalake.lake.store import StorageError, Store

RESERVED_MS = 90_000  # of the function's time, for writing the state
MAX_LOGGED_FINDINGS = 10  # of an interval, in the log
MAX_MISSED_INTERVALS = 24  # intervals without data that are looked at again

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class RunResult(NamedTuple):
    """What a run did: intervals with data, without, those still due, alerts sent, and intervals whose data came after they were processed."""

    scored: int
    empty: int
    due: int
    alerts: int
    late: int = 0
    findings: tuple[Finding, ...] = ()  # live data that lies in the future
    notes: tuple[str, ...] = ()  # lines about live data that is left for later


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the detector of the named metric set; counts of what was done, or why it was not."""
    settings = load_settings()
    name = event.get("metricSet") if isinstance(event, dict) else None
    item = next((one for one in settings.metric_sets if one.name == name), None)
    if item is None or item.source is None:
        known = ", ".join(one.name for one in settings.metric_sets if one.source is not None)
        raise ValueError(
            f'the event must be {{"metricSet": "<name>"}}, of a metric set with a source ({known}); it is {json.dumps(event)[:200]}'
        )
    now = datetime.now(UTC).replace(tzinfo=None)
    metrics.add_dimension("MetricSet", item.name)
    with hold_lease(settings.store, item, now) as mine:
        metrics.add_metric("RunsSkipped", "Count", int(not mine))
        if not mine:
            logger.info("another run is under way", metric_set=item.name, holder=describe_holder(settings.store, item))
            return {"metricSet": item.name, "skipped": "another run is under way"}

        def has_time() -> bool:
            return context is None or context.get_remaining_time_in_millis() > RESERVED_MS

        done, memory = run_detector(item, settings, now, has_time)
        compact_finished_days(item, settings, memory, now, has_time)
    counts = {"IntervalsScored": done.scored, "IntervalsEmpty": done.empty, "IntervalsDue": done.due, "IntervalsSilent": memory.silent_intervals,
              "IntervalsLate": done.late, "AlertsRaised": done.alerts}  # fmt: skip
    for metric, count in counts.items():
        metrics.add_metric(metric, "Count", count)
    did = {name: value for name, value in done._asdict().items() if name not in ("findings", "notes")}
    logger.info(
        "detector ran",
        metric_set=item.name,
        through=memory.last_processed.isoformat(),
        status=memory.detector.status(),
        notes=done.notes,
        **did,
    )
    return {"metricSet": item.name, "through": memory.last_processed.isoformat(), **did}


def run_detector(
    metric_set: MetricSet, settings: Settings, now: datetime, has_time: Callable[[], bool]
) -> tuple[RunResult, Memory]:
    """Score what is due at `now` (naive UTC) as long as `has_time()`, and keep what was learned."""
    store, last = settings.store, schedule.last_due(metric_set, now)
    known, head = load_state(store, metric_set)
    if known is None and store.get(layout.compaction_key(metric_set)) is not None:
        raise UserError(
            f"{layout.state_key(metric_set)}: is gone, but not what the detector wrote with it; {state.rebuild_hint(metric_set)}"
        )
    memory = known or _beginning(store, metric_set, last)
    if memory.last_processed > now:
        when = f"has processed intervals up to {memory.last_processed} UTC, which lies in the future"
        raise UserError(
            f"{layout.state_key(metric_set)}: the detector {when}, so nothing would be scored until then; {state.rebuild_hint(metric_set)}"
        )
    feedback = read_feedback(store, metric_set)
    memory.detector.feedback = feedback.feedback
    for problem in feedback.problems:
        logger.warning("feedback that says nothing", problem=problem)
    memory, late = _late(memory, store, metric_set, settings)
    scored = empty = sent = 0
    broken: StorageError | None = None
    for start in _walked(store, metric_set, memory.last_processed, last):
        if not has_time():
            break
        try:
            interval = live_data.read_interval(
                store, metric_set, start, live_data.list_interval_files(store, metric_set, start)
            )
        except StorageError as error:  # what was learned before is kept
            broken = error
            break
        raised: tuple[Alert, ...] = ()
        if interval.values or memory.detector.series:  # else nothing has come yet, and nothing is missed
            outcome = memory.detector.score(interval)
            raised = outcome.alerts if start >= memory.alerts_from else ()
            _keep(
                outcome, metric_set, settings
            )  # where this fails nothing is kept of what was learned, and it is learned again
            _deliver(raised, settings)
        for finding in interval.findings[:MAX_LOGGED_FINDINGS]:
            logger.warning(
                "live data that could not be read",
                where=finding.where,
                problem=finding.problem,
                of=interval.finding_count,
            )
        heard = bool(interval.findings or memory.silent_intervals or memory.detector.series)
        came = bool(interval.values)
        scored, empty, sent = scored + came, empty + (not came), sent + len(raised)
        missed = (
            memory.empty_intervals
            if came or not memory.detector.series
            else (*memory.empty_intervals, start)[-MAX_MISSED_INTERVALS:]
        )
        memory = memory._replace(
            last_processed=start,
            silent_intervals=0 if came else memory.silent_intervals + heard,
            empty_intervals=missed,
        )
    left = 0
    if memory.detector.series:  # else nothing that can be read has come yet: what comes first is learned as history
        save_state(store, metric_set, memory, head)
        left = sum(1 for _ in schedule.due_intervals(metric_set, memory.last_processed, last))
    if broken is not None:
        raise broken
    findings, waiting = find_not_due(metric_set, live_data.list_interval_starts(store, metric_set, last), now)
    for finding in findings[:MAX_LOGGED_FINDINGS]:
        logger.warning("live data in the future", where=finding.where, problem=finding.problem, of=len(findings))
    return RunResult(
        scored, empty, left, sent, late, tuple(findings), tuple(describe_waiting(metric_set, waiting))
    ), memory


def _walked(store: Store, metric_set: MetricSet, after: datetime, last: datetime) -> Iterator[datetime]:
    """The intervals to process; the live data is only listed as a whole where so many are due that the gaps in it matter."""
    if last - after <= 2 * schedule.GAP_EDGE:
        return schedule.due_intervals(metric_set, after, last)
    return schedule.intervals_to_process(metric_set, after, last, live_data.list_interval_starts(store, metric_set))


def compact_finished_days(
    metric_set: MetricSet, settings: Settings, memory: Memory, now: datetime, has_time: Callable[[], bool]
) -> None:
    """Take the days that are over a step nearer to one object each; where storage fails the next run goes on from there."""
    if not memory.detector.series:
        return
    try:
        compaction.compact_days(
            settings.store, metric_set, settings.format, after=memory.last_processed, now=now, has_time=has_time
        )
    except StorageError as error:
        logger.warning("days that are over could not be brought together; the next run goes on", problem=str(error))


def _late(memory: Memory, store: Store, metric_set: MetricSet, settings: Settings) -> tuple[Memory, int]:
    """Count the intervals that had no data in time and have some now; they are not scored, and no longer watched."""
    late = [start for start in memory.empty_intervals if live_data.list_interval_files(store, metric_set, start)]
    for start in late:
        wall = metric_set.clock.wall_time(start)
        usual = memory.detector.completeness.usual_count(
            wall.toordinal(), intervals.get_slot(wall, metric_set.frequency)
        )
        with contextlib.suppress(StorageError):  # a day whose objects cannot be read stops no detector
            compaction.replace_record(
                store,
                metric_set,
                settings.format,
                "dataHealth",
                instant=start,
                record=Health(start, "late", 0, usual, 0, 0, 0),
            )
        logger.warning(
            "data came after its interval was processed; `anomalake detect --rebuild` scores it",
            interval=wall.isoformat(),
        )
    missed = tuple(start for start in memory.empty_intervals if start not in late)
    return memory._replace(empty_intervals=missed, late_intervals=memory.late_intervals + len(late)), len(late)


def _beginning(store: Store, metric_set: MetricSet, last: datetime) -> Memory:
    """A detector that knows nothing: it learns from the live data of the last weeks first, and alerts on what comes after."""
    earliest = last - timedelta(days=model.HISTORY_DAYS)
    first = next(
        (start for start in live_data.list_interval_starts(store, metric_set) if earliest <= start <= last), last
    )
    return Memory(Detector(metric_set), metric_set.clock.previous_start(first), last, 0)


def _keep(outcome: IntervalResult, metric_set: MetricSet, settings: Settings) -> None:
    """Write the interval's observations and health; written again they are the same."""
    written: tuple[tuple[Table, Sequence[tuple[Any, ...]]], ...] = (
        ("observations", outcome.observations), ("dataHealth", [outcome.health] if outcome.health else []),
    )  # fmt: skip
    for table, records in written:
        if records:  # no observations where no series has a value
            data = encoding.encode_records(settings.format, tables.schema(table, metric_set), records)
            settings.store.put(layout.table_key(table, metric_set, outcome.start, settings.format), data)


def _deliver(some: tuple[Alert, ...], settings: Settings) -> None:
    """Send the alerts to the queue; what is larger than a message may be, or where there is no queue, is filed here by the ingest function's code."""
    small: list[str] = []
    large: list[Message] = []
    for number, body in enumerate(map(alerts.encode, some)):
        if settings.queue_url and len(body) <= MAX_REQUEST_BYTES:
            small.append(body.decode())
        else:
            large.append(Message(f"large-{number}", body.decode()))
    send_messages(settings.queue_url, small)
    if large and (error := process_batch(large, settings).error) is not None:
        raise error
