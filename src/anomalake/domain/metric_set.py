"""The metric set: what is watched. One YAML file each, loaded and checked here; everything else is made from it.

The fields are described in docs/metric-sets.md. A mistake raises `UserError` naming the file, the field and what is allowed.
"""

import re
from collections import Counter
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfoNotFoundError

import msgspec
import yaml

from anomalake.domain import expressions, intervals, strict_yaml, time_patterns
from anomalake.domain.errors import UserError

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,40}")
COLUMN_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,62}")
MAX_DIMENSIONS = MAX_MEASURES = 10
MAX_OFFSET_SECONDS = 432_000
# What the lake writes itself lies in these (lake.layout); live data among it would be expired, or read as results.
LAKE_FOLDERS = frozenset(
    "anomalyResults alerts quarantine detector feedback notifications athena-results backfill metric_sets".split()
)

# Columns that the tables and views add to those of the metric set, lower-cased; names may not collide with them.
GENERATED_COLUMNS = frozenset(
    "key timestamp localtimestamp date utcday slot isanomaly haslive metricset metricname dimensions dimensionname dimensionvalue valuecontribution "
    "contributionshare groupscore severity direction affectedseries eventid anomalygroupid alerteventid alertname detectorarn source consoleurl "
    "rootcause reportid reportedat eventrank value expectedvalue lowerbound upperbound score".split()
)
# What the anomaly table holds of each measure: `<measure><suffix>`; the views show all but the id of the report.
ANOMALY_COLUMN_SUFFIXES = ("AnomalyMetricValue", "GroupScore", "ExpectedValue", "LowerBound", "UpperBound", "EventId")
REPORT_ID_SUFFIX = "ReportId"

# What `mapping` may give: the fields of an alert, those of its measure among them, and `each`, the parts of an event that are an alert each.
MAPPING_FIELDS = (
    "each metricName timestamp anomalyScore relevantTimeSeries dimensionContribution direction rootCause "
    "alertEventId anomalyGroupId alertName alertDescription consoleUrl source reportedAt scale"
).split()
MAPPING_CONSTANTS = ("scale",)  # a value as it is, and no expression
REQUIRED_MAPPING_FIELDS = ("metricName", "timestamp")


def replace_unprintable(text: str) -> str:
    """The text on one line, with a blank for each character that is not printable (line breaks, control characters, marks of direction)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def to_one_line(text: str, most: int) -> str:
    """A text for people on one line, no longer than the services take it, and without what CloudFormation would take for a parameter."""
    line = " ".join(replace_unprintable(text).split()).replace("${", "$ {")
    return line if len(line) <= most else f"{line[: most - 1]}…"


class _Named(msgspec.Struct, frozen=True):
    """What people know by a label; the texts that services show are bounded here, once."""

    @property
    def title(self) -> str:
        """The label, else the name."""
        label, name = getattr(self, "label", None), getattr(self, "name", "")
        return to_one_line(label or "", 80) or str(name)

    @property
    def short_description(self) -> str:
        """The description, empty where there is none."""
        return to_one_line(getattr(self, "description", None) or "", 240)


class Dimension(_Named, frozen=True, forbid_unknown_fields=True):
    """A categorical field; alerts may still call it as it was called `formerly`."""

    name: str
    label: str | None = None
    description: str | None = None
    formerly: tuple[str, ...] = ()


class Measure(_Named, frozen=True, forbid_unknown_fields=True):
    """A numeric field that is watched; alerts may still call it as it was called `formerly`."""

    name: str
    aggregation: Literal["SUM", "AVG"]
    label: str | None = None
    unit: str | None = None
    description: str | None = None
    format: Literal["number", "integer", "percent", "currency"] = "number"
    formerly: tuple[str, ...] = ()

    @property
    def short_unit(self) -> str:
        """The unit, empty where there is none."""
        return to_one_line(self.unit or "", 30)


class Timestamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The column that says when, and the Java pattern (or `UNIX`) it is written in."""

    column: str
    format: str


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the live data lies and how its files read."""

    path: str
    format: Literal["csv", "jsonl"]
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    charset: Literal["UTF-8", "ISO-8859-1"] = "UTF-8"
    compression: Literal["none", "gzip"] = "none"
    offset: int = 0


class Snooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Series that do not alert before a date: those that have one of the values of each dimension, in these measures (none named: in all)."""

    until: str
    dimensions: dict[str, tuple[str | None, ...]] = {}
    measures: tuple[str, ...] = ()


class Alerts(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"minimum_impact": "minimumImpact", "missing_data": "missingData"},
):
    """What the own detector alerts on, from the lowest score on, and whose alerts belong here; a filter that is empty lets everything pass."""

    sensitivity: float = 50
    detectors: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    dimensions: dict[str, tuple[str | None, ...]] = {}
    direction: Literal["above", "below"] | None = None
    minimum_impact: dict[
        str, float
    ] = {}  # of a measure, in its unit: the sum of |value - expected| over the event's series
    snoozed: tuple[Snooze, ...] = ()
    missing_data: bool = True  # whether data that does not arrive is an event


class MetricSet(_Named, frozen=True, forbid_unknown_fields=True):
    """A metric set as its file says it, checked."""

    name: str
    frequency: intervals.Frequency
    timestamp: Timestamp
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    version: int = 1
    timezone: str = "UTC"
    label: str | None = None
    description: str | None = None
    source: Source | None = None
    alerts: Alerts = Alerts()
    mapping: dict[str, str] = {}

    @property
    def path(self) -> str:
        """The part of a lake key that is this set's own: `<name>/v<version>`."""
        return f"{self.name}/v{self.version}"

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """In declared order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def measure_names(self) -> tuple[str, ...]:
        """In declared order."""
        return tuple(measure.name for measure in self.measures)

    @property
    def mapping_arn(self) -> str:
        """The id of the alerts that the set's own mapping reads."""
        return f"arn:anomalake:mapping:::AnomalyDetector:{self.name}"

    @property
    def detector_arn(self) -> str:
        """The id under which the own detector alerts for this set."""
        return f"arn:anomalake:detector:::AnomalyDetector:{self.name}"

    @property
    def clock(self) -> intervals.Clock:
        """How intervals are counted."""
        return intervals.Clock(self.frequency, self.timezone, absolute=self.timestamp.format == time_patterns.UNIX)

    @property
    def score_factor(self) -> float:
        """What the score of a home-made event is multiplied by."""
        return float(self.mapping.get("scale", 1))

    def start(self, instant: datetime) -> datetime:
        """The start of the interval that holds the instant, both naive UTC."""
        return self.clock.start(instant)


def to_metric_set_name(text: str) -> str:
    """A metric set's name made of somebody's words (a file's name, another service's): lower case, `_` for what a name may not hold, 41 at most."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).lstrip("_0123456789")[:41].rstrip("_") or "metrics"


def to_column_name(text: str) -> str:
    """A dimension's or measure's name made of another service's: `_` for what a column may not hold, and behind a generated column's name."""
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", text).lstrip("_-")[:63] or "unnamed"
    return f"{name}_" if name.lower() in GENERATED_COLUMNS else name


def load(file: Path) -> MetricSet:
    """The metric set of one YAML file."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(strict_yaml.MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    return parse(text, str(file))


def load_all(folder: Path) -> tuple[MetricSet, ...]:
    """The metric sets of a folder (its `*.yaml`), or the one of a file; two of one name are refused."""
    if not folder.exists():
        raise UserError(f"{folder}: there is no such metric set; name a YAML file, or a folder that holds some")
    files = [folder] if folder.is_file() else sorted(folder.glob("*.yaml"))
    if not files:
        raise UserError(
            f"{folder}: holds no metric set; each is a file <name>.yaml (`anomalake init FILE` writes one from your data)"
        )
    sets = tuple(load(file) for file in files)
    if repeated := [name for name, count in Counter(item.name for item in sets).items() if count > 1]:
        raise UserError(f"{folder}: two metric sets are named {repeated[0]!r}; each needs a name of its own")
    return sets


def parse(text: str, where: str) -> MetricSet:
    """The metric set of a YAML text; `where` is the name that errors give it."""
    document = strict_yaml.parse(text, where)
    if not isinstance(document, dict):
        raise UserError(
            f"{where}: holds no metric set; it starts with `name:`, `frequency:`, `timestamp:` (docs/metric-sets.md)"
        )
    try:
        item = msgspec.convert(_plain(document), MetricSet)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {_in_words(str(error))}") from error
    for field, problem in _problems(item):
        raise UserError(f"{where}: {field}: {problem}")
    return item


def _plain(document: dict[Any, Any]) -> dict[Any, Any]:
    """A dimension may be written as its bare name, and `scale` as a number among the mapping's texts."""
    dimensions = document.get("dimensions")
    if isinstance(dimensions, list):
        document = {
            **document,
            "dimensions": [{"name": item} if isinstance(item, str) else item for item in dimensions],
        }
    mapping = document.get("mapping")
    if (
        isinstance(mapping, dict)
        and isinstance(scale := mapping.get("scale"), int | float)
        and not isinstance(scale, bool)
    ):
        document = {**document, "mapping": {**mapping, "scale": _number_text(scale)}}
    return document


def _number_text(number: float) -> str:
    try:
        return str(float(number))
    except OverflowError:
        return "inf"


_ALLOWED = {
    "frequency": "P1D, PT1H, PT10M or PT5M",
    "aggregation": "SUM or AVG",
    "source.format": "csv or jsonl",
    "format": "number, integer, percent or currency",
    "compression": "none or gzip",
    "charset": "UTF-8 or ISO-8859-1",
    "direction": "above or below",
}


def _in_words(message: str) -> str:
    """What msgspec says (`... - at `$.a.b``) with the field first, and what is allowed."""
    problem, _, path = message.partition(" - at ")
    field = path.strip("`").removeprefix("$").removeprefix(".").replace("key in `$`", "")
    last = field.rpartition(".")[2]
    if problem.startswith("Invalid enum value"):
        problem = f"{problem.removeprefix('Invalid enum value ')} must be {_ALLOWED.get(field) or _ALLOWED.get(last, 'one that is known')}"
    elif problem.startswith("Object contains unknown field"):
        known = _RECORDS.get(last.partition("[")[0], MetricSet).__struct_encode_fields__
        problem = f"has the unknown field {problem.rpartition('field ')[2]}; known are {', '.join(known)}"
    problem = problem.replace("Object missing required field", "lacks the field")
    return f"{field}: {problem}" if field else problem


_RECORDS: dict[str, type[msgspec.Struct]] = {
    "dimensions": Dimension,
    "measures": Measure,
    "timestamp": Timestamp,
    "source": Source,
    "alerts": Alerts,
    "snoozed": Snooze,
}


class _Problem(NamedTuple):
    field: str
    problem: str


def _problems(item: MetricSet) -> list[_Problem]:
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


def extract_detector_name(arn: str) -> str:
    """What follows the type in an ARN's resource, colons and all (`alarm:api: 5xx` gives `api: 5xx`); of a text that is no ARN, its last part."""
    fields = arn.split(":", 5)
    if len(fields) < 6 or fields[0] != "arn":
        return arn.rpartition(":")[2]
    kind, colon, name = fields[5].partition(":")
    return name if colon and "/" not in kind else fields[5]


def names_detector(item: MetricSet, detector_arn: str) -> bool:
    """Whether `alerts.detectors` names the detector literally, by name or by ARN."""
    return not {detector_arn, extract_detector_name(detector_arn)}.isdisjoint(item.alerts.detectors)


def matches_detector(item: MetricSet, detector_arn: str) -> bool:
    """Whether a pattern in `alerts.detectors` matches the detector: its ARN, its name, or what follows the last colon."""
    called = {detector_arn, extract_detector_name(detector_arn), detector_arn.rpartition(":")[2]}
    return any(fnmatchcase(name, pattern) for pattern in item.alerts.detectors for name in called)


def find_metric_set(detector_arn: str, sets: tuple[MetricSet, ...]) -> MetricSet:
    """The metric set that a detector's alerts belong to; `UserError` says which line to add where.

    The nearest claim counts: the set whose mapping made the alert, a set that names the detector, a set of its name, a set whose pattern matches.
    """
    name = extract_detector_name(detector_arn)
    own = [item for item in sets if item.name == name]
    if own and detector_arn == own[0].mapping_arn and own[0].mapping:
        return own[0]
    for claims in (names_detector, None, matches_detector):
        matching = own if claims is None else [item for item in sets if claims(item, detector_arn)]
        if len(matching) > 1:
            several = ", ".join(item.name for item in matching)
            raise UserError(
                f"the detector {detector_arn!r} is claimed by several metric sets ({several}); leave it in the alerts.detectors of one"
            )
        if matching:
            return matching[0]
    known = to_one_line(", ".join(item.name for item in sets), 500)
    raise UserError(
        f"no metric set takes the alerts of the detector {detector_arn!r}; add it to one (there are: {known}): "
        f"in src/metric_sets/<name>.yaml write `alerts: {{detectors: [{_yaml_text(name)}]}}`, or add it to the `detectors` that are there"
    )


def _yaml_text(text: str) -> str:
    """The text as it stands in a YAML list: bare where that reads as the same text, else in double quotes."""
    if re.fullmatch(r"[A-Za-z][\w./-]*", text, re.ASCII) and strict_yaml.parse(text, text) == text:
        return text
    quoted = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=text.isprintable())
    return str(quoted).removesuffix("\n")
