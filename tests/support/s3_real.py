"""Runs the tests of lakes in S3 on a real server: `python tests/support/s3_real.py VERSITYGW`, by `make s3-test`
(docs/testing.md).

It starts versitygw on a free port of loopback with a temporary folder, runs each test that uses a lake in S3, and stops
the server by its process id. It fails if a test is skipped, or if one of these tests does not call the server.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import processes

TESTS = Path(__file__).parents[1]
START_SECONDS = 30  # seconds until the server must respond
FILES = (
    "lake/test_store.py",
    "lake/test_exactly_once.py",
    "lake/test_storage_faults.py",
    "lake/test_crash.py",
    "lake/test_replay_command.py",
    "lake/test_s3_conditions.py",
    "lake/test_live_file_limits.py",
    "functions/test_notified_at_least_once.py",
    "cli/test_command.py",
)
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "lake"


class Reached:
    """A pytest plugin that selects the tests of lakes in S3, and records which of them used a lake."""

    def __init__(self) -> None:
        self.chosen, self.reached, self.skipped = set[str](), set[str](), set[str]()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Select the tests that use `s3_lake`, by name or as a parameter `s3`."""
        items[:] = [item for item in items if "s3_lake" in item.fixturenames or "s3" in _parameters(item)]  # type: ignore[attr-defined]
        self.chosen = {item.nodeid for item in items}

    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """Record a test that gets a lake."""
        if fixturedef.argname == "s3_lake":
            self.reached.add(request.node.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a skipped test."""
        if report.skipped:
            self.skipped.add(report.nodeid)

    def problems(self) -> list[str]:
        """Return problems that show that not all of these tests ran on the server."""
        missing = [
            f"tests/{name}: has no test of a lake in S3"
            for name in FILES
            if not any(f"{name}::" in test_id for test_id in self.chosen)
        ]
        silent = [f"{test_id}: did not reach the server" for test_id in sorted(self.chosen - self.reached)]
        return missing + silent + [f"{test_id}: was skipped" for test_id in sorted(self.skipped)]


def _parameters(item: pytest.Item) -> set[object]:
    call = getattr(item, "callspec", None)
    return {value for value in call.params.values() if isinstance(value, str)} if call else set()


@contextmanager
def running(server: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Start the server, yield its address and its access log, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = folder / "data", folder / "access.log"
    data.mkdir()
    own = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    command = [
        server,
        "--port",
        f"127.0.0.1:{port}",
        "--health",
        "/health",
        "--quiet",
        "--access-log",
        str(log),
        "posix",
        str(data),
    ]
    with (folder / "server.log").open("w") as server_log:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=server_log, stderr=server_log)
    try:
        _wait_until_it_answers(process, port, folder / "server.log")
        yield f"http://127.0.0.1:{port}", log
    finally:
        processes.stop(process, 10)


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"versitygw does not answer on port {port}:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def main(server: str) -> int:
    """Run the tests and return the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: pytest ends, and the server is stopped
    with (
        tempfile.TemporaryDirectory(prefix="anomalake-s3-") as folder,
        running(server, Path(folder)) as (endpoint, log),
    ):
        os.environ.update({**KEYS, "ANOMALAKE_TEST_S3_ENDPOINT": endpoint, "ANOMALAKE_TEST_S3_BUCKET": BUCKET})
        os.environ.pop("AWS_PROFILE", None)
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        import boto3

        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        plugin = Reached()
        status = pytest.main(
            ["-n", "0", "-m", "", "-p", "no:cacheprovider", *(str(TESTS / name) for name in FILES)], plugins=[plugin]
        )
        requests = sum(1 for _ in log.open(errors="replace"))
    for problem in (problems := plugin.problems()):
        print(problem, file=sys.stderr)  # noqa: T201
    print(f"{len(plugin.reached)} tests with a lake on versitygw, {requests:,} requests")  # noqa: T201
    return int(status) or int(bool(problems) or not requests)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
