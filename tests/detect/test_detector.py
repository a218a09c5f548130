"""The detector: intervals in order, groups of events, its status."""

from datetime import datetime, timedelta

import pytest

from anomalake.detect import observations, state
from anomalake.detect.detector import Detector
from anomalake.domain import alert as alerts
from anomalake.domain import intervals, metric_set_yaml
from anomalake.lake.live_data import IntervalData
from examples import shop_text
from model_series import START, seasonal_values

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


def test_a_second_run_gives_the_same_alerts_with_the_same_ids():
    def alerts_of() -> list[bytes]:
        detector, found = Detector(SHOP), []
        values = seasonal_values(20)
        values[15 * 24 + 3] *= 4
        for hour, (value,) in enumerate(values):
            scored = detector.score(
                IntervalData(START + timedelta(hours=hour), {("pc", "us"): (float(value), None)}, 1, ())
            )
            found += [alerts.encode(alert) for alert in scored.alerts]
            rows = observations.build_columns(SHOP, list(detector.series), [scored])
            assert [rows[name].to_pylist() for name in ("metricName", "value")] == [["views"], [float(value)]]
        return found

    assert alerts_of() == alerts_of()
    assert alerts_of()


def groups(
    walls: list[tuple[datetime, dict[tuple[str, str], float]]], zone: str = "UTC", *, kept: bool = False
) -> list[str]:
    """Return the group of each event of these intervals, after fifteen days without events.

    Values are above and below 100 by turns. The state is saved and loaded after each interval.
    """
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
            head, shards = state.dump(state.DetectorState(detector, start, start, 0))
            detector = state.load(head, shards.get, item, "state.json").detector
    return found


PC, APP = ("pc", "us"), ("app", "us")


@pytest.mark.parametrize("kept", [False, True])
def test_consecutive_intervals_of_one_event_have_the_same_group(kept):
    at = [datetime(2021, 1, 20, 3) + timedelta(hours=hour) for hour in range(8)]
    anomalies = [{PC: 900}, {PC: 900, APP: 900}, {APP: 0}, {PC: 900}, {}, {PC: 900}]
    one, two, three, four, five = groups(list(zip(at, anomalies, strict=False)), kept=kept)
    assert one == two == three
    assert len({one, four, five}) == 3


def test_a_group_continues_in_the_next_interval_across_a_clock_change():
    skipped = [datetime(2021, 3, 28, 1), datetime(2021, 3, 28, 3)]  # from interval one to three, in Berlin
    repeated = [datetime(2021, 10, 31, 2), datetime(2021, 10, 31, 3)]
    apart = [datetime(2021, 10, 31, 1), datetime(2021, 10, 31, 3)]
    for walls, same in ((skipped, True), (repeated, True), (apart, False)):
        one, two = groups([(wall, {PC: 900}) for wall in walls], "Europe/Berlin")
        assert (one == two) is same


def test_an_interval_before_any_series_is_known_is_empty():
    scored = Detector(SHOP).score(IntervalData(START, {}, 0, ()))
    assert (observations.build_columns(SHOP, [], [scored]), scored.alerts) == (None, ())


def test_the_status_counts_series_that_are_learned_again():
    detector = Detector(SHOP)
    for hour in range(24 * 24):
        value = 100.0 if hour < 20 * 24 else -100.0
        values = {(platform, "us"): (value if platform == "pc" else 100.0, None) for platform in ("pc", "app")}
        detector.score(IntervalData(START + timedelta(hours=hour), values, 2, ()))
    assert "; 1 being learned again, because their values changed kind" in detector.status()[0]
    assert "scored, 1 of 2 series" in detector.status()[0]
