"""Storage of the lake: one interface (`Store`) to get, create, replace, put, delete and list objects in S3, a folder or
memory.

`create` and `replace` are conditional writes: when two writers compete, one succeeds and the other gets False. Several
processes can share a folder. A request to S3 that fails or times out is retried as the `RetryPolicy` allows.
`with_deadline` stops all calls before a function's time is over.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from anomalake.domain.errors import UserError

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
MAX_UPDATE_ATTEMPTS = 60  # eight concurrent writers of one key needed at most 27


class StorageError(Exception):
    """A storage operation failed. The message names the key and the cause; a retry can succeed."""


class UnreadableError(StorageError):
    """An object cannot be read, and a retry would not help: for example, the object is too large."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.problem = problem


class RetryPolicy(NamedTuple):
    """The time limits of a call to S3, and the number of attempts."""

    connect_seconds: float = 5  # to open a connection
    request_seconds: float = 30  # for one request
    total_seconds: float = 60  # after this time a call does not start another attempt
    max_attempts: int = 6

    @property
    def max_call_seconds(self) -> float:
        """The longest time that one call can take."""
        return self.total_seconds + self.request_seconds


DEFAULT_RETRY_POLICY = RetryPolicy()


class StoredObject(NamedTuple):
    """The bytes of an object, and its version for `Store.replace`."""

    data: bytes
    version: str


class Store(Protocol):
    """Every method can raise `StorageError`."""

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """Return the object, or None if it does not exist.

        Raise `UnreadableError`, without reading it, if it has more than `max_bytes`.
        """

    def get_last_written(self, key: str) -> StoredObject | None:
        """Return what this process last wrote to the key, without a request; None if it is not cached.

        Another writer may have replaced it since.
        """

    def create(self, key: str, data: bytes) -> bool:
        """Write a new object. Return False if the key exists."""

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """Replace the given version of the object. Return False if the object has another version or does not exist."""

    def put(self, key: str, data: bytes) -> None:
        """Write the object, whether or not the key exists."""

    def delete(self, key: str) -> None:
        """Delete the object, if it exists."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """List the keys under `prefix` (a folder, without a trailing slash) that sort after `after`, in order."""


def open_store(
    lake: str, credentials: "S3CredentialProvider | None" = None, retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
) -> Store:
    """Open the lake at `s3://bucket`, `s3://bucket/folder`, `memory://` or a local path.

    S3 uses `credentials`, or by default the credentials of the environment. Raise `UserError` if `lake` is not a valid
    location. Each kind of store is imported only if it is used; the ingest function does not contain `folder_store`.
    """
    if lake.startswith("s3://") or lake == "memory://":
        from anomalake.lake.object_store import ObjectStore  # noqa: PLC0415

        if lake == "memory://":
            return ObjectStore.memory()
        if not _BUCKET.fullmatch(lake.removeprefix("s3://").partition("/")[0]):
            raise UserError(
                f"'{lake}' does not name a bucket; write s3:// and 3 to 63 of the characters a-z, 0-9, . and -"
            )
        return ObjectStore.s3(lake.removeprefix("s3://").rstrip("/"), credentials, retry_policy)
    if not lake or "://" in lake:
        raise UserError(f"'{lake}' is not a lake; use s3://bucket or the path of a folder")
    from anomalake.lake.folder_store import FolderStore  # noqa: PLC0415

    return FolderStore(Path(lake))


def update_object(
    store: Store, key: str, change: Callable[[bytes | None], bytes], *, probably_exists: bool = False
) -> bool:
    """Write `change(current bytes, or None)` to the key, and return whether the object existed before.

    If another writer changes the object in the meantime, the update starts again with the new content. An object whose
    content does not change is not written. A new object, and one that this process wrote last, costs one request. Other
    objects cost three requests, or two with `probably_exists`. Raise `StorageError` after `MAX_UPDATE_ATTEMPTS`.
    """
    current = store.get_last_written(key)
    is_current = current is None and probably_exists  # whether `current` is read from the store, not from the cache
    if is_current:
        current = store.get(key)
    for attempt in range(MAX_UPDATE_ATTEMPTS):
        data = change(None if current is None else current.data)
        if current is None:
            if store.create(key, data):
                return False
        elif (is_current and data == current.data) or (
            data != current.data and store.replace(key, data, current.version)
        ):
            return True
        if attempt:
            time.sleep(random.uniform(0, min(0.5, 0.01 * 2**attempt)))
        # None: another writer deleted the object, or S3 answered 409 because another write is in progress, which can
        # still fail.
        current = store.get(key)
        is_current = True
    raise StorageError(
        f"{key}: other writers changed the object during all {MAX_UPDATE_ATTEMPTS} attempts to update it; try again"
    )


def put_if_absent(store: Store, key: str, data: bytes) -> bool:
    """Write an object that never changes, unless the key exists. Return whether the key existed."""
    return update_object(store, key, lambda current: data if current is None else current)


def with_deadline(store: Store, deadline: float | None) -> Store:
    """Return a store that raises `StorageError` instead of starting a call after `deadline` (seconds of
    `time.monotonic`; None: no deadline).
    """
    return store if deadline is None else _DeadlineStore(store, deadline)


class _DeadlineStore:
    def __init__(self, store: Store, deadline: float) -> None:
        self._inner, self._deadline = store, deadline

    def _store(self, key: str) -> Store:
        if time.monotonic() > self._deadline:
            raise StorageError(f"{key}: not attempted, because the function's time is over")
        return self._inner

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        return self._store(key).get(key, max_bytes)

    def get_last_written(self, key: str) -> StoredObject | None:
        return self._inner.get_last_written(key)

    def create(self, key: str, data: bytes) -> bool:
        return self._store(key).create(key, data)

    def replace(self, key: str, data: bytes, version: str) -> bool:
        return self._store(key).replace(key, data, version)

    def put(self, key: str, data: bytes) -> None:
        self._store(key).put(key, data)

    def delete(self, key: str) -> None:
        self._store(key).delete(key)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        return self._store(prefix).list(prefix, after)


def describe_size_limit(max_bytes: int) -> str:
    """Return the problem of an object that has more than `max_bytes`."""
    return f"has more than {max_bytes // 2**20} MiB, the limit for one file"
