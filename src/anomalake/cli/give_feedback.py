"""What `anomalake feedback` says of an event or of series: looked up in the lake's tables, and kept as a file that the detector heeds."""

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


def feedback_on_event(event: str, metric_set: MetricSet, store: Store, form: Format) -> list[Feedback]:
    """The event with its measure, interval, direction and affected series, one for each measure that has it; `UserError` where no table has it.

    `wanted` is True; the caller says what was said.
    """
    folder = layout.table_folder("anomalyGroups", metric_set)
    newest_first = sorted(
        store.list(folder), reverse=True
    )  # an event is asked about when it is new; its rows are of one interval, so of one object
    objects = (
        [row for row in _rows("anomalyGroups", [key], metric_set, store, form) if row["eventId"] == event]
        for key in newest_first
    )
    groups = next(filter(None, objects), [])
    if not groups:
        raise UserError(
            f'{metric_set.path}: no event has the id {event!r}; `anomalake query "SELECT eventid FROM anomaly_log"` lists them'
        )
    found = []
    for group in groups:
        measure, instant = group["metricName"], group["timestamp"]
        some: list[dict[str, str | None]] = []
        if measure != alerts.MISSING_DATA:
            keys = [layout.table_key("metricValue_AnomalyScore", metric_set, instant, form)]
            rows = _rows("metricValue_AnomalyScore", keys, metric_set, store, form)
            current = [row for row in rows if row[f"{measure}EventId"] == event and row[tables.EVENT_RANK_COLUMN] >= 0]
            some = [{name: row[name] for name in metric_set.dimension_names} for row in current]
        found.append(
            Feedback(measure, instant, wanted=True, event_id=event, direction=group["direction"], series=tuple(some))
        )
    return found


def feedback_on_series(
    measure: str, since: datetime, direction: str | None, dimensions: Sequence[str], metric_set: MetricSet
) -> Feedback:
    """The measure's series that have these dimension values (`name=value`; `name=` means that the series lacks it), from `since` on."""
    wanted: dict[str, str | None] = {}
    for one in dimensions:
        name, equals, value = one.partition("=")
        if not equals:
            raise UserError(f"--series {one}: is written NAME=VALUE, as platform=pc_web")
        wanted[name] = value or None
    found = Feedback(measure, since, wanted=True, direction=direction, series=(wanted,) if wanted else ())
    feedback.validate(found, metric_set, "feedback")
    return found


def save_feedback(said: Feedback, metric_set: MetricSet, store: Store) -> str:
    """Write what was said, in place of what was said before of the same; the key."""
    name = alerts.derive_id(
        said.metric_name,
        said.event_id or "",
        said.direction or "",
        *(() if said.event_id else (f"{said.timestamp}", f"{said.series}")),
    )
    key = layout.feedback_key(metric_set, name)
    store.put(key, msgspec.json.encode(said) + b"\n")
    return key


def _rows(
    table: Table, keys: Iterable[str], metric_set: MetricSet, store: Store, form: Format
) -> Iterator[dict[str, Any]]:
    """The rows of the table's objects."""
    schema = tables.schema(table, metric_set)
    for key in keys:
        stored = store.get(key) if key.endswith(f".{form}") else None
        if stored is not None:
            columns = encoding.decode_table(form, schema, stored.data, key)
            yield from (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
