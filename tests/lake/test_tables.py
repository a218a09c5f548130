"""The tables: the merge gives the same bytes in any order, and both formats preserve all content of alerts."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.lake import encoding, layout, tables
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
FORMATS = ("parquet", "csv")
TIME = datetime(2021, 2, 17, 11)

# Few names and numbers, so that alerts often conflict in cells and events.
texts = st.sampled_from(["us", "de", "", "=1+1", 'a,"b"', "back\\slash", "line\nbreak", "%25|é", "🦀</script>"])
numbers = st.one_of(st.none(), st.sampled_from([-0.0, 0.0, 1.0, 2.5, -3.0, 1e300]))
dimensions = st.dictionaries(st.sampled_from(["platform", "marketplace"]), st.one_of(st.none(), texts), max_size=2)
contributions = st.dictionaries(
    st.sampled_from(["platform", "marketplace"]),
    st.dictionaries(st.one_of(st.none(), texts), st.sampled_from([0.0, -0.0, 36.0, 64.0, 100.0]), max_size=3),
    max_size=2,
)
bodies = st.builds(
    lambda measure, event, score, series, shares, name: alert_body(
        measure, event=event, score=score, series=series, contributions=shares, alertName=name
    ),
    st.sampled_from(["views", "revenue"]),
    st.sampled_from(["e1", "e2"]),
    st.sampled_from([None, 0, 50, 50.0, 90.5]),
    st.lists(st.tuples(dimensions, numbers), max_size=3),
    contributions,
    st.sampled_from(["first", "second", None]),
)


def contents(batches: list[list[str]], form: str) -> dict[str, bytes]:
    """Return the tables after the batches, object by object."""
    store = ObjectStore.memory()
    for batch in batches:
        outcome = ingest_messages(
            [Message(str(number), body) for number, body in enumerate(batch)], store, (SHOP,), form
        )
        assert not outcome.failed_ids
        assert not outcome.quarantined
    return {key: stored.data for key in store.list("anomalyResults") if (stored := store.get(key))}


@settings(max_examples=60)
@given(st.data(), st.lists(bodies, min_size=1, max_size=5), st.sampled_from(FORMATS))
def test_order_duplicates_and_batches_do_not_change_the_bytes(data, some, form):
    expected = contents([some], form)
    again = data.draw(st.permutations(some + data.draw(st.lists(st.sampled_from(some), max_size=4))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(again)), max_size=3)))
    batches = [again[low:high] for low, high in zip([0, *cuts], [*cuts, len(again)], strict=True)]
    assert contents(batches, form) == expected


@settings(max_examples=60)
@given(st.lists(bodies, min_size=1, max_size=3), st.sampled_from(tables.ALERT_TABLES), st.sampled_from(FORMATS))
def test_units_are_unchanged_after_writing_and_reading_in_either_format(some, table, form):
    schema = tables.schema(table, SHOP)
    units = tables.merge_units(tables.units_from_alert(table, alerts.parse(body), SHOP) for body in some)
    data = encoding.encode_table(form, schema, tables.columns_from_units(table, units, SHOP, TIME))
    assert tables.units_from_columns(table, encoding.decode_table(form, schema, data, "here"), SHOP) == units


@pytest.mark.parametrize("form", FORMATS)
def test_zero_and_minus_zero_are_the_same_number(form):
    bodies = [
        alert_body(score=score, series=[({}, value)], contributions={"platform": {"pc": value}})
        for score, value in ((0.0, -0.0), (-0.0, 0.0))
    ]
    assert contents([bodies], form) == contents([bodies[::-1]], form)


@pytest.mark.parametrize("form", FORMATS)
def test_both_events_of_a_series_are_kept_and_the_one_with_the_higher_score_is_first(form):
    series: list[Any] = [({"platform": "pc", "marketplace": "us"}, 10.0)]
    low, high = (
        alert_body(event="z", score=20, series=series),
        alert_body(event="a", score=80, series=[(series[0][0], 5.0)]),
    )
    found = contents([[low], [high], [low]], form)
    (key,) = [key for key in found if "metricValue" in key]
    table = encoding.decode_table(form, tables.schema("metricValue_AnomalyScore", SHOP), found[key], key)
    assert (table["viewsAnomalyMetricValue"], table["viewsGroupScore"], table["viewsEventId"]) == (
        [5.0, 10.0],
        [80.0, 20.0],
        ["a", "z"],
    )
    assert table["eventRank"] == [0, 1]


def test_a_missing_dimension_of_a_series_is_null_and_does_not_affect_other_series():
    series = [({"marketplace": "us"}, 1.0), ({"platform": "pc", "marketplace": "de"}, 2.0), ({}, 3.0)]
    found = contents([[alert_body(series=series)]], "parquet")
    (key,) = [key for key in found if "metricValue" in key]
    table = encoding.decode_table("parquet", tables.schema("metricValue_AnomalyScore", SHOP), found[key], key)
    rows = dict(
        zip(zip(table["platform"], table["marketplace"], strict=True), table["viewsAnomalyMetricValue"], strict=True)
    )
    assert rows == {(None, "us"): 1.0, ("pc", "de"): 2.0, (None, None): 3.0}


def test_keys_name_set_version_date_and_time_in_utc():
    found = contents([[alert_body(timestamp="2021-02-17T11:20+02:00")]], "csv")
    assert set(found) == {
        f"anomalyResults/{table}/shop/v1/date=2021-02-17/2021-02-17T0900Z.csv"
        for table in ("metricValue_AnomalyScore", "dimensionContributions", "anomalyGroups")
    }


def test_every_object_has_every_column_in_the_same_order():
    stored = contents([[alert_body("views")], [alert_body("revenue", timestamp="2021-02-17T12:00Z")]], "csv")
    headers = {data.split(b"\n")[0] for key, data in stored.items() if "metricValue" in key}
    assert len(headers) == 1
    assert headers.pop().decode().split(",")[:5] == [
        "key",
        "timestamp",
        "platform",
        "marketplace",
        "viewsAnomalyMetricValue",
    ]


SIGNS = "=+@＝＋－＠-"  # noqa: RUF001  (what a spreadsheet takes for the beginning of a formula)
unsafe = st.text(st.sampled_from(SIGNS + "%\"',;\\|\t\r\n\0\x85\u2028\u3000\ufeff a_é"), max_size=6)
any_text = st.one_of(unsafe, st.text(st.characters(exclude_categories=["Cs"])))
CELLS = [tables.Column(name, "string") for name in "ab"]


@pytest.mark.parametrize("form", FORMATS)
@given(st.lists(st.tuples(*[st.one_of(st.none(), any_text)] * 2), min_size=1, max_size=4))
def test_every_text_is_unchanged_in_both_formats_and_null_differs_from_empty(form, rows):
    columns = {"a": [a for a, _ in rows], "b": [b for _, b in rows]}
    assert encoding.decode_table(form, CELLS, encoding.encode_table(form, CELLS, columns), "here") == columns


@pytest.mark.parametrize(
    "text", ["", '""', "%", "%00", "\0", "\ufeff", "\r\n", "\u2028", '"', "\\N", "\\", " ", ",", ";", "NULL", "%22%22"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_texts_that_look_like_other_values_are_unchanged_in_both_formats(form, text):
    columns = {"a": [text, None, text], "b": [None, text, ""]}
    assert encoding.decode_table(form, CELLS, encoding.encode_table(form, CELLS, columns), "here") == columns


@given(any_text, any_text)
def test_a_csv_line_splits_only_at_its_separators_and_no_cell_begins_like_a_formula(one, other):
    data = encoding.encode_table("csv", CELLS, {"a": [one], "b": [other]})
    _, line, end = data.decode().split("\n")
    assert (len(line.splitlines()), line.count(","), end) == (1, 1, "")
    for separator in ",;\t\n":
        for cell in line.split(separator):
            assert not re.match(rf"[\s\"'\ufeff]*[{SIGNS}]", cell)


def test_an_object_with_other_columns_is_rejected_with_a_remedy(shop):
    other = metric_set_yaml.parse(shop_text(dimensions="dimensions: [marketplace]"), "shop.yaml")
    data = encoding.encode_table(
        "csv", tables.schema("anomalyGroups", shop)[:3], {"timestamp": [], "metricName": [], "groupScore": []}
    )
    with pytest.raises(
        encoding.StorageError,
        match=r"some/key: has the columns timestamp, .*`version`.* rebuild it with `anomalake replay`",
    ):
        encoding.decode_table("csv", tables.schema("anomalyGroups", other), data, "some/key")
    with pytest.raises(encoding.StorageError, match="some/key: cannot be read as parquet"):
        encoding.decode_table("parquet", tables.schema("anomalyGroups", other), b"PAR1 not really", "some/key")


def test_the_archive_stores_each_body_as_received_and_the_quarantine_each_invalid_body():
    store = ObjectStore.memory()
    pretty = json.dumps(json.loads(alert_body()), indent=2)
    broken, surrogate = '{"alertName": ', '{"alertName": "\ud800"}'
    batch = [Message(str(n), body) for n, body in enumerate([pretty, alert_body(event="other"), broken, surrogate])]
    outcome = ingest_messages(batch, store, (SHOP,), "parquet")
    again = ingest_messages(reversed(batch), store, (SHOP,), "parquet")
    assert (
        (len(outcome.stored), len(outcome.quarantined), outcome.failed_ids)
        == (len(again.stored), len(again.quarantined), again.failed_ids)
        == (2, 2, ())
    )
    (archived,) = store.list("alerts")
    assert archived.startswith("alerts/shop/v1/date=2021-02-17/")
    lines = store.get(archived).data.decode().splitlines()
    assert {json.loads(line)["body"] for line in lines} == {pretty, alert_body(event="other")}
    quarantined = [json.loads(store.get(key).data) for key in store.list("quarantine")]
    assert {item["body"] for item in quarantined} == {broken, surrogate}
    assert all(item["reason"] for item in quarantined)


def test_layout_names_a_whole_day_by_its_date(shop):
    assert layout.day_key("observations", shop, "2021-02-17", "parquet") == (
        "anomalyResults/observations/shop/v1/date=2021-02-17/2021-02-17.parquet"
    )


@pytest.mark.parametrize("damaged", ["n/a", "17.02.2021"])
def test_a_damaged_object_is_a_storage_error_of_its_own_messages_only(damaged):
    store = ObjectStore.memory()
    ingest_messages([Message("m", alert_body())], store, (SHOP,), "csv")
    (key,) = store.list("anomalyResults/metricValue_AnomalyScore")
    old = b"812.25" if damaged == "n/a" else b"2021-02-17 11:00:00"
    store.put(key, store.get(key).data.replace(old, damaged.encode()))
    outcome = ingest_messages(
        [Message("same", alert_body("revenue")), Message("other", alert_body(timestamp="2021-02-17T12:00Z"))],
        store,
        (SHOP,),
        "csv",
    )
    assert outcome.failed_ids == ("same",)
    assert "cannot be read as csv" in str(outcome.error)
