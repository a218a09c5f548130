"""A folder of this machine as the lake: what it says is written stays written, whichever process is killed and whenever power fails.

New objects appear whole by a hard link; a replacement compares under a lock and renames. A file is on the disk before it gets its name, and the name
before the call returns. `sync_at_end` does that once for many objects.
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
    """Seconds that a write waits for another process: until it says so, and until it gives up."""

    notice_seconds: float = 5
    limit_seconds: float = 60


class _PendingSyncs:
    """Files whose content, and folders whose entries, the disk may not have yet."""

    def __init__(self) -> None:
        self.files = dict[Path, None]()
        self.folders = dict[Path, None]()

    def sync(self) -> None:
        for file in self.files:
            try:
                descriptor = os.open(file, os.O_RDONLY)
            except FileNotFoundError:  # deleted since
                continue
            try:
                sync_file(descriptor)
            finally:
                os.close(descriptor)
        for folder in self.folders:
            sync_folder(folder)


class FolderStore:
    """A folder as the lake."""

    def __init__(self, root: Path, wait: LockTimeouts = LockTimeouts()) -> None:  # noqa: B008  (it is immutable)
        self.root, self._wait = root, wait
        self._durable = set[Path]()  # folders whose own entry this process has synced
        self._unsynced: _PendingSyncs | None = None

    def _path(self, key: str) -> Path:
        if not key or key.startswith("/") or any(part in {"", ".", ".."} for part in key.split("/")):
            raise ValueError(f"{key!r} is no key of a lake")
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
        """Nothing: to read a file costs little."""

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
        """Objects that are new in this block are on the disk when it ends, and not before. What is written over is safe at any time."""
        if self._unsynced is not None:
            yield
            return
        self._unsynced = unsynced = _PendingSyncs()
        try:
            yield
            unsynced.sync()
        except OSError as error:
            self._durable.clear()
            raise _storage_error(str(self.root), error) from error
        except BaseException:
            self._durable.clear()
            raise
        finally:
            self._unsynced = None

    def _write(self, key: str, data: bytes, settle: Callable[[Path, Path], None]) -> bool:
        """Write in a folder aside, then let it appear at once; False where `settle` finds it taken."""
        target = self._path(key)
        temporary = (
            self.root / TEMPORARY_FOLDER / os.urandom(16).hex()
        )  # never a name from before: left by a kill, it may be an object's second name
        try:
            self._make_folder(temporary.parent)
            self._make_folder(target.parent)
            later = self._unsynced if self._unsynced is not None and not target.exists() else None
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    if later is None:
                        sync_file(file.fileno())
                settle(temporary, target)
            except FileExistsError:
                self._sync_folder(
                    target.parent
                )  # who wrote it may not have done that yet, and what is there counts as written
                return False
            finally:
                temporary.unlink(missing_ok=True)
            if later is not None:
                later.files[target] = None
            self._sync_folder(target.parent)
        except OSError as error:
            raise _storage_error(key, error) from error
        return True

    def _make_folder(self, folder: Path) -> None:
        """Make the folder and those above it, each with its entry on the disk. One that another process made may have lost its own to a kill."""
        if folder in self._durable and folder.is_dir():
            return
        inside = folder != self.root
        if inside or not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._sync_folder(folder.parent)
        self._durable.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        if self._unsynced is not None:
            self._unsynced.folders[folder] = None
        else:
            sync_folder(folder)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """The lock of the key, alone; `StorageError` where another process does not give it back."""
        from filelock import FileLock, Timeout  # noqa: PLC0415  (a folder is for laptops; the functions run without it)

        name, (notice, limit) = self.root / LOCK_FOLDER / sha256(key.encode()).hexdigest()[:2], self._wait
        lock = FileLock(name)
        try:
            name.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=notice)
            except Timeout:
                warnings.warn(
                    f"{key}: waits for {describe_lock_holder(name)} to release {name}; gives up after {limit:g} seconds",
                    stacklevel=4,
                )
                lock.acquire(timeout=limit - notice)
        except Timeout:
            remedy = "resume that process (kill -CONT) or end it (kill), then try again"
            raise StorageError(
                f"{key}: not written, because {describe_lock_holder(name)} held the lock {name} for {limit:g} seconds; {remedy}"
            ) from None
        except NotImplementedError as error:
            raise StorageError(
                f"{key}: the filesystem of {self.root} has no file locks; use a lake on a local disk, or in S3"
            ) from error
        except OSError as error:
            raise _storage_error(key, error) from error
        try:
            yield
        finally:
            lock.release()


def sync_at_end(store: Store) -> AbstractContextManager[None]:
    """`FolderStore.sync_at_end`; S3 has an object when it answers."""
    return store.sync_at_end() if isinstance(store, FolderStore) else nullcontext()


def describe_lock_holder(lock: Path) -> str:
    """Who holds the lock file, as far as the system tells: `process 4711 (anomalake ingest alert.json)`."""
    try:
        inode = lock.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        process = next(line[4] for line in lines if line[1] == "FLOCK" and line[5].rpartition(":")[2] == str(inode))
    except (OSError, StopIteration, IndexError):
        return "another process (`lsof` with the lock file names it)"
    try:
        text = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()[:200]
    except OSError:
        text = ""
    command = "".join(c if c.isprintable() else "?" for c in text)
    return f"process {process} ({command})" if command else f"process {process}"


def _check_file(key: str, path: Path, max_bytes: int) -> None:
    """Refuse a file that cannot be read in bounded time and memory: a pipe or device, a file that is too large, one without permission."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(key, "is not a regular file")
    if status.st_size > max_bytes:
        raise UnreadableError(key, describe_size_limit(max_bytes))
    if not os.access(path, os.R_OK):
        raise UnreadableError(key, "cannot be opened: permission denied")


def _storage_error(key: str, error: OSError) -> StorageError:
    return StorageError(f"{key}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else ""))
