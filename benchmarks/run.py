"""Measures the numbers of docs/benchmarks.md (`make bench`): the local pipeline, the functions, and the detector.

A benchmark reports numbers and never fails because of one. Each part runs in a process of its own, so that memory and
imports of one part do not affect another.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests/support"))  # the module s3_server

import accuracy
import backtests
import causes
import ingest_load
import limits
import rivals
import s3_server
from alerts import build_alert

INGEST_ROUNDS = 200
WRITERS, UPDATES_PER_WRITER = 8, 25
COLD_START_ROUNDS = 9
TOP = Path(__file__).parent.parent
BUILD = TOP / ".aws-sam/build"
# The logical id and the layers of each function, by its module.
FUNCTIONS = {
    "anomalake.functions.ingest": ("IngestFunction", ("Base",)),
    "anomalake.functions.detect": ("DetectFunction", ("Base", "Numpy")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="only these parts (default: all)")
    parts = parser.parse_args().part or list(PARTS)
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=PARTS[part], args=(Path(folder),))
            process.start()
            process.join()


def demo(folder: Path) -> None:
    """`anomalake demo`: wall time, peak memory, the size of the page, and the time to draw it."""
    for dataset in ("flights", "ecommerce"):
        page, began = folder / f"{dataset}.html", time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "anomalake",
            "demo",
            "--dataset",
            dataset,
            "--lake",
            str(folder / dataset),
            "--output",
            str(page),
        ]
        subprocess.run(command, check=True, capture_output=True)
        seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"demo {dataset}: {seconds:.1f} s, peak so far {peak:,.0f} MB, page {page.stat().st_size / 1e6:.2f} MB")
        chromium = shutil.which("chromium")
        if chromium is None:
            print("  the page was not drawn, because chromium is not installed")
            continue
        measures = {"flights": "measure-cancelled", "ecommerce": "measure-revenue"}[dataset]
        blank = folder / "blank.html"
        blank.write_text("<!doctype html><title>blank</title>")
        for sheet in ("overview", measures, "contributions"):
            drawn, empty = (
                statistics.median(_draw(chromium, file, sheet, folder) for _ in range(5)) for file in (page, blank)
            )
            print(
                f"  {sheet}: loaded and drawn in {drawn - empty:.2f} s more than a blank page ({empty:.2f} s; "
                "headless Chromium, medians of 5)"
            )


def _draw(chromium: str, page: Path, sheet: str, folder: Path) -> float:
    """Return the seconds that Chromium needs to start, open the sheet, draw it, and exit."""
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    command = [
        chromium,
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1500,1200",
        "--virtual-time-budget=10000",
        "--dump-dom",
    ]
    began = time.perf_counter()
    dom = subprocess.run([*command, f"file://{page}#{sheet}"], capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - began
    if page.stem != "blank" and f'data-drawn="{sheet}"' not in dom:
        raise RuntimeError(f"{page}#{sheet} was not drawn")
    return seconds


def ingest(_: Path) -> None:
    """File an alert of 21 series and 2 dimensions in a lake in memory, at a new timestamp and at a known one:
    medians.
    """
    from anomalake.domain import metric_set_yaml
    from anomalake.lake.ingest import Message
    from anomalake.lake.ingest import ingest_messages as file
    from anomalake.lake.object_store import ObjectStore

    item = metric_set_yaml.load(TOP / "src/metric_sets/ecommerce.yaml")
    for form in ("parquet", "csv"):
        store, new_times, known_times = ObjectStore.memory(), [], []
        for number in range(INGEST_ROUNDS):
            for measure, times in (("views", new_times), ("revenue", known_times)):
                body, began = build_alert(number, measure), time.perf_counter()
                outcome = file([Message("1", body)], store, (item,), form)
                times.append(1000 * (time.perf_counter() - began))
                if len(outcome.stored) != 1:
                    raise RuntimeError(f"the alert was not filed: {outcome}")
        medians = ", ".join(
            f"{name} {statistics.median(times):.2f} ms"
            for name, times in (("new timestamp", new_times), ("known timestamp", known_times))
        )
        print(f"ingest one alert, 21 series, {form}: median {medians} ({INGEST_ROUNDS} each)")


def measure_concurrent_writers(folder: Path) -> None:
    """Eight processes update one key of a folder lake at the same time."""
    from anomalake.lake.folder_store import FolderStore

    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(folder, number)) for number in range(WRITERS)]
    began = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - began
    stored = FolderStore(folder).get("shared")
    lines = stored.data.decode().split() if stored else []
    lost = WRITERS * UPDATES_PER_WRITER - len(set(lines))
    print(
        f"{WRITERS} processes, {UPDATES_PER_WRITER} updates each of one key in a folder: "
        f"{seconds:.1f} s including their start, {lost} updates lost"
    )


def _write(folder: Path, writer: int) -> None:
    from anomalake.lake.folder_store import FolderStore
    from anomalake.lake.store import update_object

    for number in range(UPDATES_PER_WRITER):
        update_object(
            FolderStore(folder),
            "shared",
            lambda current, number=number: (current or b"") + f"{writer}:{number}\n".encode(),
        )


def detector(_: Path) -> None:
    """Score series with the model, one interval after another, without reading and writing: processor time."""
    import numpy as np

    from anomalake.detect import model
    from anomalake.detect.cycle import WEEKDAYS, Cycle

    hourly = ((1, 120, 24), (24, 120, 24), (100, 60, 24), (1_000, 20, 24), (10_000, 4, 24), (50_000, 1, 24))
    for size, days, slots in (*hourly, (1_000, 1, 288)):
        rng = np.random.default_rng(1)
        values = rng.poisson(100, (days * slots, size)).astype(float)
        state, began = model.State(Cycle(slots, 1, WEEKDAYS), size), time.process_time()
        for number, row in enumerate(values):
            model.score_interval(state, 700_000 + number // slots, number % slots, row, 50)
        seconds = time.process_time() - began
        state_bytes = sum(array.nbytes for array in vars(state).values() if isinstance(array, np.ndarray)) / size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        print(
            f"detector: {values.size / seconds:,.0f} points/s with {size:,} series, {slots} intervals per day "
            f"({1000 * seconds / len(values):.3f} ms per interval, {state_bytes / 1000:.1f} kB of state per series, "
            f"peak so far {peak:,.0f} MB)"
        )


def measure_cold_starts(folder: Path) -> None:
    """The built functions on Python 3.13: the first import of each, compared with pandas and a boto3 client, and
    the peak memory.
    """
    python = subprocess.run([TOP / ".ci/python313"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    plain, compiled = folder / "plain", folder / "compiled"
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--root-user-action=ignore",
        "-c",
        str(TOP / "constraints.txt"),
    ]
    subprocess.run([*pip, "--target", plain, "pandas", "boto3"], check=True)
    shutil.copytree(plain, compiled)
    subprocess.run([python, "-m", "compileall", "-q", compiled], check=True)
    pandas = "import pandas, boto3; boto3.client('s3', region_name='us-east-1')"
    parts = {
        "pandas and a boto3 S3 client, wheels as unpacked": ([plain], pandas),
        "pandas and a boto3 S3 client, compiled": ([compiled], pandas),
        **{module: (_list_function_folders(module), f"import {module}") for module in FUNCTIONS},
    }
    timed = "import time; began = time.perf_counter(); {}; print(1000 * (time.perf_counter() - began))"
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(COLD_START_ROUNDS):
        for name, (folders, code) in parts.items():
            times[name].append(float(_run_isolated(python, folders, timed.format(code))))
    for name, milliseconds in times.items():
        print(
            f"cold import, {name}: median {statistics.median(milliseconds):,.0f} ms "
            f"({COLD_START_ROUNDS} processes, {min(milliseconds):,.0f} to {max(milliseconds):,.0f})"
        )
    _measure_peak_memory(python)


def _list_function_folders(module: str) -> list[Path]:
    """Return the folders that Lambda puts on the path of the function."""
    function, layers = FUNCTIONS[module]
    architecture = "Arm64" if platform.machine() in ("arm64", "aarch64") else "X86"
    folders = [BUILD / function, *(BUILD / f"{layer}Layer{architecture}/python" for layer in layers)]
    for folder in folders:
        if not folder.is_dir():
            raise RuntimeError(f"{folder} is missing; run `make build`")
    return folders


def _run_isolated(python: str, folders: list[Path], code: str, stdin: str = "", **environment: str) -> str:
    """Run the code with only the standard library and the folders on the path; return its last line of output."""
    command = [
        python,
        "-I",
        "-S",
        "-B",
        "-c",
        f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}; {code}",
    ]
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, check=True, env=environment
    ).stdout.splitlines()[-1]


def _measure_peak_memory(python: str) -> None:
    """Report the memory of the ingest function for a batch of ten alerts with ten timestamps, with moto as S3."""
    with s3_server.running() as endpoint:
        s3_server.create_bucket(endpoint, "lake")
        records = [
            {"eventSource": "aws:sqs", "messageId": str(number), "body": build_alert(number, "views")}
            for number in range(10)
        ]
        module = "anomalake.functions.ingest"
        code = (
            f"import json, resource; from {module} import handler; answer = handler(json.load(sys.stdin), None); "
            "print(json.dumps([answer, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))"
        )
        environment = {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "ANOMALAKE_LAKE": "s3://lake",
            "ANOMALAKE_METRIC_SETS": str(BUILD / "IngestFunction/metric_sets"),
        }
        answer, peak = json.loads(
            _run_isolated(python, _list_function_folders(module), code, json.dumps({"Records": records}), **environment)
        )
    if answer != {"batchItemFailures": []}:
        raise RuntimeError(f"the batch was not filed: {answer}")
    megabytes = peak * (1 if sys.platform == "darwin" else 1024) / 1e6
    print(f"peak memory of the ingest function for a batch of ten alerts: {megabytes:.0f} MB")


PARTS = {
    "demo": demo,
    "ingest": ingest,
    "writers": measure_concurrent_writers,
    "load": ingest_load.load,
    "contention": ingest_load.contention,
    "volume": ingest_load.volume,
    "detector": detector,
    "limits": limits.limits,
    "backtests": backtests.backtests,
    "accuracy": accuracy.accuracy,
    "causes": causes.causes,
    "rivals": rivals.rivals,
    "cold": measure_cold_starts,
}

if __name__ == "__main__":
    main()
