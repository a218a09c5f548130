"""The queries of benchmarks/scale.py, and the measurement of each in DuckDB and in Trino."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

sys.path += [
    str(Path(__file__).parent.parent / folder) for folder in ("tests", "tests/support")
]  # where Trino and the S3 server are

import s3_server
import stack
from anomalake.catalog import duckdb_catalog, projection
from anomalake.catalog.saved_queries import saved_queries_of_set, saved_queries_over_all_sets
from anomalake.catalog.views import database
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from scale_lakes import LAKES, METRIC_SET_YAML, WINDOW_DAYS, YEAR_DAYS

LIVE = "live with anomalies, as a dashboard opens"


class Query(NamedTuple):
    """A query. `days` is how far back it looks, `lakes` are the lakes that it runs on."""

    name: str
    schema: str
    sql: str
    days: int
    lakes: tuple[str, ...] = LAKES


class Measurement(NamedTuple):
    """The cost of a query: seconds, rows, objects and lists requested from S3, and bytes that Trino scanned."""

    seconds: float
    rows: int
    objects: int = 0
    lists: int = 0
    scanned: int = 0


def build_queries(sets: Sequence[MetricSet]) -> list[Query]:
    """The saved queries, a query of live data as a dashboard opens, and a query over a year."""
    first, db = sets[0], database(duckdb_catalog.DEFAULT_PREFIX, sets[0])
    month = {"quietest and noisiest series", "events a day"}
    saved = [
        *saved_queries_of_set(first, duckdb_catalog.DEFAULT_PREFIX),
        *saved_queries_over_all_sets(sets, duckdb_catalog.DEFAULT_PREFIX),
    ]

    queries = []
    for query in saved:
        name = query.name.removeprefix(f"{first.name}: ")
        queries.append(Query(name, query.database, query.sql, 30 if name.removeprefix("all: ") in month else 7))

    opened = f"\"date\" >= date_format(current_timestamp - INTERVAL '{WINDOW_DAYS + 2}' DAY, '%Y-%m-%d')"
    year = f"\"date\" >= date_format(current_timestamp - INTERVAL '{YEAR_DAYS}' DAY, '%Y-%m-%d')"
    return [
        *queries,
        # Reads the user's files, which are the same in every lake: one lake is enough.
        Query(
            LIVE,
            db,
            'SELECT "localtimestamp", sum(orders) AS orders, count_if(isanomaly) AS anomalous '
            f'FROM "{db}".anomalies_with_live WHERE {opened} GROUP BY 1 ORDER BY 1',
            WINDOW_DAYS + 2,
            ("after",),
        ),
        Query(
            "a year by month",
            db,
            'SELECT substr("date", 1, 7) AS month, metricname, sum(value) AS value, count_if(isanomaly) AS anomalous, '
            f'max(score) AS worst FROM "{db}".metrics_with_band WHERE {year} GROUP BY 1, 2 ORDER BY 1, 2',
            YEAR_DAYS,
        ),
    ]


def run_in_duckdb(
    root: Path, sets: Sequence[MetricSet], queries: Sequence[Query]
) -> Iterator[tuple[tuple[str, str], Measurement]]:
    """Run each query three times on the lakes in turn, and yield the medians. The files are in the page cache."""
    connections = {lake: duckdb_catalog.connect(root / lake, sets, "parquet") for lake in LAKES}
    for query in queries:
        seconds: dict[str, list[float]] = {lake: [] for lake in query.lakes}
        for lake in query.lakes * 3:
            connections[lake].execute(f"SET search_path = '{query.schema}'")
            began = time.perf_counter()
            _, rows = duckdb_catalog.query(connections[lake], query.sql)
            seconds[lake].append(time.perf_counter() - began)
        yield from (
            ((lake, query.name), Measurement(statistics.median(seconds[lake]), len(rows))) for lake in query.lakes
        )


def run_in_trino(
    root: Path, sets: Sequence[MetricSet], queries: Sequence[Query]
) -> Iterator[tuple[tuple[str, str], Measurement]]:
    """Run each query once on the lakes in turn, after all queries ran once on another lake to warm up the server."""
    from conformance import engine, lakes

    engine._CATALOG.pop("hive.file-status-cache-tables", None)  # a query lists the folders that it reads, as in Athena
    engine._CATALOG.pop("hive.file-status-cache-expire-time", None)
    (root / "warm").symlink_to(root / "whole")
    with s3_server.running(root) as endpoint, tempfile.TemporaryDirectory() as scratch:
        project = stack.project(Path(scratch) / "project", sets)
        for lake in ("warm", *LAKES):
            lakes.declare(lake, "parquet", sets, template=project, root=root / lake, endpoint=endpoint)
        with engine.running(endpoint, Path(scratch) / "trino") as trino:
            for lake, query in [("warm", warming) for warming in queries if warming.lakes == LAKES] + [
                (lake, measured) for measured in queries for lake in measured.lakes
            ]:
                schema, sql = (_use_prefix(text, lake) for text in (query.schema, query.sql))
                s3_server.requests(endpoint)
                began = time.perf_counter()
                result = trino.query(sql, schema)
                seconds = time.perf_counter() - began
                calls = [call for call in s3_server.requests(endpoint) if call["path"].startswith(f"/{lake}")]
                objects = {call["path"] for call in calls if call["path"].endswith((".parquet", ".csv"))}
                lists = sum(call["path"].strip("/") == lake for call in calls)
                if lake != "warm":
                    yield (
                        (lake, query.name),
                        Measurement(seconds, len(result.rows), len(objects), lists, result.stats["physicalInputBytes"]),
                    )


def measure_live_planning() -> None:
    """Print the seconds that Trino needs to plan a query of eight days of an empty lake's live data.

    The partitions of the table are days in one case, and intervals in the other.
    """
    from conformance import engine, lakes

    base, today = METRIC_SET_YAML.format(name="live"), datetime.now(UTC).replace(tzinfo=None)
    zoned = base.replace("timestamp:", "timezone: America/New_York\ntimestamp:")
    metric_sets = {
        f"{partition}{name}": metric_set_yaml.parse(
            text.replace("}}/{{", "}}/{{" if partition == "days" else ""), "scale"
        )
        for name, text in {"utc5": base, "abroad5": zoned, "abroad60": zoned.replace("PT5M", "PT1H")}.items()
        for partition in ("days", "intervals")
    }
    (query,) = [query for query in build_queries([metric_sets["daysutc5"]]) if query.name == LIVE]
    with tempfile.TemporaryDirectory() as folder, s3_server.running(Path(folder)) as endpoint:
        for name, metric_set in metric_sets.items():
            (Path(folder) / name).mkdir()
            project = stack.project(Path(folder) / f"project-{name}", [metric_set])
            lakes.declare(name, "parquet", [metric_set], template=project, root=Path(folder) / name, endpoint=endpoint)
        with engine.running(endpoint, Path(folder) / "trino") as trino:
            for name in ("daysutc5", *metric_sets):  # the first warms the server up
                began = time.perf_counter()
                trino.query("EXPLAIN " + _use_prefix(query.sql, name), _use_prefix(query.schema, name))
                seconds, since = time.perf_counter() - began, (today.date() - projection.DEFAULT_START).days
                folders = since * (
                    1 if name.startswith("days") else intervals.slots_per_day(metric_sets[name].frequency)
                )
                print(
                    f"{name}: planned in {seconds:.1f} s, {folders:,} folders, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


def _use_prefix(text: str, lake: str) -> str:
    """Replace the prefix of the databases with the lake's name."""
    return text.replace(duckdb_catalog.DEFAULT_PREFIX, lake)
