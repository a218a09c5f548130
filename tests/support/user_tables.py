"""Small tables of the shapes that users have: gauges, transactions, events, prices, long tables. For tests."""

from pathlib import Path

import numpy as np
import pandas as pd


def glucose(days: int = 12) -> pd.DataFrame:
    """A gauge of five minutes that drifts against the clock; one day is missing."""
    random = np.random.default_rng(1)
    times = pd.date_range("2010-03-24 09:51", periods=288 * days, freq="5min")
    times = times[times.date != pd.Timestamp("2010-03-30").date()]
    level = 120 + 60 * np.sin(np.arange(len(times)) / 40) + random.normal(0, 3, len(times))
    return pd.DataFrame(
        {"isig": (level / 10).round(2), "datetime": times.strftime("%Y-%m-%d %H:%M:%S"), "glucose": level.round()}
    )


def sea_temperature(rows: int = 48 * 10) -> pd.DataFrame:
    """A gauge of thirty minutes with a unit in its name, and times in UTC."""
    times = pd.date_range("2016-02-15", periods=rows, freq="30min")
    level = 5 + np.sin(np.arange(rows) / 30) + np.random.default_rng(2).normal(0, 0.02, rows)
    return pd.DataFrame({"time (UTC)": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "temperature (celsius)": level.round(3)})


def orders(rows: int = 4_000, days: int = 300) -> pd.DataFrame:
    """Order lines with a day, codes, attributes with few and with many values, and amounts."""
    random = np.random.default_rng(3)
    day = pd.Timestamp("2023-01-02") + pd.to_timedelta(np.sort(random.integers(0, days, rows)), unit="D")
    return pd.DataFrame(
        {
            "Row ID": np.arange(9_000, 9_000 + rows)[::-1],
            "Order Date": pd.DatetimeIndex(day).strftime("%m/%d/%Y"),
            "Customer ID": [f"C-{number}" for number in random.integers(0, 800, rows)],
            "Segment": random.choice(["Consumer", "Corporate", "Home Office"], rows),
            "Country": "United States",
            "City": random.choice([f"City {number}" for number in range(400)], rows),
            "Postal Code": random.integers(10_000, 99_999, rows),
            "Sales": random.lognormal(4, 1, rows).round(2),
            "Quantity": random.integers(1, 9, rows),
            "Discount": random.choice([0, 0.2, 0.3], rows),
            "Profit": random.normal(20, 30, rows).round(2),
        }
    )


def commits(rows: int = 900) -> pd.DataFrame:
    """Events at any time, with e-mail dates of two offsets, and nothing else."""
    random = np.random.default_rng(4)
    times = pd.Timestamp("2015-01-01") + pd.to_timedelta(np.sort(random.integers(0, 730 * 86_400, rows)), unit="s")
    offset = ["-0500" if number % 3 else "+0100" for number in range(rows)]
    texts = pd.DatetimeIndex(times).strftime("%a, %d %b %Y %H:%M:%S")
    return pd.DataFrame({"date": [f"{text} {zone}" for text, zone in zip(texts, offset, strict=True)]})


def prices(months: int = 60) -> pd.DataFrame:
    """Monthly prices of shares, with the month in words; one share begins later."""
    times = pd.date_range("2005-01-01", periods=months, freq="MS")
    random = np.random.default_rng(5)
    parts = [
        pd.DataFrame(
            {
                "symbol": symbol,
                "date": [f"{time:%b} {time.day} {time.year}" for time in times[start:]],
                "price": (50 + random.normal(0, 2, months - start).cumsum()).round(2),
            }
        )
        for symbol, start in (("AAPL", 0), ("GOOG", 12), ("MSFT", 0))
    ]
    return pd.concat(parts)


def quotes(days: int = 200) -> pd.DataFrame:
    """Daily prices from Monday to Friday."""
    times = pd.bdate_range("2020-01-01", periods=days)
    level = 100 + np.random.default_rng(6).normal(0, 1, days).cumsum()
    return pd.DataFrame({"Date": times.strftime("%Y-%m-%d"), "Close": level.round(2), "Volume": (level * 1e4).round()})


def weather(days: int = 400) -> pd.DataFrame:
    """Daily gauges, and a text that describes each day."""
    random = np.random.default_rng(7)
    times = pd.date_range("2012-01-01", periods=days, freq="D")
    season = np.sin(np.arange(days) / 58)
    return pd.DataFrame(
        {
            "date": times.strftime("%Y/%m/%d"),
            "precipitation": random.exponential(3, days).round(1),
            "temp_max": (15 + 8 * season + random.normal(0, 2, days)).round(1),
            "wind": random.gamma(4, 1, days).round(1),
            "weather": random.choice(["drizzle", "rain", "sun", "snow"], days),
        }
    )


def employment(months: int = 60) -> pd.DataFrame:
    """More monthly levels than a metric set has measures."""
    times = pd.date_range("2006-01-01", periods=months, freq="MS")
    random = np.random.default_rng(8)
    columns = {f"sector_{letter}": (1_000 + random.normal(0, 3, months).cumsum()).round() for letter in "abcdefghijkl"}
    return pd.DataFrame({"month": times.strftime("%Y-%m-%d"), **columns})


def sensors(hours: int = 24 * 14) -> pd.DataFrame:
    """A long table: a row for each name and time, whose names have different scales."""
    times = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    season = np.sin(np.arange(hours) / 4)
    parts = [
        pd.DataFrame({"time": times, "site": site, "metric": name, "value": (level * (1 + 0.1 * season)).round(2)})
        for site in ("north", "south")
        for name, level in (("cpu_percent", 40.0), ("requests", 9_000.0), ("disk free (GB)", 300.0))
    ]
    return pd.concat(parts).sort_values("time", kind="stable")


def save(frame: pd.DataFrame, file: Path) -> str:
    """Write the table as CSV; returns the name of the file."""
    frame.to_csv(file, index=False)
    return str(file)
