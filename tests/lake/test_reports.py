"""Several reports of one event, and several events of one series: the tables show the latest report and keep every
event.
"""

import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.catalog import duckdb_catalog
from anomalake.cli import give_feedback
from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert import Alert
from anomalake.domain.alert_matching import get_dimension_values, match_to_metric_set
from anomalake.domain.errors import UserError
from anomalake.lake import encoding, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, event_text, shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


COST = metric_set_yaml.load(Path(__file__).parents[2] / "src/metric_sets/aws_cost.yaml")


TIME = datetime(2021, 2, 17, 11)


FORMATS = ("parquet", "csv")


PC, APP = {"platform": "pc", "marketplace": "us"}, {"platform": "app", "marketplace": "us"}


def report(*points, at=None, score=50, shares=None, **more) -> str:
    """Return a report of an event of the shop. `at` is its minute."""
    reported = {} if at is None else {"reportedAt": f"2021-02-17T12:{at:02}:00Z"}
    return alert_body(series=list(points), score=score, contributions=shares or {}, **reported, **more)


def lake(tmp_path: Path, bodies, form="parquet", item=SHOP) -> duckdb_catalog.Connection:
    outcome = ingest_messages(
        [Message(str(number), body) for number, body in enumerate(bodies)], FolderStore(tmp_path), (item,), form
    )
    assert (outcome.quarantined, outcome.failed_ids) == ((), ())
    return duckdb_catalog.connect(tmp_path, [item], form)


def shown(bodies, form="parquet") -> list[tuple]:
    """Return platform, value, score, event and event rank of the rows that are shown."""
    merged = tables.merge_units(
        tables.units_from_alert("metricValue_AnomalyScore", alerts.parse(body), SHOP) for body in bodies
    )
    table = tables.columns_from_units("metricValue_AnomalyScore", merged, SHOP, TIME)
    columns = ("platform", "viewsAnomalyMetricValue", "viewsGroupScore", "viewsEventId", "eventRank")
    return [row for row in zip(*(table[name] for name in columns), strict=True) if row[-1] >= 0]


points = st.lists(st.tuples(st.sampled_from([PC, APP, {}]), st.sampled_from([None, 1.0, 2.0])), max_size=3)


reports = st.builds(
    lambda series, at, score, event, measure, shares: report(
        *series, at=at, score=score, event=event, measure=measure, shares=shares
    ),
    points,
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([None, 20, 80]),
    st.sampled_from(["e1", "e2"]),
    st.sampled_from(["views", "revenue"]),
    st.sampled_from([None, {"platform": {"pc": 100.0}}, {"platform": {"app": 100.0}}]),
)


def units(table, body) -> tables.Units:
    return tables.units_from_alert(table, alerts.parse(body), SHOP)


@given(st.sampled_from(tables.ALERT_TABLES), st.tuples(reports, reports, reports))
def test_the_merge_is_commutative_associative_and_idempotent(table, three):
    a, b, c = (units(table, body) for body in three)
    assert tables.merge_units([a, b]) == tables.merge_units([b, a])
    assert tables.merge_units([tables.merge_units([a, b]), c]) == tables.merge_units([a, tables.merge_units([b, c])])
    assert tables.merge_units([a, b, a, b]) == tables.merge_units([a, b])


@settings(max_examples=60)
@given(
    st.sampled_from(tables.ALERT_TABLES),
    st.lists(reports, min_size=1, max_size=6),
    st.sampled_from(FORMATS),
    st.randoms(),
)
def test_continuing_from_the_rows_after_any_report_gives_the_same_rows(table, some, form, random):
    expected = tables.columns_from_units(table, tables.merge_units(units(table, body) for body in some), SHOP, TIME)
    random.shuffle(some)
    schema, known = tables.schema(table, SHOP), {}
    for body in some:
        rows = tables.columns_from_units(table, tables.merge_units([known, units(table, body)]), SHOP, TIME)
        known = tables.units_from_columns(
            table, encoding.decode_table(form, schema, encoding.encode_table(form, schema, rows), "here"), SHOP
        )
    assert tables.columns_from_units(table, known, SHOP, TIME) == expected


def valued(alert: Alert) -> bool:
    return any(series.metric_value is not None for series in alert.impacted_metric.relevant_time_series)


@given(st.lists(reports, min_size=1, max_size=6))
def test_the_tables_show_the_series_of_the_latest_report_with_their_last_known_values(some):
    read = [alerts.parse(body) for body in some]
    table = tables.columns_from_units(
        "metricValue_AnomalyScore",
        tables.merge_units(units("metricValue_AnomalyScore", body) for body in some),
        SHOP,
        TIME,
    )
    found = {}
    for row in zip(*table.values(), strict=True):
        cells = dict(zip(table, row, strict=True))
        for measure in SHOP.measure_names:
            if cells["eventRank"] >= 0 and cells[f"{measure}EventId"] is not None:
                found[cells["key"], measure, cells[f"{measure}EventId"]] = cells[f"{measure}AnomalyMetricValue"]
    expected = {}
    for measure, event in {(alert.impacted_metric.metric_name, alert.event_id) for alert in read}:
        event_alerts = [
            alert
            for alert in read
            if (alert.impacted_metric.metric_name, alert.event_id) == (measure, event)
            and alert.impacted_metric.relevant_time_series
        ]
        latest = max(
            ((valued(report_alert), report_alert.reported_at or "") for report_alert in event_alerts), default=None
        )
        for report_alert in event_alerts:
            if (valued(report_alert), report_alert.reported_at or "") == latest:
                for series in report_alert.impacted_metric.relevant_time_series:
                    key = tables.build_series_key(get_dimension_values(series, SHOP))
                    values = [
                        (valued(other), other.reported_at or "", same.metric_value)
                        for other in event_alerts
                        for same in other.impacted_metric.relevant_time_series
                        if tables.build_series_key(get_dimension_values(same, SHOP)) == key
                        and same.metric_value is not None
                    ]
                    newest = max((made for *made, _ in values), default=None)
                    expected[key, measure, event] = {value for *made, value in values if made == newest} or {None}
    assert found.keys() == expected.keys()
    for place, value in found.items():
        assert value in expected[place]


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_report_wins_even_if_its_score_and_value_are_lower(order):
    first, last = report((PC, 900.0), at=1, score=90), report((PC, 400.0), at=2, score=40)
    assert shown([first, last][::order]) == [("pc", 400.0, 40.0, "5b0e7c9a", 0)]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("at", [None, 2])
def test_a_report_without_a_value_never_replaces_a_report_with_a_value(order, at):
    known, null = report((PC, 900.0), at=None if at is None else 1, score=20), report((PC, None), at=at, score=90)
    assert shown([known, null][::order]) == [("pc", 900.0, 20.0, "5b0e7c9a", 0)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_series_that_a_later_report_names_without_a_value_keeps_its_last_one(order):
    first, last = report((PC, 1.0), (APP, 2.0), at=1), report((PC, 3.0), (APP, None), at=2)
    assert sorted(row[:2] for row in shown([first, last][::order])) == [("app", 2.0), ("pc", 3.0)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_series_that_a_later_report_no_longer_names_is_not_shown(order):
    first, last = report((PC, 1.0), (APP, 2.0), at=1), report((PC, 3.0), at=2)
    assert [row[:2] for row in shown([first, last][::order])] == [("pc", 3.0)]


def test_reports_without_a_time_add_up_their_series_as_two_alert_configurations_do():
    assert sorted(row[0] for row in shown([report((PC, 1.0)), report((APP, 2.0))])) == ["app", "pc"]


def test_a_report_with_a_time_ranks_above_a_report_without_a_time():
    assert shown([report((PC, 1.0), score=90), report((PC, 2.0), at=1, score=10)]) == [("pc", 2.0, 10.0, "5b0e7c9a", 0)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("order", [1, -1])
def test_contributions_root_cause_and_score_come_from_the_same_report(tmp_path, form, order):
    first = report((PC, 1.0), at=1, score=90, shares={"platform": {"pc": 100.0}}, rootCause="old")
    last = report((PC, 2.0), at=2, score=40, shares={"marketplace": {"us": 100.0}}, rootCause="new")
    connection = lake(tmp_path, [first, last][::order], form)
    assert connection.sql("SELECT groupscore, rootcause, reportedat FROM anomaly_log").fetchall() == [
        (40.0, "new", datetime(2021, 2, 17, 12, 2))
    ]
    assert connection.sql("SELECT dimensionname, groupscore, value FROM anomalies_with_contributions").fetchall() == [
        ("marketplace", 40.0, 2.0)
    ]
    assert connection.sql("SELECT value, groupscore FROM all_anomalies").fetchall() == [(2.0, 40.0)]


@pytest.mark.parametrize("order", [1, -1])
def test_contributions_of_an_earlier_report_are_not_shown_with_a_later_report_without_contributions(tmp_path, order):
    first, last = report((PC, 1.0), at=1, shares={"platform": {"pc": 100.0}}), report((PC, 2.0), at=2)
    assert lake(tmp_path, [first, last][::order]).sql("SELECT * FROM anomalies_with_contributions").fetchall() == []


@pytest.mark.parametrize("order", [1, -1])
def test_two_messages_of_one_state_complete_each_other(tmp_path, order):
    """SNS, which omits the amounts of the root causes, and EventBridge report the same state seconds apart."""
    detailed, brief = report((PC, 1.0), at=1, shares={"platform": {"pc": 100.0}}), report((PC, 1.0), at=2)
    connection = lake(tmp_path, [detailed, brief][::order])
    assert connection.sql("SELECT dimensionvalue, valuecontribution FROM anomalies_with_contributions").fetchall() == [
        ("pc", 100.0)
    ]


def test_an_update_of_a_cost_anomaly_is_shown_even_if_its_spend_fell(tmp_path):
    first = json.loads(event_text("cost_eventbridge"))
    fallen = {
        **first["detail"],
        "impact": {"totalActualSpend": 1200.0, "totalExpectedSpend": 1100.25},
        "rootCauses": first["detail"]["rootCauses"][:1],
    }
    later = {**first, "time": "2026-07-15T16:20:00Z", "detail": fallen}
    connection = lake(tmp_path, [json.dumps(later), json.dumps(first)], item=COST)
    assert connection.sql("SELECT value, expectedvalue FROM all_anomalies").fetchall() == [(1200.0, 1100.25)]
    assert connection.sql(
        "SELECT dimensionvalue FROM anomalies_with_contributions WHERE dimensionname = 'linked_account'"
    ).fetchall() == [("111122223333",)]


def test_a_cost_anomaly_whose_root_causes_come_later_has_one_row(tmp_path):
    first = json.loads(event_text("cost_eventbridge"))
    bare = {**first, "time": "2026-07-14T08:00:00Z", "detail": {**first["detail"], "rootCauses": []}}
    assert lake(tmp_path, [json.dumps(bare), json.dumps(first)], item=COST).sql(
        "SELECT service, costanomalymetricvalue FROM anomalies_with_live"
    ).fetchall() == [("Amazon EC2", 1500.25)]


@pytest.mark.parametrize("form", FORMATS)
def test_both_events_of_a_series_are_found_and_a_join_shows_the_first(tmp_path, form):
    shares = {"platform": {"pc": 100.0}}
    connection = lake(
        tmp_path,
        [report((PC, 1.0), score=80, event="a", shares=shares), report((PC, 2.0), score=30, event="b", shares=shares)],
        form,
    )
    assert connection.sql("SELECT eventid, value FROM all_anomalies ORDER BY 1").fetchall() == [("a", 1.0), ("b", 2.0)]
    assert connection.sql("SELECT viewseventid, viewsanomalymetricvalue FROM anomalies_with_live").fetchall() == [
        ("a", 1.0)
    ]
    assert connection.sql("SELECT eventid, value FROM anomalies_with_contributions ORDER BY 1").fetchall() == [
        ("a", 1.0),
        ("b", 2.0),
    ]


def test_an_event_with_a_value_is_shown_before_an_event_without_a_value_whatever_the_scores():
    assert shown([report((PC, None), score=99, event="z"), report((PC, 5.0), score=10, event="a")]) == [
        ("pc", 5.0, 10.0, "a", 0),
        ("pc", None, 99.0, "z", 1),
    ]


def test_two_measures_of_a_series_share_one_row():
    bodies = [report((PC, 1.0), event="a"), report((PC, 2.0), event="b", measure="revenue")]
    merged = tables.merge_units(units("metricValue_AnomalyScore", body) for body in bodies)
    assert tables.columns_from_units("metricValue_AnomalyScore", merged, SHOP, TIME)["eventRank"] == [0]


def test_feedback_on_an_event_applies_to_the_series_of_its_latest_report():
    store = ObjectStore.memory()
    bodies = [report((PC, 1.0), (APP, 2.0), at=1), report((PC, 3.0), at=2), report((PC, 9.0), score=99, event="other")]
    ingest_messages([Message(str(number), body) for number, body in enumerate(bodies)], store, (SHOP,), "parquet")
    (found,) = give_feedback.feedback_on_event("5b0e7c9a", SHOP, store, "parquet")
    assert found.series == (PC,)


@pytest.mark.parametrize("form", FORMATS)
def test_a_lake_of_an_older_anomalake_is_rejected_with_the_command_that_rebuilds_it(tmp_path, form):
    lake(tmp_path, [report((PC, 1.0), shares={"platform": {"pc": 100.0}})], form)
    store = FolderStore(tmp_path)
    for table in tables.ALERT_TABLES:
        (key,) = store.list(f"anomalyResults/{table}")
        schema = tables.schema(table, SHOP)
        old = [column for column in schema if not column.name.endswith(("eportId", "eventRank"))]
        columns = encoding.decode_table(form, schema, store.get(key).data, key)
        store.put(key, encoding.encode_table(form, old, {column.name: columns[column.name] for column in old}))
    with pytest.raises(
        UserError,
        match=r"lacks the columns .*eventRank, because an older version of Anomalake wrote it; "
        r".*`anomalake replay --lake ",
    ):
        duckdb_catalog.connect(tmp_path, [SHOP])
    outcome = ingest_messages([Message("m", report((PC, 1.0)))], store, (SHOP,), form)
    assert outcome.failed_ids == ("m",)
    assert "`anomalake replay`" in str(outcome.error)


def test_an_optional_dimension_is_stored_only_if_the_metric_set_declares_it():
    body = json.loads(report(({"marketplace": "us"}, 1.0)))
    body["impactedMetric"]["relevantTimeSeries"][0]["optionalDimensions"] = [
        {"dimensionName": "platform", "dimensionValue": "pc"},
        {"dimensionName": "marketplace", "dimensionValue": "never"},
        {"dimensionName": "statistic", "dimensionValue": "p99"},
    ]
    (series,) = match_to_metric_set(alerts.parse(json.dumps(body)), SHOP).impacted_metric.relevant_time_series
    assert get_dimension_values(series, SHOP) == ("pc", "us")
    assert series.optional_dimensions == ()
