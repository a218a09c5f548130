"""The lease that keeps two runs of a metric set's detector apart: an object in the lake that says who runs, and until when (docs/detector.md).

A run renews its lease while it works. A lease that nobody renews ends by itself, and one that nobody can have written holds nobody up.
"""

import contextlib
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.store import StorageError, Store, StoredObject

LEASE = timedelta(minutes=16)  # longer than the function may run
MAX_LEASE = timedelta(hours=1)  # none is longer, with a generous difference between two machines' clocks
MAX_QUOTED = 100  # characters of a broken lease in a warning


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times are ISO 8601 in naive UTC. `run` is random and tells one run from another."""

    until: str
    since: str = ""
    host: str = ""
    process: int = 0
    run: str = ""

    @property
    def end(self) -> datetime:
        """When it ends; `ValueError` where that is no naive time."""
        end = datetime.fromisoformat(self.until)
        if end.tzinfo is not None:
            raise ValueError(f"the time {self.until} names a zone")
        return end


@contextmanager
def leased(store: Store, metric_set: MetricSet, now: datetime, length: timedelta = LEASE) -> Iterator[bool]:
    """Whether the metric set's detector is this run's alone (at `now`, naive UTC); it then is until the end, or for `length` after the run dies.

    The lease is renewed from a thread of its own, four times in its length.
    """
    key, began, over = layout.lease_key(metric_set), time.monotonic(), threading.Event()
    mine = Lease("", now.isoformat(timespec="seconds"), socket.gethostname(), os.getpid(), os.urandom(8).hex())

    def ending(at: datetime) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(mine, until=at.isoformat()))

    def renew() -> None:
        while not over.wait(length.total_seconds() / 4):
            with contextlib.suppress(StorageError):  # the next time will do, or the lease ends
                if not _write_over(
                    store, key, mine, ending(now + timedelta(seconds=time.monotonic() - began) + length)
                ):
                    warnings.warn(
                        f"{key}: another run took the lease of this one, which goes on; the slower of them keeps nothing",
                        stacklevel=2,
                    )
                    return

    if not _take(store, key, ending(now + length), now):
        yield False
        return
    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        over.set()
        renewing.join()
        with contextlib.suppress(StorageError):  # then it ends by itself
            _write_over(store, key, mine, ending(now))


def holder(store: Store, metric_set: MetricSet) -> str:
    """Who has the lease and until when, for people."""
    key = layout.lease_key(metric_set)
    stored = store.get(key)
    lease = _read(stored.data) if stored else None
    if not isinstance(lease, Lease):
        return key
    who = f"process {lease.process} on {lease.host}, since {lease.since} UTC; " if lease.host else ""
    return f"{who}its lease {key} ends at {lease.end:%Y-%m-%d %H:%M} UTC unless it is renewed"


def _read(data: bytes) -> Lease | str:
    """The lease; where it is none, what is wrong."""
    try:
        lease = msgspec.json.decode(data, type=Lease)
        _ = lease.end
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        return str(error)[:MAX_QUOTED]
    return lease


def _take(store: Store, key: str, data: bytes, now: datetime) -> bool:
    if store.create(key, data):
        return True
    current = store.get(key)
    if current is None:  # another run just came or went
        return False
    found = _read(current.data)
    problem = (
        found
        if isinstance(found, str)
        else f"it ends at {found.until[:MAX_QUOTED]}, too far ahead"
        if found.end > now + MAX_LEASE
        else ""
    )
    if problem:
        warnings.warn(f"{key}: is no lease of a running detector ({problem}); this run replaces it", stacklevel=4)
    elif isinstance(found, Lease) and found.end > now:
        return False
    return store.replace(key, data, current.version)


def _write_over(store: Store, key: str, mine: Lease, data: bytes) -> bool:
    """Write over this run's own lease; False where another run has it."""
    current: StoredObject | None = store.get(key)
    found = _read(current.data) if current else None
    return (
        current is not None
        and isinstance(found, Lease)
        and found.run == mine.run
        and store.replace(key, data, current.version)
    )
