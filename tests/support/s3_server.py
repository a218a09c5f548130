"""The S3 server of the tests: the server of moto (also SQS and SNS) as a process of its own, one request at a time:
`python tests/support/s3_server.py PORT [FOLDER]`. `ANOMALAKE_TEST_S3_ENDPOINT` and `ANOMALAKE_TEST_S3_BUCKET` name
another store for the lakes (docs/testing.md).

Moto checks a condition and then writes without a lock. This server processes one request at a time, so that conditional
writes are atomic, as in S3. `GET /_requests` returns the requests since its last call: method, path, bytes received and
bytes sent of each. `GET /_seconds` returns the processor time that the server has used. Buckets that are folders in
FOLDER are read from there and not from moto, which reads all keys of a bucket to list a few.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

START = 30.0  # seconds until the server must respond


@contextmanager
def running(*folder: Path) -> Iterator[str]:
    """Start the server, yield its address, and stop it."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__), "0", *folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        began = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"{endpoint}/_requests", timeout=5).close()
                break
            except URLError:
                if time.monotonic() - began > START:
                    raise
                time.sleep(0.05)
        yield endpoint
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def requests(endpoint: str) -> list[dict[str, Any]]:
    """Return the requests since the last call."""
    with urllib.request.urlopen(f"{endpoint}/_requests", timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def seconds(endpoint: str) -> float:
    """Return the processor time that the server has used."""
    with urllib.request.urlopen(f"{endpoint}/_seconds", timeout=30) as answer:
        return float(answer.read())


def create_bucket(endpoint: str, bucket: str) -> None:
    """Create a bucket."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", method="PUT"), timeout=30).close()


def named_endpoint() -> str | None:
    """Return the store that the environment sets for the tests; None means moto's server."""
    return os.environ.get("ANOMALAKE_TEST_S3_ENDPOINT")


def leading_to(endpoint: str) -> dict[str, str]:
    """Return the environment variables with which a lake `s3://...` is found at the endpoint.

    The server of moto accepts any credentials; another store requires those of the environment.
    """
    keys = (
        {}
        if named_endpoint()
        else {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    )
    return {"AWS_ENDPOINT_URL_S3": endpoint, "AWS_DEFAULT_REGION": "us-east-1", **keys}


def new_lake(endpoint: str) -> str:
    """Return an empty lake below a random prefix of the bucket."""
    if not named_endpoint():
        create_bucket(endpoint, "lake")  # the bucket exists: moto accepts that
    return f"s3://{os.environ['ANOMALAKE_TEST_S3_BUCKET'] if named_endpoint() else 'lake'}/test-{os.urandom(6).hex()}"


def remove(lake: str) -> None:
    """Delete all objects of the lake. The environment must have its endpoint and credentials."""
    from anomalake.lake.store import open_store

    store = open_store(lake)
    for key in store.list(""):
        store.delete(key)


def _one_at_a_time(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    lock, seen = threading.Lock(), list[dict[str, Any]]()

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            if environ["PATH_INFO"] == "/_requests":
                start("200 OK", [("Content-Type", "application/json")])
                body = json.dumps(seen).encode()
                seen.clear()
                return [body]
            if environ["PATH_INFO"] == "/_seconds":
                start("200 OK", [("Content-Type", "text/plain")])
                return [str(time.process_time()).encode()]
            answer = app(environ, start)
            sent = list(answer)
            if (close := getattr(answer, "close", None)) is not None:
                close()
            received = int(environ.get("CONTENT_LENGTH") or 0)
            seen.append(
                {
                    "method": environ["REQUEST_METHOD"],
                    "path": environ["PATH_INFO"],
                    "received": received,
                    "sent": sum(map(len, sent)),
                }
            )
            return sent

    return serve


def _from_folders(app: Callable[..., Iterable[bytes]], folder: Path) -> Callable[..., Iterable[bytes]]:
    """Serve buckets that are folders from their files; moto serves all other requests."""

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or not bucket or not (folder / bucket).is_dir():
            return app(environ, start)
        if not key:
            query = parse_qs(environ["QUERY_STRING"])
            body = _listed(
                folder / bucket, query.get("prefix", [""])[0], int(query.get("max-keys", ["1000"])[0])
            ).encode()
            start("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        file = folder / bucket / key
        if not file.is_file():
            start("404 Not Found", [("Content-Length", "0")])
            return []
        size, first, status = file.stat().st_size, 0, "200 OK"
        last, extra = size - 1, list[tuple[str, str]]()
        if (span := environ.get("HTTP_RANGE")) is not None:
            begin, _, end = span.removeprefix("bytes=").partition("-")
            first, last = (int(begin), min(int(end or last), last)) if begin else (max(0, size - int(end)), last)
            status, extra = "206 Partial Content", [("Content-Range", f"bytes {first}-{last}/{size}")]
        start(
            status,
            [
                ("Content-Length", str(last + 1 - first)),
                ("ETag", f'"{size}"'),
                ("Last-Modified", _MODIFIED),
                ("Accept-Ranges", "bytes"),
                *extra,
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [file.read_bytes()[first : last + 1]]

    return serve


_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


def _listed(bucket: Path, prefix: str, most: int) -> str:
    """Return the response of ListObjectsV2: all keys that start with the prefix, which is the name of a folder."""
    found = sorted(file for file in (bucket / prefix).rglob("*") if file.is_file()) if prefix.endswith("/") else []
    assert len(found) <= 1000, f"{prefix}: {len(found)} keys, and only one page is answered"
    entries = "".join(
        f"<Contents><Key>{escape(str(file.relative_to(bucket)))}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f'<ETag>"{size}"</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>'
        for file in found[:most]
        for size in [file.stat().st_size]
    )
    head = f"<Name>{bucket.name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{min(most, len(found))}</KeyCount>"
    head += f"<MaxKeys>{most}</MaxKeys>"
    xml = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{xml}<ListBucketResult>{head}<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"


def main() -> None:
    """Serve until the process is stopped. Print the port to standard output."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
    app = _one_at_a_time(_from_folders(app, Path(sys.argv[2])) if len(sys.argv) > 2 else app)
    server = make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True)
    print(server.server_port, flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
