"""Chooses the measures: counts of rows, columns of numbers with their aggregation, and ratios of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomalake.cli.proposal.aggregation import Choice, choose_aggregation
from anomalake.cli.proposal.columns import Column, split_name
from anomalake.domain.metric_set import MAX_MEASURES

# Words of a table's or a column's name, and what its rows are called.
_ROW_NAMES = {
    "order": "orders", "trip": "trips", "ride": "rides", "flight": "flights", "payment": "payments",
    "transaction": "transactions", "invoice": "invoices", "booking": "bookings", "ticket": "tickets",
    "visit": "visits", "session": "sessions", "incident": "incidents", "call": "calls", "commit": "commits",
    "event": "events", "request": "requests", "log": "events", "error": "errors", "crime": "crimes", "death": "deaths",
}  # fmt: skip
_WHO_WORDS = ("customer", "user", "session", "visitor", "account", "device", "client", "host", "member")
# Names of a numerator and of its denominators, and the name of the ratio.
_RATIOS = (
    (("clicks",), ("impressions", "views", "pageviews"), "click_rate"),
    (("conversions", "purchases", "orders", "bookings"), ("visits", "sessions", "visitors"), "conversion_rate"),
    (("errors", "failures", "failed"), ("requests", "calls", "total"), "error_rate"),
    (("revenue", "sales", "turnover", "umsatz"), ("orders",), "average_order"),
)  # fmt: skip
CORRELATED = 0.9999  # of the values of two columns, from which the second adds nothing


class Measure(NamedTuple):
    """A proposed measure, before it has a valid name."""

    name: str
    aggregation: str
    column: str | None = None
    numerator: str | None = None
    denominator: str | None = None


class Measures(NamedTuple):
    """The proposed measures, and one line of reason for each."""

    measures: tuple[Measure, ...]
    notes: tuple[str, ...]


class Rows(NamedTuple):
    """The rows that measures are chosen for, in order of time."""

    series: "npt.NDArray[np.int64]"
    interval: "npt.NDArray[np.int64]"
    is_events: bool


def choose_measures(
    columns: Sequence[Column], distinct_columns: Sequence[str], rows: Rows, table_names: tuple[str, str]
) -> Measures:
    """Return the measures of the columns of numbers; a table of events also counts its rows.

    `columns` are those of numbers. `distinct_columns` can be counted distinctly. `table_names` are the names of the
    table and of its column of times.
    """
    chosen: list[tuple[Measure, str, float]] = []  # with the reason, and the rank (less is better)
    names = [column.name for column in columns]
    if rows.is_events:
        count = name_rows(*table_names, [*names, *distinct_columns])
        reason = "each row is an event" if not columns else "each row is a transaction or an event"
        chosen.append((Measure(count, "COUNT"), f"{reason}, and COUNT counts them", -2))
    earlier: list[npt.NDArray[np.float64]] = []
    for column in columns:
        for measure, choice in _measure_column(column, rows):
            values = _values(column)
            repeats = any(_is_same(values, other) for other in earlier)
            reason = choice.reason + ("; it repeats another column" if repeats else "")
            chosen.append(
                (measure, reason, 2.0 * repeats + (0 if choice.is_named else 0.5) + float(np.isnan(values).mean()))
            )
            earlier.append(values)
    if rows.is_events:
        chosen += [
            (Measure(name, "COUNT_DISTINCT", column), f"'{column}' is an id, and its distinct values are counted", 1.0)
            for name, column in _name_distinct(distinct_columns, names)
        ]
    chosen += _ratios([measure for measure, _, _ in chosen], columns, rows)
    return _keep_best(chosen)


def name_rows(table_name: str, time_name: str, columns: Iterable[str]) -> str:
    """Return what the rows of a table are called: orders, trips, or `rows`; never the name of a column.

    The name of the table decides, then the name of the column of times (`order_date`), then the other columns.
    """
    taken = {name.lower() for name in columns}
    words = [word for name in (table_name, time_name, *columns) for word in split_name(name)]
    if words and len(split_name(table_name)) == 1 and table_name.endswith("s") and table_name.lower() not in taken:
        return table_name
    for word in words:
        found = _ROW_NAMES.get(word) or (word if word in _ROW_NAMES.values() else None)
        if found and found not in taken:
            return found
    return "rows" if "rows" not in taken else "row_count"


def _measure_column(column: Column, rows: Rows) -> Iterable[tuple[Measure, Choice]]:
    numbers = column.numbers
    assert numbers is not None  # a column of numbers
    choice = choose_aggregation(column.name, _values(column), rows.series, rows.interval, is_percent=numbers.is_percent)
    if rows.is_events and _is_flag(column):
        choice = Choice("SUM", "it is 1 for some rows, and SUM counts these", is_named=True)
    yield Measure(column.name, choice.aggregation, column.name), choice


def _values(column: Column) -> "npt.NDArray[np.float64]":
    assert column.numbers is not None  # a column of numbers
    return np.asarray(column.numbers.values, np.float64)


def _is_flag(column: Column) -> bool:
    return column.distinct == 2 and set(np.unique(_values(column)[~np.isnan(_values(column))])) == {0.0, 1.0}


def _is_same(values: "npt.NDArray[np.float64]", other: "npt.NDArray[np.float64]") -> bool:
    both = ~np.isnan(values) & ~np.isnan(other)
    left, right = values[both], other[both]
    return bool(len(left) > 10 and left.std() and right.std() and np.corrcoef(left, right)[0, 1] >= CORRELATED)


def _name_distinct(columns: Sequence[str], taken: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield the name of a count of distinct customers, users and so on, and the column of their ids."""
    for column in columns:
        words = split_name(column)
        who = next((word for word in _WHO_WORDS if word in words), None)
        if who and words[-1] in ("id", "ids", "uuid", "guid", "no", "number") and f"{who}s" not in taken:
            yield f"{who}s", column


def _ratios(measures: Sequence[Measure], columns: Sequence[Column], rows: Rows) -> list[tuple[Measure, str, float]]:
    """Return the ratios that names make obvious, and the share of the rows of events that have a flag."""
    found: list[tuple[Measure, str, float]] = []
    additive = {measure.name.lower(): measure.name for measure in measures if measure.aggregation in ("SUM", "COUNT")}
    for numerators, denominators, name in _RATIOS:
        top = next((additive[word] for word in numerators if word in additive), None)
        bottom = next((additive[word] for word in denominators if word in additive), None)
        if top and bottom and name not in additive:
            reason = f"{top} of {bottom}; 1 of 2 is chance where 100 of 200 is not"
            found.append((Measure(name, "RATIO", None, top, bottom), reason, 0.2))
    counted = next((measure.name for measure in measures if measure.aggregation == "COUNT"), None)
    if rows.is_events and counted:
        for column in columns:
            words = [word for word in split_name(column.name) if word not in ("is", "has", "was")]
            if _is_flag(column) and words:
                share = Measure(f"{'_'.join(words)}_rate", "RATIO", None, column.name, counted)
                found.append((share, f"the share of {counted} with '{column.name}'", 0.3))
    return found


def _keep_best(chosen: list[tuple[Measure, str, float]]) -> Measures:
    """Return the measures of the lowest ranks, in their order; a ratio only with the two that it divides."""
    places = sorted(range(len(chosen)), key=lambda place: (chosen[place][2], place))
    kept = set(places[:MAX_MEASURES])
    names = {chosen[place][0].name for place in kept}
    kept -= {
        place
        for place in kept
        if (ratio := chosen[place][0]).numerator and {ratio.numerator, ratio.denominator} - names
    }
    notes = [f"measures: {_describe(chosen[place][0])}: {chosen[place][1]}" for place in sorted(kept)]
    left_out = [chosen[place][0].name for place in range(len(chosen)) if place not in kept]
    if left_out:
        notes.append(
            f"measures: found {len(chosen)} measures; a metric set can have {MAX_MEASURES}. "
            f"Left out: {', '.join(left_out)}"
        )
    return Measures(tuple(chosen[place][0] for place in sorted(kept)), tuple(notes))


def _describe(measure: Measure) -> str:
    return f"{measure.name} {measure.aggregation}"
