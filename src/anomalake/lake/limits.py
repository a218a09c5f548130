"""The limits of what a table keeps of one interval. With them, the ingest function can merge any object within its
memory. All functions are pure.

If an interval has more units than the limit, the table keeps the greatest, in the order of `tables.merge_units`. The
result is a maximum, so it does not depend on order, duplicates or batches. The archive keeps every alert as received.
docs/alerts.md describes the limits.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from anomalake.domain.alert import Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import tables
from anomalake.lake.layout import Table
from anomalake.lake.tables import Units

# Of the anomalous series of an interval. A series counts as `ROW_BYTES`, plus `CHARACTER_BYTES` for each character of
# its values.
MAX_INTERVAL_BYTES = 10_000_000
ROW_BYTES, CHARACTER_BYTES = 300, 4
MAX_EVENTS_PER_INTERVAL: Mapping[Table, int] = {"dimensionContributions": 200, "anomalyGroups": 2_000}
MAX_CONTRIBUTIONS, MAX_CONTRIBUTION_CHARACTERS = 500, 50_000  # of the contributions of one event
MAX_TEXT_CHARACTERS = 2_000  # of each text of an event, such as its root cause


def limited_units(table: Table, alert: Alert, metric_set: MetricSet) -> Units:
    """Return the units of an alert (`tables.units_from_alert`), with its texts and contributions shortened to the
    limits for one event.

    The texts are shortened for every table, because the report ID is computed from them and must be the same in all
    tables.
    """
    texts = {
        name: _shorten_text(name, value)
        for name in _TEXT_FIELDS
        if (value := getattr(alert, name)) and len(value) > MAX_TEXT_CHARACTERS
    }
    alert = msgspec.structs.replace(alert, **texts) if texts else alert
    return tables.units_from_alert(
        table, _keep_greatest_contributions(alert) if table == "dimensionContributions" else alert, metric_set
    )


def _shorten_text(name: str, value: str) -> str | None:
    return None if name == "console_url" else value[:MAX_TEXT_CHARACTERS]  # an incomplete link would not work


_TEXT_FIELDS = ("direction", "anomaly_group_id", "alert_name", "source", "console_url", "root_cause")


def _keep_greatest_contributions(alert: Alert) -> Alert:
    """Return the alert with its greatest contributions, up to `MAX_CONTRIBUTIONS` and `MAX_CONTRIBUTION_CHARACTERS`."""
    dimensions = alert.impacted_metric.dimension_contribution
    contributions = {
        (dimension.dimension_name, value.dimension_value, value.value_contribution)
        for dimension in dimensions
        for value in dimension.dimension_value_contributions
    }
    characters = sum(len(value or "") for _, value, _ in contributions)
    if len(contributions) <= MAX_CONTRIBUTIONS and characters <= MAX_CONTRIBUTION_CHARACTERS:
        return alert
    greatest, characters = set[tuple[str, str | None, float]](), 0
    for name, value, contribution in sorted(contributions, key=lambda c: (-c[2], c[0], c[1] is not None, c[1] or "")):
        characters += len(value or "")
        if len(greatest) == MAX_CONTRIBUTIONS or characters > MAX_CONTRIBUTION_CHARACTERS:
            break
        greatest.add((name, value, contribution))
    limited = tuple(
        msgspec.structs.replace(
            dimension,
            dimension_value_contributions=tuple(
                value
                for value in dimension.dimension_value_contributions
                if (dimension.dimension_name, value.dimension_value, value.value_contribution) in greatest
            ),
        )
        for dimension in dimensions
    )
    return msgspec.structs.replace(
        alert, impacted_metric=msgspec.structs.replace(alert.impacted_metric, dimension_contribution=limited)
    )


def keep_greatest(table: Table, units: Units) -> Units:
    """Return the units that the table keeps: all, or the greatest up to and including the one that reaches the limit.

    This is associative with `tables.merge_units`: a unit is dropped only if greater units with other identities reach
    the limit, and these never become smaller. The weight of a unit depends only on its identity.
    """
    limit = MAX_EVENTS_PER_INTERVAL.get(table, MAX_INTERVAL_BYTES)
    if not reaches_limit(table, units):
        return units
    greatest, weight = dict[tuple[Any, ...], tuple[Any, ...]](), 0
    for identity, unit in sorted(
        units.items(), key=lambda item: (tables.comparison_key(item[1]), _identity_key(item[0])), reverse=True
    ):
        if weight >= limit:
            break
        greatest[identity] = unit
        weight += _weight(table, identity)
    return greatest


def reaches_limit(table: Table, units: Units) -> bool:
    """Return whether the units reach the limit of the table for one interval.

    If so, the table may have dropped units.
    """
    return sum(_weight(table, identity) for identity in units) >= MAX_EVENTS_PER_INTERVAL.get(table, MAX_INTERVAL_BYTES)


def _weight(table: Table, identity: tuple[Any, ...]) -> int:
    return (
        1 if table in MAX_EVENTS_PER_INTERVAL else ROW_BYTES + CHARACTER_BYTES * len("".join(filter(None, identity[0])))
    )


def _identity_key(identity: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a sort key of the identity; null sorts first."""
    return tuple(
        tuple((value is not None, value or "") for value in part) if isinstance(part, tuple) else part
        for part in identity
    )
