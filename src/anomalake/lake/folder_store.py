"""Stores the lake in a local folder. A completed write survives a killed process and a power failure.

A new object gets its name by a hard link, so no reader sees a part of it. A replacement compares the versions under a
lock, then renames. The content of a file is on the disk before it gets its name, and the name is on the disk before the
call returns. `sync_at_end` does this once for many objects.
"""

import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from anomalake.lake.files import sync_file, sync_folder
from anomalake.lake.store import StorageError, Store, StoredObject, UnreadableError, describe_size_limit

TEMPORARY_FOLDER, LOCK_FOLDER = ".writing", ".locks"  # folders of the lake that hold no objects


class LockTimeouts(NamedTuple):
    """Seconds that a write waits for a lock that another process holds: until it reports that, and until it fails."""

    notice_seconds: float = 5
    limit_seconds: float = 60


class _PendingSyncs:
    """Files whose content, and folders whose entries, may not be on the disk yet."""

    def __init__(self) -> None:
        self.files = dict[Path, None]()
        self.folders = dict[Path, None]()

    def sync(self) -> None:
        for file in self.files:
            try:
                descriptor = os.open(file, os.O_RDONLY)
            except FileNotFoundError:  # deleted in the meantime
                continue
            try:
                sync_file(descriptor)
            finally:
                os.close(descriptor)
        for folder in self.folders:
            sync_folder(folder)


class FolderStore:
    """A store in a local folder."""

    def __init__(self, root: Path, timeouts: LockTimeouts = LockTimeouts()) -> None:  # noqa: B008  (a LockTimeouts is immutable)
        self.root, self._timeouts = root, timeouts
        self._synced_folders = set[Path]()  # folders whose own entry this process has synced
        self._pending: _PendingSyncs | None = None

    def _path(self, key: str) -> Path:
        if not key or key.startswith("/") or any(part in {"", ".", ".."} for part in key.split("/")):
            raise ValueError(f"'{key}' is not a key of a lake")
        return self.root / key

    def get(self, key: str, max_bytes: int | None = None) -> StoredObject | None:
        """See `Store`."""
        path = self._path(key)
        try:
            if max_bytes is not None:
                _check_file(key, path, max_bytes)
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _storage_error(key, error) from error
        return StoredObject(data, sha256(data).hexdigest())

    def get_last_written(self, key: str) -> StoredObject | None:
        """Return None: reading a file is cheap, so nothing is cached."""

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._write(key, data, os.link)

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """See `Store`."""
        self._path(key)
        with self._locked(key):
            current = self.get(key)
            return current is not None and current.version == version and self._write(key, data, os.replace)

    def put(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._write(key, data, os.replace)

    def delete(self, key: str) -> None:
        """See `Store`."""
        path = self._path(key)
        try:
            path.unlink()
            self._sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _storage_error(key, error) from error

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """See `Store`."""
        for folder, folders, files in os.walk(self._path(prefix)):
            place = Path(folder).relative_to(self.root).as_posix()
            folders[:] = sorted(name for name in folders if f"{place}/{name}0" > after)  # "0" sorts right after "/"
            for name in sorted(files):
                if not name.startswith(".") and (key := f"{place}/{name}") > after:
                    yield key

    @contextmanager
    def sync_at_end(self) -> Iterator[None]:
        """Sync the new objects of the block once, at its end.

        An object that replaces another is synced at once, as usual.
        """
        if self._pending is not None:
            yield
            return
        self._pending = pending = _PendingSyncs()
        try:
            yield
            pending.sync()
        except OSError as error:
            self._synced_folders.clear()
            raise _storage_error(str(self.root), error) from error
        except BaseException:
            self._synced_folders.clear()
            raise
        finally:
            self._pending = None

    def _write(self, key: str, data: bytes, publish: Callable[[Path, Path], None]) -> bool:
        """Write a temporary file, then give it its name with `publish` (link or replace).

        Return False if `publish` finds that the name exists.
        """
        target = self._path(key)
        # The name is new, because a file that a killed process left there can be a second link to an object.
        temporary = self.root / TEMPORARY_FOLDER / os.urandom(16).hex()
        try:
            self._make_folder(temporary.parent)
            self._make_folder(target.parent)
            pending = self._pending if self._pending is not None and not target.exists() else None
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    if pending is None:
                        sync_file(file.fileno())
                publish(temporary, target)
            except FileExistsError:
                # The process that wrote the object may not have synced it yet, and the caller treats the object as
                # written.
                self._sync_folder(target.parent)
                return False
            finally:
                temporary.unlink(missing_ok=True)
            if pending is not None:
                pending.files[target] = None
            self._sync_folder(target.parent)
        except OSError as error:
            raise _storage_error(key, error) from error
        return True

    def _make_folder(self, folder: Path) -> None:
        """Create the folder and its parents, and sync their entries.

        Also sync a folder that exists: its creator may have been killed before the sync.
        """
        if folder in self._synced_folders and folder.is_dir():
            return
        is_inside = folder != self.root
        if is_inside or not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._sync_folder(folder.parent)
        self._synced_folders.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        if self._pending is not None:
            self._pending.folders[folder] = None
        else:
            sync_folder(folder)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Hold the lock of the key. Raise `StorageError` if another process does not release it in time."""
        from filelock import FileLock, Timeout  # noqa: PLC0415  (the Lambda functions do not have it)

        path, (notice, limit) = self.root / LOCK_FOLDER / sha256(key.encode()).hexdigest()[:2], self._timeouts
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=notice)
            except Timeout:
                warnings.warn(
                    f"{key}: waiting for {describe_lock_holder(path)} to release {path}; "
                    f"the write fails after {limit:g} seconds",
                    stacklevel=4,
                )
                lock.acquire(timeout=limit - notice)
        except Timeout:
            remedy = "resume that process (kill -CONT) or end it (kill), then try again"
            raise StorageError(
                f"{key}: not written, because {describe_lock_holder(path)} held the lock {path} for {limit:g} "
                f"seconds; {remedy}"
            ) from None
        except NotImplementedError as error:
            raise StorageError(
                f"{key}: the filesystem of {self.root} does not support file locks; use a lake on a local disk or in S3"
            ) from error
        except OSError as error:
            raise _storage_error(key, error) from error
        try:
            yield
        finally:
            lock.release()


def sync_at_end(store: Store) -> AbstractContextManager[None]:
    """Sync new objects of a folder once, at the end of the block (`FolderStore.sync_at_end`).

    Other stores need no sync.
    """
    return store.sync_at_end() if isinstance(store, FolderStore) else nullcontext()


def describe_lock_holder(lock: Path) -> str:
    """Describe the process that holds the lock file, if the system knows it:

    `process 4711 (anomalake ingest alert.json)`.
    """
    try:
        inode = lock.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        process = next(line[4] for line in lines if line[1] == "FLOCK" and line[5].rpartition(":")[2] == str(inode))
    except (OSError, StopIteration, IndexError):
        return "another process (run `lsof` with the lock file to find it)"
    try:
        text = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()[:200]
    except OSError:
        text = ""
    command = "".join(c if c.isprintable() else "?" for c in text)
    return f"process {process} ({command})" if command else f"process {process}"


def _check_file(key: str, path: Path, max_bytes: int) -> None:
    """Raise `UnreadableError` for a pipe, a device, a file that is too large, or a file without read permission."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(key, "is not a regular file")
    if status.st_size > max_bytes:
        raise UnreadableError(key, describe_size_limit(max_bytes))
    if not os.access(path, os.R_OK):
        raise UnreadableError(key, "cannot be opened: permission denied")


def _storage_error(key: str, error: OSError) -> StorageError:
    return StorageError(f"{key}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else ""))
