"""Matches an alert to the measures and dimensions of its metric set."""

from collections.abc import Collection, Iterator
from typing import TypeVar

import msgspec

from anomalake.domain.alert import (
    MISSING_DATA,
    Alert,
    DimensionContribution,
    DimensionValue,
    ImpactedMetric,
    TimeSeries,
)
from anomalake.domain.errors import AlertError
from anomalake.domain.metric_set import MetricSet

MAX_VALUE_CHARACTERS = 5_000  # of a dimension

_Dimensional = TypeVar("_Dimensional", DimensionValue, DimensionContribution)


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
