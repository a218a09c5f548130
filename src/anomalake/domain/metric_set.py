"""The metric set: what is watched. One YAML file each, loaded and checked here; everything else is made from it.

The fields are described in docs/metric-sets.md. A mistake raises `UserError` naming the file, the field and what is allowed.
"""

from datetime import datetime
from typing import Literal

import msgspec

from anomalake.domain import intervals, time_patterns
from anomalake.domain.text import to_one_line

MAX_DIMENSIONS = MAX_MEASURES = 10
MAX_OFFSET_SECONDS = 432_000


# What `mapping` may give: the fields of an alert, those of its measure among them, and `each`, the parts of an event that are an alert each.
MAPPING_FIELDS = (
    "each metricName timestamp anomalyScore relevantTimeSeries dimensionContribution direction rootCause "
    "alertEventId anomalyGroupId alertName alertDescription consoleUrl source reportedAt scale"
).split()
MAPPING_CONSTANTS = ("scale",)  # a value as it is, and no expression
REQUIRED_MAPPING_FIELDS = ("metricName", "timestamp")


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
