"""`anomalake init`: proposes a metric set for a CSV or Parquet file."""

import argparse
import json
import sys
from pathlib import Path

from anomalake.cli.options import add_metric_set_output
from anomalake.cli.terminal import print_line
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.names import to_metric_set_name

SUMMARY = "propose a metric set for a CSV or Parquet file"
HELP = """\
Example:
  anomalake init sales.csv --timezone Europe/Berlin

Result:
  sales.yaml, a metric set with the timestamp column, the frequency, the dimensions and the measures that the data
  suggests. The command prints the file and a list of what to check. Review and edit it, then run
  `anomalake backtest --metric-set sales.yaml --data sales.csv`."""

_PROBE = """
name: probe
frequency: P1D
timezone: {zone}
timestamp: {{column: t, format: yyyy-MM-dd}}
dimensions: []
measures: [{{name: m, aggregation: SUM}}]
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "file", metavar="FILE", help="your data: a header, a column of timestamps, and columns of numbers"
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="the time zone of the timestamps, an IANA name (default: the command asks on a terminal, else UTC)",
    )
    parser.add_argument("--name", help="the name of the metric set (default: derived from the name of the file)")
    add_metric_set_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the proposed metric set and print it."""
    from anomalake.cli import propose_metric_set, read_table, write_metric_set

    file = Path(arguments.file)
    table = read_table.read(file)
    zone = _choose_zone(arguments)
    if zone not in (None, "UTC") and read_table.has_time_zone(file):
        raise UserError(f"{file}: the timestamps have a zone of their own and are read as UTC; omit --timezone")
    proposal = propose_metric_set.propose(
        table,
        arguments.name or to_metric_set_name(file.stem),
        zone,
        read_table.describe_renamed_columns(file, table),
    )
    target = write_metric_set.write_metric_set(proposal, arguments)
    print_line(f"Review and edit it, then run: anomalake backtest --metric-set {target} --data {file}")
    return 0


def _choose_zone(arguments: argparse.Namespace) -> str | None:
    """Return `--timezone`, else the answer of the user on a terminal; raises `UserError` for an unknown zone."""
    zone: str | None = arguments.timezone
    if zone is None and sys.stdin.isatty():
        question = "Which time zone are the timestamps in? An IANA name such as Europe/Berlin [UTC]: "
        zone = input(question).strip() or "UTC"
    if zone is not None:
        metric_set_yaml.parse(_PROBE.format(zone=json.dumps(zone)), "--timezone")
    return zone
