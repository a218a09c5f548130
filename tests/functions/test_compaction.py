"""Days that are over become one object a table, and no reader ever sees a row twice or not at all, whenever it looks."""

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
STAMP = {"observations": 1, "dataHealth": 0}  # the column with the interval's start


@pytest.fixture(params=FORMATS)
def chosen(request, tmp_path: Path) -> Settings:
    return Settings(FolderStore(tmp_path), (SHOP,), request.param)


def fill(chosen: Settings, hour: int) -> datetime:
    """An hour's live data; when its run is."""
    wall = FIRST + timedelta(hours=hour)
    if hour % 17 != 16:  # an hour now and then has none
        rows = "".join(f"{platform},us,{wall:%Y-%m-%d %H:%M:%S},{100 + wall.hour},0.5\n" for platform in ("app", "web"))
        chosen.store.put(f"{live_data.interval_folder(SHOP, wall)}/data.csv", (HEADER + rows).encode())
    return wall + timedelta(hours=1, minutes=5)


def run(chosen: Settings, now: datetime) -> None:
    """What the function does at a time."""
    _, memory = detect.run_detector(SHOP, chosen, now, lambda: True)
    detect.compact_finished_days(SHOP, chosen, memory, now, lambda: True)


def days_of(chosen: Settings) -> list[compaction.DayCompaction]:
    key = layout.compaction_key(SHOP)
    return compaction.read_days(chosen.store.get(key), key)


class Seen(NamedTuple):
    """The lake at a moment: its days on their way, and each object's rows as (interval, the whole row)."""

    way: list[compaction.DayCompaction]
    objects: dict[str, list[tuple[datetime, tuple]]]


def look(chosen: Settings, table: layout.Table) -> Seen:
    schema, place = tables.schema(table, SHOP), STAMP[table]
    objects = {}
    for key in chosen.store.list(layout.table_folder(table, SHOP)):
        columns = encoding.decode_table(chosen.format, schema, chosen.store.get(key).data, key)
        objects[key] = [(row[place], row) for row in zip(*columns.values(), strict=True)]
    return Seen(days_of(chosen), objects)


def counted(way: list[compaction.DayCompaction], objects: dict[str, list]) -> list[tuple]:
    """The rows that count, by the rule of the views."""
    of = {one.day: one for one in way if one.target}
    found = []
    for key, rows in objects.items():
        one = of.get(layout.date_in_key(key))
        if one is None or fnmatchcase(key, f"*/{one.target}.*") == one.switched:
            found += [row for _, row in rows]
    return found


def by_day(chosen: Settings, table: layout.Table) -> Counter:
    return Counter(layout.date_in_key(key) for key in chosen.store.list(layout.table_folder(table, SHOP)))


def test_each_day_becomes_one_object_a_table_and_a_reader_that_is_slow_sees_every_row_once(chosen):
    before: dict[str, Seen] = {}
    steps = set()
    for hour in range(HOURS):
        run(chosen, fill(chosen, hour))
        for table in layout.DETECTOR_TABLES:
            now = look(chosen, table)
            steps |= {one.step for one in now.way}
            wanted = {row for rows in now.objects.values() for _, row in rows}
            assert sorted(map(repr, counted(now.way, now.objects))) == sorted(map(repr, wanted))
            if table in before:  # one that reads `days.jsonl` and lists the objects up to an hour apart, either first
                old, past = before[table], {row for row in wanted if row[STAMP[table]] < FIRST + timedelta(hours=hour)}
                assert {row for row in counted(old.way, now.objects) if row in past} == past
                there = {key: rows for key, rows in old.objects.items() if key in now.objects}
                if len(there) == len(old.objects):  # else the query fails at an object that is gone, and is asked again
                    assert sorted(map(repr, counted(now.way, old.objects))) == sorted(map(repr, past))
            before[table] = now
    assert steps == {"begun", "written", "switched", "deleted", "through"}
    whole = ["2021-03-01", "2021-03-02", "2021-03-03"]
    assert [by_day(chosen, table)[day] for table in layout.DETECTOR_TABLES for day in whole] == [1] * 6


def test_the_views_say_the_same_at_every_step_as_without_compaction(chosen, tmp_path_factory):
    other = Settings(FolderStore(tmp_path_factory.mktemp("other")), (SHOP,), chosen.format)
    for hour in range(2 * 24 + 7):
        now = fill(chosen, hour)
        fill(other, hour)
        run(chosen, now)
        detect.run_detector(SHOP, other, now, lambda: True)
        if hour > 46:
            for view in ("metrics_with_band", "data_health"):
                statement = f'SELECT * FROM {view} ORDER BY "timestamp", 6, 7, 8'
                one, two = (
                    duckdb_catalog.query(
                        duckdb_catalog.connect(Path(setting.store.root), [SHOP], chosen.format), statement
                    )
                    for setting in (chosen, other)
                )
                assert one == two
    assert by_day(chosen, "observations")["2021-03-01"] == 1
    assert by_day(other, "observations")["2021-03-01"] > 20


def test_a_day_s_object_is_to_the_byte_what_a_back_test_writes(chosen, tmp_path_factory):
    for hour in range(3 * 24):
        run(chosen, fill(chosen, hour))
    other = Settings(FolderStore(tmp_path_factory.mktemp("other")), (SHOP,), chosen.format)
    for hour in range(3 * 24):
        fill(other, hour)
    local_pipeline.run_backtest(SHOP, other.store, (SHOP,), chosen.format)
    for table in layout.DETECTOR_TABLES:
        key = layout.day_key(table, SHOP, "2021-03-01", chosen.format)
        assert chosen.store.get(key).data == other.store.get(key).data


def test_a_step_that_failed_half_way_is_done_again_to_the_same_end(chosen, tmp_path_factory, monkeypatch):
    whole = Settings(FolderStore(tmp_path_factory.mktemp("whole")), (SHOP,), chosen.format)
    for hour in range(3 * 24):
        now = fill(chosen, hour)
        fill(whole, hour)
        run(whole, now)
        for method, count in (("put", 3), ("delete", 2), ("replace", 0)):  # the storage goes down in the midst of it
            with monkeypatch.context() as down:
                real, left = getattr(chosen.store, method), iter(range(count))

                def failing(*arguments, real=real, left=left):
                    if next(left, None) is None:
                        raise StorageError("down")
                    return real(*arguments)

                _, memory = detect.run_detector(SHOP, chosen, now, lambda: True)
                down.setattr(chosen.store, method, failing)
                detect.compact_finished_days(SHOP, chosen, memory, now, lambda: True)
        run(chosen, now)
    for table in layout.DETECTOR_TABLES:
        assert look(chosen, table).objects == look(whole, table).objects


def test_late_data_of_a_day_on_its_way_and_of_one_that_is_done_shows_once(chosen):
    late = FIRST + timedelta(hours=16)  # has no data
    for hour in range(24 * 2):
        run(chosen, fill(chosen, hour))
        now = look(chosen, "dataHealth")
        record = detect.Health(late, "late", 0, hour, 0, 0, 0)
        if hour > 16:
            compaction.replace_record(chosen.store, SHOP, chosen.format, "dataHealth", instant=late, record=record)
            now = look(chosen, "dataHealth")
            assert [row for row in counted(now.way, now.objects) if row[0] == late] == [tuple(record)]
    assert by_day(chosen, "dataHealth")["2021-03-01"] == 1


def test_a_day_whose_first_hours_a_rebuild_wrote_becomes_one_object_too(chosen):
    for hour in range(30):
        run(chosen, fill(chosen, hour))
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), chosen.format)
    wanted: set = set()
    for hour in range(30, 80):
        run(chosen, fill(chosen, hour))
        now = look(chosen, "observations")
        counts = Counter(counted(now.way, now.objects))
        assert set(counts.values()) == {1}
        assert wanted <= set(counts)
        wanted = set(counts)
    assert {by_day(chosen, "observations")[day] for day in ("2021-03-01", "2021-03-02")} == {1}
    assert by_day(chosen, "observations")["2021-03-04"] > 1  # today


def test_between_two_steps_lies_an_hour_however_often_it_runs(chosen):
    for hour in range(26):
        now = fill(chosen, hour)
        run(chosen, now)
    began = days_of(chosen)
    assert [one.step for one in began if one.target] == ["written"]
    for minutes in (5, 30, 59):
        run(chosen, now + timedelta(minutes=minutes))
        assert days_of(chosen) == began
    run(chosen, now + timedelta(minutes=60))
    assert [one.step for one in days_of(chosen) if one.target] == ["switched"]


@pytest.mark.parametrize("hours", [26, 27, 28, 29])
def test_a_rebuild_that_ends_before_it_wrote_anything_leaves_every_row_once(chosen, hours):
    for hour in range(hours):
        run(chosen, fill(chosen, hour))
    before = look(chosen, "observations")
    compaction.cancel_compactions(chosen.store, SHOP)
    for hour in range(hours, hours + 12):
        run(chosen, fill(chosen, hour))
    after = look(chosen, "observations")
    counts = Counter(counted(after.way, after.objects))
    assert set(counts.values()) == {1}
    assert set(counted(before.way, before.objects)) <= set(counts)


def test_an_object_that_cannot_be_read_keeps_its_day_and_no_other_nor_the_detector(chosen):
    broken = f"{layout.day_folder('dataHealth', SHOP, '2021-03-01')}/x.{chosen.format}"
    chosen.store.put(broken, b"")
    for hour in range(HOURS):
        now = fill(chosen, hour)
        if hour == 40:
            wall = FIRST + timedelta(hours=16)  # had no data in time, and has some now
            chosen.store.put(
                f"{live_data.interval_folder(SHOP, wall)}/data.csv",
                (HEADER + f"app,us,{wall:%Y-%m-%d %H:%M:%S},1,1\n").encode(),
            )
        run(chosen, now)
    assert by_day(chosen, "observations")["2021-03-01"] > 1
    assert by_day(chosen, "observations")["2021-03-02"] == 1
    assert chosen.store.get(broken).data == b""


@pytest.mark.parametrize(
    "damage",
    [b"garbage", b"\xff\n", b"{}\n", b"[1]\n", b'{"day":"2021-99-99","step":"through","since":"2021-03-02T00:00:00"}\n',
     b'{"day":"2021-03-01","step":"through","since":"2021-03-02T00:00:00Z"}\n'],
)  # fmt: skip
def test_a_damaged_list_of_days_is_reported_with_what_to_do_and_a_rebuild_replaces_it(chosen, damage, caplog):
    for hour in range(30):
        run(chosen, fill(chosen, hour))
    key = layout.compaction_key(SHOP)
    chosen.store.put(key, damage)
    with pytest.raises(UnreadableError, match=r"days.jsonl: is damaged: .*detect --rebuild"):
        compaction.read_days(chosen.store.get(key), key)
    run(chosen, fill(chosen, 30))  # scores, and warns
    assert chosen.store.get(key).data == damage
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), chosen.format)
    run(chosen, fill(chosen, 31))
    assert chosen.store.get(key) is None or days_of(chosen)


def test_an_object_that_vanishes_while_a_day_is_written_is_not_left_out(chosen, monkeypatch):
    for hour in range(25):
        run(chosen, fill(chosen, hour))
    real, gone = chosen.store.get, layout.table_key("observations", SHOP, FIRST + timedelta(hours=3), chosen.format)
    with monkeypatch.context() as vanishing:
        vanishing.setattr(chosen.store, "get", lambda key, *most: None if key == gone else real(key, *most))
        run(chosen, fill(chosen, 25))
    assert [one.step for one in days_of(chosen)] == ["begun", "through"]


def test_a_memory_that_was_deleted_is_refused_where_days_were_compacted(chosen):
    for hour in range(30):
        run(chosen, fill(chosen, hour))
    for key in list(chosen.store.list("detector")):
        chosen.store.delete(key)
    with pytest.raises(UserError, match=r"state.json: is gone.*detect --rebuild"):
        run(chosen, fill(chosen, 30))
    local_pipeline.run_backtest(SHOP, chosen.store, (SHOP,), chosen.format)
    run(chosen, fill(chosen, 31))


def test_a_day_that_is_too_large_stays_as_it_is(chosen, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_DAY_BYTES", 1000)
    for hour in range(40):
        run(chosen, fill(chosen, hour))
    assert by_day(chosen, "observations")["2021-03-01"] > 20
    assert [one.step for one in days_of(chosen)] == ["through"]


def test_a_daily_set_is_left_alone(chosen):
    daily = metric_set_yaml.parse(shop_text(frequency="frequency: P1D"), "shop.yaml")
    assert (
        compaction.compact_days(chosen.store, daily, chosen.format, after=FIRST, now=FIRST, has_time=lambda: True) == 0
    )
    assert list(chosen.store.list("anomalyResults")) == []


@pytest.mark.parametrize("form", FORMATS)
def test_joined_objects_are_what_is_written_of_all_rows(form: Format):
    schema = tables.schema("observations", SHOP)
    rows = [
        (f"k{n}", FIRST + timedelta(hours=n), '"', None, "views", float(n), None, None, None, None) for n in range(5)
    ]
    parts = [encoding.encode_records(form, schema, part) for part in (rows[:2], rows[2:3], rows[3:])]
    assert encoding.join_objects(form, schema, parts, "here") == encoding.encode_records(form, schema, rows)
    other = encoding.encode_records(
        form, tables.schema("dataHealth", SHOP), [detect.Health(FIRST, "late", 0, None, 0, 0, 0)]
    )
    with pytest.raises(StorageError, match="here: an object of that day"):
        encoding.join_objects(form, schema, [parts[0], other], "here")
