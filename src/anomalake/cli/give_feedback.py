"""Builds and saves the feedback of `anomalake feedback`: on an event in the lake's tables, or on time series."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from anomalake.detect import feedback
from anomalake.detect.feedback import Feedback
from anomalake.domain import alert as alerts
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import encoding, layout, tables
from anomalake.lake.layout import Format, Table
from anomalake.lake.store import Store


def feedback_on_event(event_id: str, metric_set: MetricSet, store: Store, table_format: Format) -> list[Feedback]:
    """Feedback on an event, one for each measure of the event, with its interval, direction and affected series.

    `wanted` is True in each; the caller sets it. Raises `UserError` where no table has the event.
    """
    keys = store.list(layout.table_folder("anomalyGroups", metric_set))
    # People give feedback on recent events, so the newest objects are read first. All rows of an event are of one
    # interval, so they are in one object.
    rows_by_object = (
        [
            row
            for row in _read_rows("anomalyGroups", [key], metric_set, store, table_format)
            if row["eventId"] == event_id
        ]
        for key in sorted(keys, reverse=True)
    )
    groups = next(filter(None, rows_by_object), [])
    if not groups:
        query = 'anomalake query "SELECT eventid FROM anomaly_log"'
        raise UserError(f"{metric_set.path}: no event has the id '{event_id}'; `{query}` lists the ids")
    return [
        Feedback(
            group["metricName"],
            group["timestamp"],
            wanted=True,
            event_id=event_id,
            direction=group["direction"],
            series=_affected_series(group, metric_set, store, table_format),
        )
        for group in groups
    ]


def _affected_series(
    group: dict[str, Any], metric_set: MetricSet, store: Store, table_format: Format
) -> tuple[dict[str, str | None], ...]:
    """Return the series that the latest report of an event names, for a row of `anomalyGroups`; () for missing data."""
    event_id, measure = group["eventId"], group["metricName"]
    if measure == alerts.MISSING_DATA:
        return ()
    key = layout.table_key("metricValue_AnomalyScore", metric_set, group["timestamp"], table_format)
    rows = _read_rows("metricValue_AnomalyScore", [key], metric_set, store, table_format)
    return tuple(
        {name: row[name] for name in metric_set.dimension_names}
        for row in rows
        if row[f"{measure}EventId"] == event_id and row[tables.EVENT_RANK_COLUMN] >= 0
    )


def feedback_on_series(
    measure: str, since: datetime, direction: str | None, dimensions: Sequence[str], metric_set: MetricSet
) -> Feedback:
    """Feedback on the series of a measure that have all these dimension values, from `since` on (naive UTC).

    Each of `dimensions` is `name=value`; `name=` selects the series without a value of that dimension. `wanted` is
    True; the caller sets it. Raises `UserError` for a measure or dimension that the metric set does not have.
    """
    values: dict[str, str | None] = {}
    for dimension in dimensions:
        name, equals, value = dimension.partition("=")
        if not equals:
            raise UserError(f"--series {dimension}: must be NAME=VALUE, such as platform=pc_web")
        values[name] = value or None
    draft = Feedback(measure, since, wanted=True, direction=direction, series=(values,) if values else ())
    feedback.validate(draft, metric_set, "feedback")
    return draft


def save_feedback(given: Feedback, metric_set: MetricSet, store: Store) -> str:
    """Write the feedback to the lake, in place of earlier feedback on the same event or series; returns the key."""
    name = alerts.derive_id(
        given.metric_name,
        given.event_id or "",
        given.direction or "",
        *(() if given.event_id else (f"{given.timestamp}", f"{given.series}")),
    )
    key = layout.feedback_key(metric_set, name)
    store.put(key, msgspec.json.encode(given) + b"\n")
    return key


def _read_rows(
    table: Table, keys: Iterable[str], metric_set: MetricSet, store: Store, table_format: Format
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table's objects, as dictionaries; objects of the other format are skipped."""
    schema = tables.schema(table, metric_set)
    for key in keys:
        stored = store.get(key) if key.endswith(f".{table_format}") else None
        if stored is not None:
            columns = encoding.decode_table(table_format, schema, stored.data, key)
            yield from (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
