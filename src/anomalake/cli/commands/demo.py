"""`anomalake demo`: runs the whole pipeline on demo data."""

import argparse
from pathlib import Path

from anomalake.cli.options import add_format, add_lake, add_page_output, default_format, lake_folder, parse_count
from anomalake.cli.terminal import print_line
from anomalake.domain.errors import UserError

SUMMARY = "run the whole pipeline on demo data and write a dashboard"
HELP = """\
Example:
  anomalake demo --dataset ecommerce

Result:
  The lake demo-lake with live data, scores and alerts, and the page dashboard.html. The command prints the worst
  days, an example query and its answer. The next demo deletes the files that this demo wrote to the lake."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_format(parser)
    add_page_output(parser)
    add_lake(parser, "demo-lake", "an empty folder, or an empty bucket as s3://BUCKET (default: %(default)s)")
    parser.add_argument(
        "--dataset",
        choices=("flights", "ecommerce"),
        help="the flights that left New York in 2013, or a generated shop "
        "(default: the flights; the shop for a lake in S3)",
    )
    parser.add_argument(
        "--days", type=parse_count, metavar="N", help="process the first N days only (in S3: the last N days)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Fill a folder or a bucket with demo data."""
    from anomalake.cli.demo import run as demo
    from anomalake.detect.timeline import utc_now

    table_format = arguments.format or default_format()
    if arguments.lake.startswith("s3://"):
        if arguments.dataset == "flights":
            raise UserError(
                "--dataset flights: this data is of 2013, outside the window that a deployed dashboard shows; "
                "use --dataset ecommerce for a lake in S3"
            )
        demo.fill_bucket(
            arguments.lake, table_format=table_format, days=arguments.days, now=utc_now(), print_line=print_line
        )
        return 0
    dataset: demo.Dataset = arguments.dataset or "flights"
    page = Path(arguments.output)
    demo.run_demo(
        dataset, lake_folder(arguments), page, table_format=table_format, days=arguments.days, print_line=print_line
    )
    return 0
