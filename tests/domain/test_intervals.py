"""Intervals on a wall clock that changes twice a year, and date patterns."""

from datetime import datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import intervals, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.intervals import Clock

NEW_YORK = "America/New_York"


def test_both_occurrences_of_a_wall_time_belong_to_the_first_interval():
    first, second = datetime(2013, 11, 3, 5, 30), datetime(2013, 11, 3, 6, 30)  # 01:30 EDT and 01:30 EST
    clock = Clock("PT1H", NEW_YORK)
    assert clock.start(first) == clock.start(second) == datetime(2013, 11, 3, 5)


def test_skipped_wall_time_does_not_exist():
    assert not intervals.wall_time_exists(datetime(2013, 3, 10, 2, 30), NEW_YORK)
    assert intervals.wall_time_exists(datetime(2013, 3, 10, 3, 30), NEW_YORK)


def test_intervals_follow_the_wall_clock_for_offsets_of_half_an_hour():
    assert Clock("PT1H", "Asia/Kolkata").start(datetime(2021, 1, 1, 6, 40)) == datetime(
        2021, 1, 1, 6, 30
    )  # 12:10 -> 12:00
    assert Clock("P1D", "Asia/Kolkata").start(datetime(2021, 1, 1, 20)) == datetime(2021, 1, 1, 18, 30)


zones = st.sampled_from(
    sorted(
        available_timezones()
        & {"UTC", NEW_YORK, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"}
    )
)
instants = st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1))


@given(instants, st.sampled_from(sorted(intervals.INTERVAL_LENGTHS)), zones)
def test_start_of_an_interval_is_its_own_start_and_precedes_its_instants(instant, frequency, zone):
    clock = Clock(frequency, zone)
    start = clock.start(instant)
    assert clock.start(start) == start
    assert timedelta(0) <= instant - start < clock.step + timedelta(hours=1)


clocks = st.builds(
    Clock,
    st.sampled_from(sorted(intervals.INTERVAL_LENGTHS)),
    st.sampled_from(sorted(available_timezones())),
    st.booleans(),
)


@given(st.datetimes(datetime(2012, 1, 1), datetime(2030, 1, 1)), clocks)
def test_intervals_contain_every_instant_once_in_every_zone(instant, clock):
    start = clock.start(instant)
    assert start <= instant < clock.end(start)
    assert clock.start(start) == start
    assert start in clock.starts_at_wall_time(clock.wall_time(start))
    following = clock.next_start(start)
    assert following > start
    assert clock.previous_start(following) == start
    assert timedelta(0) < clock.length(start) <= clock.step + timedelta(hours=2)


@pytest.mark.parametrize("change", [datetime(2021, 3, 14, 7), datetime(2021, 11, 7, 6)])
@pytest.mark.parametrize("frequency", ["PT20M", "PT40M", "PT45M", "PT2H", "PT160M", "PT12H"])
def test_consecutive_minutes_with_one_wall_time_are_in_one_interval(change, frequency):
    clock = Clock(frequency, NEW_YORK, absolute=True)
    for number in range(-720, 720):
        one, other = change + timedelta(minutes=number), change + timedelta(minutes=number + 1)
        assert clock.wall_time(clock.start(one)) == clock.wall_time(one)
        if clock.wall_time(one) == clock.wall_time(other) and other != change:
            assert clock.start(one) == clock.start(other)


def test_interval_length_changes_when_clocks_are_set():
    hour = Clock("PT1H", NEW_YORK)
    assert hour.length(datetime(2021, 11, 7, 5)) == timedelta(hours=2)
    assert hour.end(datetime(2021, 11, 7, 5)) == datetime(2021, 11, 7, 7)
    day = Clock("P1D", NEW_YORK)
    assert [day.length(datetime(2021, 11, 7, 4)), day.length(datetime(2021, 3, 14, 5))] == [
        timedelta(hours=25),
        timedelta(hours=23),
    ]
    assert Clock("PT1H", "Australia/Lord_Howe").length(datetime(2021, 10, 2, 15, 30)) == timedelta(minutes=30)


def test_both_occurrences_of_an_hour_are_intervals_with_absolute_timestamps():
    clock = Clock("PT1H", NEW_YORK, absolute=True)
    assert clock.starts_at_wall_time(datetime(2021, 11, 7, 1)) == (datetime(2021, 11, 7, 5), datetime(2021, 11, 7, 6))
    assert clock.start(datetime(2021, 11, 7, 6, 30)) == datetime(2021, 11, 7, 6)
    assert clock.length(datetime(2021, 11, 7, 6)) == timedelta(hours=1)


def test_skipped_wall_time_has_no_interval():
    assert Clock("PT1H", NEW_YORK).starts_at_wall_time(datetime(2021, 3, 14, 2)) == ()


@pytest.mark.parametrize(
    ("pattern", "python", "trino"),
    [
        ("yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%i:%s"),
        ("yyyy-MM-dd'T'HH:mm:ss'Z'", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%i:%sZ"),
        ("d/M/yyyy hh 'o''clock' a", "%d/%m/%Y %I o'clock %p", "%d/%m/%Y %h o'clock %p"),
        ("yyyyMMdd '100%'", "%Y%m%d 100%%", "%Y%m%d 100%%"),
    ],
)
def test_java_pattern_is_translated(pattern, python, trino):
    assert time_patterns.to_python_format(pattern) == python
    assert time_patterns.to_trino_format(pattern) == trino


@pytest.mark.parametrize("pattern", ["yy", "YYYY-MM-dd", "yyyy-MMM-dd", "yyyy 'open", "EEE"])
def test_unsupported_java_pattern_is_rejected(pattern):
    with pytest.raises(UserError, match="date pattern"):
        time_patterns.to_python_format(pattern)


def test_text_between_two_parts_of_a_folder_date_is_quoted_in_the_pattern():
    assert time_patterns.parse_folder_pattern("live/dt={{yyyyMMdd}}/hr={{HH}}/x") == (
        "live/dt=",
        "yyyyMMdd'/hr='HH",
        "/x",
    )


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("live/{{yyyyMMdd}}/{{HHmm}}", ("live/", "yyyyMMdd", "")),
        ("live/dt={{yyyy}}/{{MM}}/{{dd}}-x/y/{{HH}}", ("live/dt=", "yyyy/MM/dd", "-x")),
        ("live/{{yyyy-MM-dd}}2 /{{HHmm}}", ("live/", "yyyy-MM-dd", "2 ")),
        ("live/{{yyyyMMdd}}/_{{HHmm}}", None),  # engines ignore folders whose names begin with _
        ("live/{{yyyyMMdd}}/{{HHmm}}/.in", None),
        ("live/{{yyyyMMddHHmm}}", None),  # there is no day folder
        ("live/{{yyyyMMdd}}", None),  # it is the folder of the interval
        ("live/{{yyyyMMddHH}}/{{mm}}", None),
    ],
)
def test_day_folder_contains_the_folders_of_its_intervals(path, day):
    assert time_patterns.parse_day_pattern(path) == day


@given(instants, st.sampled_from(sorted(available_timezones())))
def test_utc_day_offsets_cover_every_local_day(instant, zone):
    assert (instant.date() - intervals.to_wall_time(instant, zone).date()).days in intervals.get_utc_day_offsets(zone)


def test_local_day_overlaps_two_utc_days_outside_utc():
    assert [intervals.get_utc_day_offsets(zone) for zone in ("UTC", NEW_YORK, "Asia/Kolkata", "Europe/London")] == [
        (0,),
        (0, 1),
        (-1, 0),
        (-1, 0),
    ]


def test_frequencies_are_the_steps_that_divide_a_day_and_a_day_a_week_and_a_month():
    assert {"PT1M", "PT8M", "PT15M", "PT90M", "PT12H", "P1D", "P1W", "P1M"} <= set(intervals.INTERVAL_LENGTHS)
    assert not {"PT7M", "PT50M", "PT60M", "PT5H", "PT24H"} & set(intervals.INTERVAL_LENGTHS)


def test_weeks_start_on_monday_and_months_on_their_first_day():
    thursday = datetime(2026, 11, 26, 15, 30)
    assert intervals.floor_to_interval(thursday, "P1W") == datetime(2026, 11, 23)
    assert intervals.floor_to_interval(thursday, "P1M") == datetime(2026, 11, 1)
    month = Clock("P1M", NEW_YORK)
    march = month.start(datetime(2026, 3, 20))
    assert (march, month.end(march)) == (datetime(2026, 3, 1, 5), datetime(2026, 4, 1, 4))  # clocks change in March
    assert month.length_ratio(march) == Clock("P1W", NEW_YORK).length_ratio(datetime(2026, 3, 2, 5)) == 1
