"""Where tests and the benchmark run glue/backfill.py: on local Spark in `.venv/spark`, as a session of its own."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from anomalake.catalog.backfill_resources import WHEEL as WHEEL_NAME

TOP = Path(__file__).parents[2]
PYTHON = TOP / ".venv/spark/bin/python"
WHEEL = TOP / "dist" / WHEEL_NAME


@contextmanager
def running_job(
    arguments: Sequence[str | Path],
    folder: Path,
    *,
    memory: str = "1g",
    wheel: Path = WHEEL,
    script: Path = TOP / "glue/backfill.py",
) -> Iterator["subprocess.Popen[bytes]"]:
    """The job's process, which is killed with all that it started at the end; what it says goes to `folder`/log, what Spark spills beside it.

    It has the package as the wheel that the build makes, and nothing of src/. Two tasks at a time, each of which may fail three times.
    """
    options = {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.local.dir": folder / "spill", "spark.driver.memory": memory,
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    }  # fmt: skip
    submitted = " ".join(f"--conf {name}={value}" for name, value in options.items())
    environment = os.environ | {
        "PYTHONPATH": str(wheel), "PYSPARK_PYTHON": str(PYTHON), "POWERTOOLS_LOG_LEVEL": "CRITICAL",
        "PYSPARK_SUBMIT_ARGS": f"--master local[2,4] {submitted} pyspark-shell",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    command = [PYTHON, script, *arguments]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            yield process
        finally:
            kill_job(process)


def kill_job(process: "subprocess.Popen[bytes]") -> None:
    """End the job and all that it started, at once."""
    for number in job_processes(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


class JobProcess(NamedTuple):
    """A process of the job: its command, the bytes of memory it has (of what several share, its part), and the seconds it has computed."""

    command: str
    memory: int
    seconds: float


def job_processes(process: "subprocess.Popen[bytes]") -> dict[int, JobProcess]:
    """The processes of the job's session that run now: Python, Java, and Spark's workers, which are a process group of their own."""
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
                continue  # it has ended
    return found
