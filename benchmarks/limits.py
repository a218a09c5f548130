"""Measures one interval of a large metric set, from its live file to its observations.

Sizes are the limits of Lookout for Metrics, and ten times as many. Its limit was 10 measures, 10 dimensions and 50,000
metrics (a measure of one combination of dimension values) at one hour.
"""

import io
import itertools
import resource
import statistics
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from anomalake.detect import observations
from anomalake.detect.detector import Detector
from anomalake.detect.state import DetectorState
from anomalake.domain import metric_set_yaml
from anomalake.functions.detector_state import save_state
from anomalake.lake import encoding, live_data, tables
from anomalake.lake.object_store import ObjectStore

SIZES = ((1, 10_000), (1, 50_000), (10, 5_000), (10, 50_000))  # measures, series
DIMENSIONS, WARM_UP, TIMES = 10, 10 * 24, 5  # intervals before, and measured
START = datetime(2026, 1, 5)


def limits(_: Path) -> None:
    """Report median times to read, score and encode an interval of scored series; the state's size; peak memory."""
    for measures, series in SIZES:
        item = metric_set_yaml.parse(_text(measures), "large.yaml")
        rng, detector = np.random.default_rng(3), Detector(item)
        heads = [
            ",".join(f"v{(number // 5**place) % 5 if place < 9 else number}" for place in range(DIMENSIONS))
            for number in range(series)
        ]
        usual = rng.lognormal(5, 1, (series, measures))
        seconds: dict[str, list[float]] = {"read": [], "score": [], "encode": []}
        alert_count = scored_count = 0
        lake = ObjectStore.memory()
        for hour in range(WARM_UP + TIMES):
            wall = START + timedelta(hours=hour)
            values = np.round(
                usual * (1 + 0.3 * np.cos(wall.hour / 24 * 2 * np.pi)) * rng.normal(1, 0.05, usual.shape), 2
            )
            if hour < WARM_UP:  # the detector learns, and nothing is written
                known = zip((tuple(head.split(",")) for head in heads), map(tuple, values.tolist()), strict=True)
                detector.score(live_data.IntervalData(wall, dict(known), series, ()))
                continue
            values[: series // 100] *= 3  # one in a hundred is an anomaly
            data = _build_live_file(wall, heads, values)
            clock = [time.perf_counter()]
            lake.put("large.csv", data)
            interval = live_data.read_interval(lake, item, wall, ["large.csv"])
            clock.append(time.perf_counter())
            scored = detector.score(interval)
            clock.append(time.perf_counter())
            columns = observations.build_columns(item, list(detector.series), [scored])
            encoding.encode_table("parquet", tables.schema("observations", item), columns)
            clock.append(time.perf_counter())
            for name, (began, ended) in zip(seconds, itertools.pairwise(clock), strict=True):
                seconds[name].append(ended - began)
            alert_count, scored_count = len(scored.alerts), len(columns["score"].drop_null())
        if not (alert_count == measures and scored_count == series * measures):
            raise RuntimeError(
                f"{alert_count} alerts and {scored_count} scored observations; "
                f"expected {measures} and {series * measures}"
            )
        store = ObjectStore.memory()
        began = time.perf_counter()
        detector_state = DetectorState(detector, last_processed=wall, alerts_from=wall, silent_intervals=0)
        save_state(store, item, detector_state, None)
        kept, packed = time.perf_counter() - began, sum(len(store.get(key).data) for key in store.list("detector"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        medians = ", ".join(f"{name} {statistics.median(times):.2f} s" for name, times in seconds.items())
        print(
            f"limits: {measures} measures, {DIMENSIONS} dimensions, {series:,} series, one interval: {medians}; "
            f"{measures * series:,} observations, {alert_count} alerts of {series // 100:,} series; "
            f"state {packed / 1e6:.0f} MB, written in {kept:.1f} s; peak so far {peak:,.0f} MB",
            flush=True,
        )


def _text(measures: int) -> str:
    dimensions, names = [f"d{place}" for place in range(DIMENSIONS)], [f"m{number}" for number in range(measures)]
    listed = "".join(f"  - {{name: {name}, aggregation: SUM}}\n" for name in names)
    return (
        "name: large\nfrequency: PT1H\ntimestamp: {column: timestamp, format: \"yyyy-MM-dd HH:mm:ss\"}\n"
        f"dimensions: [{', '.join(dimensions)}]\nmeasures:\n{listed}"
        'source: {path: "large/{{yyyyMMdd}}/{{HHmm}}", format: csv, '
        f"columns: [timestamp, {', '.join((*dimensions, *names))}]}}\n"
    )  # fmt: skip


def _build_live_file(wall: datetime, heads: list[str], values: np.ndarray) -> bytes:
    """Return the interval's live file."""
    text, columns = (
        io.StringIO(),
        [f"d{place}" for place in range(DIMENSIONS)] + [f"m{number}" for number in range(values.shape[1])],
    )
    text.write(f"timestamp,{','.join(columns)}\n")
    for head, row in zip(heads, values.tolist(), strict=True):
        text.write(f"{wall},{head},{','.join(map(str, row))}\n")
    return text.getvalue().encode()
