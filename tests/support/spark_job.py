"""Runs glue/backfill.py for tests and benchmarks on local Spark in `.venv/spark`, in a process session of its own."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from anomalake.catalog.backfill_resources import WHEEL_FILE

TOP = Path(__file__).parents[2]
PYTHON = TOP / ".venv/spark/bin/python"
WHEEL = TOP / "dist" / WHEEL_FILE


@contextmanager
def running_job(
    arguments: Sequence[str | Path],
    folder: Path,
    *,
    memory: str = "1g",
    wheel: Path = WHEEL,
    script: Path = TOP / "glue/backfill.py",
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the job and return its process; at the end, kill it with all processes that it started.

    Its output goes to `folder`/log, and Spark's temporary files to `folder`/spill. It uses the package from the wheel
    that the build makes, not from src/. Two tasks run at a time, and each can fail three times.
    """
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": folder / "spill",
        "spark.driver.memory": memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    submitted = " ".join(f"--conf {name}={value}" for name, value in options.items())
    environment = os.environ | {
        "PYTHONPATH": str(wheel),
        "PYSPARK_PYTHON": str(PYTHON),
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "PYSPARK_SUBMIT_ARGS": f"--master local[2,4] {submitted} pyspark-shell",
    }
    folder.mkdir(parents=True, exist_ok=True)
    command = [PYTHON, script, *arguments]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            yield process
        finally:
            kill_job(process)


def kill_job(process: "subprocess.Popen[bytes]") -> None:
    """Kill the job and all processes that it started."""
    for number in job_processes(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


class JobProcess(NamedTuple):
    """A process of the job: its command, its memory in bytes (its share of shared memory), its processor time in
    seconds.
    """

    command: str
    memory: int
    seconds: float


def job_processes(process: "subprocess.Popen[bytes]") -> dict[int, JobProcess]:
    """Return the running processes of the job's session:

    Python, Java, and Spark's workers in a process group of their own.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getsid(int(folder.name)) == process.pid:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    memory = sum(
                        int(line.split()[1])
                        for line in (folder / "smaps_rollup").read_text().splitlines()
                        if line.startswith("Pss:")
                    )
                    ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                    found[int(folder.name)] = JobProcess(
                        command, 1024 * memory, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                    )
            except (ProcessLookupError, FileNotFoundError):
                continue  # the process has ended
    return found
