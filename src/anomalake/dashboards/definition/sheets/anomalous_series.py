"""The sheet "Series" of the analysis over all metric sets: the anomalous series as a table."""

from anomalake.dashboards.definition.datasets import ALL_ANOMALIES, TIME
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import table

_COLUMNS = (
    (TIME, "Time"),
    ("metricset", "Metric set"),
    ("metricname", "Measure"),
    ("dimensions", "Series"),
    ("groupscore", "Score"),
    ("value", "Value"),
    ("expectedvalue", "Expected"),
    ("lowerbound", "Lower bound"),
    ("upperbound", "Upper bound"),
)


def build_anomalous_series() -> Sheet:
    """Return the anomalous series of all metric sets, highest score first."""
    series = table(
        "series",
        "Anomalous series, highest score first",
        dataset=ALL_ANOMALIES,
        columns=_COLUMNS,
        sort_descending_by="groupscore",
    )
    return build_sheet("series", "Series", [PlacedVisual(series, 36, 21)])
