"""Measures the details of events: root causes of generated events, and contributions compared with the injected shares.

Seeds 1 to 99 are for tuning. RiskLoc (benchmarks/riskloc.py) runs on the same events, and both run on events of
RiskLoc's own kind. The generator of causes makes a full table of series over three to five dimensions, with log-normal
sizes and forecasts that are off by Poisson noise and by some per cent. One to three combinations of one to three
dimensions change, each by its own factor, either all to one side or to either side. A cause is found if exactly that
combination is named.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

import riskloc
from anomalake.cli.demo import shop
from anomalake.detect import cause
from anomalake.detect.detector import Detector
from anomalake.domain import metric_set_yaml
from anomalake.lake.live_data import IntervalData, Series

SEEDS, EVENTS = (101, 102, 103), 200
OFF = (0.02, 0.05, 0.10)  # relative errors of the forecasts
WIDE = 6  # series of a cause; RiskLoc treats the five greatest deviations as outliers
OWN_EVENTS = 20  # events of RiskLoc's kind for each seed; each has 48,000 series
FAR = 4.3  # spreads beyond which a series is anomalous
SHOP = """
name: shop
frequency: PT1H
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [platform, marketplace]
measures: [{name: revenue, aggregation: SUM}]
"""
DEMO = SHOP.replace("[{", "[{name: views, aggregation: SUM}, {")
TIE = 0.5  # points; injected shares this close to the greatest count as the greatest
HISTORY, START = 35, datetime(2021, 1, 4)  # days
PLATFORMS, MARKETS = ("app", "mobile", "pc"), ("de", "es", "fr", "it", "jp", "uk", "us")


class _Event(NamedTuple):
    """An event: the data in which root causes are searched, and the combinations that changed."""

    dimensions: list[str]
    series: list[Series]
    value: np.ndarray
    expected: np.ndarray
    off: float  # the usual relative error of the forecasts; the detector knows it, and RiskLoc does not use it
    truth: set[tuple]
    fewest: int = 1  # series of its smallest cause


def causes(_: Path) -> None:
    """Report the F1 score of exact combinations by the error of the forecasts, for Anomalake and RiskLoc.

    Then report both on RiskLoc's own kind of events, and the contributions.
    """
    for one_side in (False, True):
        for off in OFF:
            for number in (1, 2, 3):
                events = [
                    _build_event(generator, number, off, one_side)
                    for seed in SEEDS
                    for generator in (np.random.default_rng([seed, number]),)
                    for _ in range(EVENTS // len(SEEDS))
                ]
                sides = "to one side" if one_side else "to either side"
                print(
                    f"root cause, {sides}, forecasts off by {off:.0%}, {number} causes: {_compare(events)}", flush=True
                )
                wide = [event for event in events if event.fewest >= WIDE]
                print(
                    f"  ... the {len(wide)} events whose causes have {WIDE} series and more: {_compare(wide)}",
                    flush=True,
                )
    own = [
        _Event(dimensions, series, value, expected, off, truth)
        for seed in SEEDS
        for dimensions, series, value, expected, truth, off in riskloc.events(seed, OWN_EVENTS)
    ]
    print(f"root cause, RiskLoc's own kind of events: {_compare(own)}", flush=True)
    for times in (5, 10, 30):
        agreed, errors = _contributions(times)
        print(
            f"contributions, deviations {times} times the noise: top-1 {agreed:.2%}, mean error {errors:.3f} points",
            flush=True,
        )
    for seeds in (SEEDS, (7,)):
        print(f"contributions, the demo's shop, seeds {', '.join(map(str, seeds))}: {_demo(seeds)}", flush=True)


def _compare(events: list[_Event]) -> str:
    """Return the F1 score and the processor time of both on the same events."""
    ways: dict[str, Callable[[_Event], set[tuple]]] = {
        "Anomalake": _find_causes,
        "RiskLoc": lambda event: riskloc.causes(event.dimensions, event.series, event.value, event.expected),
    }
    cells = []
    for name, way in ways.items():
        began = time.process_time()
        found = [way(event) for event in events]
        each = 1000 * (time.process_time() - began) / len(events)
        hits = sum(len(event.truth & named) for event, named in zip(events, found, strict=True))
        cells.append(
            f"{name} F1 {2 * hits / (sum(map(len, found)) + sum(len(event.truth) for event in events)):.3f}, "
            f"{each:.1f} ms"
        )
    return "; ".join(cells)


def _find_causes(event: _Event) -> set[tuple]:
    """Return the causes that the detector names. A series is anomalous beyond `FAR` spreads."""
    spread = np.sqrt(event.expected + np.square(event.off * event.expected))
    anomalous = np.flatnonzero(np.abs(event.value - event.expected) > FAR * spread)
    return {
        explanation.values
        for explanation in cause.find_causes(event.dimensions, event.series, event.value, event.expected, anomalous)
    }


def _build_event(generator: np.random.Generator, number: int, off: float, one_side: bool) -> _Event:
    """Return an event of `number` causes."""
    sizes = generator.integers(3, 8, generator.integers(3, 6))
    series = list(product(*([f"{chr(97 + place)}{i}" for i in range(size)] for place, size in enumerate(sizes))))
    names = [chr(97 + place) for place in range(len(sizes))]
    usual = generator.lognormal(6, 1, len(series))
    value, truth, moved, fewest = usual.copy(), set(), np.zeros(len(series), bool), len(series)
    falls = generator.random() < 0.5 if one_side else None
    while len(truth) < number:
        depth = int(generator.integers(1, 4))
        some = sorted(generator.choice(len(sizes), depth, replace=False).tolist())
        combination = tuple((names[place], f"{names[place]}{generator.integers(sizes[place])}") for place in some)
        mine = np.array([all(values[names.index(name)] == wanted for name, wanted in combination) for values in series])
        if (mine & moved).any():  # overlapping causes have no unique truth
            if truth and generator.random() < 0.2:
                truth, moved, value, fewest = set(), np.zeros(len(series), bool), usual.copy(), len(series)
            continue
        value[mine] *= (
            generator.uniform(0.2, 0.7)
            if (generator.random() < 0.5 if falls is None else falls)
            else generator.uniform(1.5, 3)
        )
        truth.add(combination)
        moved |= mine
        fewest = min(fewest, int(mine.sum()))
    value = generator.poisson(value).astype(float)
    expected = usual * np.exp(generator.normal(0, off, len(series)))
    return _Event(names, series, value, expected, off, truth, fewest)


def _contributions(times: float) -> tuple[float, float]:
    """Return how often the greatest share is the injected one, and the mean error of the shares in points.

    The events are in a shop with 5 % of noise, after five weeks.
    """
    item, agreed, errors = metric_set_yaml.parse(SHOP, "shop"), [], []
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
            scored = detector.score(
                IntervalData(
                    wall, {one: (float(v),) for one, v in zip(series, value + injected, strict=True)}, len(series), ()
                )
            )
            if not injected.any() or not scored.alerts:
                continue
            for place, dimension in enumerate(scored.alerts[0].impacted_metric.dimension_contribution):
                truth: dict[str, float] = {}
                for one, extra in zip(series, injected, strict=True):
                    truth[one[place]] = truth.get(one[place], 0.0) + 100 * extra / injected.sum()
                told = {
                    share.dimension_value: share.value_contribution for share in dimension.dimension_value_contributions
                }
                agreed.append(max(told, key=told.__getitem__) == max(truth, key=truth.__getitem__))
                errors += [abs(told.get(name, 0) - share) for name, share in truth.items()]
    return float(np.mean(agreed)), float(np.mean(errors))


def _demo(seeds: tuple[int, ...]) -> str:
    """Compare the contributions in the demo shop with |value - value / factor|.

    Then compare the contributions that would result if every expected value were known exactly.
    """
    found: list[
        tuple[bool, list[float]]
    ] = []  # for an event and dimension: whether the greatest agrees; errors of all values
    exact: list[tuple[bool, list[float]]] = []
    events = false = struck = carried = 0
    for seed in seeds:
        made, detector = shop.generate(seed=seed), Detector(metric_set_yaml.parse(DEMO, "shop"))
        cells = dict(list(made.labels.groupby(["timestamp", "measure"])))
        struck += len(cells)
        for hour, rows in made.data.groupby("timestamp"):
            values = {
                (row.platform, row.marketplace): (float(row.views), float(row.revenue)) for row in rows.itertuples()
            }
            for alert in detector.score(IntervalData(hour.to_pydatetime(), values, len(rows), ())).alerts:
                measure = alert.impacted_metric.metric_name
                events += 1
                if (hour, measure) not in cells:
                    false += 1
                    continue
                mine = list(cells[hour, measure].itertuples())
                value = {
                    (cell.platform, cell.marketplace): values[cell.platform, cell.marketplace][measure == "revenue"]
                    for cell in mine
                }
                injected = {
                    series: abs(value[series] - value[series] / cell.factor)
                    for series, cell in zip(value, mine, strict=True)
                }
                known = {series: abs(value[series] - cell.usual) for series, cell in zip(value, mine, strict=True)}
                for place, (names, dimension) in enumerate(
                    zip((shop.PLATFORMS, shop.MARKETPLACES), alert.impacted_metric.dimension_contribution, strict=True)
                ):
                    truth = _shares(injected, names, place)
                    shares = {
                        share.dimension_value: share.value_contribution
                        for share in dimension.dimension_value_contributions
                    }
                    found.append(_compare_shares(truth, [shares.get(name, 0.0) for name in names]))
                    exact.append(_compare_shares(truth, _shares(known, names, place)))
                    carried += sum(share > 0 for share in truth)
    told = f"{events} events ({false} false, {struck - events + false} missed)"
    for name, some in (("told", found), ("were the means known exactly", exact)):
        errors = [error for _, one in some for error in one]
        each = sum(errors) / carried
        top = np.mean([agrees for agrees, _ in some])
        told += f"; {name}: top-1 {top:.2%}, mean error {np.mean(errors):.3f} points over all values, "
        told += f"{each:.3f} over those struck"
    return told


def _shares(weights: dict[tuple[str, str], float], names: tuple[str, ...], place: int) -> list[float]:
    """Return the percentage of each value of a dimension."""
    return [
        100 * sum(weight for series, weight in weights.items() if series[place] == name) / sum(weights.values())
        for name in names
    ]


def _compare_shares(truth: list[float], told: list[float]) -> tuple[bool, list[float]]:
    """Return whether the greatest reported share is the greatest injected, or within `TIE` of it; and the errors."""
    return truth[int(np.argmax(told))] >= max(truth) - TIE, [
        abs(one - other) for one, other in zip(truth, told, strict=True)
    ]
