"""Recognises the timestamps of a table, and normalises them for live data."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from anomalake.cli.tables import time_forms
from anomalake.cli.tables.lake_patterns import find_lake_pattern
from anomalake.cli.tables.table import BadRows, find_bad_rows
from anomalake.cli.tables.time_forms import EPOCH, FORMS, YEAR, Form, Order, Precision
from anomalake.domain import time_patterns

NORMAL_FORMAT = "yyyy-MM-dd HH:mm:ss"  # of normalised timestamps, a Java pattern
SAMPLE_VALUES = 200  # distinct values that decide whether a column may hold timestamps
MAX_TIME_CHARACTERS = 200  # a longer text is no time
MIN_SHARE = 0.5  # of the values that a column of timestamps must be readable in
MAX_OFFSETS = 10
_YEAR_NAME = re.compile(r"year|jahr|^yr$", re.IGNORECASE)
_TIME_NAME = re.compile(r"time|date|day|hour|when|epoch|unix|utc|stamp|created|updated|(^|_)(ts|at|on)$", re.IGNORECASE)
_POSSIBLE_TIME = re.compile(r"(?=.{0,60}\d)(?!\s*[+-]?\d*[.,]?\d*\s*$)|\s*\d{8,19}(\.\d*)?\s*$")
_TIMESTAMP_NAMES = ("timestamp", "time", "datetime", "date", "ts", "day", "hour", "week", "month", "quarter", "year")


class Recognised(NamedTuple):
    """A column of timestamps, or several columns that give one."""

    name: str  # the name of its column in the normalised table
    columns: tuple[str, ...]  # the columns of the table that it is read from
    examples: tuple[str, ...]  # the forms that occur, written for 22 April 2017, most usual first
    orders: tuple[Order, ...]  # of dates such as 01/02/2017: the orders that fit all rows; the first one is used
    precision: Precision  # of the finest value
    is_instant: bool  # the data names UTC offsets (or counts seconds since 1970); the times are in UTC
    offsets: tuple[str, ...]  # the first distinct offsets that the data names, as +01:00
    lake_format: str | None  # the Java pattern, or UNIX, by which the lake reads the text as it is; None: normalise it
    times: "pd.Series[Any]"  # datetimes, without a zone; NaT where there is none
    bad: BadRows  # rows whose timestamp cannot be read
    blank: int  # rows without a timestamp

    @property
    def is_ambiguous(self) -> bool:
        """Whether both orders of day and month fit all rows, so that a person must choose."""
        return len(self.orders) > 1


def recognise_table(rows: pd.DataFrame, order: Order | None = None) -> list[Recognised]:
    """Return the timestamps of a table of text, the one with the most usual name first.

    A date and an hour, or a year and a month, in columns of their own give one timestamp. `order` chooses between day
    and month where both fit.
    """
    columns = [recognise(rows[column], column, order) for column in map(str, rows.columns)]
    found = sorted((one for one in columns if one is not None), key=_rank)
    return [*_combine(rows, found, order), *found]


def _rank(recognised: Recognised) -> tuple[int, int]:
    """Return the place of the first usual name that the column's name contains; then the unreadable rows."""
    name = recognised.name.lower()
    place = next((place for place, usual in enumerate(_TIMESTAMP_NAMES) if usual in name), len(_TIMESTAMP_NAMES))
    return place, recognised.bad.total


class _Reading(NamedTuple):
    """The distinct values of a column as times, one element a value."""

    parsed: time_forms.Parsed
    form: "np.typing.NDArray[np.int64]"  # place in `forms`; -1 where no form fits
    forms: tuple[Form, ...]
    orders: tuple[Order, ...]


def recognise(column: "pd.Series[Any]", name: str, order: Order | None = None) -> Recognised | None:
    """Return the timestamps of a column of text; None if it does not hold timestamps.

    A column holds timestamps if at least half of its values can be read as such. A column of years must be called so.
    """
    codes, distinct = pd.factorize(column)
    values = pa.array(distinct, pa.string())
    forms = _rank_forms(values[:SAMPLE_VALUES], name) if _may_hold_times(values[:SAMPLE_VALUES], name) else ()
    if not forms:
        return None
    weights = np.bincount(codes[codes >= 0], minlength=len(values))
    reading = _read(values, forms, weights, order)
    parsed = reading.parsed
    is_instant = bool(weights @ (parsed.valid & parsed.has_zone) > 0.5 * (weights @ parsed.valid))
    valid = parsed.valid & (parsed.has_zone == is_instant)
    if weights @ valid < MIN_SHARE * weights.sum() or not _is_plausible(reading, valid, name):
        return None
    seconds = np.where(valid, parsed.seconds - parsed.offset, np.iinfo(np.int64).min).astype("datetime64[s]")
    times = pd.Series(np.append(seconds, np.datetime64("NaT"))[codes], index=column.index)
    usual = [place for place, _ in Counter(reading.form[valid].tolist()).most_common()]
    return Recognised(
        name, (name,), tuple(reading.forms[place].example for place in usual), reading.orders,
        _find_precision(reading, valid, seconds), is_instant, _name_offsets(parsed, valid, is_instant),
        _find_lake_format(values, reading, valid), times,
        find_bad_rows(column, times.isna() & column.notna()), int((codes < 0).sum()),
    )  # fmt: skip


def normalise(rows: pd.DataFrame, recognised: Recognised, *, as_seconds: bool = False) -> tuple[pd.DataFrame, BadRows]:
    """Return the table with its timestamps as text in `NORMAL_FORMAT`, and the rows that are left out.

    With `as_seconds`, the text is the number of seconds since 1970 instead.

    The text is the wall clock of the data, or UTC where the data names offsets. Fractions of a second are cut. Rows
    without a readable timestamp are left out; the others keep their row numbers as index.
    """
    readable = recognised.times.notna()
    shown = rows[recognised.columns[0]]
    for name in recognised.columns[1:]:
        shown = shown.str.cat(rows[name], sep=" ", na_rep="")
    bad = find_bad_rows(shown, ~readable)
    instants = recognised.times[readable].to_numpy().astype("datetime64[s]")
    codes, distinct = pd.factorize(instants)
    if as_seconds:
        texts = distinct.astype(np.int64).astype(str)
    else:
        texts = np.char.replace(np.datetime_as_string(distinct, unit="s"), "T", " ") if len(distinct) else distinct
    column = pd.Series(pa.array(texts.astype(object), pa.string()).take(pa.array(codes)), dtype="str")
    column.index = rows.index[readable]
    place = list(rows.columns).index(recognised.columns[0])
    others = rows.loc[readable].drop(columns=list(recognised.columns))
    others.insert(min(place, len(others.columns)), recognised.name, column)
    return others, bad


def _may_hold_times(sample: "pa.Array", name: str) -> bool:
    """Return whether half of the values may be times: text with digits, or whole numbers of eight digits and more."""
    if _YEAR_NAME.search(name):
        return True
    possible = sum(
        len(text) <= MAX_TIME_CHARACTERS and _POSSIBLE_TIME.match(text) is not None for text in sample.to_pylist()
    )
    return possible >= MIN_SHARE * len(sample) > 0


def _is_plausible(reading: _Reading, valid: time_forms.Flags, name: str) -> bool:
    """Return whether numbers of seconds are times: the column is called so, or all are of the years 2001 to 2030."""
    if EPOCH not in {reading.forms[place] for place in set(reading.form[valid].tolist())} or _TIME_NAME.search(name):
        return True
    seconds = reading.parsed.seconds
    return bool(valid.all() and (seconds >= 1_000_000_000).all() and (seconds < 1_900_000_000).all())


def _rank_forms(sample: "pa.Array", name: str) -> tuple[Form, ...]:
    """Return the forms of the sample's values, most usual first; none if fewer than half of the values have a form."""
    forms = (*FORMS, EPOCH, YEAR) if _YEAR_NAME.search(name) else (*FORMS, EPOCH)
    counts = {}
    left = np.ones(len(sample), np.bool_)
    for place, form in enumerate(forms):
        valid, _ = _parse_in_orders(time_forms.match(sample, form), form)
        counts[place] = int(valid.sum())
        left &= ~valid
    ranked = sorted((place for place in counts if counts[place]), key=lambda place: (-counts[place], place))
    return tuple(forms[place] for place in ranked) if left.mean() <= 1 - MIN_SHARE else ()


def _parse_in_orders(fields: time_forms.Fields, form: Form) -> tuple[time_forms.Flags, dict[Order, time_forms.Parsed]]:
    orders: tuple[Order, ...] = ("day-first", "month-first") if "left" in fields.groups else ("day-first",)
    parsed = {order: time_forms.parse(fields, form, order) for order in orders}
    return np.logical_or.reduce([one.valid for one in parsed.values()]), parsed


def _read(
    values: "pa.Array", forms: Sequence[Form], weights: "np.typing.NDArray[np.int64]", order: Order | None
) -> _Reading:
    """Read each value in the first form that fits."""
    count = len(values)
    result = time_forms.Parsed(
        np.zeros(count, np.bool_), np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_),
        np.zeros(count, np.int64),
    )  # fmt: skip
    form_places = np.full(count, -1)
    orders: tuple[Order, ...] = ()
    for place, form in enumerate(forms):
        left = np.flatnonzero(~result.valid)
        if not len(left):
            break
        fields = time_forms.match(values.take(pa.array(left)), form)
        _, by_order = _parse_in_orders(fields, form)
        found: tuple[Order, ...] = ("day-first",)
        if len(by_order) > 1:
            found = orders = _choose_orders(fields, by_order, weights[left], order)
        parsed = by_order[found[0]]
        taken = left[parsed.valid]
        for target, source in zip(result, parsed, strict=True):
            target[taken] = source[parsed.valid]
        form_places[taken] = place
    return _Reading(result, form_places, tuple(forms), orders)


def _choose_orders(
    fields: time_forms.Fields,
    by_order: dict[Order, time_forms.Parsed],
    weights: "np.typing.NDArray[np.int64]",
    order: Order | None,
) -> tuple[Order, ...]:
    """Return the orders of day and month that fit most rows; the more likely one first.

    Dates with dots have the day first. Where both orders fit and the first numbers take ten values or more, but are
    never greater than 12, while the second ones take one or two values, the month is first (monthly data).
    """
    day_first, month_first = by_order["day-first"], by_order["month-first"]
    counts = weights @ day_first.valid, weights @ month_first.valid
    if counts[0] != counts[1]:
        return ("day-first",) if counts[0] > counts[1] else ("month-first",)
    if (day_first.seconds == month_first.seconds)[day_first.valid].all():
        return ("day-first",)
    if order is not None:
        return (order,)
    if set(np.asarray(fields.groups["mark"])[day_first.valid]) == {"."}:
        return ("day-first",)
    left, right = (len(np.unique(fields.number(side)[day_first.valid])) for side in ("left", "right"))
    return ("month-first", "day-first") if left >= 10 and right <= 2 else ("day-first", "month-first")


def _find_precision(reading: _Reading, valid: time_forms.Flags, seconds: "np.typing.NDArray[Any]") -> Precision:
    """Return the finest precision of the values; times that are all midnight are days."""
    if bool((seconds[valid].astype(np.int64) % 86_400).any()):
        return "time"
    used = {reading.forms[place].precision for place in set(reading.form[valid].tolist())}
    scale: tuple[Precision, ...] = ("time", "day", "week", "month", "quarter", "year")
    return next((precision for precision in scale if precision in used and precision != "time"), "day")


def _name_offsets(parsed: time_forms.Parsed, valid: time_forms.Flags, is_instant: bool) -> tuple[str, ...]:
    if not is_instant:
        return ()
    offsets = sorted(set(parsed.offset[valid].tolist()))[:MAX_OFFSETS]
    return tuple(
        f"{'-' if offset < 0 else '+'}{abs(offset) // 3600:02}:{abs(offset) % 3600 // 60:02}" for offset in offsets
    )


def _find_lake_format(values: "pa.Array", reading: _Reading, valid: time_forms.Flags) -> str | None:
    """Return the pattern by which the lake reads all readable values as they are."""
    places = set(reading.form[valid].tolist())
    if len(places) != 1:
        return None
    form = reading.forms[places.pop()]
    readable = values.filter(pa.array(valid))
    if form is EPOCH:
        return time_patterns.UNIX if max(map(len, _epoch_digits(readable))) <= 14 else None
    return find_lake_pattern(readable, form, reading.orders[0] if reading.orders else "day-first")


def _epoch_digits(values: "pa.Array") -> list[str]:
    return [text.partition(".")[0].strip() for text in values.to_pylist()]


_COMPONENTS = (
    r"year|yr|yyyy|jahr", r"month|mon|mm|monat", r"day|dd|mday|day_?of_?month|tag", r"hour|hr|hh|stunde", r"minute|min",
)  # fmt: skip
_HOUR_COLUMN = re.compile(r"(.*_)?(hour|hr|hours|time|stunde|uhrzeit)", re.IGNORECASE)
_HOUR_TEXT = r"\s*\d{1,2}(?:\.0)?\s*"
_CLOCK_TEXT = r"\s*\d{1,2}(?::\d\d){0,2}(?:\.\d+)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*"


def _combine(rows: pd.DataFrame, found: list[Recognised], order: Order | None) -> list[Recognised]:
    """Return timestamps whose parts are in several columns.

    They are a date and a column with the hour or the time of day; or a year, a month, and finer parts. The second kind
    counts only if no other column has timestamps.
    """
    single = next((one for one in found if one.precision == "day" and not one.is_instant), None)
    if single is not None and single is found[0]:
        for column in map(str, rows.columns):
            if column != single.name and _HOUR_COLUMN.fullmatch(column) and _is_clock(rows[column]):
                columns = (single.name, column)
                return _recognise_parts(columns, rows[single.name] + " " + _to_clock(rows[column]), rows, order)
    parts = _find_components(rows)
    if len(parts) < 2 or any(not set(one.columns) <= set(parts) for one in found):
        return []
    text = rows[parts[0]].str.removesuffix(".0")
    for part, separator in zip(parts[1:], ("-", "-", " ", ":"), strict=False):
        text = text + separator + rows[part].str.strip().str.removesuffix(".0").str.zfill(2)
    return _recognise_parts(parts, text + ":00" if len(parts) == 4 else text, rows, order)


def _find_components(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of year, month, day, hour and minute, in this order, up to the first that is missing."""
    parts = []
    for pattern in _COMPONENTS:
        match = next((name for name in map(str, rows.columns) if re.fullmatch(pattern, name, re.IGNORECASE)), None)
        if match is None:
            break
        parts.append(match)
    return tuple(parts)


def _recognise_parts(
    columns: tuple[str, ...], text: "pd.Series[Any]", rows: pd.DataFrame, order: Order | None
) -> list[Recognised]:
    name = "_".join(columns)[:60]
    recognised = recognise(text, name if name not in rows.columns else f"{name}_at", order)
    return [recognised._replace(columns=columns, lake_format=None)] if recognised else []


def _is_clock(column: "pd.Series[Any]") -> bool:
    values = column.dropna()
    return bool(len(values)) and bool(values.str.fullmatch(_CLOCK_TEXT).mean() > MIN_SHARE)


def _to_clock(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return times of day: a plain hour gets minutes."""
    is_hour = column.str.fullmatch(_HOUR_TEXT).fillna(False)
    return column.where(~is_hour, column.str.strip().str.removesuffix(".0") + ":00")
