"""Measures the accuracy of the detector on generated series with labels, series without anomalies, and the demo's data.

Seeds 1 to 99 are for tuning; `accuracy` reports on others. No generator makes exactly the series that the model
assumes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from anomalake.cli import score_file
from anomalake.cli.demo import flights, shop

SEEDS = (101, 102, 103)
WARM_UP = 28  # days before the measurement starts
THRESHOLDS = (40, 50, 60, 70, 80, 90)
FLIGHTS = {"all, daily": 1, "all, hourly": 24, "by airport, hourly": 24}  # slots of a day
STEPS = {1: ("P1D", "D"), 24: ("PT1H", "h"), 288: ("PT5M", "5min")}

ScoreFunction = Callable[[np.ndarray, int, str], np.ndarray]  # values, slots a day, the first day: scores


class Result(NamedTuple):
    """Quality of the ranking of points, and of the decision at a score of 50."""

    average_precision: float
    best_f1: float
    best_threshold: float
    f1_at_50: float


def judge(label: np.ndarray, score: np.ndarray) -> Result:
    """Compare labels (bool) with scores; a missing score counts as 0."""
    score = np.nan_to_num(score)
    order = np.argsort(-score, kind="stable")
    hits, last = np.cumsum(label[order]), np.append(np.diff(score[order]) != 0, True)
    precision, recall = (hits / np.arange(1, len(order) + 1))[last], (hits / label.sum())[last]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    flagged = score >= 50
    at_50 = 2 * (flagged & label).sum() / (flagged.sum() + label.sum())
    best = int(f1.argmax())
    return Result(
        float(np.sum(np.diff(recall, prepend=0) * precision)),
        float(f1[best]),
        float(score[order][last][best]),
        float(at_50),
    )


def scored(values: np.ndarray, slots: int = 24, start: str = "2024-01-01") -> np.ndarray:
    """Return the scores of a matrix [interval, series], as `anomalake score` gives them."""
    frequency, step = STEPS[slots]
    times = pd.date_range(start, periods=len(values), freq=step)
    wide = pd.DataFrame(values, index=times, columns=[f"s{number:03d}" for number in range(values.shape[1])])
    rows = wide.rename_axis("timestamp").reset_index().melt("timestamp", var_name="series").dropna()
    scores = score_file.score_rows(rows, frequency)
    found: np.ndarray = (
        scores.pivot(index="timestamp", columns="series", values="score")
        .reindex(index=times, columns=wide.columns)
        .to_numpy()
    )
    return found


def usual(rng: np.random.Generator, days: int, series: int, slots: int = 24, *, jumps: bool = False) -> np.ndarray:
    """Return means of business series: a drifting level, with `jumps` if set, and daily and weekly seasons; every third
    series has another daily profile at weekends.
    """
    time = np.arange(days * slots)
    day, weekend, columns = time / slots, (time // slots) % 7 >= 5, []
    for number in range(series):
        peak, depth = rng.uniform(0, 1), rng.uniform(0.2, 0.8)
        other = rng.uniform(0, 1) if number % 3 == 0 else peak
        season = 1 + depth * np.cos(2 * np.pi * (day - np.where(weekend, other, peak))) * (slots > 1)
        level = 10 ** rng.uniform(0.8, 4) * np.exp(np.cumsum(rng.normal(0, 0.02 / np.sqrt(slots), len(time))))
        if jumps and number % 4 == 0:
            level[int(rng.uniform(0.3, 0.8) * len(time)) :] *= rng.uniform(0.5, 2)
        columns.append(level * season * np.where(weekend, rng.uniform(0.3, 1.1), 1))
    return np.maximum(np.stack(columns, axis=1), 0.1)


def labelled(seed: int, days: int = 112, series: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Return hourly values and labels: autocorrelated noise with heavy tails; anomalies of 3 to 12 standard deviations,
    1 to 10 hours long; outages.
    """
    rng = np.random.default_rng(seed)
    mean = usual(rng, days, series, jumps=True)
    noise, memory = rng.laplace(0, 1 / np.sqrt(2), mean.shape), rng.uniform(0, 0.7, series)
    for t in range(1, len(noise)):
        noise[t] = memory * noise[t - 1] + np.sqrt(1 - memory**2) * noise[t]
    share = rng.uniform(0.02, 0.12, series)
    spread, label, extra = np.sqrt((share * mean) ** 2 + mean), np.zeros(mean.shape, bool), np.zeros(mean.shape)
    for column in range(series):
        t = WARM_UP * 24
        while (t := t + 12 + int(rng.exponential(120))) < len(mean) - 10:
            length = int(np.ceil(rng.exponential(2.5)).clip(1, 10))
            where = slice(t, t + length)
            size = rng.uniform(3, 12) * rng.choice([-1, 1])
            extra[where, column] = -mean[where, column] if rng.random() < 0.1 else size * spread[where, column]
            label[where, column] = True
            t += length
    counts = rng.poisson(np.maximum(mean * (1 + share * noise), 0))
    return np.round(np.maximum(counts + extra, 0)), label


def quiet(seed: int) -> dict[str, tuple[np.ndarray, int]]:
    """Return series without anomalies by kind: values and slots a day."""
    rng = np.random.default_rng(seed)
    hourly, daily, fine = usual(rng, 112, 60), usual(rng, 420, 100, 1), usual(rng, 56, 6, 288)
    season = hourly / hourly.mean(axis=0)
    return {
        "hourly, normal noise of 5 %": (hourly * rng.normal(1, 0.05, hourly.shape), 24),
        "hourly, heavy tails (Student's t, 4)": (
            np.maximum(hourly * (1 + 0.05 * rng.standard_t(4, hourly.shape)), 0),
            24,
        ),
        "hourly counts (Poisson)": (rng.poisson(hourly).astype(float), 24),
        "hourly sparse counts (Poisson, mean 0.2)": (rng.poisson(0.2 * season).astype(float), 24),
        "hourly sparse counts in bursts (negative binomial, mean 0.5)": (
            rng.negative_binomial(0.2, 0.2 / (0.2 + 0.5 * season)).astype(float),
            24,
        ),
        "daily, normal noise of 5 %": (daily * rng.normal(1, 0.05, daily.shape), 1),
        "daily counts (Poisson)": (rng.poisson(daily).astype(float), 1),
        "five minutes, normal noise of 5 %": (fine * rng.normal(1, 0.05, fine.shape), 288),
        "five-minute counts (Poisson)": (rng.poisson(fine / 10).astype(float), 288),
    }


def accuracy(_: Path) -> None:
    """Report on labelled series, the shop and the flights; then on the false alarms of each threshold."""
    print("| labelled | average precision | best F1 | at score | F1 at 50 |\n|---|---|---|---|---|")
    for seed in SEEDS:
        values, label = labelled(seed)
        _row(f"generated, seed {seed}", judge(label[WARM_UP * 24 :].ravel(), scored(values)[WARM_UP * 24 :].ravel()))
    for measure, (values, label) in shop_cells().items():
        _row(f"the shop, {measure}", judge(label.ravel(), scored(values, start="2021-01-01").ravel()))
    for name, result in flight_days(scored, tuple(FLIGHTS)).items():
        _row(f"flights, cancellations, {name}", result)
    print(
        f"\n| without anomalies; alarms a series and week from score | {' | '.join(map(str, THRESHOLDS))} |\n"
        f"|---|{'---|' * len(THRESHOLDS)}"
    )
    for kind, (values, slots) in quiet(SEEDS[0]).items():
        score = scored(values, slots)[WARM_UP * slots :]
        weeks = score.size / slots / 7
        print(f"| {kind} | {' | '.join(f'{(score >= threshold).sum() / weeks:.3f}' for threshold in THRESHOLDS)} |")


def _row(name: str, result: Result) -> None:
    print(
        f"| {name} | {result.average_precision:.3f} | {result.best_f1:.3f} | {result.best_threshold:.0f} "
        f"| {result.f1_at_50:.4f} |"
    )


def shop_cells() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the demo's shop by measure: values and labels as [hour, series]."""
    made, keys = shop.generate(), ["platform", "marketplace"]
    wide = {
        measure: made.data.pivot(index="timestamp", columns=keys, values=measure) for measure in ("views", "revenue")
    }
    struck = {measure: made.labels[made.labels.measure == measure].assign(one=1) for measure in wide}
    label = {
        measure: struck[measure]
        .pivot(index="timestamp", columns=keys, values="one")
        .reindex_like(wide[measure])
        .notna()
        for measure in wide
    }
    return {measure: (values.to_numpy(float), label[measure].to_numpy()) for measure, values in wide.items()}


def flight_days(score_function: ScoreFunction, kinds: tuple[str, ...]) -> dict[str, Result]:
    """Rank days of 100 or more cancelled flights among days of fewer than 40 by their largest score, by kind of
    `FLIGHTS`.

    From the 29th of January on.
    """
    data = flights.load()
    day = data.scheduled_hour.dt.normalize()
    cancelled = data.groupby(day).cancelled.sum()
    clear = cancelled[(cancelled.index >= "2013-01-29") & ((cancelled >= 100) | (cancelled < 40))]
    found = {}
    for name in kinds:
        slots = FLIGHTS[name]
        time = day if slots == 1 else data.scheduled_hour
        by = [time, data.origin] if "airport" in name else [time, pd.Series("all", data.index, name="all")]
        wide = data.groupby(by).cancelled.sum().unstack()
        times = pd.date_range("2013-01-01", periods=365 * slots, freq=STEPS[slots][1])
        score = np.nan_to_num(score_function(wide.reindex(times).to_numpy(float), slots, "2013-01-01")).max(axis=1)
        days = pd.Series(score, index=times.normalize()).groupby(level=0).max().reindex(clear.index)
        found[name] = judge((clear >= 100).to_numpy(), days.to_numpy())
    return found
