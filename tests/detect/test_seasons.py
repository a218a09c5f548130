"""Weeks, months and minutes in the model."""

from datetime import date

import numpy as np

from anomalake.detect import model
from anomalake.detect.cycle import cycle_of
from anomalake.detect.transform import Floats


def score(frequency: str, days: list[date], values: Floats) -> model.Points:
    """Score a series at the given days; return arrays over time."""
    state = model.State(cycle_of(frequency), 1)
    points = [
        model.score_interval(state, day.toordinal(), 0, np.array([value]), 50)
        for day, value in zip(days, values, strict=True)
    ]
    return model.Points(*(np.array([column[0] for column in columns]) for columns in zip(*points, strict=True)))


def test_month_is_compared_with_the_same_month_of_earlier_years():
    days = [date(2010 + number // 12, 1 + number % 12, 1) for number in range(96)]
    random = np.random.default_rng(0)
    values = 1000 * (1 + 0.5 * np.array([day.month == 12 for day in days])) + random.normal(0, 10, 96)
    values[95 - 5] = 1500  # as in December, in July
    scores = score("P1M", days, values).score
    assert np.isnan(scores[:12]).all()  # a year of history
    december = [number for number, day in enumerate(days) if day.month == 12 and number > 36]
    assert (scores[december] < 50).all()
    assert scores[90] >= 50


def test_month_follows_a_trend():
    days = [date(2010 + number // 12, 1 + number % 12, 1) for number in range(96)]
    values = 1000 * 1.01 ** np.arange(96.0) * np.random.default_rng(0).normal(1, 0.01, 96)
    points = score("P1M", days, values)
    assert np.nanmax(points.score) < 50
    assert abs(points.expected[-1] / values[-1] - 1) < 0.1


def test_week_has_no_weekday_and_follows_the_season():
    days = [date.fromordinal(date(2015, 1, 5).toordinal() + 7 * number) for number in range(260)]
    random = np.random.default_rng(1)
    season = np.array([2.0 if day.month in (6, 7, 8) else 1.0 for day in days])
    values = 500 * season + random.normal(0, 10, 260)
    values[240] *= 1.5
    scores = score("P1W", days, values).score
    assert scores[240] >= 50
    assert np.nanmean(scores[104:] >= 50) < 0.03


def test_minutes_share_a_time_of_day_and_are_scored_after_a_day():
    random = np.random.default_rng(2)
    state = model.State(cycle_of("PT1M"), 1)
    scores = []
    for minute in range(3 * 1440):
        value = np.array([float(random.poisson(50 + 20 * np.sin(2 * np.pi * minute / 1440)))])
        if minute == 3 * 1440 - 30:
            value *= 3
        day, slot = 738_000 + minute // 1440, cycle_of("PT1M").find_slot(minute % 1440)
        scores.append(model.score_interval(state, day, slot, value, 50).score[0])
    assert np.isnan(scores[:1440]).all()
    assert not np.isnan(scores[1445:]).any()
    assert scores[-30] >= 50
    assert np.mean(np.array(scores[2000:-31]) >= 50) < 1e-3
