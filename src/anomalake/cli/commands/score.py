"""`anomalake score`: scores the rows of a file, without a lake."""

import argparse
from pathlib import Path

from anomalake.cli.options import add_now
from anomalake.cli.terminal import print_line
from anomalake.domain import intervals

SUMMARY = "score the rows of a CSV or Parquet file, without a lake"
HELP = """\
Example:
  anomalake score sales.csv scores.parquet --frequency PT1H

Result:
  scores.parquet with the columns series, timestamp, score, expected, lower and upper. Each row is scored from the rows
  before it. The command prints the completeness, the duplicates and the cardinality of the data.

A score is from 0 to 100. From 50 on, a row is an anomaly (docs/detector.md). The score is empty where a series has too
little history. Timestamps are ISO 8601: local time, or UTC where they name a zone. OUT has the start of each interval.
Rows of the same series and interval are summed up."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_now(parser)
    parser.add_argument("data", metavar="IN", help="a CSV or Parquet file with the columns series, timestamp, value")
    parser.add_argument(
        "scores",
        metavar="OUT",
        help="the CSV or Parquet file to write, with the columns series, timestamp, score, expected, lower, upper",
    )
    parser.add_argument(
        "--frequency",
        required=True,
        choices=tuple(intervals.INTERVAL_LENGTHS),
        help="the length of an interval: P1D is a day, PT1H an hour, PT10M ten minutes, PT5M five minutes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the scores and print the quality of the data."""
    from anomalake.cli import score_file

    quality = score_file.score_file(Path(arguments.data), Path(arguments.scores), arguments.frequency, arguments.now)
    print_line("\n".join([*quality.findings(), f"scores        {quality.values:,} in {arguments.scores}"]))
    return 0
