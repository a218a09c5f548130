"""The runner of `make s3-test`: it fails if no test reaches the server, and it leaves no server process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import s3_real

SERVER = """\
#!{python}
import os, socket, sys, time
port = int(sys.argv[2].rpartition(":")[2])
with open(sys.argv[-1] + "/../pid", "w") as file:
    file.write(str(os.getpid()))
if not {works}:
    sys.exit("no such backend")
with socket.create_server(("127.0.0.1", port)):
    time.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path, request) -> Path:
    file = tmp_path / "server"
    file.write_text(SERVER.format(python=sys.executable, works=request.param))
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("server", [True], indirect=True)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_server_is_stopped_by_its_process_id_however_the_tests_end(server, error, tmp_path):
    def ended() -> None:
        with s3_real.running(str(server), tmp_path) as (endpoint, _):
            assert endpoint.startswith("http://127.0.0.1:")
            raise error

    with pytest.raises(error):
        ended()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("server", [False], indirect=True)
def test_a_server_that_does_not_start_ends_the_run_with_its_output(server, tmp_path):
    with (
        pytest.raises(SystemExit, match=r"does not answer on port \d+:\nno such backend"),
        s3_real.running(str(server), tmp_path),
    ):
        pytest.fail("it runs")


def test_a_test_that_is_skipped_or_does_not_call_the_server_is_a_problem():
    plugin = s3_real.Reached()
    plugin.chosen = {f"tests/{name}::a" for name in s3_real.FILES[1:]}
    plugin.reached = plugin.chosen - {"tests/lake/test_crash.py::a"}
    plugin.skipped = {"tests/lake/test_replay.py::a"}
    assert plugin.problems() == [
        "tests/lake/test_store.py: has no test of a lake in S3",
        "tests/lake/test_crash.py::a: did not reach the server",
        "tests/lake/test_replay.py::a: was skipped",
    ]


def test_every_file_with_a_test_of_a_lake_in_s3_is_named():
    others = {Path(__file__), s3_real.TESTS / "spark/test_backfill.py"}  # Spark runs apart, on moto's server
    files = [file for file in s3_real.TESTS.rglob("test_*.py") if file not in others and "s3_lake" in file.read_text()]
    using = {file.relative_to(s3_real.TESTS).as_posix() for file in files}
    assert using == set(s3_real.FILES)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("server", [True], indirect=True)
def test_a_stopped_run_stops_its_server(server, end, tmp_path):
    """The substitute server never responds, so the run waits for its first response."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, s3_real.__file__, server],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found: list[Path] = []
    while not found and process.poll() is None:
        found = [file for file in tmp_path.glob("anomalake-s3-*/pid") if file.stat().st_size]
    served = int(found[0].read_text())
    process.send_signal(end)
    assert process.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(served, 0)
    assert list(tmp_path.glob("anomalake-s3-*")) == []
