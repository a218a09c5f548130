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
from anomalake.detect.detector import Detector, Health, Scored
from anomalake.detect.state import Memory
from anomalake.detect.timeline import left_for_later, not_due
from anomalake.domain import alert as alerts
from anomalake.domain import intervals
from anomalake.domain.alert import Alert
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.ingest import take
from anomalake.functions.lease import holder, leased
from anomalake.functions.memory import recall, remember, said
from anomalake.functions.setting import METRICS_NAMESPACE, MOST_BYTES, Setting, send, setting
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.ingest import Message
from anomalake.lake.layout import Table
from anomalake.lake.live_data import Finding
from anomalake.lake.store import StorageError, Store

SPARE_MS = 90_000  # of the function's time, for writing the state
MOST_FINDINGS = 10  # of an interval, in the log
MOST_WATCHED = 24  # intervals without data that are looked at again

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class Run(NamedTuple):
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
    chosen = setting()
    name = event.get("metricSet") if isinstance(event, dict) else None
    item = next((one for one in chosen.sets if one.name == name), None)
    if item is None or item.source is None:
        known = ", ".join(one.name for one in chosen.sets if one.source is not None)
        raise ValueError(
            f'the event must be {{"metricSet": "<name>"}}, of a metric set with a source ({known}); it is {json.dumps(event)[:200]}'
        )
    now = datetime.now(UTC).replace(tzinfo=None)
    metrics.add_dimension("MetricSet", item.name)
    with leased(chosen.store, item, now) as mine:
        metrics.add_metric("RunsSkipped", "Count", int(not mine))
        if not mine:
            logger.info("another run is under way", metric_set=item.name, holder=holder(chosen.store, item))
            return {"metricSet": item.name, "skipped": "another run is under way"}

        def has_time() -> bool:
            return context is None or context.get_remaining_time_in_millis() > SPARE_MS

        done, memory = run(item, chosen, now, has_time)
        tidy_days(item, chosen, memory, now, has_time)
    counts = {"IntervalsScored": done.scored, "IntervalsEmpty": done.empty, "IntervalsDue": done.due, "IntervalsSilent": memory.silent,
              "IntervalsLate": done.late, "AlertsRaised": done.alerts}  # fmt: skip
    for metric, count in counts.items():
        metrics.add_metric(metric, "Count", count)
    did = {name: value for name, value in done._asdict().items() if name not in ("findings", "notes")}
    logger.info(
        "detector ran",
        metric_set=item.name,
        through=memory.after.isoformat(),
        status=memory.detector.status(),
        notes=done.notes,
        **did,
    )
    return {"metricSet": item.name, "through": memory.after.isoformat(), **did}


def run(metric_set: MetricSet, chosen: Setting, now: datetime, has_time: Callable[[], bool]) -> tuple[Run, Memory]:
    """Score what is due at `now` (naive UTC) as long as `has_time()`, and keep what was learned."""
    store, last = chosen.store, schedule.last_due(metric_set, now)
    known, head = recall(store, metric_set)
    if known is None and store.get(layout.compaction_key(metric_set)) is not None:
        raise UserError(
            f"{layout.state_key(metric_set)}: is gone, but not what the detector wrote with it; {state.remedy(metric_set)}"
        )
    memory = known or _beginning(store, metric_set, last)
    if memory.after > now:
        when = f"has processed intervals up to {memory.after} UTC, which lies in the future"
        raise UserError(
            f"{layout.state_key(metric_set)}: the detector {when}, so nothing would be scored until then; {state.remedy(metric_set)}"
        )
    feedback = said(store, metric_set)
    memory.detector.feedback = feedback.feedback
    for problem in feedback.problems:
        logger.warning("feedback that says nothing", problem=problem)
    memory, late = _late(memory, store, metric_set, chosen)
    scored = empty = sent = 0
    broken: StorageError | None = None
    for start in _walked(store, metric_set, memory.after, last):
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
                outcome, metric_set, chosen
            )  # where this fails nothing is kept of what was learned, and it is learned again
            _deliver(raised, chosen)
        for finding in interval.findings[:MOST_FINDINGS]:
            logger.warning(
                "live data that could not be read",
                where=finding.where,
                problem=finding.problem,
                of=interval.finding_count,
            )
        heard = bool(interval.findings or memory.silent or memory.detector.series)
        came = bool(interval.values)
        scored, empty, sent = scored + came, empty + (not came), sent + len(raised)
        missed = memory.missed if came or not memory.detector.series else (*memory.missed, start)[-MOST_WATCHED:]
        memory = memory._replace(after=start, silent=0 if came else memory.silent + heard, missed=missed)
    left = 0
    if memory.detector.series:  # else nothing that can be read has come yet: what comes first is learned as history
        remember(store, metric_set, memory, head)
        left = sum(1 for _ in schedule.due(metric_set, memory.after, last))
    if broken is not None:
        raise broken
    findings, waiting = not_due(metric_set, live_data.list_interval_starts(store, metric_set, last), now)
    for finding in findings[:MOST_FINDINGS]:
        logger.warning("live data in the future", where=finding.where, problem=finding.problem, of=len(findings))
    return Run(scored, empty, left, sent, late, tuple(findings), tuple(left_for_later(metric_set, waiting))), memory


def _walked(store: Store, metric_set: MetricSet, after: datetime, last: datetime) -> Iterator[datetime]:
    """The intervals to process; the live data is only listed as a whole where so many are due that the gaps in it matter."""
    if last - after <= 2 * schedule.EDGE:
        return schedule.due(metric_set, after, last)
    return schedule.walked(metric_set, after, last, live_data.list_interval_starts(store, metric_set))


def tidy_days(
    metric_set: MetricSet, chosen: Setting, memory: Memory, now: datetime, has_time: Callable[[], bool]
) -> None:
    """Take the days that are over a step nearer to one object each; where storage fails the next run goes on from there."""
    if not memory.detector.series:
        return
    try:
        compaction.compact(chosen.store, metric_set, chosen.format, after=memory.after, now=now, has_time=has_time)
    except StorageError as error:
        logger.warning("days that are over could not be brought together; the next run goes on", problem=str(error))


def _late(memory: Memory, store: Store, metric_set: MetricSet, chosen: Setting) -> tuple[Memory, int]:
    """Count the intervals that had no data in time and have some now; they are not scored, and no longer watched."""
    late = [start for start in memory.missed if live_data.list_interval_files(store, metric_set, start)]
    for start in late:
        wall = metric_set.clock.wall_time(start)
        usual = memory.detector.arrived.usual(wall.toordinal(), intervals.get_slot(wall, metric_set.frequency))
        with contextlib.suppress(StorageError):  # a day whose objects cannot be read stops no detector
            compaction.amend(
                store,
                metric_set,
                chosen.format,
                "dataHealth",
                instant=start,
                record=Health(start, "late", 0, usual, 0, 0, 0),
            )
        logger.warning(
            "data came after its interval was processed; `anomalake detect --rebuild` scores it",
            interval=wall.isoformat(),
        )
    missed = tuple(start for start in memory.missed if start not in late)
    return memory._replace(missed=missed, late=memory.late + len(late)), len(late)


def _beginning(store: Store, metric_set: MetricSet, last: datetime) -> Memory:
    """A detector that knows nothing: it learns from the live data of the last weeks first, and alerts on what comes after."""
    earliest = last - timedelta(days=model.HISTORY_DAYS)
    first = next(
        (start for start in live_data.list_interval_starts(store, metric_set) if earliest <= start <= last), last
    )
    return Memory(Detector(metric_set), metric_set.clock.previous_start(first), last, 0)


def _keep(outcome: Scored, metric_set: MetricSet, chosen: Setting) -> None:
    """Write the interval's observations and health; written again they are the same."""
    written: tuple[tuple[Table, Sequence[tuple[Any, ...]]], ...] = (
        ("observations", outcome.observations), ("dataHealth", [outcome.health] if outcome.health else []),
    )  # fmt: skip
    for table, records in written:
        if records:  # no observations where no series has a value
            data = encoding.encode_records(chosen.format, tables.schema(table, metric_set), records)
            chosen.store.put(layout.table_key(table, metric_set, outcome.start, chosen.format), data)


def _deliver(some: tuple[Alert, ...], chosen: Setting) -> None:
    """Send the alerts to the queue; what is larger than a message may be, or where there is no queue, is filed here by the ingest function's code."""
    small: list[str] = []
    large: list[Message] = []
    for number, body in enumerate(map(alerts.encode, some)):
        if chosen.queue and len(body) <= MOST_BYTES:
            small.append(body.decode())
        else:
            large.append(Message(f"large-{number}", body.decode()))
    send(chosen.queue, small)
    if large and (error := take(large, chosen).error) is not None:
        raise error
