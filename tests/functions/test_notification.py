"""Notifications of alerts: their texts, how often they are sent, and what happens when sending fails."""

import json
from datetime import datetime
from typing import Any

import pytest

from anomalake.detect import events
from anomalake.domain import alert, metric_set, metric_set_yaml
from anomalake.functions import ingest as function
from anomalake.functions import messaging, notification
from anomalake.functions.settings import Settings
from anomalake.lake.ingest import Message
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from examples import alert_body, shop_text

BERLIN = metric_set_yaml.parse(
    shop_text("Europe/Berlin").replace(
        "{name: views, aggregation: SUM}", "{name: views, aggregation: SUM, label: Page views, unit: clicks}"
    )
    + "label: Web shop\n",
    "shop.yaml",
)


def format_alert(item: metric_set.MetricSet = BERLIN, dashboard: str = "", **more: Any) -> notification.Notification:
    return notification.format_notification(alert.parse(alert_body(**more)), item, dashboard)


def test_the_long_text_shows_the_measure_time_severity_contributors_and_link():
    series = [({"platform": "pc_web", "marketplace": "us"}, 812.25)]
    message = format_alert(series=series, direction="above", source="anomalake")
    assert message.subject == "[high] Web shop: Page views above the expected value"
    assert message.long == (
        "Page views of Web shop is anomalous: above the expected value.\n"
        "\n"
        "Time         2021-02-17 12:00 (Europe/Berlin), interval PT1H\n"
        "Severity     high, 71.5 of 100\n"
        "Time series  1\n"
        "Contributors platform pc_web 64 %, mobile_app 36 %\n"
        "             marketplace us 100 %\n"
        "Values       platform=pc_web, marketplace=us: 812.25 clicks\n"
        "Details      https://eu-west-1.console.aws.amazon.com/lookoutmetrics/home#x\n"
        "Event        5b0e7c9a\n"
    )


def test_a_short_message_fits_one_sms():
    message = format_alert(contributions={"platform": {"x" * 300: 100.0}})
    assert len(message.short) == 160
    assert message.short.startswith(
        "Web shop: Page views anomalous, 2021-02-17 12:00 (Europe/Berlin), high, 71.5 of 100; platform xxx"
    )


def test_without_a_link_the_text_shows_the_dashboard_and_without_both_no_link():
    assert "Details      https://dash/1\n" in format_alert(dashboard="https://dash/1", consoleUrl=None).long
    assert "https://dash/1" not in format_alert(dashboard="https://dash/1").long
    assert "Details" not in format_alert(consoleUrl=None).long


HOSTILE = "x\nSubject: y\r\n\x00\x1b[31m\u2028z\u202e\x85!"


def test_a_text_of_a_sender_cannot_add_a_line_or_an_invisible_character():
    plain = format_alert(series=[({"platform": "a"}, 1.0)], contributions={"platform": {"a": 100.0}}, consoleUrl=None)
    message = format_alert(
        series=[({"platform": HOSTILE}, 1.0)],
        contributions={"platform": {HOSTILE: 100.0}},
        consoleUrl=f"https://x/{HOSTILE}",
        rootCause=HOSTILE,
        alertName=HOSTILE,
        alertDescription=HOSTILE,
        direction=HOSTILE,
        source=HOSTILE,
        anomalyGroupId=HOSTILE,
        event=HOSTILE,
        dashboard=HOSTILE,
    )
    assert message.long.count("\n") == plain.long.count("\n") + 1  # the cause
    for text in (*message.long.split("\n"), message.subject, message.short):
        assert text.isprintable()
    assert "Details" not in message.long


@pytest.mark.parametrize("field", ["series", "contributions"])
def test_a_dimension_name_cannot_add_a_line(field):
    body = alert_body(**{field: [({HOSTILE: "a"}, 1.0)] if field == "series" else {HOSTILE: {"a": 1.0}}})
    message = notification.format_notification(alert.parse(body), BERLIN)
    assert all(line.isprintable() for line in [*message.long.split("\n"), message.subject, message.short])


@pytest.mark.parametrize(
    "link",
    [
        "http://x/y",
        "javascript:alert(1)",
        "data:text/html,x",
        "HTTPS://x",
        " https://x",
        "https://x y",
        "https://",
        "https://x\ny",
        "//x",
        "x",
        "https://x\u202ey",
        "https://x/<b>",
        'https://x/"',
    ],
)
def test_a_link_that_is_not_https_is_omitted(link):
    assert "Details" not in format_alert(consoleUrl=link).long
    assert "Details      https://dash/1\n" in format_alert(consoleUrl=link, dashboard="https://dash/1").long
    assert "Details" not in format_alert(consoleUrl=None, dashboard=link).long


def test_a_subject_is_valid_for_sns_with_every_name():
    item = metric_set_yaml.parse(shop_text() + f'label: "Überschuß\\n{"x" * 200}"\n', "shop.yaml")
    subject = format_alert(item).subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100


def test_a_message_is_within_the_limit_of_sns_whatever_the_sender_writes():
    huge = "貨" * 100_000
    message = format_alert(
        rootCause=huge,
        consoleUrl=f"https://{huge}",
        alertEventId=huge[:512],
        series=[({"platform": huge, "marketplace": huge}, 1.0)] * 50,
        contributions={"platform": {huge: 60.0, f"{huge}2": 40.0}, "marketplace": {huge: 100.0}},
    )
    assert len(json.dumps({"default": message.short, "email": message.long, "sms": message.short})) < 200_000
    again = json.loads(alert_body())
    again["impactedMetric"]["dimensionContribution"] *= 10_000  # a sender can name a dimension twice
    message = notification.format_notification(alert.parse(json.dumps(again)), BERLIN)
    assert len(json.dumps({"default": message.short, "email": message.long, "sms": message.short})) < 200_000


# --- sending


class Topic:
    """An SNS client that records the requests."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.down = False

    def publish(self, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import EndpointConnectionError

        if self.down:
            raise EndpointConnectionError(endpoint_url="https://sns")
        self.published.append(parameters)
        return {}


@pytest.fixture
def topic(monkeypatch) -> Topic:
    client = Topic()
    monkeypatch.setattr(messaging, "_client", lambda service: client)
    return client


@pytest.fixture
def settings(shop) -> Settings:
    return Settings(
        ObjectStore.memory(),
        (shop,),
        "parquet",
        topic_arn="arn:topic",
        notify_score=60,
        dashboard_url="https://dash/{metric_set}",
    )


def process(settings: Settings, *bodies: str) -> function.BatchResult:
    return function.process_batch([Message(f"m{number}", body) for number, body in enumerate(bodies)], settings)


def test_an_event_at_or_above_the_score_is_notified_once_however_often_it_arrives(settings, topic):
    bodies = [
        alert_body(event="a", score=60),
        alert_body(event="b", score=59.99),
        alert_body(event="c", score=None),
        alert_body(event="a", score=60),
    ]
    assert process(settings, *bodies).notified == 1
    assert process(settings, *bodies).notified == 0
    (sent,) = topic.published
    assert sent["TopicArn"] == "arn:topic"
    message = json.loads(sent["Message"])
    assert set(message) == {"default", "email", "sms"}
    assert message["email"].startswith("views of shop is anomalous.\n")
    assert (
        message["sms"]
        == message["default"]
        == "shop: views anomalous, 2021-02-17 11:00 (UTC), high, 60 of 100; platform pc_web 64 %, mobile_app 36 %"
    )
    assert sent["MessageStructure"] == "json"


def test_the_most_severe_alert_of_an_event_is_notified_with_the_link_of_the_dashboard(shop, topic):
    item = metric_set_yaml.parse(shop_text(name="name: my_shop"), "x")
    settings = Settings(
        ObjectStore.memory(),
        (item,),
        "parquet",
        topic_arn="arn:topic",
        notify_score=60,
        dashboard_url="https://dash/p-set-{metric_set}",
    )
    detector = {"anomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:my_shop", "consoleUrl": None}
    process(
        settings,
        alert_body(event="a", score=61, **detector),
        alert_body(event="a", score=90, **detector),
        alert_body(event="a", score=70, **detector),
    )
    (sent,) = topic.published
    text = json.loads(sent["Message"])["email"]
    assert "critical, 90 of 100" in text
    assert "Details      https://dash/p-set-my-shop\n" in text


def test_events_of_other_measures_and_times_are_notified_separately(settings, topic):
    process(
        settings,
        alert_body(event="a"),
        alert_body("revenue", event="a"),
        alert_body(event="a", timestamp="2021-02-17T12:00Z"),
    )
    assert len(topic.published) == 3


def test_a_failed_notification_returns_the_message_and_is_sent_with_the_next_attempt(settings, topic):
    topic.down = True
    result = process(settings, alert_body(event="a"), alert_body(event="b", score=10))
    assert (result.failed, result.filed) == (("m0",), 2)
    assert isinstance(result.error, StorageError)
    topic.down = False
    assert process(settings, alert_body(event="a")).notified == 1


def test_an_alert_that_was_not_filed_is_not_notified(settings, topic, monkeypatch):
    monkeypatch.setattr(settings.store, "create", lambda *_, **__: (_ for _ in ()).throw(StorageError("down")))
    assert process(settings, alert_body(event="a")).notified == 0
    assert topic.published == []


def test_without_a_topic_no_notification_is_sent_and_no_marker_is_written(settings, topic):
    assert process(settings._replace(topic_arn=""), alert_body()).notified == 0
    assert list(settings.store.list("notifications")) == []


def test_missing_data_is_notified_without_a_measure():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    missing = events.build_missing_data_alert(
        item, datetime(2021, 3, 1, 10), [("app", "us"), ("pc", "us")], [1], arrived=(1, 2, 50.0)
    )
    message = notification.format_notification(missing, item)
    assert message.subject == "[medium] shop: data did not arrive"
    assert message.long.startswith("Data of shop did not arrive.\n")
    assert "Cause        1 of 2 usual series came; missing: platform=pc (100 %)" in message.long
    assert message.short.startswith("shop: data did not arrive, 2021-03-01 10:00 (UTC), medium, 50 of 100")
