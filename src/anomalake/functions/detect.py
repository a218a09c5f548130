"""The function that runs a metric set's detector: `{"metricSet": "<name>"}`, as the schedule sends it; it scores every interval that is due.

One run at a time for a metric set: a lease in the lake keeps a second one away, and the state is only replaced where it is still the one that was
read. A run that is cut short did nothing that the next one would not do again, to the same bytes and with the same alert ids.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from anomalake import alert as alerts
from anomalake import intervals, live
from anomalake.alert import Alert
from anomalake.detect import model, schedule, state
from anomalake.detect.run import Detector, Scored
from anomalake.detect.state import Memory
from anomalake.functions.ingest import take
from anomalake.functions.setting import METRICS_NAMESPACE, MOST_BYTES, Setting, send, setting
from anomalake.lake import encoding, layout, tables
from anomalake.lake.ingest import Message
from anomalake.lake.store import StorageError, Store
from anomalake.metric_set import MetricSet

LEASE = timedelta(minutes=16)  # longer than the function may run
SPARE_MS = 90_000  # of the function's time, for writing the state
MOST_FINDINGS = 10  # of an interval, in the log

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class Run(NamedTuple):
    """What a run did: intervals with data, without, those still due, and alerts sent."""

    scored: int
    empty: int
    due: int
    alerts: int


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the detector of the named metric set; counts of what was done, or why it was not."""
    chosen = setting()
    name = event.get("metricSet") if isinstance(event, dict) else None
    item = next((one for one in chosen.sets if one.name == name), None)
    if item is None or item.source is None:
        known = ", ".join(one.name for one in chosen.sets if one.source is not None)
        raise ValueError(f'the event must be {{"metricSet": "<name>"}}, of a metric set with a source ({known}); it is {json.dumps(event)[:200]}')
    now = datetime.now(UTC).replace(tzinfo=None)
    metrics.add_dimension("MetricSet", item.name)
    lease = _take_lease(chosen.store, item, now)
    metrics.add_metric("RunsSkipped", "Count", int(lease is None))
    if lease is None:
        logger.info("another run is under way", metric_set=item.name)
        return {"metricSet": item.name, "skipped": "another run is under way"}
    try:
        done, memory = run(item, chosen, now, lambda: context is None or context.get_remaining_time_in_millis() > SPARE_MS)
    finally:
        chosen.store.replace(layout.lease_key(item), _lease(now), lease)
    counts = {"IntervalsScored": done.scored, "IntervalsEmpty": done.empty, "IntervalsDue": done.due, "IntervalsSilent": memory.silent,
              "AlertsRaised": done.alerts}  # fmt: skip
    for metric, count in counts.items():
        metrics.add_metric(metric, "Count", count)
    logger.info("detector ran", metric_set=item.name, through=memory.after.isoformat(), **done._asdict())
    return {"metricSet": item.name, "through": memory.after.isoformat(), **done._asdict()}


def run(metric_set: MetricSet, chosen: Setting, now: datetime, has_time: Callable[[], bool]) -> tuple[Run, Memory]:
    """Score what is due at `now` (naive UTC) as long as `has_time()`, and keep what was learned."""
    key, store = layout.state_key(metric_set), chosen.store
    stored, last = store.get(key), schedule.last_due(metric_set, now)
    memory = state.load(stored.data, metric_set, key) if stored else _beginning(store, metric_set, last)
    scored = empty = sent = 0
    broken: StorageError | None = None
    for wall in schedule.due(metric_set, memory.after, last):
        if not has_time():
            break
        try:
            interval = live.read(store, metric_set, wall, live.files_of(store, metric_set, wall))
        except StorageError as error:  # what was learned before is kept
            broken = error
            break
        outcome = memory.detector.score(interval) if interval.values else None
        raised = outcome.alerts if outcome is not None and wall >= memory.alerts_from else ()
        if outcome is not None:  # where this fails nothing is kept: the detector has learned the interval, and would learn it again
            _keep(outcome, metric_set, chosen)
            _deliver(raised, chosen)
        for finding in interval.findings[:MOST_FINDINGS]:
            logger.warning("live data that could not be read", where=finding.where, problem=finding.problem, of=len(interval.findings))
        heard = bool(interval.findings or memory.silent or memory.detector.series)
        scored, empty, sent = scored + bool(outcome), empty + (not outcome), sent + len(raised)
        memory = memory._replace(after=wall, silent=0 if outcome else memory.silent + heard)
    left = 0
    if memory.detector.series:  # else nothing that can be read has come yet: what comes first is learned as history
        data = state.dump(memory)
        if not (store.replace(key, data, stored.version) if stored else store.create(key, data)):
            raise StorageError(f"{key}: another run wrote it meanwhile; what this run did will be done again, to the same end")
        left = sum(1 for _ in schedule.due(metric_set, memory.after, last))
    if broken is not None:
        raise broken
    return Run(scored, empty, left, sent), memory


def _beginning(store: Store, metric_set: MetricSet, last: datetime) -> Memory:
    """A detector that knows nothing: it learns from the live data of the last weeks first, and alerts on what comes after."""
    earliest = last - timedelta(days=model.HISTORY_DAYS)
    first = next((wall for wall in live.files_by_interval(store, metric_set) if earliest <= wall <= last), last)
    step = intervals.STEP[metric_set.frequency]
    return Memory(Detector(metric_set), first - step, last, 0)


def _keep(outcome: Scored, metric_set: MetricSet, chosen: Setting) -> None:
    """Write the interval's observations; written again they are the same."""
    if outcome.observations:  # none where no series has a value
        data = encoding.encode_records(chosen.format, tables.schema("observations", metric_set), outcome.observations)
        chosen.store.put(layout.table_key("observations", metric_set, outcome.start, chosen.format), data)


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


# --- the lease


def _lease(until: datetime) -> bytes:
    return json.dumps({"until": until.isoformat()}).encode()


def _take_lease(store: Store, metric_set: MetricSet, now: datetime) -> str | None:
    """The version of the lease that is now this run's; None where another run has it."""
    key, mine = layout.lease_key(metric_set), _lease(now + LEASE)
    if not store.create(key, mine):
        current = store.get(key)
        if current is None or datetime.fromisoformat(json.loads(current.data)["until"]) > now or not store.replace(key, mine, current.version):
            return None
    taken = store.get(key)
    return taken.version if taken is not None and taken.data == mine else None
