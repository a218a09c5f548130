"""The model: expected values, bounds and scores of series of many kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.detect import model, score
from anomalake.detect.cycle import WEEKDAYS, Cycle, cycle_of
from model_series import START, score_matrix, seasonal_values


def test_a_spike_and_a_dip_are_flagged_with_few_false_positives():
    values = seasonal_values(42)
    values[35 * 24 + 10] *= 1.6
    values[37 * 24 + 15] *= 0.5
    flagged = np.flatnonzero(score_matrix(values).score[:, 0] >= 50)
    assert {35 * 24 + 10, 37 * 24 + 15} <= set(flagged.tolist())
    assert len(flagged) <= 4


def test_the_expected_value_follows_day_and_week():
    values = seasonal_values(42)
    points = score_matrix(values)
    last_week = slice(-7 * 24, None)
    error = np.abs(points.expected[last_week] - values[last_week]) / values[last_week]
    assert np.median(error) < 0.05


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([30.0, 50.0, 80.0]))
def test_the_score_is_below_the_sensitivity_exactly_between_the_bounds(seed, sensitivity):
    rng = np.random.default_rng(seed)
    values = rng.poisson(rng.uniform(0, 30), (10 * 24, 3)).astype(float) * rng.choice([1.0, 7.5])
    values[rng.random(values.shape) < 0.02] *= 10
    points = score_matrix(values, sensitivity=sensitivity)
    known = ~np.isnan(points.score)
    outside = (points.value < points.lower - 1e-9) | (points.value > points.upper + 1e-9)
    clear = known & (np.abs(points.score - sensitivity) > 1e-6)
    assert (outside == (points.score >= sensitivity))[clear].all()
    assert ((points.score >= 0) & (points.score <= 100))[known].all()


def test_later_values_do_not_change_a_score():
    values = seasonal_values(21)
    changed = values.copy()
    changed[15 * 24 :] *= 3
    before, after = score_matrix(values), score_matrix(changed)
    np.testing.assert_array_equal(before.score[: 15 * 24], after.score[: 15 * 24])


def test_a_lasting_level_becomes_normal_and_a_single_spike_does_not():
    values = seasonal_values(49)
    values[28 * 24 :] *= 2
    score = score_matrix(values).score[:, 0]
    assert (score[28 * 24 : 28 * 24 + 12] >= 50).all()
    assert (score[35 * 24 :] >= 50).mean() < 0.02
    spiked = seasonal_values(49)
    spiked[28 * 24 + 12] *= 3
    assert score_matrix(spiked).score[29 * 24 + 12, 0] < 50


def test_rare_counts_are_flagged_only_in_large_numbers():
    rng = np.random.default_rng(3)
    values = rng.poisson(0.05, (40 * 24, 1)).astype(float)
    values[30 * 24] = 12
    score = score_matrix(values).score[:, 0]
    assert score[30 * 24] >= 50
    assert (score >= 50).sum() <= 2


@pytest.mark.parametrize("values", [np.full((300, 1), 5.0), np.zeros((300, 1)), np.full((300, 1), np.nan)])
def test_constant_and_missing_values_are_not_anomalies(values):
    assert not (np.nan_to_num(score_matrix(values).score) >= 50).any()


def test_gaps_and_new_series_are_not_anomalies():
    values = np.concatenate([seasonal_values(30), seasonal_values(30, seed=2)], axis=1)
    values[:400, 1] = np.nan
    values[500:520, 0] = np.nan
    score = score_matrix(values).score
    assert (np.nan_to_num(score) >= 50).sum() <= 2
    assert np.isnan(score[400:450, 1]).all()


def test_an_earlier_day_is_rejected():
    state = model.State(cycle_of("PT1H"), 1)
    model.score_interval(state, 100, 0, np.ones(1), 50)
    with pytest.raises(ValueError, match="day 99 comes before day 100"):
        model.score_interval(state, 99, 0, np.ones(1), 50)


@pytest.mark.parametrize("whole", [True, False])
def test_intermittent_amounts_are_not_anomalies(whole):
    rng = np.random.default_rng(3)
    amounts = np.where(rng.random((70 * 24, 8)) < 0.15, np.exp(rng.normal(3, 1, (70 * 24, 8))), 0)
    amounts[60 * 24 + 5] = 2_000
    score = np.nan_to_num(score_matrix(np.round(amounts) if whole else amounts).score)
    assert (score[28 * 24 :] >= 50).mean() < 0.01
    assert (score[60 * 24 + 5] >= 50).all()


@pytest.mark.parametrize(("slots", "days"), [(1, 14), (24, 4), (144, 2), (288, 1)])
def test_the_first_score_needs_no_more_days_than_lookout_for_metrics(slots, days):
    values = np.random.default_rng(2).normal(1000, 30, ((days + 2) * slots, 3))
    known = ~np.isnan(score_matrix(values, slots).score).all(axis=1)
    assert int(known.argmax()) == days * slots


@pytest.mark.parametrize("slots", [24, 288])
def test_on_a_new_weekday_only_a_multiple_of_the_usual_value_is_an_anomaly(slots):
    interval = np.arange(9 * slots)
    weekday = np.where((interval // slots) % 7 >= 5, 0.4, 1.0)
    usual = 1000 * (1 + 0.3 * np.sin(interval / slots * 2 * np.pi)) * weekday
    values = (usual * np.random.default_rng(5).normal(1, 0.03, len(interval)))[:, None]
    assert not (np.nan_to_num(score_matrix(values, slots).score) >= 50).any()
    spike = 5 * slots + slots // 2  # on the first Saturday
    values[spike] *= 20
    assert np.flatnonzero(np.nan_to_num(score_matrix(values, slots).score[:, 0]) >= 50).tolist() == [spike]


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6, -1.0])
def test_the_score_does_not_depend_on_the_unit(unit):
    values = seasonal_values(30) / 1000
    values[25 * 24 + 5] *= 3
    score = score_matrix(values * unit).score[:, 0]
    assert score[25 * 24 + 5] >= 50
    assert (np.nan_to_num(score) >= 50).sum() <= 4


@pytest.mark.parametrize("missing", [lambda day: day % 7 >= 5, lambda day: day % 14 == 3])
def test_a_daily_series_with_gaps_is_scored(missing):
    rng = np.random.default_rng(4)
    values = rng.normal(1000, 30, (140, 1))
    values[[day for day in range(140) if missing(day)]] = np.nan
    values[120] = 3000
    score = score_matrix(values, slots=1).score[:, 0]
    assert score[120] >= 50
    assert (~np.isnan(score)).sum() > 60
    assert (np.nan_to_num(score) >= 50).sum() <= 3


@given(st.floats(0, 1e280), st.floats(1e-6, 1))
def test_the_score_increases_with_the_distance_and_can_be_inverted(distance, more):
    near, far = score.score_from_distance(np.array([distance, distance * (1 + more) + more]))
    assert 0 <= near < far < 100
    assert score.distance_from_score(float(near)) == pytest.approx(distance, rel=1e-4, abs=1e-6)


def test_the_default_sensitivity_is_reached_at_the_distance_that_is_documented():
    assert score.score_from_distance(np.array([score.HALF_SCORE_AT])).tolist() == [50]


def test_a_weekend_of_another_daily_profile_is_learned():
    rng = np.random.default_rng(8)
    hours = np.arange(70 * 24)
    weekend = (hours // 24) % 7 >= 5
    mean = 500 * (1 + 0.6 * np.where(weekend, np.cos(hours / 24 * 2 * np.pi), np.sin(hours / 24 * 2 * np.pi)))
    values = (mean * rng.normal(1, 0.05, len(hours)))[:, None]
    points = score_matrix(values)
    late = slice(56 * 24, None)
    assert np.median(np.abs(points.expected[late, 0] / mean[late] - 1)) < 0.05
    assert (points.score[late] >= 50).sum() <= 1


def test_repeated_outliers_at_one_time_of_day_become_usual():
    values = seasonal_values(60)
    values[30 * 24 + 3 :: 24] *= 3
    points = score_matrix(values).score[:, 0]
    assert points[30 * 24 + 3] >= 50
    assert (points[45 * 24 :] >= 50).sum() <= 1


@pytest.mark.parametrize("level", [1000.0, 100.0, 20.5])
@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("slots", [1, 24])
def test_the_first_negative_value_and_later_ones_are_scored(level, noise, slots):
    days = 40 if slots == 1 else 20
    values = (
        level * np.random.default_rng(9).normal(1, noise, (days * slots, 1))
        if noise
        else np.full((days * slots, 1), level)
    )
    values[-3 * slots] = -4 * level
    points = score_matrix(values, slots=slots)
    flagged = np.flatnonzero(np.nan_to_num(points.score[:, 0]) >= 50).tolist()
    assert flagged == [len(values) - 3 * slots]
    assert not np.isnan(points.score[-3 * slots :]).any()


def test_a_negative_value_as_large_as_the_usual_ones_is_an_anomaly_of_a_flat_series():
    values = np.full((20 * 24, 1), 100.0)
    values[15 * 24] = -100
    assert score_matrix(values).score[15 * 24, 0] >= 50


def test_a_negative_value_in_a_slot_without_history_leaves_other_slots_scored():
    values = seasonal_values(20)
    values[[hour for hour in range(len(values)) if hour % 24 < 8]] = np.nan
    values[15 * 24 + 3] = -20
    points = score_matrix(values)
    assert not np.isnan(points.score[15 * 24 + 8 : 16 * 24]).any()


def test_a_series_that_stays_negative_is_learned_again_after_some_days():
    rng = np.random.default_rng(9)
    values = np.abs(rng.normal(20, 1, (32 * 24, 1)))
    values[20 * 24 :] = rng.normal(0, 3, (12 * 24, 1))
    state = model.State(cycle_of("PT1H"), 1)
    steps = [model.score_interval(state, START.toordinal() + t // 24, t % 24, row, 50) for t, row in enumerate(values)]
    score = np.array([points.score[0] for points in steps])
    assert (score[20 * 24 : 21 * 24] >= 50).mean() > 0.5
    assert state.relearned_day[0] == START.toordinal() + 22
    assert np.isnan(score[22 * 24 + 23 : 26 * 24]).all()
    assert (np.nan_to_num(score[27 * 24 :]) >= 50).sum() <= 1
    assert abs(np.nanmean([points.expected[0] for points in steps[28 * 24 :]])) < 2


def test_the_first_fraction_of_a_rare_count_is_scored_and_the_series_continues():
    values = np.random.default_rng(3).poisson(2, (20 * 24, 1)).astype(float)
    values[15 * 24] = 2.5
    assert not np.isnan(score_matrix(values).score[15 * 24 :]).any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_series_has_the_same_points_alone_and_beside_series_of_other_kinds(seed):
    rng = np.random.default_rng(seed)
    hours, shape = np.arange(20 * 24), (20 * 24, 1)
    amounts, rare, signed = seasonal_values(20, seed), rng.poisson(0.5, shape), rng.normal(0, 30, shape)
    gaps = np.where(rng.random(shape) < 0.3, np.nan, amounts)
    intermittent = np.where(rng.random(shape) < 0.15, amounts, 0)
    level_shift = amounts * np.where(hours < 10 * 24, 1, 5)[:, None]
    turns_negative = amounts * np.where(hours < 12 * 24, 1, -1)[:, None]
    spikes = rng.poisson(100, shape) * np.where(rng.random(shape) < 0.02, 10, 1)
    values = np.hstack([amounts, rare, signed, gaps, intermittent, level_shift, turns_negative, spikes])
    together = score_matrix(values)
    for number in range(values.shape[1]):
        alone = score_matrix(values[:, [number]])
        for one, all_series in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[:, 0], all_series[:, number], rtol=1e-9)


@pytest.mark.parametrize(("slots", "most"), [(1, 10_000), (24, 10_000), (288, 45_000)])
def test_the_state_of_a_series_is_small(slots, most):
    state = model.State(Cycle(slots, 1, WEEKDAYS), 100)
    arrays = [value for value in vars(state).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) <= 100 * most
    assert all(array.shape[-1] == 100 for array in arrays)
