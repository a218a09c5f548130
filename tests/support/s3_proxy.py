"""A proxy between the code and its S3 store. It makes requests fail in the ways that networks and S3 fail, and records
them.

Sources: "Error responses" in the S3 API; for 409, "How to prevent object overwrites with conditional writes" in the S3
guide.
"""

import contextlib
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

Fault = Literal[
    "500 InternalError", "503 SlowDown", "429 TooManyRequests", "409 ConditionalRequestConflict",
    "time-out before", "time-out after", "reset before", "reset after", "cut short",
]  # fmt: skip
FAULTS: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]


class Request(NamedTuple):
    """A request: its time (seconds of `time.monotonic`), method, path, and condition (`create`, `replace` or empty)."""

    at: float
    method: str
    path: str
    condition: str

    @property
    def key(self) -> str:
        """The kind of request: method, condition and path."""
        return f"{self.method} {self.condition} {self.path}"


class Proxy:
    """The proxy's address, the recorded requests, and `plan`: the fault of a request, by its number (from 1) and the
    request.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.seen: list[Request] = []
        self.plan: Callable[[int, Request], Fault | None] = nothing
        self.delay = 0.0  # seconds before each response
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.endpoint = ""

    def begin(self, plan: Callable[[int, Request], Fault | None]) -> None:
        """Delete the recorded requests, and count from 1 again."""
        with self._lock:
            self.seen, self.plan = [], plan

    def fault(self, method: str, path: str, condition: str) -> Fault | None:
        """Record a request, and return its fault."""
        request = Request(time.monotonic(), method, path, condition)
        with self._lock:
            self.seen.append(request)
            number, plan = len(self.seen), self.plan
        return plan(number, request)


def nothing(number: int, request: Request) -> Fault | None:
    """A request without a fault."""
    return None


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """Start a proxy before the store at that address."""
    proxy = Proxy(upstream)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A killed client resets its connection, which is not reported."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _connection: http.client.HTTPConnection | None = None

    def log_message(self, *args: object) -> None:
        """Log nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        condition = "create" if "If-None-Match" in self.headers else "replace" if "If-Match" in self.headers else ""
        fault = self.proxy.fault(self.command, unquote(self.path), condition)
        if self.proxy.delay:
            self.proxy.over.wait(self.proxy.delay)
        if fault is None:
            self._answer(*self._forward(body))
        elif fault[0].isdigit():
            status, _, code = fault.partition(" ")
            error = f"<Error><Code>{code}</Code><Message>as planned</Message></Error>"
            text = f'<?xml version="1.0" encoding="UTF-8"?>{error}'.encode()
            self._answer(int(status), [("Content-Type", "application/xml")], text)
        elif fault == "cut short":
            status, headers, data = self._forward(body)
            self._answer(status, headers, data, len(data) // 2)
            self.close_connection = True
        else:
            if fault.endswith("after"):
                self._forward(body)
            if fault.startswith("time-out"):
                self.proxy.over.wait(5)  # the client has disconnected before
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # with this option the connection is reset, not closed
            self.close_connection = True

    do_GET = do_PUT = do_DELETE = do_POST = _serve  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self.proxy.upstream.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self.proxy.upstream.netloc, timeout=30)
        self._connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.will_close:
            self._connection.close()
        return answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN], data

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, sent: int | None = None) -> None:
        try:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:sent])
        except OSError:
            self.close_connection = True  # the client has disconnected

    def finish(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            self._connection.close()
        with contextlib.suppress(OSError):
            super().finish()


_OWN = {"content-length", "connection", "transfer-encoding", "keep-alive"}
