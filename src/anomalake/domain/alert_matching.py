"""Matches the names in an alert to the measures and dimensions of its metric set."""

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
from anomalake.domain.text import quote

MAX_VALUE_CHARACTERS = 5_000  # of a dimension value

_Dimensional = TypeVar("_Dimensional", DimensionValue, DimensionContribution)


def match_to_metric_set(alert: Alert, metric_set: MetricSet) -> Alert:
    """Replace former names in an alert by current ones, and keep the optional dimensions that the metric set declares.

    Raises `AlertError` if the alert has an unknown measure or dimension, a series that names a dimension twice, or a
    dimension value that is too long.
    """
    alert = _replace_former_names(alert, metric_set)
    metric, known = alert.impacted_metric, set(metric_set.dimension_names)
    where = f"the metric set {quote(metric_set.name)}"
    if metric.metric_name not in (*metric_set.measure_names, MISSING_DATA):
        measures = ", ".join(metric_set.measure_names)
        raise AlertError(f"metricName: {where} has no measure {quote(metric.metric_name)}; it has {measures}")
    used = [contribution.dimension_name for contribution in metric.dimension_contribution]
    for series in metric.relevant_time_series:
        names = [dimension.dimension_name for dimension in series.dimensions]
        if len(set(names)) < len(names):
            raise AlertError(f"relevantTimeSeries: a series names a dimension twice: {', '.join(names)}")
        used += names
    for value in _iterate_values(metric):
        if value is not None and len(value) > MAX_VALUE_CHARACTERS:
            raise AlertError(f"dimensionValue: has {len(value)} characters; the limit is {MAX_VALUE_CHARACTERS}")
    for name in used:
        if name not in known:
            dimensions = ", ".join(metric_set.dimension_names) or "no dimensions"
            raise AlertError(f"dimensionName: {where} has no dimension {quote(name)}; it has {dimensions}")
    return _keep_declared_dimensions(alert, known)


def get_dimension_values(series: TimeSeries, metric_set: MetricSet) -> tuple[str | None, ...]:
    """Return the value of the series in each dimension of the metric set, in declared order.

    A missing dimension has the value None.
    """
    values = {dimension.dimension_name: dimension.dimension_value for dimension in series.dimensions}
    return tuple(values.get(name) for name in metric_set.dimension_names)


def _keep_declared_dimensions(alert: Alert, declared: Collection[str]) -> Alert:
    """Move declared optional dimensions of each series to its dimensions, unless it has them; drop the others."""
    metric, replace = alert.impacted_metric, msgspec.structs.replace
    if not any(series.optional_dimensions for series in metric.relevant_time_series):
        return alert

    def merge(series: TimeSeries) -> TimeSeries:
        optional = series.optional_dimensions
        by_name = {item.dimension_name: item for item in optional if item.dimension_name in declared}
        by_name |= {item.dimension_name: item for item in series.dimensions}
        return replace(series, dimensions=tuple(by_name.values()), optional_dimensions=())

    merged = tuple(map(merge, metric.relevant_time_series))
    return replace(alert, impacted_metric=replace(metric, relevant_time_series=merged))


def _iterate_values(metric: ImpactedMetric) -> Iterator[str | None]:
    """Yield each dimension value in the alert."""
    for series in metric.relevant_time_series:
        yield from (dimension.dimension_value for dimension in series.dimensions)
    for contribution in metric.dimension_contribution:
        yield from (value.dimension_value for value in contribution.dimension_value_contributions)


def _replace_former_names(alert: Alert, metric_set: MetricSet) -> Alert:
    """Replace the former names of measures and dimensions by their current names."""
    measures = {former: measure.name for measure in metric_set.measures for former in measure.formerly}
    dimensions = {former: dimension.name for dimension in metric_set.dimensions for former in dimension.formerly}
    if not measures and not dimensions:
        return alert
    replace, metric = msgspec.structs.replace, alert.impacted_metric

    def rename(items: tuple[_Dimensional, ...]) -> tuple[_Dimensional, ...]:
        return tuple(
            replace(item, dimension_name=dimensions.get(item.dimension_name, item.dimension_name)) for item in items
        )

    series = tuple(
        replace(item, dimensions=rename(item.dimensions), optional_dimensions=rename(item.optional_dimensions))
        for item in metric.relevant_time_series
    )
    renamed = replace(
        metric,
        metric_name=measures.get(metric.metric_name, metric.metric_name),
        dimension_contribution=rename(metric.dimension_contribution),
        relevant_time_series=series,
    )
    return replace(alert, impacted_metric=renamed)
