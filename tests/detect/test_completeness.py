"""Completeness: the usual number of series, gaps, and that each gap is reported once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect.completeness import Completeness, record_count

MONDAY = 735_000 - 735_000 % 7 + 1  # an ordinal; ordinal 1 was a Monday


def reported_intervals(counts: list[int], slots: int = 24, sensitivity: float = 50) -> list[int]:
    """Return the numbers of the intervals in which an event begins."""
    state = Completeness(slots)
    return [
        number
        for number, count in enumerate(counts)
        if record_count(state, MONDAY + number // slots, number % slots, count, sensitivity)[2]
    ]


def weeks(number: float, count: int = 20) -> list[int]:
    return [count] * int(number * 168)


def test_an_empty_interval_is_reported_and_a_long_gap_is_reported_once():
    assert reported_intervals([*weeks(2), *[0] * 60, *weeks(1)]) == [336]


def test_an_incomplete_interval_is_reported_at_and_above_the_sensitivity():
    assert reported_intervals([*weeks(2), 10]) == [336]
    assert reported_intervals([*weeks(2), 11]) == []
    assert reported_intervals([*weeks(2), 11], sensitivity=45) == [336]


def test_with_few_usual_series_only_an_interval_without_any_of_them_is_reported():
    assert reported_intervals([*weeks(2, 3), 1, 3, 2, 3, 0]) == [340]


def test_a_second_gap_is_reported_again():
    assert reported_intervals([*weeks(2), 0, 20, 0]) == [336, 338]


def test_no_gap_is_reported_in_the_first_seven_days():
    assert reported_intervals([20] * (7 * 24) + [0]) == [168]
    assert reported_intervals([20] * (7 * 24 - 1) + [0]) == []


def test_nights_and_weekends_without_data_are_not_a_gap():
    week = [[0 if hour < 6 or day >= 5 else 20 for hour in range(24)] for day in range(7)]
    assert reported_intervals([count for day in week * 6 for count in day]) == []
    assert reported_intervals([20 if day % 7 < 5 else 0 for day in range(70)], slots=1) == []


def test_an_outage_does_not_make_the_next_outage_usual():
    outage = [*[20] * 100, *[0] * 6, *[20] * 62]
    assert reported_intervals([*weeks(2), *outage, *outage]) == [436, 604]


def test_a_longer_gap_than_usual_is_reported():
    generator = np.random.default_rng(5)
    counts = np.where(generator.random(24 * 60) < 0.1, 0, 20).tolist()
    assert len(reported_intervals([*weeks(2), *counts])) <= 3 + 2  # until three gaps are known
    assert reported_intervals([*weeks(2), *counts, *[0] * 12])[-1] >= 336 + len(counts)


def test_series_that_end_become_usual():
    fewer = [8] * 24 * 10
    assert reported_intervals([*weeks(3), *fewer, 2]) == [504, 504 + 240]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=400), st.integers(0, 60))
def test_complete_intervals_are_never_reported(before, more):
    most = max([1, *before])
    state = Completeness(4)
    for number, count in enumerate([*before, *[most + more] * 8]):
        usual, missing, begins = record_count(state, MONDAY + number // 4, number % 4, count, 50)
        assert 0 <= missing <= 100
        assert usual is None or 0 <= usual <= most + more
        assert not (begins and count >= most)
