"""What the tables hold: an alert as units, the merge that makes any order of arrival give the same, and the rows of it all. Pure.

A table's object holds the units of one timestamp. A unit has an identity and a rank; of two units of one identity the greatest rank stays, null
lowest. That is a maximum, so the merge is commutative, associative and idempotent. docs/lake.md explains it.

Several alerts may report one event. A report has an id that sorts: one with a value ranks above one without, then the later one, then the one with
the higher score. The id is the same in all tables, so each of them shows the same report (decision 0012).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

from anomalake.domain.alert import MISSING_DATA, Alert, TimeSeries
from anomalake.domain.alert_matching import get_dimension_values
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES, REPORT_ID_SUFFIX
from anomalake.domain.series_key import build_series_key
from anomalake.lake.layout import Table

Kind = Literal["string", "double", "bigint", "timestamp"]
Units = Mapping[tuple[Any, ...], tuple[Any, ...]]  # identity -> unit
Columns = Mapping[str, Sequence[Any]]  # a table by column, all of one length
ALERT_TABLES: tuple[Table, ...] = ("metricValue_AnomalyScore", "dimensionContributions", "anomalyGroups")


class Column(NamedTuple):
    """A column of a table: its name as files have it, and its kind."""

    name: str
    kind: Kind


_CONTRIBUTION_COLUMNS = (
    Column("timestamp", "timestamp"), Column("metricName", "string"), Column("dimensionName", "string"), Column("dimensionValue", "string"),
    Column("valueContribution", "double"), Column("eventId", "string"), Column("groupScore", "double"), Column("reportId", "string"),
)  # fmt: skip
_GROUP_COLUMNS = (
    Column("timestamp", "timestamp"), Column("metricName", "string"), Column("groupScore", "double"), Column("direction", "string"),
    Column("affectedSeries", "bigint"), Column("eventId", "string"), Column("anomalyGroupId", "string"), Column("alertEventId", "string"),
    Column("alertName", "string"), Column("detectorArn", "string"), Column("source", "string"), Column("consoleUrl", "string"),
    Column("rootCause", "string"), Column("reportId", "string"),
)  # fmt: skip
_HEALTH_COLUMNS = (
    Column("timestamp", "timestamp"), Column("status", "string"), Column("series", "bigint"), Column("usualSeries", "bigint"),
    Column("scoredSeries", "bigint"), Column("rowsRead", "bigint"), Column("rowsRefused", "bigint"),
)  # fmt: skip
_OBSERVED_VALUES = ("value", "expectedValue", "lowerBound", "upperBound", "score")
DIGEST_CHARACTERS = 16  # characters at the end of a report's id
EVENT_RANK_COLUMN = "eventRank"  # of a series' events by measure: 0 for the one to show first, then 1, 2, ...
REPLACED_RANK = (
    -1
)  # the event rank of what a later report took back; kept, so that the order of arrival does not matter


def schema(table: Table, metric_set: MetricSet) -> tuple[Column, ...]:
    """The table's columns in their order; the partition column `date` is in the folder's name only."""
    series = (
        Column("key", "string"),
        Column("timestamp", "timestamp"),
        *(Column(name, "string") for name in metric_set.dimension_names),
    )
    match table:
        case "metricValue_AnomalyScore":
            cells = [(name, suffix) for name in metric_set.measure_names for suffix in ANOMALY_COLUMN_SUFFIXES]
            values = (Column(name + suffix, "string" if suffix == "EventId" else "double") for name, suffix in cells)
            reports = (Column(name + REPORT_ID_SUFFIX, "string") for name in metric_set.measure_names)
            return (*series, *values, *reports, Column(EVENT_RANK_COLUMN, "bigint"))
        case "dimensionContributions":
            return _CONTRIBUTION_COLUMNS
        case "anomalyGroups":
            return _GROUP_COLUMNS
        case "observations":
            return (*series, Column("metricName", "string"), *(Column(name, "double") for name in _OBSERVED_VALUES))
        case "dataHealth":
            return _HEALTH_COLUMNS


def units_from_alert(table: Table, alert: Alert, metric_set: MetricSet) -> Units:
    """What an alert (one that `alert.fit` gives) adds to a table."""
    metric, score, event = alert.impacted_metric, _positive_zero(alert.anomaly_score), alert.event_id
    series = [
        _series_cells(one, metric_set) for one in dict.fromkeys(metric.relevant_time_series)
    ]  # a body may hold one a hundred thousand times
    row = (
        alert.direction, len({values for values, *_ in series}), alert.anomaly_group_id, alert.alert_event_id, alert.alert_name,
        alert.anomaly_detector_arn, alert.source, alert.console_url, alert.root_cause,
    )  # fmt: skip
    report = _report_id(alert.reported_at, score, (metric.metric_name, row), series)
    match table:
        case "metricValue_AnomalyScore" if metric.metric_name == MISSING_DATA:
            return {}
        case "metricValue_AnomalyScore":
            cells = (
                ((values, metric.metric_name, event, cell[0] is not None), (report, score, *cell))
                for values, *cell in series
            )
            return merge_units({identity: unit} for identity, unit in cells)
        case "dimensionContributions":
            shares = _contributions(alert)
            return {(metric.metric_name, event): (report, score, _digest(shares), shares)} if shares else {}
        case _:
            return {(metric.metric_name, event): (report, score, _digest(row), row)}


def _series_cells(series: TimeSeries, metric_set: MetricSet) -> tuple[Any, ...]:
    """A series' dimension values, its value, and what was expected."""
    numbers = map(_positive_zero, (series.metric_value, series.expected_value, series.lower_bound, series.upper_bound))
    return (get_dimension_values(series, metric_set), *numbers)


def _contributions(alert: Alert) -> tuple[tuple[str, str | None, float], ...]:
    """The contributions in their order; of two of one dimension and value, the greater."""
    shares: dict[tuple[str, str | None], float] = {}
    for dimension in alert.impacted_metric.dimension_contribution:
        for share in dimension.dimension_value_contributions:
            place = (dimension.dimension_name, share.dimension_value)
            shares[place] = max(share.value_contribution + 0.0, shares.get(place, -float("inf")))
    return tuple((name, value, shares[name, value]) for name, value in sorted(shares, key=comparison_key))


def _report_id(
    reported_at: str | None, score: float | None, told: tuple[Any, ...], series: Sequence[tuple[Any, ...]]
) -> str:
    """Sorts the reports of an event: whether it has a value, when it was made, its score, and a digest of all it says but contributions."""
    valued = any(value is not None for _, value, *_ in series)
    written = "-" if score is None else f"{score:010.6f}"
    return f"{valued:d} {reported_at or '-'} {written} {_digest((score, told, series))[:DIGEST_CHARACTERS]}"


def _report_time(report: str) -> str:
    """The part of a report's id that is the same for all reports of one time: of these, no one takes back what another says."""
    return report[: report.index(" ", 2)]


def event_of_unit(identity: tuple[Any, ...]) -> tuple[str, str]:
    """The measure and the event that a unit was said by."""
    return (identity[1], identity[2]) if len(identity) > 2 else (identity[0], identity[1])


def merge_units(several: Iterable[Units]) -> Units:
    """The units of all of them; of one identity the greatest."""
    merged: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for some in several:
        for identity, unit in some.items():
            if identity not in merged or comparison_key(unit) > comparison_key(merged[identity]):
                merged[identity] = unit
    return merged


def columns_from_units(table: Table, some: Units, metric_set: MetricSet, timestamp: datetime) -> Columns:
    """The table of these units, one timestamp's, in an order that depends on nothing but them."""
    if table == "metricValue_AnomalyScore":
        records = list(_anomaly_rows(some, metric_set, timestamp))
    elif table == "dimensionContributions":
        records = [
            (timestamp, measure, name, value, share, event, score, report)
            for (measure, event), (report, score, _, shares) in sorted(some.items(), key=lambda item: item[0])
            for name, value, share in shares
        ]
    else:
        records = [
            (timestamp, measure, score, direction, affected, event, *rest, report)
            for (measure, event), (report, score, _, (direction, affected, *rest)) in sorted(
                some.items(), key=lambda item: item[0]
            )
        ]
    names = [column.name for column in schema(table, metric_set)]
    return dict(zip(names, map(list, zip(*records, strict=True)) if records else ([] for _ in names), strict=True))


def _anomaly_rows(some: Units, metric_set: MetricSet, timestamp: datetime) -> Iterator[tuple[Any, ...]]:
    """A row for each series, and more of them where several events claim it: each measure's events by rank, then what was replaced."""
    shown, replaced = _group_by_series(some)
    for key, values in sorted((build_series_key(values), values) for values in {identity[0] for identity in some}):
        for first, found in ((0, shown.get(values, {})), (REPLACED_RANK, replaced.get(values, {}))):
            for number in range(max(map(len, found.values()), default=0)):
                cells, reports = list[Any](), list[str | None]()
                for measure in metric_set.measure_names:
                    units = found.get(measure, [])
                    event, (report, s, v, e, lo, up) = units[number] if number < len(units) else (None, (None,) * 6)
                    cells += (v, s, e, lo, up, event)
                    reports.append(report)
                yield (key, timestamp, *values, *cells, *reports, number if first == 0 else REPLACED_RANK)


_Claims = dict[
    tuple[str | None, ...], dict[str, list[tuple[str, tuple[Any, ...]]]]
]  # series -> measure -> events with their cells


def _group_by_series(some: Units) -> tuple[_Claims, _Claims]:
    """The cells to show, best first, and those that are replaced.

    A cell is shown where the latest report of its event names the series. Where that has no value for it, the last value known is shown.
    """
    latest: dict[tuple[str, str], str] = {}
    named: dict[tuple[Any, ...], str] = {}
    for (values, measure, event, _), (report, *_) in some.items():
        made = _report_time(report)
        latest[measure, event] = max(made, latest.get((measure, event), ""))
        named[values, measure, event] = max(made, named.get((values, measure, event), ""))
    shown: _Claims = {}
    replaced: _Claims = {}
    for (values, measure, event, valued), unit in some.items():
        current = named[values, measure, event] == latest[measure, event] and (
            valued or (values, measure, event, True) not in some
        )
        (shown if current else replaced).setdefault(values, {}).setdefault(measure, []).append((event, unit))
    for claims in (*shown.values(), *replaced.values()):
        for cells in claims.values():
            cells.sort(key=lambda cell: (cell[1][2] is not None, comparison_key((cell[1][1], cell[0]))), reverse=True)
    return shown, replaced


def units_from_columns(table: Table, columns: Columns, metric_set: MetricSet) -> Units:
    """The units that `rows` made these rows of."""
    records = list(zip(*columns.values(), strict=True))
    if table == "metricValue_AnomalyScore":
        width, first = len(ANOMALY_COLUMN_SUFFIXES), 2 + len(metric_set.dimensions)
        reports = first + width * len(metric_set.measures)
        cells: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for record in records:
            for number, measure in enumerate(metric_set.measure_names):
                v, s, e, lo, up, event = record[first + number * width : first + (number + 1) * width]
                if event is not None:
                    cells[record[2:first], measure, event, v is not None] = (record[reports + number], s, v, e, lo, up)
        return cells
    if table == "dimensionContributions":
        grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        scores = {}
        for _, measure, name, value, share, event, score, report in records:
            grouped.setdefault((measure, event), []).append((name, value, share))
            scores[measure, event] = (report, score)
        return {
            identity: (*scores[identity], _digest(tuple(shares)), tuple(shares)) for identity, shares in grouped.items()
        }
    groups = {}
    for _, measure, score, direction, affected, event, *rest, report in records:
        row = (direction, affected, *rest)
        groups[measure, event] = (report, score, _digest(row), row)
    return groups


def comparison_key(unit: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    """The unit as something to compare, null lowest; what stands behind a digest never has to be compared."""
    return tuple((part is not None, "" if part is None else part) for part in unit if not isinstance(part, tuple))


def _digest(row: tuple[Any, ...]) -> str:
    return sha256(msgspec.json.encode(row)).hexdigest()


def _positive_zero(value: float | None) -> float | None:
    """Without the sign of zero, which compares equal and is stored otherwise."""
    return None if value is None else value + 0.0
