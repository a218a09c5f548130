"""Files that appear whole: written beside their place, synced to the disk, then renamed. A full disk leaves what was there before."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomalake.domain.errors import UserError

# A filesystem that cannot sync a folder answers with one of the first two; a folder that this user may write but not read, with the others.
_SYNC_UNSUPPORTED_ERRORS = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """The path to write to instead of `target`, which has the new content at the end of the block, or is as before where the block fails.

    An `OSError` becomes a `UserError` that names the target. What is no file, such as `/dev/stdout`, is written directly.
    """
    target = Path(os.path.realpath(target))  # a symbolic link stays one
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
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error


def write_text(target: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replace_file(target) as file:
        file.write_text(text, "utf-8")


def sync_file(descriptor: int) -> None:
    """Wait until the disk has what was written to the open file."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415

        with contextlib.suppress(OSError):  # a network share does not know it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # `fsync` leaves the data in the cache of the drive there
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's entries, where the filesystem and the user's permissions allow that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sync_file(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _SYNC_UNSUPPORTED_ERRORS:
            raise
