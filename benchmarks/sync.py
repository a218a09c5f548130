"""Measures the cost of writing a folder lake durably:

`.venv/bin/python benchmarks/sync.py [FOLDER]`, on the disk of that folder.

The same work is timed with and without waiting for the disk: filing single alerts, and writing live data with one
sync for all files or one sync for each file.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from anomalake.lake import folder_store
from anomalake.lake.folder_store import FolderStore

ALERT_COUNT, OBJECT_COUNT = 200, 5000
OBJECT_DATA = b"x" * 3000
ROUNDS = 3


def time_alerts(root: Path) -> float:
    """Return the milliseconds to write the objects of one alert with a new timestamp: an archive object and three
    tables.
    """
    store = FolderStore(root)
    began = time.perf_counter()
    for number in range(ALERT_COUNT):
        for table in ("alerts", "anomalies", "contributions", "events"):
            store.create(f"{table}/v1/date=2026-01-{number % 28 + 1:02}/{number}", OBJECT_DATA)
    return 1000 * (time.perf_counter() - began) / ALERT_COUNT


def time_live_data(root: Path, together: bool) -> float:
    """Return the seconds to write live data with a folder for each interval."""
    store = FolderStore(root)
    began = time.perf_counter()
    with store.sync_at_end() if together else nullcontext():
        for number in range(OBJECT_COUNT):
            store.put(f"live/{number // 24}/{number % 24}/data.csv", OBJECT_DATA)
    return time.perf_counter() - began


def main(where: str | None) -> None:
    durable_functions = (folder_store.sync_file, folder_store.sync_folder)
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(dir=where) as folder:

        def measure(work: Callable[[Path], float], durable: bool = True) -> float:
            folder_store.sync_file, folder_store.sync_folder = (
                durable_functions if durable else (lambda _: None, lambda _: None)
            )
            return statistics.median(work(Path(folder) / str(next(numbers))) for _ in range(ROUNDS))

        durable, fast = measure(time_alerts), measure(time_alerts, durable=False)
        print(f"an alert with a new timestamp: {durable:.2f} ms; without waiting for the disk {fast:.2f} ms")
        single = measure(lambda root: time_live_data(root, together=False))
        together = measure(lambda root: time_live_data(root, together=True))
        fast = measure(lambda root: time_live_data(root, together=True), durable=False)
        print(
            f"live data of {OBJECT_COUNT:,} intervals: {single:.1f} s with a sync for each file, "
            f"{together:.1f} s with one sync; {fast:.1f} s without waiting for the disk"
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
