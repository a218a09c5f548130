"""What `anomalake init` proposes for tables of many shapes: the step, the measures, the dimensions, and why."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import user_tables
from anomalake.cli.proposal import frequency, long_form, propose, times
from anomalake.cli.proposal.propose import NO_CHOICES, Choices, Proposed
from anomalake.cli.tables import csv_text, table
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet


def read(frame: pd.DataFrame) -> table.Table:
    text = io.StringIO()
    frame.to_csv(text, index=False)
    read_table = table.to_table(csv_text.read_csv(text.getvalue().encode(), "data.csv"))
    return table.Table(read_table.rows.rename(columns=table.column_names(list(read_table.rows.columns))))


def propose_for(frame: pd.DataFrame, choices: Choices = NO_CHOICES, name: str = "data") -> tuple[MetricSet, Proposed]:
    read_table = read(frame)
    proposed = propose.propose(read_table, name, times.find_times(read_table.rows), choices)
    return metric_set_yaml.parse(proposed.proposal.text, "proposal"), proposed


def aggregations(metric_set: MetricSet) -> dict[str, str]:
    return {measure.name: measure.aggregation for measure in metric_set.measures}


def notes(proposed: Proposed) -> str:
    return "\n".join(proposed.proposal.notes)


def test_a_gauge_of_five_minutes_with_gaps_keeps_its_step_and_is_averaged():
    metric_set, proposed = propose_for(user_tables.glucose())
    assert (metric_set.frequency, metric_set.missing) == ("PT5M", "unknown")
    assert aggregations(metric_set) == {"isig": "AVG", "glucose": "AVG"}
    assert metric_set.folder_period == "P1D"
    assert proposed.preview.step.coarser[0].frequency == "PT10M"


def test_half_hourly_data_is_not_divided_into_shorter_intervals():
    metric_set, _ = propose_for(user_tables.sea_temperature())
    assert (metric_set.frequency, metric_set.timezone) == ("PT30M", "UTC")
    assert aggregations(metric_set) == {"temperature_celsius": "AVG"}


def test_order_lines_are_counted_and_their_amounts_summed():
    metric_set, proposed = propose_for(user_tables.orders(), name="shop")
    assert (metric_set.frequency, metric_set.missing) == ("P1D", "zero")
    chosen = aggregations(metric_set)
    assert {name: chosen[name] for name in ("orders", "Sales", "Quantity", "Discount", "Profit", "customers")} == {
        "orders": "COUNT", "Sales": "SUM", "Quantity": "SUM", "Discount": "AVG", "Profit": "SUM",
        "customers": "COUNT_DISTINCT",
    }  # fmt: skip
    assert "Segment" in metric_set.dimension_names
    assert not {"Postal_Code", "Row_ID", "Country"} & {*metric_set.dimension_names, *chosen}
    assert "'Country' is left out: it is constant" in notes(proposed)
    assert "'Row_ID' is left out: its name is that of an id" in notes(proposed)
    assert "missing: zero; no row means that nothing happened" in notes(proposed)


def test_events_without_numbers_are_counted_at_the_step_at_which_they_occur():
    metric_set, proposed = propose_for(user_tables.commits(), name="commits")
    assert aggregations(metric_set) == {"commits": "COUNT"}
    assert metric_set.missing == "zero"
    assert proposed.preview.step.fit.completeness >= 0.9
    assert metric_set.frequency in ("P1W", "P1D")


def test_monthly_prices_are_months_by_share():
    metric_set, _ = propose_for(user_tables.prices())
    assert (metric_set.frequency, metric_set.dimension_names) == ("P1M", ("symbol",))
    assert aggregations(metric_set) == {"price": "AVG"}
    assert metric_set.source.path == "data/live/{{yyyyMM}}"
    assert metric_set.source.columns == ("symbol", "date", "price")


def test_data_of_working_days_is_daily():
    metric_set, proposed = propose_for(user_tables.quotes())
    assert (metric_set.frequency, metric_set.alerts.missing_data) == ("P1D", False)
    assert aggregations(metric_set) == {"Close": "AVG", "Volume": "SUM"}
    assert "Saturdays, Sundays" in notes(proposed)


def test_a_text_that_describes_each_value_is_no_dimension():
    metric_set, proposed = propose_for(user_tables.weather())
    assert metric_set.dimension_names == ()
    assert aggregations(metric_set) == {"precipitation": "SUM", "temp_max": "AVG", "wind": "AVG"}
    assert "'weather' is left out: it differs from row to row" in notes(proposed)


def test_levels_without_a_telling_name_are_averaged_and_measures_beyond_ten_are_named():
    metric_set, proposed = propose_for(user_tables.employment())
    assert (metric_set.frequency, set(aggregations(metric_set).values())) == ("P1M", {"AVG"})
    assert len(metric_set.measures) == 10
    assert "found 12 measures; a metric set can have 10. Left out: sector_" in notes(proposed)


def test_the_names_of_a_long_table_become_measures_if_their_scales_differ():
    metric_set, proposed = propose_for(user_tables.sensors())
    assert metric_set.dimension_names == ("site",)
    assert aggregations(metric_set) == {"cpu_percent": "AVG", "disk_free_GB": "AVG", "requests": "SUM"}
    assert "each name in 'metric' becomes a measure" in notes(proposed)
    wide, lines = long_form.widen_for(read(user_tables.sensors()).rows, metric_set)
    assert lines == ()
    assert len(wide) == 2 * 24 * 14
    assert set(metric_set.source.columns) == set(wide.columns)


def test_the_names_of_a_long_table_with_one_scale_are_a_dimension():
    frame = user_tables.sensors()
    frame["metric"] = frame.metric.map({"cpu_percent": "a", "requests": "b", "disk free (GB)": "c"})
    frame["value"] = 100 + frame.value % 10
    metric_set, _ = propose_for(frame)
    assert metric_set.dimension_names == ("site", "metric")
    assert [measure.column for measure in metric_set.measures] == ["value"]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from("xyz"), st.sampled_from(["a", "b", "c"]), st.integers(0, 99)),
        min_size=1,
        max_size=40,
    )
)
def test_the_wide_form_keeps_every_value(rows):
    frame = pd.DataFrame(rows, columns=["time", "site", "metric", "value"]).astype("str")
    names = {name: f"m_{name}" for name in frame.metric.unique()}
    wide = long_form.to_wide(frame, long_form.LongForm("metric", "value", names)).rows
    for name, column in names.items():
        before = frame[frame.metric == name].groupby(["time", "site"])["value"].apply(sorted)
        after = wide[wide[column].notna()].groupby(["time", "site"])[column].apply(sorted)
        assert before.to_dict() == after.to_dict()


def test_a_dimension_with_many_values_keeps_the_largest():
    random = np.random.default_rng(1)
    hours = pd.date_range("2024-01-01", periods=24 * 20, freq="h").repeat(200)
    frame = pd.DataFrame(
        {"time": hours, "product": [f"p{number}" for number in random.integers(0, 300, len(hours))], "views": 1}
    )
    frame["views"] = random.integers(1, 90, len(frame))
    metric_set, proposed = propose_for(frame)
    assert [(one.name, one.top) for one in metric_set.dimensions] == [("product", 50)]
    assert "'product' has 300 values; the largest 50 are kept" in notes(proposed)


def test_a_column_with_the_name_of_a_generated_column_is_used_under_another_name():
    frame = user_tables.sea_temperature().set_axis(["timestamp", "value"], axis=1)
    metric_set, _ = propose_for(frame, name="sea")
    assert metric_set.timestamp.column == "timestamp"
    assert [(one.name, one.column) for one in metric_set.measures] == [("sea_value", "value")]


def test_ratios_that_names_make_obvious_are_proposed():
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")})
    frame["impressions"] = random.integers(900, 2_000, 60)
    frame["clicks"] = random.binomial(frame.impressions, 0.05)
    metric_set, _ = propose_for(frame)
    ratio = metric_set.measures[-1]
    assert (ratio.name, ratio.numerator, ratio.denominator) == ("click_rate", "clicks", "impressions")


def test_a_running_total_is_recognised():
    frame = user_tables.sea_temperature()
    frame["meter"] = np.random.default_rng(3).integers(1, 9, len(frame)).cumsum()
    metric_set, proposed = propose_for(frame)
    assert aggregations(metric_set)["meter"] == "MAX"
    assert "it only grows, as a running total" in notes(proposed)


def test_rows_that_measure_one_level_several_times_an_interval_are_averaged():
    random = np.random.default_rng(4)
    seconds = pd.date_range("2024-01-01", periods=6 * 60 * 24, freq="10s")
    level = 50 + 10 * np.sin(np.arange(len(seconds)) / 900) + random.normal(0, 0.1, len(seconds))
    metric_set, proposed = propose_for(pd.DataFrame({"time": seconds, "reading": level.round(1)}))
    assert (metric_set.frequency, aggregations(metric_set)) == ("PT1M", {"reading": "AVG"})
    assert "the rows of an interval are aggregated" in notes(proposed)


def test_transactions_at_any_second_are_events():
    random = np.random.default_rng(5)
    seconds = np.sort(random.integers(0, 20 * 86_400, 30_000))
    times = pd.Timestamp("2025-01-01") + pd.to_timedelta(seconds, unit="s")
    frame = pd.DataFrame({"created_at": times, "country": random.choice(["us", "uk", "de"], len(times))})
    frame["product"] = [f"p{number}" for number in random.zipf(1.3, len(times)) % 3_000]
    frame["amount"] = random.lognormal(3, 1, len(times)).round(2)
    metric_set, _ = propose_for(frame, Choices(frequency="PT1H"), name="orders")
    assert aggregations(metric_set) == {"orders": "COUNT", "amount": "SUM"}
    assert [(one.name, one.top) for one in metric_set.dimensions] == [("country", None), ("product", 10)]


def test_a_device_that_measures_about_every_ten_seconds_has_values():
    random = np.random.default_rng(6)
    seconds = (random.normal(10, 1.5, 30_000)).round().cumsum()
    times = pd.Timestamp("2025-01-01") + pd.to_timedelta(seconds, unit="s")
    level = 20 + np.sin(np.arange(len(times)) / 300) + random.normal(0, 0.05, len(times))
    metric_set, _ = propose_for(pd.DataFrame({"time": times, "reading": level.round(2)}))
    assert (metric_set.frequency, metric_set.missing, aggregations(metric_set)) == (
        "PT1M",
        "unknown",
        {"reading": "AVG"},
    )


def test_flags_of_transactions_give_a_rate():
    frame = user_tables.orders()
    frame["is_fraud"] = (np.arange(len(frame)) % 50 == 0).astype(int)
    metric_set, _ = propose_for(frame)
    by_name = {measure.name: measure for measure in metric_set.measures}
    assert by_name["is_fraud"].aggregation == "SUM"
    assert (by_name["fraud_rate"].numerator, by_name["fraud_rate"].denominator) == ("is_fraud", "orders")


def test_coordinates_ages_and_parts_of_the_time_are_no_measures():
    frame = user_tables.sea_temperature().assign(latitude=47.1, lon=9.5, age=30, year=2016)
    frame.loc[::2, ["latitude", "lon", "age", "year"]] = [47.2, 9.6, 31, 2017]
    assert list(aggregations(propose_for(frame)[0])) == ["temperature_celsius"]


@pytest.mark.parametrize("step", ["PT1H", "P1D"])
def test_the_step_that_the_user_chooses_is_used(step):
    assert propose_for(user_tables.sea_temperature(), Choices(frequency=step))[0].frequency == step


def test_times_with_offsets_are_laid_out_as_instants_in_another_time_zone():
    metric_set, _ = propose_for(user_tables.commits(), Choices(timezone="America/New_York"))
    assert (metric_set.timezone, metric_set.timestamp.format) == ("America/New_York", "UNIX")


@given(
    step=st.sampled_from([step for step in intervals.INTERVAL_LENGTHS if step != "P1M"]),
    start=st.datetimes(min_value=pd.Timestamp("2001-01-01"), max_value=pd.Timestamp("2030-01-01")),
    missing=st.sets(st.integers(1, 98), max_size=9),
)
def test_regular_data_has_its_own_step(step, start, missing):
    first = intervals.floor_to_interval(start, step)
    walls = [first + number * intervals.INTERVAL_LENGTHS[step] for number in range(100) if number not in missing]
    found = frequency.find_step(np.array(walls, dtype="datetime64[s]"))
    assert (found.fit.frequency, found.fit.filled, found.fit.intervals) == (step, len(walls), 100)


@given(
    step=st.sampled_from(list(intervals.INTERVAL_LENGTHS)),
    instants=st.lists(
        st.datetimes(min_value=pd.Timestamp("1999-01-01"), max_value=pd.Timestamp("2030-01-01")),
        min_size=1,
        max_size=30,
    ),
)
def test_intervals_are_numbered_as_the_metric_set_counts_them(step, instants):
    numbers = frequency.number_intervals(np.array(instants, dtype="datetime64[s]"), step)
    starts = [intervals.floor_to_interval(instant, step) for instant in instants]
    for left, start in zip(numbers, starts, strict=True):
        for right, other in zip(numbers, starts, strict=True):
            assert (left == right) == (start == other)
    following = [intervals.next_wall_time(start, step) for start in starts]
    assert (frequency.number_intervals(np.array(following, dtype="datetime64[s]"), step) == numbers + 1).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"name": ["a", "b"], "day": ["soon", "later"]}, "Seen: 'day' (row 1: 'soon'"),
        ({"day": ["2024-01-01"] * 3, "n": [1, 2, 3]}, "the column 'day' holds a single time, 2024-01-01 00:00"),
        ({"year": [2001, 2002, 2003], "n": [1, 2, 3]}, "the column 'year' holds years"),
        (
            {"day": [f"20{year:02}-01-01" for year in range(20)], "n": [year * year % 17 + 0.5 for year in range(20)]},
            "rows are usually 365 days apart",
        ),
        ({"day": [f"2024-01-{day:02}" for day in range(1, 29)], "n": [5] * 28}, "'n': it is constant ('5')"),
    ],
)
def test_data_that_cannot_be_watched_is_an_error_that_names_the_column(frame, message):
    with pytest.raises(UserError) as error:
        propose_for(pd.DataFrame(frame))
    assert message in str(error.value)
