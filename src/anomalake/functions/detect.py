"""The detect Lambda function: runs the detector of a metric set over every interval that is due.

The schedule of the metric set invokes it with the event `{"metricSet": "<name>"}`. A lease in the lake lets one run
of a metric set work at a time, and the state is replaced only if it is still the state that the run read. The next run
repeats the work of a run that was interrupted, and writes the same bytes and sends alerts with the same ids.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics

from anomalake.detect import observations, schedule
from anomalake.detect.completeness import count_place
from anomalake.detect.detector import Detector
from anomalake.detect.interval_result import Health, IntervalResult
from anomalake.detect.parameters import HISTORY_DAYS, HISTORY_DAYS_YEARLY
from anomalake.detect.reading import list_folders
from anomalake.detect.state import DetectorState, rebuild_hint
from anomalake.detect.timeline import describe_waiting, find_not_due, utc_now
from anomalake.domain.alert import Alert
from anomalake.domain.alert import encode as encode_alert
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import compaction
from anomalake.functions.detector_state import load_state, read_feedback, save_state, update_top_values
from anomalake.functions.ingest import process_batch
from anomalake.functions.lease import describe_holder, hold_lease
from anomalake.functions.messaging import MAX_REQUEST_BYTES, send_messages
from anomalake.functions.settings import METRICS_NAMESPACE, Settings, load_settings
from anomalake.lake import layout, live_data
from anomalake.lake.ingest import Message
from anomalake.lake.live_data import Finding, IntervalData
from anomalake.lake.store import StorageError, Store, StoredObject

RESERVED_MS = 90_000  # of the function's time, to write the state
MAX_LOGGED_FINDINGS = 10  # of one interval
MAX_EMPTY_INTERVALS = 24  # the newest intervals without data, for which later runs look for data again

logger = Logger()
metrics = Metrics(namespace=METRICS_NAMESPACE)


class RunResult(NamedTuple):
    """The result of a run, in numbers of intervals and alerts.

    `scored` intervals had data and `empty` ones had none; `due` intervals still have to be processed; `late`
    intervals received data after they were processed. `findings` are about live data in the future, and `notes` are
    lines of text about live data that is not due yet.
    """

    scored: int
    empty: int
    due: int
    alerts: int
    late: int = 0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


class _Progress(NamedTuple):
    """The state after some intervals, their counts, and the error that ended processing."""

    state: DetectorState
    scored: int = 0
    empty: int = 0
    alerts: int = 0
    error: StorageError | None = None


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the detector of the metric set that the event names. Returns counts, or why the run was skipped."""
    settings = load_settings()
    metric_set = _find_metric_set(event, settings)
    now = utc_now()
    metrics.add_dimension("MetricSet", metric_set.name)

    def has_time() -> bool:
        return context is None or context.get_remaining_time_in_millis() > RESERVED_MS

    with hold_lease(settings.store, metric_set, now) as acquired:
        metrics.add_metric("RunsSkipped", "Count", int(not acquired))
        if not acquired:
            skipped = "another run is in progress"
            logger.info(skipped, metric_set=metric_set.name, holder=describe_holder(settings.store, metric_set))
            return {"metricSet": metric_set.name, "skipped": skipped}
        result, state = run_detector(metric_set, settings, now, has_time)
        compact_finished_days(metric_set, settings, state, now, has_time)
    counts = {
        "IntervalsScored": result.scored,
        "IntervalsEmpty": result.empty,
        "IntervalsDue": result.due,
        "IntervalsSilent": state.silent_intervals,
        "IntervalsLate": result.late,
        "AlertsRaised": result.alerts,
    }
    for name, count in counts.items():
        metrics.add_metric(name, "Count", count)
    summary = {name: value for name, value in result._asdict().items() if name not in ("findings", "notes")}
    through = state.last_processed.isoformat()
    status = state.detector.status()
    logger.info(
        "detector ran", metric_set=metric_set.name, through=through, status=status, notes=result.notes,
        retired_series=state.detector.count_retired(), **summary,
    )  # fmt: skip
    return {"metricSet": metric_set.name, "through": through, **summary}


def _find_metric_set(event: object, settings: Settings) -> MetricSet:
    name = event.get("metricSet") if isinstance(event, dict) else None
    with_source = [metric_set for metric_set in settings.metric_sets if metric_set.source is not None]
    for metric_set in with_source:
        if metric_set.name == name:
            return metric_set
    known = ", ".join(metric_set.name for metric_set in with_source)
    expected = f'the event must be {{"metricSet": "<name>"}} with a metric set that has a source ({known})'
    raise ValueError(f"{expected}; it is {json.dumps(event)[:200]}")


def run_detector(
    metric_set: MetricSet, settings: Settings, now: datetime, has_time: Callable[[], bool]
) -> tuple[RunResult, DetectorState]:
    """Score the intervals that are due at `now` (naive UTC) while `has_time()` is true, and save the state.

    Raises `UserError` when the state does not fit, and `StorageError` when storage failed. When live data could not
    be read, the state after the intervals before it is saved first.
    """
    store, last_due = settings.store, schedule.last_due(metric_set, now)
    state, head = _load_state(store, metric_set, last_due, now)
    feedback = read_feedback(store, metric_set)
    state.detector.feedback = feedback.feedback
    for problem in feedback.problems:
        logger.warning("feedback cannot be read and is ignored", problem=problem)
    state, late = _record_late_data(state, metric_set, settings)
    progress = _process_intervals(state, metric_set, settings, last_due, has_time)
    state, due = progress.state, 0
    if state.detector.series:  # otherwise no readable data has arrived; the first data will be learned as history
        save_state(store, metric_set, state, head)
        due = sum(1 for _ in schedule.due_intervals(metric_set, state.last_processed, last_due))
    if progress.error is not None:
        raise progress.error
    findings, waiting = find_not_due(metric_set, live_data.list_interval_starts(store, metric_set, last_due), now)
    for finding in findings[:MAX_LOGGED_FINDINGS]:
        logger.warning("live data in the future", where=finding.where, problem=finding.problem, of=len(findings))
    notes = tuple(describe_waiting(metric_set, waiting))
    counts = (progress.scored, progress.empty, due, progress.alerts, late)
    return RunResult(*counts, findings=tuple(findings), notes=notes), state


def _load_state(
    store: Store, metric_set: MetricSet, last_due: datetime, now: datetime
) -> tuple[DetectorState, StoredObject | None]:
    """Return the state of the detector, or a new one, and the head it was read from."""
    state, head = load_state(store, metric_set)
    key, remedy = layout.state_key(metric_set), rebuild_hint(metric_set)
    if state is None:
        if store.get(layout.compaction_key(metric_set)) is not None:
            raise UserError(f"{key}: is gone, but other objects that the detector wrote with it exist; {remedy}")
        state = _create_state(store, metric_set, last_due)
    if state.last_processed > now:
        problem = f"the detector has processed intervals up to {state.last_processed} UTC, which is in the future"
        raise UserError(f"{key}: {problem}, so it would score nothing until then; {remedy}")
    return state, head


def _create_state(store: Store, metric_set: MetricSet, last_due: datetime) -> DetectorState:
    """Return a detector without history.

    It learns from the live data of the last weeks, and alerts on later intervals only.
    """
    is_long = metric_set.clock.step > timedelta(days=1)
    earliest = last_due - timedelta(days=HISTORY_DAYS_YEARLY if is_long else HISTORY_DAYS)
    starts = live_data.list_interval_starts(store, metric_set)
    first = next((start for start in starts if earliest <= start <= last_due), last_due)
    return DetectorState(Detector(metric_set), metric_set.clock.previous_start(first), last_due, 0)


def _process_intervals(
    state: DetectorState, metric_set: MetricSet, settings: Settings, last_due: datetime, has_time: Callable[[], bool]
) -> _Progress:
    """Process the intervals after the last processed one, up to `last_due`, while there is time."""
    progress = _Progress(state)
    intervals = _read_intervals(settings.store, metric_set, state.last_processed, last_due)
    while has_time():
        try:
            interval = next(intervals, None)
        except StorageError as error:  # the state of the intervals before this one is saved
            return progress._replace(error=error)
        if interval is None:
            break
        progress = _process_interval(progress, interval, settings)
    return progress


def _read_intervals(store: Store, metric_set: MetricSet, after: datetime, last_due: datetime) -> Iterator[IntervalData]:
    """Yield the live data of the intervals to process. Each folder is read once."""
    starts = list(_list_intervals(store, metric_set, after, last_due))
    kept_values = update_top_values(store, metric_set, starts)
    for in_folder, files in list_folders(store, metric_set, starts):
        yield from live_data.read_intervals(store, metric_set, in_folder, files, kept_values)


def _list_intervals(store: Store, metric_set: MetricSet, after: datetime, last_due: datetime) -> Iterator[datetime]:
    """Return the intervals to process.

    All live data is listed only if so many intervals are due that gaps in the data matter.
    """
    if last_due - after <= 2 * schedule.gap_edge(metric_set):
        return schedule.due_intervals(metric_set, after, last_due)
    starts = live_data.list_interval_starts(store, metric_set)
    return schedule.intervals_to_process(metric_set, after, last_due, starts)


def _process_interval(progress: _Progress, interval: IntervalData, settings: Settings) -> _Progress:
    """Score an interval, write the result and send the alerts.

    Raises `StorageError`: then nothing of this run is saved, and the next run processes the intervals again.
    """
    state, start, has_data = progress.state, interval.start, bool(interval.values)
    alerts: tuple[Alert, ...] = ()
    if has_data or state.detector.series:  # otherwise no data has arrived yet, so no data is missing
        result = state.detector.score(interval)
        alerts = result.alerts if start >= state.alerts_from else ()
        _write_result(result, state.detector, settings)
        _send_alerts(alerts, settings)
    for finding in interval.findings[:MAX_LOGGED_FINDINGS]:
        logger.warning(
            "live data cannot be read", where=finding.where, problem=finding.problem, of=interval.finding_count
        )
    empty_intervals, silent_intervals = state.empty_intervals, 0
    if not has_data:
        if state.detector.series:
            empty_intervals = (*empty_intervals, start)[-MAX_EMPTY_INTERVALS:]
        has_started = bool(interval.findings or state.silent_intervals or state.detector.series)
        silent_intervals = state.silent_intervals + has_started
    state = state._replace(last_processed=start, silent_intervals=silent_intervals, empty_intervals=empty_intervals)
    scored, empty = progress.scored + has_data, progress.empty + (not has_data)
    return _Progress(state, scored, empty, progress.alerts + len(alerts))


def _write_result(result: IntervalResult, detector: Detector, settings: Settings) -> None:
    """Write the observations and the data health of an interval. Repeating it writes the same bytes."""
    metric_set = detector.metric_set
    objects = observations.encode_results(metric_set, settings.format, list(detector.series), [result])
    for table, data in objects.items():
        settings.store.put(layout.table_key(table, metric_set, result.start, settings.format), data)


def _send_alerts(alerts: Sequence[Alert], settings: Settings) -> None:
    """Send the alerts to the queue.

    File an alert here, with the code of the ingest function, when it is too large for a message or when there is no
    queue.
    """
    queued: list[str] = []
    direct: list[Message] = []
    for number, body in enumerate(map(encode_alert, alerts)):
        if settings.queue_url and len(body) <= MAX_REQUEST_BYTES:
            queued.append(body.decode())
        else:
            direct.append(Message(f"large-{number}", body.decode()))
    send_messages(settings.queue_url, queued)
    if direct and (error := process_batch(direct, settings).error) is not None:
        raise error


def _record_late_data(state: DetectorState, metric_set: MetricSet, settings: Settings) -> tuple[DetectorState, int]:
    """Find data that arrived after its interval was processed, and record it in the data health table.

    The intervals are counted and not scored, and later runs do not look at them again. Returns the state and the count.
    """
    store = settings.store
    late = list(_find_late(store, metric_set, state.empty_intervals))
    for start in late:
        wall = metric_set.clock.wall_time(start)
        usual_count = state.detector.completeness.usual_count(*count_place(wall, metric_set.frequency))
        record = Health(start, "late", 0, usual_count, 0, 0, 0)
        with contextlib.suppress(StorageError):  # a day with an unreadable object does not stop the detector
            compaction.replace_record(store, metric_set, settings.format, "dataHealth", instant=start, record=record)
        remedy = "`anomalake detect --rebuild` scores it"
        logger.warning(f"data arrived after its interval was processed; {remedy}", interval=wall.isoformat())
    empty_intervals = tuple(start for start in state.empty_intervals if start not in late)
    late_intervals = state.late_intervals + len(late)
    return state._replace(empty_intervals=empty_intervals, late_intervals=late_intervals), len(late)


def _find_late(store: Store, metric_set: MetricSet, empty: Sequence[datetime]) -> Iterator[datetime]:
    """Return which of the intervals without data have live files now.

    If their folder covers other intervals too, its files are read to find out.
    """
    for starts, files in list_folders(store, metric_set, empty):
        if files and metric_set.folder_period == metric_set.frequency:
            yield from starts
        elif files:
            read = live_data.read_intervals(store, metric_set, starts, files)
            yield from (interval.start for interval in read if interval.values)


def compact_finished_days(
    metric_set: MetricSet, settings: Settings, state: DetectorState, now: datetime, has_time: Callable[[], bool]
) -> None:
    """Compact the days whose intervals are all processed. When storage fails, log it; the next run continues."""
    if not state.detector.series:
        return
    after = state.last_processed
    try:
        compaction.compact_days(settings.store, metric_set, settings.format, after=after, now=now, has_time=has_time)
    except StorageError as error:
        logger.warning("compaction of finished days failed; the next run continues", problem=str(error))
