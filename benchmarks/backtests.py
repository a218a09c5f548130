"""Measures back-tests of files, from the file to the page: a year of an hourly series, a year of a five-minute series,
and a million rows of transactions.

Each runs `anomalake backtest` in a new process, and reports the wall time and the processor time.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

TRANSACTIONS, STORES = 1_000_000, 8
_SET = """\
name: {name}
frequency: {frequency}
timezone: UTC
timestamp: {{column: at, format: "yyyy-MM-dd HH:mm:ss"}}
dimensions: [{dimensions}]
measures: [{measures}]
source: {{path: "{name}/live/{{{{yyyyMMdd}}}}", format: csv, columns: [{columns}]}}
"""
_AMOUNT = "{name: total, aggregation: SUM, column: amount}"


def backtests(folder: Path) -> None:
    """Report the times of the three back-tests."""
    for name, frequency in (("hourly", "PT1H"), ("five_minutes", "PT5M")):
        data = _series(frequency)
        text = _SET.format(name=name, frequency=frequency, dimensions="", measures=_AMOUNT, columns="at, amount")
        _report(folder, name, text, data)
    measures = f"{_AMOUNT}, {{name: orders, aggregation: COUNT}}"
    columns = "at, store, amount"
    text = _SET.format(name="sales", frequency="PT1H", dimensions="store", measures=measures, columns=columns)
    _report(folder, "sales", text, _transactions())


def _series(frequency: str) -> pd.DataFrame:
    """Return a year of one series with a daily cycle."""
    at = pd.date_range("2025-01-01", "2025-12-31 23:59", freq=pd.Timedelta(frequency))
    noise = np.random.default_rng(1).normal(0, 30, len(at))
    amount = np.round(1000 + 300 * np.sin(at.hour.to_numpy() / 24 * 2 * np.pi) + noise, 2)
    return pd.DataFrame({"at": at.strftime("%Y-%m-%d %H:%M:%S"), "amount": amount})


def _transactions() -> pd.DataFrame:
    """Return a year of transactions, each with a time, a store and an amount."""
    rng = np.random.default_rng(1)
    seconds = np.sort(rng.integers(0, 365 * 86_400, TRANSACTIONS))
    at = pd.Timestamp("2025-01-01") + pd.to_timedelta(seconds, unit="s")
    stores = [f"store {number}" for number in range(STORES)]
    amount = np.round(rng.lognormal(3, 1, TRANSACTIONS), 2)
    return pd.DataFrame(
        {"at": at.strftime("%Y-%m-%d %H:%M:%S"), "store": rng.choice(stores, TRANSACTIONS), "amount": amount}
    )


def _report(folder: Path, name: str, metric_set: str, data: pd.DataFrame) -> None:
    table, definition = folder / f"{name}.csv", folder / f"{name}.yaml"
    data.to_csv(table, index=False)
    definition.write_text(metric_set)
    command = [sys.executable, "-m", "anomalake", "backtest", "--metric-set", str(definition), "--data", str(table)]
    places = ["--lake", str(folder / f"{name}-lake"), "--output", str(folder / f"{name}.html")]
    before, began = os.times(), time.perf_counter()
    subprocess.run([*command, *places], check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"backtest {name}, {len(data):,} rows: {seconds:.1f} s, {processor:.1f} s of processor time", flush=True)
