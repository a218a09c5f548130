"""A metric set proposed from somebody's data, with what was guessed, so that a first dashboard is two commands away. Pure."""

import itertools
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import yaml

from anomalake.cli import read_table
from anomalake.domain import intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MAX_DIMENSIONS, MAX_MEASURES
from anomalake.domain.names import GENERATED_COLUMNS
from anomalake.lake.live_data import parse_wall_time

LOOKED_AT = 5_000  # distinct timestamps
MOST_VALUES = 1_000  # of a dimension
FORMATS = (
    "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd HH:mm", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd",
    "yyyy-MM-dd HH:mm:ss.SSSSSS", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "yyyy/MM/dd HH:mm:ss", "yyyy/MM/dd HH:mm", "yyyy/MM/dd",
    "dd.MM.yyyy HH:mm:ss", "dd.MM.yyyy HH:mm", "dd.MM.yyyy", "dd/MM/yyyy HH:mm:ss", "dd/MM/yyyy HH:mm", "dd/MM/yyyy",
    "MM/dd/yyyy HH:mm:ss", "MM/dd/yyyy HH:mm", "MM/dd/yyyy", "yyyyMMddHHmmss", "yyyyMMdd",
)  # fmt: skip
_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ts", "day", "hour")
_AVERAGED = re.compile(
    r"rate|ratio|avg|average|mean|median|pct|percent|share|price|temperature|score|latency|duration|p\d\d",
    re.IGNORECASE,
)
_CODE = re.compile(r"(^|_)(id|code|zip|year|month|store|region)$", re.IGNORECASE)


class Proposal(NamedTuple):
    """The YAML of a metric set, and what it was unsure of, each with what to do about it."""

    text: str
    doubts: tuple[str, ...]


def propose(table: pd.DataFrame, name: str, timezone: str | None, told: Sequence[str] = ()) -> Proposal:
    """A metric set for a table of texts (`tabular.read`); `UserError` where it has no timestamps or nothing to watch."""
    doubts = list(told)
    column, form = _timestamps(table, doubts)
    zone = timezone or "UTC"
    if form.endswith("'Z'") and zone != "UTC":
        raise UserError(f"the timestamps of {column!r} end in Z, which means UTC; leave --timezone out")
    if timezone is None and not form.endswith("'Z'") and form != time_patterns.UNIX:
        doubts.append(
            "timezone: the data does not say; UTC is assumed. If the times are local, give --timezone Europe/Berlin or the like"
        )
    frequency = _frequency(table[column], form, zone, doubts)
    dimensions, measures = _fields(table.drop(columns=column), doubts)
    folder = "{{yyyyMMdd}}" if frequency == "P1D" else "{{yyyyMMdd}}/{{HHmm}}"
    document = {
        "name": name,
        "version": 1,
        "frequency": frequency,
        "timezone": zone,
        "timestamp": {"column": column, "format": form},
        "dimensions": dimensions,
        "measures": [{"name": measure, "aggregation": how} for measure, how in measures],
        "source": {"path": f"{name}/live/{folder}", "format": "csv", "columns": list(table.columns)},
        "alerts": {"sensitivity": 50},
    }
    return Proposal(to_yaml(document), tuple(doubts))


def to_yaml(document: dict[str, Any]) -> str:
    """The fields of a metric set as the YAML that a person goes on editing."""
    return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True))


def _timestamps(table: pd.DataFrame, doubts: list[str]) -> tuple[str, str]:
    found: list[tuple[str, list[str]]] = []
    for column in table.columns:
        values = table[column].dropna().drop_duplicates().head(LOOKED_AT).tolist()
        fitting = [form for form in FORMATS if values and all(_fits(value, form) for value in values)]
        if not fitting and values and all(re.fullmatch(r"\d{9,10}(\d{3})?(\.\d+)?", value) for value in values):
            fitting = [time_patterns.UNIX]
        if fitting:
            found.append((str(column), fitting))
    if not found:
        raise UserError(
            f"no column holds timestamps in a form known here (such as {', '.join(FORMATS[:4])}, or UNIX); columns: {', '.join(table.columns)}"
        )
    found.sort(
        key=lambda item: next(
            (place for place, name in enumerate(_TIME_NAMES) if name in item[0].lower()), len(_TIME_NAMES)
        )
    )
    column, fitting = found[0]
    if len(found) > 1:
        doubts.append(
            f"timestamp.column: {column!r} was taken; {', '.join(repr(other) for other, _ in found[1:])} hold times too"
        )
    if len(fitting) > 1:
        doubts.append(
            f"timestamp.format: {fitting[0]!r} was taken; {', '.join(map(repr, fitting[1:]))} would fit every row as well"
        )
    return column, fitting[0]


def _fits(value: str, form: str) -> bool:
    if len(value) > 32:
        return False
    try:
        return datetime.strptime(value, time_patterns.to_python_format(form)).year >= 1970
    except ValueError:
        return False


def _frequency(column: "pd.Series[str]", form: str, zone: str, doubts: list[str]) -> str:
    walls = sorted(
        wall
        for value in column.dropna().unique()[:LOOKED_AT]
        if isinstance(wall := parse_wall_time(value, form, zone), datetime)
    )
    steps = [later - earlier for earlier, later in itertools.pairwise(walls)]
    if not steps:
        doubts.append("frequency: there is one timestamp only; PT1H was assumed (P1D, PT1H, PT10M, PT5M)")
        return "PT1H"
    usual = max(set(steps), key=lambda step: (steps.count(step), -step))
    fitting = [name for name, step in intervals.INTERVAL_LENGTHS.items() if step <= usual]
    frequency = fitting[0] if fitting else "PT5M"
    if intervals.INTERVAL_LENGTHS[frequency] != usual:
        what = (
            "values are added up to it"
            if usual < intervals.INTERVAL_LENGTHS[frequency]
            else "the intervals between stay empty"
        )
        doubts.append(
            f"frequency: rows come every {usual}, which is no frequency known here; {frequency} was taken, {what}"
        )
    elif steps.count(usual) < 0.9 * len(steps):
        doubts.append(
            f"frequency: {steps.count(usual)} of {len(steps)} steps are {usual}, the others are not; {frequency} was taken"
        )
    return frequency


def _fields(table: pd.DataFrame, doubts: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    dimensions: list[str] = []
    measures: list[tuple[str, str]] = []
    for name in map(str, table.columns):
        if name.lower() in GENERATED_COLUMNS:
            doubts.append(
                f"{name!r} was left out: the tables have a column of that name; rename it in the data to watch it"
            )
            continue
        values = table[name].dropna()
        distinct = values.nunique()
        numbers = read_table.parse_numbers(values)
        if len(values) and numbers.notna().mean() > 0.99:
            if _CODE.search(name) and distinct <= MOST_VALUES:
                dimensions.append(name)
                doubts.append(
                    f"dimensions: {name!r} holds numbers, but is named like a code; move it to the measures if it is one"
                )
                continue
            fraction = bool(((numbers % 1) != 0).any() and numbers.between(0, 1).all())
            how = "AVG" if _AVERAGED.search(name) or fraction else "SUM"
            if how == "AVG":
                doubts.append(f"measures: {name!r} looks like a rate or a level, so AVG was taken; SUM is for amounts")
            measures.append((name, how))
        elif 0 < distinct <= MOST_VALUES and (distinct <= 50 or distinct < len(values) / 2):
            dimensions.append(name)
        else:
            doubts.append(f"{name!r} was left out: {distinct} different texts are no dimension to watch by")
    if not measures:
        raise UserError(f"no column holds numbers to watch; columns: {', '.join(map(str, table.columns))}")
    for kind, fields, most in (("dimensions", dimensions, MAX_DIMENSIONS), ("measures", measures, MAX_MEASURES)):
        if len(fields) > most:
            doubts.append(
                f"{kind}: {len(fields)} were found, {most} are allowed; left out: {', '.join(str(f) for f in fields[most:])}"
            )
    return dimensions[:MAX_DIMENSIONS], measures[:MAX_MEASURES]
