"""Events: the alert of an interval, its contributions, its rounded numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect import events, model
from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert_matching import match_to_metric_set
from examples import shop_text
from model_series import START, score_matrix

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
series = st.tuples(st.sampled_from(["pc", "app", None]), st.sampled_from(["us", "de", None]))


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=40))
def test_shares_add_up_to_one_hundred(weights):
    assert round(sum(round(100 * share) for share in alerts.to_percentages(weights))) == 10_000
    assert all(share >= 0 for share in alerts.to_percentages(weights))


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
    decoded = alerts.parse(alerts.encode(alert))
    match_to_metric_set(decoded, SHOP)
    named = [
        {d.dimension_name: d.dimension_value for d in series.dimensions}
        for series in decoded.impacted_metric.relevant_time_series
    ]
    assert {(values.get("platform"), values.get("marketplace")) for values in named} == affected
    assert decoded.anomaly_score >= max(score[score >= 50].round(2)) - 0.01
    for dimension in decoded.impacted_metric.dimension_contribution:
        assert sum(
            contribution.value_contribution for contribution in dimension.dimension_value_contributions
        ) == pytest.approx(100)
    assert (decoded.instant, decoded.source, decoded.direction in ("above", "below")) == (START, "anomalake", True)


def test_an_event_whose_values_equal_the_expected_values_has_the_score_0():
    item = metric_set_yaml.parse(shop_text() + "alerts: {sensitivity: 0}\n", "shop.yaml")
    points = model.Points(*(np.array(column, float) for column in ([10, 10], [10, 10], [9, 9], [11, 11], [0, 0])))
    assert events.build_anomaly_alert(item, "views", START, [("pc", "us"), ("app", "us")], points).anomaly_score == 0


def test_contributions_are_the_shares_of_the_deviation():
    drawn = [("pc", "us"), ("pc", "de"), ("app", None)]
    points = model.Points(*(np.array(c, float) for c in ([30, 10, 0], [0, 0, 10], [-1] * 3, [1] * 3, [90, 90, 90])))
    alert = events.build_anomaly_alert(SHOP, "views", START, drawn, points)
    shares = {
        contribution.dimension_name: {
            v.dimension_value: v.value_contribution for v in contribution.dimension_value_contributions
        }
        for contribution in alert.impacted_metric.dimension_contribution
    }
    assert shares == {"platform": {"pc": 80.0, "app": 20.0}, "marketplace": {"us": 60.0, "de": 20.0, None: 20.0}}


def test_huge_values_are_scored_and_their_shares_add_up():
    values = np.full((30 * 24, 2), 100.0)
    values[25 * 24] = 1.7e308
    points = score_matrix(values)
    at = model.Points(*(column[25 * 24] for column in points))
    alert = events.build_anomaly_alert(SHOP, "views", START, [("pc", "us"), ("app", "us")], at)
    assert [
        contribution.value_contribution
        for contribution in alert.impacted_metric.dimension_contribution[0].dimension_value_contributions
    ] == [50, 50]


@given(st.floats(1e-6, 1e9), st.floats(1e-9, 1e-5))
def test_a_value_outside_its_bounds_stays_outside_after_rounding(bound, beyond):
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
def test_numbers_are_rounded_to_six_significant_figures(numbers):
    edges = [x for number in numbers for x in (number, math.nextafter(number, 0), math.nextafter(number, math.inf))]
    assert list(map(repr, events.round_figures(np.array(edges, float)).tolist())) == [
        repr(float(f"{number:.6g}")) for number in edges
    ]
