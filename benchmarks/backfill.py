"""Measures how long the Spark job takes for a year of generated hourly live data.

Run `.venv/bin/python benchmarks/backfill.py FOLDER --series 10000 --days 365`. FOLDER becomes the lake (3 GB of live
data and as much of tables) and is not deleted; a second run uses its live data again. Requires the set-up of `make
backfill-test`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests/support"))  # for spark_job

import numpy as np

import spark_job

SET = """
name: big
frequency: PT1H
timezone: UTC
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [region, product]
measures: [{name: amount, aggregation: SUM}]
source: {path: "big/{{yyyyMMdd}}/{{HHmm}}", format: csv, columns: [region, product, timestamp, amount]}
"""
BEGIN = datetime(2024, 1, 1)
ANOMALY_PROBABILITY = 2e-5  # factors of a value: an anomaly is a third or three times the expected value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=365)
    chosen = parser.parse_args()
    lake, began = chosen.folder / "lake", time.monotonic()
    (chosen.folder / "sets").mkdir(parents=True, exist_ok=True)
    (chosen.folder / "sets/big.yaml").write_text(SET)
    made = chosen.folder / f"made-{chosen.series}-{chosen.days}"
    for file, text in files(chosen.series, chosen.days) if not made.exists() else ():
        (lake / file).parent.mkdir(parents=True, exist_ok=True)
        (lake / file).write_text(text)
    made.touch()
    points = chosen.series * chosen.days * 24
    print(f"live data    {points:,} points, {time.monotonic() - began:.0f} s", flush=True)
    began, peak, seconds = time.monotonic(), 0, dict[int, float]()
    with spark_job.running_job(
        ["--lake", lake, "--metric-set", "big", "--metric-sets", chosen.folder / "sets"], chosen.folder, memory="4g"
    ) as process:
        while process.poll() is None:
            members = spark_job.job_processes(process)
            peak = max(peak, sum(member.memory for member in members.values()))
            seconds |= {number: member.seconds for number, member in members.items()}
            time.sleep(1)
    took = time.monotonic() - began
    print((chosen.folder / "log").read_text()[-2000:])
    print(f"backfill     exit status {process.returncode}; {took:.0f} s, {points / took:,.0f} points/s")
    print(f"             processor time {sum(seconds.values()):.0f} s; memory at most {peak / 1e9:.2f} GB")


def files(series: int, days: int) -> Iterator[tuple[str, str]]:
    """Generate the live data, one file for each hour: counts with a level, a daily and a weekly season."""
    rng = np.random.default_rng(11)
    names = [f"r{number % 100:02},product-{number // 100:04}" for number in range(series)]
    level, peak, weekend = (
        10 ** rng.uniform(0.5, 3.5, series),
        rng.uniform(10, 22, series),
        rng.uniform(0.6, 1.2, series),
    )
    for hour in range(24 * days):
        at = BEGIN + timedelta(hours=hour)
        usual = level * (1 + 0.5 * np.cos((at.hour - peak) / 24 * 2 * np.pi)) * (weekend if at.weekday() >= 5 else 1)
        struck = np.where(rng.random(series) < ANOMALY_PROBABILITY, rng.choice([1 / 3, 3.0], series), 1)
        values = rng.poisson(usual * struck).tolist()
        lines = "".join(f"{name},{at:%Y-%m-%d %H:%M:%S},{value}\n" for name, value in zip(names, values, strict=True))
        yield f"big/{at:%Y%m%d}/{at:%H%M}/data.csv", f"region,product,timestamp,amount\n{lines}"


if __name__ == "__main__":
    main()
