"""`anomalake init`: proposes a metric set for a table of the user."""

import argparse
from pathlib import Path

from anomalake.cli.options import add_metric_set_output, add_proposal, default_lake
from anomalake.cli.terminal import print_line

SUMMARY = "propose a metric set for your data"
HELP = """\
Example:
  anomalake init sales.csv --timezone Europe/Berlin

Result:
  sales.yaml, a metric set with the timestamp column, the frequency, the dimensions and the measures that the data
  suggests. The command prints the file, a preview and a list of what to check. On a terminal it asks what the data does
  not say. Review and edit the file, then run `anomalake backtest --metric-set sales.yaml --data sales.csv`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_proposal(parser)
    add_metric_set_output(parser)
    parser.add_argument(
        "--run",
        dest="run_backtest",
        action="store_true",
        help="run the back-test as well, and write the page (as `anomalake watch`)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the proposed metric set and print it."""
    from anomalake.cli import propose_for_file, write_metric_set

    proposed = propose_for_file.propose_for_file(arguments)
    target = write_metric_set.write_metric_set(proposed.proposed.proposal, arguments)
    propose_for_file.print_preview(proposed.proposed)
    if not arguments.run_backtest:
        options = propose_for_file.describe_reading(proposed.reading)
        command = f"anomalake backtest --metric-set {target} --data {arguments.file}{options}"
        print_line(f"Review and edit it, then run: {command}")
        return 0
    from anomalake.cli import backtest_table

    page = Path("dashboard.html")
    request = argparse.Namespace(lake=default_lake(), metric_set=target, format=None, output=page, now=None)
    status = backtest_table.run_backtest(request, proposed.table, arguments.file, proposed.reading)
    backtest_table.show_page(page)
    return status
