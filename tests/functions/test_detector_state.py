"""The state of the detector: saving, loading, shards, and states that do not fit."""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli import local_pipeline
from anomalake.detect import detector as detector_module
from anomalake.detect import state
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.functions import detect
from anomalake.functions.settings import Settings
from anomalake.lake import layout
from anomalake.lake.live_data import IntervalData
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from detect_runs import HOUR, NOW, SHOP, list_hours, read_objects, run, write_live_data
from examples import shop_text


def save_and_load(memory: state.DetectorState, item: metric_set.MetricSet = SHOP) -> state.DetectorState:
    """Save the state and load it again."""
    head, shards = state.dump(memory)
    return state.load(head, shards.get, item, "detector/x")


@cache
def create_memory() -> state.DetectorState:
    """The state of a detector with twelve series."""
    detector = detector_module.Detector(metric_set_yaml.parse(shop_text(), "shop.yaml"))
    for wall in list_hours(HOUR - timedelta(days=1), HOUR):
        detector.score(IntervalData(wall, {(f"p{number}", "us"): (float(number), 1.0) for number in range(12)}, 12, ()))
    return state.DetectorState(detector, HOUR, HOUR, 0)


def test_a_loaded_state_equals_the_saved_state():
    settings = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 6)))
    _, memory = detect.run_detector(SHOP, settings, NOW, lambda: True)
    assert memory.silent_intervals == 3
    again = save_and_load(memory)
    assert again._replace(detector=None) == memory._replace(detector=None)
    assert again.detector.series == memory.detector.series
    assert state.dump(again) == state.dump(memory)


def test_a_damaged_state_is_rejected_with_the_command_that_rebuilds_it():
    head, shards = state.dump(create_memory())
    expected = r"detector/x.*cannot be read.*`anomalake detect --rebuild`"
    for damaged in (b"", head[: len(head) // 2], b"PK\x03\x04" + head[4:200], b"{}", b"[]"):
        with pytest.raises(UserError, match=expected):
            state.load(damaged, shards.get, SHOP, "detector/x")
    (name,) = shards
    for part in (None, b"", shards[name][:-1], shards[name] + b" "):
        with pytest.raises(UserError, match=expected):
            state.load(head, lambda _, part=part: part, SHOP, "detector/x")


@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_a_state_with_a_flipped_byte_is_unchanged_or_rejected(place, mask, in_the_head):
    head, shards = state.dump(create_memory())
    (name,) = shards
    data = bytearray(head if in_the_head else shards[name])
    data[place % len(data)] ^= mask
    try:
        again = state.load(
            bytes(data) if in_the_head else head, (shards if in_the_head else {name: bytes(data)}).get, SHOP, "x"
        )
    except UserError:
        return
    assert state.dump(again) == state.dump(create_memory())


@pytest.mark.slow
def test_scores_do_not_depend_on_the_number_of_shards(monkeypatch):
    single, cut = detector_module.Detector(SHOP), []
    walls = list_hours(HOUR - timedelta(days=9), HOUR)
    generator = np.random.default_rng(3)
    ranges = [
        IntervalData(
            wall,
            {
                (f"p{n}", None): (float(v), 2.0)
                for n, v in enumerate(generator.poisson(50, 7 if wall < HOUR - timedelta(days=1) else 11))
            },
            1,
            (),
        )
        for wall in walls
    ]
    one_by_one = [single.score(interval) for interval in ranges]
    monkeypatch.setattr(detector_module, "SHARD_COLUMNS", 6)  # three series in each
    memory = state.DetectorState(detector_module.Detector(SHOP), HOUR, HOUR, 0)
    for interval in ranges:
        cut.append(memory.detector.score(interval))
        memory = save_and_load(memory)
    assert len(state.dump(memory)[1]) == 4
    for one, other in zip(cut, one_by_one, strict=True):
        assert np.array_equal(one.figures, other.figures, equal_nan=True)
        assert (one.start, one.alerts, one.health) == (other.start, other.alerts, other.health)


def test_a_state_that_another_run_replaced_is_never_overwritten(settings, monkeypatch):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    run(settings)
    before = settings.store.get(layout.state_key(SHOP)).data
    original = settings.store.replace
    monkeypatch.setattr(
        settings.store,
        "replace",
        lambda key, data, version: False if key.endswith("state.json") else original(key, data, version),
    )
    with pytest.raises(StorageError, match="another run wrote it at the same time"):
        run(settings, NOW + timedelta(hours=1))
    assert settings.store.get(layout.state_key(SHOP)).data == before


def test_unused_shards_are_deleted(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    run(settings)
    write_live_data(settings.store, [datetime(2021, 3, 1, 10)])
    run(settings, NOW + timedelta(hours=1))
    assert len(read_objects(settings, "detector")) == 2
    settings.store.put(layout.shard_key(SHOP, "stray"), b"x")
    settings.store.put("detector/shop/v1/state.npz", b"x")
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), "parquet")
    assert len(read_objects(settings, "detector")) == 2


def test_the_state_of_an_older_anomalake_is_rejected(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    settings.store.put("detector/shop/v1/state.npz", b"x")
    with pytest.raises(UserError, match=r"older Anomalake.*--rebuild"):
        run(settings)


def test_a_state_of_a_newer_anomalake_or_another_schema_is_rejected(monkeypatch):
    memory = state.DetectorState(detect.Detector(SHOP), NOW, NOW, 0)
    for other, expected in (
        (shop_text("Europe/Berlin"), "timezone UTC; the metric set has Europe/Berlin"),
        (shop_text(frequency="frequency: P1D"), "frequency PT1H; the metric set has P1D"),
        (shop_text(dimensions="dimensions: [platform]"), "dimensions"),
        (shop_text().replace("name: views", "name: platform_views"), "measures"),
    ):
        item = metric_set_yaml.parse(
            other.replace("timestamp, views,", "timestamp, platform_views, views,"), "shop.yaml"
        )
        with pytest.raises(UserError, match=f"made for {expected}.*raise the metric set's `version`"):
            save_and_load(memory, item)
    monkeypatch.setattr(state, "VERSION", state.VERSION + 1)
    newer = state.dump(memory)
    monkeypatch.undo()
    with pytest.raises(UserError, match=f"has version {state.VERSION + 1}, and this Anomalake reads {state.VERSION}"):
        state.load(newer[0], newer[1].get, SHOP, "x")


def test_the_function_continues_from_the_state_of_a_backtest(settings):
    walls = list_hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9))
    write_live_data(settings.store, walls)
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), "parquet")
    write_live_data(settings.store, [datetime(2021, 3, 1, 10)], x0301T10=9_000.0)
    assert run(settings, NOW + timedelta(hours=1)) == detect.RunResult(scored=1, empty=0, due=0, alerts=1)


def test_no_state_is_saved_before_live_data_so_that_later_data_is_learned_as_history(settings):
    assert run(settings) == detect.RunResult(0, 1, 0, 0)
    assert read_objects(settings, "detector") == {}
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=10), HOUR))
    assert run(settings, NOW + timedelta(hours=1)) == detect.RunResult(241, 0, 0, 0)
