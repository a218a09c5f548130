"""The alert: one measure of one metric set, anomalous in one interval, with its series and what contributed.

The JSON is that of Amazon Lookout for Metrics ("AnomalyAlert" as its Lambda and SNS actions sent it), in both generations, with the additions of
Anomalake's own detector. docs/alerts.md describes every field.
"""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from anomalake.domain.metric_set import MetricSet

EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT = (
    datetime(2000, 1, 1),
    datetime(2100, 1, 1),
)  # naive UTC; what the tables' partitions cover
MAX_ALERTS_PER_EVENT = 100  # of one event
MISSING_DATA = "missing data"  # in place of a measure: data that did not arrive. No measure can have the name
MAX_ID_CHARACTERS, MAX_REASON_CHARACTERS = 512, 2_000  # characters; a CloudWatch alarm has some 320 in its ARN at most
MAX_VALUE_CHARACTERS = 5_000  # of a dimension
SEVERITY_LABELS = ((30, "low"), (60, "medium"), (80, "high"), (101, "critical"))  # labels of scores below the number
_Kind = TypeVar("_Kind")
_NAMESPACE = UUID("9c5f9b4e-4f0a-5c0e-8a52-6b8a1f7d3c11")


class AlertError(Exception):
    """An alert that cannot be understood or belongs nowhere: why, and what would be right; cut where it quotes a text without end."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason if len(reason) <= MAX_REASON_CHARACTERS else f"{reason[: MAX_REASON_CHARACTERS - 1]}…")


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


_Dimensional = TypeVar("_Dimensional", DimensionValue, DimensionContribution)


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


_TIMESTAMP = re.compile(
    r"(?P<wall>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.\d+)?"
    r"(?P<offset>Z|[+-]\d\d:?\d\d(?::\d\d)?)?(?:\[(?P<zone>[A-Za-z0-9_+\-/:]+)\])?"
)


def parse_timestamp(text: str) -> datetime:
    """An ISO instant (`2022-03-04T05:25:00.000+0000`; Java adds a zone, `...T05:25Z[UTC]`) as naive UTC; the zone decides only without an offset."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None or not (match["offset"] or match["zone"]):
        raise AlertError(f"timestamp: {text!r} is not written like 2022-03-04T05:25Z[UTC] or 2022-03-04T05:25:00+01:00")
    try:
        wall = datetime.fromisoformat(match["wall"])
        instant = wall.replace(tzinfo=_tzinfo(match["offset"], match["zone"])).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as error:
        raise AlertError(f"timestamp: {text!r} names no instant: {error}") from error
    if not EARLIEST_TIMESTAMP <= instant < TIMESTAMP_LIMIT:
        raise AlertError(
            f"timestamp: {text!r} lies outside the years {EARLIEST_TIMESTAMP.year} to {TIMESTAMP_LIMIT.year - 1} that the tables cover"
        )
    return instant


_FRACTION = re.compile(r"T\d\d:\d\d:\d\d\.(\d{1,9})")


def normalize_report_time(text: str) -> str:
    """An instant, written like a timestamp, in UTC and with milliseconds; such texts sort by time. `AlertError` where it cannot be read."""
    try:
        instant = parse_timestamp(text)
    except AlertError as error:
        raise AlertError(f"reportedAt: {str(error).removeprefix('timestamp: ')}") from error
    match = _FRACTION.search(text)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{(match[1] if match else '').ljust(3, '0')[:3]}Z"


def normalize_report_time_or_none(found: object) -> str | None:
    """`normalize_report_time` of what a service or an envelope says; null where that is no time, which costs the order of reports and not the alert."""
    try:
        return normalize_report_time(found) if isinstance(found, str) else None
    except AlertError:
        return None


def _tzinfo(offset: str | None, zone_name: str | None) -> timezone | ZoneInfo:
    if offset is None:
        return ZoneInfo(zone_name or "")
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:] or 0)))


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


def format_timestamp(instant: datetime) -> str:
    """A naive UTC instant as an alert's `timestamp`, without fractions of a second."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}Z[UTC]"


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


def match_to_metric_set(alert: Alert, metric_set: MetricSet) -> Alert:
    """The alert in the names of the metric set; `AlertError` where it names what the set does not have, or a series' dimension twice."""
    alert = _renamed(alert, metric_set)
    metric, known, where = alert.impacted_metric, set(metric_set.dimension_names), f"the metric set {metric_set.name!r}"
    if metric.metric_name not in (*metric_set.measure_names, MISSING_DATA):
        raise AlertError(
            f"metricName: {where} has no measure {metric.metric_name!r}; it has {', '.join(metric_set.measure_names)}"
        )
    named = [contribution.dimension_name for contribution in metric.dimension_contribution]
    for series in metric.relevant_time_series:
        names = [dimension.dimension_name for dimension in series.dimensions]
        if len(set(names)) < len(names):
            raise AlertError(f"relevantTimeSeries: a series names a dimension twice: {', '.join(names)}")
        named += names
    for value in _values(metric):
        if value is not None and len(value) > MAX_VALUE_CHARACTERS:
            raise AlertError(f"dimensionValue: has {len(value)} characters; at most {MAX_VALUE_CHARACTERS} are taken")
    for name in named:
        if name not in known:
            raise AlertError(
                f"dimensionName: {where} has no dimension {name!r}; it has {', '.join(metric_set.dimension_names) or 'none'}"
            )
    return _declared(alert, known)


def _declared(alert: Alert, known: Collection[str]) -> Alert:
    """The alert whose series have the optional dimensions that are known and that they do not name themselves."""
    metric, replace = alert.impacted_metric, msgspec.structs.replace
    if not any(one.optional_dimensions for one in metric.relevant_time_series):
        return alert

    def whole(series: TimeSeries) -> TimeSeries:
        named = {one.dimension_name: one for one in series.optional_dimensions if one.dimension_name in known}
        named |= {one.dimension_name: one for one in series.dimensions}
        return replace(series, dimensions=tuple(named.values()), optional_dimensions=())

    return replace(
        alert, impacted_metric=replace(metric, relevant_time_series=tuple(map(whole, metric.relevant_time_series)))
    )


def _values(metric: ImpactedMetric) -> Iterator[str | None]:
    """Each value of a dimension that the alert names."""
    for series in metric.relevant_time_series:
        yield from (dimension.dimension_value for dimension in series.dimensions)
    for contribution in metric.dimension_contribution:
        yield from (share.dimension_value for share in contribution.dimension_value_contributions)


def _renamed(alert: Alert, metric_set: MetricSet) -> Alert:
    """The alert with today's names where it has former ones."""
    measures = {former: one.name for one in metric_set.measures for former in one.formerly}
    dimensions = {former: one.name for one in metric_set.dimensions for former in one.formerly}
    if not measures and not dimensions:
        return alert
    replace, metric = msgspec.structs.replace, alert.impacted_metric

    def named(some: tuple[_Dimensional, ...]) -> tuple[_Dimensional, ...]:
        return tuple(
            replace(one, dimension_name=dimensions.get(one.dimension_name, one.dimension_name)) for one in some
        )

    return replace(
        alert,
        impacted_metric=replace(
            metric,
            metric_name=measures.get(metric.metric_name, metric.metric_name),
            dimension_contribution=named(metric.dimension_contribution),
            relevant_time_series=tuple(
                replace(one, dimensions=named(one.dimensions), optional_dimensions=named(one.optional_dimensions))
                for one in metric.relevant_time_series
            ),
        ),
    )


def get_dimension_values(series: TimeSeries, metric_set: MetricSet) -> tuple[str | None, ...]:
    """The series' value of each dimension of the set, null where it lacks one."""
    values = {item.dimension_name: item.dimension_value for item in series.dimensions}
    return tuple(values.get(name) for name in metric_set.dimension_names)


def get_severity_label(score: float | None) -> str:
    """The score, 0 to 100, as a label; `unscored` where there is none."""
    return "unscored" if score is None else next(label for bound, label in SEVERITY_LABELS if score < bound)


def encode(alert: Alert) -> bytes:
    """The alert as JSON; absent and null are the same to a reader."""
    return msgspec.json.encode(alert)
