"""What is said of an event's parts: root causes of generated events, and contributions against the shares that were injected. Seeds 1 to 99 tune.

The generator of causes: a full table of series over three to five dimensions, sizes log-normal, forecasts off by Poisson noise and by some per cent;
one to three combinations of one to three dimensions move, each by a factor of its own. Found: exactly that combination is named.
"""

import time
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np

from anomalake import metric_set
from anomalake.detect import cause
from anomalake.detect.run import Detector
from anomalake.live import Interval

SEEDS, EVENTS = (101, 102, 103), 200
OFF = (0.02, 0.05, 0.10)  # forecasts, relative
FAR = 4.3  # spreads from which a series is anomalous
SHOP = """
name: shop
frequency: PT1H
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [platform, marketplace]
measures: [{name: revenue, aggregation: SUM}]
"""
HISTORY, START = 35, datetime(2021, 1, 4)  # days
PLATFORMS, MARKETS = ("app", "mobile", "pc"), ("de", "es", "fr", "it", "jp", "uk", "us")


def causes(_: Path) -> None:
    """F1 of exact combinations by the forecasts' error; then contributions."""
    for off in OFF:
        cells = []
        for number in (1, 2, 3):
            hits = named = wanted = 0
            began = time.perf_counter()
            for seed in SEEDS:
                generator = np.random.default_rng([seed, number])
                for _ in range(EVENTS // len(SEEDS)):
                    truth, found = _event(generator, number, off)
                    hits, named, wanted = hits + len(truth & found), named + len(found), wanted + len(truth)
            cells.append(f"{number} causes: F1 {2 * hits / (named + wanted):.3f}, {1000 * (time.perf_counter() - began) / EVENTS:.1f} ms")
        print(f"root cause, forecasts off by {off:.0%}: {'; '.join(cells)}", flush=True)
    for times in (5, 10, 30):
        agreed, errors = _contributions(times)
        print(f"contributions, deviations {times} times the noise: top-1 {agreed:.2%}, mean error {errors:.3f} points", flush=True)


def _event(generator: np.random.Generator, number: int, off: float) -> tuple[set[tuple], set[tuple]]:
    """An event: the combinations that moved, and those that are named."""
    sizes = generator.integers(3, 8, generator.integers(3, 6))
    series = list(product(*([f"{chr(97 + place)}{i}" for i in range(size)] for place, size in enumerate(sizes))))
    names = [chr(97 + place) for place in range(len(sizes))]
    usual = generator.lognormal(6, 1, len(series))
    value, truth, moved = usual.copy(), set(), np.zeros(len(series), bool)
    while len(truth) < number:
        depth = int(generator.integers(1, 4))
        some = sorted(generator.choice(len(sizes), depth, replace=False).tolist())
        combination = tuple((names[place], f"{names[place]}{generator.integers(sizes[place])}") for place in some)
        mine = np.array([all(one[names.index(name)] == wanted for name, wanted in combination) for one in series])
        if (mine & moved).any():  # causes that overlap have no one truth
            if truth and generator.random() < 0.2:
                truth, moved, value = set(), np.zeros(len(series), bool), usual.copy()
            continue
        value[mine] *= generator.uniform(0.2, 0.7) if generator.random() < 0.5 else generator.uniform(1.5, 3)
        truth.add(combination)
        moved |= mine
    value = generator.poisson(value).astype(float)
    expected = usual * np.exp(generator.normal(0, off, len(series)))
    anomalous = np.flatnonzero(np.abs(value - expected) > FAR * np.sqrt(expected + np.square(off * expected)))
    return truth, {one.values for one in cause.causes(names, series, value, expected, anomalous)}


def _contributions(times: float) -> tuple[float, float]:
    """Of events in a shop with 5 % of noise, after five weeks: how often the greatest share is the injected one; the shares' mean error in points."""
    item, agreed, errors = metric_set.parse(SHOP, "shop"), [], []
    for seed in SEEDS:
        generator = np.random.default_rng([seed, 9])
        series, detector = list(product(PLATFORMS, MARKETS)), Detector(item)
        size = generator.lognormal(8, 0.7, len(series))
        for hour in range(HISTORY * 24 + 24 * 14):
            wall = START + timedelta(hours=hour)
            day = 1 + 0.4 * np.cos((wall.hour - 15) / 24 * 2 * np.pi)
            mean = size * day * (0.8 if wall.weekday() >= 5 else 1)
            value, injected = mean * (1 + 0.05 * generator.normal(size=len(series))), np.zeros(len(series))
            if hour >= HISTORY * 24 and hour % 5 == 0:
                chosen = generator.choice(len(series), generator.integers(2, 8), replace=False)
                injected[chosen] = times * 0.05 * mean[chosen] * generator.uniform(0.7, 1.4, len(chosen))
            scored = detector.score(Interval(wall, {one: (float(v),) for one, v in zip(series, value + injected, strict=True)}, len(series), ()))
            if not injected.any() or not scored.alerts:
                continue
            for place, dimension in enumerate(scored.alerts[0].impacted_metric.dimension_contribution):
                truth: dict[str, float] = {}
                for one, extra in zip(series, injected, strict=True):
                    truth[one[place]] = truth.get(one[place], 0.0) + 100 * extra / injected.sum()
                told = {share.dimension_value: share.value_contribution for share in dimension.dimension_value_contributions}
                agreed.append(max(told, key=told.__getitem__) == max(truth, key=truth.__getitem__))
                errors += [abs(told.get(name, 0) - share) for name, share in truth.items()]
    return float(np.mean(agreed)), float(np.mean(errors))
