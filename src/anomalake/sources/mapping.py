"""Custom events: the `mapping` of a metric set has a JMESPath expression for each field of an alert.

docs/metric-sets.md describes the fields. Source: "JMESPath Specification".
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
from anomalake.domain.text import quote
from anomalake.domain.timestamps import format_timestamp

SOURCE = "mapping"
# An event that `split_event` returns has two fields: this one is the metric set whose mapping reads it, `part` is the
# part of the original event.
METRIC_SET_FIELD = "anomalakeMapping"
MAX_FIELDS_NAMED = 20  # in an error message
MAX_BODY_CHARACTERS = 262_144  # the limit of SNS; JMESPath needs one second for 1 MiB of small values


def read(event: dict[str, Any], sets: tuple[MetricSet, ...]) -> tuple[Alert, ...]:
    """Return the alerts that mappings find; empty if `each` finds no part.

    Raises `AlertError`, which says why no mapping can read the event.
    """
    mapped = [item for item in sets if item.mapping]
    parts_by_set = _find_parts(event, mapped)
    if not parts_by_set:
        fields = ", ".join(list(event)[:MAX_FIELDS_NAMED]) or "(none)"
        tried = f", and no mapping can read it ({', '.join(item.name for item in mapped)})" if mapped else ""
        raise AlertError(
            f"the event has no known source{tried}; it has the fields {fields} (docs/alerts.md lists the sources)"
        )
    if (count := sum(len(parts) for _, parts in parts_by_set)) > MAX_ALERTS_PER_EVENT:
        raise AlertError(
            f"the event contains {count} alerts; the limit is {MAX_ALERTS_PER_EVENT}, send them in several events"
        )
    results = [(item, [_try_to_read(part, item) for part in parts]) for item, parts in parts_by_set]
    if errors := _list_errors(results):
        raise AlertError("; ".join(errors))
    return tuple(result for _, part_results in results for result in part_results if isinstance(result, Alert))


def split_event(event: dict[str, Any], sets: tuple[MetricSet, ...]) -> list[str]:
    """Return each part of an event that a mapping reads as an alert, as a separate event that names the metric set."""
    parts_by_set = _find_parts(event, [item for item in sets if item.mapping])
    if sum(len(parts) for _, parts in parts_by_set) > MAX_ALERTS_PER_EVENT:
        return []
    readable = [
        (item, parts)
        for item, parts in parts_by_set
        if any(isinstance(_try_to_read(part, item), Alert) for part in parts)
    ]
    return [json.dumps({METRIC_SET_FIELD: item.name, "part": part}) for item, parts in readable for part in parts]


def _try_to_read(part: object, item: MetricSet) -> Alert | AlertError:
    try:
        return _read_alert(part, item)
    except AlertError as error:
        return error


def _list_errors(results: Sequence[tuple[MetricSet, Sequence[Alert | AlertError]]]) -> list[str]:
    """Why parts cannot be read.

    If another set can read parts of the event, a set that can read none is left out: its mapping matches by chance.
    """
    with_alerts = [result for result in results if any(isinstance(part_result, Alert) for part_result in result[1])]
    return list(
        dict.fromkeys(
            f"the mapping of '{item.name}': {error}"
            for item, part_results in with_alerts or results
            for error in part_results
            if isinstance(error, AlertError)
        )
    )


def _find_parts(event: dict[str, Any], mapped: Sequence[MetricSet]) -> list[tuple[MetricSet, list[Any]]]:
    """Return the sets whose mapping reads the event, each with the parts that are one alert each."""
    if METRIC_SET_FIELD in event and "part" in event:
        return [(item, [event["part"]]) for item in mapped if item.name == event[METRIC_SET_FIELD]]
    return [(item, parts) for item in mapped if (parts := _apply_each(event, item.mapping)) is not None]


def _apply_each(event: object, mapping: Mapping[str, str]) -> list[Any] | None:
    """Return the parts that `each` finds, or the event itself without `each`.

    None if the mapping does not read this kind of event.
    """
    try:
        if "each" in mapping:
            parts = _search(mapping, "each", event)
            return parts if isinstance(parts, list) else None
        return [event] if all(_search(mapping, field, event) for field in REQUIRED_MAPPING_FIELDS) else None
    except AlertError:  # for example, a JMESPath function on a field that has another type in other events
        return None


def _search(mapping: Mapping[str, str], field: str, part: object) -> Any:
    """Return the result of the expression of a field; None if it finds nothing or `false`."""
    try:
        value = expressions.search(mapping[field], part)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise AlertError(f"{field}: {quote(mapping[field][:200])} cannot be evaluated: {str(error)[:200]}") from error
    return None if value is False else value


def _read_alert(part: object, item: MetricSet) -> Alert:
    results = {
        field: _search(item.mapping, field, part) for field in item.mapping if field not in ("each", *MAPPING_CONSTANTS)
    }
    for field in REQUIRED_MAPPING_FIELDS:
        if not results[field]:
            raise AlertError(f"{field}: {quote(item.mapping[field])} finds nothing")
    rows = {field: results.pop(field, None) or [] for field in ("relevantTimeSeries", "dimensionContribution")}
    fields = {
        **results,
        "anomalyScore": _scale(results.get("anomalyScore"), item.score_factor),
        "source": results.get("source") or SOURCE,
        "alertEventId": results.get("alertEventId") or "",
        "anomalyDetectorArn": item.mapping_arn,
        "timestamp": _to_timestamp("timestamp", results["timestamp"]),
        "reportedAt": _to_timestamp("reportedAt", results.get("reportedAt")),
        "impactedMetric": {"metricName": results.pop("metricName"), **rows},
    }
    alert = alerts.convert(fields, Alert, "an alert")
    match_to_metric_set(alert, item)
    return alert if alert.alert_event_id else msgspec.structs.replace(alert, alert_event_id=_derive_event_id(alert))


def _scale(score: object, factor: float) -> object:
    """Return the score times the factor.

    A value that is not a number is returned unchanged; the type check reports it.
    """
    if factor == 1 or not isinstance(score, int | float) or isinstance(score, bool):
        return score
    try:
        return round(score * factor, 2)
    except OverflowError as error:
        raise AlertError("anomalyScore: is too large") from error


def _derive_event_id(alert: Alert) -> str:
    """Return an id that depends only on the detector, the measure, the time (to the second) and the series."""
    metric = alert.impacted_metric
    series = sorted(
        sorted(
            (item.dimension_name, item.dimension_value or "") for item in (*each.dimensions, *each.optional_dimensions)
        )
        for each in metric.relevant_time_series
    )
    event_id = alerts.derive_id(
        alert.anomaly_detector_arn, metric.metric_name, format_timestamp(alert.instant), json.dumps(series)
    )
    return f"{alert.anomaly_detector_arn}:event/{event_id}"


def _to_timestamp(field: str, value: object) -> object:
    """Return a number of seconds since 1970 (a large number: of milliseconds) as a timestamp.

    A text is returned unchanged.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    try:
        seconds = value / 1000 if value > time_patterns.MAX_UNIX_SECONDS else value
        instant = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        return format_timestamp(instant) if field == "timestamp" else f"{instant.isoformat(timespec='milliseconds')}Z"
    except OverflowError as error:
        raise AlertError(f"{field}: {value} is not a time since 1970") from error
