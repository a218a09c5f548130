"""How the lake keeps bytes: get, create, replace, put and list behind one small interface, for S3, a folder and memory.

`create` and `replace` are conditional: of two writers at once one is told that it came second. A folder serves several processes.
"""

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from anomalake.errors import UserError

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import MemoryStore, S3CredentialProvider, S3Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
MOST_TRIES = 60  # of one update; eight writers of one key needed at most 27


class StorageError(Exception):
    """The store could not do what it was asked: which key, and why. Another try may go well."""


class Stored(NamedTuple):
    """An object and the version that `replace` asks for."""

    data: bytes
    version: str


class Store(Protocol):
    """Every method may raise `StorageError`."""

    def get(self, key: str) -> Stored | None:
        """The object, or None where there is none."""

    def create(self, key: str, data: bytes) -> bool:
        """Write a new object; False where there is one already."""

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """Write over that version of the object; False where it is another by now."""

    def put(self, key: str, data: bytes) -> None:
        """Write the object, whatever was there."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under `prefix` (a folder, without a closing slash), sorted."""


def open_store(lake: str, credentials: "S3CredentialProvider | None" = None) -> Store:
    """The store of `s3://bucket` (or `s3://bucket/folder`), of `memory://`, or of a folder; S3 with the environment's credentials or those given."""
    if lake.startswith("s3://"):
        if not _BUCKET.fullmatch(lake.removeprefix("s3://").partition("/")[0]):
            raise UserError(f"{lake!r} names no bucket; write s3://, then 3 to 63 of a-z, 0-9, . and -")
        return ObjectStore.s3(lake.removeprefix("s3://").rstrip("/"), credentials)
    if lake == "memory://":
        return ObjectStore.memory()
    if not lake or "://" in lake:
        raise UserError(f"{lake!r} is no lake; name s3://bucket, or a folder")
    return FolderStore(Path(lake))


def update(store: Store, key: str, change: Callable[[bytes | None], bytes]) -> None:
    """Write `change(what is there)`; again where somebody else wrote meanwhile. A new object costs one request, an unchanged one no write."""
    if store.create(key, change(None)):
        return
    for attempt in range(MOST_TRIES):
        current = store.get(key)
        if current is None:
            raise StorageError(f"{key}: vanished while it was updated")
        data = change(current.data)
        if data == current.data or store.replace(key, data, current.version):
            return
        time.sleep(random.uniform(0, min(0.5, 0.01 * 2**attempt)))
    raise StorageError(f"{key}: others wrote it {MOST_TRIES} times while this update tried; try again")


class FolderStore:
    """A folder as the lake. New objects appear whole by a hard link; a replacement compares under a lock and renames."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        if not key or key.startswith("/") or any(part in {"", ".", ".."} for part in key.split("/")):
            raise ValueError(f"{key!r} is no key of a lake")
        return self.root / key

    def get(self, key: str) -> Stored | None:
        """See `Store`."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{key}: {error}") from error
        return Stored(data, sha256(data).hexdigest())

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._write(self._path(key), data, os.link)

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """See `Store`."""
        from filelock import FileLock  # noqa: PLC0415  (a folder is for laptops; the functions run without it)

        target, locks = self._path(key), self.root / ".locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / sha256(key.encode()).hexdigest()[:2]):
                current = self.get(key)
                if current is None or current.version != version:
                    return False
                return self._write(target, data, os.replace)
        except OSError as error:
            raise StorageError(f"{key}: {error}") from error

    def put(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._write(self._path(key), data, os.replace)

    def _write(self, target: Path, data: bytes, settle: Callable[[Path, Path], None]) -> bool:
        """Write in a folder aside, then let it appear at once; False where `settle` finds it taken."""
        temporary = self.root / ".writing" / f"{os.getpid()}-{threading.get_ident()}"
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            try:
                settle(temporary, target)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{target}: {error}") from error
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store`."""
        for folder, folders, files in os.walk(self._path(prefix)):
            folders.sort()
            for name in sorted(files):
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self.root).as_posix()


class ObjectStore:
    """An S3 bucket, or memory, through obstore."""

    def __init__(self, store: "S3Store | MemoryStore") -> None:
        import obstore  # noqa: PLC0415  (20 ms that a folder lake need not pay)
        from obstore import exceptions  # noqa: PLC0415

        self._store, self._obstore, self._exceptions = store, obstore, exceptions

    @classmethod
    def memory(cls) -> "ObjectStore":
        """A lake that ends with the process."""
        from obstore.store import MemoryStore  # noqa: PLC0415

        return cls(MemoryStore())

    @classmethod
    def s3(cls, bucket: str, credentials: "S3CredentialProvider | None" = None) -> "ObjectStore":
        """The bucket (with an optional prefix after a slash); `AWS_ENDPOINT_URL_S3` and `AWS_ENDPOINT_URL` are honoured."""
        from obstore.store import S3Store  # noqa: PLC0415

        name, _, prefix = bucket.partition("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            plain = endpoint.startswith("http://")
            store = S3Store(
                name, prefix=prefix or None, endpoint=endpoint, virtual_hosted_style_request=False, client_options={"allow_http": plain},
                credential_provider=credentials,
            )  # fmt: skip
            return cls(store)
        return cls(S3Store(name, prefix=prefix or None, credential_provider=credentials))

    def get(self, key: str) -> Stored | None:
        """See `Store`."""
        try:
            answer = self._obstore.get(self._store, key)
            data, tag = answer.bytes(), answer.meta["e_tag"]
        except (self._exceptions.NotFoundError, FileNotFoundError):
            return None
        except self._exceptions.BaseError as error:
            raise StorageError(f"{key}: {_said(error)}") from error
        if tag is None:
            raise StorageError(f"{key}: the store gave no ETag; conditional writes need one")
        return Stored(bytes(data), tag)

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._write(key, data, "create", self._exceptions.AlreadyExistsError)

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """See `Store`."""
        return self._write(key, data, {"e_tag": version}, self._exceptions.PreconditionError)

    def put(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._write(key, data, "overwrite", ())

    def _write(self, key: str, data: bytes, mode: "PutMode", taken: type[Exception] | tuple[()]) -> bool:
        """Write under a condition; False where it does not hold, which the store says by raising `taken`."""
        try:
            self._obstore.put(self._store, key, data, mode=mode)
        except taken:
            return False
        except (self._exceptions.BaseError, FileNotFoundError) as error:  # the latter: no such bucket
            raise StorageError(f"{key}: {_said(error)}") from error
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store`."""
        try:
            keys = [item["path"] for batch in self._obstore.list(self._store, prefix) for item in batch]
        except self._exceptions.BaseError as error:
            raise StorageError(f"{prefix}: {_said(error)}") from error
        yield from sorted(keys)


def _said(error: Exception) -> str:
    """What the store said, without the debugging text that obstore appends."""
    return " ".join(str(error).partition("Debug source")[0].split())[:500]
