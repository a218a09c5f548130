"""Checks of a metric set that types cannot express: names, ranges, patterns, filters, data source, mapping."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfoNotFoundError

from anomalake.domain import expressions, intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import (
    MAPPING_CONSTANTS,
    MAPPING_FIELDS,
    MAX_DIMENSIONS,
    MAX_MEASURES,
    MAX_OFFSET_SECONDS,
    MAX_TOP_VALUES,
    REQUIRED_MAPPING_FIELDS,
    MetricSet,
    Source,
    find_folder_period,
)
from anomalake.domain.names import (
    ANOMALY_COLUMN_SUFFIXES,
    COLUMN_PATTERN,
    GENERATED_COLUMNS,
    LAKE_FOLDERS,
    NAME_PATTERN,
    REPORT_ID_SUFFIX,
)
from anomalake.domain.text import quote, to_one_line

_COLUMN_RULE = "must start with a letter or digit and contain only letters, digits, - and _"


class Problem(NamedTuple):
    """A field of a metric set and what is wrong with it."""

    field: str
    problem: str


def find_problems(item: MetricSet) -> list[Problem]:
    """Return the problems of a metric set, most basic first; empty if it is valid.

    Later checks run only if the basic fields are valid.
    """
    problems = [*_check_identity(item), *_check_frequency(item.frequency)]
    if not _is_time_zone(item.timezone):
        use = "use an IANA name such as UTC or Europe/Berlin"
        return [*problems, Problem("timezone", f"{quote(item.timezone)} is not a time zone; {use}")]
    if not problems:
        problems += _check_timestamp(item)
    problems += _check_counts(item)
    if problems:
        return problems  # the checks below name every dimension and measure
    problems += [
        *_check_aggregations(item),
        *_check_column_names(item),
        *_check_former_names(item),
        *_check_alerts(item),
    ]
    if item.source is not None:
        problems += _check_source(item, item.source)
    if item.mapping:
        problems += _check_mapping(item.mapping)
    return problems


def _check_identity(item: MetricSet) -> Iterator[Problem]:
    name = quote(item.name)
    if not NAME_PATTERN.fullmatch(item.name):
        yield Problem("name", f"{name} must be a letter a-z, then up to 40 of a-z, 0-9 and _")
    if item.name.endswith("_crawled"):
        yield Problem("name", f"{name} ends with _crawled, which is reserved for the database of a crawler; rename it")
    if not 1 <= item.version <= 9999:
        yield Problem("version", "must be from 1 to 9999")


def _check_frequency(frequency: str) -> Iterator[Problem]:
    if frequency in intervals.INTERVAL_LENGTHS:
        return
    rule = "must be a step that divides a day, from PT1M to PT12H, or P1D, P1W or P1M"
    if (minutes := _parse_minutes(frequency)) and intervals.MINUTES_PER_DAY % minutes == 0 and minutes % 60 == 0:
        rule = f"must be written {f'PT{minutes // 60}H' if minutes < intervals.MINUTES_PER_DAY else 'P1D'}"
    yield Problem("frequency", f"{quote(frequency)} {rule}; examples: {', '.join(intervals.COMMON_FREQUENCIES)}")


def _parse_minutes(frequency: str) -> int | None:
    """Return the minutes of a duration such as PT60M or PT2H; None for any other text."""
    match = re.fullmatch(r"PT([0-9]{1,5})([MH])", frequency)
    return int(match[1]) * (60 if match[2] == "H" else 1) if match else None


def _is_time_zone(name: str) -> bool:
    """Return whether the name is an IANA time zone. Athena does not know some names of local time zone files."""
    if name.startswith(("posix/", "right/")) or name in {"localtime", "posixrules", "Factory"}:
        return False
    try:
        intervals.get_time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_timestamp(item: MetricSet) -> Iterator[Problem]:
    if item.timestamp.format != time_patterns.UNIX:
        try:
            time_patterns.check_timestamp_pattern(item.timestamp.format, hour=intervals.is_sub_daily(item.frequency))
        except UserError as error:
            yield Problem("timestamp.format", f"{error}; or use UNIX")


def _check_counts(item: MetricSet) -> Iterator[Problem]:
    if not item.measures:
        yield Problem("measures", "at least one is required")
    for field, count, limit in (
        ("measures", len(item.measures), MAX_MEASURES),
        ("dimensions", len(item.dimensions), MAX_DIMENSIONS),
    ):
        if count > limit:
            yield Problem(field, f"{count} are too many; a metric set can have {limit}")


def _check_column_names(item: MetricSet) -> Iterator[Problem]:
    owners: dict[str, str] = dict.fromkeys(GENERATED_COLUMNS, "a generated column of the tables")
    for measure in item.measures:
        for suffix in (*ANOMALY_COLUMN_SUFFIXES, REPORT_ID_SUFFIX):
            owners[(measure.name + suffix).lower()] = f"a generated column of the measure {quote(measure.name)}"
    for kind, names in (("dimensions", item.dimension_names), ("measures", item.measure_names)):
        for number, name in enumerate(names):
            field = f"{kind}[{number}].name"
            if not COLUMN_PATTERN.fullmatch(name):
                yield Problem(field, f"{quote(name)} {_COLUMN_RULE} (at most 63 characters)")
            elif owner := owners.get(name.lower()):
                yield Problem(field, f"{quote(name)} collides with {owner} (case is ignored); rename it")
            owners[name.lower()] = f"{kind} {quote(name)}"


def _check_aggregations(item: MetricSet) -> Iterator[Problem]:
    """Check the fields that belong to an aggregation, and `top`."""
    additive = [measure.name for measure in item.measures if measure.is_additive]
    for number, measure in enumerate(item.measures):
        field, is_ratio = f"measures[{number}]", measure.aggregation == "RATIO"
        for part in ("numerator", "denominator"):
            name = getattr(measure, part)
            if not is_ratio and name is not None:
                yield Problem(f"{field}.{part}", f"belongs to the aggregation RATIO, not to {measure.aggregation}")
            elif is_ratio and name not in additive:
                known = ", ".join(additive) or "none; add them to the measures"
                shown = "is missing" if name is None else f"{quote(name)} is no such measure"
                rule = "it names a measure with the aggregation SUM, COUNT or COUNT_DISTINCT"
                yield Problem(f"{field}.{part}", f"{shown}; {rule}: {known}")
        if is_ratio and measure.column is not None:
            yield Problem(f"{field}.column", "does not belong to the aggregation RATIO, which divides two measures")
        if is_ratio and measure.numerator == measure.denominator and measure.numerator in additive:
            yield Problem(f"{field}.denominator", "is the numerator; a ratio divides two different measures")
    for number, dimension in enumerate(item.dimensions):
        if dimension.top is not None and not 1 <= dimension.top <= MAX_TOP_VALUES:
            yield Problem(f"dimensions[{number}].top", f"{dimension.top} must be from 1 to {MAX_TOP_VALUES}")


def _check_former_names(item: MetricSet) -> Iterator[Problem]:
    """Check that each former name leads to one dimension or measure only."""
    for kind, names, former_names in (
        ("dimensions", item.dimension_names, [dimension.formerly for dimension in item.dimensions]),
        ("measures", item.measure_names, [measure.formerly for measure in item.measures]),
    ):
        counts = Counter([*names, *(former for formers in former_names for former in formers)])
        for number, formers in enumerate(former_names):
            for former in formers:
                if counts[former] > 1:
                    problem = f"{quote(former)} would name two of the {kind}; each name can be used once"
                    yield Problem(f"{kind}[{number}].formerly", problem)


def _check_alerts(item: MetricSet) -> Iterator[Problem]:
    alerts = item.alerts
    if not 0 <= alerts.sensitivity <= 100:
        yield Problem("alerts.sensitivity", f"{alerts.sensitivity} must be from 0 to 100")
    measures = [("measures", name) for name in alerts.measures]
    measures += [("minimumImpact", name) for name in alerts.minimum_impact]
    dimensions = [("dimensions", name) for name in alerts.dimensions]
    for number, snooze in enumerate(alerts.snoozed):
        measures += [(f"snoozed[{number}].measures", name) for name in snooze.measures]
        dimensions += [(f"snoozed[{number}].dimensions", name) for name in snooze.dimensions]
        try:
            date.fromisoformat(snooze.until)
        except ValueError:
            problem = f"{quote(snooze.until)} must be a date such as 2026-08-01"
            yield Problem(f"alerts.snoozed[{number}].until", problem)
    yield from _check_known("measure", item.measure_names, measures)
    yield from _check_known("dimension", item.dimension_names, dimensions)
    for name, impact in alerts.minimum_impact.items():
        if not impact >= 0:
            yield Problem("alerts.minimumImpact", f"{name}: {impact:g} must be 0 or more")


def _check_known(kind: str, known: Sequence[str], used: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Yield a problem for each name that a field of `alerts` uses and that the metric set does not have."""
    has = f"it has {', '.join(known)}" if known else f"it has no {kind}s"
    for field, name in used:
        if name not in known:
            yield Problem(f"alerts.{field}", f"{quote(name)}: the metric set has no such {kind}; {has}")


def _check_source(item: MetricSet, source: Source) -> Iterator[Problem]:
    yield from _check_path(item, source.path)
    try:
        yield from _check_folders(item, source.path)
    except UserError as error:
        yield Problem("source.path", str(error))
        return
    yield from _check_columns(item, source)
    yield from _check_format(source)


def _check_path(item: MetricSet, path: str) -> Iterator[Problem]:
    """Check that a path is in the lake, outside reserved folders, and the same in S3, in Athena and on a laptop."""
    shown = quote(path)
    if path.startswith("/") or "//" in path or ".." in path or "://" in path:
        example = "ecommerce/live/{{yyyyMMdd}}/{{HHmm}}"
        yield Problem("source.path", f"{shown} must be a path inside the lake, such as {example}")
    if "/" not in path.partition("{{")[0]:
        example = f"{item.name}/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}"
        yield Problem("source.path", f"{shown} must begin with a folder of its own, such as {example}")
    if special := re.search(r"[^A-Za-z0-9!_.'()/=+@, -]", re.sub(r"\{\{|\}\}", "", path)):
        allowed = "letters a-z, digits, spaces and ! _ . ' ( ) / = + @ , -"
        yield Problem("source.path", f"{shown} has {quote(special[0])}; allowed are {allowed}")
    if "." in path.split("/"):
        yield Problem("source.path", f"{shown} has a folder named '.', which S3 and a laptop read differently")
    if path.partition("/")[0] in LAKE_FOLDERS:
        reserved = ", ".join(sorted(LAKE_FOLDERS))
        yield Problem("source.path", f"{shown} lies in a reserved folder of the lake ({reserved}); use another folder")


def _check_folders(item: MetricSet, path: str) -> Iterator[Problem]:
    """Check that each interval lies in one folder, and that folders of different times differ."""
    if find_folder_period(path, item.frequency) is None:
        fields = {"P1M": "year and month", "P1W": "year, month and day", "P1D": "year, month and day"}
        needed = fields.get(item.frequency, "year, month and day, and the hour and minute for a folder per interval")
        problem = f"the intervals of {item.frequency} do not each lie in one folder of {quote(path)}"
        yield Problem("source.path", f"{problem}; it must contain {needed}")


def _check_columns(item: MetricSet, source: Source) -> Iterator[Problem]:
    columns = to_one_line(", ".join(source.columns), 500)
    columns_read = [item.timestamp.column, *(dimension.source_column for dimension in item.dimensions)]
    columns_read += [measure.source_column for measure in item.measures if measure.source_column is not None]
    for name in dict.fromkeys(columns_read):
        if source.columns.count(name) != 1:
            problem = f"must contain {quote(name)} once; it lists the columns of the file in order: {columns}"
            yield Problem("source.columns", problem)
    names = {name.lower() for name in source.columns}
    if len(names) < len(source.columns):
        yield Problem("source.columns", "two columns have the same name (case is ignored); rename one")
    if "slot" in names:
        problem = "'slot' collides with the partition column of the live table; rename the column"
        yield Problem("source.columns", problem)
    if invalid := [name for name in source.columns if not COLUMN_PATTERN.fullmatch(name)]:
        yield Problem("source.columns", f"{quote(invalid[0])} {_COLUMN_RULE}")


def _check_format(source: Source) -> Iterator[Problem]:
    for field, value in (("delimiter", source.delimiter), ("quote", source.quote)):
        if len(value) != 1 or not value.isascii():
            yield Problem(f"source.{field}", f"{quote(value)} must be one ASCII character")
    if source.delimiter == source.quote or {source.delimiter, source.quote} & {"\n", "\r", "\0"}:
        yield Problem("source.delimiter", "and source.quote must differ, and neither can be a line break")
    if source.format == "jsonl" and source.charset != "UTF-8":
        yield Problem("source.charset", "must be UTF-8 for jsonl")
    if not 0 <= source.offset <= MAX_OFFSET_SECONDS:
        yield Problem("source.offset", f"{source.offset} must be from 0 to {MAX_OFFSET_SECONDS} seconds")


def _check_mapping(mapping: Mapping[str, str]) -> Iterator[Problem]:
    if unknown := next((field for field in mapping if field not in MAPPING_FIELDS), None):
        problem = f"is not a field of a mapping; known fields: {', '.join(MAPPING_FIELDS)}"
        yield Problem(f"mapping.{to_one_line(unknown, 100)}", problem)
        return
    for field in REQUIRED_MAPPING_FIELDS:
        if field not in mapping:
            yield Problem("mapping", f"lacks `{field}`, which every alert requires")
    for field, expression in mapping.items():
        if field in MAPPING_CONSTANTS:
            if not _is_positive(expression):
                rule = "must be a number greater than 0, such as 100 for scores from 0 to 1"
                yield Problem(f"mapping.{field}", f"{quote(expression[:100])} {rule}")
            continue
        try:
            expressions.check(expression)
        except (ValueError, RecursionError) as error:
            shown, reason = to_one_line(expression, 200), to_one_line(str(error), 200)
            yield Problem(f"mapping.{field}", f"'{shown}' is not a JMESPath expression: {reason}")


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
