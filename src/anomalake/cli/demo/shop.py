"""Generates the data of a shop: hourly views and revenue by platform and marketplace, with labeled anomalies.

Each series has its own level, daily and weekly seasonality, and noise. An anomaly multiplies a measure by a factor for
one to four hours, in one series or in all series of a platform or marketplace. The labels say where, so that the
results of a detector can be checked.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

PLATFORMS = ("pc_web", "mobile_web", "mobile_app")
MARKETPLACES = ("us", "uk", "de", "fr", "es", "it", "jp")
FACTORS = (0.1, 0.3, 2.5, 4.0)  # by which an anomaly multiplies a measure: dips and spikes


class Shop(NamedTuple):
    """The live data, and a label for each value that an anomaly changed."""

    data: pd.DataFrame  # timestamp (UTC), platform, marketplace, views, revenue
    # timestamp, platform, marketplace, measure, factor, usual (the value without the factor and the noise)
    labels: pd.DataFrame


def generate(days: int = 60, seed: int = 7, start: str = "2021-01-01") -> Shop:
    """Hourly data of `days` days for every platform and marketplace. The same seed gives the same data.

    The first 15 days have no anomaly.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    series = [(platform, marketplace) for platform in PLATFORMS for marketplace in MARKETPLACES]
    views = np.stack([_season(rng, hours) for _ in series], axis=1)
    revenue = views * rng.uniform(0.5, 3.0, len(series))
    usual = {"views": views, "revenue": revenue}
    values = {"views": views * rng.normal(1, 0.04, views.shape), "revenue": revenue * rng.normal(1, 0.05, views.shape)}
    timestamps = pd.date_range(start, periods=len(hours), freq="h")
    labels = []
    hour = 15 * 24
    while (hour := hour + int(rng.integers(12, 48))) < len(hours) - 4:
        length, factor = int(rng.choice([1, 1, 2, 4])), float(rng.choice(FACTORS))
        platform, marketplace = series[int(rng.integers(len(series)))]
        scope = rng.choice(["series", "platform", "marketplace"], p=[0.6, 0.2, 0.2])
        affected = [
            place for place, (p, m) in enumerate(series)
            if (scope == "series" and (p, m) == (platform, marketplace)) or (scope == "platform" and p == platform)
            or (scope == "marketplace" and m == marketplace)
        ]  # fmt: skip
        for measure in ("views", "revenue") if rng.random() < 0.5 else (str(rng.choice(["views", "revenue"])),):
            values[measure][hour : hour + length, affected] *= factor
            labels += [
                (timestamps[h], *series[place], measure, factor, usual[measure][h, place])
                for h in range(hour, hour + length)
                for place in affected
            ]
        hour += length
    data = pd.DataFrame(
        {
            "platform": np.tile([platform for platform, _ in series], len(hours)),
            "marketplace": np.tile([marketplace for _, marketplace in series], len(hours)),
            "timestamp": np.repeat(timestamps.to_numpy(), len(series)),
            "views": np.round(values["views"]).astype("int64").ravel(),
            "revenue": np.round(values["revenue"], 2).ravel(),
        }
    )
    return Shop(
        data, pd.DataFrame(labels, columns=["timestamp", "platform", "marketplace", "measure", "factor", "usual"])
    )


def _season(
    rng: np.random.Generator, hours: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the expected values of a series: a level of 500 to 5,000 an hour with a daily and a weekly pattern."""
    level, peak, weekend = 10 ** rng.uniform(2.7, 3.7), rng.uniform(10, 22), rng.uniform(0.7, 1.2)
    day = 1 + rng.uniform(0.3, 0.6) * np.cos((hours % 24 - peak) / 24 * 2 * np.pi)
    week = np.where((hours // 24) % 7 >= 5, weekend, 1.0)
    season: np.ndarray[tuple[int], np.dtype[np.float64]] = level * day * week
    return season
