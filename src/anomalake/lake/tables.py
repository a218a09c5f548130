"""The content of the tables: converts alerts to units, merges units and converts them to rows. All functions are pure.

A table object holds the units of one timestamp. A unit has an identity and a comparison key. Of two units with the same
identity the merge keeps the greater; null is the lowest value. This is a maximum, so the merge is commutative,
associative and idempotent, and any order of arrival gives the same result. docs/lake.md explains it.

Several alerts can report one event. A report has an ID that sorts: a report with a value is greater than one without;
then the later report is greater, then the one with the higher score. The ID is the same in all tables, so all of them
show the same report (decision 0012).
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
    """A column of a table: its name in the files, and its type."""

    name: str
    kind: Kind


_CONTRIBUTION_COLUMNS = (
    Column("timestamp", "timestamp"),
    Column("metricName", "string"),
    Column("dimensionName", "string"),
    Column("dimensionValue", "string"),
    Column("valueContribution", "double"),
    Column("eventId", "string"),
    Column("groupScore", "double"),
    Column("reportId", "string"),
)
_GROUP_COLUMNS = (
    Column("timestamp", "timestamp"),
    Column("metricName", "string"),
    Column("groupScore", "double"),
    Column("direction", "string"),
    Column("affectedSeries", "bigint"),
    Column("eventId", "string"),
    Column("anomalyGroupId", "string"),
    Column("alertEventId", "string"),
    Column("alertName", "string"),
    Column("detectorArn", "string"),
    Column("source", "string"),
    Column("consoleUrl", "string"),
    Column("rootCause", "string"),
    Column("reportId", "string"),
)
_HEALTH_COLUMNS = (
    Column("timestamp", "timestamp"),
    Column("status", "string"),
    Column("series", "bigint"),
    Column("usualSeries", "bigint"),
    Column("scoredSeries", "bigint"),
    Column("rowsRead", "bigint"),
    Column("rowsRefused", "bigint"),
)
# `weight` is the number of values behind a mean, or the denominator of a ratio; null for other measures.
_OBSERVED_VALUES = ("value", "expectedValue", "lowerBound", "upperBound", "score", "weight")
# Columns at the end of tables of the detector that objects of older versions lack. They read as null.
ADDED_COLUMNS = frozenset({"weight"})
DIGEST_CHARACTERS = 16  # at the end of a report ID
EVENT_RANK_COLUMN = "eventRank"  # ranks the events of a series and measure: 0 for the one to show first, then 1, 2, ...
# The event rank of cells that a later report replaced. They stay in the table, so that the order of arrival does not
# matter.
REPLACED_RANK = -1


def schema(table: Table, metric_set: MetricSet) -> tuple[Column, ...]:
    """Return the table's columns in order. The partition column `date` is only in the folder's name."""
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


def is_of_older_version(names: Sequence[str], expected: Sequence[Column]) -> bool:
    """Return whether an object with these columns was written before columns were added to the end of its table."""
    missing = [column.name for column in expected[len(names) :]]
    return list(names) == [column.name for column in expected[: len(names)]] and ADDED_COLUMNS.issuperset(missing)


def units_from_alert(table: Table, alert: Alert, metric_set: MetricSet) -> Units:
    """Return the units that an alert adds to a table. The alert comes from `alert.match_to_metric_set`."""
    metric, score, event = alert.impacted_metric, _positive_zero(alert.anomaly_score), alert.event_id
    # A body can repeat a series a hundred thousand times.
    series = [_series_cells(repeated, metric_set) for repeated in dict.fromkeys(metric.relevant_time_series)]
    row = (
        alert.direction,
        len({values for values, *_ in series}),
        alert.anomaly_group_id,
        alert.alert_event_id,
        alert.alert_name,
        alert.anomaly_detector_arn,
        alert.source,
        alert.console_url,
        alert.root_cause,
    )
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
    """Return a series' dimension values, its value, expected value and bounds."""
    numbers = map(_positive_zero, (series.metric_value, series.expected_value, series.lower_bound, series.upper_bound))
    return (get_dimension_values(series, metric_set), *numbers)


def _contributions(alert: Alert) -> tuple[tuple[str, str | None, float], ...]:
    """Return the contributions in order. If a dimension value occurs twice, keep the greater contribution."""
    shares: dict[tuple[str, str | None], float] = {}
    for dimension in alert.impacted_metric.dimension_contribution:
        for share in dimension.dimension_value_contributions:
            place = (dimension.dimension_name, share.dimension_value)
            shares[place] = max(share.value_contribution + 0.0, shares.get(place, -float("inf")))
    return tuple((name, value, shares[name, value]) for name, value in sorted(shares, key=comparison_key))


def _report_id(
    reported_at: str | None, score: float | None, row: tuple[Any, ...], series: Sequence[tuple[Any, ...]]
) -> str:
    """Return the ID of a report, which sorts the reports of an event.

    It holds: whether the report has a value, its time, its score, and a digest of everything it says except the
    contributions.
    """
    has_value = any(value is not None for _, value, *_ in series)
    score_text = "-" if score is None else f"{score:010.6f}"
    return f"{has_value:d} {reported_at or '-'} {score_text} {_digest((score, row, series))[:DIGEST_CHARACTERS]}"


def _report_time(report: str) -> str:
    """Return the part of a report ID that all reports of one time share. These reports do not replace each other."""
    return report[: report.index(" ", 2)]


def event_of_unit(identity: tuple[Any, ...]) -> tuple[str, str]:
    """Return the measure and the event ID of a unit."""
    return (identity[1], identity[2]) if len(identity) > 2 else (identity[0], identity[1])


def merge_units(parts: Iterable[Units]) -> Units:
    """Merge units; of each identity keep the greatest."""
    merged: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for units in parts:
        for identity, unit in units.items():
            if identity not in merged or comparison_key(unit) > comparison_key(merged[identity]):
                merged[identity] = unit
    return merged


def columns_from_units(table: Table, units: Units, metric_set: MetricSet, timestamp: datetime) -> Columns:
    """Return the table of the units of one timestamp, by column. The order of rows depends only on the units."""
    if table == "metricValue_AnomalyScore":
        records = list(_anomaly_rows(units, metric_set, timestamp))
    elif table == "dimensionContributions":
        records = [
            (timestamp, measure, name, value, share, event, score, report)
            for (measure, event), (report, score, _, shares) in sorted(units.items(), key=lambda item: item[0])
            for name, value, share in shares
        ]
    else:
        records = [
            (timestamp, measure, score, direction, affected, event, *rest, report)
            for (measure, event), (report, score, _, (direction, affected, *rest)) in sorted(
                units.items(), key=lambda item: item[0]
            )
        ]
    names = [column.name for column in schema(table, metric_set)]
    return dict(zip(names, map(list, zip(*records, strict=True)) if records else ([] for _ in names), strict=True))


def _anomaly_rows(units: Units, metric_set: MetricSet, timestamp: datetime) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of each series.

    A series has several rows if it belongs to several events: first the current events of each measure by rank, then
    the replaced cells.
    """
    current, replaced = _group_by_series(units)
    for key, values in sorted((build_series_key(values), values) for values in {identity[0] for identity in units}):
        for first_rank, claims in ((0, current.get(values, {})), (REPLACED_RANK, replaced.get(values, {}))):
            for number in range(max(map(len, claims.values()), default=0)):
                cells, reports = list[Any](), list[str | None]()
                for measure in metric_set.measure_names:
                    events = claims.get(measure, [])
                    event, (report, s, v, e, lo, up) = events[number] if number < len(events) else (None, (None,) * 6)
                    cells += (v, s, e, lo, up, event)
                    reports.append(report)
                yield (key, timestamp, *values, *cells, *reports, number if first_rank == 0 else REPLACED_RANK)


# series -> measure -> events with their cells
_Claims = dict[tuple[str | None, ...], dict[str, list[tuple[str, tuple[Any, ...]]]]]


def _group_by_series(units: Units) -> tuple[_Claims, _Claims]:
    """Return the cells to show, best first, and the replaced cells.

    A cell is shown if the latest report of its event names the series. If that report has no value for the series, the
    last known value is shown.
    """
    latest: dict[tuple[str, str], str] = {}  # measure and event -> time of the latest report
    latest_of_series: dict[tuple[Any, ...], str] = {}
    for (values, measure, event, _), (report, *_) in units.items():
        time = _report_time(report)
        latest[measure, event] = max(time, latest.get((measure, event), ""))
        latest_of_series[values, measure, event] = max(time, latest_of_series.get((values, measure, event), ""))
    current: _Claims = {}
    replaced: _Claims = {}
    for (values, measure, event, has_value), unit in units.items():
        is_current = latest_of_series[values, measure, event] == latest[measure, event] and (
            has_value or (values, measure, event, True) not in units
        )
        (current if is_current else replaced).setdefault(values, {}).setdefault(measure, []).append((event, unit))
    for claims in (*current.values(), *replaced.values()):
        for cells in claims.values():
            cells.sort(key=lambda cell: (cell[1][2] is not None, comparison_key((cell[1][1], cell[0]))), reverse=True)
    return current, replaced


def units_from_columns(table: Table, columns: Columns, metric_set: MetricSet) -> Units:
    """Return the units that `columns_from_units` made these columns from."""
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
    """Return a key to compare units; null is the lowest value.

    It leaves out tuples, because the digest before them decides.
    """
    return tuple((part is not None, "" if part is None else part) for part in unit if not isinstance(part, tuple))


def _digest(row: tuple[Any, ...]) -> str:
    return sha256(msgspec.json.encode(row)).hexdigest()


def _positive_zero(value: float | None) -> float | None:
    """Return the value with -0.0 replaced by 0.0: they compare equal but are stored differently."""
    return None if value is None else value + 0.0
