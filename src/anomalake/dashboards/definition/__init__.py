"""Builds the definition of a QuickSight analysis from a metric set. Pure.

The definition has the form of "AnalysisDefinition" in the QuickSight API. `analysis` builds the whole. Each module of
`sheets` builds one sheet from the visuals of `visuals`; `filters`, `calculated_fields`, `formats` and `window` build
what the sheets share.
"""

from anomalake.dashboards.definition.analysis import build_all_sets_definition, build_set_definition
from anomalake.dashboards.definition.datasets import (
    ALL_ANOMALIES,
    ALL_CONTRIBUTIONS,
    ALL_DATASETS,
    ALL_LOG,
    BAND,
    CONTRIBUTIONS,
    DATASETS,
    HEALTH,
    LIVE,
    LOG,
    TIME,
    UTC_DAY,
)
from anomalake.dashboards.definition.window import (
    MAX_TIME_AXIS_POINTS,
    Granularity,
    Window,
    finest_granularity,
    fit_window,
    rolling_window,
)

__all__ = [
    "ALL_ANOMALIES",
    "ALL_CONTRIBUTIONS",
    "ALL_DATASETS",
    "ALL_LOG",
    "BAND",
    "CONTRIBUTIONS",
    "DATASETS",
    "HEALTH",
    "LIVE",
    "LOG",
    "MAX_TIME_AXIS_POINTS",
    "TIME",
    "UTC_DAY",
    "Granularity",
    "Window",
    "build_all_sets_definition",
    "build_set_definition",
    "finest_granularity",
    "fit_window",
    "rolling_window",
]
