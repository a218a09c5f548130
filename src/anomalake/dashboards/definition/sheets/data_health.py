"""The sheet "Data health": whether live data arrives and is scored, how complete it is, and what is missing."""

from anomalake.dashboards.definition.datasets import HEALTH, LOG, TIME
from anomalake.dashboards.definition.fields import number_field, time_field
from anomalake.dashboards.definition.filters import FixedFilter
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import bars_over_time, line_chart, table
from anomalake.dashboards.definition.window import Granularity, Period
from anomalake.domain.alert import MISSING_DATA

STATUS_COLORS = {"scored": "#16A34A", "learning": "#60A5FA", "thin": "#F59E0B", "empty": "#DC2626", "late": "#7C3AED"}
_UNHEALTHY_STATUSES = ("thin", "empty", "late")
_MISSING_COLUMNS = (
    (TIME, "Time"),
    ("groupscore", "Missing, %"),
    ("rootcause", "What is missing"),
    ("affectedseries", "Series"),
    ("feedback", "Feedback"),
)
_INTERVAL_COLUMNS = (
    (TIME, "Time"),
    ("status", "Status"),
    ("series", "Series"),
    ("usualseries", "Usual"),
    ("scoredseries", "Scored"),
    ("rowsread", "Rows read"),
    ("rowsrefused", "Rejected"),
)


def build_data_health(granularity: Granularity, period: Period) -> Sheet:
    """Return the data health of a metric set with live data."""
    completeness = line_chart(
        "completeness",
        "Completeness: series with data, % of the usual number (minimum of each step)",
        time=time_field("completeness-time", HEALTH, granularity),
        values=[number_field("completeness-value", HEALTH, "completeness", "MIN")],
        axis_label="%",
    )
    statuses = bars_over_time(
        "statuses",
        f"Intervals per {period.name} by status",
        dataset=HEALTH,
        granularity=period.granularity,
        value=number_field("statuses-intervals", HEALTH, "series", "COUNT"),
        color_column="status",
        colors=STATUS_COLORS,
        axis_label="intervals",
    )
    missing = table(
        "missing",
        "Missing data, newest first",
        dataset=LOG,
        columns=_MISSING_COLUMNS,
        sort_descending_by=TIME,
    )
    newest = table(
        "newest",
        "The detector, interval by interval, newest first",
        dataset=HEALTH,
        columns=_INTERVAL_COLUMNS,
        sort_descending_by=TIME,
    )
    unhealthy = table(
        "unhealthy",
        "Intervals that were thin, empty or late",
        dataset=HEALTH,
        columns=_INTERVAL_COLUMNS,
        sort_descending_by=TIME,
    )
    return build_sheet(
        "health",
        "Data health",
        [
            PlacedVisual(completeness, 36, 9),
            PlacedVisual(statuses, 18, 11),
            PlacedVisual(missing, 18, 11, FixedFilter("missing", LOG, {"metricname": [MISSING_DATA]})),
            PlacedVisual(newest, 18, 13),
            PlacedVisual(unhealthy, 18, 13, FixedFilter("unhealthy", HEALTH, {"status": _UNHEALTHY_STATUSES})),
        ],
    )
