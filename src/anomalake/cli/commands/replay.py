"""`anomalake replay`: rebuilds the tables from the archive, or retries the messages in quarantine."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anomalake.cli.options import (
    add_format,
    add_lake_or_bucket,
    add_metric_set,
    default_format,
    load_metric_sets,
    metric_set_path,
    parse_count,
    parse_utc_time,
)
from anomalake.cli.reports import print_findings
from anomalake.cli.terminal import print_line, print_warning
from anomalake.domain.errors import UsageError, UserError
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format, detect_format

if TYPE_CHECKING:
    from anomalake.lake.replay_job import ReplayJob, ReplayResult

Piece = TypeVar("Piece")

SUMMARY = "rebuild the tables from the archive, or retry the messages in quarantine"
HELP = """\
Example:
  anomalake replay --from 2026-07-01 --to 2026-08-01
  anomalake replay --quarantine

Result:
  For each metric set, the number of alerts in the archive, and of objects written and unchanged. The exit status is 1
  where something could not be rebuilt, or is still in quarantine.

A raised `version` gets its new folder filled, another --format replaces the previous format, and damaged objects are
rebuilt. An alert stays in the metric set that it was stored under. Rows of events that the archive does not have are
kept. No notification is sent, and alerts may arrive meanwhile."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_lake_or_bucket(parser)
    add_metric_set(parser)
    add_format(parser)
    parser.add_argument(
        "--table",
        action="append",
        choices=tuple(GLUE_TABLE_NAMES),
        help="rebuild this table only; repeat the option for several tables (default: all tables)",
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=parse_utc_time,
        metavar="TIME",
        help="rebuild intervals that start at this time or later: 2026-07-01 or 2026-07-01T11:00, in UTC",
    )
    parser.add_argument(
        "--to",
        dest="end",
        type=parse_utc_time,
        metavar="TIME",
        help="rebuild intervals that start before this time",
    )
    parser.add_argument(
        "--jobs",
        type=parse_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="the number of parallel processes (default: %(default)s)",
    )
    parser.add_argument(
        "--re-route",
        action="store_true",
        help="move alerts to the metric sets that `alerts.detectors` routes them to today",
    )
    parser.add_argument("--exact", action="store_true", help="delete the rows of events that the archive does not have")
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="process the messages in quarantine again, for example after a metric set was fixed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Rebuild the tables, or retry the messages in quarantine."""
    from anomalake.lake import replay

    _check_options(arguments)
    path = metric_set_path(arguments)
    job = _make_job(arguments, path)
    if arguments.quarantine:
        return _retry_quarantine(job, arguments.jobs)
    findings = sum(_rebuild_metric_set(job._replace(metric_set=metric_set), arguments.jobs) for metric_set in job.sets)
    if path.is_dir() and (others := replay.list_other_names(job)):
        print_warning(
            f"the archive also has alerts of {', '.join(others)}, and no metric set here has that name; "
            "these alerts stay"
        )
    return 1 if findings else 0


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise `UsageError` for options that do not go together, `UserError` for a lake that does not exist."""
    rebuild_options = (arguments.table, arguments.start, arguments.end, arguments.re_route, arguments.exact)
    if arguments.quarantine and any(rebuild_options):
        raise UsageError(
            "--quarantine routes messages by today's metric sets; "
            "combine it with --lake, --metric-set, --format and --jobs only"
        )
    if arguments.re_route and arguments.table:
        raise UsageError("--re-route moves alerts in all their tables; omit --table")
    if "://" not in arguments.lake and not Path(arguments.lake).is_dir():
        raise UserError(f"{arguments.lake}: there is no lake in this folder; check --lake")


def _make_job(arguments: argparse.Namespace, path: Path) -> "ReplayJob":
    """Return the job that the options describe, for the first of the metric sets."""
    from anomalake.lake import replay_job
    from anomalake.lake.credentials import open_lake

    metric_sets = load_metric_sets(path)
    table_format: Format = arguments.format or detect_format(open_lake(arguments.lake), metric_sets) or default_format()
    job = replay_job.ReplayJob(
        arguments.lake, metric_sets, metric_sets[0], table_format, reroute=arguments.re_route, exact=arguments.exact
    )
    start, end = max(arguments.start or job.start, job.start), min(arguments.end or job.end, job.end)
    if not start < end:
        raise UsageError(f"--from {start:%Y-%m-%dT%H:%M} must be before --to {end:%Y-%m-%dT%H:%M}")
    return job._replace(start=start, end=end, tables=tuple(arguments.table or job.tables))


def _run_with_progress(
    name: str,
    work: "Callable[[ReplayJob, Piece], ReplayResult]",
    job: "ReplayJob",
    pieces: Sequence[Piece],
    *,
    unit: str,
    processes: int,
) -> "ReplayResult":
    """Run the work on every piece in parallel processes, with a progress bar; the sum of the results."""
    from tqdm import tqdm

    from anomalake.lake import replay, replay_job

    total = replay_job.ReplayResult()
    results = replay.run_in_processes(work, job, pieces, processes)
    for result in tqdm(results, desc=name, unit=unit, total=len(pieces), disable=None, leave=False):
        total = total.plus(result)
    return total


def _retry_quarantine(job: "ReplayJob", processes: int) -> int:
    """Process the messages in quarantine again and print the result. Return the exit status."""
    from anomalake.lake import replay

    pieces = replay.list_quarantine(job)
    result = _run_with_progress("quarantine", replay.retry_quarantine, job, pieces, unit=" pieces", processes=processes)
    print_line(
        f"quarantine: {result.deleted:,} messages recognized, {result.alerts:,} alerts stored, "
        f"{result.finding_count:,} messages remain"
    )
    print_findings(
        result.findings, result.finding_count, "messages could still not be processed and stay in quarantine"
    )
    return 1 if result.finding_count else 0


def _rebuild_metric_set(job: "ReplayJob", processes: int) -> int:
    """Rebuild the tables of the job's metric set and print the result; the number of findings."""
    from anomalake.lake import replay, replay_day

    days, metric_set = replay.list_days(job), job.metric_set
    result = _run_with_progress(metric_set.name, replay_day.rebuild_day, job, days, unit=" days", processes=processes)
    moved = f", {result.moved_alerts:,} of them moved to other metric sets" if job.reroute else ""
    print_line(f"{metric_set.path}: {result.alerts:,} alerts in the archive of {len(days):,} days{moved}")
    deleted = f", {result.deleted:,} objects of the other format deleted" if result.deleted else ""
    print_line(f"  {job.table_format}: {result.written:,} objects written, {result.unchanged:,} unchanged{deleted}")
    print_findings(
        result.findings, result.finding_count, f"problems while rebuilding the metric set '{metric_set.name}'"
    )
    print_findings(
        [],
        result.kept_events,
        f"events in tables of '{metric_set.name}' are not in the archive; their rows are kept (--exact deletes them)",
    )
    return result.finding_count
