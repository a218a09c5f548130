"""The QuickSight analysis of a metric set, as `AWS::QuickSight::Analysis` takes its `Definition` ("AnalysisDefinition" in the QuickSight API). Pure.

Sheets: an overview of the events; one for each measure, with the live data, the anomalies in it, the band and what contributed; the contributions; of
a set with live data whether that arrives.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from anomalake.domain import intervals
from anomalake.domain.alert import MISSING_DATA
from anomalake.domain.metric_set import ANOMALY_COLUMN_SUFFIXES, Dimension, Measure, MetricSet

Granularity = Literal["DAY", "HOUR", "MINUTE"]
Definition = dict[str, Any]

LIVE, CONTRIBUTIONS, LOG, BAND = (
    "anomalies_with_live",
    "anomalies_with_contributions",
    "anomaly_log",
    "metrics_with_band",
)
HEALTH = "data_health"
DATASETS = (LIVE, CONTRIBUTIONS, LOG, BAND, HEALTH)
ALL_DATASETS = ALL_ANOMALIES, ALL_CONTRIBUTIONS, ALL_LOG = "all_anomalies", "all_contributions", "all_anomaly_log"
TIME, UTC_DAY = "localtimestamp", "utcday"
# Calculated fields, 1 where a row's UTC date may lie in the window: two, as Athena reads fewer partitions where a condition names the date once.
IN_WINDOW = {
    "from": ("partition in window, from", f"ifelse({{{UTC_DAY}}} >= addDateTime(-2, 'DD', ${{From}}), 1, 0)"),
    "until": ("partition in window, until", f"ifelse({{{UTC_DAY}}} <= addDateTime(1, 'DD', ${{Until}}), 1, 0)"),
}
MAX_TIME_AXIS_POINTS = 2_000  # on a time axis, before the next coarser granularity serves better
CURRENCY = re.compile("[A-Z]{3}")  # a code of ISO 4217
SEVERITY_COLORS = {
    "critical": "#7F1D1D",
    "high": "#DC2626",
    "medium": "#F59E0B",
    "low": "#FCD34D",
    "unscored": "#94A3B8",
}
# The band of several series taken together: their deviations add up as independent ones do, in squares. Of one series it is that series' own.
_BOUNDS = {
    "SUM": {"observed": "observed", "expected": "expected", "lower": "lower bound", "upper": "upper bound"},
    "AVG": {
        "observed": "observed mean",
        "expected": "expected mean",
        "lower": "lower bound of mean",
        "upper": "upper bound of mean",
    },
}
_SUMS = {
    "observed": "sum({value} - {expectedvalue}) + sum({expectedvalue})",  # only of what has an expected value
    "expected": "sum({expectedvalue})",
    "lower": "sum({expectedvalue}) - sqrt(sum(({expectedvalue} - {lowerbound}) * ({expectedvalue} - {lowerbound})))",
    "upper": "sum({expectedvalue}) + sqrt(sum(({upperbound} - {expectedvalue}) * ({upperbound} - {expectedvalue})))",
}
_BOUND_EXPRESSIONS = {
    name: _SUMS[side] if how == "SUM" else f"({_SUMS[side]}) / count({{expectedvalue}})"
    for how, names in _BOUNDS.items()
    for side, name in names.items()
}
STATUS_COLORS = {"scored": "#16A34A", "learning": "#60A5FA", "thin": "#F59E0B", "empty": "#DC2626", "late": "#7C3AED"}
_BAND_COLORS = {"observed": "#2563EB", "expected": "#F59E0B", "lower": "#94A3B8", "upper": "#94A3B8"}
_NO_ARN = "arn:aws:quicksight:::dataset/"  # where nobody asks
_COLUMNS, _TALLEST = 36, 21  # of QuickSight's grid


class Window(NamedTuple):
    """What the dashboard shows at first: from, until (local times; or QuickSight's rolling date expressions), and the step of its time axes."""

    start: datetime | str
    end: datetime | str
    granularity: Granularity


def rolling_window(metric_set: MetricSet) -> Window:
    """The window of a deployed dashboard: as many days back as a time axis holds at the set's own frequency, 90 at most."""
    days = (
        min(
            90,
            int(
                MAX_TIME_AXIS_POINTS
                * intervals.INTERVAL_LENGTHS[metric_set.frequency]
                / intervals.INTERVAL_LENGTHS["P1D"]
            ),
        )
        if metric_set.frequency != "P1D"
        else 365
    )
    return Window(
        f"addDateTime(-{days}, 'DD', now())", "addDateTime(1, 'DD', now())", finest_granularity(metric_set)
    )  # now() is UTC, the zone may be ahead


def fit_window(metric_set: MetricSet, start: datetime, end: datetime) -> Window:
    """The window from start to end, in steps that a time axis can hold."""
    steps: tuple[tuple[Granularity, str], ...] = (("MINUTE", metric_set.frequency), ("HOUR", "PT1H"), ("DAY", "P1D"))
    allowed = [name for name, _ in steps][[name for name, _ in steps].index(finest_granularity(metric_set)) :]
    for name, step in steps:
        if name in allowed and (end - start) / intervals.INTERVAL_LENGTHS[step] <= MAX_TIME_AXIS_POINTS:
            return Window(start, end, name)
    return Window(start, end, "DAY")


def finest_granularity(metric_set: MetricSet) -> Granularity:
    """The step of a time axis that shows every interval."""
    by_frequency: dict[str, Granularity] = {"P1D": "DAY", "PT1H": "HOUR", "PT10M": "MINUTE", "PT5M": "MINUTE"}
    return by_frequency[metric_set.frequency]


def build_set_definition(metric_set: MetricSet, window: Window, arns: Mapping[str, Any] | None = None) -> Definition:
    """The analysis; `arns` gives each dataset's ARN, a text or what CloudFormation makes one of (a preview needs none)."""
    filters = [
        *_time_filters(LIVE, DATASETS),
        *(_dimension_filter(dimension, metric_set) for dimension in metric_set.dimensions),
    ]
    sheets = [_overview(filters, LOG, "metricname", "measure")]
    sheets += [_measure_sheet(metric_set, number, window, filters) for number in range(len(metric_set.measures))]
    sheets.append(_contributions(metric_set))
    if metric_set.source is not None:
        sheets.append(_data_health(window, filters))
    return {
        "DataSetIdentifierDeclarations": [{"Identifier": name, "DataSetArn": (arns or {}).get(name, _NO_ARN + name)} for name in DATASETS],
        "CalculatedFields": [
            *_in_window(DATASETS),
            *(
                {"DataSetIdentifier": BAND, "Name": name, "Expression": _BOUND_EXPRESSIONS[name]}
                for aggregation in sorted({measure.aggregation for measure in metric_set.measures})
                for name in _BOUNDS[aggregation].values()
            ),
        ],
        "ColumnConfigurations": _formats(metric_set),
        "ParameterDeclarations": [_moment("From", window.start), _moment("Until", window.end)],
        "FilterGroups": filters,
        "Sheets": sheets,
    }  # fmt: skip


def build_all_sets_definition(window: Window, arns: Mapping[str, Any] | None = None) -> Definition:
    """The analysis over all metric sets: their events, their anomalous series, and what contributed."""
    filters = _time_filters(ALL_LOG, ALL_DATASETS)
    series = _table("series", "Anomalous series, the worst first", ALL_ANOMALIES, _SERIES_COLUMNS, "groupscore")
    pivot = _pivot(ALL_CONTRIBUTIONS, ("metricset", "Metric set"), window.granularity)
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": name, "DataSetArn": (arns or {}).get(name, _NO_ARN + name)} for name in ALL_DATASETS
        ],
        "CalculatedFields": _in_window(ALL_DATASETS),
        "ColumnConfigurations": [_time_format(one) for one in ALL_DATASETS]
        + [_format(one, "groupscore", _decimals(1)) for one in ALL_DATASETS],
        "ParameterDeclarations": [_moment("From", window.start), _moment("Until", window.end)],
        "Sheets": [
            _overview(filters, ALL_LOG, "metricset", "metric set"),
            _sheet("series", "Series", [_Placed(series, 36, 21)], _pickers("series"), ()),
            _sheet("contributions", "Contributions", [_Placed(pivot, 36, 21)], _pickers("contributions"), ()),
        ],
        "FilterGroups": filters,
    }


# --- fields


def _column(dataset: str, name: str) -> dict[str, str]:
    return {"DataSetIdentifier": dataset, "ColumnName": name.lower()}


def _by(field: str, dataset: str, name: str) -> dict[str, Any]:
    return {"CategoricalDimensionField": {"FieldId": field, "Column": _column(dataset, name)}}


def _over_time(field: str, dataset: str, granularity: str) -> dict[str, Any]:
    return {"DateDimensionField": {"FieldId": field, "Column": _column(dataset, TIME), "DateGranularity": granularity}}


def _number(field: str, dataset: str, name: str, aggregation: str = "SUM") -> dict[str, Any]:
    how = {"SUM": "SUM", "AVG": "AVERAGE"}.get(aggregation, aggregation)
    return {
        "NumericalMeasureField": {
            "FieldId": field,
            "Column": _column(dataset, name),
            "AggregationFunction": {"SimpleNumericalAggregation": how},
        }
    }


def _calculated(field: str, dataset: str, name: str) -> dict[str, Any]:
    """A calculated field that aggregates by itself, for which QuickSight refuses a further aggregation."""
    return {"NumericalMeasureField": {"FieldId": field, "Column": {"DataSetIdentifier": dataset, "ColumnName": name}}}


def _count(field: str, dataset: str, name: str) -> dict[str, Any]:
    return {
        "CategoricalMeasureField": {
            "FieldId": field,
            "Column": _column(dataset, name),
            "AggregationFunction": "DISTINCT_COUNT",
        }
    }


def _title(text: str) -> dict[str, Any]:
    return {"Visibility": "VISIBLE", "FormatText": {"PlainText": text}}


def _axis(text: str) -> dict[str, Any]:
    return {"AxisLabelOptions": [{"CustomLabel": text}]}


def _ascending(field: str) -> list[dict[str, Any]]:
    return [{"FieldSort": {"FieldId": field, "Direction": "ASC"}}]


def _with_unit(measure: Measure) -> str:
    return f"{measure.title} ({measure.short_unit})" if measure.unit else measure.title


# --- how columns are written


def _formats(metric_set: MetricSet) -> list[dict[str, Any]]:
    """Times, scores, per cents and the measures' own format and unit, for every visual that shows the column."""
    made = [_format(LOG, "groupscore", _decimals(1)), _format(CONTRIBUTIONS, "groupscore", _decimals(1))]
    made += [_format(CONTRIBUTIONS, column, _decimals(1)) for column in ("valuecontribution", "contributionshare")]
    for measure in metric_set.measures:
        values = (
            measure.name,
            *(measure.name + suffix for suffix in ANOMALY_COLUMN_SUFFIXES if suffix not in ("GroupScore", "EventId")),
        )
        made += [_format(LIVE, column, _number_format(measure)) for column in values]
        made.append(_format(LIVE, f"{measure.name}GroupScore", _decimals(1)))
    return [_time_format(dataset) for dataset in DATASETS] + made


def _time_format(dataset: str) -> dict[str, Any]:
    return {
        "Column": _column(dataset, TIME),
        "FormatConfiguration": {"DateTimeFormatConfiguration": {"DateTimeFormat": "YYYY-MM-DD HH:mm"}},
    }


def _format(dataset: str, column: str, number: dict[str, Any]) -> dict[str, Any]:
    return {
        "Column": _column(dataset, column),
        "FormatConfiguration": {"NumberFormatConfiguration": {"FormatConfiguration": number}},
    }


def _decimals(places: int, **more: str) -> dict[str, Any]:
    return {"NumberDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": places}, **more}}


def _number_format(measure: Measure) -> dict[str, Any]:
    """QuickSight's number format of a measure."""
    places: dict[str, Any] = {"DecimalPlacesConfiguration": {"DecimalPlaces": 0 if measure.format == "integer" else 2}}
    if measure.format == "percent":
        return {"PercentageDisplayFormatConfiguration": places}
    if measure.format == "currency" and measure.unit and CURRENCY.fullmatch(measure.unit):
        return {"CurrencyDisplayFormatConfiguration": {**places, "Symbol": measure.unit}}
    return {
        "NumberDisplayFormatConfiguration": {**places, **({"Suffix": f" {measure.short_unit}"} if measure.unit else {})}
    }


# --- parameters and filters


def _moment(name: str, value: datetime | str) -> dict[str, Any]:
    default = (
        {"StaticValues": [f"{value:%Y-%m-%dT%H:%M:%S.000Z}"]}
        if isinstance(value, datetime)
        else {"RollingDate": {"Expression": value}}
    )
    return {"DateTimeParameterDeclaration": {"Name": name, "TimeGranularity": "MINUTE", "DefaultValues": default}}


def _time_filters(first: str, datasets: Sequence[str]) -> list[dict[str, Any]]:
    """What is shown lies between the parameters From and Until; and of each dataset only the partitions around them are read."""

    def everywhere(group: str, cross: str, one: dict[str, Any]) -> dict[str, Any]:
        return {
            "FilterGroupId": group,
            "CrossDataset": cross,
            "Status": "ENABLED",
            "ScopeConfiguration": {"AllSheets": {}},
            "Filters": [one],
        }

    window = {
        "FilterId": "window-range",
        "Column": _column(first, TIME),
        "IncludeMinimum": True,
        "IncludeMaximum": True,
        "NullOption": "NON_NULLS_ONLY",
        "TimeGranularity": "MINUTE",
        "RangeMinimumValue": {"Parameter": "From"},
        "RangeMaximumValue": {"Parameter": "Until"},
    }

    def partitions(dataset: str, side: str) -> dict[str, Any]:
        column = {"DataSetIdentifier": dataset, "ColumnName": IN_WINDOW[side][0]}
        return {
            "FilterId": f"days-{side}-{dataset}",
            "Column": column,
            "Value": 1,
            "MatchOperator": "EQUALS",
            "NullOption": "NON_NULLS_ONLY",
        }

    return [
        everywhere("window", "ALL_DATASETS", {"TimeRangeFilter": window}),
        *(
            everywhere(f"partitions-{side}-{one}", "SINGLE_DATASET", {"NumericEqualityFilter": partitions(one, side)})
            for one in datasets
            for side in IN_WINDOW
        ),
    ]


def _in_window(datasets: Sequence[str]) -> list[dict[str, str]]:
    """Whether a row's UTC date may lie in the window: computed from the partition column alone, so that Athena reads only those partitions.

    From and Until are local; UTC is at most 14 hours behind and 12 ahead, and a date is its first moment.
    """
    return [
        {"DataSetIdentifier": one, "Name": name, "Expression": expression}
        for one in datasets
        for name, expression in IN_WINDOW.values()
    ]


def _dimension_filter(dimension: Dimension, metric_set: MetricSet) -> dict[str, Any]:
    """A drop-down over every sheet that has the dimension."""
    name = dimension.name.lower()
    scopes = [
        {"SheetId": sheet, "Scope": "ALL_VISUALS"}
        for sheet in (*(_sheet_id(m) for m in metric_set.measures), "contributions")
    ]
    return {
        "FilterGroupId": _id("by", name),
        "CrossDataset": "ALL_DATASETS",
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": scopes}},
        "Filters": [
            {
                "CategoryFilter": {
                    "FilterId": _id("choose", name),
                    "Column": _column(LIVE, name),
                    "Configuration": {
                        "FilterListConfiguration": {
                            "MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES", "NullOption": "ALL_VALUES",
                        }
                    },
                    "DefaultFilterControlConfiguration": {
                        "Title": dimension.title, "ControlOptions": {"DefaultDropdownOptions": {"Type": "MULTI_SELECT"}},
                    },
                }
            }
        ],
    }  # fmt: skip


def _only(group: str, dataset: str, allowed: Mapping[str, Sequence[str]], *, sheet: str, visual: str) -> dict[str, Any]:
    """What a visual has built in: the values that each column may have."""
    scope = {"SheetId": sheet, "Scope": "SELECTED_VISUALS", "VisualIds": [visual]}

    def listed(values: Sequence[str]) -> dict[str, Any]:
        return {
            "FilterListConfiguration": {
                "MatchOperator": "CONTAINS",
                "CategoryValues": list(values),
                "NullOption": "NON_NULLS_ONLY",
            }
        }

    return {
        "FilterGroupId": group,
        "CrossDataset": "SINGLE_DATASET",
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": [scope]}},
        "Filters": [
            {
                "CategoryFilter": {
                    "FilterId": f"{group}-{column}",
                    "Column": _column(dataset, column),
                    "Configuration": listed(values),
                }
            }
            for column, values in allowed.items()
        ],
    }


# --- sheets


class _Placed(NamedTuple):
    """A visual, how many columns and rows of the grid it takes."""

    visual: dict[str, Any]
    width: int
    height: int


def _sheet(
    sheet: str,
    name: str,
    placed: Iterable[_Placed],
    controls: Sequence[dict[str, Any]],
    dimensions: Sequence[Dimension],
) -> dict[str, Any]:
    visuals, elements, column, row, height = [], [], 0, 0, 0
    for visual, wide, high in placed:
        if column + wide > _COLUMNS:
            column, row, height = 0, row + height, 0
        (body,) = visual.values()
        elements.append(
            {
                "ElementId": body["VisualId"], "ElementType": "VISUAL",
                "ColumnIndex": column, "ColumnSpan": wide, "RowIndex": row, "RowSpan": min(high, _TALLEST),
            }
        )  # fmt: skip
        column, height = column + wide, max(height, high)
        visuals.append(visual)
    made = {
        "SheetId": sheet,
        "Name": name,
        "ContentType": "INTERACTIVE",
        "ParameterControls": controls,
        "Visuals": visuals,
        "Layouts": [
            {
                "Configuration": {
                    "GridLayout": {
                        "Elements": elements,
                        "CanvasSizeOptions": {
                            "ScreenCanvasSizeOptions": {"ResizeOption": "FIXED", "OptimizedViewPortWidth": "1600px"}
                        },
                    }
                }
            }
        ],
    }
    if dimensions:
        made["FilterControls"] = [
            {"CrossSheet": {"FilterControlId": _id("control", sheet, d.name), "SourceFilterId": _id("choose", d.name)}}
            for d in dimensions
        ]
    return made


def _pickers(sheet: str) -> list[dict[str, Any]]:
    return [
        {
            "DateTimePicker": {
                "ParameterControlId": f"{sheet}-{name.lower()}",
                "Title": name,
                "SourceParameterName": name,
            }
        }
        for name in ("From", "Until")
    ]


def _table(visual: str, title: str, dataset: str, columns: Sequence[tuple[str, str]], greatest: str) -> dict[str, Any]:
    """Rows as they are, sorted by one column downwards; columns with their labels."""
    return {
        "TableVisual": {
            "VisualId": visual,
            "Title": _title(title),
            "ChartConfiguration": {
                "FieldWells": {
                    "TableUnaggregatedFieldWells": {
                        "Values": [{"FieldId": f"{visual}-{c}", "Column": _column(dataset, c)} for c, _ in columns]
                    }
                },
                "SortConfiguration": {
                    "RowSort": [{"FieldSort": {"FieldId": f"{visual}-{greatest}", "Direction": "DESC"}}]
                },
                "FieldOptions": {
                    "SelectedFieldOptions": [{"FieldId": f"{visual}-{c}", "CustomLabel": label} for c, label in columns]
                },
            },
        }
    }


_SERIES_COLUMNS = (
    (TIME, "Time"), ("metricset", "Metric set"), ("metricname", "Measure"), ("dimensions", "Series"), ("groupscore", "Score"), ("value", "Value"),
    ("expectedvalue", "Expected"), ("lowerbound", "Lower bound"), ("upperbound", "Upper bound"),
)  # fmt: skip


def _bars_a_day(
    visual: str, title: str, value: dict[str, Any], by: tuple[str, str], *, colors: Mapping[str, str], axis: str
) -> dict[str, Any]:
    """What there was on each day, stacked by a column of a dataset (`by`: these two) whose values have their colors."""
    dataset, column = by
    day, color = f"{visual}-day", f"{visual}-{column}"
    return {
        "BarChartVisual": {
            "VisualId": visual,
            "Title": _title(title),
            "ChartConfiguration": {
                "FieldWells": {
                    "BarChartAggregatedFieldWells": {
                        "Category": [_over_time(day, dataset, "DAY")],
                        "Values": [value],
                        "Colors": [_by(color, dataset, column)],
                    }
                },
                "Orientation": "VERTICAL",
                "BarsArrangement": "STACKED",
                "SortConfiguration": {"CategorySort": _ascending(day)},
                "ValueLabelOptions": _axis(axis),
                "VisualPalette": {
                    "ColorMap": [
                        {"Element": {"FieldId": color, "FieldValue": label}, "Color": shade}
                        for label, shade in colors.items()
                    ]
                },
            },
        }
    }


def _overview(filters: list[dict[str, Any]], log_dataset: str, row: str, rows: str) -> dict[str, Any]:
    """The events of a log: how many, how bad, when, of which `row`, and one by one."""

    def kpi(visual: str, title: str, value: dict[str, Any]) -> _Placed:
        wells = {"Values": [value], "TargetValues": [], "TrendGroups": []}
        return _Placed(
            {"KPIVisual": {"VisualId": visual, "Title": _title(title), "ChartConfiguration": {"FieldWells": wells}}},
            9,
            5,
        )

    columns = (
        (TIME, "Time"), *([(row, "Metric set")] if row == "metricset" else []), ("metricname", "Measure"), ("groupscore", "Score"),
        ("severity", "Severity"), ("direction", "Direction"), ("affectedseries", "Series"), ("rootcause", "Root cause"), ("feedback", "Feedback"),
        ("source", "Source"), ("consoleurl", "Link"),
    )  # fmt: skip
    log = _table("log", "Event log, newest first", log_dataset, columns, TIME)
    events = _count("timeline-events", log_dataset, "eventid")
    timeline = _bars_a_day(
        "timeline", "Events a day by severity", events, (log_dataset, "severity"), colors=SEVERITY_COLORS, axis="events"
    )
    heat = {
        "HeatMapVisual": {
            "VisualId": "worst",
            "Title": _title(f"Worst score of the day by {rows}"),
            "ChartConfiguration": {
                "FieldWells": {
                    "HeatMapAggregatedFieldWells": {
                        "Rows": [_by("worst-row", log_dataset, row)],
                        "Columns": [_over_time("worst-day", log_dataset, "DAY")],
                        "Values": [_number("worst-score", log_dataset, "groupscore", "MAX")],
                    }
                },
                "SortConfiguration": {"HeatMapColumnSort": _ascending("worst-day")},
                "ColorScale": {
                    "ColorFillType": "GRADIENT",
                    "Colors": [{"Color": "#FEF3C7", "DataValue": 0}, {"Color": "#7F1D1D", "DataValue": 100}],
                },
            },
        }
    }
    filters.append(
        _only("severe", log_dataset, {"severity": ["high", "critical"]}, sheet="overview", visual="kpi-severe")
    )
    placed = [
        kpi("kpi-events", "Events", _count("kpi-events-value", log_dataset, "eventid")),
        kpi("kpi-severe", "High or critical", _count("kpi-severe-value", log_dataset, "eventid")),
        kpi("kpi-worst", "Worst score", _number("kpi-worst-value", log_dataset, "groupscore", "MAX")),
        kpi(
            "kpi-series", "Most series in one event", _number("kpi-series-value", log_dataset, "affectedseries", "MAX")
        ),
        _Placed(timeline, 18, 11),
        _Placed(heat, 18, 11),
        _Placed(log, 36, 17),
    ]
    return _sheet("overview", "Overview", placed, _pickers("overview"), ())


def _data_health(window: Window, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the live data arrives and is scored: how complete it is, what became of the intervals, and what was missing."""
    complete = {
        "LineChartVisual": {
            "VisualId": "completeness",
            "Title": _title(
                "Completeness: series that came, per cent of those that usually do (the least of each step)"
            ),
            "ChartConfiguration": {
                "Type": "LINE",
                "FieldWells": {
                    "LineChartAggregatedFieldWells": {
                        "Category": [_over_time("completeness-time", HEALTH, window.granularity)],
                        "Values": [_number("completeness-value", HEALTH, "completeness", "MIN")],
                    }
                },
                "SortConfiguration": {"CategorySort": _ascending("completeness-time")},
                "PrimaryYAxisLabelOptions": _axis("%"),
            },
        }
    }
    number = _number("statuses-intervals", HEALTH, "series", "COUNT")
    intervals_by_status = _bars_a_day(
        "statuses",
        "Intervals a day by what became of them",
        number,
        (HEALTH, "status"),
        colors=STATUS_COLORS,
        axis="intervals",
    )
    filters.append(_only("missing", LOG, {"metricname": [MISSING_DATA]}, sheet="health", visual="missing"))
    filters.append(
        _only("unhealthy", HEALTH, {"status": ["thin", "empty", "late"]}, sheet="health", visual="unhealthy")
    )
    told = (
        (TIME, "Time"),
        ("groupscore", "Missing, %"),
        ("rootcause", "What is missing"),
        ("affectedseries", "Series"),
        ("feedback", "Feedback"),
    )
    columns = (
        (TIME, "Time"), ("status", "Status"), ("series", "Series"), ("usualseries", "Usual"), ("scoredseries", "Scored"), ("rowsread", "Rows read"),
        ("rowsrefused", "Refused"),
    )  # fmt: skip
    placed = [
        _Placed(complete, 36, 9),
        _Placed(intervals_by_status, 18, 11),
        _Placed(_table("missing", "Data that did not arrive, newest first", LOG, told, TIME), 18, 11),
        _Placed(_table("newest", "The detector, interval by interval, newest first", HEALTH, columns, TIME), 18, 13),
        _Placed(_table("unhealthy", "Intervals that were thin, empty or late", HEALTH, columns, TIME), 18, 13),
    ]
    return _sheet("health", "Data health", placed, _pickers("health"), ())


def _sheet_id(measure: Measure) -> str:
    return _id("measure", measure.name)


def _id(*parts: str) -> str:
    """One id of several names: a hyphen in a name is doubled, so that no two lists of names give one id (names begin with a letter or digit)."""
    return "-".join(part.lower().replace("-", "--") for part in parts)


def _measure_sheet(metric_set: MetricSet, number: int, window: Window, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """The sheet of one measure; its visuals are numbered, since ids of long names would fill the template."""
    measure = metric_set.measures[number]
    sheet, label = _sheet_id(measure), measure.title
    unit = _with_unit(measure)
    band, step = f"m{number}-band", window.granularity
    columns = _BOUNDS[measure.aggregation]
    how = "added up over the series" if measure.aggregation == "SUM" else "mean of the series"
    series = (
        ("observed", "2px", "SOLID"),
        ("expected", "2px", "DOTTED"),
        ("lower", "1px", "SOLID"),
        ("upper", "1px", "SOLID"),
    )
    filters.append(_only(band, BAND, {"metricname": [measure.name]}, sheet=sheet, visual=band))
    placed = [
        _Placed(
            {
                "LineChartVisual": {
                    "VisualId": band,
                    "Title": _title(f"{label}: observed, expected and band, {how}"),
                    "ChartConfiguration": {
                        "Type": "LINE",
                        "FieldWells": {
                            "LineChartAggregatedFieldWells": {
                                "Category": [_over_time(f"{band}-time", BAND, step)],
                                "Values": [_calculated(f"{band}-{column}", BAND, name) for column, name in columns.items()],
                            }
                        },
                        "SortConfiguration": {"CategorySort": _ascending(f"{band}-time")},
                        "PrimaryYAxisLabelOptions": _axis(unit),
                        "VisualPalette": {
                            "ColorMap": [
                                {"Element": {"FieldId": f"{band}-{column}", "FieldValue": name}, "Color": _BAND_COLORS[column]}
                                for column, name in columns.items()
                            ]
                        },
                        "Series": [
                            {
                                "DataFieldSeriesItem": {
                                    "FieldId": f"{band}-{column}",
                                    "AxisBinding": "PRIMARY_YAXIS",
                                    "Settings": {"LineStyleSettings": {"LineWidth": width, "LineStyle": style}},
                                }
                            }
                            for column, width, style in series
                        ],
                    },
                }
            },
            36,
            11,
        )
    ]  # fmt: skip
    for place, dimension in enumerate(metric_set.dimensions or (None,)):
        placed += _measure_by(measure, dimension, f"m{number}-d{place}", step, filters)
    return _sheet(sheet, label, placed, _pickers(sheet), metric_set.dimensions)


def _measure_by(
    measure: Measure, dimension: Dimension | None, base: str, step: Granularity, filters: list[dict[str, Any]]
) -> list[_Placed]:
    """The live data and its anomalies by one dimension (or in one, where there is none), and what contributed."""
    sheet, label, unit = _sheet_id(measure), measure.title, _with_unit(measure)
    by = f" by {dimension.title.lower()}" if dimension else ""
    line, combo, bars = f"{base}-live", f"{base}-anomalies", f"{base}-contribution"

    def colors(visual: str) -> list[dict[str, Any]]:
        return [_by(f"{visual}-color", LIVE, dimension.name)] if dimension else []

    def place(visual: str, kind: str, title: str, configuration: dict[str, Any], width: int) -> _Placed:
        return _Placed(
            {kind: {"VisualId": visual, "Title": _title(title), "ChartConfiguration": configuration}}, width, 11
        )

    live_wells = {
        "Category": [_over_time(f"{line}-time", LIVE, step)],
        "Values": [_number(f"{line}-value", LIVE, measure.name, measure.aggregation)],
        "Colors": colors(line),
    }
    combo_wells = {
        "Category": [_over_time(f"{combo}-time", LIVE, step)],
        "BarValues": [_number(f"{combo}-anomalous", LIVE, f"{measure.name}AnomalyMetricValue", measure.aggregation)],
        "Colors": colors(combo),
        "LineValues": [_number(f"{combo}-live", LIVE, measure.name, measure.aggregation)],
    }
    placed = [
        place(line, "LineChartVisual", f"{label}{by}, live", {
            "Type": "LINE",
            "FieldWells": {"LineChartAggregatedFieldWells": live_wells},
            "SortConfiguration": {"CategorySort": _ascending(f"{line}-time")},
            "PrimaryYAxisLabelOptions": _axis(unit),
        }, 12 if dimension else 18),
        place(combo, "ComboChartVisual", f"{label}: anomalies{by} over live data", {
            "BarsArrangement": "STACKED" if measure.aggregation == "SUM" else "CLUSTERED",
            "FieldWells": {"ComboChartAggregatedFieldWells": combo_wells},
            "SortConfiguration": {"CategorySort": _ascending(f"{combo}-time")},
            "PrimaryYAxisLabelOptions": _axis(unit),
            "SingleAxisOptions": {"YAxisOptions": {"YAxis": "PRIMARY_Y_AXIS"}},
        }, 12 if dimension else 18),
    ]  # fmt: skip
    if dimension:
        own = {"metricname": [measure.name], "dimensionname": [dimension.name]}
        filters.append(_only(bars, CONTRIBUTIONS, own, sheet=sheet, visual=bars))
        wells = {
            "Category": [_over_time(f"{bars}-time", CONTRIBUTIONS, step)],
            "Values": [_number(f"{bars}-share", CONTRIBUTIONS, "contributionshare")],
            "Colors": [_by(f"{bars}-value", CONTRIBUTIONS, "dimensionvalue")],
        }
        placed.append(place(bars, "BarChartVisual", f"{label}: what contributed,{by}", {
            "Orientation": "VERTICAL",
            "BarsArrangement": "STACKED_PERCENT",
            "FieldWells": {"BarChartAggregatedFieldWells": wells},
            "SortConfiguration": {"CategorySort": _ascending(f"{bars}-time")},
            "ValueLabelOptions": _axis("contribution"),
        }, 12))  # fmt: skip
    return placed


def _contributions(metric_set: MetricSet) -> dict[str, Any]:
    pivot = _pivot(CONTRIBUTIONS, None, finest_granularity(metric_set))
    return _sheet(
        "contributions", "Contributions", [_Placed(pivot, 36, 21)], _pickers("contributions"), metric_set.dimensions
    )


def _pivot(dataset: str, first: tuple[str, str] | None, step: Granularity) -> dict[str, Any]:
    """Contributions by time, dimension, measure and value, and by one more column outermost."""
    inner = (("dimensionname", "Dimension"), ("metricname", "Measure"), ("dimensionvalue", "Value"))
    names = [*([first] if first else []), (TIME, "Time"), *inner]
    rows = [_over_time(f"pivot-{c}", dataset, step) if c == TIME else _by(f"pivot-{c}", dataset, c) for c, _ in names]
    labels = {**{f"pivot-{column}": label for column, label in names}, "pivot-share": "Contribution, %"}
    return {
        "PivotTableVisual": {
            "VisualId": "pivot",
            "Title": _title("What contributed to each event, per cent"),
            "ChartConfiguration": {
                "FieldWells": {
                    "PivotTableAggregatedFieldWells": {
                        "Rows": rows,
                        "Values": [_number("pivot-share", dataset, "contributionshare")],
                    }
                },
                "SortConfiguration": {
                    "FieldSortOptions": [
                        {
                            "FieldId": f"pivot-{TIME}",
                            "SortBy": {"Field": {"FieldId": f"pivot-{TIME}", "Direction": "DESC"}},
                        }
                    ]
                },
                "FieldOptions": {
                    "SelectedFieldOptions": [
                        {"FieldId": field, "CustomLabel": label} for field, label in labels.items()
                    ]
                },
            },
        }
    }
