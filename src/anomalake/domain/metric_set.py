"""The metric set: the measures and dimensions to watch, and how to read their data.

Everything else is generated from it.

These are the records only: `metric_set_yaml` reads them from files, `metric_set_checks` checks them, and `routing`
finds the metric set of a detector. docs/metric-sets.md describes every field.
"""

from datetime import datetime
from typing import Literal

import msgspec

from anomalake.domain import intervals, time_patterns
from anomalake.domain.text import to_one_line

MAX_DIMENSIONS = MAX_MEASURES = 10
MAX_OFFSET_SECONDS = 432_000  # 5 days

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


class Dimension(_Labelled, frozen=True, forbid_unknown_fields=True):
    """A categorical field. Alerts can also use one of its `formerly` names."""

    name: str
    label: str | None = None
    description: str | None = None
    formerly: tuple[str, ...] = ()


class Measure(_Labelled, frozen=True, forbid_unknown_fields=True):
    """A numeric field to watch. Alerts can also use one of its `formerly` names."""

    name: str
    aggregation: Literal["SUM", "AVG"]
    label: str | None = None
    unit: str | None = None
    description: str | None = None
    format: Literal["number", "integer", "percent", "currency"] = "number"
    formerly: tuple[str, ...] = ()

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
