"""What a table keeps of one interval, so that the object of any interval is merged within the ingest function's memory. Pure.

Of an interval that holds more, the greatest units stay, in the order in which `tables.merge` prefers them. That is a maximum again: any order, any
duplicates and any batches give the same. The archive keeps every alert as received. docs/alerts.md describes the limits.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from anomalake.domain.alert import Alert
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import tables
from anomalake.lake.layout import Table
from anomalake.lake.tables import Units

MAX_INTERVAL_BYTES = 10_000_000  # of anomalous series, each counted as `ROW_BYTES` and `CHARACTER_BYTES` for each character of its values
ROW_BYTES, CHARACTER_BYTES = 300, 4
MAX_EVENTS_PER_INTERVAL: Mapping[Table, int] = {"dimensionContributions": 200, "anomalyGroups": 2_000}
MAX_CONTRIBUTIONS, MAX_CONTRIBUTION_CHARACTERS = 500, 50_000  # of the contributions of one event
MAX_TEXT_CHARACTERS = 2_000  # of each text of an event, such as its root cause


def limited_units(table: Table, alert: Alert, metric_set: MetricSet) -> Units:
    """`tables.units` of an alert whose texts and contributions are cut to what a table keeps of one event.

    The texts are cut for every table, since a report's id, which is the same in all of them, is made of the texts too.
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
    return None if name == "console_url" else value[:MAX_TEXT_CHARACTERS]  # a part of a link leads nowhere


_TEXT_FIELDS = ("direction", "anomaly_group_id", "alert_name", "source", "console_url", "root_cause")


def _keep_greatest_contributions(alert: Alert) -> Alert:
    """The alert with its greatest contributions: as many as fit `MAX_SHARES` and `MAX_SHARE_CHARACTERS`."""
    contributions = alert.impacted_metric.dimension_contribution
    shares = {
        (one.dimension_name, share.dimension_value, share.value_contribution)
        for one in contributions
        for share in one.dimension_value_contributions
    }
    if (
        len(shares) <= MAX_CONTRIBUTIONS
        and sum(len(value or "") for _, value, _ in shares) <= MAX_CONTRIBUTION_CHARACTERS
    ):
        return alert
    kept, characters = set[tuple[str, str | None, float]](), 0
    for place in sorted(shares, key=lambda one: (-one[2], one[0], one[1] is not None, one[1] or "")):
        characters += len(place[1] or "")
        if len(kept) == MAX_CONTRIBUTIONS or characters > MAX_CONTRIBUTION_CHARACTERS:
            break
        kept.add(place)
    cut = tuple(
        msgspec.structs.replace(
            one,
            dimension_value_contributions=tuple(
                share
                for share in one.dimension_value_contributions
                if (one.dimension_name, share.dimension_value, share.value_contribution) in kept
            ),
        )
        for one in contributions
    )
    return msgspec.structs.replace(
        alert, impacted_metric=msgspec.structs.replace(alert.impacted_metric, dimension_contribution=cut)
    )


def keep_greatest(table: Table, some: Units) -> Units:
    """The units that the table keeps: all, or the greatest up to the one that reaches the limit.

    Associative with `tables.merge`: a unit is dropped only where greater ones of other identities fill the limit, and those never become smaller; the
    weight of a unit depends on its identity alone.
    """
    limit = MAX_EVENTS_PER_INTERVAL.get(table, MAX_INTERVAL_BYTES)
    if not reaches_limit(table, some):
        return some
    found, weight = dict[tuple[Any, ...], tuple[Any, ...]](), 0
    for identity, unit in sorted(
        some.items(), key=lambda item: (tables.comparison_key(item[1]), _identity_key(item[0])), reverse=True
    ):
        if weight >= limit:
            break
        found[identity] = unit
        weight += _weight(table, identity)
    return found


def reaches_limit(table: Table, some: Units) -> bool:
    """Whether the units are more than the table keeps of one interval, or as many: then some may have been left out."""
    return sum(_weight(table, identity) for identity in some) >= MAX_EVENTS_PER_INTERVAL.get(table, MAX_INTERVAL_BYTES)


def _weight(table: Table, identity: tuple[Any, ...]) -> int:
    return (
        1 if table in MAX_EVENTS_PER_INTERVAL else ROW_BYTES + CHARACTER_BYTES * len("".join(filter(None, identity[0])))
    )


def _identity_key(identity: tuple[Any, ...]) -> tuple[Any, ...]:
    """The identity as something to compare, null lowest."""
    return tuple(
        tuple((value is not None, value or "") for value in part) if isinstance(part, tuple) else part
        for part in identity
    )
