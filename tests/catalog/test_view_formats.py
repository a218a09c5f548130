"""The views return the same rows over Parquet and CSV, whatever the values; SQL and Python agree on keys and times."""

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.catalog import duckdb_catalog, sql
from anomalake.catalog.views import views_of_set, views_over_all_sets
from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.domain.series_key import build_series_key
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text

pytestmark = pytest.mark.slow

FORMATS = ("parquet", "csv")
ZONE = "America/New_York"


# Texts that CSV readers, SQL or spreadsheets may misread. They appear wherever an alert can have a text.
TRAPS = ["", '""', "%", "\0", "=1;2", "a\nb", "\\N", "\ufeff", "\uff1d1", "-1\t2"]
wild = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(exclude_categories=["Cs"])))
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4
)  # live files cannot hold line breaks
places = st.one_of(st.none(), wild, st.sampled_from(["pc", "us"]))
real = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 3.0, 1e-7, 1e22]))


@st.composite
def alerts_with_any_text(draw):
    """An alert of `shop` or `other`, with any text and number in every place that accepts one."""
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
    for series in body["impactedMetric"]["relevantTimeSeries"]:
        series.update(draw(st.fixed_dictionaries(dict.fromkeys(["expectedValue", "lowerBound", "upperBound"], real))))
    return json.dumps(body)


live_rows = st.lists(st.tuples(plain, plain, st.integers(0, 99), st.floats(0, 99)), min_size=1, max_size=4)
seen = st.lists(st.tuples(places, places, real, real), min_size=1, max_size=3)


def read_every_view(connection, sets) -> dict[str, tuple]:
    """Return the columns with their types and the rows of each view. Numbers have nine digits, because a sum depends on
    the order.
    """
    names = [
        f"{view.database}.{view.name}"
        for views in (
            *(views_of_set(item, "anomalake", "csv") for item in sets),
            views_over_all_sets(sets, "anomalake", "csv"),
        )
        for view in views
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
@given(st.lists(alerts_with_any_text(), min_size=6, max_size=16), live_rows, seen)
def test_every_view_has_the_same_rows_in_both_formats(arrived, live, observed):
    shop, other = (
        metric_set_yaml.parse(shop_text(ZONE), "shop"),
        metric_set_yaml.parse(shop_text(name="name: other").partition("source:")[0], "other"),
    )
    frame = pd.DataFrame(live, columns=["platform", "marketplace", "views", "revenue"]).assign(
        timestamp="2021-03-13 23:10:00"
    )
    at = datetime(2021, 3, 14, 4)
    records = [
        (build_series_key(names), at, *names, "views", value, expected, None, None, 50.0, None)
        for *names, value, expected in observed
    ]
    found = []
    for form in FORMATS:
        with tempfile.TemporaryDirectory() as root:
            store = FolderStore(Path(root))
            write_live_data(frame, shop, store)
            outcome = ingest_messages(
                [Message(str(number), body) for number, body in enumerate(arrived)], store, (shop, other), form
            )
            assert (len(outcome.stored), outcome.quarantined, outcome.failed_ids) == (len(arrived), (), ())
            data = encoding.encode_records(form, tables.schema("observations", shop), records)
            store.put(layout.table_key("observations", shop, at, form), data)
            found.append(read_every_view(duckdb_catalog.connect(store.root, [shop, other], form), (shop, other)))
    assert found[0] == found[1]
    assert all(
        rows
        for name, (_, rows) in found[0].items()
        if name.endswith(("shop.anomalies_with_live", "shop.metrics_with_band", "all_anomaly_log"))
    )


hostile = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8))


@pytest.mark.parametrize("form", FORMATS)
def test_every_value_is_unchanged_in_the_typed_view(form, tmp_path):
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


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("newest", [False, True])
def test_observations_from_before_weights_existed_have_none(form, newest, tmp_path):
    item, start = metric_set_yaml.parse(shop_text(), "shop"), datetime(2021, 3, 1)
    schema, store = tables.schema("observations", item), FolderStore(tmp_path)
    old = ("pc|us", start, "pc", "us", "views", 1.0, None, None, None, None)
    store.put(
        layout.day_key("observations", item, "2021-03-01", form), encoding.encode_records(form, schema[:-1], [old])
    )
    if newest:
        new = ("pc|us", start + timedelta(days=1), *old[2:], 7.5)
        store.put(
            layout.day_key("observations", item, "2021-03-02", form), encoding.encode_records(form, schema, [new])
        )
    connection = duckdb_catalog.connect(tmp_path, [item], form)
    _, rows = duckdb_catalog.query(connection, 'SELECT "date", value, weight FROM metrics_with_band ORDER BY 1')
    assert rows == [("2021-03-01", 1.0, None), *([("2021-03-02", 1.0, 7.5)] if newest else [])]
