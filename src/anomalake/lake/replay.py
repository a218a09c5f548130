"""Replays the archive: lists the days to rebuild, retries the quarantine, and runs the work in several processes.

A replay rebuilds the tables after a raised `version`, in another format, or because objects are damaged. Each UTC day
is one unit of work for one process (`replay_day`). New objects are written before old ones are deleted, no notification
is sent, and other writers can continue without losing data. docs/lake.md describes the command.
"""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from typing import TypeVar

from anomalake.domain.text import to_one_line
from anomalake.lake import archive, layout
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.parallel import map_in_order
from anomalake.lake.replay_day import adjacent_dates
from anomalake.lake.replay_job import MAX_FINDINGS, ArchivedDay, ReplayJob, ReplayResult
from anomalake.lake.store import StorageError

QUARANTINE_CHUNK_OBJECTS = 100  # in one unit of work
MAX_UNITS_WITHOUT_PROCESSES = 4  # so few units of work run faster in this process
_Unit = TypeVar("_Unit")


def list_days(job: ReplayJob) -> list[ArchivedDay]:
    """List the dates that the archive or the tables of the metric set have objects for."""
    store, versions_by_date = job.open_store(), dict[str, set[int]]()
    for key in store.list(layout.archive_folder(job.metric_set.name)):
        parsed = layout.parse_archive_key(key)
        if parsed is not None and parsed[0] <= job.metric_set.version:
            versions_by_date.setdefault(parsed[1], set()).add(parsed[0])
    for table in job.tables:
        for key in store.list(layout.table_folder(table, job.metric_set)):
            versions_by_date.setdefault(layout.date_in_key(key), set())
    # If the time zone or the frequency of the metric set changed, an alert's date can differ from its date in the
    # archive.
    first, last = layout.utc_date(job.start - timedelta(days=1)), layout.utc_date(job.end + timedelta(days=1))
    days = []
    for date in sorted(versions_by_date):
        if first <= date <= last:
            dates = (date, *adjacent_dates(date))
            versions = {job.metric_set.version}  # new alerts can arrive in the current version at any time
            versions.update(*(versions_by_date.get(near, ()) for near in dates))
            days.append(ArchivedDay(date, tuple(sorted(versions))))
    return days


def list_quarantine(job: ReplayJob) -> list[tuple[str, ...]]:
    """List the keys in quarantine, divided into units of work."""
    keys = tuple(job.open_store().list(layout.QUARANTINE_FOLDER))
    return [keys[start : start + QUARANTINE_CHUNK_OBJECTS] for start in range(0, len(keys), QUARANTINE_CHUNK_OBJECTS)]


def retry_quarantine(job: ReplayJob, keys: tuple[str, ...]) -> ReplayResult:
    """Ingest quarantined messages again.

    Messages that can be parsed now are deleted from quarantine after they are stored.
    """
    store, findings = job.open_store(), list[str]()
    messages = []
    for key, stored in zip(keys, map_in_order(store, store.get, keys), strict=True):
        try:
            messages += [Message(key, _parse_body(stored.data))] if stored else []
        except (ValueError, LookupError, TypeError) as error:
            problem = "is not an object of quarantine, which has the fields `reason` and `body`"
            findings.append(f"{key}: {problem}: {to_one_line(str(error), 200)}")
    result = ingest_messages(messages, store, job.sets, job.table_format, max_events=None)
    if result.error is not None and len(result.failed_ids) == len(messages):
        raise result.error
    rejected = {layout.quarantine_key(archive.digest_bodies([item.message.body])): item for item in result.quarantined}
    failed = dict.fromkeys(result.failed_ids, f"cannot be stored: {result.error}")
    # A part of a message that is still rejected has its own object in quarantine now, so the whole message can be
    # deleted.
    parsed = [message.id for message in messages if message.id not in rejected and message.id not in failed]
    for key in parsed:
        store.delete(key)
    remaining = {key: item.reason for key, item in rejected.items() if item.message.id not in failed} | failed
    findings += [f"{key}: {reason}" for key, reason in remaining.items()]
    return ReplayResult(
        alerts=len(result.stored),
        deleted=len(parsed),
        findings=tuple(findings[:MAX_FINDINGS]),
        finding_count=len(findings),
    )


def _parse_body(data: bytes) -> str:
    """Return the body of a quarantined message."""
    body = json.loads(data)["body"]
    if not isinstance(body, str):
        raise TypeError("`body` is not text")
    return body


def list_other_names(job: ReplayJob) -> list[str]:
    """List the names of metric sets in the archive that are not among the metric sets of the job."""
    names = {key.split("/")[1] for key in job.open_store().list(layout.ARCHIVE_FOLDER)}
    return sorted(names - {item.name for item in job.sets})


def run_in_processes(
    work: Callable[[ReplayJob, _Unit], ReplayResult], job: ReplayJob, units: Sequence[_Unit], processes: int
) -> Iterator[ReplayResult]:
    """Yield `work(job, unit)` for each unit of work, in order; several run at the same time, in separate processes."""
    if processes == 1 or len(units) <= MAX_UNITS_WITHOUT_PROCESSES:
        yield from (work(job, unit) for unit in units)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(units)), context, _end_with_parent) as pool:
        try:
            yield from pool.map(work, [job] * len(units), units)
        except BrokenProcessPool as error:
            raise StorageError(
                "a process of the replay was killed; run the replay again, and it continues with what is left"
            ) from error


def _end_with_parent() -> None:
    """Exit when the parent process ends for any reason. The parent handles interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
