"""The lease of a metric set's detector: an object in the lake that lets one run at a time work (docs/detector.md).

The object says which run holds the lease, and when the lease ends. A run renews its lease while it works; the lease
of a run that died ends by itself. A run replaces an object that no running detector can have written.
"""

import contextlib
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.store import StorageError, Store

LEASE_DURATION = timedelta(minutes=16)  # longer than the timeout of the function
MAX_LEASE_DURATION = timedelta(hours=1)  # leaves room for a difference between the clocks of two machines
RENEWALS_PER_DURATION = 4
MAX_QUOTED_CHARACTERS = 100  # of an invalid lease, in a warning


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lease. Times are ISO 8601 in UTC without an offset. `run` is random and identifies the run."""

    until: str
    since: str = ""
    host: str = ""
    process: int = 0
    run: str = ""

    @property
    def end(self) -> datetime:
        """The time at which the lease ends. Raises `ValueError` when `until` is not a time without an offset."""
        end = datetime.fromisoformat(self.until)
        if end.tzinfo is not None:
            raise ValueError(f"the time {self.until} has a UTC offset")
        return end


@contextmanager
def hold_lease(
    store: Store, metric_set: MetricSet, now: datetime, duration: timedelta = LEASE_DURATION
) -> Iterator[bool]:
    """Acquire the lease of the metric set's detector at `now` (naive UTC), and yield whether this run holds it.

    A thread renews the lease four times in its duration. When the run ends, it gives the lease back; when the run
    dies, the lease ends after at most its duration.
    """
    key, started, stop = layout.lease_key(metric_set), time.monotonic(), threading.Event()
    lease = Lease("", now.isoformat(timespec="seconds"), socket.gethostname(), os.getpid(), os.urandom(8).hex())

    def encode_until(end: datetime) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(lease, until=end.isoformat()))

    def renew() -> bool:
        end = now + timedelta(seconds=time.monotonic() - started) + duration
        return _replace_own_lease(store, key, lease, encode_until(end))

    if not _acquire(store, key, encode_until(now + duration), now):
        yield False
        return
    pause_seconds = duration.total_seconds() / RENEWALS_PER_DURATION
    renewer = threading.Thread(target=_renew_repeatedly, args=(renew, pause_seconds, stop, key), daemon=True)
    renewer.start()
    try:
        yield True
    finally:
        stop.set()
        renewer.join()
        with contextlib.suppress(StorageError):  # the lease then ends by itself
            _replace_own_lease(store, key, lease, encode_until(now))


def _renew_repeatedly(renew: Callable[[], bool], pause_seconds: float, stop: threading.Event, key: str) -> None:
    """Call `renew` every few seconds, until `stop` is set or another run holds the lease (`renew` returns False)."""
    while not stop.wait(pause_seconds):
        with contextlib.suppress(StorageError):  # the next renewal may succeed; otherwise the lease ends
            if not renew():
                result = "both runs continue, and only the first to write the state keeps its results"
                warnings.warn(f"{key}: another run took the lease of this run; {result}", stacklevel=2)
                return


def describe_holder(store: Store, metric_set: MetricSet) -> str:
    """Return a text for people that says who holds the lease, and when it ends."""
    key = layout.lease_key(metric_set)
    stored = store.get(key)
    lease = _parse_lease(stored.data) if stored else None
    if not isinstance(lease, Lease):
        return key
    holder = f"process {lease.process} on {lease.host}, since {lease.since} UTC; " if lease.host else ""
    return f"{holder}its lease {key} ends at {lease.end:%Y-%m-%d %H:%M} UTC unless it is renewed"


def _parse_lease(data: bytes) -> Lease | str:
    """Return the lease, or a text that says why the data is not a lease."""
    try:
        lease = msgspec.json.decode(data, type=Lease)
        _ = lease.end
    except (ValueError, RecursionError) as error:  # the errors of msgspec are ValueErrors
        return str(error)[:MAX_QUOTED_CHARACTERS]
    return lease


def _acquire(store: Store, key: str, data: bytes, now: datetime) -> bool:
    """Write the lease when nobody holds it; returns whether it was written."""
    if store.create(key, data):
        return True
    current = store.get(key)
    if current is None:  # another run deleted the object, or is writing it
        return False
    lease = _parse_lease(current.data)
    if isinstance(lease, str):
        problem = lease
    elif lease.end > now + MAX_LEASE_DURATION:
        problem = f"it ends at {lease.until[:MAX_QUOTED_CHARACTERS]}, too far in the future"
    elif lease.end > now:
        return False
    else:
        problem = ""
    if problem:
        warnings.warn(f"{key}: is not a valid lease ({problem}); this run replaces it", stacklevel=4)
    return store.replace(key, data, current.version)


def _replace_own_lease(store: Store, key: str, own: Lease, data: bytes) -> bool:
    """Write over the lease of this run; returns False when another run holds the lease."""
    current = store.get(key)
    lease = _parse_lease(current.data) if current else None
    return (
        current is not None
        and isinstance(lease, Lease)
        and lease.run == own.run
        and store.replace(key, data, current.version)
    )
