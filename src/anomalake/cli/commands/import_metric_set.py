"""`anomalake import-metric-set`: converts a metric set of Amazon Lookout for Metrics."""

import argparse

from anomalake.cli.options import add_metric_set_output
from anomalake.cli.read_json import read_json_text
from anomalake.cli.terminal import print_line

SUMMARY = "convert a metric set of Amazon Lookout for Metrics"
HELP = """\
Example:
  anomalake import-metric-set described.json --output src/metric_sets/shop.yaml

Result:
  src/metric_sets/shop.yaml, a metric set with the same dimensions, measures, frequency and source. The command prints
  the file and a list of what to check. Review and edit it, then run `anomalake render`."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the JSON output of `aws lookoutmetrics describe-metric-set`, or - for standard input",
    )
    add_metric_set_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the converted metric set and print it."""
    from anomalake.cli import lookout_metric_set, write_metric_set

    proposal = lookout_metric_set.convert(read_json_text(arguments.file), arguments.file)
    target = write_metric_set.write_metric_set(proposal, arguments)
    print_line(f"Review and edit it, then move {target} to src/metric_sets/ and run `anomalake render`")
    return 0
