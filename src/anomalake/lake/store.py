"""How the lake keeps bytes: get, create, replace, put, delete and list behind one small interface, for S3, a folder and memory.

`create` and `replace` are conditional: of two writers at once one is told that it came second. A folder serves several processes. What S3
answers with an error, late or not at all is asked again, a bounded number of times; `within` ends that when a function's time does.
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
MAX_CACHED_OBJECTS, MAX_CACHED_OBJECT_BYTES = 256, 50_000  # objects that a process wrote last, and how large one may be
MAX_UPDATE_ATTEMPTS = 60  # of one update; eight writers of one key needed at most 27
_INITIAL_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 2.0  # seconds, at most, after a request that failed; it doubles
_Answer = TypeVar("_Answer")


class StorageError(Exception):
    """The store could not do what it was asked: which key, and why. Another try may go well."""


class UnreadableError(StorageError):
    """An object that another try would not read either, such as one that is too large."""

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
    """An object and the version that `replace` asks for."""

    data: bytes
    version: str


class Store(Protocol):
    """Every method may raise `StorageError`."""

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """The object, or None where there is none; `UnreadableError`, before it is read, where it has more than `max_bytes`."""

    def get_last_written(self, key: str) -> StoredObject | None:
        """What this process wrote there last, if that is remembered; it costs no request, and something else may be there by now."""

    def create(self, key: str, data: bytes) -> bool:
        """Write a new object; False where there is one already."""

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """Write over that version of the object; False where it is another by now."""

    def put(self, key: str, data: bytes) -> None:
        """Write the object, whatever was there."""

    def delete(self, key: str) -> None:
        """Take the object away; nothing where there is none."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """The keys under `prefix` (a folder, without a closing slash) that sort after `after`, sorted."""


def open_store(
    lake: str, credentials: "S3CredentialProvider | None" = None, retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
) -> Store:
    """The store of `s3://bucket` (or `s3://bucket/folder`), of `memory://`, or of a folder; S3 with the environment's credentials or those given."""
    if lake.startswith("s3://"):
        if not _BUCKET.fullmatch(lake.removeprefix("s3://").partition("/")[0]):
            raise UserError(f"{lake!r} names no bucket; write s3://, then 3 to 63 of a-z, 0-9, . and -")
        return ObjectStore.s3(lake.removeprefix("s3://").rstrip("/"), credentials, retry_policy)
    if lake == "memory://":
        return ObjectStore.memory()
    if not lake or "://" in lake:
        raise UserError(f"{lake!r} is no lake; name s3://bucket, or a folder")
    from anomalake.lake.folder_store import FolderStore  # noqa: PLC0415  (it builds on this module)

    return FolderStore(Path(lake))


def update_object(
    store: Store, key: str, change: Callable[[bytes | None], bytes], *, probably_exists: bool = False
) -> bool:
    """Write `change(what is there)`; again where somebody else wrote meanwhile. Whether there was an object before.

    A new object costs one request, and so does one that this process wrote last. Others cost three, or two where the caller says that it is `probably_exists`
    that there is one. What does not change is not written.
    """
    current = store.get_last_written(key)
    sure = current is None and probably_exists
    if sure:
        current = store.get(key)
    for attempt in range(MAX_UPDATE_ATTEMPTS):
        data = change(None if current is None else current.data)
        if current is None:
            if store.create(key, data):
                return False
        elif (sure and data == current.data) or (data != current.data and store.replace(key, data, current.version)):
            return True
        if attempt:
            time.sleep(random.uniform(0, min(0.5, 0.01 * 2**attempt)))
        current = store.get(
            key
        )  # None: taken away again, or S3 is not done with another's write (409) that it may still refuse
        sure = True
    raise StorageError(f"{key}: others wrote it {MAX_UPDATE_ATTEMPTS} times while this update tried; try again")


def put_if_absent(store: Store, key: str, data: bytes) -> bool:
    """Write an object that never changes: there already, it stays as it is. Whether it was there."""
    return update_object(store, key, lambda current: data if current is None else current)


def with_deadline(store: Store, until: float | None) -> Store:
    """The store, which begins no call after `until` (seconds of `time.monotonic`): `StorageError` instead."""
    return store if until is None else _DeadlineStore(store, until)


class _DeadlineStore:
    def __init__(self, store: Store, until: float) -> None:
        self._inner, self._until = store, until

    def _store(self, key: str) -> Store:
        if time.monotonic() > self._until:
            raise StorageError(f"{key}: not tried, for the function's time is over")
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
    """An S3 bucket, or memory, through obstore."""

    def __init__(self, store: "S3Store | MemoryStore", retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY) -> None:
        import obstore  # noqa: PLC0415  (20 ms that a folder lake need not pay)
        from obstore import exceptions  # noqa: PLC0415

        self._store, self._retry_policy, self._obstore, self._exceptions = store, retry_policy, obstore, exceptions
        self._written: OrderedDict[str, StoredObject] = OrderedDict()  # the newest last

    @classmethod
    def memory(cls) -> "ObjectStore":
        """A lake that ends with the process."""
        from obstore.store import MemoryStore  # noqa: PLC0415

        return cls(MemoryStore())

    @classmethod
    def s3(
        cls,
        bucket: str,
        credentials: "S3CredentialProvider | None" = None,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
    ) -> "ObjectStore":
        """The bucket (with an optional prefix after a slash); `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` are honoured."""
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
        # obstore itself does not try again what may have been done already; here everything can be.
        store = S3Store(
            name, prefix=prefix or None, client_options=client, retry_config={"max_retries": 0}, credential_provider=credentials, config=config
        )  # fmt: skip
        return cls(store, retry_policy)

    def _ask(self, key: str, call: Callable[[bool], _Answer]) -> _Answer:
        """What `call(again)` gives, tried again with growing pauses where the store failed; `StorageError` where it goes on failing."""
        began, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            try:
                return call(attempt > 1)
            except (
                self._exceptions.GenericError,
                self._exceptions.AlreadyExistsError,
            ) as error:  # the latter: 409, S3 is busy with that key
                pause = random.uniform(0, min(_MAX_PAUSE_SECONDS, _INITIAL_PAUSE_SECONDS * 2**attempt))
                if (
                    attempt == self._retry_policy.max_attempts
                    or time.monotonic() + pause - began > self._retry_policy.total_seconds
                ):
                    raise StorageError(f"{key}: {_error_text(error)} (tried {attempt} times)") from error
            except (self._exceptions.BaseError, FileNotFoundError) as error:  # the latter: no such bucket
                raise StorageError(f"{key}: {_error_text(error)}") from error
            time.sleep(pause)

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """See `Store`."""
        return self._ask(key, lambda _: self._read(key, max_bytes))

    def _read(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """`get`, tried once."""
        try:
            answer = self._obstore.get(self._store, key)
            if max_bytes is not None and answer.meta["size"] > max_bytes:
                raise UnreadableError(key, describe_size_limit(max_bytes))
            data, tag = bytes(answer.bytes()), answer.meta["e_tag"]
        except (self._exceptions.NotFoundError, FileNotFoundError):
            return None
        if tag is None:
            raise StorageError(f"{key}: the store gave no ETag; conditional writes need one")
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

    def _write(self, key: str, data: bytes, mode: "PutMode", taken: tuple[type[Exception], ...]) -> bool:
        """Write under a condition; False where it does not hold, which the store says by raising one of `taken`."""

        def write(again: bool) -> bool:
            try:
                tag = self._obstore.put(self._store, key, data, mode=mode)["e_tag"]
            except taken:
                there = (
                    self._read(key) if again else None
                )  # a try before this may have done it, and its answer been lost
                if there is None or there.data != data:
                    return False
                tag = there.version
            if tag is not None and len(data) <= MAX_CACHED_OBJECT_BYTES:
                self._written[key] = StoredObject(data, tag)
                if len(self._written) > MAX_CACHED_OBJECTS:
                    self._written.popitem(last=False)
            return True

        self._written.pop(key, None)
        return self._ask(key, write)

    def delete(self, key: str) -> None:
        """See `Store`."""

        def remove(_: bool) -> None:
            with contextlib.suppress(self._exceptions.NotFoundError, FileNotFoundError):
                self._obstore.delete(self._store, key)

        self._written.pop(key, None)
        self._ask(key, remove)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `Store`."""
        listed = self._ask(
            prefix,
            lambda _: [
                item["path"]
                for batch in self._obstore.list(self._store, prefix, offset=after or None)
                for item in batch
            ],
        )
        yield from sorted(listed)


def describe_size_limit(max_bytes: int) -> str:
    """The problem of an object with more bytes than one may have."""
    return f"has more than {max_bytes // 2**20} MiB, the limit for one file"


def _error_text(error: Exception) -> str:
    """What the store said, without the debugging text that obstore appends."""
    return " ".join(str(error).partition("Debug source")[0].split())[:500]
