"""Proposes a metric set for the data of a user: reads it, asks what it cannot know, and shows a preview."""

import argparse
import json
import shlex
from pathlib import Path
from typing import NamedTuple, get_args

from anomalake.cli.options import reading_options
from anomalake.cli.proposal import frequency, preview, propose, times
from anomalake.cli.proposal.document import describe_length
from anomalake.cli.proposal.propose import Choices, Proposed
from anomalake.cli.questions import ask, ask_choice, can_ask
from anomalake.cli.tables import read
from anomalake.cli.tables.live_rows import ReadingOptions
from anomalake.cli.tables.table import Table
from anomalake.cli.tables.time_forms import Order
from anomalake.cli.tables.timestamps import Recognised
from anomalake.cli.terminal import print_line
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.errors import UsageError
from anomalake.domain.names import to_metric_set_name

_PROBE = """
name: probe
frequency: P1D
timezone: {zone}
timestamp: {{column: t, format: yyyy-MM-dd}}
dimensions: []
measures: [{{name: m, aggregation: SUM}}]
"""
_COMPRESSIONS = (".gz", ".zip", ".bz2", ".xz", ".zst")


class ProposedFile(NamedTuple):
    """A proposal, the table that it is for, and how to read the same data again."""

    proposed: Proposed
    table: Table
    reading: ReadingOptions


def propose_for_file(arguments: argparse.Namespace) -> ProposedFile:
    """Return the proposal for the data that `arguments.file` names. On a terminal, it asks unless `--yes` is given."""
    reading = reading_options(arguments)
    table = read.read(arguments.file, reading.table)
    asks = can_ask() and not arguments.yes
    if arguments.timezone is not None:
        _check_zone(arguments.timezone)
    if arguments.frequency is not None:
        _check_frequency(arguments.frequency)
    found = times.find_times(table.rows, reading.order)
    if asks and found[0].is_ambiguous:
        reading = reading._replace(order=_ask_order(found[0]))
        found = times.find_times(table.rows, reading.order)
    zone = arguments.timezone or (_ask_zone(found[0]) if asks and found[0].precision == "time" else None)
    step = arguments.frequency or (_ask_frequency(found[0], zone) if asks else None)
    name = name_metric_set(arguments)
    return ProposedFile(propose.propose(table, name, found, Choices(zone, step, reading.decimal)), table, reading)


def name_metric_set(arguments: argparse.Namespace) -> str:
    """Return `--name`, else a name made from that of the file without its suffixes: data/Sales.csv.gz -> sales."""
    path = Path(arguments.file.rstrip("/"))
    while path.suffix in _COMPRESSIONS:
        path = path.with_suffix("")
    return arguments.name or to_metric_set_name("data" if arguments.file == "-" else path.stem)


def describe_reading(reading: ReadingOptions) -> str:
    """Return the options with which `backtest --data` reads the data as the proposal did; each begins with a space."""
    marks = {",": "comma", ".": "point", None: None}
    options = {"table": reading.table, "date-order": reading.order, "decimal-mark": marks[reading.decimal]}
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in options.items() if value is not None)


def print_preview(proposed: Proposed) -> None:
    """Print what the proposal makes of the data; on a terminal with a chart of the first measure."""
    print_line(preview.describe_preview(proposed.preview))
    if can_ask() and (chart := preview.draw_chart(proposed.preview)):
        print_line(f"\n{chart}")
    print_line("")


def _check_zone(zone: str) -> None:
    metric_set_yaml.parse(_PROBE.format(zone=json.dumps(zone)), "--timezone")


def _check_frequency(step: str) -> None:
    if step not in intervals.INTERVAL_LENGTHS:
        examples = ", ".join(intervals.COMMON_FREQUENCIES)
        raise UsageError(f"--frequency: '{step}' must be a step that divides a day, or P1D, P1W or P1M; {examples}")


def _ask_order(found: Recognised) -> Order:
    question = f"The dates in '{found.name}' can be read in two ways; is the first number the day or the month?"
    choices = {order: "22/04/2017" if order == "day-first" else "04/22/2017" for order in get_args(Order)}
    return "day-first" if ask_choice(question, choices, found.orders[0]) == "day-first" else "month-first"


def _ask_zone(found: Recognised) -> str:
    question = (
        "Which time zone do days begin in? An IANA name such as Europe/Berlin"
        if found.is_instant
        else f"Which time zone are the times in '{found.name}' in? An IANA name such as Europe/Berlin"
    )
    return ask(question, "UTC", _check_zone)


def _ask_frequency(found: Recognised, zone: str | None) -> str | None:
    """Return the step that the user chooses, if several fit and rows are aggregated anyway; else None."""
    known = found.times.dropna()
    step = frequency.find_step(times.to_walls(known, zone or "UTC", is_instant=found.is_instant))
    if not step.is_finer or not step.coarser:
        return None
    choices = {
        fit.frequency: f"{describe_length(fit.frequency)}; {100 * fit.completeness:.0f} % of intervals have data"
        for fit in (step.fit, *step.coarser)
    }
    return ask_choice("Rows are added up in intervals. How long is an interval?", choices, step.fit.frequency)
