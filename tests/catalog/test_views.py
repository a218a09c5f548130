"""The views, against an independent computation in pandas: series with missing dimensions, hostile values, and data that never arrived."""

import gzip
import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.catalog import duckdb_catalog, sql
from anomalake.catalog.views import database, views_of_set, views_over_all_sets
from anomalake.cli import local_pipeline
from anomalake.domain import metric_set_yaml
from anomalake.domain.series_key import build_series_key
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text

FORMATS = ("parquet", "csv")
ZONE = "America/New_York"
VALUES = ["us", "de", 'q"uote', "com,ma", "per%cent|bar", "back\\slash", "=1+1", "🦀 </script>", " blank "]
PLATFORMS = ["pc", "app", None]


def frames() -> tuple[pd.DataFrame, list[dict]]:
    """Live rows (several a series, some series never), and alerts with series that lack dimensions, expected values or live data."""
    rng = np.random.default_rng(5)
    live, alerts = [], []
    for hour in range(6):
        wall = datetime(2021, 3, 13, 22) + timedelta(hours=hour)
        if wall.hour == 2:  # 14 March: New York skips from 2 to 3
            continue
        for platform in PLATFORMS[:2]:
            for market in VALUES[: 4 + hour % 3]:
                live += [
                    (
                        platform,
                        market,
                        f"{wall + timedelta(minutes=int(m)):%Y-%m-%d %H:%M:%S}",
                        int(rng.integers(1, 99)),
                        round(float(rng.uniform()), 3),
                    )
                    for m in rng.integers(0, 60, 2)
                ]
    utc = datetime(2021, 3, 14, 3)
    for number in range(12):
        points = []
        for _ in range(int(rng.integers(0, 6))):
            platform, market = PLATFORMS[int(rng.integers(3))], VALUES[int(rng.integers(len(VALUES)))]
            named = {
                name: v
                for name, v in (("platform", platform), ("marketplace", market))
                if v is not None or rng.random() < 0.5
            }
            if named not in [p[0] for p in points]:
                points.append((named, float(rng.integers(1, 500))))
        shares: dict[str, dict[str | None, float]] = {
            "platform": {"pc": 70.0, None: 30.0},
            "marketplace": {VALUES[number % 9]: 60.0, "never": 40.0},
        }
        body = json.loads(
            alert_body(
                ["views", "revenue"][number % 2],
                timestamp=f"{utc + timedelta(hours=number // 2 % 5):%Y-%m-%dT%H:%M}Z[UTC]",
                event=f"e{number}",
                score=float(number * 7 + 1),
                series=points,
                contributions=shares,
            )
        )
        for place, one in enumerate(body["impactedMetric"]["relevantTimeSeries"]):
            if number % 3 and (place or number % 2):  # some sources give no expected value, or not for each series
                one["expectedValue"] = one["metricValue"] * 2
        alerts.append(body)
    return pd.DataFrame(live, columns=["platform", "marketplace", "timestamp", "views", "revenue"]), alerts


@pytest.fixture(scope="module", params=FORMATS)
def lake(request, tmp_path_factory):
    """The lake of `frames` in one format: a connection, and the database's name."""
    root: Path = tmp_path_factory.mktemp(request.param)
    item = metric_set_yaml.parse(shop_text(ZONE), "shop")
    live, alerts = frames()
    local_pipeline.write_live_data(live, item, FolderStore(root))
    outcome = ingest_messages(
        [Message(str(n), json.dumps(body)) for n, body in enumerate(alerts)], FolderStore(root), (item,), request.param
    )
    assert (len(outcome.stored), outcome.quarantined, outcome.failed_ids) == (12, (), ())
    return duckdb_catalog.connect(root, [item]), database("anomalake", item)


def cells_in_pandas() -> pd.DataFrame:
    """One row for each series, measure and event."""
    rows = []
    for body in frames()[1]:
        metric, event = body["impactedMetric"], body["alertEventId"].split("event/")[1]
        for one in metric["relevantTimeSeries"]:
            named = {d["dimensionName"]: d["dimensionValue"] for d in one["dimensions"]}
            rows.append({
                "timestamp": pd.Timestamp(body["timestamp"][:16]), "platform": named.get("platform"), "marketplace": named.get("marketplace"),
                "measure": metric["metricName"], "event": event,
                "score": body["anomalyScore"], "value": one["metricValue"], "expected": one.get("expectedValue"),
            })  # fmt: skip
    return pd.DataFrame(rows).sort_values("score").fillna({"platform": "∅", "marketplace": "∅"})


def anomalies_in_pandas() -> pd.DataFrame:
    """One row for each series and hour: of each measure the event with the highest score (no two have the same)."""
    return cells_in_pandas().groupby(["timestamp", "platform", "marketplace", "measure"]).tail(1)


def test_live_joins_anomalies_and_nothing_of_either_is_missing(lake):
    connection, db = lake
    view = connection.sql(f"SELECT * FROM {db}.anomalies_with_live").df().fillna({"platform": "∅", "marketplace": "∅"})
    live = frames()[0].fillna({"platform": "∅", "marketplace": "∅"})
    wall = pd.to_datetime(live.timestamp).dt.floor("h")
    live["timestamp"] = wall.dt.tz_localize(ZONE).dt.tz_convert("UTC").dt.tz_localize(None)
    keys = ["timestamp", "platform", "marketplace"]
    live = (
        live.groupby(keys, as_index=False).agg(views=("views", "sum"), revenue=("revenue", "mean")).assign(alive=True)
    )
    wide = anomalies_in_pandas().pivot(index=keys, columns="measure", values=["value", "score", "expected"])
    wide.columns = [f"{measure}_{what}" for what, measure in wide.columns]
    expected = (
        live.merge(wide.reset_index().assign(anomalous=True), on=keys, how="outer")
        .sort_values(keys)
        .reset_index(drop=True)
    )
    view = view.sort_values(keys).reset_index(drop=True)
    assert len(view) == len(expected)
    for column, other in {
        "timestamp": "timestamp", "platform": "platform", "marketplace": "marketplace", "views": "views", "revenue": "revenue",
        "viewsanomalymetricvalue": "views_value", "viewsgroupscore": "views_score", "viewsexpectedvalue": "views_expected",
        "revenueanomalymetricvalue": "revenue_value", "revenuegroupscore": "revenue_score",
    }.items():  # fmt: skip
        pd.testing.assert_series_equal(view[column], expected[other], check_names=False, check_dtype=False, obj=column)
    assert (view.haslive == expected.alive.notna()).all()
    assert (view.isanomaly == expected.anomalous.notna()).all()
    assert (view.date == view.timestamp.dt.strftime("%Y-%m-%d")).all()
    local = view.timestamp.dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.tz_localize(None)
    pd.testing.assert_series_equal(view.localtimestamp, local, check_names=False, check_dtype=False)
    assert {True, False} == set(view.haslive) == set(view.isanomaly)


def test_contributions_meet_the_series_that_carry_them_and_their_shares_give_them_back(lake):
    connection, db = lake
    view = connection.sql(f"SELECT * FROM {db}.anomalies_with_contributions").df()
    cells = cells_in_pandas()
    found = {}
    for body in frames()[1]:
        event = body["alertEventId"].split("event/")[1]
        for dimension in body["impactedMetric"]["dimensionContribution"]:
            for share in dimension["dimensionValueContributions"]:
                value = share["dimensionValue"] or "∅"
                carrying = cells[(cells.event == event) & (cells[dimension["dimensionName"]] == value)]
                weight = (carrying.value - carrying.expected).abs()
                if weight.isna().any() or weight.sum() == 0:
                    weight = pd.Series(1.0, carrying.index)
                place = (event, dimension["dimensionName"], share["dimensionValue"])
                found[place] = (
                    sorted(share["valueContribution"] * weight / weight.sum())
                    if len(carrying)
                    else [share["valueContribution"]]
                )
    grouped = {
        (event, name, None if pd.isna(value) else value): sorted(rows.contributionshare)
        for (event, name, value), rows in view.groupby(["eventid", "dimensionname", "dimensionvalue"], dropna=False)
    }
    assert grouped.keys() == found.keys()
    for place, shares in found.items():
        assert grouped[place] == pytest.approx(shares), place
        assert sum(grouped[place]) == pytest.approx(sum(shares))
    assert view.key.isna().any()
    assert view.key.notna().any()


def test_the_log_has_one_row_an_event_newest_first_with_its_severity(lake):
    connection, db = lake
    log = connection.sql(f"SELECT * FROM {db}.anomaly_log").df()
    assert sorted(log.eventid) == sorted(f"e{n}" for n in range(12))
    assert log.timestamp.is_monotonic_decreasing
    bounds = [(30, "low"), (60, "medium"), (80, "high"), (101, "critical")]
    assert list(log.severity) == [next(label for bound, label in bounds if score < bound) for score in log.groupscore]


def test_all_metric_sets_are_asked_at_once(lake):
    connection, db = lake
    ((anomalies,),) = connection.sql("SELECT count(*) FROM anomalake.all_anomalies").fetchall()
    assert anomalies == len(anomalies_in_pandas())
    for name, of in (("all_contributions", "anomalies_with_contributions"), ("all_anomaly_log", "anomaly_log")):
        counts = {
            connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in (f"anomalake.{name}", f"{db}.{of}")
        }
        assert len(counts) == 1
    assert connection.sql("SELECT DISTINCT metricset FROM anomalake.all_anomaly_log").fetchall() == [("shop",)]


# Texts that CSV readers, SQL or spreadsheets could take for something else, at any place where an alert may have a text.
TRAPS = ["", '""', "%", "\0", "=1;2", "a\nb", "\\N", "\ufeff", "\uff1d1", "-1\t2"]
wild = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(exclude_categories=["Cs"])))
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4
)  # live files cannot hold line breaks
places = st.one_of(st.none(), wild, st.sampled_from(["pc", "us"]))
real = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 3.0, 1e-7, 1e22]))


@st.composite
def wild_alerts(draw):
    """An alert of `shop` or `other`, with any text and number where one may stand."""
    name, shares = draw(st.sampled_from(["shop", "other"])), st.dictionaries(places, st.floats(-1e9, 1e9), max_size=3)
    series = draw(
        st.lists(
            st.tuples(st.fixed_dictionaries({}, optional={"platform": places, "marketplace": places}), real), max_size=4
        )
    )
    body = json.loads(
        alert_body(
            draw(st.sampled_from(["views", "revenue"])),
            timestamp=f"2021-03-14T0{draw(st.integers(3, 5))}:00Z",
            event=draw(wild.filter(bool)),
            score=draw(st.one_of(st.none(), st.floats(0, 100))),
            series=series,
            contributions=draw(st.dictionaries(st.sampled_from(["platform", "marketplace"]), shares)),
            anomalyDetectorArn=f"{draw(wild)}:{name}",
            **draw(
                st.fixed_dictionaries(
                    dict.fromkeys(
                        ["alertName", "anomalyGroupId", "consoleUrl", "source", "direction", "rootCause"], places
                    )
                )
            ),
        )
    )
    for one in body["impactedMetric"]["relevantTimeSeries"]:
        one.update(draw(st.fixed_dictionaries(dict.fromkeys(["expectedValue", "lowerBound", "upperBound"], real))))
    return json.dumps(body)


live_rows = st.lists(st.tuples(plain, plain, st.integers(0, 99), st.floats(0, 99)), min_size=1, max_size=4)
seen = st.lists(st.tuples(places, places, real, real), min_size=1, max_size=3)


def rows_of_every_view(connection, sets) -> dict[str, tuple]:
    """Each view's columns with their types, and its rows; numbers to nine digits, since a sum depends on the order."""
    names = [
        f"{view.database}.{view.name}"
        for made in (
            *(views_of_set(item, "anomalake", "csv") for item in sets),
            views_over_all_sets(sets, "anomalake", "csv"),
        )
        for view in made
    ]
    return {
        name: (
            [column[:2] for column in connection.sql(f"DESCRIBE {name}").fetchall()],
            sorted(
                repr([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row])
                for row in connection.sql(f"FROM {name}").fetchall()
            ),
        )
        for name in names
    }


@settings(max_examples=6)
@given(st.lists(wild_alerts(), min_size=6, max_size=16), live_rows, seen)
def test_every_view_gives_the_same_rows_in_both_formats(arrived, live, observed):
    shop, other = (
        metric_set_yaml.parse(shop_text(ZONE), "shop"),
        metric_set_yaml.parse(shop_text(name="name: other").partition("source:")[0], "other"),
    )
    frame = pd.DataFrame(live, columns=["platform", "marketplace", "views", "revenue"]).assign(
        timestamp="2021-03-13 23:10:00"
    )
    at = datetime(2021, 3, 14, 4)
    records = [
        (build_series_key(names), at, *names, "views", value, expected, None, None, 50.0)
        for *names, value, expected in observed
    ]
    found = []
    for form in FORMATS:
        with tempfile.TemporaryDirectory() as root:
            store = FolderStore(Path(root))
            local_pipeline.write_live_data(frame, shop, store)
            outcome = ingest_messages(
                [Message(str(number), body) for number, body in enumerate(arrived)], store, (shop, other), form
            )
            assert (len(outcome.stored), outcome.quarantined, outcome.failed_ids) == (len(arrived), (), ())
            data = encoding.encode_records(form, tables.schema("observations", shop), records)
            store.put(layout.table_key("observations", shop, at, form), data)
            found.append(rows_of_every_view(duckdb_catalog.connect(store.root, [shop, other], form), (shop, other)))
    assert found[0] == found[1]
    assert all(
        rows
        for name, (_, rows) in found[0].items()
        if name.endswith(("shop.anomalies_with_live", "shop.metrics_with_band", "all_anomaly_log"))
    )


hostile = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8))


@pytest.mark.parametrize("form", FORMATS)
def test_any_value_survives_to_the_typed_view(form, tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    values = [
        "",
        " ",
        "a\nb",
        "a\r\nb",
        "\t=1",
        "+1",
        "-1",
        "@x",
        "=cmd|' /C calc'!A0",
        '"',
        '""',
        "''",
        "\\",
        "\\N",
        "%00",
        "%2C",
        "null",
        "é🦀",
        "\u2028",
    ]
    series = [({"platform": value, "marketplace": "us"}, float(n)) for n, value in enumerate([*values, None])]
    ingest_messages(
        [Message("m", alert_body(series=series, contributions={"platform": {"": 1.5}}))],
        FolderStore(tmp_path),
        (item,),
        form,
    )
    connection = duckdb_catalog.connect(tmp_path, [item])
    rows = connection.sql(
        'SELECT platform, "key", viewsanomalymetricvalue FROM anomalake_shop.anomalies_with_live'
    ).fetchall()
    assert {(value, key, number) for value, key, number in rows} == {
        (value, build_series_key([value, "us"]), float(n)) for n, value in enumerate([*values, None])
    }
    assert connection.sql(
        "SELECT dimensionvalue, contributionshare FROM anomalake_shop.anomalies_with_contributions"
    ).fetchall() == [("", 1.5)]


@given(st.lists(hostile, min_size=2, max_size=2))
def test_sql_and_python_compute_the_same_key(pair):
    literals = ["CAST(NULL AS varchar)" if value is None else sql.literal(value) for value in pair]
    (row,) = CONNECTION.execute(
        f"SELECT {duckdb_catalog.to_duckdb('SELECT ' + sql.series_key(literals)).removeprefix('SELECT ')}"
    ).fetchall()
    assert row == (build_series_key(pair),)


@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from([ZONE, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_sql_and_python_agree_on_every_wall_time(wall, zone):
    from anomalake.domain import intervals

    wall = wall.replace(microsecond=0)
    literal = f"TIMESTAMP '{wall:%Y-%m-%d %H:%M:%S}'"
    to_utc, to_wall = sql.wall_to_utc(literal, zone), sql.utc_to_wall(literal, zone)
    ((utc, local),) = CONNECTION.execute(duckdb_catalog.to_duckdb(f"SELECT {to_utc}, {to_wall}")).fetchall()
    assert utc == intervals.to_utc(wall, zone)
    assert local == intervals.to_wall_time(wall, zone)


CONNECTION = duckdb_catalog.duckdb.connect()
CONNECTION.execute(duckdb_catalog._MACROS)


def test_an_empty_lake_answers_every_view_with_no_rows(tmp_path):
    sets = [metric_set_yaml.parse(shop_text(name=f"name: {name}"), name) for name in ("one", "two")]
    for form in FORMATS:
        connection = duckdb_catalog.connect(tmp_path, sets, form)
        names = connection.sql(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        assert len(names) == 2 * 13 + 4
        for (name,) in names:
            assert connection.sql(f"SELECT * FROM {name}").fetchall() == []


def test_names_that_the_sql_could_use_itself_are_names_like_others(tmp_path):
    names = ["series", "total", "weight", "start", "wall", "alive", "filename", "file", "_x"[1:], "one"]
    text = shop_text(dimensions=f"dimensions: [{', '.join(names)}]").replace(
        "columns: [platform, marketplace,", f"columns: [{', '.join(names)},"
    )
    item = metric_set_yaml.parse(
        text.replace("{name: views,", "{name: anomalous,").replace(" views,", " anomalous,"), "shop"
    )
    frame = pd.DataFrame(
        [{**dict.fromkeys(names, "v"), "timestamp": "2021-02-17 11:00:00", "anomalous": 1, "revenue": 2.0}]
    )
    local_pipeline.write_live_data(frame, item, FolderStore(tmp_path))
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


def test_files_that_the_detector_reads_and_no_others_are_in_the_view(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    header, folder = "platform,marketplace,timestamp,views,revenue\n", "shop/live/20210217/1100"
    store = FolderStore(tmp_path / "p=zz")
    store.put(
        f"{folder}/a.csv",
        f'\ufeff{header}"abc"def,us,2021-02-17 11:00:00,1,1\n pc,us, 2021-02-17 11:59:00 ,2, 2 \r\n\nshort,row\n'.encode(),
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
    # What stands behind a closing quote is read otherwise by every reader ("abc"def); what matters is that it costs no other row.
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
@pytest.mark.parametrize("zone", ["UTC", ZONE, "Europe/London", "Pacific/Kiritimati"])
@pytest.mark.parametrize("frequency", ["PT5M", "PT1H"])
def test_live_data_is_found_by_any_folders_in_any_zone_and_what_lies_beside_them_is_not(
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
    }:  # no date, and none of this width
        store.put(f"{stray}/a.csv", b"no data")
    assert list(live_data.list_files_by_interval(store, item)) == walls
    connection = duckdb_catalog.connect(tmp_path, [item])
    rows = connection.sql(
        'SELECT "localtimestamp", "timestamp", "date", views FROM anomalake_shop.anomalies_with_live ORDER BY 1'
    ).fetchall()
    assert rows == [
        (wall, intervals.to_utc(wall, zone), f"{intervals.to_utc(wall, zone):%Y-%m-%d}", 1.0) for wall in walls
    ]


def test_what_lies_beside_the_folders_of_intervals_is_not_opened(tmp_path):
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
def test_a_lake_is_read_by_whatever_name_its_folder_is_given(tmp_path, monkeypatch, root):
    item, store = metric_set_yaml.parse(shop_text(), "shop"), FolderStore(tmp_path)
    store.put(
        "shop/live/20210217/1100/a.csv",
        b"platform,marketplace,timestamp,views,revenue\npc,us,2021-02-17 11:00:00,1,1\n",
    )
    (tmp_path / "lake").mkdir()
    monkeypatch.chdir(tmp_path)
    connection = duckdb_catalog.connect(Path(root.format(name=tmp_path.name)), [item])
    assert connection.sql("SELECT views FROM anomalake_shop.anomalies_with_live").fetchall() == [(1.0,)]


def test_a_day_in_a_zone_that_skips_midnight_is_a_day(tmp_path):
    text = shop_text(
        "America/Sao_Paulo", frequency="frequency: P1D", timestamp="timestamp: {column: timestamp, format: yyyy-MM-dd}"
    )
    item = metric_set_yaml.parse(text.replace("/{{HHmm}}", ""), "shop")
    days = ["2018-11-03", "2018-11-04", "2018-11-05"]  # clocks skipped the midnight of the 4th
    frame = pd.DataFrame(
        [{"platform": "p", "marketplace": "m", "timestamp": day, "views": 1, "revenue": 1.0} for day in days]
    )
    assert local_pipeline.write_live_data(frame, item, FolderStore(tmp_path)) == (3, [])
    report = local_pipeline.run_backtest(item, FolderStore(tmp_path), (item,), "parquet")
    assert (report.rows, report.finding_count) == (3, 0)
    connection = duckdb_catalog.connect(tmp_path, [item])
    live = connection.sql('SELECT "timestamp" FROM anomalake_shop.anomalies_with_live ORDER BY 1').fetchall()
    seen = connection.sql('SELECT DISTINCT "timestamp" FROM anomalake_shop.metrics_with_band ORDER BY 1').fetchall()
    assert live == seen
    assert len(live) == 3


def test_a_contribution_is_split_by_deviation_or_equally_where_one_is_unknown(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    series = [({"platform": "pc", "marketplace": "us"}, 30.0), ({"platform": "pc", "marketplace": "de"}, 10.0)]
    for hour, expected in (("11", [0.0, 0.0]), ("12", [0.0, None]), ("13", [30.0, 10.0])):
        body = json.loads(
            alert_body(timestamp=f"2021-02-17T{hour}:00Z", series=series, contributions={"platform": {"pc": 80.0}})
        )
        for one, value in zip(body["impactedMetric"]["relevantTimeSeries"], expected, strict=True):
            one["expectedValue"] = value
        ingest_messages([Message("m", json.dumps(body))], FolderStore(tmp_path), (item,), "parquet")
    statement = (
        'SELECT hour("timestamp"), marketplace, contributionshare FROM anomalake_shop.anomalies_with_contributions'
    )
    shares = {
        (hour, market): share
        for hour, market, share in duckdb_catalog.connect(tmp_path, [item]).sql(statement).fetchall()
    }
    assert shares == {
        (11, "us"): 60.0,
        (11, "de"): 20.0,
        (12, "us"): 40.0,
        (12, "de"): 40.0,
        (13, "us"): 40.0,
        (13, "de"): 40.0,
    }
