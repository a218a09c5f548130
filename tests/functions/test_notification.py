"""What people are told of an alert, how often, and what happens when telling fails."""

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
from anomalake.lake.store import ObjectStore, StorageError
from examples import alert_body, shop_text

BERLIN = metric_set_yaml.parse(
    shop_text("Europe/Berlin").replace(
        "{name: views, aggregation: SUM}", "{name: views, aggregation: SUM, label: Page views, unit: clicks}"
    )
    + "label: Web shop\n",
    "shop.yaml",
)


def told(item: metric_set.MetricSet = BERLIN, dashboard: str = "", **more: Any) -> notification.Notification:
    return notification.format_notification(alert.parse(alert_body(**more)), item, dashboard)


def test_a_mail_says_what_when_how_severe_who_contributed_and_where_to_look():
    series = [({"platform": "pc_web", "marketplace": "us"}, 812.25)]
    made = told(series=series, direction="above", source="anomalake")
    assert made.subject == "[high] Web shop: Page views above the expected value"
    assert made.long == (
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
    made = told(contributions={"platform": {"x" * 300: 100.0}})
    assert len(made.short) == 160
    assert made.short.startswith(
        "Web shop: Page views anomalous, 2021-02-17 12:00 (Europe/Berlin), high, 71.5 of 100; platform xxx"
    )


def test_without_a_link_the_dashboard_is_where_to_look_and_without_both_nothing_is_said():
    assert "Details      https://dash/1\n" in told(dashboard="https://dash/1", consoleUrl=None).long
    assert "https://dash/1" not in told(dashboard="https://dash/1").long
    assert "Details" not in told(consoleUrl=None).long


HOSTILE = "x\nSubject: y\r\n\x00\x1b[31m\u2028z\u202e\x85!"


def test_no_text_of_a_sender_adds_a_line_or_a_character_that_is_not_seen_to_any_message():
    plain = told(series=[({"platform": "a"}, 1.0)], contributions={"platform": {"a": 100.0}}, consoleUrl=None)
    made = told(
        series=[({"platform": HOSTILE}, 1.0)], contributions={"platform": {HOSTILE: 100.0}}, consoleUrl=f"https://x/{HOSTILE}", rootCause=HOSTILE,
        alertName=HOSTILE, alertDescription=HOSTILE, direction=HOSTILE, source=HOSTILE, anomalyGroupId=HOSTILE, event=HOSTILE, dashboard=HOSTILE,
    )  # fmt: skip
    assert made.long.count("\n") == plain.long.count("\n") + 1  # the cause
    for text in (*made.long.split("\n"), made.subject, made.short):
        assert text.isprintable()
    assert "Details" not in made.long


@pytest.mark.parametrize("field", ["series", "contributions"])
def test_no_name_of_a_dimension_adds_a_line(field):
    body = alert_body(**{field: [({HOSTILE: "a"}, 1.0)] if field == "series" else {HOSTILE: {"a": 1.0}}})
    made = notification.format_notification(alert.parse(body), BERLIN)
    assert all(line.isprintable() for line in [*made.long.split("\n"), made.subject, made.short])


@pytest.mark.parametrize(
    "link",
    ["http://x/y", "javascript:alert(1)", "data:text/html,x", "HTTPS://x", " https://x", "https://x y", "https://", "https://x\ny", "//x", "x", "https://x\u202ey",
     "https://x/<b>", 'https://x/"'],
)  # fmt: skip
def test_a_link_is_https_or_it_is_left_out(link):
    assert "Details" not in told(consoleUrl=link).long
    assert "Details      https://dash/1\n" in told(consoleUrl=link, dashboard="https://dash/1").long
    assert "Details" not in told(consoleUrl=None, dashboard=link).long


def test_a_subject_is_what_sns_takes_whatever_the_names_are():
    item = metric_set_yaml.parse(shop_text() + f'label: "Überschuß\\n{"x" * 200}"\n', "shop.yaml")
    subject = told(item).subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100


def test_a_message_stays_within_what_sns_takes_whatever_the_sender_wrote():
    huge = "貨" * 100_000
    made = told(
        rootCause=huge, consoleUrl=f"https://{huge}", alertEventId=huge[:512], series=[({"platform": huge, "marketplace": huge}, 1.0)] * 50,
        contributions={"platform": {huge: 60.0, f"{huge}2": 40.0}, "marketplace": {huge: 100.0}},
    )  # fmt: skip
    assert len(json.dumps({"default": made.short, "email": made.long, "sms": made.short})) < 200_000
    again = json.loads(alert_body())
    again["impactedMetric"]["dimensionContribution"] *= 10_000  # a dimension may be named twice
    made = notification.format_notification(alert.parse(json.dumps(again)), BERLIN)
    assert len(json.dumps({"default": made.short, "email": made.long, "sms": made.short})) < 200_000


# --- by the function


class Topic:
    """What SNS would be asked."""

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
    made = Topic()
    monkeypatch.setattr(messaging, "_client", lambda service: made)
    return made


@pytest.fixture
def chosen(shop) -> Settings:
    return Settings(
        ObjectStore.memory(),
        (shop,),
        "parquet",
        topic_arn="arn:topic",
        notify_score=60,
        dashboard_url="https://dash/{metric_set}",
    )


def take(chosen: Settings, *bodies: str) -> function.BatchResult:
    return function.process_batch([Message(f"m{number}", body) for number, body in enumerate(bodies)], chosen)


def test_an_event_at_or_above_the_score_is_told_once_whoever_sends_it_again(chosen, topic):
    bodies = [
        alert_body(event="a", score=60),
        alert_body(event="b", score=59.99),
        alert_body(event="c", score=None),
        alert_body(event="a", score=60),
    ]
    assert take(chosen, *bodies).notified == 1
    assert take(chosen, *bodies).notified == 0
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


def test_of_several_alerts_of_one_event_the_most_severe_is_told_with_the_dashboard_s_link(shop, topic):
    item = metric_set_yaml.parse(shop_text(name="name: my_shop"), "x")
    chosen = Settings(
        ObjectStore.memory(),
        (item,),
        "parquet",
        topic_arn="arn:topic",
        notify_score=60,
        dashboard_url="https://dash/p-set-{metric_set}",
    )
    detector = {"anomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:my_shop", "consoleUrl": None}
    take(
        chosen,
        alert_body(event="a", score=61, **detector),
        alert_body(event="a", score=90, **detector),
        alert_body(event="a", score=70, **detector),
    )
    (sent,) = topic.published
    text = json.loads(sent["Message"])["email"]
    assert "critical, 90 of 100" in text
    assert "Details      https://dash/p-set-my-shop\n" in text


def test_events_of_other_measures_and_moments_are_told_too(chosen, topic):
    take(
        chosen,
        alert_body(event="a"),
        alert_body("revenue", event="a"),
        alert_body(event="a", timestamp="2021-02-17T12:00Z"),
    )
    assert len(topic.published) == 3


def test_when_telling_fails_the_message_is_handed_back_and_told_the_next_time(chosen, topic):
    topic.down = True
    taken = take(chosen, alert_body(event="a"), alert_body(event="b", score=10))
    assert (taken.failed, taken.filed) == (("m0",), 2)
    assert isinstance(taken.error, StorageError)
    topic.down = False
    assert take(chosen, alert_body(event="a")).notified == 1


def test_an_alert_whose_tables_failed_is_not_told(chosen, topic, monkeypatch):
    monkeypatch.setattr(chosen.store, "create", lambda *_, **__: (_ for _ in ()).throw(StorageError("down")))
    assert take(chosen, alert_body(event="a")).notified == 0
    assert topic.published == []


def test_without_a_topic_nobody_is_told_and_nothing_is_marked(chosen, topic):
    assert take(chosen._replace(topic_arn=""), alert_body()).notified == 0
    assert list(chosen.store.list("notifications")) == []


def test_data_that_did_not_arrive_is_told_without_a_measure():
    item = metric_set_yaml.parse(shop_text(), "shop.yaml")
    missing = events.build_missing_data_alert(
        item, datetime(2021, 3, 1, 10), [("app", "us"), ("pc", "us")], [1], arrived=(1, 2, 50.0)
    )
    told = notification.format_notification(missing, item)
    assert told.subject == "[medium] shop: data did not arrive"
    assert told.long.startswith("Data of shop did not arrive.\n")
    assert "Cause        1 of 2 usual series came; missing: platform=pc (100 %)" in told.long
    assert told.short.startswith("shop: data did not arrive, 2021-03-01 10:00 (UTC), medium, 50 of 100")
