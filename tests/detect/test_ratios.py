"""Ratios in the model: how surprising a rate is depends on its denominator."""

import numpy as np
import pytest

from anomalake.detect import model
from anomalake.detect.cycle import cycle_of
from anomalake.detect.transform import Floats

HOURS = 60 * 24
FIRST_DAY = 738_000


def score_hours(values: Floats, denominators: Floats | None) -> tuple[model.State, Floats]:
    """Score [hour, series] values of hourly series; return the state and the scores [hour, series]."""
    state = model.State(cycle_of("PT1H"), values.shape[1])
    scores = [
        model.score_interval(
            state,
            FIRST_DAY + hour // 24,
            hour % 24,
            values[hour],
            50,
            denominator=None if denominators is None else denominators[hour],
        ).score
        for hour in range(len(values))
    ]
    return state, np.array(scores)


def draw_rates(seed: int, visits: float, rate: float, series: int = 20) -> tuple[Floats, Floats]:
    """Return the conversion rates and the visits of series that follow the time of day; few visits at night."""
    random = np.random.default_rng(seed)
    busy = 0.02 + np.sin(np.pi * (np.arange(HOURS) % 24) / 24) ** 2
    denominators = random.poisson(visits * busy[:, None], (HOURS, series)).astype(float)
    hits = random.binomial(denominators.astype(int), rate)
    denominators[denominators == 0] = np.nan
    return hits / denominators, denominators


def test_one_of_two_visits_is_no_anomaly_and_a_hundred_of_ten_thousand_is():
    random = np.random.default_rng(0)
    denominators = np.full((HOURS, 2), 1000.0)
    state, _ = score_hours(random.binomial(1000, 0.001, (HOURS, 2)) / 1000, denominators)
    rates, visits = np.array([1 / 2, 100 / 10_000]), np.array([2.0, 10_000.0])
    few, many = model.score_interval(state, FIRST_DAY + 60, 0, rates, 50, denominator=visits).score
    assert few < 40
    assert many > 60


@pytest.mark.parametrize("visits", [3, 30, 1000])
@pytest.mark.parametrize("rate", [0.0005, 0.03, 0.5, 0.97])
def test_rates_that_vary_by_chance_alone_give_at_most_two_alerts_in_ten_thousand(visits, rate):
    _, scores = score_hours(*draw_rates(1, visits, rate))
    assert np.nanmean(scores[21 * 24 :] >= 50) <= 2e-4


@pytest.mark.parametrize("rate", [0.03, 0.5, 0.97])
def test_rate_far_outside_the_binomial_spread_is_an_anomaly(rate):
    values, denominators = draw_rates(2, 1000, rate)
    noon = 50 * 24 + 12
    other = rate * 3 if rate < 0.4 else 0.25
    values[noon] = np.round(other * denominators[noon]) / denominators[noon]
    _, scores = score_hours(values, denominators)
    assert (scores[noon] >= 50).all()


def test_mean_of_few_amounts_varies_more_than_the_mean_of_many():
    random = np.random.default_rng(3)
    orders = np.where(np.arange(HOURS) % 24 < 6, 4.0, 400.0)[:, None] * np.ones((1, 20))
    values = np.array([[random.lognormal(3, 0.8, int(n)).mean() for n in row] for row in orders])
    usual = score_hours(values, orders)[1][21 * 24 :]
    without = score_hours(values, None)[1][21 * 24 :]
    assert np.nanmean(usual >= 50) <= np.nanmean(without >= 50)
    values[50 * 24 + 12] *= 2
    assert (score_hours(values, orders)[1][50 * 24 + 12] >= 50).all()


def test_series_without_a_denominator_are_scored_as_if_no_series_had_one():
    random = np.random.default_rng(4)
    values = random.poisson(20, (HOURS, 3)).astype(float)
    denominators = np.full((HOURS, 3), np.nan)
    denominators[:, 2] = 50
    values[:, 2] = np.minimum(values[:, 2], 50) / 50
    assert np.array_equal(
        score_hours(values, denominators)[1][:, :2], score_hours(values, None)[1][:, :2], equal_nan=True
    )
