"""Computes the monthly cost of a stack: `.venv/bin/python benchmarks/cost.py`. docs/scaling.md has the tables and the
source of each number.

`--measure` measures the detect function for the computation: processor time, requests and memory, by the number of
series.
"""

import argparse
import math
import multiprocessing
import os
import resource
import sys
import time
from datetime import datetime
from typing import Any, Literal, NamedTuple

from anomalake.dashboards.definition import MAX_TIME_AXIS_POINTS
from anomalake.detect.detector import SHARD_COLUMNS
from anomalake.domain import metric_set_yaml

# List prices of us-east-1 in USD, without free allowances, as read in the autumn of 2026 (docs/scaling.md, "Prices").
PRICES = {
    "Lambda GB-second, arm64": 0.0000133334,
    "Lambda request": 0.20e-6,
    "Scheduler call": 1.00e-6,
    "S3 GB-month": 0.023,
    "S3 PUT, LIST": 0.005e-3,
    "S3 GET": 0.0004e-3,
    "SQS request": 0.40e-6,
    "Athena TB": 5.00,
    "CloudWatch metric": 0.30,
    "CloudWatch alarm": 0.10,
    "CloudWatch dashboard": 3.00,
    "CloudWatch logs GB": 0.50,
    "Glue DPU-hour": 0.44,
    "QuickSight author": 24.00,
    "QuickSight reader": 3.00,
    "QuickSight Q&A, an account": 250.00,
    "SPICE GB": 0.38,
}
Frequency = Literal["PT1H", "PT5M"]
DAYS = 30.4
PER_DAY: dict[Frequency, int] = {"PT1H": 24, "PT5M": 288}
WINDOW = {
    frequency: MAX_TIME_AXIS_POINTS // day + 3 for frequency, day in PER_DAY.items()
}  # days that a dashboard reads when it opens
# Measured: `--measure` (seconds of one core, requests, bytes), benchmarks/scale.py (bytes of a row).
RUN_SECONDS: dict[Frequency, tuple[float, float]] = {
    "PT1H": (0.01, 62e-6),
    "PT5M": (0.02, 600e-6),
}  # for a run, and for each additional series
STATE_BYTES: dict[Frequency, float] = {"PT1H": 950, "PT5M": 10_800}  # for a series, packed
RUN_WRITES, RUN_READS = 8, 4  # for a run, without the shards
ROW_BYTES, SMALL_ROW_BYTES = (
    25,
    51,
)  # of a row of `observations`: in an object for each day, and in an object of 100 rows
LIVE_ROW_BYTES = 55  # of a row of live data in CSV: a time, two dimensions, two measures
ALERT_SECONDS, ALERT_WRITES, ALERT_BYTES = 0.2, 5, 8_000
# Noise at a score of 50 (docs/detector.md): alarms for each series and week; and incidents of an hour each.
ALARMS: dict[Frequency, float] = {"PT1H": 0.078, "PT5M": 0.083}
INCIDENTS = 3  # a week
# Assumed: these values cannot be measured without an account.
START_SECONDS = 1.0  # the start of a new instance of a function, and its wait for S3: 30 ms for each request
S3_SECONDS = 0.030
LOG_BYTES = 3_000  # a run
VIEWERS, VISITS, VISUALS, LIVE_VISUALS = (
    5,
    22,
    20,
    5,
)  # users, how often each opens a dashboard in a month, queries each time, and how many of these read live data
COLUMNS = 0.6  # share of the bytes of a row in the columns that a chart reads
POLLS = 5 * 3 * 60 * 24 * DAYS  # the five pollers of Lambda for a queue, 20 seconds each

MEASURED: tuple[tuple[Frequency, int, int], ...] = (  # series, and days of history
    ("PT1H", 10, 8),
    ("PT1H", 1_000, 8),
    ("PT1H", 10_000, 8),
    ("PT1H", 50_000, 8),
    ("PT5M", 10, 8),
    ("PT5M", 1_000, 8),
    ("PT5M", 5_000, 8),
)


class Size(NamedTuple):
    """A stack: series and measures, the number of metric sets that contain them, frequency."""

    series: int
    sets: int
    frequency: Frequency


SIZES = tuple(
    Size(series, sets, frequency) for frequency in PER_DAY for series, sets in ((10, 1), (1_000, 5), (50_000, 20))
)


def alerts(size: Size) -> float:
    """Return the alerts in a month. An event covers one metric set, measure and interval, whatever the number of
    series.
    """
    intervals = PER_DAY[size.frequency] * DAYS
    noise = 1 - math.exp(-size.series / size.sets * ALARMS[size.frequency] / (7 * PER_DAY[size.frequency]))
    return size.sets * intervals * min(1, noise + INCIDENTS / 7 / 24)


def month(size: Size) -> dict[str, float]:
    """Return USD per month by item, for a lake with a year of data. QuickSight's users and the live data cost extra."""
    window, day = WINDOW[size.frequency], PER_DAY[size.frequency]
    p, runs, told = PRICES, size.sets * day * DAYS, alerts(size)
    each = size.series / size.sets
    shards = math.ceil(each / SHARD_COLUMNS)
    fixed, slope = RUN_SECONDS[size.frequency]
    seconds = (
        fixed
        + slope * each
        + S3_SECONDS * (RUN_WRITES + RUN_READS + 2 * shards)
        + (START_SECONDS if size.frequency == "PT1H" else 0)
    )
    rows_a_month = size.series * day * DAYS
    kept = 12 * rows_a_month * ROW_BYTES + 12 * told * ALERT_BYTES
    superseded = rows_a_month * SMALL_ROW_BYTES + day * 1.5 * size.series * STATE_BYTES[size.frequency]
    scanned = max(10e6, each * day * window * ROW_BYTES * COLUMNS)
    scanned_live = max(10e6, 2 * each * day * window * LIVE_ROW_BYTES)
    # A query lists each day of both tables, and of live data outside UTC twice. It reads days, and the intervals of
    # live data and of the current day.
    lists = (VISUALS - LIVE_VISUALS) * 2 * (window + 1) + LIVE_VISUALS * 3 * (window + 1)
    reads = (VISUALS - LIVE_VISUALS) * (
        window + day / 2 + window / DAYS * told / size.sets
    ) + LIVE_VISUALS * 2 * window * day
    return {
        "detect function": runs
        * (seconds * 1769 / 1024 * p["Lambda GB-second, arm64"] + p["Lambda request"] + p["Scheduler call"]),
        "ingest function": told * (ALERT_SECONDS * 0.5 * p["Lambda GB-second, arm64"] + p["Lambda request"]),
        "S3 requests": (runs * (RUN_WRITES + shards) + told * ALERT_WRITES) * p["S3 PUT, LIST"]
        + runs * (RUN_READS + shards) * p["S3 GET"],
        "S3 storage, a year": kept / 1e9 * p["S3 GB-month"],
        "S3 storage, old versions": superseded / 1e9 * p["S3 GB-month"],
        "compaction": size.sets * DAYS * 2 * (day * p["S3 GET"] + 4 * p["S3 PUT, LIST"]),
        "SQS": (POLLS + 3 * told) * p["SQS request"],
        "CloudWatch alarms": (6 + 2 * size.sets) * p["CloudWatch alarm"],
        "CloudWatch metrics, dashboard": (4 + 6 * size.sets) * p["CloudWatch metric"] + p["CloudWatch dashboard"],
        "CloudWatch logs": (runs + told) * LOG_BYTES / 1e9 * p["CloudWatch logs GB"],
        "dashboards: S3 requests": VIEWERS * VISITS * (lists * p["S3 PUT, LIST"] + reads * p["S3 GET"]),
        "dashboards: Athena": VIEWERS
        * VISITS
        * ((VISUALS - LIVE_VISUALS) * scanned + LIVE_VISUALS * scanned_live)
        / 1e12
        * p["Athena TB"],
    }


def compute_user_costs() -> dict[str, float]:
    """Return USD per month for the users of QuickSight, for a stack of any size."""
    return {
        "QuickSight users": PRICES["QuickSight author"] + (VIEWERS - 1) * PRICES["QuickSight reader"],
        "QuickSight Q&A": PRICES["QuickSight Q&A, an account"],
    }


def table() -> None:
    """Return the months that docs/scaling.md shows."""
    months = [month(size) for size in SIZES]
    print("| USD a month | " + " | ".join(f"{size.series:,} in {size.sets}, {size.frequency}" for size in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for item in months[0]:
        print(f"| {item} | " + " | ".join(f"{month[item]:,.2f}" for month in months) + " |")
    print("| together | " + " | ".join(f"**{sum(month.values()):,.2f}**" for month in months) + " |")
    print("| alerts a month | " + " | ".join(f"{alerts(size):,.0f}" for size in SIZES) + " |")
    print("of any size: " + ", ".join(f"{item} {usd:,.2f}" for item, usd in compute_user_costs().items()))


# --- the measurement


def measure(series: int, frequency: Frequency, warm_days: int) -> None:
    """Measure one run of the detect function over an in-memory lake, when one interval is due.

    It returns the processor time, the requests, the size of the state and the peak memory.
    """
    import numpy as np

    from anomalake.detect.detector import Detector
    from anomalake.detect.state import DetectorState
    from anomalake.domain import intervals
    from anomalake.functions.detect import run_detector
    from anomalake.functions.detector_state import save_state
    from anomalake.functions.lease import hold_lease
    from anomalake.functions.settings import Settings
    from anomalake.lake import live_data
    from anomalake.lake.object_store import ObjectStore

    item = metric_set_yaml.parse(_SET.format(frequency=frequency), "cost")
    rng, detector, step = np.random.default_rng(3), Detector(item), intervals.INTERVAL_LENGTHS[frequency]
    names = [(f"r{number % 100}", f"product-{number // 100}") for number in range(series)]
    wall, level = datetime(2026, 1, 5), rng.lognormal(5, 1, series)
    for _ in range(warm_days * PER_DAY[frequency]):
        wall += step
        values = zip(names, ((value,) for value in rng.poisson(level).tolist()), strict=True)
        detector.score(live_data.IntervalData(wall, dict(values), series, ()))
    store = _Counted(ObjectStore.memory())
    save_state(store, item, DetectorState(detector, last_processed=wall, alerts_from=wall, silent_intervals=0), None)  # type: ignore[arg-type]
    kept = sum(len(store.store.get(key).data) for key in store.store.list("detector"))
    del detector
    for first in (True, False):
        wall += step
        counts = zip(names, rng.poisson(level).tolist(), strict=True)
        lines = "".join(f"{region},{product},{wall:%Y-%m-%d %H:%M:%S},{count}\n" for (region, product), count in counts)
        store.store.put(
            f"{live_data.interval_folder(item, wall)}/data.csv", f"region,product,timestamp,amount\n{lines}".encode()
        )
        store.calls.clear()
        began, began_wall = time.process_time(), time.perf_counter()
        with hold_lease(store, item, wall + step) as mine:  # type: ignore[arg-type]
            done, _ = run_detector(item, Settings(store, (item,), "parquet"), wall + step, lambda: True)  # type: ignore[arg-type]
        used, took = time.process_time() - began, time.perf_counter() - began_wall
        if not mine or done.scored != 1:
            raise RuntimeError(f"the run scored {done.scored} intervals, wanted one")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        calls = ", ".join(f"{name} {store.calls.count(name)}" for name in sorted(set(store.calls)))
        load, which = os.getloadavg()[0], "first" if first else "second"
        told = f"{frequency}, {series:,} series, {which} run: {used:.3f} s of a core ({took:.2f} s, load {load:.1f})"
        print(
            f"{told}; state {kept / series:,.0f} bytes a series; peak {peak:,.0f} MB; {calls}; {done.alerts} alerts",
            flush=True,
        )


_SET = """
name: cost
frequency: {frequency}
timestamp: {{column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}}
dimensions: [region, product]
measures: [{{name: amount, aggregation: SUM}}]
source: {{path: "cost/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}", format: csv, columns: [region, product, timestamp, amount]}}
"""


class _Counted:
    """A store that records its calls."""

    def __init__(self, store: Any) -> None:
        self.store, self.calls = store, list[str]()

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            return asked(*arguments, **named)

        return call if callable(asked) else asked


def main() -> None:
    """Print the table, or the measurement that it is based on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    if not parser.parse_args().measure:
        table()
        return
    for frequency, series, days in MEASURED:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(series, frequency, days))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
