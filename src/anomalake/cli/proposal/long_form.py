"""Tables in long form, with a column of names and one of values, and the same in wide form, a column for each name."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from anomalake.cli.proposal.aggregation import _choose_by_name
from anomalake.cli.proposal.columns import Column, split_name
from anomalake.cli.tables.numbers import recognise_numbers
from anomalake.domain.metric_set import MAX_MEASURES, MetricSet
from anomalake.domain.names import to_column_name

_NAME_WORDS = frozenset(
    "metric metrics measure measurement variable indicator kpi parameter item key name field sensor".split()
)
_VALUE_WORDS = frozenset("value values val reading measurement amount number y result obs observation v wert".split())
MAX_SAME_SCALE = 20.0  # the largest usual value of a name over the smallest one, of names with the same scale


class LongForm(NamedTuple):
    """The columns of a long table whose names become columns."""

    name_column: str
    value_column: str
    names: dict[str, str]  # by the text in the table: the column in wide form


class Wide(NamedTuple):
    """A table in wide form, and how many rows of the long table it does not use."""

    rows: pd.DataFrame
    unused: int


def find_long_form(rows: pd.DataFrame, columns: Sequence[Column]) -> LongForm | None:
    """Return the columns of names and values, if the names are different measures.

    They are, if there are two to ten, and they have different scales or different aggregations. Otherwise the names are
    values of a dimension.
    """
    numbers = [column for column in columns if column.role == "number"]
    texts = [column for column in columns if column.role == "text" and set(split_name(column.name)) & _NAME_WORDS]
    if len(numbers) != 1 or not texts:
        return None
    value, name = numbers[0], texts[0]
    if not (set(split_name(value.name)) & _VALUE_WORDS) or not 2 <= name.distinct <= MAX_MEASURES:
        return None
    assert value.numbers is not None  # a column of numbers
    usual = value.numbers.values.abs().groupby(rows[name.name]).median()
    scales = usual[usual > 0]
    kinds = {choice.aggregation if (choice := _choose_by_name(str(text))) else None for text in usual.index}
    same_scale = not len(scales) or scales.max() <= MAX_SAME_SCALE * scales.min()
    if same_scale and len(kinds) == 1:
        return None
    return LongForm(name.name, value.name, name_columns([str(text) for text in usual.index]))


def name_columns(texts: Sequence[str]) -> dict[str, str]:
    """Return the column of each name; different names have different columns."""
    names: dict[str, str] = {}
    for text in texts:
        column = re.sub(r"_+", "_", to_column_name(text)).rstrip("_")
        while column.lower() in {other.lower() for other in names.values()}:
            column += "_2"
        names[text] = column
    return names


def recognise_long_form(rows: pd.DataFrame, missing: Sequence[str]) -> LongForm | None:
    """Return the long form of a table that lacks columns of a metric set; None if the names are not in one column.

    The values are in the column of numbers with the most usual name.
    """
    for name in map(str, rows.columns):
        distinct = rows[name].dropna().unique()
        if len(distinct) < len(missing) or len(distinct) > 10_000:
            continue
        names = name_columns([str(text) for text in distinct])
        if set(missing) <= set(names.values()):
            others = [
                other for other in map(str, rows.columns) if other != name and set(split_name(other)) & _VALUE_WORDS
            ]
            if value := next((other for other in others if recognise_numbers(rows[other]).share > 0), None):
                return LongForm(name, value, {text: column for text, column in names.items() if column in missing})
    return None


def widen_for(rows: pd.DataFrame, metric_set: MetricSet) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the table in the form that a metric set describes, and a note where it was in long form.

    A table that lacks columns of measures, and has their names in a column, is in long form.
    """
    columns = [measure.source_column for measure in metric_set.measures]
    missing = [column for column in dict.fromkeys(columns) if column is not None and column not in rows.columns]
    form = recognise_long_form(rows, missing) if missing else None
    if form is None:
        return rows, ()
    wide = to_wide(rows, form)
    if not wide.unused:
        return wide.rows, ()
    return wide.rows, (f"{wide.unused:,} rows have another name in '{form.name_column}' and are not used",)


def to_wide(rows: pd.DataFrame, form: LongForm) -> Wide:
    """Return the table with a column for each name; rows with the same other columns are one row.

    A name that occurs twice there gives a second row, so no value is lost. Rows with other names are counted.
    """
    used = rows[rows[form.name_column].isin(form.names)]
    others = [str(name) for name in rows.columns if name not in (form.name_column, form.value_column)]
    keys = pd.factorize(pd.MultiIndex.from_frame(used[others].astype(object).where(used[others].notna(), None)))[0]
    repeated = pd.Series(keys).groupby([keys, used[form.name_column].to_numpy()]).cumcount().to_numpy()
    cells = pd.factorize(keys.astype(np.int64) * (int(repeated.max(initial=0)) + 1) + repeated)[0]
    first = np.unique(cells, return_index=True)[1]
    wide = used[others].iloc[first].reset_index(drop=True)
    for text, column in form.names.items():
        has_name = (used[form.name_column] == text).to_numpy()
        values = pd.Series([None] * len(wide), dtype="object")
        values.iloc[cells[has_name]] = used[form.value_column].to_numpy(dtype=object)[has_name]
        wide[column] = values.astype("str").where(values.notna())
    return Wide(wide, len(rows) - len(used))
