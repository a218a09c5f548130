"""How QuickSight formats the numbers and times in columns: decimal places, units, currencies, percentages."""

import re
from typing import Any

from anomalake.dashboards.definition.calculated_fields import name_anomalous_ratio, name_live_ratio
from anomalake.dashboards.definition.datasets import (
    ALL_DATASETS,
    CONTRIBUTIONS,
    DATASETS,
    LIVE,
    LOG,
    TIME,
    Node,
    build_column,
)
from anomalake.domain.metric_set import Measure, MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES

CURRENCY_CODE = re.compile("[A-Z]{3}")  # ISO 4217


def build_set_formats(metric_set: MetricSet) -> list[Node]:
    """Return the formats of a metric set's columns.

    Times, scores and contributions have fixed formats; a measure has the format and unit of the metric set.
    """
    formats = [_format_time(dataset) for dataset in DATASETS]
    formats += [_format_number(dataset, "groupscore", _decimal_places(1)) for dataset in (LOG, CONTRIBUTIONS)]
    formats += [
        _format_number(CONTRIBUTIONS, column, _decimal_places(1))
        for column in ("valuecontribution", "contributionshare")
    ]
    for measure in metric_set.measures:
        suffixes = [suffix for suffix in ANOMALY_COLUMN_SUFFIXES if suffix not in ("GroupScore", "EventId")]
        for column in (measure.name, *(measure.name + suffix for suffix in suffixes)):
            formats.append(_format_number(LIVE, column, _measure_format(measure)))
        formats.append(_format_number(LIVE, f"{measure.name}GroupScore", _decimal_places(1)))
        if measure.aggregation == "RATIO":
            rolled_up = (name_live_ratio(measure), name_anomalous_ratio(measure))
            formats += [_format_number(LIVE, name, _measure_format(measure)) for name in rolled_up]
    return formats


def build_all_sets_formats() -> list[Node]:
    """Return the formats of times and scores in the datasets over all metric sets."""
    return [_format_time(dataset) for dataset in ALL_DATASETS] + [
        _format_number(dataset, "groupscore", _decimal_places(1)) for dataset in ALL_DATASETS
    ]


def _format_time(dataset: str) -> Node:
    return {
        "Column": build_column(dataset, TIME),
        "FormatConfiguration": {"DateTimeFormatConfiguration": {"DateTimeFormat": "YYYY-MM-DD HH:mm"}},
    }


def _format_number(dataset: str, column: str, number_format: Node) -> Node:
    return {
        "Column": build_column(dataset, column),
        "FormatConfiguration": {"NumberFormatConfiguration": {"FormatConfiguration": number_format}},
    }


def _decimal_places(places: int) -> Node:
    return {"NumberDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": places}}}


def _measure_format(measure: Measure) -> Node:
    """Return QuickSight's number format for the measure's `format` and `unit`."""
    places: Node = {"DecimalPlacesConfiguration": {"DecimalPlaces": 0 if measure.format == "integer" else 2}}
    if measure.format == "percent":
        return {"PercentageDisplayFormatConfiguration": places}
    if measure.format == "currency" and measure.unit and CURRENCY_CODE.fullmatch(measure.unit):
        return {"CurrencyDisplayFormatConfiguration": {**places, "Symbol": measure.unit}}
    suffix: dict[str, Any] = {"Suffix": f" {measure.short_unit}"} if measure.unit else {}
    return {"NumberDisplayFormatConfiguration": {**places, **suffix}}
