"""One function for each kind of visual.

A function takes the visual's id, title and fields, and returns the visual as the QuickSight API describes it
("Visual").
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anomalake.dashboards.definition.datasets import TIME, Node, build_column
from anomalake.dashboards.definition.fields import category_field, field_id_of, number_field, time_field


class LineStyle(NamedTuple):
    """The style of one line."""

    label: str  # the name of the field
    color: str
    width: str  # such as 2px
    dashes: str  # SOLID, DOTTED or DASHED


def line_chart(
    visual_id: str,
    title: str,
    *,
    time: Node,
    values: Sequence[Node],
    axis_label: str,
    colors: Sequence[Node] | None = None,
    styles: Mapping[str, LineStyle] | None = None,
    subtitle: str = "",
) -> Node:
    """Return lines over time: one for each value, or one for each color of a single value.

    `styles` gives the style of each value's line by field id.
    """
    wells: Node = {"Category": [time], "Values": list(values)}
    if colors is not None:
        wells["Colors"] = list(colors)
    configuration: Node = {
        "Type": "LINE",
        "FieldWells": {"LineChartAggregatedFieldWells": wells},
        "SortConfiguration": {"CategorySort": _sort_ascending(time)},
        "PrimaryYAxisLabelOptions": _axis_label(axis_label),
    }
    if styles:
        configuration["VisualPalette"] = {
            "ColorMap": [
                {"Element": {"FieldId": field_id, "FieldValue": style.label}, "Color": style.color}
                for field_id, style in styles.items()
            ]
        }
        configuration["Series"] = [_style_line(field_id, style) for field_id, style in styles.items()]
    return _visual("LineChartVisual", visual_id, title, configuration, subtitle)


def _style_line(field_id: str, style: LineStyle) -> Node:
    return {
        "DataFieldSeriesItem": {
            "FieldId": field_id,
            "AxisBinding": "PRIMARY_YAXIS",
            "Settings": {"LineStyleSettings": {"LineWidth": style.width, "LineStyle": style.dashes}},
        }
    }


def bars_over_time(
    visual_id: str,
    title: str,
    *,
    dataset: str,
    granularity: str,
    value: Node,
    color_column: str,
    colors: Mapping[str, str],
    axis_label: str,
) -> Node:
    """Return one bar for each step of time, stacked by a column.

    `colors` gives the color of each value of that column.
    """
    time = time_field(f"{visual_id}-day", dataset, granularity)
    color = category_field(f"{visual_id}-{color_column}", dataset, color_column)
    color_map = [
        {"Element": {"FieldId": field_id_of(color), "FieldValue": label}, "Color": shade}
        for label, shade in colors.items()
    ]
    configuration = {
        "FieldWells": {"BarChartAggregatedFieldWells": {"Category": [time], "Values": [value], "Colors": [color]}},
        "Orientation": "VERTICAL",
        "BarsArrangement": "STACKED",
        "SortConfiguration": {"CategorySort": _sort_ascending(time)},
        "ValueLabelOptions": _axis_label(axis_label),
        "VisualPalette": {"ColorMap": color_map},
    }
    return _visual("BarChartVisual", visual_id, title, configuration)


def bars_of_shares(visual_id: str, title: str, *, time: Node, value: Node, color: Node, axis_label: str) -> Node:
    """Return bars over time that are 100 % high, divided by color."""
    configuration = {
        "Orientation": "VERTICAL",
        "BarsArrangement": "STACKED_PERCENT",
        "FieldWells": {"BarChartAggregatedFieldWells": {"Category": [time], "Values": [value], "Colors": [color]}},
        "SortConfiguration": {"CategorySort": _sort_ascending(time)},
        "ValueLabelOptions": _axis_label(axis_label),
    }
    return _visual("BarChartVisual", visual_id, title, configuration)


def combo_chart(
    visual_id: str,
    title: str,
    *,
    time: Node,
    bar: Node,
    line: Node,
    colors: Sequence[Node],
    arrangement: str,
    axis_label: str,
    subtitle: str = "",
) -> Node:
    """Return bars, divided by color, and one line over time, on one y axis.

    `arrangement` is `STACKED` or `CLUSTERED`.
    """
    wells = {"Category": [time], "BarValues": [bar], "Colors": list(colors), "LineValues": [line]}
    configuration = {
        "BarsArrangement": arrangement,
        "FieldWells": {"ComboChartAggregatedFieldWells": wells},
        "SortConfiguration": {"CategorySort": _sort_ascending(time)},
        "PrimaryYAxisLabelOptions": _axis_label(axis_label),
        "SingleAxisOptions": {"YAxisOptions": {"YAxis": "PRIMARY_Y_AXIS"}},
    }
    return _visual("ComboChartVisual", visual_id, title, configuration, subtitle)


def heat_map(visual_id: str, title: str, *, row: Node, time: Node, value: Node, color_stops: Mapping[int, str]) -> Node:
    """Return a heat map with a row for each value of `row` and a column for each step of time.

    `color_stops` gives the color of some values; QuickSight interpolates between them.
    """
    configuration = {
        "FieldWells": {"HeatMapAggregatedFieldWells": {"Rows": [row], "Columns": [time], "Values": [value]}},
        "SortConfiguration": {"HeatMapColumnSort": _sort_ascending(time)},
        "ColorScale": {
            "ColorFillType": "GRADIENT",
            "Colors": [{"Color": color, "DataValue": stop} for stop, color in color_stops.items()],
        },
    }
    return _visual("HeatMapVisual", visual_id, title, configuration)


def kpi(visual_id: str, title: str, value: Node) -> Node:
    """Return one number in large type."""
    wells: Node = {"Values": [value], "TargetValues": [], "TrendGroups": []}
    return _visual("KPIVisual", visual_id, title, {"FieldWells": wells})


def table(
    visual_id: str, title: str, *, dataset: str, columns: Sequence[tuple[str, str]], sort_descending_by: str
) -> Node:
    """Return the rows of a dataset, not aggregated; `columns` gives each column with its label."""
    values = [{"FieldId": f"{visual_id}-{column}", "Column": build_column(dataset, column)} for column, _ in columns]
    labels = [{"FieldId": f"{visual_id}-{column}", "CustomLabel": label} for column, label in columns]
    sort = {"FieldSort": {"FieldId": f"{visual_id}-{sort_descending_by}", "Direction": "DESC"}}
    configuration = {
        "FieldWells": {"TableUnaggregatedFieldWells": {"Values": values}},
        "SortConfiguration": {"RowSort": [sort]},
        "FieldOptions": {"SelectedFieldOptions": labels},
    }
    return _visual("TableVisual", visual_id, title, configuration)


def pivot_table(
    visual_id: str,
    title: str,
    *,
    dataset: str,
    rows: Sequence[tuple[str, str]],
    value: tuple[str, str],
    granularity: str,
) -> Node:
    """Return a pivot table, newest first.

    `rows` and `value` give each column with its label, `rows` from the outermost to the innermost. The values are
    summed. The column `TIME` is grouped in steps of the granularity.
    """
    value_column, value_label = value
    fields = [
        time_field(f"{visual_id}-{column}", dataset, granularity)
        if column == TIME
        else category_field(f"{visual_id}-{column}", dataset, column)
        for column, _ in rows
    ]
    labels = {f"{visual_id}-{column}": label for column, label in rows} | {f"{visual_id}-share": value_label}
    time_id = f"{visual_id}-{TIME}"
    wells = {"Rows": fields, "Values": [number_field(f"{visual_id}-share", dataset, value_column)]}
    sort = {"FieldId": time_id, "SortBy": {"Field": {"FieldId": time_id, "Direction": "DESC"}}}
    configuration = {
        "FieldWells": {"PivotTableAggregatedFieldWells": wells},
        "SortConfiguration": {"FieldSortOptions": [sort]},
        "FieldOptions": {
            "SelectedFieldOptions": [{"FieldId": field_id, "CustomLabel": label} for field_id, label in labels.items()]
        },
    }
    return _visual("PivotTableVisual", visual_id, title, configuration)


def _visual(kind: str, visual_id: str, title: str, configuration: Node, subtitle: str = "") -> Node:
    body = {"VisualId": visual_id, "Title": _label(title), "ChartConfiguration": configuration}
    return {kind: {**body, **({"Subtitle": _label(subtitle)} if subtitle else {})}}


def _label(text: str) -> Node:
    return {"Visibility": "VISIBLE", "FormatText": {"PlainText": text}}


def _axis_label(text: str) -> Node:
    return {"AxisLabelOptions": [{"CustomLabel": text}]}


def _sort_ascending(field: Node) -> list[Node]:
    return [{"FieldSort": {"FieldId": field_id_of(field), "Direction": "ASC"}}]
