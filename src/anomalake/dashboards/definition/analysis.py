"""The whole definition of an analysis: its sheets, datasets, parameters, filters, calculated fields and formats."""

from collections.abc import Mapping
from typing import Any

from anomalake.dashboards.definition.calculated_fields import (
    build_band_fields,
    build_partition_fields,
    build_ratio_fields,
)
from anomalake.dashboards.definition.datasets import (
    ALL_CONTRIBUTIONS,
    ALL_DATASETS,
    ALL_LOG,
    CONTRIBUTIONS,
    DATASETS,
    LIVE,
    LOG,
    Node,
    declare_datasets,
)
from anomalake.dashboards.definition.filters import build_dimension_filter, build_time_filters
from anomalake.dashboards.definition.formats import build_all_sets_formats, build_set_formats
from anomalake.dashboards.definition.sheets.anomalous_series import build_anomalous_series
from anomalake.dashboards.definition.sheets.contributions import build_contributions
from anomalake.dashboards.definition.sheets.data_health import build_data_health
from anomalake.dashboards.definition.sheets.measure import build_measure_sheet
from anomalake.dashboards.definition.sheets.overview import build_overview
from anomalake.dashboards.definition.window import (
    Window,
    declare_parameters,
    event_period,
    finest_granularity,
)
from anomalake.domain.metric_set import MetricSet


def build_set_definition(metric_set: MetricSet, window: Window, arns: Mapping[str, Any] | None = None) -> Node:
    """Return the definition of a metric set's analysis.

    `arns` gives each dataset's ARN, as a string or a CloudFormation function; a preview needs no ARNs. The sheet
    "Data health" requires live data.
    """
    period = event_period(metric_set)
    sheets = [build_overview(LOG, ("metricname", "measure"), period)]
    sheets += [
        build_measure_sheet(metric_set, number, window.granularity) for number in range(len(metric_set.measures))
    ]
    sheets.append(build_contributions(CONTRIBUTIONS, finest_granularity(metric_set), dimensions=metric_set.dimensions))
    if metric_set.source is not None:
        sheets.append(build_data_health(window.granularity, period))
    return {
        "DataSetIdentifierDeclarations": declare_datasets(DATASETS, arns),
        "CalculatedFields": [
            *build_partition_fields(DATASETS),
            *build_ratio_fields(metric_set),
            *build_band_fields(metric_set),
        ],
        "ColumnConfigurations": build_set_formats(metric_set),
        "ParameterDeclarations": declare_parameters(window),
        "FilterGroups": [
            *build_time_filters(LIVE, DATASETS),
            *(build_dimension_filter(dimension, metric_set) for dimension in metric_set.dimensions),
            *(group for sheet in sheets for group in sheet.filter_groups),
        ],
        "Sheets": [sheet.node for sheet in sheets],
    }


def build_all_sets_definition(window: Window, arns: Mapping[str, Any] | None = None) -> Node:
    """Return the definition of the analysis over all metric sets: events, anomalous series, contributions."""
    outer_rows = [("metricset", "Metric set")]
    sheets = [
        build_overview(ALL_LOG, ("metricset", "metric set")),
        build_anomalous_series(),
        build_contributions(ALL_CONTRIBUTIONS, window.granularity, outer_rows=outer_rows),
    ]
    return {
        "DataSetIdentifierDeclarations": declare_datasets(ALL_DATASETS, arns),
        "CalculatedFields": build_partition_fields(ALL_DATASETS),
        "ColumnConfigurations": build_all_sets_formats(),
        "ParameterDeclarations": declare_parameters(window),
        "Sheets": [sheet.node for sheet in sheets],
        "FilterGroups": [
            *build_time_filters(ALL_LOG, ALL_DATASETS),
            *(group for sheet in sheets for group in sheet.filter_groups),
        ],
    }
