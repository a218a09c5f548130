"""The demo's own folder: a lake whose marker lists every file that the demo wrote, so that the next demo deletes these and nothing else.

A line is added before its file is written, so the list is complete whenever the demo is stopped. A file that is not listed, or has other content than
the demo gave it, belongs to somebody else. `python -m anomalake.cli.demo.folder FOLDER` removes such a lake.
"""

import contextlib
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

from anomalake.domain.errors import UserError
from anomalake.lake.folder_store import LOCK_FOLDER, TEMPORARY_FOLDER, FolderStore, describe_lock_holder
from anomalake.lake.store import StorageError

MARKER = ".anomalake-demo"
LOCK = f"{MARKER}.lock"


class DemoFolder(FolderStore):
    """A lake in a folder that keeps the list."""

    def _write(self, key: str, data: bytes, settle: Callable[[Path, Path], None]) -> bool:
        line = (
            f"\n{sha256(data).hexdigest()} {key}\n".encode()
        )  # it begins with a line's end: a full disk may have cut the line before
        _note(self.root, line, "ab")
        return super()._write(key, data, settle)


def _note(root: Path, line: bytes, mode: Literal["ab", "wb"]) -> None:
    """Write to the list in one go, and not beside it: a kill leaves no other file."""
    try:
        with (root / MARKER).open(mode, buffering=0) as marker:
            marker.write(line)
    except OSError as error:
        raise StorageError(f"{root / MARKER}: {error.strerror}") from error


@contextmanager
def empty_demo_lake(root: Path) -> Iterator[DemoFolder]:
    """An empty lake in the folder, which this demo has for itself; `UserError` where the folder holds anything that the demo did not write."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    if not (root / MARKER).exists():
        _written_files(root)  # nothing is put beside somebody else's files, a lock neither
    root.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(root / LOCK).acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{root}: another demo is writing to it, {describe_lock_holder(root / LOCK)}; name another folder with --lake"
        ) from None
    with lock:
        for path in _written_files(root):
            path.unlink()
        for folder, folders, _ in os.walk(root, topdown=False):
            for name in folders:
                with contextlib.suppress(OSError):  # not empty: a link, or a file that came just now
                    (Path(folder) / name).rmdir()
        _note(
            root, b"# The files that `anomalake demo` wrote here, which the next demo deletes: SHA-256 and path\n", "wb"
        )
        yield DemoFolder(root)


def remove(root: Path) -> None:
    """Delete a lake of the demo; `UserError` where it holds anything else."""
    if root.exists():
        with empty_demo_lake(root):
            (root / MARKER).unlink()
        shutil.rmtree(root / LOCK_FOLDER, ignore_errors=True)
        (root / LOCK).unlink()
        root.rmdir()


def _written_files(root: Path) -> list[Path]:
    """The files that the demo wrote to the folder, all that it holds; `UserError` that names the first of somebody else."""
    digests = defaultdict[str, set[str]](set)
    marker = root / MARKER
    if marker.exists():
        for line in marker.read_text("utf-8", "replace").splitlines():
            digest, _, key = line.partition(" ")
            digests[key].add(digest)
    found = list[Path]()
    for path in _files(root):
        known = digests.get(path.relative_to(root).as_posix(), set())
        if not (known or path.parent == root / TEMPORARY_FOLDER) or path.is_symlink() or not path.is_file():
            whose = "was not made by the demo"
        elif known and sha256(path.read_bytes()).hexdigest() not in known:
            whose = "was changed after the demo"
        else:
            found.append(path)
            continue
        raise UserError(
            f"{path}: {whose}, so nothing here is deleted; name another folder with --lake, or move that file away"
        )
    return found


def _files(root: Path) -> Iterator[Path]:
    """Everything in the folder that is neither a folder nor the demo's own marker and lock; of the locks of a lake nothing."""
    if root.exists() and not root.is_dir():
        yield root
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if name not in links and not (here == root and name == LOCK_FOLDER)
        )
        yield from (here / name for name in sorted([*files, *links]) if not (here == root and name in {MARKER, LOCK}))


if __name__ == "__main__":
    try:
        remove(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
