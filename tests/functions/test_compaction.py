"""Compaction joins the objects of a finished day, and no reader sees a row twice or misses one at any time."""

from collections import Counter
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.functions import compaction, detect
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import FORMATS, Format
from anomalake.lake.store import StorageError, UnreadableError
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
HEADER = "platform,marketplace,timestamp,views,revenue\n"
FIRST, HOURS = datetime(2021, 3, 1), 4 * 24
STAMP = {"observations": 1, "dataHealth": 0}  # the index of the column with the start of the interval


@pytest.fixture(params=["parquet", pytest.param("csv", marks=pytest.mark.slow)])
def settings(request, tmp_path: Path) -> Settings:
    return Settings(FolderStore(tmp_path), (SHOP,), request.param)


def fill(settings: Settings, hour: int) -> datetime:
    """Write the live data of an hour and return the time of its run."""
    wall = FIRST + timedelta(hours=hour)
    if hour % 17 != 16:  # some hours have no data
        rows = "".join(f"{platform},us,{wall:%Y-%m-%d %H:%M:%S},{100 + wall.hour},0.5\n" for platform in ("app", "web"))
        settings.store.put(f"{live_data.interval_folder(SHOP, wall)}/data.csv", (HEADER + rows).encode())
    return wall + timedelta(hours=1, minutes=5)


def run(settings: Settings, now: datetime) -> None:
    """Run the detect function at a time."""
    _, memory = detect.run_detector(SHOP, settings, now, lambda: True)
    detect.compact_finished_days(SHOP, settings, memory, now, lambda: True)


def days_of(settings: Settings) -> list[compaction.DayCompaction]:
    key = layout.compaction_key(SHOP)
    return compaction.read_days(settings.store.get(key), key)


class Seen(NamedTuple):
    """The lake at one time: the days being compacted, and the rows of each object as (interval, row)."""

    way: list[compaction.DayCompaction]
    objects: dict[str, list[tuple[datetime, tuple]]]


def read_lake(settings: Settings, table: layout.Table) -> Seen:
    schema, place = tables.schema(table, SHOP), STAMP[table]
    objects = {}
    for key in settings.store.list(layout.table_folder(table, SHOP)):
        columns = encoding.decode_table(settings.format, schema, settings.store.get(key).data, key)
        objects[key] = [(row[place], row) for row in zip(*columns.values(), strict=True)]
    return Seen(days_of(settings), objects)


def list_counted_rows(way: list[compaction.DayCompaction], objects: dict[str, list]) -> list[tuple]:
    """The rows that the views read."""
    of = {day.day: day for day in way if day.target}
    found = []
    for key, rows in objects.items():
        day = of.get(layout.date_in_key(key))
        if day is None or fnmatchcase(key, f"*/{day.target}.*") == day.switched:
            found += [row for _, row in rows]
    return found


def count_objects_by_day(settings: Settings, table: layout.Table) -> Counter:
    return Counter(layout.date_in_key(key) for key in settings.store.list(layout.table_folder(table, SHOP)))


@pytest.mark.slow
def test_each_day_becomes_one_object_per_table_and_a_slow_reader_sees_every_row_once(settings):
    before: dict[str, Seen] = {}
    steps = set()
    for hour in range(HOURS):
        run(settings, fill(settings, hour))
        for table in layout.DETECTOR_TABLES:
            now = read_lake(settings, table)
            steps |= {day.step for day in now.way}
            expected = {row for rows in now.objects.values() for _, row in rows}
            assert sorted(map(repr, list_counted_rows(now.way, now.objects))) == sorted(map(repr, expected))
            if (
                table in before
            ):  # a reader that reads `days.jsonl` and lists the objects up to an hour apart, in either order
                old, past = (
                    before[table],
                    {row for row in expected if row[STAMP[table]] < FIRST + timedelta(hours=hour)},
                )
                assert {row for row in list_counted_rows(old.way, now.objects) if row in past} == past
                remaining = {key: rows for key, rows in old.objects.items() if key in now.objects}
                if len(remaining) == len(
                    old.objects
                ):  # otherwise the query fails because an object is gone, and is retried
                    assert sorted(map(repr, list_counted_rows(now.way, old.objects))) == sorted(map(repr, past))
            before[table] = now
    assert steps == {"begun", "written", "switched", "deleted", "through"}
    days = ["2021-03-01", "2021-03-02", "2021-03-03"]
    assert [count_objects_by_day(settings, table)[day] for table in layout.DETECTOR_TABLES for day in days] == [1] * 6


@pytest.mark.slow
def test_the_views_return_the_same_rows_at_every_step_as_without_compaction(settings, tmp_path_factory):
    other = Settings(FolderStore(tmp_path_factory.mktemp("other")), (SHOP,), settings.format)
    for hour in range(2 * 24 + 7):
        now = fill(settings, hour)
        fill(other, hour)
        run(settings, now)
        detect.run_detector(SHOP, other, now, lambda: True)
        if hour > 46:
            for view in ("metrics_with_band", "data_health"):
                statement = f'SELECT * FROM {view} ORDER BY "timestamp", 6, 7, 8'
                first, second = (
                    duckdb_catalog.query(
                        duckdb_catalog.connect(Path(lake.store.root), [SHOP], settings.format), statement
                    )
                    for lake in (settings, other)
                )
                assert first == second
    assert count_objects_by_day(settings, "observations")["2021-03-01"] == 1
    assert count_objects_by_day(other, "observations")["2021-03-01"] > 20


def test_the_object_of_a_day_equals_the_one_that_a_backtest_writes(settings, tmp_path_factory):
    for hour in range(3 * 24):
        run(settings, fill(settings, hour))
    other = Settings(FolderStore(tmp_path_factory.mktemp("other")), (SHOP,), settings.format)
    for hour in range(3 * 24):
        fill(other, hour)
    local_pipeline.run_backtest(SHOP, other.store, (SHOP,), settings.format)
    for table in layout.DETECTOR_TABLES:
        key = layout.day_key(table, SHOP, "2021-03-01", settings.format)
        assert settings.store.get(key).data == other.store.get(key).data


@pytest.mark.slow
def test_a_step_that_failed_is_repeated_with_the_same_result(settings, tmp_path_factory, monkeypatch):
    reference = Settings(FolderStore(tmp_path_factory.mktemp("whole")), (SHOP,), settings.format)
    for hour in range(3 * 24):
        now = fill(settings, hour)
        fill(reference, hour)
        run(reference, now)
        for method, count in (("put", 3), ("delete", 2), ("replace", 0)):  # storage fails in the middle of a step
            with monkeypatch.context() as down:
                real, calls = getattr(settings.store, method), iter(range(count))

                def failing(*arguments, real=real, calls=calls):
                    if next(calls, None) is None:
                        raise StorageError("down")
                    return real(*arguments)

                _, memory = detect.run_detector(SHOP, settings, now, lambda: True)
                down.setattr(settings.store, method, failing)
                detect.compact_finished_days(SHOP, settings, memory, now, lambda: True)
        run(settings, now)
    for table in layout.DETECTOR_TABLES:
        assert read_lake(settings, table).objects == read_lake(reference, table).objects


def test_a_record_of_late_data_appears_once_during_and_after_compaction(settings):
    late = FIRST + timedelta(hours=16)  # an hour without data
    for hour in range(24 * 2):
        run(settings, fill(settings, hour))
        now = read_lake(settings, "dataHealth")
        record = detect.Health(late, "late", 0, hour, 0, 0, 0)
        if hour > 16:
            compaction.replace_record(settings.store, SHOP, settings.format, "dataHealth", instant=late, record=record)
            now = read_lake(settings, "dataHealth")
            assert [row for row in list_counted_rows(now.way, now.objects) if row[0] == late] == [tuple(record)]
    assert count_objects_by_day(settings, "dataHealth")["2021-03-01"] == 1


def test_a_day_that_a_rebuild_wrote_in_part_becomes_one_object(settings):
    for hour in range(30):
        run(settings, fill(settings, hour))
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), settings.format)
    expected: set = set()
    for hour in range(30, 80):
        run(settings, fill(settings, hour))
        now = read_lake(settings, "observations")
        counts = Counter(list_counted_rows(now.way, now.objects))
        assert set(counts.values()) == {1}
        assert expected <= set(counts)
        expected = set(counts)
    assert {count_objects_by_day(settings, "observations")[day] for day in ("2021-03-01", "2021-03-02")} == {1}
    assert count_objects_by_day(settings, "observations")["2021-03-04"] > 1  # today


def test_steps_are_at_least_an_hour_apart_however_often_the_function_runs(settings):
    for hour in range(26):
        now = fill(settings, hour)
        run(settings, now)
    began = days_of(settings)
    assert [day.step for day in began if day.target] == ["written"]
    for minutes in (5, 30, 59):
        run(settings, now + timedelta(minutes=minutes))
        assert days_of(settings) == began
    run(settings, now + timedelta(minutes=60))
    assert [day.step for day in days_of(settings) if day.target] == ["switched"]


@pytest.mark.parametrize("hours", [26, 27, 28, 29])
def test_an_interrupted_rebuild_leaves_every_row_once(settings, hours):
    for hour in range(hours):
        run(settings, fill(settings, hour))
    before = read_lake(settings, "observations")
    compaction.cancel_compactions(settings.store, SHOP)
    for hour in range(hours, hours + 12):
        run(settings, fill(settings, hour))
    after = read_lake(settings, "observations")
    counts = Counter(list_counted_rows(after.way, after.objects))
    assert set(counts.values()) == {1}
    assert set(list_counted_rows(before.way, before.objects)) <= set(counts)


def test_an_unreadable_object_stops_compaction_of_its_day_only(settings):
    broken = f"{layout.day_folder('dataHealth', SHOP, '2021-03-01')}/x.{settings.format}"
    settings.store.put(broken, b"")
    for hour in range(HOURS):
        now = fill(settings, hour)
        if hour == 40:
            wall = FIRST + timedelta(hours=16)  # data that arrives late
            settings.store.put(
                f"{live_data.interval_folder(SHOP, wall)}/data.csv",
                (HEADER + f"app,us,{wall:%Y-%m-%d %H:%M:%S},1,1\n").encode(),
            )
        run(settings, now)
    assert count_objects_by_day(settings, "observations")["2021-03-01"] > 1
    assert count_objects_by_day(settings, "observations")["2021-03-02"] == 1
    assert settings.store.get(broken).data == b""


@pytest.mark.parametrize(
    "damage",
    [
        b"garbage",
        b"\xff\n",
        b"{}\n",
        b"[1]\n",
        b'{"day":"2021-99-99","step":"through","since":"2021-03-02T00:00:00"}\n',
        b'{"day":"2021-03-01","step":"through","since":"2021-03-02T00:00:00Z"}\n',
    ],
)
def test_a_damaged_list_of_days_is_reported_with_a_remedy_and_a_rebuild_replaces_it(settings, damage, caplog):
    for hour in range(30):
        run(settings, fill(settings, hour))
    key = layout.compaction_key(SHOP)
    settings.store.put(key, damage)
    with pytest.raises(UnreadableError, match=r"days.jsonl: is damaged: .*detect --rebuild"):
        compaction.read_days(settings.store.get(key), key)
    run(settings, fill(settings, 30))  # scores the interval and logs a warning
    assert settings.store.get(key).data == damage
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), settings.format)
    run(settings, fill(settings, 31))
    assert settings.store.get(key) is None or days_of(settings)


def test_an_object_that_disappears_during_compaction_stops_the_step(settings, monkeypatch):
    for hour in range(25):
        run(settings, fill(settings, hour))
    real, missing_key = (
        settings.store.get,
        layout.table_key("observations", SHOP, FIRST + timedelta(hours=3), settings.format),
    )
    with monkeypatch.context() as vanishing:
        vanishing.setattr(settings.store, "get", lambda key, *most: None if key == missing_key else real(key, *most))
        run(settings, fill(settings, 25))
    assert [day.step for day in days_of(settings)] == ["begun", "through"]


def test_a_deleted_state_is_rejected_when_days_were_compacted(settings):
    for hour in range(30):
        run(settings, fill(settings, hour))
    for key in list(settings.store.list("detector")):
        settings.store.delete(key)
    with pytest.raises(UserError, match=r"state.json: is gone.*detect --rebuild"):
        run(settings, fill(settings, 30))
    local_pipeline.run_backtest(SHOP, settings.store, (SHOP,), settings.format)
    run(settings, fill(settings, 31))


def test_a_day_that_is_too_large_is_not_compacted(settings, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_DAY_BYTES", 1000)
    for hour in range(40):
        run(settings, fill(settings, hour))
    assert count_objects_by_day(settings, "observations")["2021-03-01"] > 20
    assert [day.step for day in days_of(settings)] == ["through"]


def test_a_daily_metric_set_is_not_compacted(settings):
    daily = metric_set_yaml.parse(shop_text(frequency="frequency: P1D"), "shop.yaml")
    assert (
        compaction.compact_days(settings.store, daily, settings.format, after=FIRST, now=FIRST, has_time=lambda: True)
        == 0
    )
    assert list(settings.store.list("anomalyResults")) == []


@pytest.mark.parametrize("form", FORMATS)
def test_joined_objects_equal_one_object_of_all_rows(form: Format):
    schema = tables.schema("observations", SHOP)
    rows = [
        (f"k{n}", FIRST + timedelta(hours=n), '"', None, "views", float(n), None, None, None, None, n / 2)
        for n in range(5)
    ]
    parts = [encoding.encode_records(form, schema, part) for part in (rows[:2], rows[2:3], rows[3:])]
    assert encoding.join_objects(form, schema, parts, "here") == encoding.encode_records(form, schema, rows)
    other = encoding.encode_records(
        form, tables.schema("dataHealth", SHOP), [detect.Health(FIRST, "late", 0, None, 0, 0, 0)]
    )
    with pytest.raises(StorageError, match="here: an object of that day"):
        encoding.join_objects(form, schema, [parts[0], other], "here")


@pytest.mark.parametrize("form", FORMATS)
def test_objects_from_before_weights_existed_join_with_newer_ones(form: Format):
    schema = tables.schema("observations", SHOP)
    old_row = ("k1", FIRST, "pc", None, "views", 1.0, None, None, None, None)
    new_row = ("k2", FIRST, "pc", None, "views", 2.0, None, None, None, None, 7.0)
    parts = [encoding.encode_records(form, schema[:-1], [old_row]), encoding.encode_records(form, schema, [new_row])]
    joined = encoding.encode_records(form, schema, [(*old_row, None), new_row])
    assert encoding.join_objects(form, schema, parts, "here") == joined
    assert encoding.decode_table(form, schema, parts[0], "here")["weight"] == [None]


@pytest.mark.parametrize("frequency", ["P1D", "P1W", "P1M"])
def test_sets_of_days_and_longer_intervals_are_not_compacted(tmp_path: Path, frequency: str):
    store, metric_set = (
        FolderStore(tmp_path),
        metric_set_yaml.parse(shop_text(frequency=f"frequency: {frequency}"), "x"),
    )
    store.put(layout.table_key("observations", metric_set, FIRST, "csv"), b"")
    now = FIRST + timedelta(days=90)
    assert compaction.compact_days(store, metric_set, "csv", after=now, now=now, has_time=lambda: True) == 0
    assert store.get(layout.compaction_key(metric_set)) is None
