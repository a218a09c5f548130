"""A Trino server for the tests. Maven fetches it to a folder outside of the repository.

The server starts on a free port, over Glue and S3 at an endpoint, and answers queries over HTTP.
"""

import json
import math
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError

import processes

VERSION = "476"
JAVA = 24  # the oldest that this version runs on
HEAP = "2500M"
CATALOG = "awsdatacatalog"  # view entries name it
START = 180.0  # seconds until the server must respond
NODES = 30.0  # seconds until the server knows that it is a node itself
REQUEST = 600.0  # seconds for one response of the server
_FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

_CONFIG = {
    "coordinator": "true",
    "node-scheduler.include-coordinator": "true",
    "http-server.http.port": "{port}",
    "discovery.uri": "http://127.0.0.1:{port}",
    "node.internal-address": "127.0.0.1",
    "node.bind-ip": "127.0.0.1",
    "http-server.process-forwarded": "false",
    "catalog.management": "static",
    "query.max-memory": "1200MB",
    "query.max-memory-per-node": "1200MB",
    "memory.heap-headroom-per-node": "600MB",
    "task.concurrency": "2",
    "query.min-expire-age": "30s",
}
_CATALOG = {
    "connector.name": "hive",
    "hive.metastore": "glue",
    "hive.metastore.glue.endpoint-url": "{endpoint}",
    "hive.metastore.glue.region": "us-east-1",
    "hive.metastore.glue.aws-access-key": "testing",
    "hive.metastore.glue.aws-secret-key": "testing",
    "fs.native-s3.enabled": "true",
    "s3.endpoint": "{endpoint}",
    "s3.region": "us-east-1",
    "s3.aws-access-key": "testing",
    "s3.aws-secret-key": "testing",
    "s3.path-style-access": "true",
    "hive.partition-projection-enabled": "true",
    "hive.recursive-directories": "true",  # as Athena does
    "hive.ignore-absent-partitions": "true",  # as in Athena; otherwise each empty folder is listed twice
    "hive.table-statistics-enabled": "false",  # moto's Glue has no column statistics
    "hive.file-status-cache-tables": "*",  # the lakes do not change during the queries, and a list takes milliseconds
    "hive.file-status-cache-expire-time": "30m",
}


class UnavailableError(Exception):
    """The engine cannot be started: what is missing, and what was tried."""


class TrinoError(Exception):
    """The error that the server reports for a statement."""


class Answer(NamedTuple):
    """The names and Trino types of the columns, and the rows, with the types that DuckDB would return."""

    names: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    stats: dict[str, Any]


# --- the requirements of the server


def java() -> Path:
    """Return a Java that is new enough. Raises `UnavailableError` with the locations that were searched."""
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    found = shutil.which("java")
    tried: list[str] = []
    for program in [
        *(prepare_server_folder / "bin/java" for prepare_server_folder in homes),
        *([Path(found)] if found else []),
        *sorted(Path("/usr/lib/jvm").glob("*/bin/java")),
    ]:
        if not program.exists():
            tried.append(f"{program}: is not there")
            continue
        completed = subprocess.run(
            [program, "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=False
        ).stderr
        version = next(
            (line.split("=")[1].strip() for line in completed.splitlines() if "java.specification.version =" in line),
            "?",
        )
        if version.isdigit() and int(version) >= JAVA:
            return program
        tried.append(f"{program}: Java {version}")
    raise UnavailableError(
        f"Trino {VERSION} requires Java {JAVA} or newer, by JAVA_HOME, on PATH or in /usr/lib/jvm; "
        f"tried: {'; '.join(tried) or 'none found'}"
    )


def prepare_server_folder() -> Path:
    """Return the folder of the unpacked server, which has only the Hive plugin. Maven fetches it if necessary."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anomalake"
    installed = cache / f"trino-{VERSION}"
    if installed.is_dir():
        return installed
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError(
            f"Maven fetches Trino {VERSION}, and mvn is not on PATH: install Maven (Debian: apt install maven), "
            f"or unpack the server in {installed}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        artifact = f"io.trino:trino-server:{VERSION}:tar.gz"
        command = [
            maven,
            "--batch-mode",
            "--no-transfer-progress",
            "--quiet",
            _FETCH,
            f"-Dartifact={artifact}",
            f"-DoutputDirectory={folder}",
        ]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        if fetched.returncode:
            raise UnavailableError(
                f"Maven could not fetch {artifact}:\n{fetched.stdout[-3000:]}{fetched.stderr[-1000:]}"
            )
        subprocess.run(["tar", "-xzf", f"{folder}/trino-server-{VERSION}.tar.gz", "-C", folder], check=True)
        server = Path(folder) / f"trino-server-{VERSION}"
        for plugin in [*(server / "plugin").iterdir(), *(server / "secrets-plugin").iterdir()]:
            if plugin.name != "hive":  # each plugin adds to the start time
                shutil.rmtree(plugin)
        server.rename(installed)
    return installed


# --- the server


@contextmanager
def running(endpoint: str, folder: Path) -> Iterator["Trino"]:
    """Start the server over Glue and S3 at the endpoint, and stop it at the end. It writes its log to the folder."""
    program, server = java(), prepare_server_folder()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    (folder / "catalog").mkdir(parents=True)
    values = {"port": str(port), "endpoint": endpoint}
    for file, settings in (
        (
            "config.properties",
            _CONFIG | {"catalog.config-dir": str(folder / "catalog"), "plugin.dir": str(server / "plugin")},
        ),
        (f"catalog/{CATALOG}.properties", _CATALOG),
        ("log.properties", {"io.trino": "WARN"}),
    ):
        (folder / file).write_text("".join(f"{name}={value.format(**values)}\n" for name, value in settings.items()))
    command = [
        program,
        f"-Xmx{HEAP}",
        "-XX:+UseParallelGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djdk.attach.allowAttachSelf=true",
        "-XX:+EnableDynamicAgentLoading",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "--add-modules=jdk.incubator.vector",
        "-Duser.timezone=UTC",
        "-Dfile.encoding=UTF-8",
        f"-Dconfig={folder}/config.properties",
        f"-Dlog.levels-file={folder}/log.properties",
        f"-Dnode.data-dir={folder}",
        "-Dnode.environment=conformance",
        "-cp",
        f"{server}/lib/*",
        "io.trino.server.TrinoServer",
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        trino = Trino(f"http://127.0.0.1:{port}")
        began = time.monotonic()
        while not (trino.ready() and trino.query("SELECT 1 FROM system.runtime.nodes WHERE state = 'active'").rows):
            if process.poll() is not None or time.monotonic() - began > START:
                end = (folder / "server.log").read_text("utf-8", "replace")[-4000:]
                raise UnavailableError(
                    f"Trino {VERSION} did not start within {START:.0f} s (exit status {process.returncode}); "
                    f"its log ends:\n{end}"
                )
            time.sleep(0.2)
        yield trino
    finally:
        processes.stop(process, 30)


class Trino(NamedTuple):
    """The address of the server. Its client protocol runs one statement at a time."""

    address: str

    def ready(self) -> bool:
        """Return whether the server accepts statements."""
        try:
            with urllib.request.urlopen(f"{self.address}/v1/info", timeout=5) as answer:
                return not json.load(answer)["starting"]
        except (URLError, OSError):
            return False

    def query(self, statement: str, schema: str = "") -> Answer:
        """Run a statement in the schema. Raises `TrinoError` with the error of the server."""
        began = time.monotonic()
        while True:
            try:
                return self._answer(statement, schema)
            except TrinoError as error:  # a server that just started may not know its own catalogs yet
                if not str(error).startswith("NO_NODES_AVAILABLE") or time.monotonic() - began > NODES:
                    raise
            time.sleep(0.5)

    def _answer(self, statement: str, schema: str) -> Answer:
        headers = {
            "X-Trino-User": "conformance",
            "X-Trino-Catalog": CATALOG,
            "X-Trino-Time-Zone": "UTC",
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
            **({"X-Trino-Schema": schema} if schema else {}),
        }
        request = urllib.request.Request(
            f"{self.address}/v1/statement", data=statement.encode(), headers=headers, method="POST"
        )
        columns: list[dict[str, Any]] = []
        rows: list[list[Any]] = []
        while True:
            page = _send_request(request)
            if "error" in page:
                raise TrinoError(f"{page['error']['errorName']}: {page['error']['message']}\n{statement}")
            columns = page.get("columns", columns)
            rows += page.get("data", [])
            if "nextUri" not in page:
                break
            request = urllib.request.Request(page["nextUri"], headers=headers)
        types = [column["type"] for column in columns]
        read = [_READ.get(kind.split("(")[0], _convert_cell) for kind in types]
        typed = [
            tuple(None if cell is None else convert(cell) for convert, cell in zip(read, row, strict=True))
            for row in rows
        ]
        return Answer([column["name"] for column in columns], types, typed, page["stats"])


def _send_request(request: urllib.request.Request) -> dict[str, Any]:
    while True:
        try:
            with urllib.request.urlopen(request, timeout=REQUEST) as answer:
                page: dict[str, Any] = json.load(answer)
                return page
        except HTTPError as error:
            if error.code not in (502, 503, 504):  # these status codes mean: request again
                raise
            time.sleep(0.1)


def _convert_cell(cell: Any) -> Any:
    return cell


_READ: dict[str, Any] = {
    "double": lambda cell: {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}.get(cell, cell),
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
}
