"""The sheet of one measure.

It has the band around the expected values, and for each dimension the live data, the anomalies and the contributions.
"""

from anomalake.dashboards.definition.calculated_fields import (
    name_anomalous_ratio,
    name_band_fields,
    name_live_ratio,
)
from anomalake.dashboards.definition.datasets import BAND, CONTRIBUTIONS, LIVE, Node
from anomalake.dashboards.definition.fields import (
    ROLL_UP_FUNCTIONS,
    calculated_field,
    category_field,
    number_field,
    time_field,
)
from anomalake.dashboards.definition.filters import FixedFilter
from anomalake.dashboards.definition.ids import measure_sheet_id
from anomalake.dashboards.definition.layout import PlacedVisual, Sheet, build_sheet
from anomalake.dashboards.definition.visuals import LineStyle, bars_of_shares, combo_chart, line_chart
from anomalake.dashboards.definition.window import Granularity
from anomalake.domain.metric_set import Aggregation, Dimension, Measure, MetricSet

# The color, the width and the dash pattern of the band's lines.
_BAND_STYLES = {
    "observed": ("#2563EB", "2px", "SOLID"),
    "expected": ("#F59E0B", "2px", "DOTTED"),
    "lower": ("#94A3B8", "1px", "SOLID"),
    "upper": ("#94A3B8", "1px", "SOLID"),
}
_HEIGHT = 11  # rows of the grid
# How a band shows several series together, and what a reader must know about the roll-up of live data.
_ROLL_UPS: dict[Aggregation, str] = {
    "SUM": "added up over the series",
    "COUNT": "added up over the series",
    "COUNT_DISTINCT": "added up over the series",
    "AVG": "mean of the series, weighted by their rows",
    "RATIO": "ratio of the sums over the series",
    "MIN": "minimum of the series",
    "MAX": "maximum of the series",
}
_COUNTED_TWICE = "a value that occurs in two series or intervals counts twice"
_LIVE_NOTES: dict[Aggregation, str] = {
    "COUNT_DISTINCT": _COUNTED_TWICE,
    "AVG": "mean of the means of the series and intervals",
}


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
    names = name_band_fields(measure.aggregation)
    chart = line_chart(
        visual_id,
        f"{measure.title}: observed, expected and band, {_ROLL_UPS[measure.aggregation]}",
        subtitle=_COUNTED_TWICE if measure.aggregation == "COUNT_DISTINCT" else "",
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
        subtitle=_LIVE_NOTES.get(measure.aggregation, ""),
        time=time_field(f"{visual_id}-time", LIVE, granularity),
        values=[_roll_up_live_data(f"{visual_id}-value", measure)],
        colors=_color_by(dimension, visual_id),
        axis_label=_title_with_unit(measure),
    )


def _chart_anomalies(measure: Measure, dimension: Dimension | None, id_start: str, granularity: Granularity) -> Node:
    """Return the anomalous values as bars over a line of the live data."""
    visual_id = f"{id_start}-anomalies"
    return combo_chart(
        visual_id,
        f"{measure.title}: anomalies{_by_dimension(dimension)} over live data",
        subtitle=_LIVE_NOTES.get(measure.aggregation, ""),
        time=time_field(f"{visual_id}-time", LIVE, granularity),
        bar=_roll_up_anomalies(f"{visual_id}-anomalous", measure),
        line=_roll_up_live_data(f"{visual_id}-live", measure),
        colors=_color_by(dimension, visual_id),
        arrangement="STACKED" if measure.is_additive else "CLUSTERED",
        axis_label=_title_with_unit(measure),
    )


def _roll_up_live_data(field_id: str, measure: Measure) -> Node:
    """Return the field that makes one number of the live values of several series."""
    function = ROLL_UP_FUNCTIONS.get(measure.aggregation)
    if function is None:
        return calculated_field(field_id, LIVE, name_live_ratio(measure))
    return number_field(field_id, LIVE, measure.name, function)


def _roll_up_anomalies(field_id: str, measure: Measure) -> Node:
    """Return the field that makes one number of the anomalous values of several series."""
    function = ROLL_UP_FUNCTIONS.get(measure.aggregation)
    if function is None:
        return calculated_field(field_id, LIVE, name_anomalous_ratio(measure))
    return number_field(field_id, LIVE, f"{measure.name}AnomalyMetricValue", function)


def _by_dimension(dimension: Dimension | None) -> str:
    return f" by {dimension.title.lower()}" if dimension else ""


def _color_by(dimension: Dimension | None, visual_id: str) -> list[Node]:
    return [category_field(f"{visual_id}-color", LIVE, dimension.name)] if dimension else []


def _title_with_unit(measure: Measure) -> str:
    return f"{measure.title} ({measure.short_unit})" if measure.unit else measure.title
