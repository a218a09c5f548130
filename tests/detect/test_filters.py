"""Filters: which anomalous series send alerts, and how errors in filters are reported."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect import events
from anomalake.detect.detector import Detector
from anomalake.detect.filters import alerting_series
from anomalake.detect.model import Points
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake.live_data import IntervalData
from examples import shop_text

WALL = datetime(2026, 7, 14, 11)
SERIES = [("pc", "us"), ("pc", "de"), ("app", "us"), ("app", None)]
# By series: above by 10, below by 20, above by 30, below by 40; all anomalous.
POINTS = Points(
    *(np.array(column, float) for column in ([110, 80, 130, 60], [100] * 4, [95] * 4, [105] * 4, [60, 70, 80, 90]))
)


def shop(alerts: str = "{}", zone: str = "UTC") -> metric_set.MetricSet:
    return metric_set_yaml.parse(shop_text(zone) + f"alerts: {alerts}\n", "shop.yaml")


def places(alerts: str, measure: str = "views", wall: datetime = WALL) -> list[int]:
    return alerting_series(shop(alerts), measure, wall, SERIES, POINTS).tolist()


@pytest.mark.parametrize(
    ("alerts", "left"),
    [
        ("{}", [0, 1, 2, 3]),
        ("{sensitivity: 75}", [2, 3]),
        ("{measures: [views]}", [0, 1, 2, 3]),
        ("{measures: [revenue]}", []),
        ("{dimensions: {platform: [pc]}}", [0, 1]),
        ("{dimensions: {marketplace: [us, null]}}", [0, 2, 3]),
        ("{dimensions: {platform: [app], marketplace: [us, de]}}", [2]),
        ("{dimensions: {platform: [tv]}}", []),
        ("{direction: above}", [0, 2]),
        ("{direction: below}", [1, 3]),
        ("{minimumImpact: {views: 100}}", [0, 1, 2, 3]),
        ("{minimumImpact: {views: 100.5}}", []),
        ("{minimumImpact: {revenue: 1000}}", [0, 1, 2, 3]),
        ("{direction: below, minimumImpact: {views: 61}}", []),
        ("{snoozed: [{until: 2026-07-15}]}", []),
        ("{snoozed: [{until: 2026-07-14}]}", [0, 1, 2, 3]),
        (
            "{snoozed: [{until: 2026-08-01, dimensions: {platform: [pc]}}, "
            "{until: 2026-08-01, dimensions: {marketplace: [null]}}]}",
            [2],
        ),
        ("{snoozed: [{until: 2026-08-01, measures: [revenue]}]}", [0, 1, 2, 3]),
        ("{snoozed: [{until: 2026-08-01, measures: [views], dimensions: {platform: [app]}}]}", [0, 1]),
    ],
)
def test_series_that_pass_the_filters_send_alerts(alerts, left):
    assert places(alerts) == left


def test_a_snooze_ends_by_the_calendar_of_the_metric_set():
    item = shop("{snoozed: [{until: 2026-07-15}]}", "Asia/Tokyo")
    for hour, left in ((23, 0), (24, 4)):
        wall = datetime(2026, 7, 14 + hour // 24, hour % 24)
        assert len(alerting_series(item, "views", wall, SERIES, POINTS)) == left


def test_missing_data_is_no_event_if_all_missing_series_are_snoozed_for_all_measures():
    def missed(alerts: str) -> list[set[str]]:
        detector, found = Detector(shop(alerts)), []
        for hour in range(15 * 24):
            wall = WALL.replace(hour=0) + timedelta(hours=hour)
            values = {("pc", "us"): (100.0, 1.0), ("app", "us"): (100.0, 1.0)} if hour < 14 * 24 + 5 else {}
            for alert in detector.score(IntervalData(wall, values, len(values), ())).alerts:
                assert alert.impacted_metric.metric_name == "missing data"
                series = alert.impacted_metric.relevant_time_series
                found.append(
                    {d.dimension_value for entry in series for d in entry.dimensions if d.dimension_name == "platform"}
                )
        return found

    assert missed("{}") == [{"app", "pc"}]
    assert missed("{snoozed: [{until: 2026-09-01, dimensions: {platform: [app]}}]}") == [{"pc"}]
    assert missed("{snoozed: [{until: 2026-09-01}]}") == []
    assert missed("{snoozed: [{until: 2026-09-01, measures: [views]}]}") == [{"app", "pc"}]
    assert missed("{snoozed: [{until: 2026-07-20}]}") == [{"app", "pc"}]


def test_an_event_has_only_the_series_that_pass_the_filters():
    alert = events.build_anomaly_alert(
        shop("{direction: below, dimensions: {platform: [app]}}"), "views", WALL, SERIES, POINTS
    )
    (series,) = alert.impacted_metric.relevant_time_series
    assert (series.metric_value, alert.direction) == (60, "below")
    assert alert.impacted_metric.dimension_contribution[0].dimension_value_contributions[0].value_contribution == 100
    assert events.build_anomaly_alert(shop("{measures: [revenue]}"), "views", WALL, SERIES, POINTS) is None


@given(st.lists(st.floats(0, 100) | st.just(np.nan), min_size=4, max_size=4), st.sampled_from(["above", "below"]))
def test_filters_only_remove_series(scores, direction):
    points = POINTS._replace(score=np.array(scores))
    alerting = alerting_series(
        shop(f"{{direction: {direction}, dimensions: {{platform: [pc]}}}}"), "views", WALL, SERIES, points
    )
    assert set(alerting.tolist()) <= set(alerting_series(shop(), "views", WALL, SERIES, points).tolist())


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        (
            "{measures: [clicks]}",
            "alerts.measures: 'clicks': the metric set has no such measure; it has views, revenue",
        ),
        (
            "{dimensions: {country: [de]}}",
            "alerts.dimensions: 'country': the metric set has no such dimension; it has platform, marketplace",
        ),
        ("{minimumImpact: {clicks: 1}}", "alerts.minimumImpact: 'clicks': the metric set has no such measure"),
        ("{minimumImpact: {views: -1}}", "alerts.minimumImpact: views: -1 must be 0 or more"),
        ("{minimumImpact: {views: .nan}}", "alerts.minimumImpact: views: nan must be 0 or more"),
        ("{direction: sideways}", "alerts.direction: 'sideways' must be above or below"),
        ("{snoozed: [{until: tomorrow}]}", r"alerts.snoozed\[0\].until: 'tomorrow' must be a date such as 2026-08-01"),
        (
            "{snoozed: [{until: 2026-08-01, dimensions: {x: []}}]}",
            r"alerts.snoozed\[0\].dimensions: 'x': the metric set has no such dimension",
        ),
        (
            "{snoozed: [{until: 2026-08-01, series: x}]}",
            "unknown field .series.; known fields: until, dimensions, measures",
        ),
        ("{mininumImpact: {views: 1}}", "unknown field .mininumImpact.; known fields: .*minimumImpact"),
    ],
)
def test_an_error_in_a_filter_is_reported(alerts, message):
    with pytest.raises(UserError, match=message):
        shop(alerts)
