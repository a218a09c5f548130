"""Stores the lake in S3, or in memory, with the library obstore."""

import contextlib
import os
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from anomalake.lake.store import (
    DEFAULT_RETRY_POLICY,
    RetryPolicy,
    StorageError,
    StoredObject,
    UnreadableError,
    describe_size_limit,
)

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, MemoryStore, S3Config, S3CredentialProvider, S3Store

MAX_CACHED_OBJECTS, MAX_CACHED_OBJECT_BYTES = 256, 50_000  # of the objects that this process wrote last
_INITIAL_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.1, 2.0  # between attempts: exponential backoff with full jitter
_Response = TypeVar("_Response")


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

    def _call(self, key: str, request: Callable[[bool], _Response]) -> _Response:
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
        """Return `get` without retries."""
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


def _error_text(error: Exception) -> str:
    """Return the store's error message without the debugging text that obstore appends."""
    return " ".join(str(error).partition("Debug source")[0].split())[:500]
