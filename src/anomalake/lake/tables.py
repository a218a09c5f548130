"""What the tables hold: an alert as units, the merge that makes any order of arrival give the same, and the rows of it all. Pure.

A table's object holds the units of one timestamp. A unit has an identity and a rank; of two units of one identity the greatest rank stays, null
lowest. That is a maximum, so the merge is commutative, associative and idempotent. docs/lake.md tells it to people.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

from anomalake.alert import MISSING_DATA, Alert, dimension_values
from anomalake.key import series_key
from anomalake.lake.layout import Table
from anomalake.metric_set import ANOMALY_COLUMNS, MetricSet

Kind = Literal["string", "double", "bigint", "timestamp"]
Units = Mapping[tuple[Any, ...], tuple[Any, ...]]  # identity -> unit
Columns = Mapping[str, Sequence[Any]]  # a table by column, all of one length
INGESTED: tuple[Table, ...] = ("metricValue_AnomalyScore", "dimensionContributions", "anomalyGroups")


class Column(NamedTuple):
    """A column of a table: its name as files have it, and its kind."""

    name: str
    kind: Kind


_CONTRIBUTION_COLUMNS = (
    Column("timestamp", "timestamp"), Column("metricName", "string"), Column("dimensionName", "string"), Column("dimensionValue", "string"),
    Column("valueContribution", "double"), Column("eventId", "string"), Column("groupScore", "double"),
)  # fmt: skip
_GROUP_COLUMNS = (
    Column("timestamp", "timestamp"), Column("metricName", "string"), Column("groupScore", "double"), Column("direction", "string"),
    Column("affectedSeries", "bigint"), Column("eventId", "string"), Column("anomalyGroupId", "string"), Column("alertEventId", "string"),
    Column("alertName", "string"), Column("detectorArn", "string"), Column("source", "string"), Column("consoleUrl", "string"),
    Column("rootCause", "string"),
)  # fmt: skip
_HEALTH_COLUMNS = (
    Column("timestamp", "timestamp"), Column("status", "string"), Column("series", "bigint"), Column("usualSeries", "bigint"),
    Column("scoredSeries", "bigint"), Column("rowsRead", "bigint"), Column("rowsRefused", "bigint"),
)  # fmt: skip
_OBSERVED = ("value", "expectedValue", "lowerBound", "upperBound", "score")


def schema(table: Table, metric_set: MetricSet) -> tuple[Column, ...]:
    """The table's columns in their order; the partition column `date` is in the folder's name only."""
    series = (Column("key", "string"), Column("timestamp", "timestamp"), *(Column(name, "string") for name in metric_set.dimension_names))
    match table:
        case "metricValue_AnomalyScore":
            cells = [(name, suffix) for name in metric_set.measure_names for suffix in ANOMALY_COLUMNS]
            return (*series, *(Column(name + suffix, "string" if suffix == "EventId" else "double") for name, suffix in cells))
        case "dimensionContributions":
            return _CONTRIBUTION_COLUMNS
        case "anomalyGroups":
            return _GROUP_COLUMNS
        case "observations":
            return (*series, Column("metricName", "string"), *(Column(name, "double") for name in _OBSERVED))
        case "dataHealth":
            return _HEALTH_COLUMNS


def units(table: Table, alert: Alert, metric_set: MetricSet) -> Units:
    """What an alert (one that `alert.fit` gives) adds to a table."""
    metric, score, event = alert.impacted_metric, _number(alert.anomaly_score), alert.event_id
    if table == "metricValue_AnomalyScore":
        if metric.metric_name == MISSING_DATA:
            return {}
        cells = (
            (
                dimension_values(series, metric_set),
                *map(_number, (series.metric_value, series.expected_value, series.lower_bound, series.upper_bound)),
            )
            for series in dict.fromkeys(metric.relevant_time_series)  # a body may hold one a hundred thousand times
        )
        return merge({(values, metric.metric_name): (score, event, *numbers)} for values, *numbers in cells)
    if table == "dimensionContributions":
        shares: dict[tuple[str, str | None], float] = {}
        for dimension in metric.dimension_contribution:
            for share in dimension.dimension_value_contributions:
                place = (dimension.dimension_name, share.dimension_value)
                shares[place] = max(share.value_contribution + 0.0, shares.get(place, -float("inf")))
        rows = tuple((name, value, shares[name, value]) for name, value in sorted(shares, key=rank))
        return {(metric.metric_name, event): (score, _digest(rows), rows)} if rows else {}
    affected = {dimension_values(series, metric_set) for series in dict.fromkeys(metric.relevant_time_series)}
    row = (
        alert.direction, len(affected), alert.anomaly_group_id, alert.alert_event_id, alert.alert_name, alert.anomaly_detector_arn,
        alert.source, alert.console_url, alert.root_cause,
    )  # fmt: skip
    return {(metric.metric_name, event): (score, _digest(row), row)}


def event_of(table: Table, identity: tuple[Any, ...], unit: tuple[Any, ...]) -> tuple[str, str]:
    """The measure and the event that a unit was said by."""
    return (identity[1], unit[1]) if table == "metricValue_AnomalyScore" else (identity[0], identity[1])


def merge(several: Iterable[Units]) -> Units:
    """The units of all of them; of one identity the greatest."""
    merged: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for some in several:
        for identity, unit in some.items():
            if identity not in merged or rank(unit) > rank(merged[identity]):
                merged[identity] = unit
    return merged


def rows(table: Table, some: Units, metric_set: MetricSet, timestamp: datetime) -> Columns:
    """The table of these units, one timestamp's, in an order that depends on nothing but them."""
    if table == "metricValue_AnomalyScore":
        by_series: dict[tuple[str | None, ...], dict[str, tuple[Any, ...]]] = {}
        for (values, measure), cell in some.items():
            by_series.setdefault(values, {})[measure] = cell
        records = []
        for key, values in sorted((series_key(values), values) for values in by_series):
            cells = [by_series[values].get(measure, (None,) * 6) for measure in metric_set.measure_names]
            records.append((key, timestamp, *values, *(x for s, event, v, e, lo, up in cells for x in (v, s, e, lo, up, event))))
    elif table == "dimensionContributions":
        records = [
            (timestamp, measure, name, value, share, event, score)
            for (measure, event), (score, _, shares) in sorted(some.items(), key=lambda item: item[0])
            for name, value, share in shares
        ]
    else:
        records = [
            (timestamp, measure, score, direction, affected, event, *rest)
            for (measure, event), (score, _, (direction, affected, *rest)) in sorted(some.items(), key=lambda item: item[0])
        ]
    names = [column.name for column in schema(table, metric_set)]
    return dict(zip(names, map(list, zip(*records, strict=True)) if records else ([] for _ in names), strict=True))


def units_of(table: Table, columns: Columns, metric_set: MetricSet) -> Units:
    """The units that `rows` made these rows of."""
    records = list(zip(*columns.values(), strict=True))
    if table == "metricValue_AnomalyScore":
        width, first = len(ANOMALY_COLUMNS), 2 + len(metric_set.dimensions)
        cells: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for record in records:
            for number, measure in enumerate(metric_set.measure_names):
                v, s, e, lo, up, event = record[first + number * width : first + (number + 1) * width]
                if event is not None:
                    cells[record[2:first], measure] = (s, event, v, e, lo, up)
        return cells
    if table == "dimensionContributions":
        grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        scores = {}
        for _, measure, name, value, share, event, score in records:
            grouped.setdefault((measure, event), []).append((name, value, share))
            scores[measure, event] = score
        return {identity: (scores[identity], _digest(tuple(shares)), tuple(shares)) for identity, shares in grouped.items()}
    groups = {}
    for _, measure, score, direction, affected, event, *rest in records:
        row = (direction, affected, *rest)
        groups[measure, event] = (score, _digest(row), row)
    return groups


def rank(unit: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    """The unit as something to compare, null lowest; what stands behind a digest never has to be compared."""
    return tuple((part is not None, "" if part is None else part) for part in unit if not isinstance(part, tuple))


def _digest(row: tuple[Any, ...]) -> str:
    return sha256(msgspec.json.encode(row)).hexdigest()


def _number(value: float | None) -> float | None:
    """Without the sign of zero, which compares equal and is stored otherwise."""
    return None if value is None else value + 0.0
