"""Writes files atomically: write a temporary file in the same folder, sync it to the disk, rename it.

If the disk is full, the old file stays.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomalake.domain.errors import UserError

# A filesystem that cannot sync a folder raises one of the first two errors; a folder that the user can write but not
# read raises one of the others.
_SYNC_UNSUPPORTED_ERRORS = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. At the end of the block it replaces `target`; if the block fails, `target`
    stays unchanged.

    An `OSError` becomes a `UserError` that names the target. A target that is not a regular file, such as
    `/dev/stdout`, is written directly.
    """
    target = Path(os.path.realpath(target))  # keep a symbolic link, and replace the file that it points to
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        temporary = target.parent / f".anomalake-{os.urandom(8).hex()}.writing"
        try:
            yield temporary
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            with temporary.open("rb") as file:
                sync_file(file.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{target}: cannot write the file: {error.strerror or error}") from error


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically. Raise `UserError` if that fails."""
    with replace_file(target) as file:
        file.write_text(text, "utf-8")


def sync_file(descriptor: int) -> None:
    """Wait until the content of the open file is on the disk."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415

        with contextlib.suppress(OSError):  # a network share does not support it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # on macOS, `fsync` leaves the data in the cache of the drive
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the entries of the folder are on the disk, if the filesystem and the user's permissions allow that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sync_file(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _SYNC_UNSUPPORTED_ERRORS:
            raise
