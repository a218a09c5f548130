"""The detector: what it expects, what it flags, what an alert of it says."""

import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.detect import events, model, score, state
from anomalake.detect.detector import Detector
from anomalake.domain import alert as alerts
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.lake.live_data import IntervalData
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
START = datetime(2021, 1, 4)


def run(values: np.ndarray, slots: int = 24, sensitivity: float = 50) -> model.Points:
    """Score a matrix [interval, series] from the first interval on."""
    state = model.State(slots, values.shape[1])
    first = START.toordinal()
    steps = [
        model.score_interval(state, first + t // slots, t % slots, row, sensitivity) for t, row in enumerate(values)
    ]
    return model.Points(*(np.array(column) for column in zip(*steps, strict=True)))


def season(days: int, seed: int = 1, level: float = 1000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    weekday = np.where((hours // 24) % 7 >= 5, 0.6, 1.0)
    return (level * (1 + 0.5 * np.sin(hours / 24 * 2 * np.pi)) * weekday * rng.normal(1, 0.03, len(hours)))[:, None]


def test_a_spike_and_a_dip_are_flagged_and_little_else():
    values = season(42)
    values[35 * 24 + 10] *= 1.6
    values[37 * 24 + 15] *= 0.5
    flagged = np.flatnonzero(run(values).score[:, 0] >= 50)
    assert {35 * 24 + 10, 37 * 24 + 15} <= set(flagged.tolist())
    assert len(flagged) <= 4


def test_the_expected_value_follows_day_and_week():
    values = season(42)
    points = run(values)
    last_week = slice(-7 * 24, None)
    error = np.abs(points.expected[last_week] - values[last_week]) / values[last_week]
    assert np.median(error) < 0.05


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([30.0, 50.0, 80.0]))
def test_the_band_is_where_the_score_stays_below_the_sensitivity(seed, sensitivity):
    rng = np.random.default_rng(seed)
    values = rng.poisson(rng.uniform(0, 30), (10 * 24, 3)).astype(float) * rng.choice([1.0, 7.5])
    values[rng.random(values.shape) < 0.02] *= 10
    points = run(values, sensitivity=sensitivity)
    known = ~np.isnan(points.score)
    outside = (points.value < points.lower - 1e-9) | (points.value > points.upper + 1e-9)
    clear = known & (np.abs(points.score - sensitivity) > 1e-6)
    assert (outside == (points.score >= sensitivity))[clear].all()
    assert ((points.score >= 0) & (points.score <= 100))[known].all()


def test_no_score_looks_into_the_future():
    values = season(21)
    changed = values.copy()
    changed[15 * 24 :] *= 3
    before, after = run(values), run(changed)
    np.testing.assert_array_equal(before.score[: 15 * 24], after.score[: 15 * 24])


def test_a_level_that_stays_becomes_normal_and_a_single_spike_does_not():
    values = season(49)
    values[28 * 24 :] *= 2
    score = run(values).score[:, 0]
    assert (score[28 * 24 : 28 * 24 + 12] >= 50).all()
    assert (score[35 * 24 :] >= 50).mean() < 0.02
    spiked = season(49)
    spiked[28 * 24 + 12] *= 3
    assert run(spiked).score[29 * 24 + 12, 0] < 50


def test_rare_counts_are_not_flagged_one_by_one_but_in_crowds():
    rng = np.random.default_rng(3)
    values = rng.poisson(0.05, (40 * 24, 1)).astype(float)
    values[30 * 24] = 12
    score = run(values).score[:, 0]
    assert score[30 * 24] >= 50
    assert (score >= 50).sum() <= 2


@pytest.mark.parametrize("values", [np.full((300, 1), 5.0), np.zeros((300, 1)), np.full((300, 1), np.nan)])
def test_what_never_changes_or_never_comes_is_no_anomaly(values):
    assert not (np.nan_to_num(run(values).score) >= 50).any()


def test_gaps_and_series_that_appear_are_no_anomaly():
    values = np.concatenate([season(30), season(30, seed=2)], axis=1)
    values[:400, 1] = np.nan
    values[500:520, 0] = np.nan
    score = run(values).score
    assert (np.nan_to_num(score) >= 50).sum() <= 2
    assert np.isnan(score[400:450, 1]).all()


def test_a_day_that_was_passed_is_refused():
    state = model.State(24, 1)
    model.score_interval(state, 100, 0, np.ones(1), 50)
    with pytest.raises(ValueError, match="day 99 comes before day 100"):
        model.score_interval(state, 99, 0, np.ones(1), 50)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=40))
def test_shares_add_up_to_one_hundred(weights):
    assert round(sum(round(100 * share) for share in alerts.to_percentages(weights))) == 10_000
    assert all(share >= 0 for share in alerts.to_percentages(weights))


series = st.tuples(st.sampled_from(["pc", "app", None]), st.sampled_from(["us", "de", None]))


@given(
    st.dictionaries(series, st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 100)), min_size=1, max_size=9)
)
def test_an_alert_names_the_affected_series_and_its_contributions_add_up(drawn):
    value, expected, score = (np.array(column) for column in zip(*drawn.values(), strict=True))
    points = model.Points(value, expected, expected - 1, expected + 1, score)
    alert = events.build_anomaly_alert(SHOP, "views", START, list(drawn), points)
    affected = {key for key, (_, _, s) in drawn.items() if s >= 50}
    if not affected:
        assert alert is None
        return
    assert alert is not None
    told = alerts.parse(alerts.encode(alert))
    match_to_metric_set(told, SHOP)
    named = [
        {d.dimension_name: d.dimension_value for d in one.dimensions}
        for one in told.impacted_metric.relevant_time_series
    ]
    assert {(one.get("platform"), one.get("marketplace")) for one in named} == affected
    assert told.anomaly_score >= max(score[score >= 50].round(2)) - 0.01
    for dimension in told.impacted_metric.dimension_contribution:
        assert sum(one.value_contribution for one in dimension.dimension_value_contributions) == pytest.approx(100)
    assert (told.instant, told.source, told.direction in ("above", "below")) == (START, "anomalake", True)


def test_an_event_of_values_that_are_as_expected_has_the_score_0():
    item = metric_set_yaml.parse(shop_text() + "alerts: {sensitivity: 0}\n", "shop.yaml")
    points = model.Points(*(np.array(column, float) for column in ([10, 10], [10, 10], [9, 9], [11, 11], [0, 0])))
    assert events.build_anomaly_alert(item, "views", START, [("pc", "us"), ("app", "us")], points).anomaly_score == 0


def test_contributions_are_the_shares_of_the_deviation():
    drawn = [("pc", "us"), ("pc", "de"), ("app", None)]
    points = model.Points(*(np.array(c, float) for c in ([30, 10, 0], [0, 0, 10], [-1] * 3, [1] * 3, [90, 90, 90])))
    alert = events.build_anomaly_alert(SHOP, "views", START, drawn, points)
    shares = {
        one.dimension_name: {v.dimension_value: v.value_contribution for v in one.dimension_value_contributions}
        for one in alert.impacted_metric.dimension_contribution
    }
    assert shares == {"platform": {"pc": 80.0, "app": 20.0}, "marketplace": {"us": 60.0, "de": 20.0, None: 20.0}}


def test_a_second_run_gives_the_same_alerts_with_the_same_ids():
    def alerts_of() -> list[bytes]:
        detector, found = Detector(SHOP), []
        values = season(20)
        values[15 * 24 + 3] *= 4
        for hour, (value,) in enumerate(values):
            scored = detector.score(
                IntervalData(START + timedelta(hours=hour), {("pc", "us"): (float(value), None)}, 1, ())
            )
            found += [alerts.encode(alert) for alert in scored.alerts]
            assert [record[4:6] for record in scored.observations] == [("views", float(value))]
        return found

    assert alerts_of() == alerts_of()
    assert alerts_of()


@pytest.mark.parametrize("whole", [True, False])
def test_amounts_that_come_now_and_then_are_no_anomalies_each_time_they_come(whole):
    rng = np.random.default_rng(3)
    amounts = np.where(rng.random((70 * 24, 8)) < 0.15, np.exp(rng.normal(3, 1, (70 * 24, 8))), 0)
    amounts[60 * 24 + 5] = 2_000
    score = np.nan_to_num(run(np.round(amounts) if whole else amounts).score)
    assert (score[28 * 24 :] >= 50).mean() < 0.01
    assert (score[60 * 24 + 5] >= 50).all()


def groups(
    walls: list[tuple[datetime, dict[tuple[str, str], float]]], zone: str = "UTC", *, kept: bool = False
) -> list[str]:
    """The group of each event of these intervals, after fifteen quiet days, by turns above and below 100; the state kept and loaded after each."""
    item = metric_set_yaml.parse(shop_text(zone), "shop.yaml")
    detector, found = Detector(item), []
    first = walls[0][0]
    quiet = [(first - timedelta(hours=back), {}) for back in range(15 * 24, 0, -1)]
    for wall, odd in [*quiet, *walls]:
        start = intervals.to_utc(wall, zone)
        values = {(platform, "us"): (100.0 + wall.hour % 2, None) for platform in ("pc", "app")}
        values |= {series: (value, None) for series, value in odd.items()}
        found += [
            alert.anomaly_group_id for alert in detector.score(IntervalData(start, values, len(values), ())).alerts
        ]
        if kept and odd:
            head, shards = state.dump(state.Memory(detector, start, start, 0))
            detector = state.load(head, shards.get, item, "state.json").detector
    return found


PC, APP = ("pc", "us"), ("app", "us")


@pytest.mark.parametrize("kept", [False, True])
def test_consecutive_intervals_of_one_event_carry_one_group(kept):
    at = [datetime(2021, 1, 20, 3) + timedelta(hours=hour) for hour in range(8)]
    odd = [{PC: 900}, {PC: 900, APP: 900}, {APP: 0}, {PC: 900}, {}, {PC: 900}]
    one, two, three, four, five = groups(list(zip(at, odd, strict=False)), kept=kept)
    assert one == two == three
    assert len({one, four, five}) == 3


def test_the_interval_right_after_is_meant_by_the_clock_that_runs_on():
    skipped = [datetime(2021, 3, 28, 1), datetime(2021, 3, 28, 3)]  # from one to three, in Berlin
    repeated = [datetime(2021, 10, 31, 2), datetime(2021, 10, 31, 3)]
    apart = [datetime(2021, 10, 31, 1), datetime(2021, 10, 31, 3)]
    for walls, same in ((skipped, True), (repeated, True), (apart, False)):
        one, two = groups([(wall, {PC: 900}) for wall in walls], "Europe/Berlin")
        assert (one == two) is same


def test_an_interval_before_any_series_is_known_is_empty():
    scored = Detector(SHOP).score(IntervalData(START, {}, 0, ()))
    assert (scored.observations, scored.alerts) == ([], ())


@pytest.mark.parametrize(("slots", "days"), [(1, 14), (24, 4), (144, 2), (288, 1)])
def test_the_first_score_needs_as_many_days_as_the_old_service_s_or_fewer(slots, days):
    values = np.random.default_rng(2).normal(1000, 30, ((days + 2) * slots, 3))
    known = ~np.isnan(run(values, slots).score).all(axis=1)
    assert int(known.argmax()) == days * slots


@pytest.mark.parametrize("slots", [24, 288])
def test_the_first_weekend_is_no_anomaly_and_several_times_the_usual_is_one_on_a_weekday_that_is_new(slots):
    interval = np.arange(9 * slots)
    weekday = np.where((interval // slots) % 7 >= 5, 0.4, 1.0)
    usual = 1000 * (1 + 0.3 * np.sin(interval / slots * 2 * np.pi)) * weekday
    values = (usual * np.random.default_rng(5).normal(1, 0.03, len(interval)))[:, None]
    assert not (np.nan_to_num(run(values, slots).score) >= 50).any()
    spike = 5 * slots + slots // 2  # on the first Saturday
    values[spike] *= 20
    assert np.flatnonzero(np.nan_to_num(run(values, slots).score[:, 0]) >= 50).tolist() == [spike]


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6, -1.0])
def test_the_score_does_not_depend_on_the_unit(unit):
    values = season(30) / 1000
    values[25 * 24 + 5] *= 3
    score = run(values * unit).score[:, 0]
    assert score[25 * 24 + 5] >= 50
    assert (np.nan_to_num(score) >= 50).sum() <= 4


@pytest.mark.parametrize("missing", [lambda day: day % 7 >= 5, lambda day: day % 14 == 3])
def test_a_daily_series_with_gaps_is_scored(missing):
    rng = np.random.default_rng(4)
    values = rng.normal(1000, 30, (140, 1))
    values[[day for day in range(140) if missing(day)]] = np.nan
    values[120] = 3000
    score = run(values, slots=1).score[:, 0]
    assert score[120] >= 50
    assert (~np.isnan(score)).sum() > 60
    assert (np.nan_to_num(score) >= 50).sum() <= 3


def test_huge_values_are_scored_and_their_shares_add_up():
    values = np.full((30 * 24, 2), 100.0)
    values[25 * 24] = 1.7e308
    points = run(values)
    at = model.Points(*(column[25 * 24] for column in points))
    alert = events.build_anomaly_alert(SHOP, "views", START, [("pc", "us"), ("app", "us")], at)
    assert [
        one.value_contribution for one in alert.impacted_metric.dimension_contribution[0].dimension_value_contributions
    ] == [50, 50]


@given(st.floats(1e-6, 1e9), st.floats(1e-9, 1e-5))
def test_a_value_outside_its_band_stays_outside_when_numbers_are_rounded(bound, beyond):
    above = model.Points(*(np.array([x]) for x in (bound * (1 + beyond), bound / 2, bound / 3, bound, 60.0)))
    below = model.Points(*(np.array([x]) for x in (bound * (1 - beyond), bound * 2, bound, bound * 3, 60.0)))
    assert events.round_bounds(above, [0])[2][0] < above.value[0]
    assert events.round_bounds(below, [0])[1][0] > below.value[0]


@given(
    st.lists(
        st.floats()
        | st.floats(0, 1e9)
        | st.integers(0, 10**8).map(lambda n: n / 1000)
        | st.integers(-330, 308).map(lambda n: float(f"1e{n}"))
    )
)
def test_numbers_are_rounded_as_a_text_of_six_figures_reads(numbers):
    edges = [x for number in numbers for x in (number, math.nextafter(number, 0), math.nextafter(number, math.inf))]
    assert list(map(repr, events.round_figures(np.array(edges, float)).tolist())) == [
        repr(float(f"{number:.6g}")) for number in edges
    ]


@given(st.floats(0, 1e280), st.floats(1e-6, 1))
def test_the_greater_distance_has_the_greater_score_and_a_score_gives_its_distance_back(distance, more):
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
    points = run(values)
    late = slice(56 * 24, None)
    assert np.median(np.abs(points.expected[late, 0] / mean[late] - 1)) < 0.05
    assert (points.score[late] >= 50).sum() <= 1


def test_a_time_of_day_that_is_far_out_again_and_again_becomes_usual():
    values = season(60)
    values[30 * 24 + 3 :: 24] *= 3
    points = run(values).score[:, 0]
    assert points[30 * 24 + 3] >= 50
    assert (points[45 * 24 :] >= 50).sum() <= 1


@pytest.mark.parametrize("level", [1000.0, 100.0, 20.5])
@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("slots", [1, 24])
def test_the_first_negative_value_is_scored_and_those_after_it_too(level, noise, slots):
    days = 40 if slots == 1 else 20
    values = (
        level * np.random.default_rng(9).normal(1, noise, (days * slots, 1))
        if noise
        else np.full((days * slots, 1), level)
    )
    values[-3 * slots] = -4 * level
    points = run(values, slots=slots)
    flagged = np.flatnonzero(np.nan_to_num(points.score[:, 0]) >= 50).tolist()
    assert flagged == [len(values) - 3 * slots]
    assert not np.isnan(points.score[-3 * slots :]).any()


def test_a_negative_value_as_large_as_the_usual_ones_is_an_anomaly_of_a_flat_series():
    values = np.full((20 * 24, 1), 100.0)
    values[15 * 24] = -100
    assert run(values).score[15 * 24, 0] >= 50


def test_a_negative_value_at_a_time_of_day_without_history_costs_the_others_nothing():
    values = season(20)
    values[[hour for hour in range(len(values)) if hour % 24 < 8]] = np.nan
    values[15 * 24 + 3] = -20
    points = run(values)
    assert not np.isnan(points.score[15 * 24 + 8 : 16 * 24]).any()


def test_a_series_in_which_negative_values_stay_is_learned_again_after_some_days():
    rng = np.random.default_rng(9)
    values = np.abs(rng.normal(20, 1, (32 * 24, 1)))
    values[20 * 24 :] = rng.normal(0, 3, (12 * 24, 1))
    state = model.State(24, 1)
    steps = [model.score_interval(state, START.toordinal() + t // 24, t % 24, row, 50) for t, row in enumerate(values)]
    score = np.array([one.score[0] for one in steps])
    assert (score[20 * 24 : 21 * 24] >= 50).mean() > 0.5
    assert state.relearned_day[0] == START.toordinal() + 22
    assert np.isnan(score[22 * 24 + 23 : 26 * 24]).all()
    assert (np.nan_to_num(score[27 * 24 :]) >= 50).sum() <= 1
    assert abs(np.nanmean([one.expected[0] for one in steps[28 * 24 :]])) < 2


def test_the_first_fraction_of_a_rare_count_is_scored_and_the_series_goes_on():
    values = np.random.default_rng(3).poisson(2, (20 * 24, 1)).astype(float)
    values[15 * 24] = 2.5
    assert not np.isnan(run(values).score[15 * 24 :]).any()


def test_the_status_says_which_series_are_learned_again():
    detector = Detector(SHOP)
    for hour in range(24 * 24):
        value = 100.0 if hour < 20 * 24 else -100.0
        values = {(platform, "us"): (value if platform == "pc" else 100.0, None) for platform in ("pc", "app")}
        detector.score(IntervalData(START + timedelta(hours=hour), values, 2, ()))
    assert "; 1 being learned again, because their values changed kind" in detector.status()[0]
    assert "scored, 1 of 2 series" in detector.status()[0]


@pytest.mark.parametrize(("slots", "most"), [(1, 10_000), (24, 10_000), (288, 45_000)])
def test_what_is_remembered_of_a_series_is_small(slots, most):
    state = model.State(slots, 100)
    arrays = [value for value in vars(state).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) <= 100 * most
    assert all(array.shape[-1] == 100 for array in arrays)
