"""Writes the three lakes of benchmarks/scale.py, and prints the objects and bytes in them."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from anomalake.dashboards.definition import MAX_TIME_AXIS_POINTS
from anomalake.detect import events
from anomalake.detect.model import Points
from anomalake.domain.alert import encode as encode_alert
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Table

SETS, YEAR_DAYS, INTERVALS_PER_DAY = 20, 365, 288
REGIONS, PRODUCTS, MEASURES, AFFECTED_SERIES = 5, 10, 2, 5  # 50 series; 5 in an event
# Anomalous intervals a day and metric set. 6: at a score of 50, normal noise raises 0.083 alarms a series and week
# (docs/detector.md, "What a score means"), so 100 series and measures 1.2 a day; three incidents of an hour a week, 12
# intervals each, are 5.1. 60: a set in trouble, or heavy tails.
RATE, HIGH_RATE = 6, 60
BEFORE_DAYS = 32  # the queries look no further back, except for the one over the year
WINDOW_DAYS = int(MAX_TIME_AXIS_POINTS / INTERVALS_PER_DAY)  # the days that a dashboard shows when it opens
LAKES = ("before", "after", "whole")

METRIC_SET_NAME = "set{:02}"
METRIC_SET_YAML = """
name: {name}
frequency: PT5M
timestamp: {{column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}}
dimensions: [region, product]
measures: [{{name: orders, aggregation: SUM}}, {{name: revenue, aggregation: SUM}}]
source:
  path: "{name}/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}"
  format: csv
  columns: [region, product, timestamp, orders, revenue]
"""
SERIES = [(f"region-{region}", f"product-{product:02}") for region in range(REGIONS) for product in range(PRODUCTS)]


def fill(root: Path, sets: Sequence[MetricSet], rate: int, before_days: int) -> None:
    """Write the three lakes.

    The first set has a year, and objects of single intervals in its last days. The other sets have its events of these
    days.
    """
    began, rng = time.monotonic(), np.random.default_rng(7)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    days = YEAR_DAYS if rate == RATE else before_days
    sizes: dict[str, list[int]] = {}
    alerts: list[int] = []
    for number in range(days, -1, -1):
        day, open_day = today - timedelta(days=number), number == 0
        slots = INTERVALS_PER_DAY // 2 if open_day else INTERVALS_PER_DAY  # half of today is over
        anomalous = sorted(
            rng.choice(slots, min(slots, rng.poisson(rate * slots / INTERVALS_PER_DAY)), replace=False).tolist()
        )
        for name, columns, positions in _build_day(sets[0], day, slots, anomalous, rng=rng, alerts=alerts):
            day_object, single_objects = _encode(
                sets[0], name, columns, positions, day, with_intervals=number < before_days
            )
            for lake in LAKES:
                compacted = not open_day and (lake == "whole" or (lake == "after" and name in layout.DETECTOR_TABLES))
                if compacted and day_object:
                    _write(root / lake, layout.day_key(name, sets[0], f"{day:%Y-%m-%d}", "parquet"), day_object)
                elif not compacted and (name not in layout.DETECTOR_TABLES or number < before_days):
                    for instant, data in (
                        single_objects or _encode(sets[0], name, columns, positions, day, with_intervals=True)[1]
                    ).items():
                        _write(root / lake, layout.table_key(name, sets[0], instant, "parquet"), data)
            sizes.setdefault(f"{name}, an interval", []).extend(map(len, single_objects.values()))
            if day_object and not open_day:
                sizes.setdefault(f"{name}, a day", []).append(len(day_object))
        if number <= WINDOW_DAYS + 2 and rate == RATE:
            for slot in range(slots):
                wall = day + timedelta(minutes=5 * slot)
                for lake in LAKES:
                    _write(
                        root / lake,
                        f"{live_data.interval_folder(sets[0], wall)}/data.csv",
                        _encode_live_data(wall, rng),
                    )
    for lake in LAKES:
        for metric_set in sets[1:]:
            _link_events(root / lake, sets[0], metric_set, today - timedelta(days=before_days))
    print(
        f"\n{rate} anomalous intervals a set and day; lakes written in {time.monotonic() - began:.0f} s, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    if rate == RATE:
        _print_sizes(sizes, alerts, days, before_days)


def _build_day(
    metric_set: MetricSet,
    day: datetime,
    slots: int,
    anomalous: Sequence[int],
    *,
    rng: np.random.Generator,
    alerts: list[int],
) -> Iterator[tuple[Table, tables.Columns, dict[int, slice]]]:
    """Yield each table's rows of a day, and the position of each interval's rows."""
    series, width = len(SERIES), len(SERIES) * MEASURES
    clock = np.arange(slots) / INTERVALS_PER_DAY * 2 * np.pi
    level = np.repeat(10 ** np.linspace(1, 3, series), MEASURES) * np.tile([1.0, 12.5], series)
    expected = level * (1 + 0.4 * np.cos(clock))[:, None] * rng.normal(1, 0.01, (slots, width))
    value = np.round(rng.normal(expected, expected**0.5), 2)
    score = np.minimum(49, rng.exponential(12, (slots, width)))
    hit = {slot: rng.choice(series, AFFECTED_SERIES, replace=False) for slot in anomalous}
    for slot, affected in hit.items():
        value[slot, affected * MEASURES] *= 3
        score[slot, affected * MEASURES] = rng.uniform(55, 95, AFFECTED_SERIES)
    lower, upper = expected - 4 * expected**0.5, expected + 4 * expected**0.5
    instants = np.datetime64(day, "ms") + np.arange(slots) * np.timedelta64(5, "m")
    keys = np.array(["|".join(values) for values in SERIES], object)
    texts = [
        np.tile(np.repeat(column, MEASURES), slots)
        for column in (keys, *(np.array(values, object) for values in zip(*SERIES, strict=True)))
    ]
    numbers = [events.round_figures(column.ravel()) for column in (value, expected, lower, upper, score)]
    cells = [
        texts[0],
        np.repeat(instants, width),
        *texts[1:],
        np.tile(np.array(metric_set.measure_names, object), slots * series),
        *numbers,
        np.full(slots * width, None, object),  # weights
    ]
    yield (
        "observations",
        _to_columns("observations", metric_set, cells),
        {slot: slice(slot * width, (slot + 1) * width) for slot in range(slots)},
    )
    counts = [np.full(slots, count) for count in (series, series, series, series, 0)]
    yield (
        "dataHealth",
        _to_columns("dataHealth", metric_set, [instants, np.full(slots, "scored", object), *counts]),
        {s: slice(s, s + 1) for s in range(slots)},
    )
    numbers_of_day = (value, expected, lower, upper, score)
    yield from _build_alert_rows(metric_set, day, anomalous, numbers_of_day, alerts)


def _build_alert_rows(
    metric_set: MetricSet,
    day: datetime,
    anomalous: Sequence[int],
    numbers: Sequence[np.ndarray[Any, Any]],
    alerts: list[int],
) -> Iterator[tuple[Table, tables.Columns, dict[int, slice]]]:
    """Yield the rows of the alert tables, and add the bytes of each alert to `alerts`."""
    rows: dict[Table, list[tables.Columns]] = {table: [] for table in tables.ALERT_TABLES}
    for slot in anomalous:
        wall = day + timedelta(minutes=5 * slot)
        points = Points(*(column[slot, ::MEASURES] for column in numbers))
        alert = events.build_anomaly_alert(metric_set, metric_set.measure_names[0], wall, SERIES, points)
        if alert is None:
            raise RuntimeError("an event was expected")
        alerts.append(len(encode_alert(alert)))
        for table in tables.ALERT_TABLES:
            rows[table].append(
                tables.columns_from_units(table, tables.units_from_alert(table, alert, metric_set), metric_set, wall)
            )
    for table, alert_rows in rows.items():
        positions, end = dict[int, slice](), 0
        for slot, columns in zip(anomalous, alert_rows, strict=True):
            count = len(columns["timestamp"])
            positions[slot], end = slice(end, end + count), end + count
        yield (
            table,
            {
                column.name: [cell for columns in alert_rows for cell in columns[column.name]]
                for column in tables.schema(table, metric_set)
            },
            positions,
        )


def _to_columns(table: Table, metric_set: MetricSet, cells: Sequence[Any]) -> tables.Columns:
    return dict(zip([column.name for column in tables.schema(table, metric_set)], cells, strict=True))


def _encode(
    metric_set: MetricSet,
    table: Table,
    columns: tables.Columns,
    positions: dict[int, slice],
    day: datetime,
    *,
    with_intervals: bool,
) -> tuple[bytes, dict[datetime, bytes]]:
    """Return the day as one object (empty without rows); with `with_intervals` also an object for each interval."""
    schema = tables.schema(table, metric_set)
    day_object = encoding.encode_table("parquet", schema, columns) if positions else b""
    if not with_intervals:
        return day_object, {}
    return day_object, {
        day + timedelta(minutes=5 * slot): encoding.encode_table(
            "parquet", schema, {name: column[position] for name, column in columns.items()}
        )
        for slot, position in positions.items()
    }


def _encode_live_data(instant: datetime, rng: np.random.Generator) -> bytes:
    lines = [
        f"{region},{product},{instant:%Y-%m-%d %H:%M:%S},{count},{count * 12.5}"
        for (region, product), count in zip(SERIES, rng.poisson(100, len(SERIES)).tolist(), strict=True)
    ]
    return ("region,product,timestamp,orders,revenue\n" + "\n".join(lines) + "\n").encode()


def _write(root: Path, key: str, data: bytes) -> None:
    file = root / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _link_events(root: Path, first: MetricSet, metric_set: MetricSet, since: datetime) -> None:
    """Give a metric set the first set's events since a day, as links to the same files."""
    for table in tables.ALERT_TABLES:
        folder = root / layout.table_folder(table, first)
        for file in folder.rglob("*.parquet"):
            if file.parent.name >= f"date={since:%Y-%m-%d}":
                other = root / layout.table_folder(table, metric_set) / file.relative_to(folder)
                other.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, other)


def _print_sizes(sizes: dict[str, list[int]], alerts: Sequence[int], days: int, before_days: int) -> None:
    """Print objects and bytes of a year of all sets, by table: mean sizes of one set, times the number of objects."""
    a_year = SETS * YEAR_DAYS
    print(
        f"of a year and {SETS} sets: sizes are means of one set "
        f"({days} days; of single intervals, {before_days} days and the anomalies)"
    )
    print(
        f"{'table':<28}{'objects, an interval':>22}{'kB each':>9}{'GB':>8}{'objects, a day':>16}{'kB each':>9}{'GB':>8}"
    )
    for table in GLUE_TABLE_NAMES:
        single, daily = statistics.mean(sizes[f"{table}, an interval"]), statistics.mean(sizes[f"{table}, a day"])
        interval_objects, share = (
            a_year * (INTERVALS_PER_DAY if table in layout.DETECTOR_TABLES else RATE),
            len(sizes[f"{table}, a day"]) / days,
        )
        print(
            f"{table:<28}{interval_objects:>22,}{single / 1e3:>9.2f}{interval_objects * single / 1e9:>8.2f}"
            f"{a_year * share:>16,.0f}{daily / 1e3:>9.1f}"
            f"{a_year * share * daily / 1e9:>8.2f}"
        )
    print(
        f"{'alerts as received (at most)':<28}{a_year * RATE:>22,}{statistics.mean(alerts) / 1e3:>9.2f}"
        f"{a_year * RATE * statistics.mean(alerts) / 1e9:>8.2f}",
        flush=True,
    )
