"""`anomalake query`: runs a SQL query on the lake."""

import argparse
import csv
import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from anomalake.cli.options import add_lake, add_metric_set, lake_folder, load_metric_sets, metric_set_path
from anomalake.cli.terminal import json_line, printable, table_lines
from anomalake.domain.errors import UsageError

SUMMARY = "run a SQL query on the lake, with the results that Athena gives"
HELP = """\
Example:
  anomalake query "SELECT * FROM anomaly_log LIMIT 10"

Result:
  The rows of the result: a table on a terminal, CSV in a pipe.

A query reads the lake's views and tables only. In CSV, text is encoded as in the lake's own CSV files (`%2C` for a
comma), so that no spreadsheet runs a cell as a formula. Null is an empty cell, and empty text is `""`. Every output
escapes control characters. JSON keeps each value exactly."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake(parser)
    add_metric_set(parser)
    parser.add_argument("sql", metavar="SQL", help="one statement; docs/catalog.md describes the tables and views")
    parser.add_argument(
        "--as",
        dest="shape",
        choices=("table", "csv", "json"),
        help="the output (default: table on a terminal, csv in a pipe)",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="write CSV with quotes instead of percent-encoding; do not open it in a spreadsheet",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the query and write its rows to standard output."""
    from anomalake.catalog import duckdb_catalog

    shape = arguments.shape or ("csv" if arguments.raw or not sys.stdout.isatty() else "table")
    if arguments.raw and shape != "csv":
        raise UsageError("--raw requires --as csv")
    connection = duckdb_catalog.connect(lake_folder(arguments), load_metric_sets(metric_set_path(arguments)))
    columns, rows = duckdb_catalog.stream(connection, arguments.sql)
    if shape == "csv" and arguments.raw:
        _write_raw_csv(columns, rows)
    elif shape == "csv":
        _write_safe_csv(columns, rows)
    elif shape == "json":
        sys.stdout.writelines(json_line(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    else:
        sys.stdout.writelines(line + "\n" for line in table_lines(columns, rows))
    return 0


def _write_raw_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write CSV with quotes; only control characters are escaped."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows(
        [printable(cell) if isinstance(cell, str) else cell for cell in row] for row in itertools.chain([columns], rows)
    )


def _write_safe_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write CSV in the encoding of the lake's own CSV files."""
    from anomalake.lake.encoding import encode_safe_cell

    sys.stdout.writelines(",".join(map(encode_safe_cell, row)) + "\n" for row in itertools.chain([columns], rows))
