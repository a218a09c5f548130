"""`missing: zero`: a series without rows has the value zero, until it is retired. A series that stops is an anomaly."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect import observations
from anomalake.detect.detector import Detector
from anomalake.detect.interval_result import IntervalResult
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert import MISSING_DATA
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import IntervalData

DE, FR = ("de",), ("fr",)


def orders_set(frequency: str = "P1D", missing: str = "zero") -> MetricSet:
    folder = {"PT1H": "{{yyyyMMdd}}/{{HHmm}}", "P1M": "{{yyyyMM}}"}.get(frequency, "{{yyyyMMdd}}")
    return metric_set_yaml.parse(
        f"name: orders\nfrequency: {frequency}\nmissing: {missing}\n"
        'timestamp: {column: at, format: "yyyy-MM-dd HH:mm"}\ndimensions: [country]\n'
        "measures: [{name: orders, aggregation: COUNT}, {name: price, aggregation: AVG}]\n"
        f"source: {{path: 'orders/live/{folder}', format: csv, columns: [at, country, price]}}\n",
        "orders.yaml",
    )


def list_starts(item: MetricSet, count: int) -> list[datetime]:
    starts = [datetime(2024, 1, 1)]
    while len(starts) < count:
        starts.append(item.clock.next_start(starts[-1]))
    return starts


def score(detector: Detector, start: datetime, values: dict[tuple[str], float]) -> IntervalResult:
    """Score an interval in which these series have so many orders."""
    rows = {series: (orders, 9.5) for series, orders in values.items()}
    weights = {series: (None, orders) for series, orders in values.items()}
    return detector.score(IntervalData(start, rows, len(rows), (), weights=weights))


def read_orders(detector: Detector, result: IntervalResult) -> dict[str, float]:
    """Return the observed orders by country."""
    columns = observations.build_columns(detector.metric_set, list(detector.series), [result])
    cells = [columns[name].to_pylist() for name in ("country", "metricName", "value")] if columns else [[], [], []]
    return {country: value for country, measure, value in zip(*cells, strict=True) if measure == "orders"}


def test_a_series_that_stops_is_an_anomaly_with_a_score():
    detector = Detector(orders_set("PT1H"))
    starts = list_starts(detector.metric_set, 20 * 24)
    for start in starts[:-1]:
        assert score(detector, start, {DE: 100 + start.hour, FR: 60 + start.hour}).alerts == ()
    result = score(detector, starts[-1], {DE: 123})
    (alert,) = result.alerts
    assert (alert.impacted_metric.metric_name, alert.direction) == ("orders", "below")
    assert alert.anomaly_score > 50
    (series,) = alert.impacted_metric.relevant_time_series
    assert series.metric_value == 0
    assert read_orders(detector, result) == {"de": 123, "fr": 0}


def test_if_no_rows_arrive_all_series_are_zero_and_no_event_of_missing_data_is_sent():
    for missing, measures in (("zero", ["orders"]), ("unknown", [MISSING_DATA])):
        detector = Detector(orders_set("PT1H", missing))
        starts = list_starts(detector.metric_set, 30 * 24)
        for start in starts[:-1]:
            score(detector, start, {DE: 100, FR: 60})
        result = score(detector, starts[-1], {})
        assert [alert.impacted_metric.metric_name for alert in result.alerts] == measures
        assert (result.health.status, result.health.series, result.health.usual_series) == ("empty", 0, 2)


@pytest.mark.parametrize(("frequency", "kept"), [("P1D", 56), ("P1W", 8), ("P1M", 8)])
def test_a_series_is_retired_after_its_last_other_value_and_returns_with_its_next_one(frequency, kept):
    detector = Detector(orders_set(frequency))
    starts = list_starts(detector.metric_set, 20 + kept + 10)
    for start in starts[:20]:
        score(detector, start, {DE: 10, FR: 7})
    for number, start in enumerate(starts[20:-1], 1):
        expected = {"de": 10.0, "fr": 0.0} if number <= kept else {"de": 10.0}
        assert read_orders(detector, score(detector, start, {DE: 10})) == expected
        assert detector.count_retired() == (number > kept)
    assert read_orders(detector, score(detector, starts[-1], {DE: 10, FR: 3})) == {"de": 10, "fr": 3}
    assert detector.count_retired() == 0


def test_if_all_series_are_retired_nothing_is_written():
    detector = Detector(orders_set())
    starts = list_starts(detector.metric_set, 100)
    score(detector, starts[0], {DE: 10})
    results = [score(detector, start, {}) for start in starts[1:]]
    assert [number for number, result in enumerate(results, 1) if read_orders(detector, result)] == list(range(1, 57))
    assert detector.count_retired() == 1


@given(st.lists(st.fixed_dictionaries({}, optional={DE: st.integers(0, 9), FR: st.integers(0, 9)}), max_size=130))
def test_each_known_series_has_a_value_unless_it_has_been_zero_for_56_days(days):
    detector, last, first = Detector(orders_set()), {}, date(2024, 1, 1)
    for number, values in enumerate(days):
        day = first + timedelta(days=number)
        result = score(detector, datetime(day.year, day.month, day.day), values)
        for series, orders in values.items():
            if orders or series not in last:
                last[series] = number
        expected = {country: 0 for (country,), active in last.items() if number - active <= 56}
        assert read_orders(detector, result) == expected | {country: orders for (country,), orders in values.items()}
