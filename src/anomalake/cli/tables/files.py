"""Finds the files of a location (a file, a folder, S3, standard input) and unpacks compressed ones."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from anomalake.domain.errors import UserError
from anomalake.lake.store import RetryPolicy, StorageError, open_store

STANDARD_INPUT = "-"
MAX_BYTES = 2 << 30  # of text that is read at once; it takes about three times as much memory
HEAD_BYTES = 4_096  # which decide the kind of a file
MAX_PACKINGS = 3  # a file can be compressed in an archive
_MAX_NAMED_FILES = 5
_S3_POLICY = RetryPolicy(request_seconds=600, total_seconds=600)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class File(NamedTuple):
    """A file of a location: its name for messages, its path below the location, and how to read it."""

    name: str
    path: str
    read: Callable[[], bytes]
    local: Path | None = None  # for databases, which are opened in place


def find_files(location: str) -> list[File]:
    """Return the files of a location, in order of their paths. Raises `UserError` if there are none.

    In a folder, names that begin with `.` or `_` are skipped, as Spark and Athena do.
    """
    if location == STANDARD_INPUT:
        return [File("standard input", "", lambda: _read_limited(sys.stdin.buffer, "standard input"))]
    if location.startswith("s3://"):
        return _find_in_s3(location)
    if "://" in location:
        raise UserError(f"{location}: is not a place that can be read; name a file, a folder or s3://BUCKET/KEY")
    path = Path(location)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _is_data(file.relative_to(path).parts))
        if not found:
            raise UserError(
                f"{location}: the folder holds no files; name a file, or a folder with CSV or Parquet files"
            )
        return [_local_file(file, file.relative_to(path).as_posix()) for file in found]
    if not path.exists():
        raise UserError(f"{location}: the file does not exist; check the path")
    return [_local_file(path, "")]


def _is_data(parts: tuple[str, ...]) -> bool:
    return not any(part.startswith((".", "_")) for part in parts)


def _local_file(file: Path, path: str) -> File:
    def read() -> bytes:
        try:
            if file.stat().st_size > MAX_BYTES:
                raise UserError(describe_size_limit(str(file)))
            return file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error

    return File(str(file), path, read, file)


def _read_limited(opened: _Readable, name: str) -> bytes:
    """Return all bytes. Raises `UserError` if there are more than `MAX_BYTES`."""
    data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(describe_size_limit(name))
    return data


def describe_size_limit(name: str) -> str:
    """Return the message for too much data."""
    return (
        f"{name}: has more than {MAX_BYTES >> 30} GB of data, which is too much to read at once; aggregate it first, "
        "for example with DuckDB: COPY (SELECT date_trunc('hour', time) AS time, region, sum(sales) AS sales "
        "FROM 'big.csv' GROUP BY ALL) TO 'small.csv'"
    )


def _find_in_s3(location: str) -> list[File]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    store = open_store(f"s3://{bucket}", retry_policy=_S3_POLICY)

    def read(found: str) -> bytes:
        try:
            stored = store.get(found, MAX_BYTES)
        except StorageError as error:
            raise UserError(f"s3://{bucket}/{found}: cannot be read: {error}") from error
        if stored is None:
            raise UserError(f"s3://{bucket}/{found}: does not exist; check bucket and key")
        return stored.data

    folder = key.rstrip("/")
    try:
        keys = [found for found in store.list(folder) if _is_data(PurePosixPath(found[len(folder) :]).parts)]
    except StorageError as error:
        raise UserError(f"{location}: cannot be listed: {error}") from error
    if not keys and key and not key.endswith("/"):
        return [File(location, "", lambda: read(key))]
    if not keys:
        raise UserError(f"{location}: the folder holds no files; check bucket and key")
    return [
        File(f"s3://{bucket}/{found}", found[len(folder) :].strip("/"), lambda found=found: read(found))  # type: ignore[misc]
        for found in keys
    ]


def unpack(data: bytes, name: str) -> tuple[bytes, str]:
    """Return the bytes without compression, and the name of the file that they are from."""
    for _ in range(MAX_PACKINGS):
        try:
            if data.startswith(b"\x1f\x8b"):
                data = _read_limited(gzip.GzipFile(fileobj=io.BytesIO(data)), name)
            elif data.startswith(b"BZh"):
                data = _read_limited(bz2.BZ2File(io.BytesIO(data)), name)
            elif data.startswith(b"\xfd7zXZ\0"):
                with lzma.open(io.BytesIO(data)) as opened:
                    data = _read_limited(opened, name)
            elif data.startswith(b"PK\x03\x04") and not is_workbook(data):
                data, name = _unzip(data, name)
            else:
                return data, name
        except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise UserError(f"{name}: cannot be unpacked: {error}") from error
    return data, name


def is_workbook(data: bytes) -> bool:
    """Return whether a zip archive is an Excel or OpenDocument file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return bool(names & {"xl/workbook.xml", "xl/workbook.bin"}) or {"mimetype", "content.xml"} <= names


def _unzip(data: bytes, name: str) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = [
            item.filename
            for item in archive.infolist()
            if not item.is_dir() and _is_data(PurePosixPath(item.filename).parts)
        ]
        if len(files) != 1:
            shown = ", ".join(files[:_MAX_NAMED_FILES]) + (", …" if len(files) > _MAX_NAMED_FILES else "")
            contents = f"{len(files)} files ({shown}); unpack the archive and name one of them" if files else "no files"
            raise UserError(f"{name}: the archive holds {contents}")
        with archive.open(files[0]) as opened:
            return _read_limited(opened, name), f"{name}/{files[0]}"
