"""Delivers the hostile events to the ingest function under limits, in a process of its own.

Usage: `python tests/support/bounded.py LAKE`, with a folder or `memory://`.

For each message, an event has two seconds of processor time; for each event, 200 MB of additional memory. The process
can write only to the lake, and read only files of Python, time zones and the lake. Each line of the output that begins
with FAULT reports an event that violated a rule. The last line of the error output names the event in progress.
"""

import json
import os
import re
import resource
import signal
import sys
import traceback
import zoneinfo
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostile
import hostile_events
from anomalake import sources
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.routing import find_metric_set
from anomalake.functions import ingest as function
from anomalake.functions.settings import load_settings
from anomalake.lake import archive, encoding, layout, tables
from anomalake.lake.folder_store import FolderStore

SECONDS, BYTES = 2.0, 200_000_000
PREFIXES = re.compile(
    r"(anomalyResults|alerts|quarantine|notifications)(/[A-Za-z0-9_=-]+)*/[A-Za-z0-9-]+\.(parquet|csv|jsonl|json)"
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
TOP = Path(__file__).parents[2]


class TimeLimitExceeded(BaseException):
    """The processor time is used up. The function does not catch this exception."""


def _alarm(*_: object) -> None:
    raise TimeLimitExceeded


def _memory() -> int:
    """The private writable memory of the process in bytes, as counted by RLIMIT_DATA."""
    return 1024 * int(re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


@contextmanager
def limits(messages: int) -> Iterator[None]:
    """Two seconds of processor time for each message, and 200 MB of additional memory."""
    resource.setrlimit(resource.RLIMIT_DATA, (_memory() + BYTES, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SECONDS * messages)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Watch:
    """Records what the process opens, writes and runs outside its permissions."""

    def __init__(self, lake: str) -> None:
        self.seen: list[str] = []
        self.lake = os.path.realpath(lake)
        own = [
            sys.prefix,
            sys.base_prefix,
            TOP,
            *zoneinfo.TZPATH,
            "/proc/self/status",
            *sys.path[1:],
            lake,
            os.environ["ANOMALAKE_METRIC_SETS"],
        ]
        self.readable = tuple(map(os.path.realpath, own))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(details[0], str | bytes):
            path = os.path.realpath(os.fsdecode(details[0]))
            allowed = (self.lake,) if details[2] & WRITING else self.readable
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.rename", "os.link", "os.symlink"):
            path, allowed = (
                os.path.realpath(os.fsdecode(details[1 if event in ("os.rename", "os.link", "os.symlink") else 0])),
                (self.lake,),
            )
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
            path, allowed = str(details), ()
        else:
            return
        if not any(path == allowed_path or path.startswith(f"{allowed_path}/") for allowed_path in allowed):
            self.seen.append(f"{event} {path}")


def fault(damage: str, problem: str) -> None:
    """Write one line of the output."""
    sys.stdout.write(ascii(f"FAULT {damage}: {problem}"[:2_000])[1:-1] + "\n")


def deliver(delivery: hostile_events.Delivery, watch: Watch) -> None:
    """Send the event to the function. An exception, a request for a retry and a forbidden access are faults."""
    damage = "; ".join(message.damage for message in delivery.messages)
    sys.stderr.write(ascii(damage) + "\n")
    try:
        with limits(len(delivery.messages)):
            answer = function.handler(delivery.event, None)
    except TimeLimitExceeded:
        fault(damage, f"took more than {SECONDS} s\n{traceback.format_exc(limit=-3)}".replace("\n", " | "))
    except Exception as error:  # noqa: BLE001  (the function must raise no exception)
        fault(damage, f"raised {type(error).__name__}: {error}")
    else:
        if answer.get("batchItemFailures"):
            fault(damage, f"asks for a retry: {answer}")
    if watch.seen:
        fault(damage, f"accessed {watch.seen}")
        watch.seen.clear()


def _find_outcomes(
    body: str, archived: Collection[str], reasons: Collection[str], sets: tuple[MetricSet, ...]
) -> set[str]:
    """The outcomes of a body: of the whole body, of each event in it, or of each alert of an event."""
    outcomes = {
        name
        for name, where in ((hostile_events.STORED, archived), (hostile_events.QUARANTINED, reasons))
        if body in where
    }
    events = [] if outcomes else sources.split_message(body)
    smaller = events if len(events) > 1 else [] if outcomes else sources.split_event(body, sets)
    return outcomes.union(*(_find_outcomes(part, archived, reasons, sets) for part in smaller if part != body)) or {
        hostile_events.NO_ALERT
    }


def check(deliveries: list[hostile_events.Delivery]) -> None:
    """Compare the content of the lake with the allowed outcomes of each message."""
    settings = load_settings(function.BATCH_RETRY_POLICY)  # cached: the settings of the function
    store, sets = settings.store, settings.metric_sets
    folder = Path(os.environ["ANOMALAKE_LAKE"])
    files = (
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != ".locks"
    )
    for key in files if isinstance(store, FolderStore) else store.list(""):
        if not PREFIXES.fullmatch(key):
            fault(key, "is not a key of the lake")
    archived = {body for key in store.list("alerts") for body in archive.unpack_bodies(store.get(key).data)}
    reasons = {
        line["body"]: line["reason"] for key in store.list("quarantine") for line in [json.loads(store.get(key).data)]
    }
    events = defaultdict(set)
    for item in sets:
        for key in store.list(layout.table_folder("anomalyGroups", item)):
            columns = encoding.decode_table(
                settings.format, tables.schema("anomalyGroups", item), store.get(key).data, key
            )
            events[item.name].update(zip(columns["timestamp"], columns["metricName"], columns["eventId"], strict=True))
    for message in (message for delivery in deliveries for message in delivery.messages):
        outcomes = _find_outcomes(message.body, archived, reasons, sets)
        if not outcomes <= message.outcomes:
            fault(message.damage, f"ended as {outcomes}, not {set(message.outcomes)}: {reasons.get(message.body)}")
        elif message.body in reasons:
            reason = reasons[message.body]
            if (
                not reason
                or len(reason) > 5_000
                or "an error in Anomalake" in reason
                or not re.search(message.reason, reason, re.DOTALL)
            ):
                fault(message.damage, f"was quarantined with the reason {reason!r}, not {message.reason!r}")
        elif message.body in archived:
            for alert in sources.read(message.body, sets):
                item = find_metric_set(alert.anomaly_detector_arn, sets)
                if (item.start(alert.instant), alert.impacted_metric.metric_name, alert.event_id) not in events[
                    item.name
                ]:
                    fault(message.damage, "is archived, but is not in a table")


def main(lake: str) -> None:
    """Deliver all events, then check the lake."""
    signal.signal(signal.SIGPROF, _alarm)
    function.handler(
        json.loads(
            json.dumps(hostile_events.EventFactory().alert(score=99, alertName="the first alert imports modules"))
        ),
        None,
    )
    deliveries = list(hostile.deliveries())
    watch = Watch(lake)
    for delivery in deliveries:
        deliver(delivery, watch)
    check(deliveries)
    sys.stdout.write(f"DELIVERED {sum(len(delivery.messages) for delivery in deliveries)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
