"""`anomalake backtest`: runs the detector over all live data of a metric set."""

import argparse

from anomalake.cli.options import (
    add_format,
    add_lake,
    add_metric_set,
    add_now,
    add_page_output,
    add_reading,
    reading_options,
)

SUMMARY = "run the detector over all live data of a metric set and write a dashboard"
HELP = """\
Example:
  anomalake backtest --metric-set sales.yaml --data sales.csv

Result:
  Observations, alerts and the detector's state in the lake, and the page dashboard.html. The command prints the
  number of intervals and alerts, and the completeness, duplicates and cardinality of the data. No notification is sent.
  The exit status is 1 where an alert could not be stored."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake(parser)
    add_metric_set(parser)
    add_format(parser)
    add_page_output(parser)
    add_now(parser)
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="your data, in any form that `anomalake init` reads; it is written to the lake as live data first",
    )
    add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the back-test, print its report and write the page."""
    from anomalake.cli import backtest_table
    from anomalake.cli.tables import read

    reading = reading_options(arguments)
    table = read.read(arguments.data, reading.table) if arguments.data else None
    return backtest_table.run_backtest(arguments, table, arguments.data, reading)
