"""Custom events: the mapping of a metric set reads them."""

import json
from pathlib import Path

import msgspec
import pytest

from anomalake import sources
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert import Alert, ImpactedMetric
from anomalake.domain.errors import AlertError, UserError
from anomalake.domain.metric_set import MAPPING_FIELDS
from anomalake.domain.routing import find_metric_set
from examples import event_text, shop_text

GRAFANA = metric_set_yaml.load(Path(__file__).parents[2] / "docs/metric_sets/grafana.yaml")
SERIES = "[{metricValue: value, dimensions: [{dimensionName: 'platform', dimensionValue: platform}]}]"
EVENT = {
    "kind": "anomaly",
    "metric": "views",
    "at": "2026-07-14T11:20:00Z",
    "score": 71.5,
    "value": 3,
    "platform": "pc",
}


def build_mapping_set(name="shop", **mapping):
    """The metric set of the shop with a mapping. Each keyword replaces or adds a field."""
    fields = {
        "metricName": "kind == 'anomaly' && metric",
        "timestamp": "at",
        "anomalyScore": "score",
        "relevantTimeSeries": SERIES,
        **mapping,
    }
    return metric_set_yaml.parse(shop_text(name=f"name: {name}") + f"mapping: {json.dumps(fields)}\n", name)


def read(event, *sets):
    return sources.read(json.dumps(event), sets or (build_mapping_set(),))


def test_mapping_accepts_only_fields_of_an_alert():
    named = {field.encode_name for kind in (Alert, ImpactedMetric) for field in msgspec.structs.fields(kind)}
    assert set(MAPPING_FIELDS) - {"each", "scale"} == named - {"impactedMetric", "anomalyDetectorArn", "alertArn"}


def test_event_becomes_an_alert_of_the_metric_set_that_maps_it():
    (alert,) = read(EVENT)
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.impacted_metric.metric_name, alert.timestamp, alert.anomaly_score, alert.source) == (
        "views",
        EVENT["at"],
        71.5,
        "mapping",
    )
    assert (series.metric_value, series.dimensions[0].dimension_value) == (3.0, "pc")
    assert find_metric_set(alert.anomaly_detector_arn, (build_mapping_set("store"), build_mapping_set())).name == "shop"


def test_example_mapping_reads_firing_alerts_of_grafana():
    (alert,) = sources.read(event_text("mapping_grafana"), (GRAFANA,))
    (series,) = alert.impacted_metric.relevant_time_series
    assert (alert.event_id, alert.source, alert.anomaly_score) == (
        "c6eadffa33fcdf37/2026-07-14T11:20:00Z",
        "grafana",
        None,
    )
    assert (series.metric_value, series.expected_value, series.dimensions[0].dimension_value) == (120.0, 400.0, "de")
    assert (alert.alert_name, alert.alert_description) == ("orders off", "fewer orders than usual")


def test_each_part_is_an_alert_and_an_empty_list_gives_none():
    item = build_mapping_set(each="parts")
    found = read({"parts": [EVENT, {**EVENT, "platform": "app"}]}, item)
    assert len({alert.event_id for alert in found}) == 2
    assert read({"parts": []}, item) == ()


def test_id_is_derived_from_measure_time_and_series_by_default():
    (alert,), (again,), (later,) = (
        read({**EVENT, **more}) for more in ({}, {"score": 99, "value": 4}, {"at": "2026-07-14T11:25:00Z"})
    )
    assert alert.event_id == again.event_id != later.event_id


@pytest.mark.parametrize(
    ("grade", "scale", "score"),
    [(0.29, "100", 29.0), (0.815, "1e2", 81.5), (0, "100", 0.0), (715, "0.1", 71.5), (None, "100", None)],
)
def test_grade_is_scaled_to_a_score(grade, scale, score):
    assert read({**EVENT, "score": grade}, build_mapping_set(scale=scale))[0].anomaly_score == score


def test_scale_can_be_a_number():
    text = shop_text() + "mapping: {metricName: metric, timestamp: at, anomalyScore: score, scale: 100}\n"
    assert read({**EVENT, "score": 0.5}, metric_set_yaml.parse(text, "shop"))[0].anomaly_score == 50.0


@pytest.mark.parametrize("scale", ["0", "-1", "nan", ".inf", "1e999", "true", "score", "[1]", f"'{'9' * 400}'"])
def test_scale_that_is_not_positive_is_rejected(scale):
    text = shop_text() + f"mapping: {{metricName: metric, timestamp: at, scale: {scale}}}\n"
    with pytest.raises(UserError, match=r"shop: mapping(.scale|\[...\]): "):
        metric_set_yaml.parse(text, "shop")


def test_scaled_score_above_one_hundred_is_rejected():
    with pytest.raises(AlertError, match="anomalyScore: 7150 must be from 0 to 100"):
        read(EVENT, build_mapping_set(scale="100"))


def test_score_that_is_not_a_number_is_rejected_with_any_scale():
    with pytest.raises(AlertError, match=r"got `str` - at `\$.anomalyScore`"):
        read({**EVENT, "score": "high"}, build_mapping_set(scale="100"))


SERIES_EXPECTED = SERIES.replace("value,", "value, expectedValue: expected,")


@pytest.mark.parametrize(
    ("expected", "given", "direction"),
    [(5, None, "below"), (1, None, "above"), (3, None, None), (None, None, None), (5, "above", "above")],
)
def test_direction_follows_from_value_and_expected_value_by_default(expected, given, direction):
    item = build_mapping_set(relevantTimeSeries=SERIES_EXPECTED, direction="direction")
    assert read({**EVENT, "expected": expected, "direction": given}, item)[0].direction == direction


@pytest.mark.parametrize("at", ["2026-07-14T12:00:00.5Z", 1_784_030_400.5, 1_784_030_400_500])
def test_report_time_can_be_mapped(at):
    assert (
        read({**EVENT, "sent": at}, build_mapping_set(reportedAt="sent"))[0].reported_at == "2026-07-14T12:00:00.500Z"
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda body: {"TopicArn": "t", "Message": body, "Timestamp": "2026-07-14T12:00:00.500Z"},
        lambda body: {"Records": [{"Sns": {"Message": body, "Timestamp": "2026-07-14T12:00:00.500Z"}}]},
        lambda body: {
            "source": "shop",
            "detail-type": "x",
            "detail": json.loads(body),
            "time": "2026-07-14T12:00:00.500Z",
        },
        lambda body: {
            "TopicArn": "t",
            "Timestamp": "2027-01-01T00:00:00Z",
            "Message": json.dumps(
                {"source": "shop", "detail-type": "x", "detail": json.loads(body), "time": "2026-07-14T12:00:00.500Z"}
            ),
        },
    ],
)
def test_report_time_comes_from_the_innermost_envelope_by_default(wrap):
    assert read(wrap(json.dumps(EVENT)))[0].reported_at == "2026-07-14T12:00:00.500Z"
    assert (
        read(wrap(json.dumps({**EVENT, "sent": 1_784_030_399})), build_mapping_set(reportedAt="sent"))[0].reported_at
        == "2026-07-14T11:59:59.000Z"
    )


@pytest.mark.parametrize("sent", ["soon", 5, None, {"a": 1}, "9999-01-01T00:00:00Z"])
def test_invalid_time_of_an_envelope_does_not_affect_the_alert(sent):
    assert read({"TopicArn": "t", "Message": json.dumps(EVENT), "Timestamp": sent})[0].reported_at is None
    assert read({"source": "shop", "detail-type": "x", "detail": EVENT, "time": sent})[0].reported_at is None


@pytest.mark.parametrize("at", [1_784_028_000, 1_784_028_000_000, 1_784_028_000.5])
def test_time_can_be_a_number_of_seconds_or_milliseconds(at):
    assert read({**EVENT, "at": at})[0].timestamp == "2026-07-14T11:20:00Z[UTC]"


def test_expression_that_finds_nothing_gives_null():
    (alert,) = read({**EVENT, "score": None, "value": None})
    assert (alert.anomaly_score, alert.direction, alert.impacted_metric.relevant_time_series[0].metric_value) == (
        None,
        None,
        None,
    )


def test_all_matching_mappings_read_an_event_and_a_failure_does_not_affect_the_others():
    assert [
        alert.anomaly_detector_arn.rpartition(":")[2]
        for alert in read(EVENT, build_mapping_set("a"), build_mapping_set("b"))
    ] == [
        "a",
        "b",
    ]
    assert len(read(EVENT, build_mapping_set("a", anomalyScore="platform"), build_mapping_set("b"))) == 1


@pytest.mark.parametrize(
    ("event", "more", "message"),
    [
        (
            {**EVENT, "kind": "other"},
            {},
            r"the event has no known source, and no mapping can read it \(shop\); it has the fields kind, metric, at",
        ),
        ({}, {"metricName": "starts_with(kind, 'a') && metric"}, "the event has no known source"),
        ({"parts": {}}, {"each": "parts"}, "the event has no known source"),
        ({"parts": [1]}, {"each": "parts"}, "the mapping of 'shop': metricName: .* finds nothing"),
        ({"parts": [EVENT] * 101}, {"each": "parts"}, "the event contains 101 alerts; the limit is 100"),
        (
            {**EVENT, "more": "x" * 262_144},
            {},
            r"the event has no known source, and is too long for a mapping: 262\d{3} characters",
        ),
        (
            {**EVENT, "score": "high"},
            {},
            r"the mapping of 'shop': not an alert: Expected `float \| null`, got `str` - at `\$.anomalyScore`",
        ),
        ({**EVENT, "score": 101}, {}, "anomalyScore: 101 must be from 0 to 100"),
        ({**EVENT, "metric": "clicks"}, {}, "has no measure 'clicks'"),
        ({**EVENT, "at": "today"}, {}, "timestamp: 'today' must look like"),
        ({**EVENT, "at": 1e300}, {}, "timestamp: 1e.300 is not a time since 1970"),
        (
            {**EVENT, "score": "1e999"},
            {"anomalyScore": "to_number(score)"},
            "anomalyScore: 'to_number.*' cannot be evaluated",
        ),
        (EVENT, {"direction": "nosuch(score)"}, "direction: 'nosuch.*' cannot be evaluated: Unknown function"),
    ],
)
def test_event_that_no_mapping_can_read_is_rejected_with_the_reason(event, more, message):
    with pytest.raises(AlertError, match=message):
        read(event, build_mapping_set(**more))
