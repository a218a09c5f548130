"""The alert: one measure of one metric set, anomalous in one interval, with its series and what contributed.

The JSON is that of Amazon Lookout for Metrics ("AnomalyAlert" as its Lambda and SNS actions sent it), in both generations, with the additions of
Anomalake's own detector. docs/alerts.md describes every field.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid5

import msgspec

from anomalake.domain.errors import AlertError
from anomalake.domain.timestamps import normalize_report_time, parse_timestamp

MAX_ALERTS_PER_EVENT = 100  # of one event
MISSING_DATA = "missing data"  # in place of a measure: data that did not arrive. No measure can have the name

MAX_ID_CHARACTERS = 512  # a CloudWatch alarm has some 320 in its ARN at most

SEVERITY_LABELS = ((30, "low"), (60, "medium"), (80, "high"), (101, "critical"))  # labels of scores below the number
_Kind = TypeVar("_Kind")
_NAMESPACE = UUID("9c5f9b4e-4f0a-5c0e-8a52-6b8a1f7d3c11")


class _Wire(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    pass


class DimensionValue(_Wire, frozen=True):
    """One dimension of a series and its value there."""

    dimension_name: str
    dimension_value: str | None = None


class TimeSeries(_Wire, frozen=True):
    """An affected series: its value, and (own detector) what was expected. `fit` keeps the optional dimensions that the metric set declares."""

    dimensions: tuple[DimensionValue, ...] = ()
    metric_value: float | None = None
    time_series_id: str | None = None
    expected_value: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    optional_dimensions: tuple[DimensionValue, ...] = ()


class ValueContribution(_Wire, frozen=True):
    """A dimension value's share of the event, in per cent."""

    value_contribution: float
    dimension_value: str | None = None


class DimensionContribution(_Wire, frozen=True):
    """How an event spreads over the values of one dimension."""

    dimension_name: str
    dimension_value_contributions: tuple[ValueContribution, ...] = ()


class ImpactedMetric(_Wire, frozen=True):
    """The anomalous measure."""

    metric_name: str
    dimension_contribution: tuple[DimensionContribution, ...] = ()
    relevant_time_series: tuple[TimeSeries, ...] = ()


class Alert(_Wire, frozen=True):
    """An alert as its JSON has it; `instant` and `event_id` say what the tables file it under."""

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
    reported_at: str | None = None  # when this report of the event was made: of several, the latest is shown

    @property
    def instant(self) -> datetime:
        """When, as naive UTC."""
        return parse_timestamp(self.timestamp)

    @property
    def event_id(self) -> str:
        """What two alert configurations that report one event share."""
        return self.alert_event_id.rpartition("event/")[2] or self.alert_event_id


def parse(body: bytes | str) -> Alert:
    """The alert of a JSON text, checked as far as it can be without a metric set; `AlertError` otherwise."""
    return validate(convert(decode(body), Alert, "an alert"))


def decode(body: bytes | str) -> dict[str, Any]:
    """The object of a JSON text; `AlertError` where it is none."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise AlertError(f"not an alert: {error}") from error  # a number that is no double
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AlertError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise AlertError("not an alert: nested too deeply") from error
    if not isinstance(found, dict):
        raise AlertError("not an alert: the JSON is no object")
    return found


def convert(found: object, kind: type[_Kind], what: str) -> _Kind:
    """Decoded JSON as a typed record, fields that it does not know left out; `AlertError` names the field that is wrong."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise AlertError(f"not {what}: {error}") from error


def validate(alert: Alert) -> Alert:
    """The alert itself, if its id, score and timestamp can be filed; `AlertError` otherwise."""
    if not alert.alert_event_id:
        raise AlertError("alertEventId: is empty; it names the event")
    for field, text in (("alertEventId", alert.alert_event_id), ("anomalyDetectorArn", alert.anomaly_detector_arn)):
        if len(text) > MAX_ID_CHARACTERS:
            raise AlertError(f"{field}: has {len(text)} characters; at most {MAX_ID_CHARACTERS} are taken")
    if alert.anomaly_score is not None and not 0 <= alert.anomaly_score <= 100:
        raise AlertError(f"anomalyScore: {alert.anomaly_score:g} must be from 0 to 100, or null")
    alert.instant  # noqa: B018  (raises where the timestamp cannot be read)
    return (
        alert
        if alert.reported_at is None
        else msgspec.structs.replace(alert, reported_at=normalize_report_time(alert.reported_at))
    )


def derive_id(*parts: str) -> str:
    """The id of what these parts name: the same for the same parts, whenever and wherever it is asked for."""
    return str(uuid5(_NAMESPACE, "|".join(parts)))


def get_direction(value: float | None, expected: float | None) -> str | None:
    """`above` or `below` what was expected; null where one of them is not known, or they are equal."""
    if value is None or expected is None or value == expected:
        return None
    return "above" if value > expected else "below"


def add_direction(alert: Alert) -> Alert:
    """The alert with a direction: its own, else that of its series together, as far as they have a value and an expected value."""
    if alert.direction is not None:
        return alert
    series = alert.impacted_metric.relevant_time_series
    known = [
        (one.metric_value, one.expected_value)
        for one in series
        if one.metric_value is not None and one.expected_value is not None
    ]
    if not known:
        return alert
    share = 1 / (2 * len(known))  # so that no difference and no sum overflows
    net = math.fsum(value * share - expected * share for value, expected in known)
    found = get_direction(*known[0]) if len(known) == 1 else get_direction(net, 0.0)
    return msgspec.structs.replace(alert, direction=found)


def to_percentages(weights: Sequence[float]) -> list[float]:
    """Weights as per cent with two decimals that add up to 100 exactly (largest remainders)."""
    largest_weight = max(weights)
    weights = (
        [weight / largest_weight for weight in weights] if largest_weight > 0 else weights
    )  # no sum of them overflows
    total = math.fsum(weights)
    parts = [10_000 * weight / total for weight in weights] if total > 0 else [10_000 / len(weights)] * len(weights)
    whole = [math.floor(part) for part in parts]
    largest = sorted(range(len(parts)), key=lambda i: (whole[i] - parts[i], i))
    for i in largest[: 10_000 - sum(whole)]:
        whole[i] += 1
    return [part / 100 for part in whole]


def compute_contribution(name: str, values: Sequence[str | None], weights: Sequence[float]) -> DimensionContribution:
    """The share of each value of a dimension in the event: 100 x its weight / all weights; `weights[i]` (0 or more) belongs to `values[i]`."""
    summed: dict[str | None, float] = {}
    for value, weight in zip(values, weights, strict=True):
        summed[value] = summed.get(value, 0.0) + weight
    parts = zip(summed, to_percentages(list(summed.values())), strict=True)
    return DimensionContribution(
        name,
        tuple(
            ValueContribution(share, value)
            for value, share in sorted(parts, key=lambda part: (-part[1], part[0] or ""))
        ),
    )


def get_severity_label(score: float | None) -> str:
    """The score, 0 to 100, as a label; `unscored` where there is none."""
    return "unscored" if score is None else next(label for bound, label in SEVERITY_LABELS if score < bound)


def encode(alert: Alert) -> bytes:
    """The alert as JSON; absent and null are the same to a reader."""
    return msgspec.json.encode(alert)
