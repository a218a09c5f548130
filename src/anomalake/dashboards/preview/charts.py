"""Charts that Vega-Lite draws: line, bar and combo charts and heat maps. Each function reads one kind of visual.

A function takes the visual's `ChartConfiguration` and returns the data that the chart needs and its Vega-Lite
specification. In a specification `g0` is the first grouping field, `v0` the first value. Raises `KeyError` or
`ValueError` for what the preview cannot read.
"""

from collections.abc import Mapping
from typing import Any

from anomalake.dashboards.preview.fields import Drawing, FieldWells, GroupField, Part

_TIME_UNITS = {
    "DAY": "utcyearmonthdate",
    "HOUR": "utcyearmonthdatehours",
    "MINUTE": "utcyearmonthdatehoursminutes",
    "MONTH": "utcyearmonth",
    "QUARTER": "utcyearquarter",
    "YEAR": "utcyear",
}
_DASHES = {"SOLID": [1, 0], "DOTTED": [2, 2], "DASHED": [6, 4]}
_DEFAULT_LINE_COLOR = "#64748B"
# The page writes the text of a tooltip when the pointer is on a mark: a text for each mark in the data would be
# larger than the data.
_WITH_TOOLTIP = {"tooltip": {"content": "data"}}

Channel = dict[str, Any]  # an encoding channel of Vega-Lite


def read_line_chart(configuration: Mapping[str, Any]) -> Drawing:
    """Return one line, or one line for each color. A chart with several values is `_read_lines_of_values`."""
    wells = FieldWells(configuration["FieldWells"]["LineChartAggregatedFieldWells"])
    if len(wells.values("Values")) > 1 and not wells.groups("Colors"):
        return _read_lines_of_values(configuration, wells)
    category, value = wells.single_group("Category"), wells.single_value("Values")
    x, y = _axis_of_group(category), _axis_of_value(configuration, "PrimaryYAxisLabelOptions", "v0")
    encoding: dict[str, Any] = {"x": x, "y": y}
    tips = [("g0", x, category.column), ("v0", y, value.column)]
    spec: dict[str, Any] = {"data": {"name": "rows"}, "mark": {"type": "line", "strokeWidth": 1.3, **_WITH_TOOLTIP}}
    if color := _color_channel(configuration, wells):
        encoding |= {"color": color, "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.1}}
        tips.append(("g1", color, color["title"]))
        spec["params"] = [{"name": "picked", "select": {"type": "point", "fields": ["g1"]}, "bind": "legend"}]
    spec["encoding"] = encoding
    part = Part("rows", (category, *wells.groups("Colors")[:1]), (value,))
    return Drawing(wells.dataset, (part,), {"spec": spec, "tips": [_tooltip(*tips)]})


def _read_lines_of_values(configuration: Mapping[str, Any], wells: FieldWells) -> Drawing:
    """Return a line for each of several values, in the styles and colors of the definition."""
    category, values = wells.single_group("Category"), wells.values("Values")
    x, y = _axis_of_group(category), _axis_of_value(configuration, "PrimaryYAxisLabelOptions", "value")
    names, ids = [value.column for value in values], wells.field_ids("Values")
    styles = _read_line_styles(configuration)
    colors = {item["Element"]["FieldId"]: item["Color"] for item in _color_map(configuration)}
    widths = [float(styles.get(field_id, {}).get("LineWidth", "2px").removesuffix("px")) for field_id in ids]
    dashes = [_DASHES.get(styles.get(field_id, {}).get("LineStyle", "SOLID"), [1, 0]) for field_id in ids]
    color = _series_channel(names, [colors.get(field_id, _DEFAULT_LINE_COLOR) for field_id in ids] if colors else [])
    encoding = {
        "x": x,
        "y": y,
        "color": color,
        "strokeWidth": _series_channel(names, widths),
        "strokeDash": _series_channel(names, dashes),
    }
    look = {
        "melt": names,  # `visuals` adds the steps that make a row for each of these values
        "spec": {"data": {"name": "rows"}, "mark": {"type": "line", **_WITH_TOOLTIP}, "encoding": encoding},
        "tips": [_tooltip(("g0", x, category.column), ("series", color, "series"), ("value", y, "value"))],
    }
    return Drawing(wells.dataset, (Part("rows", (category,), values),), look)


def _read_line_styles(configuration: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return QuickSight's `LineStyleSettings` by field id."""
    styles = {}
    for series in configuration.get("Series", ()):
        if "DataFieldSeriesItem" in series:
            item = series["DataFieldSeriesItem"]
            styles[item["FieldId"]] = item.get("Settings", {}).get("LineStyleSettings", {})
    return styles


def _series_channel(names: list[str], values: list[Any]) -> Channel:
    """Return a channel that gives each named line one of the values; Vega-Lite chooses when there are no values."""
    scale = {"domain": names, **({"range": values} if values else {})}
    return {"field": "series", "type": "nominal", "title": None, "sort": None, "scale": scale}


def read_bar_chart(configuration: Mapping[str, Any]) -> Drawing:
    """Return bars: vertical or horizontal, clustered, stacked or stacked to 100 %."""
    wells = FieldWells(configuration["FieldWells"]["BarChartAggregatedFieldWells"])
    category, value = wells.single_group("Category"), wells.single_value("Values")
    x, y = _axis_of_group(category), _axis_of_value(configuration, "ValueLabelOptions", "v0")
    y["stack"] = _stacking(configuration)
    horizontal = configuration.get("Orientation") == "HORIZONTAL"
    encoding: dict[str, Any] = {"y": x, "x": y} if horizontal else {"x": x, "y": y}
    tips = [("g0", x, category.column), ("v0", {"type": "quantitative"}, value.column)]
    if color := _color_channel(configuration, wells):
        encoding["color"] = color
        tips.append(("g1", color, color["title"]))
        if configuration.get("BarsArrangement", "CLUSTERED") == "CLUSTERED":
            encoding["yOffset" if horizontal else "xOffset"] = {"field": "g1"}
    spec = {"data": {"name": "rows"}, "mark": {"type": "bar", **_WITH_TOOLTIP}, "encoding": encoding}
    part = Part("rows", (category, *wells.groups("Colors")[:1]), (value,))
    return Drawing(wells.dataset, (part,), {"spec": spec, "tips": [_tooltip(*tips)]})


def read_combo_chart(configuration: Mapping[str, Any]) -> Drawing:
    """Return bars, divided by color, over one line."""
    wells = FieldWells(configuration["FieldWells"]["ComboChartAggregatedFieldWells"])
    category, bar, line = (
        wells.single_group("Category"),
        wells.single_value("BarValues"),
        wells.single_value("LineValues"),
    )
    x, y = _axis_of_group(category), _axis_of_value(configuration, "PrimaryYAxisLabelOptions", "v0")
    bars: dict[str, Any] = {"x": x, "y": {**y, "stack": _stacking(configuration)}}
    bar_tips = [("g0", x, category.column), ("v0", y, bar.column)]
    if color := _color_channel(configuration, wells):
        bars["color"] = color
        bar_tips.append(("g1", color, color["title"]))
    line_mark = {"type": "line", "strokeWidth": 1, "color": "#94A3B8", **_WITH_TOOLTIP}
    layers = [
        {"data": {"name": "lines"}, "mark": line_mark, "encoding": {"x": x, "y": y}},
        {"data": {"name": "bars"}, "mark": {"type": "bar", **_WITH_TOOLTIP}, "encoding": bars},
    ]
    parts = (Part("bars", (category, *wells.groups("Colors")[:1]), (bar,)), Part("lines", (category,), (line,)))
    tips = [_tooltip(*bar_tips), _tooltip(("g0", x, category.column), ("v0", y, line.column))]
    return Drawing(wells.dataset, parts, {"spec": {"layer": layers}, "tips": tips})


def read_heat_map(configuration: Mapping[str, Any]) -> Drawing:
    """Return a cell for each row and column, colored by its value."""
    wells = FieldWells(configuration["FieldWells"]["HeatMapAggregatedFieldWells"])
    row, column, value = wells.single_group("Rows"), wells.single_group("Columns"), wells.single_value("Values")
    stops = configuration.get("ColorScale", {}).get("Colors", ())
    scale: dict[str, Any] = {"range": [stop["Color"] for stop in stops]} if stops else {}
    if stops and all("DataValue" in stop for stop in stops):
        scale["domain"] = [stop["DataValue"] for stop in stops]
    x, y = _axis_of_group(column), {**_axis_of_group(row, "g1"), "sort": "ascending"}
    color = {"field": "v0", "type": "quantitative", "title": value.column, "scale": scale}
    tips = _tooltip(("g0", x, column.column), ("g1", y, row.column), ("v0", color, value.column))
    encoding = {"x": x, "y": y, "color": color}
    spec = {"data": {"name": "rows"}, "mark": {"type": "rect", **_WITH_TOOLTIP}, "encoding": encoding}
    return Drawing(wells.dataset, (Part("rows", (column, row), (value,)),), {"spec": spec, "tips": [tips]})


def _axis_of_group(group: GroupField, name: str = "g0") -> Channel:
    if group.granularity is None:
        return {"field": name, "type": "nominal", "title": None, "sort": None}
    time_unit = _TIME_UNITS[group.granularity]
    return {"field": name, "type": "temporal", "timeUnit": time_unit, "title": None, "axis": {"labelOverlap": True}}


def _axis_of_value(configuration: Mapping[str, Any], label_options: str, name: str) -> Channel:
    labels = configuration.get(label_options, {}).get("AxisLabelOptions", [{}])
    return {"field": name, "type": "quantitative", "title": labels[0].get("CustomLabel")}


def _color_channel(configuration: Mapping[str, Any], wells: FieldWells) -> Channel | None:
    """Return the channel of the color field, with the colors that the definition fixes; None without a color field."""
    colors = wells.groups("Colors")
    if not colors:
        return None
    color_id = wells.field_ids("Colors")[0]
    fixed = {
        item["Element"]["FieldValue"]: item["Color"]
        for item in _color_map(configuration)
        if item["Element"]["FieldId"] == color_id
    }
    scale = {"scale": {"domain": list(fixed), "range": list(fixed.values())}} if fixed else {}
    return {"field": "g1", "type": "nominal", "title": colors[0].column, **scale}


def _color_map(configuration: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(configuration.get("VisualPalette", {}).get("ColorMap", ()))


def _stacking(configuration: Mapping[str, Any]) -> str | None:
    """Return Vega-Lite's `stack`; None for clustered bars."""
    return {"STACKED_PERCENT": "normalize", "STACKED": "zero"}.get(configuration.get("BarsArrangement", "CLUSTERED"))


def _tooltip(*lines: tuple[str, Mapping[str, Any], str]) -> list[dict[str, Any]]:
    """Return the lines of a tooltip, each from a name in the data, the channel that draws it, and a title."""
    return [{"field": name, "title": title, "time": channel["type"] == "temporal"} for name, channel, title in lines]
