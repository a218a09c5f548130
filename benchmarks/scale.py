"""Measures a year of five-minute data of 20 metric sets, and queries on it (`make bench-scale`, docs/scaling.md).

Three lakes hold the same rows: `before` an object an interval; `after` an object a day of `observations` and
`dataHealth`, but for the day that is not over, as compaction leaves it; `whole` an object a day of the three tables of
the ingest function too, which nothing makes: it shows what that would be worth. DuckDB reads the folders, Trino the
same files through S3's protocol (`tests/support/s3_server.py`), which counts requests and bytes.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

sys.path += [
    str(Path(__file__).parent.parent / folder) for folder in ("tests", "tests/support")
]  # where Trino and the S3 server are

import numpy as np

import s3_server
import stack
from anomalake.catalog import duckdb_catalog, projection
from anomalake.catalog.saved_queries import saved_queries_of_set, saved_queries_over_all_sets
from anomalake.catalog.views import database
from anomalake.dashboards.definition import MAX_TIME_AXIS_POINTS
from anomalake.detect import events
from anomalake.detect.model import Points
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.alert import encode as told
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Table

SETS, YEAR, PER_DAY = 20, 365, 288
REGIONS, PRODUCTS, MEASURES, AFFECTED = 5, 10, 2, 5  # 50 series; series of an event
# Anomalous intervals a day and metric set. 6: at a score of 50, normal noise raises 0.083 alarms a series and week
# (docs/detector.md, "What a score says"), so 100 series and measures 1.2 a day; three incidents of an hour a week, 12
# intervals each, are 5.1. 60: a set in trouble, or heavy tails.
RATE, HIGH = 6, 60
BEFORE_DAYS = 32  # as far back as the queries look, but for the one over the year
WINDOW = int(MAX_TIME_AXIS_POINTS / PER_DAY)  # days that a dashboard shows at first
BILLED_LEAST, TERABYTE = 10_000_000, 1e12  # Athena bills a query for 10 MB at least
LAKES = ("before", "after", "whole")
LIVE = "live with anomalies, as a dashboard opens"

NAME = "set{:02}"
TEXT = """
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


class Query(NamedTuple):
    """One of the ten first queries; `days` is how far back it looks, `lakes` are those that it is asked of."""

    name: str
    schema: str
    sql: str
    days: int
    lakes: tuple[str, ...] = LAKES


class Asked(NamedTuple):
    """What a query took: seconds, and of S3 requests and bytes; `scanned` is what Trino says that it read."""

    seconds: float
    rows: int
    objects: int = 0
    lists: int = 0
    scanned: int = 0


def main() -> None:
    """Make the lakes, count, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--before-days", type=int, default=BEFORE_DAYS, help="days of which `before` has objects of single intervals"
    )
    parser.add_argument("--engine", choices=["duckdb", "trino"], action="append", help="only this one (default: both)")
    parser.add_argument(
        "--live", action="store_true", help="only how long a query of live data is planned, by what its folders are"
    )
    chosen = parser.parse_args()
    if chosen.live:
        live_plans()
        return
    engines = chosen.engine or ["duckdb", "trino"]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {SETS} metric sets, "
        f"{len(SERIES)} series x {MEASURES} measures each, five minutes"
    )
    with tempfile.TemporaryDirectory() as made:
        for rate in (RATE, HIGH):
            root = Path(made) / f"rate{rate}"
            sets = [
                metric_set_yaml.parse(TEXT.format(name=NAME.format(number)), "scale")
                for number in range(SETS if rate == RATE else 1)
            ]
            fill(root, sets, rate, chosen.before_days)
            asked = queries(sets)
            if rate == HIGH:  # the tables of the ingest function alone
                asked = [
                    one
                    for one in asked
                    if one.name in {"worst events of the week", "who contributed", "alerts an hour"}
                ]
            for engine in engines:
                answers = dict(in_duckdb(root, sets, asked) if engine == "duckdb" else in_trino(root, sets, asked))
                table(engine, rate, asked, answers, chosen.before_days)


# --- what lies in the lakes


def fill(root: Path, sets: Sequence[MetricSet], rate: int, before_days: int) -> None:
    """Write the three lakes.

    The first set has a year, with objects of single intervals in its last days. The others have its events of these
    days.
    """
    began, rng = time.monotonic(), np.random.default_rng(7)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    days = YEAR if rate == RATE else before_days
    sizes: dict[str, list[int]] = {}
    alerts: list[int] = []
    for number in range(days, -1, -1):
        day, open_day = today - timedelta(days=number), number == 0
        slots = PER_DAY // 2 if open_day else PER_DAY  # half of today is over
        struck = sorted(rng.choice(slots, min(slots, rng.poisson(rate * slots / PER_DAY)), replace=False).tolist())
        for name, columns, places in _day(sets[0], day, slots, struck, rng=rng, alerts=alerts):
            whole, single = _encoded(sets[0], name, columns, places, day, singly=number < before_days)
            for lake in LAKES:
                compacted = not open_day and (lake == "whole" or (lake == "after" and name in layout.DETECTOR_TABLES))
                if compacted and whole:
                    _write(root / lake, layout.day_key(name, sets[0], f"{day:%Y-%m-%d}", "parquet"), whole)
                elif not compacted and (name not in layout.DETECTOR_TABLES or number < before_days):
                    for instant, data in (
                        single or _encoded(sets[0], name, columns, places, day, singly=True)[1]
                    ).items():
                        _write(root / lake, layout.table_key(name, sets[0], instant, "parquet"), data)
            sizes.setdefault(f"{name}, an interval", []).extend(map(len, single.values()))
            if whole and not open_day:
                sizes.setdefault(f"{name}, a day", []).append(len(whole))
        if number <= WINDOW + 2 and rate == RATE:
            for slot in range(slots):
                wall = day + timedelta(minutes=5 * slot)
                for lake in LAKES:
                    _write(root / lake, f"{live_data.interval_folder(sets[0], wall)}/data.csv", _live(wall, rng))
    for lake in LAKES:
        for item in sets[1:]:
            _link(root / lake, sets[0], item, today - timedelta(days=before_days))
    print(
        f"\n{rate} anomalous intervals a set and day; lakes written in {time.monotonic() - began:.0f} s, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    if rate == RATE:
        _counted(sizes, alerts, days, before_days)


def _day(
    item: MetricSet, day: datetime, slots: int, struck: Sequence[int], *, rng: np.random.Generator, alerts: list[int]
) -> Iterator[tuple[Table, tables.Columns, dict[int, slice]]]:
    """Each table's rows of a day, and which of them are of which interval."""
    series, width = len(SERIES), len(SERIES) * MEASURES
    clock = np.arange(slots) / PER_DAY * 2 * np.pi
    level = np.repeat(10 ** np.linspace(1, 3, series), MEASURES) * np.tile([1.0, 12.5], series)
    expected = level * (1 + 0.4 * np.cos(clock))[:, None] * rng.normal(1, 0.01, (slots, width))
    value = np.round(rng.normal(expected, expected**0.5), 2)
    score = np.minimum(49, rng.exponential(12, (slots, width)))
    hit = {slot: rng.choice(series, AFFECTED, replace=False) for slot in struck}
    for slot, which in hit.items():
        value[slot, which * MEASURES] *= 3
        score[slot, which * MEASURES] = rng.uniform(55, 95, AFFECTED)
    lower, upper = expected - 4 * expected**0.5, expected + 4 * expected**0.5
    instants = np.datetime64(day, "ms") + np.arange(slots) * np.timedelta64(5, "m")
    keys = np.array(["|".join(one) for one in SERIES], object)
    texts = [
        np.tile(np.repeat(column, MEASURES), slots)
        for column in (keys, *(np.array(one, object) for one in zip(*SERIES, strict=True)))
    ]
    numbers = [events.round_figures(column.ravel()) for column in (value, expected, lower, upper, score)]
    cells = [
        texts[0],
        np.repeat(instants, width),
        *texts[1:],
        np.tile(np.array(item.measure_names, object), slots * series),
        *numbers,
    ]
    yield (
        "observations",
        _named("observations", item, cells),
        {slot: slice(slot * width, (slot + 1) * width) for slot in range(slots)},
    )
    counts = [np.full(slots, count) for count in (series, series, series, series, 0)]
    yield (
        "dataHealth",
        _named("dataHealth", item, [instants, np.full(slots, "scored", object), *counts]),
        {s: slice(s, s + 1) for s in range(slots)},
    )
    rows: dict[Table, list[tables.Columns]] = {table: [] for table in tables.ALERT_TABLES}
    for slot in struck:
        wall = day + timedelta(minutes=5 * slot)
        points = Points(*(column[slot, ::MEASURES] for column in (value, expected, lower, upper, score)))
        alert = events.build_anomaly_alert(item, item.measure_names[0], wall, SERIES, points)
        if alert is None:
            raise RuntimeError("an event was expected")
        alerts.append(len(told(alert)))
        for table in tables.ALERT_TABLES:
            rows[table].append(
                tables.columns_from_units(table, tables.units_from_alert(table, alert, item), item, wall)
            )
    for table, some in rows.items():
        places, end = dict[int, slice](), 0
        for slot, one in zip(struck, some, strict=True):
            count = len(one["timestamp"])
            places[slot], end = slice(end, end + count), end + count
        yield (
            table,
            {column.name: [cell for one in some for cell in one[column.name]] for column in tables.schema(table, item)},
            places,
        )


def _named(table: Table, item: MetricSet, cells: Sequence[Any]) -> tables.Columns:
    return dict(zip([column.name for column in tables.schema(table, item)], cells, strict=True))


def _encoded(
    item: MetricSet, table: Table, columns: tables.Columns, places: dict[int, slice], day: datetime, *, singly: bool
) -> tuple[bytes, dict[datetime, bytes]]:
    """The day as one object, empty where it has no rows, and as one of each interval where that is wanted."""
    schema = tables.schema(table, item)
    whole = encoding.encode_table("parquet", schema, columns) if places else b""
    if not singly:
        return whole, {}
    return whole, {
        day + timedelta(minutes=5 * slot): encoding.encode_table(
            "parquet", schema, {name: column[place] for name, column in columns.items()}
        )
        for slot, place in places.items()
    }


def _live(instant: datetime, rng: np.random.Generator) -> bytes:
    lines = [
        f"{region},{product},{instant:%Y-%m-%d %H:%M:%S},{count},{count * 12.5}"
        for (region, product), count in zip(SERIES, rng.poisson(100, len(SERIES)).tolist(), strict=True)
    ]
    return ("region,product,timestamp,orders,revenue\n" + "\n".join(lines) + "\n").encode()


def _write(root: Path, key: str, data: bytes) -> None:
    file = root / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _link(root: Path, first: MetricSet, item: MetricSet, since: datetime) -> None:
    """The set's events of the last days: the first set's bytes."""
    for table in tables.ALERT_TABLES:
        folder = root / layout.table_folder(table, first)
        for file in folder.rglob("*.parquet"):
            if file.parent.name >= f"date={since:%Y-%m-%d}":
                other = root / layout.table_folder(table, item) / file.relative_to(folder)
                other.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, other)


def _counted(sizes: dict[str, list[int]], alerts: Sequence[int], days: int, before_days: int) -> None:
    """Print objects and bytes of a year of all sets, by table: mean sizes of one set, times the number of objects."""
    a_year = SETS * YEAR
    print(
        f"of a year and {SETS} sets: sizes are means of one set "
        f"({days} days; of single intervals, {before_days} days and the anomalies)"
    )
    print(
        f"{'table':<28}{'objects, an interval':>22}{'kB each':>9}{'GB':>8}{'objects, a day':>16}{'kB each':>9}{'GB':>8}"
    )
    for table in GLUE_TABLE_NAMES:
        single, whole = statistics.mean(sizes[f"{table}, an interval"]), statistics.mean(sizes[f"{table}, a day"])
        many, share = (
            a_year * (PER_DAY if table in layout.DETECTOR_TABLES else RATE),
            len(sizes[f"{table}, a day"]) / days,
        )
        print(
            f"{table:<28}{many:>22,}{single / 1e3:>9.2f}{many * single / 1e9:>8.2f}"
            f"{a_year * share:>16,.0f}{whole / 1e3:>9.1f}"
            f"{a_year * share * whole / 1e9:>8.2f}"
        )
    print(
        f"{'alerts as received (at most)':<28}{a_year * RATE:>22,}{statistics.mean(alerts) / 1e3:>9.2f}"
        f"{a_year * RATE * statistics.mean(alerts) / 1e9:>8.2f}",
        flush=True,
    )


# --- what is asked


def queries(sets: Sequence[MetricSet]) -> list[Query]:
    """The saved queries, the live data as a dashboard opens, and a year."""
    first, db = sets[0], database(duckdb_catalog.DEFAULT_PREFIX, sets[0])
    month = {"quietest and noisiest series", "events a day"}
    saved = [
        *saved_queries_of_set(first, duckdb_catalog.DEFAULT_PREFIX),
        *saved_queries_over_all_sets(sets, duckdb_catalog.DEFAULT_PREFIX),
    ]
    found = []
    for one in saved:
        name = one.name.removeprefix(f"{first.name}: ")
        found.append(Query(name, one.database, one.sql, 30 if name.removeprefix("all: ") in month else 7))
    opened = f"\"date\" >= date_format(current_timestamp - INTERVAL '{WINDOW + 2}' DAY, '%Y-%m-%d')"
    year = f"\"date\" >= date_format(current_timestamp - INTERVAL '{YEAR}' DAY, '%Y-%m-%d')"
    return [
        *found,
        # Of the user's files, which nothing here changes: once is enough.
        Query(
            LIVE,
            db,
            'SELECT "localtimestamp", sum(orders) AS orders, count_if(isanomaly) AS anomalous '
            f'FROM "{db}".anomalies_with_live WHERE {opened} GROUP BY 1 ORDER BY 1',
            WINDOW + 2,
            ("after",),
        ),
        Query(
            "a year by month",
            db,
            'SELECT substr("date", 1, 7) AS month, metricname, sum(value) AS value, count_if(isanomaly) AS anomalous, '
            f'max(score) AS worst FROM "{db}".metrics_with_band WHERE {year} GROUP BY 1, 2 ORDER BY 1, 2',
            YEAR,
        ),
    ]


def in_duckdb(root: Path, sets: Sequence[MetricSet], asked: Sequence[Query]) -> Iterator[tuple[tuple[str, str], Asked]]:
    """The median of three times, the lakes in turn; the files are in the page cache."""
    connections = {lake: duckdb_catalog.connect(root / lake, sets, "parquet") for lake in LAKES}
    for one in asked:
        seconds: dict[str, list[float]] = {lake: [] for lake in one.lakes}
        for lake in one.lakes * 3:
            connections[lake].execute(f"SET search_path = '{one.schema}'")
            began = time.perf_counter()
            _, rows = duckdb_catalog.query(connections[lake], one.sql)
            seconds[lake].append(time.perf_counter() - began)
        yield from (((lake, one.name), Asked(statistics.median(seconds[lake]), len(rows))) for lake in one.lakes)


def in_trino(root: Path, sets: Sequence[MetricSet], asked: Sequence[Query]) -> Iterator[tuple[tuple[str, str], Asked]]:
    """Each query once, after all of them warmed the server up on another lake; the lakes in turn."""
    from conformance import engine, lakes

    engine._CATALOG.pop("hive.file-status-cache-tables", None)  # a query lists the folders that it reads, as in Athena
    engine._CATALOG.pop("hive.file-status-cache-expire-time", None)
    (root / "warm").symlink_to(root / "whole")
    with s3_server.running(root) as endpoint, tempfile.TemporaryDirectory() as scratch:
        project = stack.project(Path(scratch) / "project", sets)
        for lake in ("warm", *LAKES):
            lakes.declare(lake, "parquet", sets, template=project, root=root / lake, endpoint=endpoint)
        with engine.running(endpoint, Path(scratch) / "trino") as trino:
            for lake, one in [("warm", some) for some in asked if some.lakes == LAKES] + [
                (lake, some) for some in asked for lake in some.lakes
            ]:
                schema, sql = (_renamed(text, lake) for text in (one.schema, one.sql))
                s3_server.requests(endpoint)
                began = time.perf_counter()
                answer = trino.query(sql, schema)
                seconds = time.perf_counter() - began
                seen = [call for call in s3_server.requests(endpoint) if call["path"].startswith(f"/{lake}")]
                objects = {call["path"] for call in seen if call["path"].endswith((".parquet", ".csv"))}
                lists = sum(call["path"].strip("/") == lake for call in seen)
                if lake != "warm":
                    yield (
                        (lake, one.name),
                        Asked(seconds, len(answer.rows), len(objects), lists, answer.stats["physicalInputBytes"]),
                    )


def live_plans() -> None:
    """Return the seconds of planning a query of eight days of an empty lake's live data.

    The partitions of the table are days in one case, and intervals in the other.
    """
    from conformance import engine, lakes

    base, today = TEXT.format(name="live"), datetime.now(UTC).replace(tzinfo=None)
    abroad = base.replace("timestamp:", "timezone: America/New_York\ntimestamp:")
    kinds = {
        f"{partition}{kind}": metric_set_yaml.parse(
            text.replace("}}/{{", "}}/{{" if partition == "days" else ""), "scale"
        )
        for kind, text in {"utc5": base, "abroad5": abroad, "abroad60": abroad.replace("PT5M", "PT1H")}.items()
        for partition in ("days", "intervals")
    }
    (asked,) = [one for one in queries([kinds["daysutc5"]]) if one.name == LIVE]
    with tempfile.TemporaryDirectory() as made, s3_server.running(Path(made)) as endpoint:
        for name, item in kinds.items():
            (Path(made) / name).mkdir()
            project = stack.project(Path(made) / f"project-{name}", [item])
            lakes.declare(name, "parquet", [item], template=project, root=Path(made) / name, endpoint=endpoint)
        with engine.running(endpoint, Path(made) / "trino") as trino:
            for name in ("daysutc5", *kinds):  # the first warms the server up
                began = time.perf_counter()
                trino.query("EXPLAIN " + _renamed(asked.sql, name), _renamed(asked.schema, name))
                seconds, since = time.perf_counter() - began, (today.date() - projection.DEFAULT_START).days
                folders = since * (1 if name.startswith("days") else intervals.slots_per_day(kinds[name].frequency))
                print(
                    f"{name}: planned in {seconds:.1f} s, {folders:,} folders, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


def _renamed(text: str, lake: str) -> str:
    """With the databases of a stack whose prefix is the lake's name."""
    return text.replace(duckdb_catalog.DEFAULT_PREFIX, lake)


def table(
    engine: str, rate: int, asked: Sequence[Query], answers: dict[tuple[str, str], Asked], before_days: int
) -> None:
    """Seconds by query and lake; of Trino, objects, lists and bytes besides."""
    kinds = "" if engine == "duckdb" else ", objects read + lists, MB scanned, USD by Athena"
    print(f"\n{engine}, {rate} anomalous intervals a set and day, load {os.getloadavg()[0]:.1f}: seconds{kinds}")
    for one in asked:
        counts = {answers[lake, one.name].rows for lake in one.lakes if lake != "before" or one.days <= before_days}
        if len(counts) > 1:
            raise RuntimeError(f"{one.name}: the lakes answer with {sorted(counts)} rows; they hold the same")
        told = []
        for lake in one.lakes:
            got = answers[lake, one.name]
            part = f" of {before_days} days" if lake == "before" and one.days > before_days else ""
            cost = 5 * max(BILLED_LEAST, got.scanned) / TERABYTE
            told.append(
                f"{got.seconds:.2f}{part}"
                + ("" if engine == "duckdb" else f", {got.objects:,}+{got.lists}, {got.scanned / 1e6:.2f}, {cost:.5f}")
            )
        print(
            f"| {one.name} ({one.days} d, {answers['after', one.name].rows:,} rows) | {' | '.join(told)} |", flush=True
        )


if __name__ == "__main__":
    main()
