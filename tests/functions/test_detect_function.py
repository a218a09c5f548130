"""The detect function: what is due, what it writes and sends, what it remembers, and that two runs of one metric set never cross."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli import local_pipeline
from anomalake.detect import detector as run_module
from anomalake.detect import schedule, state
from anomalake.domain import intervals, metric_set, metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.functions import detect, messaging
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.live_data import IntervalData
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
NOW, HOUR = datetime(2021, 3, 1, 10, 20), datetime(2021, 3, 1, 10)
HEADER = "platform,marketplace,timestamp,views,revenue\n"


def fill(store: ObjectStore, walls, item: metric_set.MetricSet = SHOP, level: float = 100, **odd: float) -> None:
    """Live data of two series for each wall time: a level that moves a little; `odd` replaces the views of `%m%dT%H`."""
    for wall in walls:
        views = odd.get(f"x{wall:%m%dT%H}", level + wall.hour + wall.day % 3)
        rows = "".join(
            f"{platform},us,{wall:%Y-%m-%d %H:%M:%S},{views},{0.5 + wall.hour / 100}\n" for platform in ("app", "web")
        )
        store.put(f"{live_data.interval_folder(item, wall)}/data.csv", (HEADER + rows).encode())


def hours(first: datetime, last: datetime) -> list[datetime]:
    return list(intervals.iterate_wall_times(first, last, "PT1H"))


@pytest.fixture
def chosen() -> Settings:
    return Settings(ObjectStore.memory(), (SHOP,), "parquet")


def run(chosen: Settings, now: datetime = NOW, budget: int = 10**6) -> detect.RunResult:
    left = iter(range(budget))
    return detect.run_detector(SHOP, chosen, now, lambda: next(left, None) is not None)[0]


def stored(chosen: Settings, prefix: str = "anomalyResults") -> dict[str, bytes]:
    return {key: found.data for key in chosen.store.list(prefix) if (found := chosen.store.get(key))}


def rows(chosen: Settings, table: layout.Table, start: datetime) -> list[tuple[Any, ...]]:
    """A table's rows of an interval."""
    key, schema = layout.table_key(table, SHOP, start, chosen.format), tables.schema(table, SHOP)
    found = chosen.store.get(key)
    return (
        list(zip(*encoding.decode_table(chosen.format, schema, found.data, key).values(), strict=True)) if found else []
    )


def test_a_first_run_learns_the_history_in_silence_and_the_next_ones_alert(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=20), datetime(2021, 3, 1, 9)), x0225T12=100_000.0)
    assert run(chosen) == detect.RunResult(scored=20 * 24, empty=0, due=0, alerts=0)
    assert [key for key in stored(chosen) if "observations" not in key and "dataHealth" not in key] == []
    fill(chosen.store, [datetime(2021, 3, 1, 10)], x0301T10=5_000.0)
    assert run(chosen, NOW + timedelta(hours=1)) == detect.RunResult(scored=1, empty=0, due=0, alerts=1)
    assert [key.split("/")[-1] for key in stored(chosen, "anomalyResults/anomalyGroups")] == [
        "2021-03-01T1000Z.parquet"
    ]


def test_a_first_run_alerts_on_its_newest_interval_and_goes_back_no_further_than_it_remembers(chosen):
    fill(chosen.store, [datetime(2020, 6, 1, hour) for hour in range(24)])
    fill(chosen.store, hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)), x0301T09=9_000.0)
    done = run(chosen)
    assert (done.scored, done.alerts) == (15 * 24, 1)


def test_intervals_that_were_missed_are_caught_up_in_order_with_the_same_result_as_in_time(chosen):
    other = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    history, later = (
        hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)),
        hours(datetime(2021, 3, 1, 10), datetime(2021, 3, 2, 9)),
    )
    for one in (chosen, other):
        fill(one.store, history)
        run(one)
        fill(one.store, later, x0301T20=5_000.0)
    for wall in later:
        run(chosen, wall + timedelta(hours=1, minutes=1))
    assert run(other, later[-1] + timedelta(hours=1, minutes=1)).scored == 24
    assert stored(chosen) == stored(other)
    assert any("2021-03-01T2000Z" in key and "anomalyGroups" in key for key in stored(chosen))


def test_a_run_that_is_out_of_time_keeps_what_it_did_and_the_next_goes_on(chosen):
    whole = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    for one in (chosen, whole):
        fill(one.store, hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    assert run(chosen, budget=100).due == 240 - 100
    while run(chosen, budget=60).due:
        pass
    run(whole)
    assert stored(chosen) == stored(whole)


def test_an_interval_without_data_is_counted_and_the_silence_too(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(chosen)
    done, memory = detect.run_detector(SHOP, chosen, NOW + timedelta(hours=3), lambda: True)
    assert (done, memory.silent_intervals) == (detect.RunResult(0, 3, 0, alerts=1), 3)
    assert [tuple(record[1:4]) for record in rows(chosen, "dataHealth", datetime(2021, 3, 1, 10))] == [("empty", 0, 2)]


def test_data_that_does_not_arrive_is_told_once_and_again_after_it_came(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(chosen)
    assert [run(chosen, NOW + timedelta(hours=n)).alerts for n in (1, 2, 3)] == [1, 0, 0]
    (event,) = rows(chosen, "anomalyGroups", datetime(2021, 3, 1, 10))
    assert event[1:5] == ("missing data", 100.0, "below", 2)
    assert rows(chosen, "metricValue_AnomalyScore", datetime(2021, 3, 1, 10)) == []
    assert {share[3]: share[4] for share in rows(chosen, "dimensionContributions", datetime(2021, 3, 1, 10))} == {
        "app": 50,
        "web": 50,
        "us": 100,
    }
    fill(chosen.store, [datetime(2021, 3, 1, 13)])
    assert [run(chosen, NOW + timedelta(hours=n)).alerts for n in (4, 5)] == [0, 1]


def test_data_that_comes_after_its_interval_was_gone_through_is_counted_and_scored_by_a_rebuild_only(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(chosen)
    run(chosen, NOW + timedelta(hours=1))
    fill(chosen.store, [datetime(2021, 3, 1, 10), datetime(2021, 3, 1, 11)])
    done, memory = detect.run_detector(SHOP, chosen, NOW + timedelta(hours=2), lambda: True)
    assert (done.late, memory.late_intervals, memory.empty_intervals) == (1, 1, ())
    assert [record[1] for record in rows(chosen, "dataHealth", datetime(2021, 3, 1, 10))] == ["late"]
    assert rows(chosen, "observations", datetime(2021, 3, 1, 10)) == []
    assert run(chosen, NOW + timedelta(hours=2)).late == 0
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), "parquet")
    whole = layout.day_key("observations", SHOP, "2021-03-01", "parquet")
    found = encoding.decode_table("parquet", tables.schema("observations", SHOP), chosen.store.get(whole).data, whole)
    assert datetime(2021, 3, 1, 10) in found["timestamp"]
    assert list(stored(chosen, layout.day_folder("observations", SHOP, "2021-03-01"))) == [whole]


def test_data_is_waited_for_as_long_as_the_offset_says():
    item = metric_set_yaml.parse(shop_text().replace("format: csv", "format: csv\n  offset: 5400"), "shop")
    assert schedule.last_due(item, datetime(2021, 3, 1, 10, 29)) == datetime(2021, 3, 1, 7)
    assert schedule.last_due(item, datetime(2021, 3, 1, 10, 30)) == datetime(2021, 3, 1, 8)


@pytest.mark.parametrize(
    ("frequency", "offset", "wanted"),
    [
        ("PT1H", 0, "cron(0 * * * ? *)"),
        ("PT1H", 61, "cron(2 * * * ? *)"),
        ("PT1H", 5400, "cron(30 * * * ? *)"),
        ("P1D", 0, "cron(0 0 * * ? *)"),
        ("P1D", 7 * 3600 + 900, "cron(15 7 * * ? *)"),
        ("P1D", 432_000, "cron(0 0 * * ? *)"),
        ("PT10M", 0, "cron(0/10 * * * ? *)"),
        ("PT10M", 660, "cron(1/10 * * * ? *)"),
        ("PT5M", 120, "cron(2/5 * * * ? *)"),
    ],
)
def test_the_schedule_follows_frequency_and_offset(frequency, offset, wanted):
    text = shop_text(frequency=f"frequency: {frequency}").replace("format: csv", f"format: csv\n  offset: {offset}")
    assert schedule.cron_expression(metric_set_yaml.parse(text.replace("{{HHmm}}", "{{HHmm}}"), "shop")) == wanted


@given(
    st.datetimes(datetime(2021, 1, 1), datetime(2021, 12, 31)),
    st.sampled_from(["PT1H", "P1D", "PT10M"]),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
    st.integers(0, 432_000),
)
def test_what_is_due_has_ended_and_what_is_not_due_has_not(now, frequency, zone, offset):
    text = shop_text(zone, frequency=f"frequency: {frequency}").replace(
        "format: csv", f"format: csv\n  offset: {offset}"
    )
    item = metric_set_yaml.parse(text, "shop")
    last = schedule.last_due(item, now)
    assert schedule.due_time(item, last) <= now < schedule.due_time(item, item.clock.next_start(last))
    assert schedule.due_time(item, last) == item.clock.end(last) + timedelta(seconds=offset)


def test_the_hour_that_clocks_skip_is_never_due_and_the_one_they_repeat_is_due_once():
    item = metric_set_yaml.parse(shop_text("America/New_York"), "shop")
    due = list(schedule.due_intervals(item, datetime(2021, 3, 14, 4), datetime(2021, 3, 14, 8)))
    assert [item.clock.wall_time(start).hour for start in due] == [0, 1, 3, 4]
    assert len(list(schedule.due_intervals(item, datetime(2021, 11, 7, 3), datetime(2021, 11, 7, 8)))) == 4


# --- one run at a time


@pytest.fixture
def function(function_lake):
    now = datetime.now(UTC).replace(tzinfo=None)
    fill(
        function_lake,
        hours((now - timedelta(days=6)).replace(minute=0, second=0, microsecond=0), now - timedelta(hours=1)),
    )
    return function_lake


class Context:
    """Lambda's, early in a run."""

    def get_remaining_time_in_millis(self) -> int:
        return 800_000


def test_the_function_scores_what_is_due_and_says_so_in_metrics(function, capsys):
    answer = detect.handler({"metricSet": "shop"}, Context())
    assert (answer["scored"] >= 140, answer["due"], answer["alerts"]) == (True, 0, 0)
    blob = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"'))
    assert blob["MetricSet"] == "shop"
    assert {"IntervalsScored", "IntervalsEmpty", "IntervalsDue", "IntervalsSilent", "AlertsRaised"} <= set(blob)
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], "MetricSet" in directive["Dimensions"][0]) == ("Anomalake", True)


def test_a_second_run_stays_away_while_one_is_under_way_and_comes_after_it_or_after_it_died(function):
    until = datetime.now(UTC).replace(tzinfo=None)
    function.put(layout.lease_key(SHOP), json.dumps({"until": (until + timedelta(minutes=5)).isoformat()}).encode())
    assert "skipped" in detect.handler({"metricSet": "shop"}, Context())
    assert function.get(layout.state_key(SHOP)) is None
    function.put(layout.lease_key(SHOP), json.dumps({"until": (until - timedelta(seconds=1)).isoformat()}).encode())
    assert detect.handler({"metricSet": "shop"}, Context())["due"] == 0
    assert detect.handler({"metricSet": "shop"}, Context())["due"] == 0


def test_a_run_gives_its_lease_back_when_it_fails(function, monkeypatch):
    monkeypatch.setattr(detect, "run_detector", lambda *_: (_ for _ in ()).throw(StorageError("down")))
    with pytest.raises(StorageError):
        detect.handler({"metricSet": "shop"}, Context())
    monkeypatch.undo()
    assert (
        json.loads(function.get(layout.lease_key(SHOP)).data)["until"]
        <= datetime.now(UTC).replace(tzinfo=None).isoformat()
    )


def test_a_state_that_another_run_wrote_meanwhile_is_never_overwritten(chosen, monkeypatch):
    fill(chosen.store, hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    run(chosen)
    before = chosen.store.get(layout.state_key(SHOP)).data
    original = chosen.store.replace
    monkeypatch.setattr(
        chosen.store,
        "replace",
        lambda key, data, version: False if key.endswith("state.json") else original(key, data, version),
    )
    with pytest.raises(StorageError, match="another run wrote it at the same time"):
        run(chosen, NOW + timedelta(hours=1))
    assert chosen.store.get(layout.state_key(SHOP)).data == before


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("event", [{}, {"metricSet": "other"}, [], None, {"metricSet": None}])
def test_an_event_that_names_no_metric_set_is_refused_with_those_that_there_are(function, event):
    with pytest.raises(ValueError, match=r'must be \{"metricSet": "<name>"\}.*\(shop\)'):
        detect.handler(event, Context())


# --- alerts on their way


class Queue:
    """What AWS's clients would be asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def send_message_batch(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("send", parameters))
        return {"Successful": parameters["Entries"]}


def test_alerts_go_to_the_queue_in_requests_that_it_takes(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    bodies = [f"{number}{'x' * 300_000}" for number in range(7)] + ["small"] * 23
    messaging.send_messages("url", bodies)
    sent = [[entry["MessageBody"] for entry in parameters["Entries"]] for _, parameters in queue.calls]
    assert [body for batch in sent for body in batch] == bodies
    assert all(len(batch) <= 10 and sum(map(len, batch)) <= 1_000_000 for batch in sent)
    assert all(
        len({entry["Id"] for entry in parameters["Entries"]}) == len(parameters["Entries"])
        for _, parameters in queue.calls
    )


def test_a_queue_that_takes_only_some_alerts_is_an_error(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(
        queue, "send_message_batch", lambda **_: {"Failed": [{"Id": "0", "Code": "InternalError", "Message": "again"}]}
    )
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    with pytest.raises(StorageError, match="SQS accepted 1 of 2 alerts: InternalError again"):
        messaging.send_messages("url", ["a", "b"])


def test_an_alert_too_large_for_a_message_is_filed_at_once(chosen, monkeypatch):
    queue = Queue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    monkeypatch.setattr(detect, "MAX_REQUEST_BYTES", 1_000)
    queued = chosen._replace(queue_url="url")
    fill(chosen.store, hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)))
    run(queued)
    fill(chosen.store, [datetime(2021, 3, 1, 10)], x0301T10=5_000.0)
    assert run(queued, NOW + timedelta(hours=1)).alerts == 1
    assert queue.calls == []
    assert len(stored(chosen, "anomalyResults/anomalyGroups")) == 1


# --- the memory


def test_a_memory_is_what_it_was_after_it_was_kept():
    chosen = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    fill(chosen.store, hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 6)))
    _, memory = detect.run_detector(SHOP, chosen, NOW, lambda: True)
    assert memory.silent_intervals == 3
    again = kept(memory)
    assert again._replace(detector=None) == memory._replace(detector=None)
    assert again.detector.series == memory.detector.series
    assert state.dump(again) == state.dump(memory)


def kept(memory: state.Memory, item: metric_set.MetricSet = SHOP) -> state.Memory:
    """Kept and read again."""
    head, shards = state.dump(memory)
    return state.load(head, shards.get, item, "detector/x")


@cache
def a_memory() -> state.Memory:
    """One that knows twelve series."""
    detector = run_module.Detector(metric_set_yaml.parse(shop_text(), "shop.yaml"))
    for wall in hours(HOUR - timedelta(days=1), HOUR):
        detector.score(IntervalData(wall, {(f"p{number}", "us"): (float(number), 1.0) for number in range(12)}, 12, ()))
    return state.Memory(detector, HOUR, HOUR, 0)


def test_a_broken_memory_is_refused_with_the_command_that_makes_it_anew():
    head, shards = state.dump(a_memory())
    told = r"detector/x.*cannot be read.*`anomalake detect --rebuild`"
    for damaged in (b"", head[: len(head) // 2], b"PK\x03\x04" + head[4:200], b"{}", b"[]"):
        with pytest.raises(UserError, match=told):
            state.load(damaged, shards.get, SHOP, "detector/x")
    (name,) = shards
    for part in (None, b"", shards[name][:-1], shards[name] + b" "):
        with pytest.raises(UserError, match=told):
            state.load(head, lambda _, part=part: part, SHOP, "detector/x")


@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_a_memory_with_a_flipped_byte_is_the_same_or_refused_never_another(place, mask, in_the_head):
    head, shards = state.dump(a_memory())
    (name,) = shards
    data = bytearray(head if in_the_head else shards[name])
    data[place % len(data)] ^= mask
    try:
        again = state.load(
            bytes(data) if in_the_head else head, (shards if in_the_head else {name: bytes(data)}).get, SHOP, "x"
        )
    except UserError:
        return
    assert state.dump(again) == state.dump(a_memory())


def test_many_series_are_kept_in_shards_and_scored_as_in_one(monkeypatch):
    whole, cut = run_module.Detector(SHOP), []
    walls = hours(HOUR - timedelta(days=9), HOUR)
    generator = np.random.default_rng(3)
    some = [
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
    one_by_one = [whole.score(interval) for interval in some]
    monkeypatch.setattr(run_module, "SHARD_COLUMNS", 6)  # three series in each
    memory = state.Memory(run_module.Detector(SHOP), HOUR, HOUR, 0)
    for interval in some:
        cut.append(memory.detector.score(interval))
        memory = kept(memory)
    assert len(state.dump(memory)[1]) == 4
    assert cut == one_by_one


def test_only_what_the_memory_names_is_left_in_the_lake(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    run(chosen)
    fill(chosen.store, [datetime(2021, 3, 1, 10)])
    run(chosen, NOW + timedelta(hours=1))
    assert len(stored(chosen, "detector")) == 2
    chosen.store.put(layout.shard_key(SHOP, "stray"), b"x")
    chosen.store.put("detector/shop/v1/state.npz", b"x")
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), "parquet")
    assert len(stored(chosen, "detector")) == 2


def test_the_state_of_an_older_anomalake_is_refused_not_forgotten(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=6), datetime(2021, 3, 1, 9)))
    chosen.store.put("detector/shop/v1/state.npz", b"x")
    with pytest.raises(UserError, match=r"older Anomalake.*--rebuild"):
        run(chosen)


def test_a_memory_of_a_newer_anomalake_or_another_schema_is_refused(monkeypatch):
    memory = state.Memory(detect.Detector(SHOP), NOW, NOW, 0)
    for other, told in (
        (shop_text("Europe/Berlin"), "timezone UTC, not Europe/Berlin"),
        (shop_text(frequency="frequency: P1D"), "frequency PT1H, not P1D"),
        (shop_text(dimensions="dimensions: [platform]"), "dimensions"),
        (shop_text().replace("name: views", "name: platform_views"), "measures"),
    ):
        item = metric_set_yaml.parse(
            other.replace("timestamp, views,", "timestamp, platform_views, views,"), "shop.yaml"
        )
        with pytest.raises(UserError, match=f"made for {told}.*raise the metric set's `version`"):
            kept(memory, item)
    monkeypatch.setattr(state, "VERSION", state.VERSION + 1)
    newer = state.dump(memory)
    monkeypatch.undo()
    with pytest.raises(UserError, match=f"has version {state.VERSION + 1}, and this Anomalake reads {state.VERSION}"):
        state.load(newer[0], newer[1].get, SHOP, "x")


def test_a_back_test_leaves_the_memory_from_which_the_function_goes_on(chosen):
    walls = hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9))
    fill(chosen.store, walls)
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), "parquet")
    fill(chosen.store, [datetime(2021, 3, 1, 10)], x0301T10=9_000.0)
    assert run(chosen, NOW + timedelta(hours=1)) == detect.RunResult(scored=1, empty=0, due=0, alerts=1)


def test_before_any_live_data_nothing_is_remembered_so_that_a_history_laid_in_later_is_learned(chosen):
    assert run(chosen) == detect.RunResult(0, 1, 0, 0)
    assert stored(chosen, "detector") == {}
    fill(chosen.store, hours(HOUR - timedelta(days=10), HOUR))
    assert run(chosen, NOW + timedelta(hours=1)) == detect.RunResult(241, 0, 0, 0)


def test_files_that_nothing_can_be_read_of_are_silence_from_the_first_day(chosen):
    for wall in hours(HOUR - timedelta(hours=5), HOUR - timedelta(hours=1)):
        chosen.store.put(f"{live_data.interval_folder(SHOP, wall)}/data.csv", b"another,header\n1,2\n")
    done, memory = detect.run_detector(SHOP, chosen, NOW, lambda: True)
    assert (done.scored, done.empty, memory.silent_intervals) == (0, 5, 5)


def test_hidden_files_are_none_live_or_in_a_back_test(chosen):
    walls = hours(HOUR - timedelta(days=5), datetime(2021, 3, 1, 9))
    fill(chosen.store, walls)
    other = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    fill(other.store, walls)
    for name in ("_data.csv", ".data.csv.swp", "_temporary/0/data.csv"):
        chosen.store.put(
            f"{live_data.interval_folder(SHOP, walls[-1])}/{name}",
            f"{HEADER}app,us,{walls[-1]:%Y-%m-%d %H:%M:%S},999999,1\n".encode(),
        )
    for one in (chosen, other):
        run(one)
    assert stored(chosen) == stored(other)
    assert live_data.list_files_by_interval(chosen.store, SHOP) == live_data.list_files_by_interval(other.store, SHOP)


@pytest.mark.parametrize("down", ["live", "observations", "queue"])
def test_what_fails_in_the_middle_of_a_run_is_done_again_to_the_same_end(chosen, monkeypatch, down):
    whole = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    for one in (chosen, whole):
        fill(one.store, hours(HOUR - timedelta(days=12), datetime(2021, 3, 1, 9)))
        run(one)
        fill(one.store, hours(HOUR, HOUR + timedelta(hours=9)), x0301T16=5_000.0)
    then, struck = HOUR + timedelta(hours=10, minutes=5), "20210301/1600" if down == "live" else "2021-03-01T1600Z"
    run(whole, then)
    with monkeypatch.context() as broken:
        if down == "queue":
            broken.setattr(
                detect, "_send_alerts", lambda some, _: (_ for _ in ()).throw(StorageError("down")) if some else None
            )
        else:
            name = "get" if down == "live" else "put"
            original = getattr(chosen.store, name)

            def failing(key: str, *data: bytes) -> Any:
                if struck in key:
                    raise StorageError(f"{key}: down")
                return original(key, *data)

            broken.setattr(chosen.store, name, failing)
        with pytest.raises(StorageError, match="down"):
            run(chosen, then)
    if down == "live":
        assert run(chosen, then).scored == 4  # what went well before was kept
    else:
        run(chosen, then)
    assert stored(chosen) == stored(whole)
    assert state.dump(detect.run_detector(SHOP, chosen, then, lambda: True)[1]) == state.dump(
        detect.run_detector(SHOP, whole, then, lambda: True)[1]
    )


def test_an_hour_that_happens_twice_is_due_after_its_second_time():
    for frequency, wanted in (("PT1H", [1, 1, 2]), ("PT10M", [1, 1, 2])):
        item = metric_set_yaml.parse(shop_text("Europe/Berlin", frequency=f"frequency: {frequency}"), "shop")
        moments = (
            datetime(2026, 10, 25, 0, 15),
            datetime(2026, 10, 25, 0, 59),
            datetime(2026, 10, 25, 2, 0),
        )  # clocks go back at 1:00 UTC
        assert [item.clock.wall_time(schedule.last_due(item, moment)).hour for moment in moments] == wanted
    assert schedule.schedule_timezone(item) == "UTC"


def test_characters_that_sqs_refuses_reach_it_escaped(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    messaging.send_messages("url", [json.dumps({"value": "a\ufffe\uffffb"}, ensure_ascii=False)])
    (entry,) = queue.calls[0][1]["Entries"]
    assert not set(entry["MessageBody"]) & {"\ufffe", "\uffff"}
    assert json.loads(entry["MessageBody"]) == {"value": "a\ufffe\uffffb"}


def test_requests_to_the_queue_are_counted_in_bytes(chosen, monkeypatch):
    queue = Queue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    messaging.send_messages("url", ["貨" * 200_000] * 3)  # 600,000 bytes each
    assert [len(parameters["Entries"]) for _, parameters in queue.calls] == [1, 1, 1]


def test_a_day_whose_midnight_clocks_skip_is_due_all_the_same():
    item = metric_set_yaml.parse(
        shop_text("America/Sao_Paulo", frequency="frequency: P1D"), "shop"
    )  # 4 November 2018 began at 1 o'clock
    days = list(schedule.due_intervals(item, datetime(2018, 11, 2, 3), datetime(2018, 11, 5, 2)))
    assert [item.clock.wall_time(day).day for day in days] == [3, 4, 5]


def test_an_interval_whose_series_have_no_value_at_all_is_gone_through(chosen):
    fill(chosen.store, hours(HOUR - timedelta(days=5), datetime(2021, 3, 1, 8)))
    chosen.store.put(
        f"{live_data.interval_folder(SHOP, datetime(2021, 3, 1, 9))}/data.csv",
        f"{HEADER}app,us,2021-03-01 09:00:00,,\n".encode(),
    )
    assert run(chosen) == detect.RunResult(scored=5 * 24, empty=0, due=0, alerts=0)
    assert not [key for key in stored(chosen) if "2021-03-01T0900Z" in key]
