"""When an interval is due: the offset, the schedule, and changes of the clock."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect import schedule
from anomalake.domain import metric_set_yaml
from examples import shop_text


def test_an_interval_is_due_after_the_offset():
    item = metric_set_yaml.parse(shop_text().replace("format: csv", "format: csv\n  offset: 5400"), "shop")
    assert schedule.last_due(item, datetime(2021, 3, 1, 10, 29)) == datetime(2021, 3, 1, 7)
    assert schedule.last_due(item, datetime(2021, 3, 1, 10, 30)) == datetime(2021, 3, 1, 8)


@pytest.mark.parametrize(
    ("frequency", "offset", "expected"),
    [
        ("PT1H", 0, "cron(0 * * * ? *)"),
        ("PT1H", 61, "cron(2 * * * ? *)"),
        ("PT1H", 5400, "cron(30 * * * ? *)"),
        ("P1D", 0, "cron(0 0 * * ? *)"),
        ("P1D", 7 * 3600 + 900, "cron(15 7 * * ? *)"),
        ("P1D", 432_000, "cron(0 0 * * ? *)"),
        ("PT10M", 0, "cron(0/10 * * * ? *)"),
        ("PT10M", 660, "cron(1/10 * * * ? *)"),
        ("PT5M", 120, "cron(2/5 * * * ? *)"),
    ],
)
def test_the_schedule_follows_frequency_and_offset(frequency, offset, expected):
    text = shop_text(frequency=f"frequency: {frequency}").replace("format: csv", f"format: csv\n  offset: {offset}")
    assert schedule.cron_expression(metric_set_yaml.parse(text.replace("{{HHmm}}", "{{HHmm}}"), "shop")) == expected


@given(
    st.datetimes(datetime(2021, 1, 1), datetime(2021, 12, 31)),
    st.sampled_from(["PT1H", "P1D", "PT10M"]),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
    st.integers(0, 432_000),
)
def test_due_intervals_have_ended_and_others_have_not(now, frequency, zone, offset):
    text = shop_text(zone, frequency=f"frequency: {frequency}").replace(
        "format: csv", f"format: csv\n  offset: {offset}"
    )
    item = metric_set_yaml.parse(text, "shop")
    last = schedule.last_due(item, now)
    assert schedule.due_time(item, last) <= now < schedule.due_time(item, item.clock.next_start(last))
    assert schedule.due_time(item, last) == item.clock.end(last) + timedelta(seconds=offset)


def test_a_skipped_hour_is_never_due_and_a_repeated_hour_is_due_once():
    item = metric_set_yaml.parse(shop_text("America/New_York"), "shop")
    due = list(schedule.due_intervals(item, datetime(2021, 3, 14, 4), datetime(2021, 3, 14, 8)))
    assert [item.clock.wall_time(start).hour for start in due] == [0, 1, 3, 4]
    assert len(list(schedule.due_intervals(item, datetime(2021, 11, 7, 3), datetime(2021, 11, 7, 8)))) == 4


def test_a_repeated_hour_is_due_after_its_second_occurrence():
    for frequency, expected in (("PT1H", [1, 1, 2]), ("PT10M", [1, 1, 2])):
        item = metric_set_yaml.parse(shop_text("Europe/Berlin", frequency=f"frequency: {frequency}"), "shop")
        moments = (
            datetime(2026, 10, 25, 0, 15),
            datetime(2026, 10, 25, 0, 59),
            datetime(2026, 10, 25, 2, 0),
        )  # clocks go back at 1:00 UTC
        assert [item.clock.wall_time(schedule.last_due(item, moment)).hour for moment in moments] == expected
    assert schedule.schedule_timezone(item) == "UTC"


def test_a_day_without_midnight_is_due():
    item = metric_set_yaml.parse(
        shop_text("America/Sao_Paulo", frequency="frequency: P1D"), "shop"
    )  # 4 November 2018 began at 1:00
    days = list(schedule.due_intervals(item, datetime(2018, 11, 2, 3), datetime(2018, 11, 5, 2)))
    assert [item.clock.wall_time(day).day for day in days] == [3, 4, 5]
