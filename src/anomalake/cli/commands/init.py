"""`anomalake init`: proposes a metric set for a table of the user."""

import argparse
import json
import sys
from pathlib import Path

from anomalake.cli.options import add_metric_set_output, add_reading, reading_options
from anomalake.cli.terminal import print_line
from anomalake.domain import metric_set_yaml
from anomalake.domain.names import to_metric_set_name

SUMMARY = "propose a metric set for your data"
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
        "file",
        metavar="FILE",
        help="your data, with timestamps and numbers: CSV, JSON, Excel, Parquet, a DuckDB or SQLite file, a folder, "
        "s3://BUCKET/KEY, or - for standard input",
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="the time zone of the timestamps, an IANA name (default: the command asks on a terminal, else UTC)",
    )
    parser.add_argument("--name", help="the name of the metric set (default: derived from the name of the file)")
    add_reading(parser)
    add_metric_set_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the proposed metric set and print it."""
    from anomalake.cli import propose_metric_set, write_metric_set
    from anomalake.cli.tables import read

    file = arguments.file
    table = read.read(file, reading_options(arguments).table)
    zone = _choose_zone(arguments)
    name = arguments.name or to_metric_set_name("data" if file == "-" else Path(file).stem)
    proposal = propose_metric_set.propose(table.rows, name, zone, table.notes)
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
