"""Timestamps in every common form are recognised, and normalised to the same instant."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli.tables import timestamps
from anomalake.domain import time_patterns

WALLS = st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)).map(lambda wall: wall.replace(microsecond=0))
ZONES = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
LOCAL_FORMS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.123456", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S",
    "%d.%m.%Y %H:%M:%S", "%d %B %Y %H:%M:%S", "%b %d %Y, %I:%M:%S %p", "%B %d, %Y %H:%M:%S", "%d%b%Y:%H:%M:%S",
    "%a %b %d %H:%M:%S %Y", "%d-%b-%y %H:%M:%S",
)  # fmt: skip


def column(*values):
    return pd.Series(values, dtype="str")


def recognise(*values, name="time", **options):
    found = timestamps.recognise(column(*values), name, **options)
    assert found is not None, values
    return found


@pytest.mark.property
@given(st.lists(WALLS, min_size=1, max_size=5), st.sampled_from(LOCAL_FORMS))
def test_a_local_time_in_any_form_is_the_same_time(walls, form):
    found = recognise(*(wall.strftime(form) for wall in walls))
    assert found.times.dt.to_pydatetime().tolist() == walls
    assert (found.is_instant, found.bad.total) == (False, 0)


@pytest.mark.property
@given(st.lists(WALLS, min_size=1, max_size=5), ZONES, st.sampled_from(["iso", "mail", "git", "seconds", "ms", "ns"]))
def test_a_time_with_an_offset_in_any_form_is_the_same_instant(walls, zone, form):
    write = {
        "iso": datetime.isoformat, "mail": format_datetime,
        "git": lambda time: time.strftime("%a %b %d %H:%M:%S %Y %z"),
        "seconds": lambda time: f"{time.timestamp():.0f}", "ms": lambda time: f"{time.timestamp():.0f}123",
        "ns": lambda time: f"{time.timestamp():.0f}123456789",
    }[form]  # fmt: skip
    walls = [max(wall, datetime(1974, 1, 1)) for wall in walls]
    found = recognise(*(write(wall.replace(tzinfo=zone)) for wall in walls))
    expected = [wall.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) for wall in walls]
    assert found.times.dt.to_pydatetime().tolist() == expected
    assert found.is_instant


@pytest.mark.property
@given(st.lists(WALLS, min_size=1, max_size=5), st.sampled_from(["day-first", "month-first"]), st.sampled_from("/-"))
def test_the_order_of_day_and_month_is_decided_by_the_data_or_asked(walls, order, mark):
    form = mark.join(["%d", "%m", "%Y"] if order == "day-first" else ["%m", "%d", "%Y"])
    days = [datetime(wall.year, wall.month, wall.day) for wall in walls]
    found = recognise(*(day.strftime(form) for day in days), order=order)
    assert found.times.dt.to_pydatetime().tolist() == days
    asked = recognise(*(day.strftime(form) for day in days))
    assert asked.is_ambiguous or asked.times.equals(found.times)
    if any(day.day > 12 for day in days):
        assert asked.orders == (order,)


@pytest.mark.parametrize(
    ("text", "time", "precision"),
    [
        ("2017-04", "2017-04-01", "month"),
        ("2017M04", "2017-04-01", "month"),
        ("April 2017", "2017-04-01", "month"),
        ("Apr-17", "2017-04-01", "month"),
        ("2017-W16", "2017-04-17", "week"),
        ("2017-W16-3", "2017-04-19", "week"),
        ("2017-Q2", "2017-04-01", "quarter"),
        ("Q2 2017", "2017-04-01", "quarter"),
        ("April 22nd, 2017", "2017-04-22", "day"),
        ("2017-04-22 24:00", "2017-04-23", "day"),
        ("4/22/17 3:11 pm", "2017-04-22 15:11", "time"),
        ("22/Apr/2017:15:11:58 -0500", "2017-04-22 20:11:58", "time"),
        ("Sat Apr 22 2017 15:11:58 GMT-0500 (Eastern Standard Time)", "2017-04-22 20:11:58", "time"),
        ("Sat, 22 Apr 2017 15:11:58 EST", "2017-04-22 20:11:58", "time"),
    ],
)
def test_other_forms_are_recognised(text, time, precision):
    found = recognise(text)
    assert (found.times[0], found.precision) == (pd.Timestamp(time), precision)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        (["2017-04-22", "2017-04-23"], "yyyy-MM-dd"),
        (["2017-04-22T15:11:58Z"], "yyyy-MM-dd'T'HH:mm:ss'Z'"),
        (["22.04.2017 15:11"], "dd.MM.yyyy HH:mm"),
        (["9/1/2015 1:05", "13/12/2015 10:00"], "d/M/yyyy H:mm"),
        (["04/22/2017 03:11 PM"], "MM/dd/yyyy hh:mm a"),
        (["20170422151158"], "yyyyMMddHHmmss"),
        (["1492873918"], "UNIX"),
        (["1492873918123456"], None),  # microseconds
        (["2017-04-22", "2017-04-22 15:00"], None),
        (["2017-04-22T15:11:58+02:00"], None),
        (["4/22/17"], None),
        (["Jan 1 2000"], None),
        (["2017-04-22 24:00"], None),
    ],
)
def test_the_pattern_by_which_the_lake_reads_the_text_is_found(values, pattern):
    found = recognise(*values)
    assert found.lake_format == pattern
    if pattern not in (None, "UNIX"):
        for value, time in zip(values, found.times, strict=True):
            assert datetime.strptime(value, time_patterns.to_python_format(pattern)) == time


def test_monthly_dates_of_americans_are_more_likely_month_first():
    found = recognise(*(f"{month}/1/2000" for month in range(1, 13)))
    assert (found.is_ambiguous, found.orders[0]) == (True, "month-first")
    assert recognise("01.02.2024", "02.02.2024").orders == ("day-first",)


@pytest.mark.parametrize("values", [["abc", "x1"], ["1.5", "2.5"], ["12345678"], ["a-1-2-3"], ["2017", "2018"], [None]])
def test_other_columns_hold_no_timestamps(values):
    assert timestamps.recognise(column(*values), "value") is None


def test_numbers_of_seconds_need_the_name_of_a_time_or_recent_values():
    assert timestamps.recognise(column("100761600", "203211926"), "population") is None
    assert timestamps.recognise(column("1992873918", "1992873920"), "position_long") is None
    assert recognise("1992873918", name="created_at").is_instant


def test_unreadable_rows_are_counted_with_the_first_ones():
    found = recognise("2017-02-28", "2017-02-30", None, "soon", "2017-03-01", "2017-03-02", "2017-03-03")
    assert (found.bad.total, found.bad.first, found.blank) == (2, ((2, "2017-02-30"), (4, "soon")), 1)
    assert found.bad.describe() == "row 2: '2017-02-30'; row 4: 'soon'"


def test_zones_can_differ_and_rows_without_one_are_unreadable_among_them():
    found = recognise("2017-04-22T15:00+02:00", "2017-04-22T15:00-05:00", "2017-04-22T15:00")
    assert (found.is_instant, found.offsets, found.bad.total) == (True, ("-05:00", "+02:00"), 1)


def test_normalised_rows_have_one_column_of_timestamps_and_keep_their_numbers():
    rows = pd.DataFrame({"a": ["1", "2", "3"], "t": ["Jan 1 2000", "never", "Feb 1 2000"]}, dtype="str")
    normal, bad = timestamps.normalise(rows, timestamps.recognise_table(rows)[0])
    assert normal.values.tolist() == [["1", "2000-01-01 00:00:00"], ["3", "2000-02-01 00:00:00"]]
    assert (list(normal.index), bad.first) == ([0, 2], ((2, "never"),))


@pytest.mark.parametrize(
    ("parts", "name", "time"),
    [
        ({"date": "2017-04-22", "hour": "7"}, "date_hour", "2017-04-22 07:00:00"),
        ({"date": "22.04.2017", "time": "7:05 PM"}, "date_time", "2017-04-22 19:05:00"),
        ({"year": "2017", "month": "4"}, "year_month", "2017-04-01 00:00:00"),
        ({"year": "2017.0", "month": "4.0", "day": "22.0", "hour": "7"}, "year_month_day_hour", "2017-04-22 07:00:00"),
    ],
)
def test_parts_in_several_columns_give_one_timestamp(parts, name, time):
    rows = pd.DataFrame({"n": ["1"], **{key: [value] for key, value in parts.items()}}, dtype="str")
    found = timestamps.recognise_table(rows)[0]
    assert (found.name, found.columns, found.lake_format) == (name, tuple(parts), None)
    assert timestamps.normalise(rows, found)[0].values.tolist() == [["1", time]]
