"""A page that draws a QuickSight definition with the data of its datasets: one HTML file that needs nothing else, for people without QuickSight.

It knows nothing of metric sets: what it reads is the definition and the datasets, and what it cannot draw it refuses by name. Each visual becomes a
query that groups by the visual's fields and by the columns of the sheet's drop-downs (so that the page can still filter), run on DuckDB; its result
is embedded, column by column and compressed, and drawn by Vega-Lite in page.js.
"""

import base64
import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any, NamedTuple

import duckdb

from anomalake.catalog import sql
from anomalake.domain.errors import UserError

MAX_QUERY_ROWS = 200_000  # of one query's result; above it the drop-downs' columns are left out
MAX_COLORS = 25  # of a chart whose own data is above that
MAX_TABLE_ROWS = 1_000
FIGURES = 7  # significant figures of an embedded number
_ROLLING = re.compile(r"now\(\)|addDateTime\((-?\d+), '(DD|HH)', now\(\)\)")
_TIME_UNITS = {
    "DAY": "utcyearmonthdate", "HOUR": "utcyearmonthdatehours", "MINUTE": "utcyearmonthdatehoursminutes",
    "MONTH": "utcyearmonth", "YEAR": "utcyear",
}  # fmt: skip
_DASHES = {"SOLID": [1, 0], "DOTTED": [2, 2], "DASHED": [6, 4]}
# An aggregate in a calculated field: its inside is arithmetic on columns, with one more level of parentheses at most.
_INSIDE = r"(?:\{[^{}]*\}|[-+*/ .0-9])*"
_AGGREGATE = re.compile(rf"(sum|count|min|max)\(({_INSIDE}(?:\({_INSIDE}\){_INSIDE})*)\)")
_CHOICE = re.compile(r"ifelse\((.*), (\d+), (\d+)\)")
_ARITHMETIC = re.compile(r"(?:datum\.v\d+|sqrt|abs|[-+*/ .0-9()])*")
_AGGREGATIONS = {"SUM", "MIN", "MAX", "COUNT", "AVERAGE", "DISTINCT_COUNT"}


class Group(NamedTuple):
    """A field that rows are grouped by; a date with its granularity."""

    column: str
    granularity: str | None


class Value(NamedTuple):
    """A field that is aggregated; `CALCULATED` where it is a calculated field that aggregates by itself."""

    column: str
    aggregation: str
    sql: str = ""  # what is aggregated, where it is not a column


class Part(NamedTuple):
    """One table of a visual: its rows are grouped by the groups and hold the values."""

    name: str
    groups: tuple[Group, ...]
    values: tuple[Value, ...]


class Drawing(NamedTuple):
    """What a visual needs: its dataset, its tables, and how the page draws them."""

    dataset: str
    parts: tuple[Part, ...]
    look: dict[str, Any]


@dataclass
class _Cube:
    """A query that serves one or several visuals."""

    dataset: str
    predicates: tuple[str, ...]
    groups: dict[Group, int] = field(default_factory=dict)
    values: dict[Value, int] = field(default_factory=dict)
    aggregated: bool = True
    order: str = ""


def render_page(
    definition: Mapping[str, Any],
    connection: duckdb.DuckDBPyConnection,
    datasets: Mapping[str, str],
    title: str,
    now: datetime,
) -> str:
    """The HTML page.

    Parameters: `datasets` gives for each identifier of the definition the SQL name of its data in `connection`; `now` is what rolling dates mean.
    Raises `UserError`, naming the visual, for what cannot be drawn: a type of visual or filter, a dataset or column that is not there.
    """
    parameters = read_parameters(definition, now)
    columns = _load(definition, connection, datasets)
    cubes: dict[tuple[Any, ...], _Cube] = {}
    sheets = []
    for sheet in definition["Sheets"]:
        controls = _controls(definition, sheet)
        places = {
            e["ElementId"]: e
            for layout in sheet.get("Layouts", ())
            for e in layout["Configuration"]["GridLayout"]["Elements"]
        }
        visuals = []
        for visual in sheet["Visuals"]:
            drawn = _visual(
                visual,
                _Context(definition, sheet["SheetId"], parameters, columns, controls, connection, datasets),
                cubes,
            )
            place = places.get(drawn["id"], {})
            drawn["place"] = [
                place.get(name, other) for name, other in (("ColumnIndex", 0), ("ColumnSpan", 36), ("RowSpan", 11))
            ]
            visuals.append(drawn)
        used = {control for visual in visuals for control in visual["controls"]}
        sheets.append({
            "id": sheet["SheetId"], "name": sheet.get("Name", sheet["SheetId"]), "visuals": visuals,
            "controls": [{"column": column, "title": label} for column, label in controls.items() if column in used],
        })  # fmt: skip
    window = [f"{value:%Y-%m-%d %H:%M}" for value in parameters.values() if isinstance(value, datetime)]
    content = {
        "title": title,
        "window": window,
        "sheets": sheets,
        "cubes": [_run(cube, connection, datasets[cube.dataset]) for cube in cubes.values()],
    }
    return _html(title, content)


# --- what the definition says


class _Context(NamedTuple):
    definition: Mapping[str, Any]
    sheet: str
    parameters: Mapping[str, Any]
    columns: Mapping[str, Mapping[str, str]]  # of each dataset: column -> DuckDB type
    controls: Mapping[str, str]  # the sheet's drop-downs: column -> label
    connection: duckdb.DuckDBPyConnection
    datasets: Mapping[str, str]  # the SQL name of each


def read_parameters(definition: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Each parameter's default value."""
    found: dict[str, Any] = {}
    for declared in definition.get("ParameterDeclarations", ()):
        ((kind, parameter),) = declared.items()
        default = parameter.get("DefaultValues", {})
        if kind == "DateTimeParameterDeclaration" and "RollingDate" in default:
            match = _ROLLING.fullmatch(default["RollingDate"]["Expression"])
            if match is None:
                raise UserError(
                    f"parameter {parameter['Name']}: the preview does not know the rolling date {default['RollingDate']['Expression']!r}"
                )
            unit = timedelta(days=1) if match[2] == "DD" else timedelta(hours=1)
            found[parameter["Name"]] = now + int(match[1] or 0) * unit
        elif kind == "DateTimeParameterDeclaration" and default.get("StaticValues"):
            found[parameter["Name"]] = datetime.fromisoformat(default["StaticValues"][0]).replace(tzinfo=None)
        else:
            found[parameter["Name"]] = next(iter(default.get("StaticValues", [])), None)
    return found


def _load(
    definition: Mapping[str, Any], connection: duckdb.DuckDBPyConnection, datasets: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The columns of each dataset that the definition declares."""
    columns = {}
    for declared in definition["DataSetIdentifierDeclarations"]:
        identifier = declared["Identifier"]
        if identifier not in datasets:
            raise UserError(
                f"the definition's dataset {identifier!r} has no data; there are: {', '.join(datasets) or 'none'}"
            )
        described = connection.sql(f"DESCRIBE SELECT * FROM {datasets[identifier]}").fetchall()
        columns[identifier] = {name: kind for name, kind, *_ in described}
    return columns


def _controls(definition: Mapping[str, Any], sheet: Mapping[str, Any]) -> dict[str, str]:
    """The columns of the sheet's drop-downs with their titles."""
    filters = {
        body["FilterId"]: body for group in definition.get("FilterGroups", ()) for one in group["Filters"] for body in one.values()
    }  # fmt: skip
    found = {}
    for control in sheet.get("FilterControls", ()):
        ((kind, body),) = control.items()
        source = filters.get(body["SourceFilterId"])
        if source is None:
            raise UserError(
                f"sheet {sheet['SheetId']}: the control {body['FilterControlId']} is for no filter that is there: {body['SourceFilterId']}"
            )
        if kind in ("CrossSheet", "Dropdown") and "ColumnName" in source.get("Column", {}):
            title = body.get("Title") or source.get("DefaultFilterControlConfiguration", {}).get("Title")
            found[source["Column"]["ColumnName"]] = title or source["Column"]["ColumnName"]
    return found


def _predicates(context: _Context, visual: str, dataset: str) -> tuple[str, ...]:
    """What the definition's filters leave of the dataset for this visual, as SQL."""
    found = []
    for group in context.definition.get("FilterGroups", ()):
        if group.get("Status", "ENABLED") != "ENABLED" or not _in_scope(
            group["ScopeConfiguration"], context.sheet, visual
        ):
            continue
        for one in group["Filters"]:
            ((kind, body),) = one.items()
            column = body["Column"]
            expression = _expressions(context.definition).get((column["DataSetIdentifier"], column["ColumnName"]))
            if expression is None and column["ColumnName"] not in context.columns.get(column["DataSetIdentifier"], {}):
                raise UserError(
                    f"filter {body['FilterId']}: the dataset {column['DataSetIdentifier']!r} has no column {column['ColumnName']!r}"
                )
            if column["DataSetIdentifier"] != dataset and (
                group["CrossDataset"] == "SINGLE_DATASET" or column["ColumnName"] not in context.columns[dataset]
            ):
                continue
            try:
                of = (
                    sql.name(column["ColumnName"]) if expression is None else _row_level(expression, context.parameters)
                )
                found += _predicate(kind, body, of, context.parameters)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"filter {body['FilterId']}: the preview cannot read its {kind}: {error}") from error
    return tuple(found)


def _in_scope(scope: Mapping[str, Any], sheet: str, visual: str) -> bool:
    if "AllSheets" in scope:
        return True
    return any(
        one["SheetId"] == sheet and (one["Scope"] == "ALL_VISUALS" or visual in one.get("VisualIds", ()))
        for one in scope["SelectedSheets"]["SheetVisualScopingConfigurations"]
    )


def _expressions(definition: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The calculated fields: (dataset, name) -> expression."""
    return {
        (one["DataSetIdentifier"], one["Name"]): one["Expression"] for one in definition.get("CalculatedFields", ())
    }


def _row_level(expression: str, parameters: Mapping[str, Any]) -> str:
    """A calculated field of single rows as SQL: `ifelse` of comparisons between columns and dates."""
    told = re.sub(r"\$\{(\w+)\}", lambda match: f"TIMESTAMP '{parameters[match[1]]:%Y-%m-%d %H:%M:%S}'", expression)
    told = re.sub(r"addDateTime\((-?\d+), 'DD', (TIMESTAMP '[^']*')\)", r"(\2 + INTERVAL '\1' DAY)", told)
    match = _CHOICE.fullmatch(re.sub(r"\{([^{}]*)\}", lambda name: sql.name(name[1]), told))
    if match is None:
        raise ValueError(
            f"the calculated field {expression!r} is not known here, only ifelse(..., 1, 0) of comparisons with dates"
        )
    return f"CASE WHEN {match[1]} THEN {match[2]} ELSE {match[3]} END"


def _predicate(kind: str, body: Mapping[str, Any], column: str, parameters: Mapping[str, Any]) -> list[str]:
    found = [f"{column} IS NOT NULL"] if body.get("NullOption") == "NON_NULLS_ONLY" else []
    if kind == "TimeRangeFilter":
        for name, sign in (("RangeMinimumValue", ">"), ("RangeMaximumValue", "<")):
            bound = body.get(name)
            if bound is not None:
                value = (
                    parameters.get(bound["Parameter"])
                    if "Parameter" in bound
                    else datetime.fromisoformat(bound["StaticValue"])
                )
                included = "=" if body.get("IncludeMinimum" if sign == ">" else "IncludeMaximum") else ""
                found.append(f"{column} {sign}{included} TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}'")
        return found
    if kind == "NumericEqualityFilter" and body["MatchOperator"] == "EQUALS":
        return [*found, f"{column} = {float(body['Value'])}"]
    listed = body.get("Configuration", {}).get("FilterListConfiguration") if kind == "CategoryFilter" else None
    if listed is None or listed["MatchOperator"] not in ("CONTAINS", "EQUALS"):
        raise UserError(
            f"filter {body['FilterId']}: the preview draws TimeRangeFilter, equality and CategoryFilter with a list, not this {kind}"
        )
    if "CategoryValues" in listed:
        found.append(f"{column} IN ({', '.join(map(sql.text, listed['CategoryValues']))})")
    return found


# --- a visual


def _visual(visual: Mapping[str, Any], context: _Context, cubes: dict[tuple[Any, ...], _Cube]) -> dict[str, Any]:
    """The visual as the page takes it; its queries are added to `cubes`."""
    ((kind, body),) = visual.items()
    draw = VISUALS.get(kind)
    where = f"visual {body.get('VisualId', '?')} on sheet {context.sheet}"
    if draw is None:
        raise UserError(f"{where}: the preview cannot draw a {kind}; it draws {', '.join(VISUALS)}")
    try:
        drawing = draw(body["ChartConfiguration"])
    except (KeyError, ValueError, StopIteration) as error:
        raise UserError(f"{where}: the preview cannot read its {kind}: {error}") from error
    columns = context.columns.get(drawing.dataset)
    if columns is None:
        raise UserError(f"{where}: the dataset {drawing.dataset!r} is not declared")
    simple = [value for part in drawing.parts for value in part.values if value.aggregation != "CALCULATED"]
    for column in [group.column for part in drawing.parts for group in part.groups] + [
        value.column for value in simple
    ]:
        if column not in columns:
            raise UserError(f"{where}: the dataset {drawing.dataset!r} has no column {column!r}")
    predicates = _predicates(context, body["VisualId"], drawing.dataset)
    raw = kind == "TableVisual"
    controls = [] if raw else [column for column in context.controls if column in columns]
    extra, note = [Group(column, None) for column in controls], ""
    distinct = [Group(value.column, None) for value in simple if value.aggregation == "DISTINCT_COUNT"]
    needed = list(dict.fromkeys([*(group for part in drawing.parts for group in part.groups), *extra, *distinct]))
    if extra and _size(context.connection, context.datasets[drawing.dataset], predicates, needed) > MAX_QUERY_ROWS:
        own = {*distinct, *(group for part in drawing.parts for group in part.groups)}
        controls, needed = [], [group for group in needed if group in own]
        note = "the drop-downs do not act here: too much data"
        if (
            len(drawing.parts[0].groups) == 2
            and _size(context.connection, context.datasets[drawing.dataset], predicates, needed) > MAX_QUERY_ROWS
        ):
            column = sql.name(drawing.parts[0].groups[1].column)
            where = " AND ".join(predicates) or "true"
            largest = f"SELECT {column} FROM {context.datasets[drawing.dataset]} WHERE {where} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MAX_COLORS}"
            predicates = (*predicates, f"{column} IN ({largest})")
            note = f"only the {MAX_COLORS} values with the most rows are drawn; the drop-downs do not act here"
    identity = (drawing.dataset, predicates, body["VisualId"] if raw else frozenset(needed))
    cube = cubes.setdefault(
        identity, _Cube(drawing.dataset, predicates, aggregated=not raw, order=drawing.look.pop("order", ""))
    )
    for group in needed:
        cube.groups.setdefault(group, len(cube.groups))
    parts = {}
    for part in drawing.parts:
        values: list[dict[str, Any]] = []
        parted, transform = _calculated(part.values, context.definition, drawing.dataset, where)
        if transform or "melt" in drawing.look:
            if "spec" not in drawing.look:
                raise UserError(f"{where}: the preview draws calculated fields in charts only")
            if transform and "layer" in drawing.look["spec"]:
                raise UserError(
                    f"{where}: the preview draws calculated fields in line, bar and heat charts, not in a {kind}"
                )
            drawing.look["spec"]["transform"] = transform + _melted(drawing.look.get("melt"))
        for value in parted:
            if value.aggregation == "CALCULATED":
                values.append({"op": "none", "at": ["value", 0]})
                continue
            stored = {"AVERAGE": (Value(value.column, "SUM"), Value(value.column, "COUNT"))}.get(
                value.aggregation, (value,)
            )
            if value.aggregation == "DISTINCT_COUNT":
                values.append({"op": "distinct", "at": ["group", cube.groups[Group(value.column, None)]]})
                continue
            at = [["value", cube.values.setdefault(one, len(cube.values))] for one in stored]
            op = {"AVERAGE": "mean", "COUNT": "sum"}.get(value.aggregation, value.aggregation.lower())
            values.append({"op": op, "at": at[0], "over": at[-1]})
        parts[part.name] = {"groups": [cube.groups[group] for group in part.groups], "values": values}
    title = body.get("Title", {}).get("FormatText", {}).get("PlainText", body["VisualId"])
    return {
        "id": body["VisualId"], "kind": kind, "title": title, "cube": list(cubes).index(identity), "parts": parts, "look": drawing.look,
        "controls": controls, "note": note,
    }  # fmt: skip


def _calculated(
    values: Sequence[Value], definition: Mapping[str, Any], dataset: str, where: str
) -> tuple[list[Value], list[dict[str, Any]]]:
    """The values, then the aggregates that calculated ones among them are made of; and the Vega-Lite steps that make them."""
    expressions = _expressions(definition)
    parted, steps = list(values), []
    for number, value in enumerate(values):
        if value.aggregation != "CALCULATED":
            continue
        expression = expressions.get((dataset, value.column))
        if expression is None:
            raise UserError(f"{where}: {value.column!r} has no aggregation and is no calculated field of {dataset!r}")

        def partial(match: re.Match[str]) -> str:
            parted.append(
                Value(value.column, match[1].upper(), re.sub(r"\{([^}]*)\}", lambda name: sql.name(name[1]), match[2]))
            )
            return f"datum.v{len(parted) - 1}"

        told = _AGGREGATE.sub(partial, expression)
        if not _ARITHMETIC.fullmatch(told):
            raise UserError(
                f"{where}: the preview cannot calculate {expression!r}; it knows sum, count, min and max of arithmetic, sqrt and abs"
            )
        known = " && ".join(f"isValid({one})" for one in sorted(set(re.findall(r"datum\.v\d+", told)))) or "true"
        steps.append({"calculate": f"{known} ? {told} : null", "as": f"v{number}"})
    return parted, steps


def _melted(names: Sequence[str] | None) -> list[dict[str, Any]]:
    """One row a series and time of several values a time."""
    if names is None:
        return []
    named: list[dict[str, Any]] = [{"calculate": f"datum.v{number}", "as": name} for number, name in enumerate(names)]
    return [*named, {"fold": list(names), "as": ["series", "value"]}, {"filter": "isValid(datum.value)"}]


def _size(
    connection: duckdb.DuckDBPyConnection, dataset: str, predicates: Sequence[str], groups: Iterable[Group]
) -> int:
    keys = ", ".join(_group_sql(group) for group in groups)
    where = " AND ".join(predicates) or "true"
    ((counted,),) = connection.sql(
        f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {dataset} WHERE {where})"
    ).fetchall()
    return int(counted)


def _field(item: Mapping[str, Any]) -> tuple[str, str, Group | Value]:
    """A field of a well: its id, its dataset, and what it is."""
    ((kind, body),) = item.items()
    column = body["Column"]
    match kind:
        case "CategoricalDimensionField" | "NumericalDimensionField":
            found: Group | Value = Group(column["ColumnName"], None)
        case "DateDimensionField":
            found = Group(column["ColumnName"], body.get("DateGranularity", "DAY"))
        case "NumericalMeasureField":
            how = body.get("AggregationFunction")
            found = Value(column["ColumnName"], how["SimpleNumericalAggregation"] if how else "CALCULATED")
        case "CategoricalMeasureField":
            found = Value(column["ColumnName"], body["AggregationFunction"])
        case _:
            raise ValueError(f"a {kind} is not known here")
    if isinstance(found, Value) and found.aggregation not in {*_AGGREGATIONS, "CALCULATED"}:
        raise ValueError(
            f"the aggregation {found.aggregation} is not known here, only {', '.join(sorted(_AGGREGATIONS))}"
        )
    if isinstance(found, Group) and found.granularity is not None and found.granularity not in _TIME_UNITS:
        raise ValueError(f"the granularity {found.granularity} is not known here, only {', '.join(_TIME_UNITS)}")
    return body["FieldId"], column["DataSetIdentifier"], found


class _Wells:
    """A visual's field wells, well by well, all of one dataset."""

    def __init__(self, wells: Mapping[str, Any]) -> None:
        self.fields: dict[str, list[tuple[str, Group | Value]]] = {}
        datasets = set()
        for well, items in wells.items():
            read = [_field(item) for item in items]
            datasets |= {dataset for _, dataset, _ in read}
            self.fields[well] = [(field_id, found) for field_id, _, found in read]
        if len(datasets) != 1:
            raise ValueError(f"its fields come from {len(datasets)} datasets; one is needed")
        (self.dataset,) = datasets

    def groups(self, *wells: str) -> tuple[Group, ...]:
        """The grouping fields of the wells, in order."""
        return tuple(found for well in wells for _, found in self.fields.get(well, ()) if isinstance(found, Group))

    def values(self, *wells: str) -> tuple[Value, ...]:
        """The aggregated fields of the wells, in order."""
        return tuple(found for well in wells for _, found in self.fields.get(well, ()) if isinstance(found, Value))

    def first_id(self, well: str) -> str | None:
        """The id of a well's first field."""
        return next((field_id for field_id, _ in self.fields.get(well, ())), None)


# --- the kinds of visuals: each gives what it needs of the data, and its Vega-Lite specification (or what page.js makes of it)


def _x(group: Group, channel: str = "g0") -> dict[str, Any]:
    if group.granularity is None:
        return {"field": channel, "type": "nominal", "title": None, "sort": None}
    return {
        "field": channel,
        "type": "temporal",
        "timeUnit": _TIME_UNITS[group.granularity],
        "title": None,
        "axis": {"labelOverlap": True},
    }


def _y(configuration: Mapping[str, Any], name: str, channel: str) -> dict[str, Any]:
    labels = configuration.get(name, {}).get("AxisLabelOptions", [{}])
    return {"field": channel, "type": "quantitative", "title": labels[0].get("CustomLabel")}


def _color(configuration: Mapping[str, Any], wells: _Wells, channel: str) -> dict[str, Any] | None:
    colors = wells.groups("Colors")
    if not colors:
        return None
    fixed = {
        one["Element"]["FieldValue"]: one["Color"]
        for one in configuration.get("VisualPalette", {}).get("ColorMap", ())
        if one["Element"]["FieldId"] == wells.first_id("Colors")
    }
    scale = {"scale": {"domain": list(fixed), "range": list(fixed.values())}} if fixed else {}
    return {"field": channel, "type": "nominal", "title": colors[0].column, **scale}


_TOLD = {
    "tooltip": {"content": "data"}
}  # page.js words it, when a pointer asks: a text for each mark would cost more than the marks


def _tooltip(*channels: tuple[str, Mapping[str, Any], str]) -> list[dict[str, Any]]:
    return [{"field": name, "title": title, "time": channel["type"] == "temporal"} for name, channel, title in channels]


def _line(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"]["LineChartAggregatedFieldWells"])
    if len(wells.values("Values")) > 1 and not wells.groups("Colors"):
        return _lines(configuration, wells)
    (category,), (value,), colors = wells.groups("Category"), wells.values("Values"), wells.groups("Colors")
    x, y = _x(category), _y(configuration, "PrimaryYAxisLabelOptions", "v0")
    encoding: dict[str, Any] = {"x": x, "y": y}
    tips = [("g0", x, category.column), ("v0", y, value.column)]
    spec: dict[str, Any] = {"data": {"name": "rows"}, "mark": {"type": "line", "strokeWidth": 1.3, **_TOLD}}
    if color := _color(configuration, wells, "g1"):
        encoding |= {"color": color, "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.1}}
        tips.append(("g1", color, colors[0].column))
        spec["params"] = [{"name": "picked", "select": {"type": "point", "fields": ["g1"]}, "bind": "legend"}]
    spec["encoding"] = encoding
    return Drawing(
        wells.dataset, (Part("rows", (category, *colors[:1]), (value,)),), {"spec": spec, "tips": [_tooltip(*tips)]}
    )


def _lines(configuration: Mapping[str, Any], wells: _Wells) -> Drawing:
    """A line for each of several values, in the styles and colors that the definition gives them."""
    (category,), values = wells.groups("Category"), wells.values("Values")
    x, y = _x(category), _y(configuration, "PrimaryYAxisLabelOptions", "value")
    styles = {
        one["DataFieldSeriesItem"]["FieldId"]: one["DataFieldSeriesItem"]
        .get("Settings", {})
        .get("LineStyleSettings", {})
        for one in configuration.get("Series", ())
        if "DataFieldSeriesItem" in one
    }
    fixed = {
        one["Element"]["FieldId"]: one["Color"] for one in configuration.get("VisualPalette", {}).get("ColorMap", ())
    }
    names = [found.column for _, found in wells.fields["Values"]]
    ids = [field_id for field_id, _ in wells.fields["Values"]]

    def channel(values: list[Any]) -> dict[str, Any]:
        scale = {"domain": names, **({"range": values} if values else {})}
        return {"field": "series", "type": "nominal", "title": None, "sort": None, "scale": scale}

    color = channel([fixed.get(one, "#64748B") for one in ids] if fixed else [])
    encoding = {
        "x": x,
        "y": y,
        "color": color,
        "strokeWidth": channel([float(styles.get(one, {}).get("LineWidth", "2px").removesuffix("px")) for one in ids]),
        "strokeDash": channel([_DASHES.get(styles.get(one, {}).get("LineStyle", "SOLID"), [1, 0]) for one in ids]),
    }
    tips = [_tooltip(("g0", x, category.column), ("series", color, "series"), ("value", y, "value"))]
    look = {
        "melt": names,
        "spec": {"data": {"name": "rows"}, "mark": {"type": "line", **_TOLD}, "encoding": encoding},
        "tips": tips,
    }
    return Drawing(wells.dataset, (Part("rows", (category,), values),), look)


def _bar(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"]["BarChartAggregatedFieldWells"])
    (category,), (value,), colors = wells.groups("Category"), wells.values("Values"), wells.groups("Colors")
    x, y = _x(category), _y(configuration, "ValueLabelOptions", "v0")
    arrangement = configuration.get("BarsArrangement", "CLUSTERED")
    y["stack"] = {"STACKED_PERCENT": "normalize", "STACKED": "zero"}.get(arrangement)
    color = _color(configuration, wells, "g1")
    sideways = configuration.get("Orientation") == "HORIZONTAL"
    encoding: dict[str, Any] = {"y": x, "x": y} if sideways else {"x": x, "y": y}
    tips = [("g0", x, category.column), ("v0", {"type": "quantitative"}, value.column)]
    if color:
        encoding["color"] = color
        tips.append(("g1", color, colors[0].column))
        if arrangement == "CLUSTERED":
            encoding["yOffset" if sideways else "xOffset"] = {"field": "g1"}
    spec = {"data": {"name": "rows"}, "mark": {"type": "bar", **_TOLD}, "encoding": encoding}
    return Drawing(
        wells.dataset, (Part("rows", (category, *colors[:1]), (value,)),), {"spec": spec, "tips": [_tooltip(*tips)]}
    )


def _combo(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"]["ComboChartAggregatedFieldWells"])
    (category,), (bar,), (line,) = wells.groups("Category"), wells.values("BarValues"), wells.values("LineValues")
    colors, x = wells.groups("Colors"), _x(category)
    y = _y(configuration, "PrimaryYAxisLabelOptions", "v0")
    color = _color(configuration, wells, "g1")
    stack = {"STACKED": "zero", "STACKED_PERCENT": "normalize"}.get(configuration.get("BarsArrangement", "CLUSTERED"))
    bars: dict[str, Any] = {"x": x, "y": {**y, "stack": stack}}
    tips = [("g0", x, category.column), ("v0", y, bar.column)]
    if color:
        bars["color"] = color
        tips.append(("g1", color, colors[0].column))
    lines = {"x": x, "y": y}
    layers = [
        {
            "data": {"name": "lines"},
            "mark": {"type": "line", "strokeWidth": 1, "color": "#94A3B8", **_TOLD},
            "encoding": lines,
        },
        {"data": {"name": "bars"}, "mark": {"type": "bar", **_TOLD}, "encoding": bars},
    ]
    parts = (Part("bars", (category, *colors[:1]), (bar,)), Part("lines", (category,), (line,)))
    told = [_tooltip(*tips), _tooltip(("g0", x, category.column), ("v0", y, line.column))]
    return Drawing(wells.dataset, parts, {"spec": {"layer": layers}, "tips": told})


def _heat(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"]["HeatMapAggregatedFieldWells"])
    (row,), (column,), (value,) = wells.groups("Rows"), wells.groups("Columns"), wells.values("Values")
    stops = configuration.get("ColorScale", {}).get("Colors", ())
    scale: dict[str, Any] = {"range": [stop["Color"] for stop in stops]} if stops else {}
    if stops and all("DataValue" in stop for stop in stops):
        scale["domain"] = [stop["DataValue"] for stop in stops]
    x, y = _x(column), {**_x(row, "g1"), "sort": "ascending"}
    color = {"field": "v0", "type": "quantitative", "title": value.column, "scale": scale}
    tips = _tooltip(("g0", x, column.column), ("g1", y, row.column), ("v0", color, value.column))
    spec = {"data": {"name": "rows"}, "mark": {"type": "rect", **_TOLD}, "encoding": {"x": x, "y": y, "color": color}}
    return Drawing(wells.dataset, (Part("rows", (column, row), (value,)),), {"spec": spec, "tips": [tips]})


def _kpi(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"])
    return Drawing(wells.dataset, (Part("rows", (), wells.values("Values")[:1]),), {})


def _pivot(configuration: Mapping[str, Any]) -> Drawing:
    wells = _Wells(configuration["FieldWells"]["PivotTableAggregatedFieldWells"])
    if wells.fields.get("Columns"):
        raise ValueError("a pivot's Columns are not drawn, only its Rows and Values")
    descending = {
        one["FieldId"]
        for one in configuration.get("SortConfiguration", {}).get("FieldSortOptions", ())
        if one["SortBy"].get("Field", {}).get("Direction") == "DESC"
    }
    ids = [field_id for field_id, _ in wells.fields["Rows"]]
    look = {
        "labels": _labels(configuration, wells, "Rows", "Values"),
        "descending": [number for number, field_id in enumerate(ids) if field_id in descending],
        "dates": [number for number, group in enumerate(wells.groups("Rows")) if group.granularity],
        "most": MAX_TABLE_ROWS,
    }
    return Drawing(wells.dataset, (Part("rows", wells.groups("Rows"), wells.values("Values")),), look)


def _rows(configuration: Mapping[str, Any]) -> Drawing:
    fields = configuration["FieldWells"]["TableUnaggregatedFieldWells"]["Values"]
    datasets = {one["Column"]["DataSetIdentifier"] for one in fields}
    if len(datasets) != 1:
        raise ValueError(f"its fields come from {len(datasets)} datasets; one is needed")
    columns = {one["FieldId"]: one["Column"]["ColumnName"] for one in fields}
    labels = {
        one["FieldId"]: one.get("CustomLabel")
        for one in configuration.get("FieldOptions", {}).get("SelectedFieldOptions", ())
    }
    sorts = [
        one["FieldSort"] for one in configuration.get("SortConfiguration", {}).get("RowSort", ()) if "FieldSort" in one
    ]
    order = ", ".join(f"{sql.name(columns[one['FieldId']])} {one['Direction']} NULLS LAST" for one in sorts)
    look = {
        "labels": [labels.get(field_id) or column for field_id, column in columns.items()],
        "order": order,
        "most": MAX_TABLE_ROWS,
    }
    return Drawing(datasets.pop(), (Part("rows", tuple(Group(column, None) for column in columns.values()), ()),), look)


def _labels(configuration: Mapping[str, Any], wells: _Wells, *names: str) -> list[str]:
    chosen = {
        one["FieldId"]: one.get("CustomLabel")
        for one in configuration.get("FieldOptions", {}).get("SelectedFieldOptions", ())
    }
    return [chosen.get(field_id) or found.column for name in names for field_id, found in wells.fields[name]]


VISUALS = {
    "LineChartVisual": _line, "BarChartVisual": _bar, "ComboChartVisual": _combo, "HeatMapVisual": _heat, "KPIVisual": _kpi,
    "PivotTableVisual": _pivot, "TableVisual": _rows,
}  # fmt: skip


# --- the data


def _group_sql(group: Group) -> str:
    column = sql.name(group.column)
    return f"date_trunc('{group.granularity.lower()}', {column})" if group.granularity else column


def _run(cube: _Cube, connection: duckdb.DuckDBPyConnection, dataset: str) -> dict[str, Any]:
    """The query's result, column by column as the page unpacks it."""
    keys = [_group_sql(group) for group in cube.groups]
    values = [
        f"CAST({value.aggregation.lower()}({value.sql or sql.name(value.column)}) AS double)" for value in cube.values
    ]
    where = " AND ".join(cube.predicates) or "true"
    source = f"FROM {dataset} WHERE {where}"
    total = 0
    if cube.aggregated:
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        order = f" ORDER BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
        statement = f"SELECT {', '.join([*keys, *values])} {source}{tail}{order}"
    else:
        ((total,),) = connection.sql(f"SELECT count(*) {source}").fetchall()
        statement = (
            f"SELECT {', '.join(keys)} {source}{f' ORDER BY {cube.order}' if cube.order else ''} LIMIT {MAX_TABLE_ROWS}"
        )
    relation = connection.sql(statement)
    names, rows = relation.columns, relation.fetchall()
    columns = [_pack([row[number] for row in rows], exact=number < len(keys)) for number in range(len(names))]
    plain = [group.column if group.granularity is None else "" for group in cube.groups]
    return {
        "rows": len(rows),
        "total": total,
        "names": plain,
        "groups": columns[: len(keys)],
        "values": columns[len(keys) :],
    }


def _pack(column: Sequence[Any], *, exact: bool) -> dict[str, Any]:
    """A column: numbers, times as differences of minutes, texts as places in a list of the distinct ones.

    What is infinite becomes null; fractions keep `FIGURES` significant figures, unless `exact`.
    """
    known = [value for value in column if value is not None]
    if known and all(isinstance(value, datetime) for value in known):
        minutes = [
            None if value is None else int((value - datetime(1970, 1, 1)).total_seconds() // 60) for value in column
        ]
        last, steps = 0, []
        for value in minutes:
            steps.append(None if value is None else value - last)
            last = last if value is None else value
        return {"kind": "time", "data": steps}
    if known and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known):
        return {"kind": "number", "data": [_number(value, exact) for value in column]}
    distinct = {value: place for place, value in enumerate(dict.fromkeys(str(value) for value in known))}
    return {
        "kind": "text",
        "values": list(distinct),
        "data": [None if value is None else distinct[str(value)] for value in column],
    }


def _number(value: float | Decimal | None, exact: bool) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    number = float(value)
    return number if exact or number.is_integer() else float(f"{number:.{FIGURES}g}")


# --- the page


def _html(title: str, content: Mapping[str, Any]) -> str:
    packed = base64.b64encode(
        zlib.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), 9)
    ).decode()
    here = files(__package__)
    style, script = (here / "page.css").read_text("utf-8"), (here / "page.js").read_text("utf-8")
    library = (here / "vega_embed.js").read_text("utf-8")  # written by `make vega`
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in (library, script))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'sha256-{_sha256(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )  # fmt: skip
    template = (here / "page.html").read_text("utf-8")
    parts = {
        "policy": policy,
        "title": _escape(title),
        "style": style,
        "data": packed,
        "library": library,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
