"""Timestamps by column: each gets the interval, or the problem, that it gets alone."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import intervals, time_patterns
from anomalake.lake import live_timestamps
from anomalake.lake.live_timestamps import number_intervals, parse_interval_start

# Zones whose clocks change by an hour, by half an hour, one minute after midnight, at midnight, and never.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Antarctica/Troll",
]
FREQUENCIES = ["PT1M", "PT5M", "PT16M", "PT30M", "PT1H", "PT2H", "PT12H", "P1D", "P1W", "P1M"]
CHANGES = [
    datetime(2021, 3, 28, 1),
    datetime(2021, 10, 31, 1),
    datetime(2010, 3, 14, 3, 31),
    datetime(2010, 11, 7, 2, 31),
    datetime(2018, 11, 4, 3),
    datetime(2019, 4, 6, 15),
    datetime(2019, 10, 5, 15, 30),
]
SECONDS = st.integers(-100_000, 100_000)
INSTANTS = st.builds(lambda change, seconds: change + timedelta(seconds=seconds), st.sampled_from(CHANGES), SECONDS)
ANY_TIME = INSTANTS | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
PATTERNS = [
    "yyyy-MM-dd HH:mm:ss",
    "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "yyyyMMddHHmm",
    "M/d/yyyy H:mm",
    "d.M.yyyy HH",
    "dd/MM/yyyy hh:mm a",
    "SSS ss mm HH dd MM yyyy",
]
ODD = [
    *("", "yesterday", "é", " 2021-03-28 05:00:00", "2021-02-30 05:00:00", "2021-13-01 00:00:00", "2021-3-8 5:0:0"),
    *("2021-03-08 24:00:00", "2021-03-08 05:60:00", "2021-03-08 05:00:61", "0000-01-01 00:00:00"),
    *("9999-12-31 23:59:59", "202103080500", "2/30/2021 5:00", "12/1/2010 8:26"),
    *("1613559600", "1613559600123", "1613559600.5", "-1", "9" * 13, "00000000000", "1e9"),
]


def assert_equal_alone(texts, pattern, clock):
    alone = [parse_interval_start(text, pattern, clock) for text in texts]
    for few in (0, live_timestamps._FEW_TEXTS):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live_timestamps, "_FEW_TEXTS", few)
            codes, found = number_intervals(pa.array(texts, pa.string()), pattern, clock)
        assert [found[code] for code in codes] == alone


@given(
    st.sampled_from(PATTERNS),
    st.sampled_from(ZONES),
    st.sampled_from(FREQUENCIES),
    st.lists(ANY_TIME, max_size=8),
    st.lists(st.sampled_from(ODD), max_size=3),
)
def test_wall_times_of_a_column_get_the_intervals_that_they_get_alone(pattern, zone, frequency, times, odd):
    texts = [time.strftime(time_patterns.to_python_format(pattern)) for time in times]
    assert_equal_alone([*texts, *odd], pattern, intervals.Clock(frequency, zone))


@given(
    st.sampled_from(ZONES),
    st.sampled_from(FREQUENCIES),
    st.lists(ANY_TIME, max_size=8),
    st.sampled_from([1, 1000]),
    st.lists(st.sampled_from(ODD), max_size=3),
)
def test_unix_times_of_a_column_get_the_intervals_that_they_get_alone(zone, frequency, times, factor, odd):
    texts = [str(int(time.replace(tzinfo=UTC).timestamp()) * factor) for time in times]
    assert_equal_alone([*texts, *odd], time_patterns.UNIX, intervals.Clock(frequency, zone, absolute=True))


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_around_a_clock_change_gets_the_interval_that_it_gets_alone(zone):
    for change in CHANGES:
        times = [change + timedelta(minutes=minute) for minute in range(-200, 200)]
        for frequency in ("PT16M", "PT1H"):
            unix = [str(int(time.replace(tzinfo=UTC).timestamp())) for time in times]
            assert_equal_alone(unix, time_patterns.UNIX, intervals.Clock(frequency, zone, absolute=True))
            walls = [f"{intervals.to_wall_time(time, zone):%Y-%m-%d %H:%M:%S}" for time in times]
            assert_equal_alone(walls, "yyyy-MM-dd HH:mm:ss", intervals.Clock(frequency, zone))
