"""`anomalake ingest`: stores alerts from files in the lake."""

import argparse

from anomalake.cli.options import (
    add_format,
    add_lake_or_bucket,
    add_metric_set,
    load_metric_sets,
    metric_set_path,
    resolve_format,
)
from anomalake.cli.read_json import read_json_text
from anomalake.cli.reports import print_findings
from anomalake.cli.terminal import print_line
from anomalake.lake.store import StorageError

SUMMARY = "store alerts from JSON files in the lake"
HELP = """\
Example:
  anomalake ingest alert.json more.jsonl

Result:
  A line such as "12 alerts stored, 1 quarantined, 0 failed", and the alerts in the lake's tables and archive. An alert
  that the command does not recognize is kept in quarantine, and the exit status is 1. No notification is sent."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake_or_bucket(parser)
    add_metric_set(parser)
    add_format(parser)
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="alerts as JSON: one object, an array, or one object a line (.jsonl); - for standard input",
    )


def run(arguments: argparse.Namespace) -> int:
    """Store the alerts and print what was stored, quarantined and failed."""
    from anomalake import sources
    from anomalake.lake.credentials import open_lake
    from anomalake.lake.ingest import Message, ingest_messages, split_by_size

    metric_sets = load_metric_sets(metric_set_path(arguments))
    messages = []
    for name in arguments.files:
        bodies = sources.split_message(read_json_text(name))
        messages += [
            Message(f"{name}:{number}" if len(bodies) > 1 else name, body) for number, body in enumerate(bodies, 1)
        ]
    store = open_lake(arguments.lake)
    table_format = resolve_format(arguments, store, metric_sets)
    stored = failed = 0
    rejected: list[str] = []
    warnings: set[str] = set()
    error: StorageError | None = None
    for group in split_by_size(messages):
        result = ingest_messages(group, store, metric_sets, table_format)
        stored += len(result.stored)
        failed += len(result.failed_ids)
        rejected += [f"{alert.message.id}: {alert.reason}" for alert in result.quarantined]
        warnings.update(result.warnings)
        error = error or result.error
    print_line(f"{stored} alerts stored, {len(rejected)} quarantined, {failed} failed")
    print_findings(rejected, len(rejected), "alerts were not recognized and are kept in quarantine")
    print_findings(sorted(warnings), len(warnings), "intervals have more rows than a table stores")
    if error:
        raise error
    return 1 if rejected else 0
