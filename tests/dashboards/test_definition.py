"""The definition of an analysis: its ids, its time axes, and how it rolls up each aggregation."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.dashboards import definition
from anomalake.dashboards.definition.window import event_period
from anomalake.dashboards.quicksight.topic import build_topic
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from examples import shop_text
from large_set import LARGE_SET_YAML, find_values
from rates_set import RATES
from shop_page import WINDOW

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1))
FREQUENCIES = st.sampled_from(sorted(intervals.INTERVAL_LENGTHS))


def set_of_frequency(frequency: str) -> MetricSet:
    """Return a metric set without live data."""
    return metric_set_yaml.parse(shop_text(frequency=f"frequency: {frequency}").partition("source:")[0], "shop")


def truncate(time: datetime, granularity: str) -> datetime:
    """Return the start of the step of a time axis, as QuickSight and the page truncate times."""
    hour = time.replace(minute=time.minute if granularity == "MINUTE" else 0, second=0, microsecond=0)
    day = hour.replace(hour=0) if granularity in ("DAY", "MONTH") else hour
    return day.replace(day=1) if granularity == "MONTH" else day


def test_names_with_hyphens_give_different_ids():
    measures = "{name: a, aggregation: SUM}, {name: a-b, aggregation: SUM}, {name: a-choose, aggregation: SUM}"
    text = LARGE_SET_YAML % ("b-c, c, choose-b, b", measures, "b-c, c, choose-b, b, a, a-b, a-choose")
    analysis = definition.build_set_definition(metric_set_yaml.parse(text, "big"), WINDOW)
    for field in ("VisualId", "FilterGroupId", "FilterControlId"):
        ids = [value for value in find_values(analysis, field) if isinstance(value, str)]
        assert len(set(ids)) == len(ids), field


@given(MOMENTS, FREQUENCIES)
def test_a_time_axis_of_the_finest_granularity_shows_every_interval_at_its_start(moment: datetime, frequency: str):
    metric_set = set_of_frequency(frequency)
    granularity = definition.finest_granularity(metric_set)
    wall = intervals.floor_to_interval(moment, frequency)
    assert truncate(wall, granularity) == wall
    assert truncate(moment, granularity) - wall < intervals.INTERVAL_LENGTHS[frequency]


@given(MOMENTS, st.timedeltas(timedelta(), timedelta(days=20_000)), FREQUENCIES)
def test_a_window_has_at_most_2000_points_or_the_coarsest_granularity(start: datetime, span: timedelta, frequency: str):
    metric_set = set_of_frequency(frequency)
    window = definition.fit_window(metric_set, start, start + span)
    steps = {"MINUTE": timedelta(minutes=1), "HOUR": timedelta(hours=1)}
    if window.granularity in steps:
        assert span / max(steps[window.granularity], intervals.INTERVAL_LENGTHS[frequency]) <= 2000
    else:
        assert window.granularity == ("MONTH" if frequency == "P1M" else "DAY")


def test_deployed_dashboards_open_with_a_window_of_the_frequency():
    windows = {
        frequency: definition.rolling_window(set_of_frequency(frequency))
        for frequency in ("PT1M", "PT5M", "PT30M", "PT1H", "PT6H", "P1D", "P1W", "P1M")
    }
    assert {frequency: (window.start, window.granularity) for frequency, window in windows.items()} == {
        "PT1M": ("addDateTime(-1, 'DD', now())", "MINUTE"),
        "PT5M": ("addDateTime(-6, 'DD', now())", "MINUTE"),
        "PT30M": ("addDateTime(-41, 'DD', now())", "MINUTE"),
        "PT1H": ("addDateTime(-83, 'DD', now())", "HOUR"),
        "PT6H": ("addDateTime(-90, 'DD', now())", "HOUR"),
        "P1D": ("addDateTime(-365, 'DD', now())", "DAY"),
        "P1W": ("addDateTime(-1095, 'DD', now())", "DAY"),
        "P1M": ("addDateTime(-3650, 'DD', now())", "MONTH"),
    }


@pytest.mark.parametrize(("frequency", "period"), [("PT5M", "day"), ("P1D", "day"), ("P1W", "week"), ("P1M", "month")])
def test_events_are_counted_per_day_or_per_longer_interval(frequency: str, period: str):
    metric_set = set_of_frequency(frequency)
    assert event_period(metric_set).name == period
    titles = [title["FormatText"]["PlainText"] for title in find_values(
        definition.build_set_definition(metric_set, definition.rolling_window(metric_set)), "Title"
    ) if isinstance(title, dict)]  # fmt: skip
    assert f"Events per {period} by severity" in titles


def test_a_count_of_distinct_values_is_added_up_and_its_charts_say_that_values_count_twice():
    analysis = definition.build_set_definition(RATES, WINDOW)
    (sheet,) = [sheet for sheet in analysis["Sheets"] if sheet["SheetId"] == "measure-buyers"]
    charts = [body for visual in sheet["Visuals"] for kind, body in visual.items() if kind != "BarChartVisual"]
    assert {chart["Subtitle"]["FormatText"]["PlainText"] for chart in charts} == {
        "a value that occurs in two series or intervals counts twice"
    }
    functions = [
        function["SimpleNumericalAggregation"]
        for visual in sheet["Visuals"]
        for kind, body in visual.items()
        if kind != "BarChartVisual"
        for function in find_values(body, "AggregationFunction")
    ]
    assert set(functions) == {"SUM"}


def test_a_topic_rolls_up_as_the_charts_do_and_has_ratios_of_sums():
    (live,) = [
        dataset
        for dataset in build_topic(RATES)["Properties"]["DataSets"]
        if dataset["DatasetName"] == "Live data and anomalies"
    ]
    aggregations = {column["ColumnName"]: column.get("Aggregation") for column in live["Columns"]}
    assert {name: aggregations.get(name) for name in RATES.measure_names} == {
        "visits": "SUM", "orders": "SUM", "buyers": "SUM", "conversion": None, "load": "AVERAGE", "least": "MIN",
        "most": "MAX",
    }  # fmt: skip
    assert {field["CalculatedFieldName"]: field["Expression"] for field in live["CalculatedFields"]} == {
        "conversion": "sum({orders}) / sum({visits})",
        "conversion: anomalous value": "sum(coalesce({visits}, 1) * {conversionanomalymetricvalue}) / "
        "sum(coalesce({visits}, 1) + 0 * {conversionanomalymetricvalue})",
    }
    assert "conversion" not in aggregations
