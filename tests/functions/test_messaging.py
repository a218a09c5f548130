"""The alerts that the detect function sends to SQS: within the limits of a request, and escaped."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from anomalake.functions import detect, messaging
from anomalake.lake.store import StorageError
from detect_runs import HOUR, NOW, list_hours, read_objects, run, write_live_data


class FakeQueue:
    """An SQS client that records the requests."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def send_message_batch(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("send", parameters))
        return {"Successful": parameters["Entries"]}


def test_alerts_are_sent_in_requests_within_the_limits_of_sqs(monkeypatch):
    queue = FakeQueue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    bodies = [f"{number}{'x' * 300_000}" for number in range(7)] + ["small"] * 23
    messaging.send_messages("url", bodies)
    sent = [[entry["MessageBody"] for entry in parameters["Entries"]] for _, parameters in queue.calls]
    assert [body for batch in sent for body in batch] == bodies
    assert all(len(batch) <= 10 and sum(map(len, batch)) <= 1_000_000 for batch in sent)
    assert all(
        len({entry["Id"] for entry in parameters["Entries"]}) == len(parameters["Entries"])
        for _, parameters in queue.calls
    )


def test_a_partly_rejected_request_is_an_error(monkeypatch):
    queue = FakeQueue()
    monkeypatch.setattr(
        queue, "send_message_batch", lambda **_: {"Failed": [{"Id": "0", "Code": "InternalError", "Message": "again"}]}
    )
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    with pytest.raises(StorageError, match="SQS accepted 1 of 2 alerts: InternalError again"):
        messaging.send_messages("url", ["a", "b"])


def test_an_alert_too_large_for_a_message_is_filed_directly(settings, monkeypatch):
    queue = FakeQueue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    monkeypatch.setattr(detect, "MAX_REQUEST_BYTES", 1_000)
    queued = settings._replace(queue_url="url")
    write_live_data(settings.store, list_hours(HOUR - timedelta(days=15), datetime(2021, 3, 1, 9)))
    run(queued)
    write_live_data(settings.store, [datetime(2021, 3, 1, 10)], x0301T10=5_000.0)
    assert run(queued, NOW + timedelta(hours=1)).alerts == 1
    assert queue.calls == []
    assert len(read_objects(settings, "anomalyResults/anomalyGroups")) == 1


def test_characters_that_sqs_rejects_are_escaped(monkeypatch):
    queue = FakeQueue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    messaging.send_messages("url", [json.dumps({"value": "a\ufffe\uffffb"}, ensure_ascii=False)])
    (entry,) = queue.calls[0][1]["Entries"]
    assert not set(entry["MessageBody"]) & {"\ufffe", "\uffff"}
    assert json.loads(entry["MessageBody"]) == {"value": "a\ufffe\uffffb"}


def test_the_size_of_a_request_is_counted_in_bytes(settings, monkeypatch):
    queue = FakeQueue()
    monkeypatch.setattr(messaging, "_client", lambda service: queue)
    messaging.send_messages("url", ["貨" * 200_000] * 3)  # 600,000 bytes each
    assert [len(parameters["Entries"]) for _, parameters in queue.calls] == [1, 1, 1]
