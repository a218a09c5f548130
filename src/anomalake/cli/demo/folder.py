"""The demo's lake: a folder with a list of the files that the demo wrote, so that the next demo deletes only these.

Each line of the list is written before its file, so that the list is complete whenever the demo is stopped. A file that
is not in the list, or whose content the demo did not write, belongs to the user and is never deleted.
`python -m anomalake.cli.demo.folder FOLDER` deletes a lake of the demo.
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
    """A lake in a folder that lists each file before it is written."""

    def _write(self, key: str, data: bytes, settle: Callable[[Path, Path], None]) -> bool:
        # The line starts with a line break, because a full disk may have cut the line before.
        line = f"\n{sha256(data).hexdigest()} {key}\n".encode()
        _write_to_list(self.root, line, "ab")
        return super()._write(key, data, settle)


def _write_to_list(root: Path, line: bytes, mode: Literal["ab", "wb"]) -> None:
    """Write to the list in one call and without a temporary file, so that a kill leaves no other file."""
    try:
        with (root / MARKER).open(mode, buffering=0) as marker:
            marker.write(line)
    except OSError as error:
        raise StorageError(f"{root / MARKER}: {error.strerror}") from error


@contextmanager
def empty_demo_lake(root: Path) -> Iterator[DemoFolder]:
    """Yield an empty lake in the folder, locked for this demo; files of an earlier demo are deleted.

    Raises `UserError` where the folder holds a file that the demo did not write, or where another demo uses the folder.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415

    if not (root / MARKER).exists():
        _list_demo_files(root)  # before the lock file: nothing is written to a folder with files of the user
    root.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(root / LOCK).acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{root}: another demo is writing to it, {describe_lock_holder(root / LOCK)}; "
            "name another folder with --lake"
        ) from None
    with lock:
        for path in _list_demo_files(root):
            path.unlink()
        for folder, folders, _ in os.walk(root, topdown=False):
            for name in folders:
                with contextlib.suppress(OSError):  # not empty: it has a link, or a file that was created meanwhile
                    (Path(folder) / name).rmdir()
        _write_to_list(
            root, b"# The files that `anomalake demo` wrote here, which the next demo deletes: SHA-256 and path\n", "wb"
        )
        yield DemoFolder(root)


def remove(root: Path) -> None:
    """Delete a lake of the demo; raises `UserError` where it holds a file that the demo did not write."""
    if root.exists():
        with empty_demo_lake(root):
            (root / MARKER).unlink()
        shutil.rmtree(root / LOCK_FOLDER, ignore_errors=True)
        (root / LOCK).unlink()
        root.rmdir()


def _list_demo_files(root: Path) -> list[Path]:
    """Return the files of the folder; raises `UserError` with the first file that the demo did not write."""
    digests_by_key = defaultdict[str, set[str]](set)
    marker = root / MARKER
    if marker.exists():
        for line in marker.read_text("utf-8", "replace").splitlines():
            digest, _, key = line.partition(" ")
            digests_by_key[key].add(digest)
    demo_files = list[Path]()
    for path in _files(root):
        digests = digests_by_key.get(path.relative_to(root).as_posix(), set())
        if not (digests or path.parent == root / TEMPORARY_FOLDER) or path.is_symlink() or not path.is_file():
            problem = "was not written by the demo"
        elif digests and sha256(path.read_bytes()).hexdigest() not in digests:
            problem = "was changed after the demo"
        else:
            demo_files.append(path)
            continue
        raise UserError(
            f"{path}: {problem}, so no file here is deleted; name another folder with --lake, or move this file"
        )
    return demo_files


def _files(root: Path) -> Iterator[Path]:
    """Yield every file and link in the folder, except for the demo's list and lock, and the locks of the lake."""
    if root.exists() and not root.is_dir():
        yield root
    for folder, folders, files in os.walk(root):
        path = Path(folder)
        links = [name for name in folders if (path / name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if name not in links and not (path == root and name == LOCK_FOLDER)
        )
        yield from (path / name for name in sorted([*files, *links]) if not (path == root and name in {MARKER, LOCK}))


if __name__ == "__main__":
    try:
        remove(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
