"""Home-made events: a metric set's `mapping` says in JMESPath what each field of an alert is. docs/metric-sets.md describes it.

Source: "JMESPath Specification" for the expressions.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from anomalake.domain import alert as alerts
from anomalake.domain import expressions, time_patterns
from anomalake.domain.alert import MAX_ALERTS_PER_EVENT, Alert
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import AlertError
from anomalake.domain.metric_set import MAPPING_CONSTANTS, REQUIRED_MAPPING_FIELDS, MetricSet
from anomalake.domain.timestamps import format_timestamp

SOURCE = "mapping"
PART = "anomalakeMapping"  # the field of a part that stands alone: the metric set whose mapping reads it; `part` is the part
MAX_FIELDS_NAMED = 20
MAX_BODY_CHARACTERS = 262_144  # characters, as SNS takes; JMESPath needs a second for a MiB of small things


def read(event: dict[str, Any], sets: tuple[MetricSet, ...]) -> tuple[Alert, ...]:
    """The alerts that the sets' mappings find, none where `each` finds no part; `AlertError` says why no mapping reads the event."""
    mapped = [item for item in sets if item.mapping]
    taken = _taken(event, mapped)
    if not taken:
        fields = ", ".join(list(event)[:MAX_FIELDS_NAMED]) or "(none)"
        tried = f", and not that of a mapping ({', '.join(item.name for item in mapped)})" if mapped else ""
        raise AlertError(
            f"an event of no known source{tried}; it has the fields {fields} (docs/alerts.md lists the sources)"
        )
    if (many := sum(len(several) for _, several in taken)) > MAX_ALERTS_PER_EVENT:
        raise AlertError(f"an event of {many} alerts; at most {MAX_ALERTS_PER_EVENT} are taken, send them in several")
    results = [(item, [_attempt(part, item) for part in several]) for item, several in taken]
    found, wrong = [one for _, several in results for one in several if isinstance(one, Alert)], _wrong(results)
    if wrong:
        raise AlertError("; ".join(wrong))
    return tuple(found)


def split_event(event: dict[str, Any], sets: tuple[MetricSet, ...]) -> list[str]:
    """Each part of an event that a mapping reads as an alert, alone and with the name of the mapping's set."""
    taken = _taken(event, [item for item in sets if item.mapping])
    if sum(len(several) for _, several in taken) > MAX_ALERTS_PER_EVENT:
        return []
    readable = [
        (item, several) for item, several in taken if any(isinstance(_attempt(part, item), Alert) for part in several)
    ]
    return [json.dumps({PART: item.name, "part": part}) for item, several in readable for part in several]


def _attempt(part: object, item: MetricSet) -> Alert | AlertError:
    try:
        return _alert(part, item)
    except AlertError as error:
        return error


def _wrong(results: Sequence[tuple[MetricSet, Sequence[Alert | AlertError]]]) -> list[str]:
    """Why parts cannot be read. A set that can read none is not meant where another set reads the event: its mapping only looks like it."""
    read = [result for result in results if any(isinstance(one, Alert) for one in result[1])]
    return list(
        dict.fromkeys(
            f"the mapping of {item.name!r}: {one}"
            for item, several in read or results
            for one in several
            if isinstance(one, AlertError)
        )
    )


def _taken(event: dict[str, Any], mapped: Sequence[MetricSet]) -> list[tuple[MetricSet, list[Any]]]:
    """The sets whose mapping reads the event, with what is an alert each."""
    if PART in event and "part" in event:
        return [(item, [event["part"]]) for item in mapped if item.name == event[PART]]
    return [(item, found) for item in mapped if (found := _parts(event, item.mapping)) is not None]


def _parts(event: object, mapping: Mapping[str, str]) -> list[Any] | None:
    """What is an alert each: the event, or the parts that `each` finds; None where the event is not of this mapping."""
    try:
        if "each" in mapping:
            parts = _search(mapping, "each", event)
            return parts if isinstance(parts, list) else None
        return [event] if all(_search(mapping, field, event) for field in REQUIRED_MAPPING_FIELDS) else None
    except AlertError:  # such as a function of JMESPath on a field that other events have
        return None


def _search(mapping: Mapping[str, str], field: str, part: object) -> Any:
    """What the expression finds; nothing and `false` are null."""
    try:
        found = expressions.search(mapping[field], part)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise AlertError(f"{field}: {mapping[field]!r:.200} cannot be evaluated: {str(error)[:200]}") from error
    return None if found is False else found


def _alert(part: object, item: MetricSet) -> Alert:
    found = {
        field: _search(item.mapping, field, part) for field in item.mapping if field not in ("each", *MAPPING_CONSTANTS)
    }
    for field in REQUIRED_MAPPING_FIELDS:
        if not found[field]:
            raise AlertError(f"{field}: {item.mapping[field]!r} finds nothing")
    rows = {field: found.pop(field, None) or [] for field in ("relevantTimeSeries", "dimensionContribution")}
    given = {
        **found,
        "anomalyScore": _scaled(found.get("anomalyScore"), item.score_factor),
        "source": found.get("source") or SOURCE,
        "alertEventId": found.get("alertEventId") or "",
        "anomalyDetectorArn": item.mapping_arn,
        "timestamp": _time("timestamp", found["timestamp"]),
        "reportedAt": _time("reportedAt", found.get("reportedAt")),
        "impactedMetric": {"metricName": found.pop("metricName"), **rows},
    }
    alert = alerts.convert(given, Alert, "an alert")
    match_to_metric_set(alert, item)
    return alert if alert.alert_event_id else msgspec.structs.replace(alert, alert_event_id=_event_id(alert))


def _scaled(score: object, factor: float) -> object:
    """The score times the factor; what is no number is left for the check of types."""
    if factor == 1 or not isinstance(score, int | float) or isinstance(score, bool):
        return score
    try:
        return round(score * factor, 2)
    except OverflowError as error:
        raise AlertError("anomalyScore: is too large for a number") from error


def _event_id(alert: Alert) -> str:
    """The same for the same measure, second and series, whatever else the event says."""
    metric = alert.impacted_metric
    series = sorted(
        sorted((one.dimension_name, one.dimension_value or "") for one in (*each.dimensions, *each.optional_dimensions))
        for each in metric.relevant_time_series
    )
    identity = alerts.derive_id(
        alert.anomaly_detector_arn, metric.metric_name, format_timestamp(alert.instant), json.dumps(series)
    )
    return f"{alert.anomaly_detector_arn}:event/{identity}"


def _time(field: str, found: object) -> object:
    """A number as seconds since 1970, a great one as milliseconds; a text as it is."""
    if not isinstance(found, int | float) or isinstance(found, bool):
        return found
    try:
        instant = datetime(1970, 1, 1) + timedelta(
            seconds=found / 1000 if found > time_patterns.MAX_UNIX_SECONDS else found
        )
        return format_timestamp(instant) if field == "timestamp" else f"{instant.isoformat(timespec='milliseconds')}Z"
    except OverflowError as error:
        raise AlertError(f"{field}: {found!r} is no time since 1970") from error
