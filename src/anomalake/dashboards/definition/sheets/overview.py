"""The sheet "Overview": how many events there are, how severe they are, when they occurred, and the event log."""

from anomalake.dashboards.definition.datasets import TIME
from anomalake.dashboards.definition.fields import category_field, distinct_count_field, number_field, time_field
from anomalake.dashboards.definition.filters import FixedFilter
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import bars_over_time, heat_map, kpi, table
from anomalake.dashboards.definition.window import DAILY, Period

SEVERITY_COLORS = {
    "critical": "#7F1D1D",
    "high": "#DC2626",
    "medium": "#F59E0B",
    "low": "#FCD34D",
    "unscored": "#94A3B8",
}
_SCORE_COLORS = {0: "#FEF3C7", 100: "#7F1D1D"}
_LOG_COLUMNS = (
    (TIME, "Time"),
    ("metricset", "Metric set"),
    ("metricname", "Measure"),
    ("groupscore", "Score"),
    ("severity", "Severity"),
    ("direction", "Direction"),
    ("affectedseries", "Series"),
    ("rootcause", "Root cause"),
    ("feedback", "Feedback"),
    ("source", "Source"),
    ("consoleurl", "Link"),
)


def build_overview(log: str, heat_map_row: tuple[str, str], period: Period = DAILY) -> Sheet:
    """Return the overview of the events in the dataset `log`.

    `heat_map_row` is the column that divides the heat map into rows, and what its title calls it: the measure, or the
    metric set over all sets.
    """
    row_column, row_name = heat_map_row
    severe = FixedFilter("severe", log, {"severity": ["high", "critical"]})
    timeline = bars_over_time(
        "timeline",
        f"Events per {period.name} by severity",
        dataset=log,
        granularity=period.granularity,
        value=distinct_count_field("timeline-events", log, "eventid"),
        color_column="severity",
        colors=SEVERITY_COLORS,
        axis_label="events",
    )
    worst_scores = heat_map(
        "worst",
        f"Worst score of the {period.name} by {row_name}",
        row=category_field("worst-row", log, row_column),
        time=time_field("worst-day", log, period.granularity),
        value=number_field("worst-score", log, "groupscore", "MAX"),
        color_stops=_SCORE_COLORS,
    )
    columns = [(column, label) for column, label in _LOG_COLUMNS if column != "metricset" or row_column == "metricset"]
    return build_sheet(
        "overview",
        "Overview",
        [
            _kpi_of_events("kpi-events", "Events", log),
            _kpi_of_events("kpi-severe", "High or critical", log, severe),
            _kpi_of_maximum("kpi-worst", "Worst score", log, "groupscore"),
            _kpi_of_maximum("kpi-series", "Most series in one event", log, "affectedseries"),
            PlacedVisual(timeline, 18, 11),
            PlacedVisual(worst_scores, 18, 11),
            PlacedVisual(
                table("log", "Event log, newest first", dataset=log, columns=columns, sort_descending_by=TIME), 36, 17
            ),
        ],
    )


def _kpi_of_events(visual_id: str, title: str, log: str, fixed_filter: FixedFilter | None = None) -> PlacedVisual:
    count = distinct_count_field(f"{visual_id}-value", log, "eventid")
    return PlacedVisual(kpi(visual_id, title, count), 9, 5, fixed_filter)


def _kpi_of_maximum(visual_id: str, title: str, log: str, column: str) -> PlacedVisual:
    return PlacedVisual(kpi(visual_id, title, number_field(f"{visual_id}-value", log, column, "MAX")), 9, 5)
