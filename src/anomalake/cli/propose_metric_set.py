"""Proposes a metric set for the data of a user, with notes on what to check. Does no input or output."""

import itertools
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
import yaml

from anomalake.cli.tables import numbers as table_numbers
from anomalake.domain import intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MAX_DIMENSIONS, MAX_MEASURES
from anomalake.domain.names import GENERATED_COLUMNS
from anomalake.lake.live_data import parse_wall_time

MAX_TIMESTAMPS = 5_000  # distinct timestamps that are checked
MAX_DIMENSION_VALUES = 1_000  # distinct values of a column that is proposed as a dimension
TIMESTAMP_FORMATS = (
    "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss'Z'",
    "yyyy-MM-dd HH:mm", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd",
    "yyyy-MM-dd HH:mm:ss.SSSSSS", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "yyyy/MM/dd HH:mm:ss", "yyyy/MM/dd HH:mm",
    "yyyy/MM/dd", "dd.MM.yyyy HH:mm:ss", "dd.MM.yyyy HH:mm", "dd.MM.yyyy", "dd/MM/yyyy HH:mm:ss", "dd/MM/yyyy HH:mm",
    "dd/MM/yyyy", "MM/dd/yyyy HH:mm:ss", "MM/dd/yyyy HH:mm", "MM/dd/yyyy", "yyyyMMddHHmmss", "yyyyMMdd",
)  # fmt: skip
_TIMESTAMP_NAMES = ("timestamp", "time", "datetime", "date", "ts", "day", "hour")
_AVERAGED_MEASURE = re.compile(
    r"rate|ratio|avg|average|mean|median|pct|percent|share|price|temperature|score|latency|duration|p\d\d",
    re.IGNORECASE,
)
_CODE_COLUMN = re.compile(r"(^|_)(id|code|zip|year|month|store|region)$", re.IGNORECASE)


class Proposal(NamedTuple):
    """A proposed metric set as YAML, and notes on what the user should check."""

    text: str
    notes: tuple[str, ...]


def propose(table: pd.DataFrame, name: str, timezone: str | None, notes: Sequence[str] = ()) -> Proposal:
    """Return a metric set for a table of text (`tables.read.read`); its notes start with the given ones.

    Raises `UserError` where no column holds timestamps, or none holds numbers.
    """
    notes = list(notes)
    column, timestamp_format = _find_timestamps(table, notes)
    zone = timezone or "UTC"
    if timestamp_format.endswith("'Z'") and zone != "UTC":
        raise UserError(f"the timestamps of the column '{column}' end in Z, which means UTC; omit --timezone")
    if timezone is None and not timestamp_format.endswith("'Z'") and timestamp_format != time_patterns.UNIX:
        notes.append(
            "timezone: the data does not name a time zone; UTC is assumed. "
            "If the timestamps are local times, use an option such as --timezone Europe/Berlin"
        )
    frequency = _find_frequency(table[column], timestamp_format, zone, notes)
    dimensions, measures = _find_dimensions_and_measures(table.drop(columns=column), notes)
    folder = "{{yyyyMMdd}}" if frequency == "P1D" else "{{yyyyMMdd}}/{{HHmm}}"
    document = {
        "name": name,
        "version": 1,
        "frequency": frequency,
        "timezone": zone,
        "timestamp": {"column": column, "format": timestamp_format},
        "dimensions": dimensions,
        "measures": [{"name": measure, "aggregation": aggregation} for measure, aggregation in measures],
        "source": {"path": f"{name}/live/{folder}", "format": "csv", "columns": list(table.columns)},
        "alerts": {"sensitivity": 50},
    }
    return Proposal(to_yaml(document), tuple(notes))


def to_yaml(document: dict[str, Any]) -> str:
    """Return the fields of a metric set as YAML for a person to edit."""
    return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True))


def _find_timestamps(table: pd.DataFrame, notes: list[str]) -> tuple[str, str]:
    """Return the timestamp column and its format.

    If several columns have timestamps, it is the one with the most usual name.
    """
    candidates: list[tuple[str, list[str]]] = []
    for column in table.columns:
        values = table[column].dropna().drop_duplicates().head(MAX_TIMESTAMPS).tolist()
        formats = [
            timestamp_format
            for timestamp_format in TIMESTAMP_FORMATS
            if values and all(_matches(value, timestamp_format) for value in values)
        ]
        if not formats and values and all(re.fullmatch(r"\d{9,10}(\d{3})?(\.\d+)?", value) for value in values):
            formats = [time_patterns.UNIX]
        if formats:
            candidates.append((str(column), formats))
    if not candidates:
        raise UserError(
            f"no column holds timestamps in a supported format (such as {', '.join(TIMESTAMP_FORMATS[:4])}, or UNIX); "
            f"columns: {', '.join(table.columns)}"
        )
    candidates.sort(key=lambda candidate: _rank_timestamp_name(candidate[0]))
    column, formats = candidates[0]
    if len(candidates) > 1:
        others = ", ".join(other for other, _ in candidates[1:])
        notes.append(f"timestamp.column: the column '{column}' is used; these columns also hold timestamps: {others}")
    if len(formats) > 1:
        notes.append(
            f"timestamp.format: the format '{formats[0]}' is used; these formats also fit every row: "
            f"{', '.join(formats[1:])}"
        )
    return column, formats[0]


def _rank_timestamp_name(column: str) -> int:
    """Return the place of the first usual name that the column's name contains; the most usual name has place 0."""
    places = (place for place, name in enumerate(_TIMESTAMP_NAMES) if name in column.lower())
    return next(places, len(_TIMESTAMP_NAMES))


def _matches(value: str, timestamp_format: str) -> bool:
    """Return whether the value is a time of 1970 or later in this format."""
    if len(value) > 32:
        return False
    try:
        return datetime.strptime(value, time_patterns.to_python_format(timestamp_format)).year >= 1970
    except ValueError:
        return False


def _find_frequency(column: "pd.Series[str]", timestamp_format: str, zone: str, notes: list[str]) -> str:
    """Return the greatest supported frequency that is not longer than the most usual time between rows."""
    walls = sorted(
        wall
        for value in column.dropna().unique()[:MAX_TIMESTAMPS]
        if isinstance(wall := parse_wall_time(value, timestamp_format, zone), datetime)
    )
    steps = [later - earlier for earlier, later in itertools.pairwise(walls)]
    supported = ", ".join(intervals.INTERVAL_LENGTHS)
    if not steps:
        notes.append(f"frequency: the data has a single timestamp; PT1H is assumed (supported: {supported})")
        return "PT1H"
    usual = max(set(steps), key=lambda step: (steps.count(step), -step))
    not_longer = [name for name, length in intervals.INTERVAL_LENGTHS.items() if length <= usual]
    frequency = not_longer[0] if not_longer else "PT5M"
    if (length := intervals.INTERVAL_LENGTHS[frequency]) != usual:
        effect = "values of an interval are summed up" if usual < length else "the intervals between rows stay empty"
        notes.append(
            f"frequency: rows are {_describe_duration(usual)} apart; supported frequencies: {supported}. "
            f"{frequency} is used, and {effect}"
        )
    elif steps.count(usual) < 0.9 * len(steps):
        notes.append(
            f"frequency: {frequency} is used; {steps.count(usual)} of {len(steps)} rows follow the row before by "
            f"{_describe_duration(usual)}, the others do not"
        )
    return frequency


def _describe_duration(duration: timedelta) -> str:
    """Return the duration in words: 31 days, 1 hour, 90 minutes, 10 seconds."""
    seconds = duration.total_seconds()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds:g} seconds"


def _find_dimensions_and_measures(table: pd.DataFrame, notes: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the dimensions, and the measures with their aggregation, as many as a metric set can have."""
    dimensions: list[str] = []
    measures: list[tuple[str, str]] = []
    for name in map(str, table.columns):
        if name.lower() in GENERATED_COLUMNS:
            notes.append(
                f"the column '{name}' is left out, because the tables have a column of that name; "
                "rename it in the data to use it"
            )
            continue
        kind, note = _classify_column(name, table[name].dropna())
        if kind == "dimension":
            dimensions.append(name)
        elif kind is not None:
            measures.append((name, kind))
        if note:
            notes.append(note)
    if not measures:
        raise UserError(
            "no column holds numbers, and a metric set requires a measure; "
            f"columns: {', '.join(map(str, table.columns))}"
        )
    limits = (
        ("dimensions", dimensions, MAX_DIMENSIONS),
        ("measures", [measure for measure, _ in measures], MAX_MEASURES),
    )
    for kind, names, limit in limits:
        if len(names) > limit:
            notes.append(
                f"{kind}: found {len(names)} {kind}; a metric set can have {limit}. "
                f"Left out: {', '.join(names[limit:])}"
            )
    return dimensions[:MAX_DIMENSIONS], measures[:MAX_MEASURES]


def _classify_column(name: str, values: "pd.Series[str]") -> tuple[str | None, str | None]:
    """Return what the column is: `dimension`, the aggregation of a measure, or None to leave it out; and a note."""
    distinct = values.nunique()
    numbers = table_numbers.parse_numbers(values)
    if len(values) and numbers.notna().mean() > 0.99:
        if _CODE_COLUMN.search(name) and distinct <= MAX_DIMENSION_VALUES:
            note = f"dimensions: the column '{name}' holds numbers and has the name of a code"
            return "dimension", f"{note}; if it is a measure, move it to the measures"
        is_share = bool(((numbers % 1) != 0).any() and numbers.between(0, 1).all())
        if not (_AVERAGED_MEASURE.search(name) or is_share):
            return "SUM", None
        return "AVG", f"measures: the column '{name}' looks like a rate or a level, so AVG is used; use SUM for amounts"
    if 0 < distinct <= MAX_DIMENSION_VALUES and (distinct <= 50 or distinct < len(values) / 2):
        return "dimension", None
    return None, f"the column '{name}' is left out: {distinct} distinct texts do not make a useful dimension"
