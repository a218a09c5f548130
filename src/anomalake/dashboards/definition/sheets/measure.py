"""The sheet of one measure.

It has the band around the expected values, and for each dimension the live data, the anomalies and the contributions.
"""

from anomalake.dashboards.definition.calculated_fields import BAND_FIELD_NAMES
from anomalake.dashboards.definition.datasets import BAND, CONTRIBUTIONS, LIVE, Node
from anomalake.dashboards.definition.fields import calculated_field, category_field, number_field, time_field
from anomalake.dashboards.definition.filters import FixedFilter
from anomalake.dashboards.definition.ids import measure_sheet_id
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import LineStyle, bars_of_shares, combo_chart, line_chart
from anomalake.dashboards.definition.window import Granularity
from anomalake.domain.metric_set import Dimension, Measure, MetricSet

# The color, the width and the dash pattern of the band's lines.
_BAND_STYLES = {
    "observed": ("#2563EB", "2px", "SOLID"),
    "expected": ("#F59E0B", "2px", "DOTTED"),
    "lower": ("#94A3B8", "1px", "SOLID"),
    "upper": ("#94A3B8", "1px", "SOLID"),
}
_HEIGHT = 11  # rows of the grid


def build_measure_sheet(metric_set: MetricSet, number: int, granularity: Granularity) -> Sheet:
    """Return the sheet of the measure with this number (from 0).

    The ids of visuals hold numbers: ids that hold long names would make the template too large.
    """
    measure = metric_set.measures[number]
    visuals = [_place_band(measure, f"m{number}-band", granularity)]
    if metric_set.dimensions:
        for position, dimension in enumerate(metric_set.dimensions):
            visuals += _place_dimension_visuals(measure, dimension, f"m{number}-d{position}", granularity)
    else:
        visuals += [
            PlacedVisual(_chart_live_data(measure, None, f"m{number}-d0", granularity), 18, _HEIGHT),
            PlacedVisual(_chart_anomalies(measure, None, f"m{number}-d0", granularity), 18, _HEIGHT),
        ]
    return build_sheet(measure_sheet_id(measure), measure.title, visuals, metric_set.dimensions)


def _place_band(measure: Measure, visual_id: str, granularity: Granularity) -> PlacedVisual:
    """Return the observed and expected values with their bounds, of all series together."""
    how = "added up over the series" if measure.aggregation == "SUM" else "mean of the series"
    names = BAND_FIELD_NAMES[measure.aggregation]
    chart = line_chart(
        visual_id,
        f"{measure.title}: observed, expected and band, {how}",
        time=time_field(f"{visual_id}-time", BAND, granularity),
        values=[calculated_field(f"{visual_id}-{line}", BAND, name) for line, name in names.items()],
        axis_label=_title_with_unit(measure),
        styles={f"{visual_id}-{line}": LineStyle(name, *_BAND_STYLES[line]) for line, name in names.items()},
    )
    return PlacedVisual(chart, 36, _HEIGHT, FixedFilter(visual_id, BAND, {"metricname": [measure.name]}))


def _place_dimension_visuals(
    measure: Measure, dimension: Dimension, id_start: str, granularity: Granularity
) -> list[PlacedVisual]:
    """Return the three visuals of one dimension, which share a row of the grid."""
    shares_id = f"{id_start}-contribution"
    shares = bars_of_shares(
        shares_id,
        f"{measure.title}: what contributed, by {dimension.title.lower()}",
        time=time_field(f"{shares_id}-time", CONTRIBUTIONS, granularity),
        value=number_field(f"{shares_id}-share", CONTRIBUTIONS, "contributionshare"),
        color=category_field(f"{shares_id}-value", CONTRIBUTIONS, "dimensionvalue"),
        axis_label="contribution",
    )
    of_dimension = {"metricname": [measure.name], "dimensionname": [dimension.name]}
    return [
        PlacedVisual(_chart_live_data(measure, dimension, id_start, granularity), 12, _HEIGHT),
        PlacedVisual(_chart_anomalies(measure, dimension, id_start, granularity), 12, _HEIGHT),
        PlacedVisual(shares, 12, _HEIGHT, FixedFilter(shares_id, CONTRIBUTIONS, of_dimension)),
    ]


def _chart_live_data(measure: Measure, dimension: Dimension | None, id_start: str, granularity: Granularity) -> Node:
    """Return the live data as lines: one for each value of the dimension, or one line without a dimension."""
    visual_id = f"{id_start}-live"
    return line_chart(
        visual_id,
        f"{measure.title}{_by_dimension(dimension)}, live",
        time=time_field(f"{visual_id}-time", LIVE, granularity),
        values=[number_field(f"{visual_id}-value", LIVE, measure.name, measure.aggregation)],
        colors=_color_by(dimension, visual_id),
        axis_label=_title_with_unit(measure),
    )


def _chart_anomalies(measure: Measure, dimension: Dimension | None, id_start: str, granularity: Granularity) -> Node:
    """Return the anomalous values as bars over a line of the live data."""
    visual_id = f"{id_start}-anomalies"
    anomalous = f"{measure.name}AnomalyMetricValue"
    return combo_chart(
        visual_id,
        f"{measure.title}: anomalies{_by_dimension(dimension)} over live data",
        time=time_field(f"{visual_id}-time", LIVE, granularity),
        bar=number_field(f"{visual_id}-anomalous", LIVE, anomalous, measure.aggregation),
        line=number_field(f"{visual_id}-live", LIVE, measure.name, measure.aggregation),
        colors=_color_by(dimension, visual_id),
        arrangement="STACKED" if measure.aggregation == "SUM" else "CLUSTERED",
        axis_label=_title_with_unit(measure),
    )


def _by_dimension(dimension: Dimension | None) -> str:
    return f" by {dimension.title.lower()}" if dimension else ""


def _color_by(dimension: Dimension | None, visual_id: str) -> list[Node]:
    return [category_field(f"{visual_id}-color", LIVE, dimension.name)] if dimension else []


def _title_with_unit(measure: Measure) -> str:
    return f"{measure.title} ({measure.short_unit})" if measure.unit else measure.title
