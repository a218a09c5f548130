"""Storage of the lake: one interface (`Store`) to get, create, replace, put, delete and list objects in S3, a folder or
memory.

`create` and `replace` are conditional writes: when two writers compete, one succeeds and the other gets False. Several
processes can share a folder. A request to S3 that fails or times out is retried as the `RetryPolicy` allows.
`with_deadline` stops all calls before a function's time is over.
"""

import contextlib
import os
import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from anomalake.domain.errors import UserError

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, MemoryStore, S3Config, S3CredentialProvider, S3Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
MAX_CACHED_OBJECTS, MAX_CACHED_OBJECT_BYTES = 256, 50_000  # of the objects that this process wrote last
MAX_UPDATE_ATTEMPTS = 60  # eight concurrent writers of one key needed at most 27
_INITIAL_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 2.0  # between attempts: exponential backoff with full jitter
_Answer = TypeVar("_Answer")


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
    location.
    """
    if lake.startswith("s3://"):
        if not _BUCKET.fullmatch(lake.removeprefix("s3://").partition("/")[0]):
            raise UserError(
                f"'{lake}' does not name a bucket; write s3:// and 3 to 63 of the characters a-z, 0-9, . and -"
            )
        return ObjectStore.s3(lake.removeprefix("s3://").rstrip("/"), credentials, retry_policy)
    if lake == "memory://":
        return ObjectStore.memory()
    if not lake or "://" in lake:
        raise UserError(f"'{lake}' is not a lake; use s3://bucket or the path of a folder")
    from anomalake.lake.folder_store import FolderStore  # noqa: PLC0415  (folder_store imports this module)

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


class ObjectStore:
    """A store in an S3 bucket or in memory. It uses the library obstore."""

    def __init__(self, store: "S3Store | MemoryStore", retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY) -> None:
        import obstore  # noqa: PLC0415  (the import takes 20 ms, and a folder does not need it)
        from obstore import exceptions  # noqa: PLC0415

        self._store, self._retry_policy, self._obstore, self._exceptions = store, retry_policy, obstore, exceptions
        self._written: OrderedDict[str, StoredObject] = OrderedDict()  # oldest first

    @classmethod
    def memory(cls) -> "ObjectStore":
        """Open an empty lake in memory. It ends with the process."""
        from obstore.store import MemoryStore  # noqa: PLC0415

        return cls(MemoryStore())

    @classmethod
    def s3(
        cls,
        bucket: str,
        credentials: "S3CredentialProvider | None" = None,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
    ) -> "ObjectStore":
        """Open a bucket, with an optional prefix after a slash.

        `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` can set another endpoint.
        """
        from obstore.store import S3Store  # noqa: PLC0415

        name, _, prefix = bucket.partition("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        client: ClientConfig = {
            "connect_timeout": timedelta(seconds=retry_policy.connect_seconds),
            "timeout": timedelta(seconds=retry_policy.request_seconds),
        }
        config: S3Config = {}
        if endpoint:
            client["allow_http"] = endpoint.startswith("http://")
            config = {"endpoint": endpoint, "virtual_hosted_style_request": False}
        # obstore does not retry a request that S3 may have processed. Every operation here is safe to retry, so `_call`
        # retries instead.
        store = S3Store(
            name,
            prefix=prefix or None,
            client_options=client,
            retry_config={"max_retries": 0},
            credential_provider=credentials,
            config=config,
        )
        return cls(store, retry_policy)

    def _call(self, key: str, request: Callable[[bool], _Answer]) -> _Answer:
        """Return `request(is_retry)`.

        Retry it with growing pauses while the store fails; raise `StorageError` when the retry policy ends.
        """
        start, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            try:
                return request(attempt > 1)
            # AlreadyExistsError: S3 answered 409, because another write to the key is in progress
            except (self._exceptions.GenericError, self._exceptions.AlreadyExistsError) as error:
                pause = random.uniform(0, min(_MAX_PAUSE_SECONDS, _INITIAL_PAUSE_SECONDS * 2**attempt))
                if (
                    attempt == self._retry_policy.max_attempts
                    or time.monotonic() + pause - start > self._retry_policy.total_seconds
                ):
                    raise StorageError(f"{key}: {_error_text(error)} ({attempt} attempts)") from error
            except (
                self._exceptions.BaseError,
                FileNotFoundError,
            ) as error:  # FileNotFoundError: the bucket does not exist
                raise StorageError(f"{key}: {_error_text(error)}") from error
            time.sleep(pause)

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """See `Store`."""
        return self._call(key, lambda _: self._get_once(key, max_bytes))

    def _get_once(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """`get` without retries."""
        try:
            answer = self._obstore.get(self._store, key)
            if max_bytes is not None and answer.meta["size"] > max_bytes:
                raise UnreadableError(key, describe_size_limit(max_bytes))
            data, tag = bytes(answer.bytes()), answer.meta["e_tag"]
        except (self._exceptions.NotFoundError, FileNotFoundError):
            return None
        if tag is None:
            raise StorageError(f"{key}: the store returned no ETag; use a store that supports conditional writes")
        return StoredObject(data, tag)

    def get_last_written(self, key: str) -> StoredObject | None:
        """See `Store`."""
        return self._written.get(key)

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._write(key, data, "create", (self._exceptions.AlreadyExistsError,))

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """See `Store`."""
        return self._write(
            key, data, {"e_tag": version}, (self._exceptions.PreconditionError, self._exceptions.AlreadyExistsError)
        )

    def put(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._write(key, data, "overwrite", ())

    def _write(self, key: str, data: bytes, mode: "PutMode", conflicts: tuple[type[Exception], ...]) -> bool:
        """Write on the condition `mode`.

        Return False if the store raises one of `conflicts`: the condition is not met.
        """

        def write(is_retry: bool) -> bool:
            try:
                tag = self._obstore.put(self._store, key, data, mode=mode)["e_tag"]
            except conflicts:
                # An earlier attempt may have written the object although its response was lost.
                current = self._get_once(key) if is_retry else None
                if current is None or current.data != data:
                    return False
                tag = current.version
            if tag is not None and len(data) <= MAX_CACHED_OBJECT_BYTES:
                self._written[key] = StoredObject(data, tag)
                if len(self._written) > MAX_CACHED_OBJECTS:
                    self._written.popitem(last=False)
            return True

        self._written.pop(key, None)
        return self._call(key, write)

    def delete(self, key: str) -> None:
        """See `Store`."""

        def delete(_: bool) -> None:
            with contextlib.suppress(self._exceptions.NotFoundError, FileNotFoundError):
                self._obstore.delete(self._store, key)

        self._written.pop(key, None)
        self._call(key, delete)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `Store`."""
        keys = self._call(
            prefix,
            lambda _: [
                item["path"]
                for batch in self._obstore.list(self._store, prefix, offset=after or None)
                for item in batch
            ],
        )
        yield from sorted(keys)


def describe_size_limit(max_bytes: int) -> str:
    """Return the problem of an object that has more than `max_bytes`."""
    return f"has more than {max_bytes // 2**20} MiB, the limit for one file"


def _error_text(error: Exception) -> str:
    """Return the store's error message without the debugging text that obstore appends."""
    return " ".join(str(error).partition("Debug source")[0].split())[:500]
