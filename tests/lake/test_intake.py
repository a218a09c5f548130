"""Messages with several alerts: each alert is stored or quarantined separately, and a replay gives the same tables."""

import json
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.domain.names import to_column_name
from anomalake.lake import layout, replay, replay_day, replay_job
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages, split_by_size
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, event_text, shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
SEARCH_TEXT = """
name: search
frequency: PT10M
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [host_keyword, zone]
measures: [{name: requests, aggregation: SUM}]
alerts: {detectors: ['*']}
"""
NARROW = metric_set_yaml.parse(
    shop_text().replace("  - {name: revenue, aggregation: AVG}\n", "").replace("views, revenue]", "views]"), "shop.yaml"
)
MAPPING = (
    "mapping: {each: parts, metricName: m, timestamp: t, relevantTimeSeries: '[{metricValue: v}]', alertEventId: id}\n"
)
MAPPED = metric_set_yaml.parse(shop_text(name="name: mapped") + MAPPING, "mapped.yaml")
WIDER = metric_set_yaml.parse(shop_text(name="name: mapped").replace("revenue", "clicks") + MAPPING, "mapped.yaml")
GOOD, OTHER, STRANGE = (
    alert_body(event="good"),
    alert_body("revenue", event="other"),
    alert_body("clicks", event="strange"),
)


def contents(store, *folders) -> dict[str, bytes]:
    return {key: store.get(key).data for folder in folders for key in store.list(folder)}


def archived(store) -> list[str]:
    return sorted(json.loads(line)["body"] for data in contents(store, "alerts").values() for line in data.splitlines())


def quarantined(store) -> list[str]:
    return sorted(json.loads(data)["body"] for data in contents(store, "quarantine").values())


def filed(body, sets=(SHOP,), **more):
    store = ObjectStore.memory()
    return ingest_messages([Message("m", body)], store, sets, "csv", **more), store


def test_an_invalid_part_is_quarantined_alone_and_the_other_parts_are_stored():
    outcome, store = filed(f"[{GOOD}, {STRANGE}, {OTHER}, 5]")
    assert [item.alert.event_id for item in outcome.stored] == ["good", "other"]
    assert archived(store) == sorted([GOOD, OTHER])
    assert quarantined(store) == sorted([STRANGE, "5"])
    assert all("\n" not in refused.reason for refused in outcome.quarantined)


def test_a_message_without_a_valid_part_is_quarantined_once_as_received():
    body = f" [{STRANGE}, 5]"
    outcome, store = filed(body)
    assert (outcome.stored, quarantined(store), archived(store)) == ((), [body], [])
    assert "has no measure 'clicks'" in outcome.quarantined[0].reason
    assert "the JSON is not an object" in outcome.quarantined[0].reason


def test_invalid_parts_of_a_mapped_event_are_quarantined_alone_and_stored_after_the_metric_set_is_corrected():
    parts = [{"m": name, "t": "2026-07-14T11:00:00Z", "v": 1, "id": name} for name in ("views", "clicks")]
    body = json.dumps({"parts": parts})
    outcome, store = filed(body, (MAPPED,))
    assert [item.alert.impacted_metric.metric_name for item in outcome.stored] == ["views"]
    assert quarantined(store) == [json.dumps({"anomalakeMapping": "mapped", "part": parts[1]})]
    alone, _ = filed(quarantined(store)[0], (WIDER,))
    complete, _ = filed(body, (WIDER,))
    assert [item.alert for item in alone.stored] == [item.alert for item in complete.stored][1:]


def test_a_feature_that_the_metric_set_does_not_have_is_quarantined_alone():
    result = json.loads(event_text("opensearch_result"))
    causes = {attribution["feature_id"] for attribution in result["relevant_attribution"] if attribution["data"]}
    first, *others = (
        to_column_name(feature["feature_name"]) for feature in result["feature_data"] if feature["feature_id"] in causes
    )
    assert others
    item = metric_set_yaml.parse(SEARCH_TEXT.replace("requests", first), "search.yaml")
    outcome, store = filed(json.dumps(result), (item,))
    assert [stored.alert.impacted_metric.metric_name for stored in outcome.stored] == [first]
    (body,) = [json.loads(line) for line in quarantined(store)][:1]
    assert len(body["feature_data"]) == 1
    assert {**body, "feature_data": 0} == {**result, "feature_data": 0}


def test_a_message_with_too_many_events_is_quarantined_as_a_whole_and_the_command_stores_it():
    body = f"[{','.join(alert_body(event=f'e{n}') for n in range(101))}]"
    outcome, store = filed(body)
    assert (len(outcome.stored), quarantined(store)) == (0, [body])
    assert len(filed(body, max_events=None)[0].stored) == 101


@pytest.mark.parametrize("again", [1, 2])
def test_retrying_quarantine_keeps_only_messages_that_are_still_rejected(tmp_path, again):
    lake = FolderStore(tmp_path)
    body = f"[{OTHER}, {STRANGE}]"
    ingest_messages([Message("m", body)], lake, (NARROW,), "csv")
    assert quarantined(lake) == [body]
    job = replay_job.ReplayJob(str(tmp_path), (SHOP,), SHOP, "csv")
    for _ in range(again):
        done = [replay.retry_quarantine(job, keys) for keys in replay.list_quarantine(job)]
    assert quarantined(lake) == [STRANGE]
    assert archived(lake) == [OTHER]
    assert sum(batch.finding_count for batch in done) == 1
    assert done[0].findings[0].startswith("quarantine/")


@settings(deadline=None, max_examples=25)
@given(
    st.permutations([GOOD, OTHER, STRANGE, "7", alert_body(event="later", timestamp="2021-02-18T10:00Z")]), st.data()
)
def test_tables_do_not_depend_on_how_alerts_are_batched_and_replay_restores_them(tmp_path_factory, bodies, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(bodies) - 1))))
    bundles = [bodies[a:b] for a, b in zip([0, *cuts], [*cuts, len(bodies)], strict=True)]
    alone, bundled = (
        FolderStore(tmp_path_factory.mktemp("alone")),
        FolderStore(root := tmp_path_factory.mktemp("bundled")),
    )
    ingest_messages([Message(str(n), body) for n, body in enumerate(bodies)], alone, (SHOP,), "csv")
    ingest_messages(
        [
            Message(str(n), f"[{','.join(bundle)}]" if len(bundle) > 1 else bundle[0])
            for n, bundle in enumerate(bundles)
        ],
        bundled,
        (SHOP,),
        "csv",
    )
    before = contents(bundled, "anomalyResults")
    assert before == contents(alone, "anomalyResults")
    for key in before:
        (root / key).unlink()
    job = replay_job.ReplayJob(str(root), (SHOP,), SHOP, "csv")
    done = [replay_day.rebuild_day(job, day) for day in replay.list_days(job)]
    assert contents(bundled, "anomalyResults") == before
    assert sum(batch.finding_count for batch in done) == 0


def test_a_reason_never_contains_control_characters():
    outcome, _ = filed(json.dumps({"\x1b[31m\nx\u202e": 1}))
    assert outcome.quarantined[0].reason.isprintable()


@given(st.lists(st.integers(0, 1_500_000), max_size=8))
def test_messages_are_processed_in_order_in_small_batches(sizes):
    all_messages = [Message(str(n), "x" * size) for n, size in enumerate(sizes)]
    found = list(split_by_size(all_messages))
    assert [message for chunk in found for message in chunk] == all_messages
    assert all(
        chunk and (len(chunk) == 1 or sum(len(message.body) for message in chunk) <= 1_100_000) for chunk in found
    )


def test_each_part_has_its_own_interval():
    outcome, store = filed(f"[{GOOD}, {alert_body(event='later', timestamp='2021-02-18T10:00Z')}]")
    assert [item.timestamp for item in outcome.stored][1] == datetime(2021, 2, 18, 10)
    assert len({layout.date_in_key(key) for key in contents(store, "alerts")}) == 2
