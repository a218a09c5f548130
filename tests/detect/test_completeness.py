"""Data that does not arrive: what is usual, what is a gap, and that each is told once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect.completeness import Completeness, record_count

MONDAY = 735_000 - 735_000 % 7 + 1  # an ordinal; ordinal 1 was a Monday


def told(counts: list[int], slots: int = 24, sensitivity: float = 50) -> list[int]:
    """The places of the intervals that are told, counted from the first."""
    state = Completeness(slots)
    return [
        number
        for number, count in enumerate(counts)
        if record_count(state, MONDAY + number // slots, number % slots, count, sensitivity)[2]
    ]


def weeks(number: float, count: int = 20) -> list[int]:
    return [count] * int(number * 168)


def test_an_empty_interval_is_told_and_a_long_gap_once():
    assert told([*weeks(2), *[0] * 60, *weeks(1)]) == [336]


def test_a_thin_interval_is_told_from_the_sensitivity_on():
    assert told([*weeks(2), 10]) == [336]
    assert told([*weeks(2), 11]) == []
    assert told([*weeks(2), 11], sensitivity=45) == [336]


def test_where_few_series_are_usual_some_that_lack_are_chance_and_all_are_not():
    assert told([*weeks(2, 3), 1, 3, 2, 3, 0]) == [340]


def test_the_gap_after_data_came_again_is_told_again():
    assert told([*weeks(2), 0, 20, 0]) == [336, 338]


def test_less_than_eight_days_tell_nothing():
    assert told([20] * (7 * 24) + [0]) == [168]
    assert told([20] * (7 * 24 - 1) + [0]) == []


def test_nights_and_days_of_rest_without_data_are_no_gap():
    week = [[0 if hour < 6 or day >= 5 else 20 for hour in range(24)] for day in range(7)]
    assert told([count for day in week * 6 for count in day]) == []
    assert told([20 if day % 7 < 5 else 0 for day in range(70)], slots=1) == []


def test_an_outage_does_not_make_the_next_one_usual():
    outage = [*[20] * 100, *[0] * 6, *[20] * 62]
    assert told([*weeks(2), *outage, *outage]) == [436, 604]


def test_where_gaps_are_usual_a_longer_one_is_told():
    generator = np.random.default_rng(5)
    counts = np.where(generator.random(24 * 60) < 0.1, 0, 20).tolist()
    assert len(told([*weeks(2), *counts])) <= 3 + 2  # until three gaps are known
    assert told([*weeks(2), *counts, *[0] * 12])[-1] >= 336 + len(counts)


def test_series_that_end_become_usual():
    fewer = [8] * 24 * 10
    assert told([*weeks(3), *fewer, 2]) == [504, 504 + 240]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=400), st.integers(0, 60))
def test_no_more_is_told_where_everything_comes(before, more):
    most = max([1, *before])
    state = Completeness(4)
    for number, count in enumerate([*before, *[most + more] * 8]):
        usual, missing, tells = record_count(state, MONDAY + number // 4, number % 4, count, 50)
        assert 0 <= missing <= 100
        assert usual is None or 0 <= usual <= most + more
        assert not (tells and count >= most)
