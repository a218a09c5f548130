"""Chooses the aggregation of a column of numbers, from its name and from how its values behave, with the reason."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from anomalake.cli.proposal.columns import split_name

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Words that decide alone, wherever they are in a name.
_MEAN_WORDS = frozenset(
    "rate ratio avg average mean median pct percent percentage share per index schnitt quote".split()
)
_TOTAL_WORDS = frozenset("total sum count counts num anzahl summe".split())
# Words of levels and of amounts: the last one in a name decides.
_LEVEL_WORDS = frozenset(
    "price temperature temp tmin tmax celsius fahrenheit kelvin score latency duration humidity pressure speed wind "
    "voltage volts current glucose cpu memory usage utilization utilisation load balance depth height weight ppm level "
    "open high low close rating yield expectancy fertility discount rh dewpoint visibility ph concentration density "
    "frequency bpm heartrate altitude elevation age efficiency queue occupancy inventory stock population employment "
    "unemployment adj preis temperatur kurs".split()
)
_AMOUNT_WORDS = frozenset(
    "sales sale revenue amount quantity qty volume views visits clicks impressions orders requests errors bytes units "
    "profit cost costs spend spending precipitation rain rainfall snow snowfall production generation births deaths "
    "passengers trips fare tip tips payment payments turnover income expenses calls messages downloads installs "
    "sessions users hits conversions failures wounds wounded disease umsatz menge erloes kosten distance miles "
    "dead killed injured cancelled canceled departures arrivals flights marriages divorces emissions gross".split()
)

LEVEL_AUTOCORRELATION = 0.8  # of consecutive values, from which a column that stays away from zero is a level
LEVEL_SPREAD = 0.3  # the tenth part from below over that from above, from which values stay away from zero
SAME_WITHIN = 0.5  # the share of variance between intervals, from which rows of an interval measure the same thing
MIN_VALUES = 10

Aggregation = Literal["SUM", "AVG", "MAX"]


class Choice(NamedTuple):
    """An aggregation, and the reason for it."""

    aggregation: Aggregation
    reason: str
    is_named: bool = False  # the name decided


def choose_aggregation(name: str, values: Floats, series: Integers, interval: Integers, *, is_percent: bool) -> Choice:
    """Return the aggregation of a column.

    `values` (NaN where there is none), `series` and `interval` have one element for each row; rows are in order of
    time.
    """
    if is_percent:
        return Choice("AVG", "its values have a percent sign", is_named=True)
    return _choose_by_name(name) or _choose_by_values(values, series, interval)


def _choose_by_name(name: str) -> Choice | None:
    words = split_name(name)
    for word in words:
        if word in _MEAN_WORDS or (word == "p" and any(other.isdigit() for other in words)):
            return Choice("AVG", f"its name has '{word}', and a mean or share cannot be added", is_named=True)
    for word in reversed(words):
        if word in _TOTAL_WORDS or word in _AMOUNT_WORDS:
            return Choice("SUM", f"its name has '{word}', an amount that can be added", is_named=True)
        if word in _LEVEL_WORDS:
            return Choice("AVG", f"its name has '{word}', a level that cannot be added", is_named=True)
    return None


def _choose_by_values(values: Floats, series: Integers, interval: Integers) -> Choice:
    known = ~np.isnan(values)
    values, series, interval = values[known], series[known], interval[known]
    if len(values) < MIN_VALUES:
        return Choice("SUM", "too few values to tell; use AVG for a level")
    has_fractions = bool((values % 1 != 0).any())
    low, high = np.quantile(values, [0.1, 0.9])
    if has_fractions and values.min() >= 0 and values.max() <= 1:
        return Choice("AVG", "its values lie between 0 and 1, as those of a share")
    order = np.lexsort((np.arange(len(values)), series))
    ordered, ordered_series = values[order], series[order]
    same_series = ordered_series[1:] == ordered_series[:-1]
    before, after = ordered[:-1][same_series], ordered[1:][same_series]
    if _is_counter(before, after, values):
        return Choice("MAX", "it only grows, as a running total; the growth of each interval is a better measure")
    if values.min() < 0:
        return Choice("AVG", "it has values below zero, as a level")
    shared = _share_between(values, series, interval)
    if shared is not None and shared >= SAME_WITHIN and low >= LEVEL_SPREAD * high:
        return Choice("AVG", "rows of the same interval have nearly the same value, so they measure one level")
    away_from_zero = low > LEVEL_SPREAD * high
    if shared is None and away_from_zero and _correlation(before, after) >= LEVEL_AUTOCORRELATION:
        return Choice("AVG", "it moves slowly and stays away from zero, as a level")
    if shared is None and away_from_zero and has_fractions and not _is_money(values):
        return Choice("AVG", "it has fractions and stays away from zero, as a level")
    return Choice("SUM", "its values behave as amounts; use AVG if it is a level")


def _is_counter(before: Floats, after: Floats, values: Floats) -> bool:
    """Return whether nearly no value is smaller than the one before, except where the count starts again at zero."""
    if len(before) < MIN_VALUES or len(np.unique(values)) < MIN_VALUES:
        return False
    falls = after < before
    restarts = falls & (after <= 0.1 * np.maximum(before, 0))
    return bool(falls.sum() == restarts.sum() <= 0.05 * len(before) and (after > before).mean() > 0.3)


def _share_between(values: Floats, series: Integers, interval: Integers) -> float | None:
    """Return the share of the variance that lies between intervals, of those with several rows of a series.

    None if few have several rows. 1 means that all rows of an interval are the same.
    """
    cells = pd.Series(values).groupby([series, interval])
    counts = cells.transform("size").to_numpy()
    several = counts > 1
    if several.mean() < 0.5:
        return None
    within = (
        (values - cells.transform("mean").to_numpy())[several] ** 2 * (counts / (counts - 1.0).clip(1))[several]
    ).mean()
    total = values[several].var()
    return float(1 - within / total) if total else 1.0


def _correlation(before: Floats, after: Floats) -> float:
    if len(before) < MIN_VALUES or not before.std() or not after.std():
        return 0.0
    return float(np.corrcoef(before, after)[0, 1])


def _is_money(values: Floats) -> bool:
    """Return whether fractions have exactly two decimals, as prices and amounts of money have."""
    cents = values * 100
    tenths = values * 10
    return bool(np.allclose(cents, cents.round()) and (np.abs(tenths - tenths.round()) > 1e-6).mean() > 0.5)
