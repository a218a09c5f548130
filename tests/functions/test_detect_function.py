"""The detect function: which intervals it processes, what it writes and sends, and one run at a time."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from anomalake.cli import local_pipeline
from anomalake.detect import state
from anomalake.functions import detect
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from detect_runs import HEADER, HOUR, NOW, SHOP, list_hours, read_objects, read_rows, run, write_live_data


def test_the_first_run_learns_the_history_without_alerts_and_later_runs_alert(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=20), datetime(2021, 3, 1, 9)), x0225T12=100_000.0)
    assert run(settings) == detect.RunResult(scored=20 * 24, empty=0, due=0, alerts=0)
    assert [key for key in read_objects(settings) if "observations" not in key and "dataHealth" not in key] == []
    write_live_data(settings.store, [datetime(2021, 3, 1, 10)], x0301T10=5_000.0)
    assert run(settings, NOW + timedelta(hours=1)) == detect.RunResult(scored=1, empty=0, due=0, alerts=1)
    assert [key.split("/")[-1] for key in read_objects(settings, "anomalyResults/anomalyGroups")] == [
        "2021-03-01T1000Z.parquet"
    ]


def test_the_first_run_alerts_on_its_newest_interval_and_reads_only_the_history_that_the_model_uses(settings):
    write_live_data(settings.store, [datetime(2020, 6, 1, hour) for hour in range(24)])
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)), x0301T09=9_000.0)
    done = run(settings)
    assert (done.scored, done.alerts) == (15 * 24, 1)


def test_processing_missed_intervals_later_gives_the_same_result_as_processing_them_in_time(settings):
    other = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    history, later = (
        list_hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)),
        list_hours(datetime(2021, 3, 1, 10), datetime(2021, 3, 2, 9)),
    )
    for each in (settings, other):
        write_live_data(each.store, history)
        run(each)
        write_live_data(each.store, later, x0301T20=5_000.0)
    for wall in later:
        run(settings, wall + timedelta(hours=1, minutes=1))
    assert run(other, later[-1] + timedelta(hours=1, minutes=1)).scored == 24
    assert read_objects(settings) == read_objects(other)
    assert any("2021-03-01T2000Z" in key and "anomalyGroups" in key for key in read_objects(settings))


def test_a_run_without_time_saves_its_work_and_the_next_run_continues(settings):
    complete = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    for each in (settings, complete):
        write_live_data(each.store, list_hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    assert run(settings, budget=100).due == 240 - 100
    while run(settings, budget=60).due:
        pass
    run(complete)
    assert read_objects(settings) == read_objects(complete)


def test_intervals_without_data_are_counted_in_total_and_in_a_row(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(settings)
    done, memory = detect.run_detector(SHOP, settings, NOW + timedelta(hours=3), lambda: True)
    assert (done, memory.silent_intervals) == (detect.RunResult(0, 3, 0, alerts=1), 3)
    assert [tuple(record[1:4]) for record in read_rows(settings, "dataHealth", datetime(2021, 3, 1, 10))] == [
        ("empty", 0, 2)
    ]


def test_missing_data_sends_one_alert_until_data_arrives_again(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(settings)
    assert [run(settings, NOW + timedelta(hours=n)).alerts for n in (1, 2, 3)] == [1, 0, 0]
    (event,) = read_rows(settings, "anomalyGroups", datetime(2021, 3, 1, 10))
    assert event[1:5] == ("missing data", 100.0, "below", 2)
    assert read_rows(settings, "metricValue_AnomalyScore", datetime(2021, 3, 1, 10)) == []
    assert {
        share[3]: share[4] for share in read_rows(settings, "dimensionContributions", datetime(2021, 3, 1, 10))
    } == {
        "app": 50,
        "web": 50,
        "us": 100,
    }
    write_live_data(settings.store, [datetime(2021, 3, 1, 13)])
    assert [run(settings, NOW + timedelta(hours=n)).alerts for n in (4, 5)] == [0, 1]


def test_late_data_is_counted_and_only_a_rebuild_scores_it(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=10), datetime(2021, 3, 1, 9)))
    run(settings)
    run(settings, NOW + timedelta(hours=1))
    write_live_data(settings.store, [datetime(2021, 3, 1, 10), datetime(2021, 3, 1, 11)])
    done, memory = detect.run_detector(SHOP, settings, NOW + timedelta(hours=2), lambda: True)
    assert (done.late, memory.late_intervals, memory.empty_intervals) == (1, 1, ())
    assert [record[1] for record in read_rows(settings, "dataHealth", datetime(2021, 3, 1, 10))] == ["late"]
    assert read_rows(settings, "observations", datetime(2021, 3, 1, 10)) == []
    assert run(settings, NOW + timedelta(hours=2)).late == 0
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), "parquet")
    day_key = layout.day_key("observations", SHOP, "2021-03-01", "parquet")
    found = encoding.decode_table(
        "parquet", tables.schema("observations", SHOP), settings.store.get(day_key).data, day_key
    )
    assert datetime(2021, 3, 1, 10) in found["timestamp"]
    assert list(read_objects(settings, layout.day_folder("observations", SHOP, "2021-03-01"))) == [day_key]


@pytest.fixture
def lake_with_data(function_lake):
    now = datetime.now(UTC).replace(tzinfo=None)
    write_live_data(
        function_lake,
        list_hours((now - timedelta(days=6)).replace(minute=0, second=0, microsecond=0), now - timedelta(hours=1)),
    )
    return function_lake


class Context:
    """The Lambda context, early in a run."""

    def get_remaining_time_in_millis(self) -> int:
        return 800_000


def test_the_function_scores_due_intervals_and_publishes_metrics(lake_with_data, capsys):
    answer = detect.handler({"metricSet": "shop"}, Context())
    assert (answer["scored"] >= 140, answer["due"], answer["alerts"]) == (True, 0, 0)
    blob = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"'))
    assert blob["MetricSet"] == "shop"
    assert {"IntervalsScored", "IntervalsEmpty", "IntervalsDue", "IntervalsSilent", "AlertsRaised"} <= set(blob)
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], "MetricSet" in directive["Dimensions"][0]) == ("Anomalake", True)


def test_a_second_run_is_skipped_until_the_first_ends_or_its_lease_expires(lake_with_data):
    until = datetime.now(UTC).replace(tzinfo=None)
    lake_with_data.put(
        layout.lease_key(SHOP), json.dumps({"until": (until + timedelta(minutes=5)).isoformat()}).encode()
    )
    assert "skipped" in detect.handler({"metricSet": "shop"}, Context())
    assert lake_with_data.get(layout.state_key(SHOP)) is None
    lake_with_data.put(
        layout.lease_key(SHOP), json.dumps({"until": (until - timedelta(seconds=1)).isoformat()}).encode()
    )
    assert detect.handler({"metricSet": "shop"}, Context())["due"] == 0
    assert detect.handler({"metricSet": "shop"}, Context())["due"] == 0


def test_a_failed_run_releases_its_lease(lake_with_data, monkeypatch):
    monkeypatch.setattr(detect, "run_detector", lambda *_: (_ for _ in ()).throw(StorageError("down")))
    with pytest.raises(StorageError):
        detect.handler({"metricSet": "shop"}, Context())
    monkeypatch.undo()
    assert (
        json.loads(lake_with_data.get(layout.lease_key(SHOP)).data)["until"]
        <= datetime.now(UTC).replace(tzinfo=None).isoformat()
    )


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("event", [{}, {"metricSet": "other"}, [], None, {"metricSet": None}])
def test_an_event_without_a_known_metric_set_is_rejected_with_the_known_names(lake_with_data, event):
    with pytest.raises(ValueError, match=r'must be \{"metricSet": "<name>"\}.*\(shop\)'):
        detect.handler(event, Context())


def test_unreadable_files_count_as_intervals_without_data_from_the_first_run(settings):
    for wall in list_hours(HOUR - timedelta(hours=5), HOUR - timedelta(hours=1)):
        settings.store.put(f"{live_data.interval_folder(SHOP, wall)}/data.csv", b"another,header\n1,2\n")
    done, memory = detect.run_detector(SHOP, settings, NOW, lambda: True)
    assert (done.scored, done.empty, memory.silent_intervals) == (0, 5, 5)


def test_hidden_files_are_ignored_live_and_in_a_backtest(settings):
    walls = list_hours(HOUR - timedelta(days=5), datetime(2021, 3, 1, 9))
    write_live_data(settings.store, walls)
    other = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    write_live_data(other.store, walls)
    for name in ("_data.csv", ".data.csv.swp", "_temporary/0/data.csv"):
        settings.store.put(
            f"{live_data.interval_folder(SHOP, walls[-1])}/{name}",
            f"{HEADER}app,us,{walls[-1]:%Y-%m-%d %H:%M:%S},999999,1\n".encode(),
        )
    for each in (settings, other):
        run(each)
    assert read_objects(settings) == read_objects(other)
    assert live_data.list_files_by_interval(settings.store, SHOP) == live_data.list_files_by_interval(other.store, SHOP)


@pytest.mark.parametrize("down", ["live", "observations", "queue"])
def test_a_run_that_failed_is_repeated_with_the_same_result(settings, monkeypatch, down):
    complete = Settings(ObjectStore.memory(), (SHOP,), "parquet")
    for each in (settings, complete):
        write_live_data(each.store, list_hours(HOUR - timedelta(days=12), datetime(2021, 3, 1, 9)))
        run(each)
        write_live_data(each.store, list_hours(HOUR, HOUR + timedelta(hours=9)), x0301T16=5_000.0)
    then, unavailable = HOUR + timedelta(hours=10, minutes=5), "20210301/1600" if down == "live" else "2021-03-01T1600Z"
    run(complete, then)
    with monkeypatch.context() as broken:
        if down == "queue":
            broken.setattr(
                detect, "_send_alerts", lambda some, _: (_ for _ in ()).throw(StorageError("down")) if some else None
            )
        else:
            name = "get" if down == "live" else "put"
            original = getattr(settings.store, name)

            def failing(key: str, *data: bytes) -> Any:
                if unavailable in key:
                    raise StorageError(f"{key}: down")
                return original(key, *data)

            broken.setattr(settings.store, name, failing)
        with pytest.raises(StorageError, match="down"):
            run(settings, then)
    if down == "live":
        assert run(settings, then).scored == 4  # what went well before was save_and_load
    else:
        run(settings, then)
    assert read_objects(settings) == read_objects(complete)
    assert state.dump(detect.run_detector(SHOP, settings, then, lambda: True)[1]) == state.dump(
        detect.run_detector(SHOP, complete, then, lambda: True)[1]
    )


def test_an_interval_whose_series_have_no_values_is_processed(settings):
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=5), datetime(2021, 3, 1, 8)))
    settings.store.put(
        f"{live_data.interval_folder(SHOP, datetime(2021, 3, 1, 9))}/data.csv",
        f"{HEADER}app,us,2021-03-01 09:00:00,,\n".encode(),
    )
    assert run(settings) == detect.RunResult(scored=5 * 24, empty=0, due=0, alerts=0)
    assert not [key for key in read_objects(settings) if "2021-03-01T0900Z" in key]
