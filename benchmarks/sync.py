"""What it costs that a folder lake is safe against power failure: `.venv/bin/python benchmarks/sync.py [FOLDER]`, on the disk of that folder.

The same work with and without waiting for the disk: single alerts filed, and live data laid out with one sync for all of it, or one for each file.
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

ALERTS, OBJECTS = 200, 5000
DATA = b"x" * 3000
ROUNDS = 3


def filed(root: Path) -> float:
    """Milliseconds for what one alert of a new timestamp writes: an archive object and three tables."""
    store = FolderStore(root)
    began = time.perf_counter()
    for number in range(ALERTS):
        for table in ("alerts", "anomalies", "contributions", "events"):
            store.create(f"{table}/v1/date=2026-01-{number % 28 + 1:02}/{number}", DATA)
    return 1000 * (time.perf_counter() - began) / ALERTS


def laid_out(root: Path, together: bool) -> float:
    """Seconds for live data, a folder an interval."""
    store = FolderStore(root)
    began = time.perf_counter()
    with store.sync_at_end() if together else nullcontext():
        for number in range(OBJECTS):
            store.put(f"live/{number // 24}/{number % 24}/data.csv", DATA)
    return time.perf_counter() - began


def main(where: str | None) -> None:
    synced = (folder_store.sync_file, folder_store.sync_folder)
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(dir=where) as folder:

        def measured(work: Callable[[Path], float], waits: bool = True) -> float:
            folder_store.sync_file, folder_store.sync_folder = synced if waits else (lambda _: None, lambda _: None)
            return statistics.median(work(Path(folder) / str(next(numbers))) for _ in range(ROUNDS))

        print(
            f"an alert of a new timestamp: {measured(filed):.2f} ms; without waiting for the disk {measured(filed, waits=False):.2f} ms"
        )
        each, one = (
            measured(lambda root: laid_out(root, together=False)),
            measured(lambda root: laid_out(root, together=True)),
        )
        none = measured(lambda root: laid_out(root, together=True), waits=False)
        print(
            f"{OBJECTS:,} intervals laid out: {each:.1f} s synced one by one, {one:.1f} s together; without waiting {none:.1f} s"
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
