"""Measures a year of five-minute data of 20 metric sets, and queries on it (`make bench-scale`, docs/scaling.md).

Three lakes hold the same rows. `before` has an object for each interval. `after` has an object for each day of
`observations` and `dataHealth`, except for the current day, as compaction leaves it. `whole` also has an object for
each day of the three tables of the ingest function; no part of Anomalake compacts those, so this lake shows what it
would save. DuckDB reads the folders. Trino reads the same files through the S3 protocol
(`tests/support/s3_server.py`), which counts requests and bytes.

`scale_lakes.py` writes the lakes, `scale_queries.py` runs the queries.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from anomalake.domain import metric_set_yaml
from scale_lakes import BEFORE_DAYS, HIGH_RATE, MEASURES, METRIC_SET_NAME, METRIC_SET_YAML, RATE, SERIES, SETS, fill
from scale_queries import Measurement, Query, build_queries, measure_live_planning, run_in_duckdb, run_in_trino

MIN_BILLED_BYTES, BYTES_PER_TERABYTE = 10_000_000, 1e12  # Athena bills at least 10 MB for a query


def main() -> None:
    """Write the lakes, print their sizes, run the queries, and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--before-days",
        type=int,
        default=BEFORE_DAYS,
        help="the days for which `before` has an object for each interval",
    )
    parser.add_argument(
        "--engine",
        choices=["duckdb", "trino"],
        action="append",
        help="run the queries only in this engine (default: both)",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="measure only how long Trino plans a query of live data, by the partitions of the table",
    )
    arguments = parser.parse_args()
    if arguments.live:
        measure_live_planning()
        return
    engines = arguments.engine or ["duckdb", "trino"]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {SETS} metric sets, "
        f"{len(SERIES)} series x {MEASURES} measures each, five minutes"
    )
    with tempfile.TemporaryDirectory() as folder:
        for rate in (RATE, HIGH_RATE):
            root = Path(folder) / f"rate{rate}"
            metric_sets = [
                metric_set_yaml.parse(METRIC_SET_YAML.format(name=METRIC_SET_NAME.format(number)), "scale")
                for number in range(SETS if rate == RATE else 1)
            ]
            fill(root, metric_sets, rate, arguments.before_days)
            queries = build_queries(metric_sets)
            if rate == HIGH_RATE:  # the tables of the ingest function alone
                queries = [
                    query
                    for query in queries
                    if query.name in {"worst events of the week", "who contributed", "alerts an hour"}
                ]
            for engine in engines:
                run = run_in_duckdb if engine == "duckdb" else run_in_trino
                measurements = dict(run(root, metric_sets, queries))
                _print_table(engine, rate, queries, measurements, arguments.before_days)


def _print_table(
    engine: str, rate: int, queries: Sequence[Query], measurements: dict[tuple[str, str], Measurement], before_days: int
) -> None:
    """Print the seconds by query and lake. For Trino, print objects, lists and bytes too."""
    units = "" if engine == "duckdb" else ", objects read + lists, MB scanned, USD by Athena"
    print(f"\n{engine}, {rate} anomalous intervals a set and day, load {os.getloadavg()[0]:.1f}: seconds{units}")
    for query in queries:
        counts = {
            measurements[lake, query.name].rows for lake in query.lakes if lake != "before" or query.days <= before_days
        }
        if len(counts) > 1:
            raise RuntimeError(
                f"{query.name}: the lakes return different numbers of rows ({', '.join(map(str, sorted(counts)))}), "
                f"although they hold the same rows"
            )
        cells = []
        for lake in query.lakes:
            measurement = measurements[lake, query.name]
            part = f" of {before_days} days" if lake == "before" and query.days > before_days else ""
            cost = 5 * max(MIN_BILLED_BYTES, measurement.scanned) / BYTES_PER_TERABYTE
            cells.append(
                f"{measurement.seconds:.2f}{part}"
                + (
                    ""
                    if engine == "duckdb"
                    else f", {measurement.objects:,}+{measurement.lists}, {measurement.scanned / 1e6:.2f}, {cost:.5f}"
                )
            )
        print(
            f"| {query.name} ({query.days} d, {measurements['after', query.name].rows:,} rows) | {' | '.join(cells)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
