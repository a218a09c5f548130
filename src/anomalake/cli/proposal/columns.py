"""What the columns of a table hold: numbers to watch, texts to group by, or neither, with the reason."""

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import pandas as pd

from anomalake.cli.tables.numbers import Decimal, Numbers, recognise_numbers

Role = Literal["number", "text", "unused"]

MIN_NUMBER_SHARE = 0.8  # of the values of a column of numbers
UNIQUE_SHARE = 0.9  # of rows with a value of their own, from which a column is an id or free text
MAX_CODE_VALUES = 1_000  # distinct values of a column of numeric codes that is a dimension
MAX_LABEL_CHARACTERS = 60  # the mean length of texts that can be values of a dimension

_CODE_WORDS = frozenset(
    "id ids code codes zip zipcode postal postcode plz store region fips uuid guid sku phone ssn isbn ean".split()
)
_COORDINATE_WORDS = frozenset("lat latitude lon lng long longitude easting northing coordinate coordinates".split())
NO_TIME_WORDS = _CODE_WORDS | _COORDINATE_WORDS  # of columns whose large numbers are no times
_CALENDAR_WORDS = frozenset(
    "year yr month mon day weekday dow doy week hour minute second quarter date decade jahr monat tag".split()
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PERSON_WORDS = frozenset("age alter birthyear yob".split())


class Column(NamedTuple):
    """A column of a table, and how a metric set can use it."""

    name: str
    role: Role
    distinct: int  # values, without null
    numbers: Numbers | None = None  # of a column of numbers
    note: str = ""  # why it is unused, or what is doubtful


def split_name(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case: `unitPrice_USD` -> (unit, price, usd)."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])", " ", name)
    return tuple(word.lower() for word in re.findall(r"[^\W_]+", spaced))


def describe_columns(rows: pd.DataFrame, other_times: Iterable[str], decimal: Decimal | None = None) -> list[Column]:
    """Return what each column of a table of text holds; `other_times` are columns of timestamps that are not used."""
    times = set(other_times)
    return [
        Column(name, "unused", 0, None, "it holds timestamps too")
        if name in times
        else _describe_column(name, rows[name], decimal)
        for name in map(str, rows.columns)
    ]


def _describe_column(name: str, column: "pd.Series[Any]", decimal: Decimal | None) -> Column:
    filled = column.dropna()
    distinct = int(filled.nunique())
    if not distinct:
        return Column(name, "unused", 0, None, "it is empty")
    if distinct == 1 and len(column) > 1 and len(filled) == len(column):
        return Column(name, "unused", 1, None, f"it is constant ('{_shorten(str(filled.iloc[0]))}')")
    numbers = recognise_numbers(column, decimal)
    if numbers.share >= MIN_NUMBER_SHARE:
        return _describe_numbers(name, numbers, distinct)
    return _describe_texts(name, filled, distinct)


def _describe_numbers(name: str, numbers: Numbers, distinct: int) -> Column:
    """Return the role of a column of numbers, which its name decides, and values that count the rows."""
    words = set(split_name(name))
    values = numbers.values.dropna()
    if words & _CODE_WORDS:
        if distinct > MAX_CODE_VALUES or distinct > UNIQUE_SHARE * len(values):
            return Column(name, "unused", distinct, None, f"its name is that of an id, and it has {distinct:,} values")
        return Column(name, "text", distinct, None, "it holds numbers and has the name of a code")
    for kind, known in (("a coordinate", _COORDINATE_WORDS), ("a person's age", _PERSON_WORDS)):
        if words & known:
            return Column(name, "unused", distinct, None, f"its name is that of {kind}, which is no measure")
    if words and words <= _CALENDAR_WORDS and (values % 1 == 0).all():
        return Column(name, "unused", distinct, None, "its name is that of a part of the time")
    if len(values) >= 10 and values.iloc[0] in (0, 1) and (values.diff().dropna() == 1).all():
        return Column(name, "unused", distinct, None, "it only numbers the rows")
    note = ""
    if numbers.bad.total:
        note = f"{numbers.bad.total:,} cells hold no number and count as missing ({numbers.bad.describe()})"
    elif numbers.is_ambiguous:
        other = "comma" if numbers.decimal == "." else "point"
        note = f"'{numbers.decimal}' is read as the decimal mark; --decimal-mark {other} reads the other one"
    return Column(name, "number", distinct, numbers, note)


def _describe_texts(name: str, filled: "pd.Series[Any]", distinct: int) -> Column:
    if len(filled) >= 10 and distinct > UNIQUE_SHARE * len(filled):
        return Column(name, "unused", distinct, None, f"{distinct:,} of {len(filled):,} rows have a value of their own")
    starts = filled.drop_duplicates().head(40).str.strip().str.lower().str.slice(0, 3)
    if distinct <= 14 and (starts.isin(_WEEKDAYS).all() or starts.isin(_MONTHS).all()):
        return Column(name, "unused", distinct, None, "it holds weekdays or months, which the time gives")
    if filled.head(1_000).str.len().mean() > MAX_LABEL_CHARACTERS:
        return Column(name, "unused", distinct, None, "it holds free text")
    return Column(name, "text", distinct)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_LABEL_CHARACTERS else text[: MAX_LABEL_CHARACTERS - 1] + "…"
