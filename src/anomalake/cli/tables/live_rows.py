"""Makes of a table of text the rows that a metric set's live data consists of."""

from typing import NamedTuple

import pandas as pd

from anomalake.cli.tables import numbers, timestamps
from anomalake.cli.tables.numbers import Decimal
from anomalake.cli.tables.time_forms import Order
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet

_NUMERIC_AGGREGATIONS = ("SUM", "AVG", "MIN", "MAX")


class ReadingOptions(NamedTuple):
    """What a person decides where the data does not."""

    table: str | None = None  # of a database or a workbook
    order: Order | None = None  # of dates such as 01/02/2017
    decimal: Decimal | None = None  # of numbers such as 1,234


NO_OPTIONS = ReadingOptions()


def prepare_rows(
    rows: pd.DataFrame, metric_set: MetricSet, options: ReadingOptions = NO_OPTIONS
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows with timestamps and numbers as the metric set reads them, and a note on each row left out.

    Timestamps are normalised where the metric set has `timestamps.NORMAL_FORMAT` or `UNIX` and the data has another
    form. Numbers of the measures become plain; text that is no number stays, and the reader of live data reports it.
    """
    notes = []
    target = metric_set.timestamp.format
    if target in (timestamps.NORMAL_FORMAT, time_patterns.UNIX):
        recognised = _find_timestamps(rows, metric_set.timestamp.column, options.order)
        if recognised is not None and recognised.lake_format != target:
            rows, bad = timestamps.normalise(rows, recognised, as_seconds=target == time_patterns.UNIX)
            if bad.total:
                notes.append(f"{bad.total:,} rows have no readable timestamp and are left out ({bad.describe()})")
    changed = {}
    numeric = (one.source_column for one in metric_set.measures if one.aggregation in _NUMERIC_AGGREGATIONS)
    for name in dict.fromkeys(numeric):
        if name is not None and name in rows.columns:
            found = numbers.recognise_numbers(rows[name], options.decimal)
            if found.is_changed and found.values.notna().any():
                changed[name] = found.texts
    return rows.assign(**changed), tuple(notes)


def _find_timestamps(rows: pd.DataFrame, column: str, order: Order | None) -> timestamps.Recognised | None:
    if column in rows.columns:
        return timestamps.recognise(rows[column], column, order)
    return next((one for one in timestamps.recognise_table(rows, order) if one.name == column), None)
