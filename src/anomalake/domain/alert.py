"""The alert: a measure of a metric set is anomalous in an interval. It lists the time series and contributions.

The JSON is the "AnomalyAlert" that Amazon Lookout for Metrics sent from its Lambda and SNS actions, in both
generations, with the fields that Anomalake's own detector adds. docs/alerts.md describes every field.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid5

import msgspec

from anomalake.domain.errors import AlertError
from anomalake.domain.timestamps import normalize_report_time, parse_timestamp

MAX_ALERTS_PER_EVENT = 100
MAX_ID_CHARACTERS = 512  # the ARN of a CloudWatch alarm has at most about 320
MISSING_DATA = "missing data"  # the measure name of an alert about missing data; no measure can have this name
SEVERITY_LABELS = ((30, "low"), (60, "medium"), (80, "high"), (101, "critical"))  # each label applies to scores below
_Kind = TypeVar("_Kind")
_ID_NAMESPACE = UUID("9c5f9b4e-4f0a-5c0e-8a52-6b8a1f7d3c11")


class _Record(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A record whose JSON fields are in camel case, without the fields that have their default value."""


class DimensionValue(_Record, frozen=True):
    """A dimension of a time series and its value."""

    dimension_name: str
    dimension_value: str | None = None


class TimeSeries(_Record, frozen=True):
    """An affected time series: its value and, from Anomalake's detector, the expected value and bounds.

    `alert_matching.match_to_metric_set` keeps those `optional_dimensions` that the metric set declares.
    """

    dimensions: tuple[DimensionValue, ...] = ()
    metric_value: float | None = None
    time_series_id: str | None = None
    expected_value: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    optional_dimensions: tuple[DimensionValue, ...] = ()


class ValueContribution(_Record, frozen=True):
    """The contribution of a dimension value to the event, in percent."""

    value_contribution: float
    dimension_value: str | None = None


class DimensionContribution(_Record, frozen=True):
    """The contributions of the values of one dimension to an event."""

    dimension_name: str
    dimension_value_contributions: tuple[ValueContribution, ...] = ()


class ImpactedMetric(_Record, frozen=True):
    """The anomalous measure."""

    metric_name: str
    dimension_contribution: tuple[DimensionContribution, ...] = ()
    relevant_time_series: tuple[TimeSeries, ...] = ()


class Alert(_Record, frozen=True):
    """An alert with the fields of its JSON. The tables store it under its `instant` and `event_id`."""

    alert_event_id: str
    anomaly_detector_arn: str
    timestamp: str
    impacted_metric: ImpactedMetric
    anomaly_score: float | None
    alert_name: str | None = None
    alert_arn: str | None = None
    alert_description: str | None = None
    anomaly_group_id: str | None = None
    console_url: str | None = None
    source: str | None = None
    direction: str | None = None
    root_cause: str | None = None
    reported_at: str | None = None  # the time of this report of the event; views show the latest report

    @property
    def instant(self) -> datetime:
        """The timestamp as naive UTC. Raises `AlertError`."""
        return parse_timestamp(self.timestamp)

    @property
    def event_id(self) -> str:
        """The id of the event, which two alert configurations that report the same event share."""
        return self.alert_event_id.rpartition("event/")[2] or self.alert_event_id


def parse(body: bytes | str) -> Alert:
    """Read an alert from JSON and validate it, as far as possible without a metric set. Raises `AlertError`."""
    return validate(convert(decode(body), Alert, "an alert"))


def decode(body: bytes | str) -> dict[str, Any]:
    """Decode a JSON object. Raises `AlertError` if the text is not JSON, or is another JSON value."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise AlertError(f"not an alert: {error}") from error  # a number that is too large for a double
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AlertError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise AlertError("not an alert: nested too deeply") from error
    if not isinstance(document, dict):
        raise AlertError("not an alert: the JSON is not an object")
    return document


def convert(document: object, kind: type[_Kind], what: str) -> _Kind:
    """Convert decoded JSON to a record and ignore unknown fields. Raises `AlertError`, which names the invalid field.

    `what` names the record.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise AlertError(f"not {what}: {error}") from error


def validate(alert: Alert) -> Alert:
    """Check the ids, score and timestamps of an alert. Return the alert with a normalized `reported_at`.

    Raises `AlertError`.
    """
    if not alert.alert_event_id:
        raise AlertError("alertEventId: is empty; it must identify the event")
    for field, text in (("alertEventId", alert.alert_event_id), ("anomalyDetectorArn", alert.anomaly_detector_arn)):
        if len(text) > MAX_ID_CHARACTERS:
            raise AlertError(f"{field}: has {len(text)} characters; the limit is {MAX_ID_CHARACTERS}")
    if alert.anomaly_score is not None and not 0 <= alert.anomaly_score <= 100:
        raise AlertError(f"anomalyScore: {alert.anomaly_score:g} must be from 0 to 100, or null")
    parse_timestamp(alert.timestamp)
    if alert.reported_at is None:
        return alert
    return msgspec.structs.replace(alert, reported_at=normalize_report_time(alert.reported_at))


def derive_id(*parts: str) -> str:
    """Return an id (UUID version 5) derived from the parts: equal parts always give the same id."""
    return str(uuid5(_ID_NAMESPACE, "|".join(parts)))


def get_direction(value: float | None, expected: float | None) -> str | None:
    """Return `above` or `below`: the position of the value compared with the expected value.

    None if one is missing, or both are equal.
    """
    if value is None or expected is None or value == expected:
        return None
    return "above" if value > expected else "below"


def add_direction(alert: Alert) -> Alert:
    """Add the direction of the sum of its series with value and expected value, unless the alert has a direction."""
    if alert.direction is not None:
        return alert
    pairs = [
        (series.metric_value, series.expected_value)
        for series in alert.impacted_metric.relevant_time_series
        if series.metric_value is not None and series.expected_value is not None
    ]
    if not pairs:
        return alert
    scale = 1 / (2 * len(pairs))  # prevents an overflow of each difference and of the sum
    net = math.fsum(value * scale - expected * scale for value, expected in pairs)
    direction = get_direction(*pairs[0]) if len(pairs) == 1 else get_direction(net, 0.0)
    return msgspec.structs.replace(alert, direction=direction)


def to_percentages(weights: Sequence[float]) -> list[float]:
    """Convert weights (0 or more) to percentages with two decimals whose sum is 100 (largest remainder method)."""
    largest_weight = max(weights)
    if largest_weight > 0:  # scaled, so that their sum does not overflow
        weights = [weight / largest_weight for weight in weights]
    total = math.fsum(weights)
    parts = [10_000 * weight / total for weight in weights] if total > 0 else [10_000 / len(weights)] * len(weights)
    hundredths = [math.floor(part) for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: (hundredths[i] - parts[i], i))
    for i in by_remainder[: 10_000 - sum(hundredths)]:
        hundredths[i] += 1
    return [part / 100 for part in hundredths]


def compute_contribution(name: str, values: Sequence[str | None], weights: Sequence[float]) -> DimensionContribution:
    """Return the contribution of each value of a dimension, in percent: 100 x its weight / all weights.

    `weights[i]` (0 or more) belongs to `values[i]`.
    """
    weight_by_value: dict[str | None, float] = {}
    for value, weight in zip(values, weights, strict=True):
        weight_by_value[value] = weight_by_value.get(value, 0.0) + weight
    contributions = zip(weight_by_value, to_percentages(list(weight_by_value.values())), strict=True)
    largest_first = sorted(contributions, key=lambda pair: (-pair[1], pair[0] or ""))
    return DimensionContribution(name, tuple(ValueContribution(percent, value) for value, percent in largest_first))


def get_severity_label(score: float | None) -> str:
    """Return the label of a severity score from 0 to 100; `unscored` for a missing score."""
    return "unscored" if score is None else next(label for bound, label in SEVERITY_LABELS if score < bound)


def encode(alert: Alert) -> bytes:
    """Return the alert as JSON. Fields with their default value are omitted; a missing field and null mean the same."""
    return msgspec.json.encode(alert)
