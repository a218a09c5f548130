"""The views of live data: files and folders that are read, names, time zones."""

import gzip
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text
from slow_cases import slow_after

FORMATS = ("parquet", "csv")
ZONE = "America/New_York"


def test_every_view_of_an_empty_lake_has_no_rows(tmp_path):
    sets = [metric_set_yaml.parse(shop_text(name=f"name: {name}"), name) for name in ("one", "two")]
    for form in FORMATS:
        connection = duckdb_catalog.connect(tmp_path, sets, form)
        names = connection.sql(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        assert len(names) == 2 * 13 + 4
        for (name,) in names:
            assert connection.sql(f"SELECT * FROM {name}").fetchall() == []


def test_dimensions_can_have_the_names_of_columns_that_the_sql_uses(tmp_path):
    names = ["series", "total", "weighed", "start", "wall", "alive", "filename", "file", "_x"[1:], "one"]
    text = shop_text(dimensions=f"dimensions: [{', '.join(names)}]").replace(
        "columns: [platform, marketplace,", f"columns: [{', '.join(names)},"
    )
    item = metric_set_yaml.parse(
        text.replace("{name: views,", "{name: anomalous,").replace(" views,", " anomalous,"), "shop"
    )
    frame = pd.DataFrame(
        [{**dict.fromkeys(names, "v"), "timestamp": "2021-02-17 11:00:00", "anomalous": 1, "revenue": 2.0}]
    )
    write_live_data(frame, item, FolderStore(tmp_path))
    body = alert_body("revenue", series=[(dict.fromkeys(names, "v"), 9.0)], contributions={"wall": {"v": 100.0}})
    ingest_messages([Message("m", body)], FolderStore(tmp_path), (item,), "parquet")
    connection = duckdb_catalog.connect(tmp_path, [item])
    ((wall, value, flagged, live),) = connection.sql(
        "SELECT wall, anomalous, isanomaly, haslive FROM anomalake_shop.anomalies_with_live"
    ).fetchall()
    assert (wall, value, flagged, live) == ("v", 1.0, True, True)
    assert connection.sql("SELECT contributionshare FROM anomalake_shop.anomalies_with_contributions").fetchall() == [
        (100.0,)
    ]


def test_the_view_contains_exactly_the_files_that_the_detector_reads(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    header, folder = "platform,marketplace,timestamp,views,revenue\n", "shop/live/20210217/1100"
    store = FolderStore(tmp_path / "p=zz")
    store.put(
        f"{folder}/a.csv",
        f'\ufeff{header}"abc"def,us,2021-02-17 11:00:00,1,1\n pc,us, 2021-02-17 11:59:00 ,2, 2 \r\n\n'
        "short,row\n".encode(),
    )
    store.put(f"{folder}/deeper/b.csv", f"{header}nested,us,2021-02-17 11:00:00,4,1e999\n".encode())
    store.put(f"{folder}/.hidden.csv", f"{header}hidden,us,2021-02-17 11:00:00,8,1\n".encode())
    from datetime import datetime as moment

    from anomalake.lake import live_data

    (keys,) = live_data.list_files_by_interval(store, item).values()
    read = live_data.read_interval(store, item, moment(2021, 2, 17, 11), keys)
    rows = (
        duckdb_catalog.connect(store.root, [item])
        .sql("SELECT platform, marketplace, views, revenue FROM anomalake_shop.anomalies_with_live")
        .fetchall()
    )
    # Readers differ on text after a closing quote ("abc"def). It must not affect any other row.
    assert {(p, m): (v, r) for p, m, v, r in rows if p[:3] != "abc"} == {
        key: v for key, v in read.values.items() if key[0] != "abcdef"
    }
    assert set(read.values) == {("abcdef", "us"), (" pc", "us"), ("nested", "us")}
    assert len(rows) == 3


PATHS = (
    "{{yyyyMMdd}}/{{HHmm}}",
    "dt={{yyyy-MM-dd}}/{{HH}}/t+{{mm}}(in)",
    "{{dd}}.{{MM}}.{{yyyy}}-it's/{{HHmm}}/deep/er",
    "{{yyyyMMddHHmm}}",
    "{{HH}}/{{yyyyMMdd}}-{{mm}}",
    "{{yyyyMMdd}}2 /{{HHmm}}",
    "{{yyyyMMdd}}/_{{HHmm}}",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("zone", slow_after(2, ["UTC", ZONE, "Europe/London", "Pacific/Kiritimati"]))
@pytest.mark.parametrize("frequency", slow_after(1, ["PT1H", "PT5M"]))
def test_live_data_is_found_in_any_folder_pattern_and_time_zone_and_other_files_are_not(
    tmp_path, path, zone, frequency
):
    from anomalake.domain import intervals
    from anomalake.lake import live_data

    text = shop_text(zone, frequency=f"frequency: {frequency}").replace("{{yyyyMMdd}}/{{HHmm}}", path)
    item, store = metric_set_yaml.parse(text, "shop"), FolderStore(tmp_path)
    instants = [
        datetime(2021, month, day, 22) + number * intervals.INTERVAL_LENGTHS[frequency]
        for month, day in ((3, 13), (10, 30))
        for number in range(0, 50, 3)
    ]
    walls = sorted(
        {intervals.floor_to_interval(intervals.to_wall_time(instant, zone), frequency) for instant in instants}
    )
    header = "platform,marketplace,timestamp,views,revenue\n"
    for wall in walls:
        place, data = live_data.interval_folder(item, wall), f"{header}pc,us,{wall:%Y-%m-%d %H:%M:%S},1,1\n".encode()
        store.put(f"{place}/a.csv", data)
        for stray in (
            f"{place}x",
            f"{place}/_b",
            place.rpartition("/")[0],
            f"{place.rpartition('/')[0]}/{place}",
            place.replace("2021", "20x1"),
        ):
            store.put(f"{stray}/stray.csv", data)
    for stray in {
        live_data.interval_folder(item, walls[0]).replace("2021", year) for year in ("0000", "99999")
    }:  # no date, and no row of this width
        store.put(f"{stray}/a.csv", b"no data")
    assert list(live_data.list_files_by_interval(store, item)) == walls
    connection = duckdb_catalog.connect(tmp_path, [item])
    rows = connection.sql(
        'SELECT "localtimestamp", "timestamp", "date", views FROM anomalake_shop.anomalies_with_live ORDER BY 1'
    ).fetchall()
    assert rows == [
        (wall, intervals.to_utc(wall, zone), f"{intervals.to_utc(wall, zone):%Y-%m-%d}", 1.0) for wall in walls
    ]


def test_files_outside_the_folders_of_intervals_are_not_opened(tmp_path):
    text = shop_text().replace("format: csv", "format: csv\n  compression: gzip")
    item, store = metric_set_yaml.parse(text, "shop"), FolderStore(tmp_path)
    row = b"platform,marketplace,timestamp,views,revenue\npc,us,2021-02-17 11:00:00,1,1\n"
    store.put("shop/live/20210217/1100/a.csv.gz", gzip.compress(row))
    store.put("shop/live/20210217/README", b"not packed")
    rows = (
        duckdb_catalog.connect(tmp_path, [item]).sql("SELECT views FROM anomalake_shop.anomalies_with_live").fetchall()
    )
    assert rows == [(1.0,)]


@pytest.mark.parametrize("root", [".", "./", "lake/..", "lake/../../{name}"])
def test_a_lake_is_read_whatever_name_its_folder_has(tmp_path, monkeypatch, root):
    item, store = metric_set_yaml.parse(shop_text(), "shop"), FolderStore(tmp_path)
    store.put(
        "shop/live/20210217/1100/a.csv",
        b"platform,marketplace,timestamp,views,revenue\npc,us,2021-02-17 11:00:00,1,1\n",
    )
    (tmp_path / "lake").mkdir()
    monkeypatch.chdir(tmp_path)
    connection = duckdb_catalog.connect(Path(root.format(name=tmp_path.name)), [item])
    assert connection.sql("SELECT views FROM anomalake_shop.anomalies_with_live").fetchall() == [(1.0,)]


def test_a_day_without_midnight_is_one_day(tmp_path):
    text = shop_text(
        "America/Sao_Paulo", frequency="frequency: P1D", timestamp="timestamp: {column: timestamp, format: yyyy-MM-dd}"
    )
    item = metric_set_yaml.parse(text.replace("/{{HHmm}}", ""), "shop")
    days = ["2018-11-03", "2018-11-04", "2018-11-05"]  # clocks skipped the midnight of the 4th
    frame = pd.DataFrame(
        [{"platform": "p", "marketplace": "m", "timestamp": day, "views": 1, "revenue": 1.0} for day in days]
    )
    assert write_live_data(frame, item, FolderStore(tmp_path)) == (3, [])
    report = local_pipeline.run_backtest(item, FolderStore(tmp_path), (item,), "parquet")
    assert (report.rows, report.finding_count) == (3, 0)
    connection = duckdb_catalog.connect(tmp_path, [item])
    live = connection.sql('SELECT "timestamp" FROM anomalake_shop.anomalies_with_live ORDER BY 1').fetchall()
    seen = connection.sql('SELECT DISTINCT "timestamp" FROM anomalake_shop.metrics_with_band ORDER BY 1').fetchall()
    assert live == seen
    assert len(live) == 3
