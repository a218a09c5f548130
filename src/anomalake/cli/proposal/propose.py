"""Proposes a metric set for a table of text, with notes on what to check, and a preview."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from anomalake.cli.proposal import columns as column_roles
from anomalake.cli.proposal import dimensions, document, long_form, measures, times
from anomalake.cli.proposal.columns import Column
from anomalake.cli.proposal.dimensions import Contents, Dimensions
from anomalake.cli.proposal.document import Proposal, to_yaml
from anomalake.cli.proposal.frequency import Step, find_step, number_intervals
from anomalake.cli.proposal.long_form import LongForm
from anomalake.cli.proposal.measures import Measures
from anomalake.cli.proposal.preview import Preview, total_by_interval
from anomalake.cli.tables.numbers import Decimal, recognise_numbers
from anomalake.cli.tables.table import Table
from anomalake.cli.tables.timestamps import Recognised
from anomalake.domain import intervals
from anomalake.domain.errors import UserError
from anomalake.domain.names import GENERATED_COLUMNS

FEW_INTERVALS = 28


class Choices(NamedTuple):
    """What the user chose; None where the data decides, or the default holds."""

    timezone: str | None = None
    frequency: str | None = None
    decimal: Decimal | None = None  # the mark of numbers such as 1,234


NO_CHOICES = Choices()


class Proposed(NamedTuple):
    """A proposal and its preview."""

    proposal: Proposal
    preview: Preview


class _Subject(NamedTuple):
    """The rows of a table that have a time, in order of time."""

    rows: pd.DataFrame
    walls: Any  # numpy datetimes
    notes: tuple[str, ...]


def propose(table: Table, name: str, found: Sequence[Recognised], choices: Choices = NO_CHOICES) -> Proposed:
    """Return a metric set for a table of text. `found` are its timestamps (`times.find_times`).

    Raises `UserError` where no measure can be proposed.
    """
    used = found[0]
    zone = choices.timezone or "UTC"
    subject = _prepare(table.rows, found, choices)
    step = find_step(subject.walls, choices.frequency)
    rows = subject.rows.drop(columns=list(used.columns))
    other_times = [one.name for one in found[1:] if one.name in rows.columns]
    roles = column_roles.describe_columns(rows, other_times, choices.decimal)
    form = long_form.find_long_form(rows, roles)
    notes = [*table.notes, *subject.notes, step.note]
    walls = subject.walls
    if form is not None:
        wide = long_form.to_wide(rows.assign(**{used.name: walls}), form)
        notes.append(_describe_long_form(form))
        walls = wide.rows[used.name].to_numpy().astype("datetime64[s]")
        rows = wide.rows.drop(columns=used.name)
        roles = column_roles.describe_columns(rows, other_times, choices.decimal)
    parts = _choose(rows, roles, walls, step, (name, used.name))
    _check(parts, step, roles)
    notes += [f"columns: '{column.name}' is left out: {column.note}" for column in roles if column.role == "unused"]
    notes += [*parts.dimensions.notes, *_column_notes(roles), *parts.measures.notes]
    order = _order_columns(table.rows, used, rows)
    names = _name_columns(name, parts, notes)
    notes += _last_notes(parts, step)
    head = {
        "name": name,
        "version": 1,
        "frequency": step.fit.frequency,
        "timezone": zone,
        "timestamp": {"column": used.name, "format": times.choose_format(used, zone)},
    }
    texts = head | _to_document(name, step, parts, names, order)
    preview = _preview(len(table.rows), walls, step, parts, rows)
    return Proposed(Proposal(to_yaml(texts), tuple(notes)), preview)


def _order_columns(original: pd.DataFrame, used: Recognised, rows: pd.DataFrame) -> list[str]:
    """Return the columns of the live data, in the order of the table; those of a wide form at the end."""
    place = min(list(original.columns).index(column) for column in used.columns)
    before = [str(name) for name in original.columns[:place] if name in rows.columns]
    return [*before, used.name, *(str(name) for name in rows.columns if name not in before)]


class _Parts(NamedTuple):
    contents: Contents
    dimensions: Dimensions
    measures: Measures
    interval: Any


def _prepare(rows: pd.DataFrame, found: Sequence[Recognised], choices: Choices) -> _Subject:
    described = times.describe_times(found, choices.timezone)
    zone = choices.timezone or "UTC"
    usable = described.is_usable.to_numpy()
    walls = times.to_walls(found[0].times[usable], zone, is_instant=found[0].is_instant)
    order = np.argsort(walls, kind="stable")
    return _Subject(rows[usable].iloc[order].reset_index(drop=True), walls[order], described.notes)


def _choose(rows: pd.DataFrame, roles: list[Column], walls: Any, step: Step, table_names: tuple[str, str]) -> _Parts:
    codes = dimensions.encode(rows, roles)
    instants = pd.factorize(walls)[0].astype(np.int64)
    contents = dimensions.find_contents(roles, codes, instants, step)
    interval = number_intervals(walls, step.fit.frequency)
    chosen = dimensions.choose_dimensions(roles, codes, contents, step.fit.intervals)
    if not codes:
        chosen = chosen._replace(series=np.zeros(len(rows), np.int64))
    numbers = [column for column in roles if column.role == "number"]
    ids = [column.name for column in roles if column.role != "number" and column.distinct > 1]
    found = measures.choose_measures(
        numbers, ids, measures.Rows(chosen.series, interval, contents.is_events), table_names
    )
    return _Parts(contents, chosen, found, interval)


def _check(parts: _Parts, step: Step, roles: Sequence[Column]) -> None:
    """Raise `UserError` where the data cannot be watched."""
    if not parts.measures.measures:
        reasons = "; ".join(f"'{column.name}': {column.note}" for column in roles if column.note)
        raise UserError(f"no column holds numbers to watch, and a metric set requires a measure ({reasons})")
    usual = step.usual_seconds
    longest = intervals.INTERVAL_LENGTHS["P1M"].total_seconds()
    if not parts.contents.is_events and usual > longest and step.fit.completeness < 0.5:
        raise UserError(
            f"rows are usually {usual / 86_400:,.0f} days apart, and the longest interval of a metric set is a month; "
            "use data with a row at least every month"
        )


def _column_notes(roles: Sequence[Column]) -> list[str]:
    return [f"columns: '{column.name}': {column.note}" for column in roles if column.role == "number" and column.note]


def _describe_long_form(form: LongForm) -> str:
    return (
        f"long form: each name in '{form.name_column}' becomes a measure, because the names have different scales or "
        f"aggregations ({', '.join(form.names.values())}); `backtest --data` reads the same file and writes a column "
        "for each name"
    )


def _to_document(name: str, step: Step, parts: _Parts, names: dict[str, str], columns: list[str]) -> dict[str, Any]:
    """Return the fields of a metric set that follow its time."""
    return {
        "missing": "zero" if parts.contents.is_events else "unknown",
        "dimensions": [_dimension_record(one, names[one.column]) for one in parts.dimensions.dimensions],
        "measures": [_measure_record(measure, names) for measure in parts.measures.measures],
        "source": {
            "path": f"{name}/live/{document.choose_folder(step.fit.frequency)}",
            "format": "csv",
            "columns": columns,
        },
        "alerts": {"sensitivity": 50} | ({"missingData": False} if step.is_working_days else {}),
    }


def _last_notes(parts: _Parts, step: Step) -> list[str]:
    missing = (
        "missing: zero; no row means that nothing happened, so a series without rows counts as zero"
        if parts.contents.is_events
        else "missing: unknown; an interval without a row is not measured; use zero if it means that nothing happened"
    )
    if step.fit.intervals >= FEW_INTERVALS:
        return [missing]
    short = (
        f"history: the data has {step.fit.intervals} intervals of {step.fit.frequency}; the detector scores a series "
        "after it has learned it, so few or none of them get a score"
    )
    return [missing, short]


def _dimension_record(dimension: dimensions.Dimension, name: str) -> str | dict[str, Any]:
    column = dimension.column if dimension.column != name else None
    return _without_none(name=name, column=column, top=dimension.top) if column or dimension.top else name


def _measure_record(measure: measures.Measure, names: dict[str, str]) -> dict[str, Any]:
    name = names.get(measure.name, measure.name)
    return _without_none(
        name=name,
        aggregation=measure.aggregation,
        column=measure.column if measure.column != name else None,
        numerator=names.get(measure.numerator, measure.numerator) if measure.numerator else None,
        denominator=names.get(measure.denominator, measure.denominator) if measure.denominator else None,
    )


def _name_columns(name: str, parts: _Parts, notes: list[str]) -> dict[str, str]:
    """Return the name of each dimension and measure; a column with the name of a generated column gets another one."""
    used = [*(one.column for one in parts.dimensions.dimensions), *(one.name for one in parts.measures.measures)]
    names: dict[str, str] = {}
    for column in used:
        new = f"{name}_{column}"[:63] if column.lower() in GENERATED_COLUMNS else column
        while new.lower() in {other.lower() for other in names.values()}:
            new += "_2"
        names[column] = new
        if new != column:
            notes.append(f"columns: the column '{column}' is called '{new}', as the tables have a column of its name")
    return names


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _preview(row_count: int, walls: Any, step: Step, parts: _Parts, rows: pd.DataFrame) -> Preview:
    cells = dimensions.combine([parts.dimensions.series, pd.factorize(parts.interval)[0].astype(np.int64)], len(walls))
    first = parts.measures.measures[0]
    values = (
        recognise_numbers(rows[first.column]).values.to_numpy()
        if first.column and first.aggregation not in ("COUNT", "COUNT_DISTINCT")
        else None
    )
    return Preview(
        row_count, len(walls), walls.min(), walls.max(), step, parts.dimensions.series_count, int(cells.max()) + 1,
        tuple(one.column for one in parts.dimensions.dimensions), len(parts.measures.measures), first.name,
        total_by_interval(values, parts.interval, mean=first.aggregation in ("AVG", "MAX")),
    )  # fmt: skip
