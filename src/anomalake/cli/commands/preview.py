"""`anomalake preview`: renders the QuickSight dashboard as an HTML page."""

import argparse
from pathlib import Path

from anomalake.cli.options import (
    add_lake,
    add_metric_set,
    add_page_output,
    lake_folder,
    load_single_metric_set,
    metric_set_path,
)
from anomalake.cli.terminal import print_line

SUMMARY = "render the QuickSight dashboard as an HTML page"
HELP = """\
Example:
  anomalake preview --metric-set src/metric_sets/sales.yaml

Result:
  dashboard.html, one self-contained file to open in a browser. The command prints its path and size."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake(parser)
    add_metric_set(parser)
    add_page_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from anomalake.catalog import duckdb_catalog
    from anomalake.dashboards import lake_page

    metric_set, page = load_single_metric_set(metric_set_path(arguments)), Path(arguments.output)
    size = lake_page.write_page(metric_set, duckdb_catalog.connect(lake_folder(arguments), [metric_set]), page)
    print_line(f"{page.resolve()} ({size / 1e6:.1f} MB)")
    return 0
