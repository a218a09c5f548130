"""Cycles: the times of day and the seasons that the model distinguishes for each frequency."""

from datetime import datetime

import pytest

from anomalake.detect.cycle import MAX_SLOTS, cycle_of, model_time
from anomalake.domain import intervals


@pytest.mark.parametrize(
    ("frequency", "cycle"),
    [
        ("PT1M", (288, 5, 7)),
        ("PT2M", (240, 3, 7)),
        ("PT5M", (288, 1, 7)),
        ("PT30M", (48, 1, 7)),
        ("PT12H", (2, 1, 7)),
        ("P1D", (1, 1, 7)),
        ("P1W", (1, 1, 12)),
        ("P1M", (1, 1, 12)),
    ],
)
def test_intervals_share_times_of_day_below_five_minutes_and_weeks_and_months_have_the_season_of_the_year(
    frequency, cycle
):
    assert cycle_of(frequency) == cycle


@pytest.mark.parametrize("frequency", sorted(intervals.INTERVAL_LENGTHS))
def test_every_interval_of_a_day_has_a_slot(frequency):
    cycle = cycle_of(frequency)
    numbers = range(intervals.slots_per_day(frequency))
    assert {cycle.find_slot(number) for number in numbers} == set(range(cycle.slots))
    assert cycle.slots <= MAX_SLOTS


def test_season_is_the_weekday_or_the_month():
    thursday = datetime(2026, 11, 26, 12, 5)
    day, slot = model_time(thursday, "PT5M")
    assert (cycle_of("PT5M").find_season(day), slot) == (thursday.toordinal() % 7, 145)
    assert cycle_of("P1M").find_season(datetime(2026, 11, 1).toordinal()) == 10
