"""Checks of a metric set that its types cannot express."""

import re
from collections import Counter
from datetime import date, datetime
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
    REQUIRED_MAPPING_FIELDS,
    MetricSet,
    Source,
)
from anomalake.domain.names import (
    ANOMALY_COLUMN_SUFFIXES,
    COLUMN_PATTERN,
    GENERATED_COLUMNS,
    LAKE_FOLDERS,
    NAME_PATTERN,
    REPORT_ID_SUFFIX,
)
from anomalake.domain.text import to_one_line


class _Problem(NamedTuple):
    field: str
    problem: str


def find_problems(item: MetricSet) -> list[_Problem]:
    """What is wrong with it that types cannot say."""
    found: list[_Problem] = []

    def check(good: bool, field: str, problem: str) -> None:
        if not good:
            found.append(_Problem(field, problem))

    check(
        bool(NAME_PATTERN.fullmatch(item.name)),
        "name",
        f"{item.name!r} must be a letter a-z, then up to 40 of a-z, 0-9 and _",
    )
    check(
        not item.name.endswith("_crawled"),
        "name",
        f"{item.name!r} ends as the database of a crawler does; end it otherwise",
    )
    check(1 <= item.version <= 9999, "version", "must be from 1 to 9999")
    try:
        if item.timezone.startswith(("posix/", "right/")) or item.timezone in {"localtime", "posixrules", "Factory"}:
            raise ValueError(item.timezone)  # names of this machine's files, unknown to Athena
        intervals.get_time_zone(item.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        check(False, "timezone", f"{item.timezone!r} is no time zone; use an IANA name such as UTC or Europe/Berlin")
        return found
    if item.timestamp.format != time_patterns.UNIX:
        try:
            time_patterns.check_timestamp_pattern(item.timestamp.format, hour=item.frequency != "P1D")
        except UserError as error:
            check(False, "timestamp.format", f"{error}; or UNIX")
    check(len(item.measures) >= 1, "measures", "at least one is needed")
    check(len(item.measures) <= MAX_MEASURES, "measures", f"{len(item.measures)} are too many; at most {MAX_MEASURES}")
    check(
        len(item.dimensions) <= MAX_DIMENSIONS,
        "dimensions",
        f"{len(item.dimensions)} are too many; at most {MAX_DIMENSIONS}",
    )
    if found:
        return found  # the checks below name every dimension and measure
    found.extend(_name_problems(item))
    check(0 <= item.alerts.sensitivity <= 100, "alerts.sensitivity", f"{item.alerts.sensitivity} must be from 0 to 100")
    found.extend(_filter_problems(item))
    if item.source is not None:
        found.extend(_source_problems(item, item.source))
    if item.mapping:
        found.extend(_mapping_problems(item.mapping))
    return found


def _name_problems(item: MetricSet) -> list[_Problem]:
    found = []
    owners: dict[str, str] = dict.fromkeys(GENERATED_COLUMNS, "a column that the tables generate")
    for measure in item.measures:
        for suffix in (*ANOMALY_COLUMN_SUFFIXES, REPORT_ID_SUFFIX):
            owners[(measure.name + suffix).lower()] = f"a column generated for the measure {measure.name!r}"
    named = [(f"dimensions[{i}].name", name) for i, name in enumerate(item.dimension_names)]
    named += [(f"measures[{i}].name", name) for i, name in enumerate(item.measure_names)]
    for field, name in named:
        if not COLUMN_PATTERN.fullmatch(name):
            found.append(
                _Problem(
                    field,
                    f"{name!r} must start with a letter or digit and hold only letters, digits, - and _ (63 at most)",
                )
            )
        elif name.lower() in owners:
            found.append(
                _Problem(
                    field,
                    f"{name!r} collides with {owners[name.lower()]} (names are compared without case); name it otherwise",
                )
            )
        owners[name.lower()] = f"{field.split('[', maxsplit=1)[0]} {name!r}"
    for kind, called, formers in (
        ("dimensions", item.dimension_names, [one.formerly for one in item.dimensions]),
        ("measures", item.measure_names, [one.formerly for one in item.measures]),
    ):
        times = Counter([*called, *(former for some in formers for former in some)])
        twice = [(number, former) for number, some in enumerate(formers) for former in some if times[former] > 1]
        found += [
            _Problem(f"{kind}[{number}].formerly", f"{former!r} would name two of the {kind}; it may lead to one")
            for number, former in twice
        ]
    return found


def _filter_problems(item: MetricSet) -> list[_Problem]:
    found, alerts = [], item.alerts
    named = [("measures", name) for name in alerts.measures] + [
        ("minimumImpact", name) for name in alerts.minimum_impact
    ]
    filtered = [("dimensions", name) for name in alerts.dimensions]
    for number, one in enumerate(alerts.snoozed):
        named += [(f"snoozed[{number}].measures", name) for name in one.measures]
        filtered += [(f"snoozed[{number}].dimensions", name) for name in one.dimensions]
        try:
            date.fromisoformat(one.until)
        except ValueError:
            found.append(
                _Problem(f"alerts.snoozed[{number}].until", f"{one.until!r} must be a date such as 2026-08-01")
            )
    for kind, known, names in (("measure", item.measure_names, named), ("dimension", item.dimension_names, filtered)):
        told = f"there is no such {kind}; there are {', '.join(known) or 'none'}"
        found += [_Problem(f"alerts.{field}", f"{name!r}: {told}") for field, name in names if name not in known]
    found += [
        _Problem("alerts.minimumImpact", f"{name}: {least:g} must be 0 or more")
        for name, least in alerts.minimum_impact.items()
        if not least >= 0
    ]
    return found


def _source_problems(item: MetricSet, source: Source) -> list[_Problem]:
    found = []
    if source.path.startswith("/") or "//" in source.path or ".." in source.path or "://" in source.path:
        found.append(
            _Problem(
                "source.path",
                f"{source.path!r} must be a path inside the lake, such as ecommerce/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}",
            )
        )
    if "/" not in source.path.partition("{{")[0]:
        found.append(
            _Problem(
                "source.path",
                f"{source.path!r} must begin with a folder of its own, as in {item.name}/live/{{{{yyyyMMdd}}}}/{{{{HHmm}}}}",
            )
        )
    if special := re.search(r"[^A-Za-z0-9!_.'()/=+@, -]", re.sub(r"\{\{|\}\}", "", source.path)):
        allowed = "letters a-z, digits and ! _ . ' ( ) / = + @ , - and blanks"
        found.append(_Problem("source.path", f"{source.path!r} has {special[0]!r}; it may hold {allowed}"))
    if "." in source.path.split("/"):
        found.append(
            _Problem("source.path", f"{source.path!r} has a folder named '.', which S3 and a laptop read differently")
        )
    if source.path.partition("/")[0] in LAKE_FOLDERS:
        found.append(
            _Problem(
                "source.path",
                f"{source.path!r} lies in a folder of the lake's own ({', '.join(sorted(LAKE_FOLDERS))}); use another",
            )
        )
    try:
        folder = time_patterns.to_python_format(time_patterns.parse_folder_pattern(source.path).pattern)
    except UserError as error:
        return [*found, _Problem("source.path", str(error))]
    day = datetime(2021, 1, 31)
    walls = list(intervals.iterate_wall_times(day, day + intervals.INTERVAL_LENGTHS["P1D"] * 2, item.frequency))
    if (
        len({wall.strftime(folder) for wall in walls}) < len(walls)
        or len({(day.replace(year=y)).strftime(folder) for y in (2021, 2022)}) < 2
    ):
        found.append(
            _Problem(
                "source.path",
                f"{source.path!r} gives two intervals of {item.frequency} one folder; it needs all of year, month, day"
                + ("" if item.frequency == "P1D" else ", hour" + ("" if item.frequency == "PT1H" else ", minute")),
            )
        )
    wanted = [item.timestamp.column, *item.dimension_names, *item.measure_names]
    found += [
        _Problem(
            "source.columns",
            f"must name {name!r} once; it lists the file's columns in their order: {to_one_line(', '.join(source.columns), 500)}",
        )
        for name in wanted
        if source.columns.count(name) != 1
    ]
    if len({name.lower() for name in source.columns}) < len(source.columns):
        found.append(_Problem("source.columns", "two columns have one name (compared without case); rename one"))
    if "slot" in {name.lower() for name in source.columns}:
        found.append(
            _Problem(
                "source.columns",
                "'slot' collides with the partition column of the live table; name the column otherwise",
            )
        )
    if bad := [name for name in source.columns if not COLUMN_PATTERN.fullmatch(name)]:
        found.append(
            _Problem(
                "source.columns", f"{bad[0]!r} must start with a letter or digit and hold only letters, digits, - and _"
            )
        )
    for field, value in (("delimiter", source.delimiter), ("quote", source.quote)):
        if len(value) != 1 or not value.isascii():
            found.append(_Problem(f"source.{field}", f"{value!r} must be one ASCII character"))
    if source.delimiter == source.quote or {source.delimiter, source.quote} & {"\n", "\r", "\0"}:
        found.append(_Problem("source.delimiter", "and source.quote must differ, and neither may be a line break"))
    if source.format == "jsonl" and source.charset != "UTF-8":
        found.append(_Problem("source.charset", "must be UTF-8 for jsonl"))
    if not 0 <= source.offset <= MAX_OFFSET_SECONDS:
        found.append(_Problem("source.offset", f"{source.offset} must be from 0 to {MAX_OFFSET_SECONDS} seconds"))
    return found


def _mapping_problems(mapping: dict[str, str]) -> list[_Problem]:
    if unknown := next((field for field in mapping if field not in MAPPING_FIELDS), None):
        return [
            _Problem(
                f"mapping.{to_one_line(unknown, 100)}",
                f"is no field that a mapping gives; known are {', '.join(MAPPING_FIELDS)}",
            )
        ]
    found = [
        _Problem("mapping", f"lacks `{field}`; an alert needs it")
        for field in REQUIRED_MAPPING_FIELDS
        if field not in mapping
    ]
    for field, expression in mapping.items():
        if field in MAPPING_CONSTANTS:
            if not _is_positive(expression):
                found.append(
                    _Problem(
                        f"mapping.{field}",
                        f"{expression[:100]!r} must be a number greater than 0, such as 100 for scores from 0 to 1",
                    )
                )
            continue
        try:
            expressions.check(expression)
        except (ValueError, RecursionError) as error:
            shown = to_one_line(expression, 200)
            found.append(_Problem(f"mapping.{field}", f"'{shown}' is no JMESPath: {to_one_line(str(error), 200)}"))
    return found


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
