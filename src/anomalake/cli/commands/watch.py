"""`anomalake watch`: proposes a metric set for a table, back-tests it and shows the page."""

import argparse
from pathlib import Path

from anomalake.cli.options import add_format, add_lake, add_now, add_page_output, add_proposal
from anomalake.cli.terminal import print_line

SUMMARY = "propose a metric set for your data, detect anomalies in it, and show the dashboard"
HELP = """\
Example:
  anomalake watch sales.csv

Result:
  The same as `anomalake init sales.csv` and `anomalake backtest`: sales.yaml, the lake, and the page dashboard.html,
  which opens in the browser if the command runs on a terminal of a desktop. If sales.yaml is there already, it is used
  as it is; with --force, it is written again."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_proposal(parser)
    add_lake(parser)
    add_format(parser)
    add_page_output(parser)
    add_now(parser)
    parser.add_argument("--force", action="store_true", help="propose the metric set again if its file exists")


def run(arguments: argparse.Namespace) -> int:
    """Propose, back-test and show."""
    from anomalake.cli import backtest_table, propose_for_file, write_metric_set
    from anomalake.cli.options import reading_options
    from anomalake.cli.tables import read

    target = Path(f"{propose_for_file.name_metric_set(arguments)}.yaml")
    if target.exists() and not arguments.force:
        print_line(f"{target} is used as it is; --force proposes it again\n")
        reading = reading_options(arguments)
        table = read.read(arguments.file, reading.table)
    else:
        proposed = propose_for_file.propose_for_file(arguments)
        file = argparse.Namespace(**{**vars(arguments), "output": str(target), "force": True})
        write_metric_set.write_metric_set(proposed.proposed.proposal, file)
        propose_for_file.print_preview(proposed.proposed)
        table, reading = proposed.table, proposed.reading
    request = argparse.Namespace(**{**vars(arguments), "metric_set": target})
    status = backtest_table.run_backtest(request, table, arguments.file, reading)
    backtest_table.show_page(Path(arguments.output))
    return status
