"""Every event is notified at least once, through real SNS and SQS interfaces.

The function is killed at each step, and the batch is delivered again.
"""

import json
import os
from collections import Counter
from typing import Any

import boto3
import pytest

import worker
from anomalake.lake.store import open_store
from examples import alert_body
from traffic import clean, messages, objects, settled

pytestmark = pytest.mark.slow

SEVERE_EVENTS = {
    "a": "2021-02-17T11:00Z",
    "b": "2021-02-17T12:00Z",
}  # the events at or above the score, and their times
BATCH = [alert_body(event=event, timestamp=at, score=80) for event, at in SEVERE_EVENTS.items()] + [
    alert_body(event="quiet", timestamp="2021-02-17T11:00Z", score=20)
]


class Subscriber:
    """A topic with a queue as its subscriber."""

    def __init__(self, endpoint: str, name: str) -> None:
        keys: dict[str, Any] = {
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }
        self._sqs, sns = boto3.client("sqs", **keys), boto3.client("sns", **keys)
        self.topic: str = sns.create_topic(Name=name)["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def receive(self) -> Counter[str]:
        """Receive the notified events since the last call."""
        found = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        texts = [json.loads(message["Body"])["Message"] for message in found]
        return Counter(event for text in texts for event, at in SEVERE_EVENTS.items() if at[11:16] in text)


@pytest.fixture
def environment(s3_lake, s3_endpoint, sets_folder) -> dict[str, str]:
    return {
        **os.environ,
        "ANOMALAKE_METRIC_SETS": str(sets_folder),
        "ANOMALAKE_FORMAT": "csv",
        "ANOMALAKE_NOTIFY_SCORE": "60",
        "AWS_ENDPOINT_URL_SNS": s3_endpoint,
    }


def test_after_a_kill_each_event_is_notified_after_its_tables_and_twice_only_without_its_marker(
    environment, s3_lake, s3_endpoint
):
    subscriber, expected = Subscriber(s3_endpoint, f"people-{os.urandom(4).hex()}"), clean("csv", BATCH)

    def deliver(lake: str, step: int = 0) -> worker.Answer | None:
        return worker.deliver(
            [messages(BATCH)],
            {**environment, "ANOMALAKE_LAKE": lake, "ANOMALAKE_TOPIC_ARN": subscriber.topic},
            worker.Plan(step),
        )

    untroubled = deliver(f"{s3_lake}/untroubled")
    assert untroubled is not None
    assert subscriber.receive() == Counter(SEVERE_EVENTS.keys())
    assert deliver(f"{s3_lake}/untroubled") is not None
    assert not subscriber.receive(), "an event with a marker is not notified again"
    twice = 0
    for step in range(1, untroubled.steps + 2):
        lake = f"{s3_lake}/{step}"
        store = open_store(lake)
        assert deliver(lake, step) is None
        early, marked = subscriber.receive(), len(list(store.list("notifications")))
        found = objects(store)
        for event in early:
            keys = [key for key in expected if SEVERE_EVENTS[event][:13] in key and key.startswith("anomalyResults/")]
            assert len(keys) == 3
            assert all(found.get(key) == expected[key] for key in keys), (
                f"step {step}: {event} was notified before its tables were written"
            )
        assert marked <= early.total() <= marked + 1
        again = deliver(lake)
        assert again is not None
        assert again.failed == ()
        notified = early + subscriber.receive()
        assert set(notified) == set(SEVERE_EVENTS), f"step {step}: an event was not notified"
        assert notified.total() == len(SEVERE_EVENTS) + early.total() - marked, f"step {step}"
        twice += notified.total() - len(SEVERE_EVENTS)
        assert settled(objects(store)) == settled(expected)
    assert twice == len(SEVERE_EVENTS)  # only a kill just before a marker is written repeats a notification
