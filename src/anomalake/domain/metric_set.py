"""The metric set: the measures and dimensions to watch, and how to read their data.

Everything else is generated from it.

These are the records only: `metric_set_yaml` reads them from files, `metric_set_checks` checks them, and `routing`
finds the metric set of a detector. docs/metric-sets.md describes every field.
"""

from datetime import datetime
from functools import cache
from typing import Literal

import msgspec

from anomalake.domain import intervals, time_patterns
from anomalake.domain.text import to_one_line

MAX_DIMENSIONS = MAX_MEASURES = 10
MAX_OFFSET_SECONDS = 432_000  # 5 days
MAX_TOP_VALUES = 1_000  # of a dimension

# The fields that `mapping` can give: fields of an alert and of its measure, and `each`, which finds the parts of an
# event that become one alert each.
MAPPING_FIELDS = (
    "each metricName timestamp anomalyScore relevantTimeSeries dimensionContribution direction rootCause "
    "alertEventId anomalyGroupId alertName alertDescription consoleUrl source reportedAt scale"
).split()
MAPPING_CONSTANTS = ("scale",)  # fields whose value is used as it is; the others are JMESPath expressions
REQUIRED_MAPPING_FIELDS = ("metricName", "timestamp")


class _Labelled(msgspec.Struct, frozen=True):
    """A record with a name, a label and a description.

    The texts are cut to the lengths that the AWS services accept.
    """

    @property
    def title(self) -> str:
        """The label, or the name if there is no label."""
        label, name = getattr(self, "label", None), getattr(self, "name", "")
        return to_one_line(label or "", 80) or str(name)

    @property
    def short_description(self) -> str:
        """The description on one line, or an empty text."""
        return to_one_line(getattr(self, "description", None) or "", 240)


Aggregation = Literal["SUM", "AVG", "COUNT", "COUNT_DISTINCT", "MIN", "MAX", "RATIO"]
ADDITIVE_AGGREGATIONS = ("SUM", "COUNT", "COUNT_DISTINCT")
OTHER_VALUES = "(other)"  # the dimension value of the rows that `top` leaves out


class Dimension(_Labelled, frozen=True, forbid_unknown_fields=True):
    """A categorical field. Alerts can also use one of its `formerly` names.

    With `top`, the detector keeps that many values, the largest of the history; rows with other values have the value
    `OTHER_VALUES`.
    """

    name: str
    column: str | None = None  # of the live data; the name by default
    top: int | None = None
    label: str | None = None
    description: str | None = None
    formerly: tuple[str, ...] = ()

    @property
    def source_column(self) -> str:
        """The column of the live data."""
        return self.column or self.name


class Measure(_Labelled, frozen=True, forbid_unknown_fields=True):
    """A number to watch. Alerts can also use one of its `formerly` names.

    The aggregation makes one number of the rows of a series and interval. COUNT counts rows, or with `column` the rows
    that have a value there. COUNT_DISTINCT counts the distinct values of a column. RATIO divides the measure
    `numerator` by the measure `denominator`; both are additive.
    """

    name: str
    aggregation: Aggregation
    column: str | None = None  # of the live data; the name by default
    numerator: str | None = None
    denominator: str | None = None
    label: str | None = None
    unit: str | None = None
    description: str | None = None
    format: Literal["number", "integer", "percent", "currency"] = "number"
    formerly: tuple[str, ...] = ()

    @property
    def source_column(self) -> str | None:
        """The column of the live data; None for a count of rows and for a ratio, which have no column."""
        if self.aggregation == "RATIO" or (self.aggregation == "COUNT" and self.column is None):
            return None
        return self.column or self.name

    @property
    def is_additive(self) -> bool:
        """Whether values of several series and intervals are added up, and no row means zero."""
        return self.aggregation in ADDITIVE_AGGREGATIONS

    @property
    def has_weight(self) -> bool:
        """Whether values are means, whose weight is the number of rows (AVG) or the denominator (RATIO)."""
        return self.aggregation in ("AVG", "RATIO")

    @property
    def short_unit(self) -> str:
        """The unit on one line, or an empty text."""
        return to_one_line(self.unit or "", 30)


class Timestamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The column that contains the timestamp, and its format: a Java date pattern, or `UNIX`."""

    column: str
    format: str


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The path of the live data and the format of its files."""

    path: str
    format: Literal["csv", "jsonl"]
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    charset: Literal["UTF-8", "ISO-8859-1"] = "UTF-8"
    compression: Literal["none", "gzip"] = "none"
    offset: int = 0  # seconds


class Snooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time series that do not alert before the date `until`.

    A series matches if it has one of the listed values in each listed dimension. An empty `measures` means all
    measures.
    """

    until: str
    dimensions: dict[str, tuple[str | None, ...]] = {}
    measures: tuple[str, ...] = ()


class Alerts(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"minimum_impact": "minimumImpact", "missing_data": "missingData"},
):
    """Which anomalies the built-in detector alerts on, and which other detectors send their alerts to this metric set.

    An empty filter passes all.
    """

    sensitivity: float = 50  # the lowest severity score that alerts, 0 to 100
    detectors: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    dimensions: dict[str, tuple[str | None, ...]] = {}
    direction: Literal["above", "below"] | None = None
    minimum_impact: dict[str, float] = {}  # by measure, in its unit: sum of |value - expected| over the event's series
    snoozed: tuple[Snooze, ...] = ()
    missing_data: bool = True  # whether missing data is an event


@cache
def find_folder_period(path: str, frequency: intervals.Frequency) -> intervals.Frequency | None:
    """Return the time that a folder of the path covers; None if intervals do not fit into its folders.

    Raises `UserError` for a path that cannot be read.
    """
    pattern = time_patterns.parse_folder_pattern(path).pattern
    folder_format = time_patterns.to_python_format(pattern)
    first = intervals.floor_to_interval(datetime(2021, 1, 31), frequency)
    last = datetime(2021, 2, 1, 23, 59) if intervals.is_sub_daily(frequency) else datetime(2022, 3, 2)
    walls = list(intervals.iterate_wall_times(first, last, frequency))
    try:
        folders = [datetime.strptime(wall.strftime(folder_format), folder_format) for wall in walls]
    except ValueError:
        return None
    if folders == walls:
        return frequency
    letters = set(time_patterns.locate_fields(pattern))
    if not {"y", "M"} <= letters:
        return None
    period = "PT1H" if "H" in letters else "P1D" if "d" in letters else "P1M"
    fits = all(
        intervals.floor_to_interval(wall, period) == folder
        and intervals.next_wall_time(wall, frequency) <= intervals.next_wall_time(folder, period)
        for wall, folder in zip(walls, folders, strict=True)
    )
    return period if fits else None


class MetricSet(_Labelled, frozen=True, forbid_unknown_fields=True):
    """A metric set, as its file describes it."""

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
    # What an interval without rows of a series means: its additive measures are zero, or nothing is known of them.
    # By default zero if a measure counts (COUNT, COUNT_DISTINCT), else unknown.
    missing: Literal["zero", "unknown"] | None = None

    @property
    def missing_is_zero(self) -> bool:
        """Whether a known series without rows has the value zero in its additive measures."""
        if self.missing is not None:
            return self.missing == "zero"
        return any(measure.aggregation in ("COUNT", "COUNT_DISTINCT") for measure in self.measures)

    @property
    def has_top(self) -> bool:
        """Whether a dimension keeps only its largest values."""
        return any(dimension.top for dimension in self.dimensions)

    @property
    def folder_period(self) -> intervals.Frequency:
        """The time that a folder of live data covers: one interval, or all shorter intervals of an hour, day or month.

        `{{yyyyMMdd}}` in the path of an hourly metric set is the folder of a day, whose files have rows of all hours.
        """
        if self.source is None:
            return self.frequency
        return find_folder_period(self.source.path, self.frequency) or self.frequency

    @property
    def path(self) -> str:
        """The part of a lake key that belongs to this metric set: `<name>/v<version>`."""
        return f"{self.name}/v{self.version}"

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """The names of the dimensions, in declared order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def measure_names(self) -> tuple[str, ...]:
        """The names of the measures, in declared order."""
        return tuple(measure.name for measure in self.measures)

    @property
    def mapping_arn(self) -> str:
        """The detector ARN of alerts that the `mapping` of this metric set reads."""
        return f"arn:anomalake:mapping:::AnomalyDetector:{self.name}"

    @property
    def detector_arn(self) -> str:
        """The detector ARN of alerts that the built-in detector sends for this metric set."""
        return f"arn:anomalake:detector:::AnomalyDetector:{self.name}"

    @property
    def clock(self) -> intervals.Clock:
        """The clock that counts the intervals of this metric set."""
        return intervals.Clock(self.frequency, self.timezone, absolute=self.timestamp.format == time_patterns.UNIX)

    @property
    def score_factor(self) -> float:
        """The factor that turns the score of a custom event into a severity score from 0 to 100."""
        return float(self.mapping.get("scale", 1))

    def start(self, instant: datetime) -> datetime:
        """Return the start of the interval that contains the instant, both naive UTC."""
        return self.clock.start(instant)
