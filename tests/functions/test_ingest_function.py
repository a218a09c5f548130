"""The ingest function: the events it accepts, the responses it returns, and the modules it imports."""

import json
import subprocess
import sys

import pytest

from anomalake.functions import ingest as function
from anomalake.functions import settings
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from examples import alert_body, event_text, sqs_event


@pytest.fixture
def lake(monkeypatch, function_lake):
    """The lake of the function, with CSV tables."""
    monkeypatch.setenv("ANOMALAKE_FORMAT", "csv")
    return function_lake


def results(store) -> list[str]:
    return list(store.list("anomalyResults"))


def test_a_batch_is_filed_without_failures(lake):
    assert function.handler(sqs_event(alert_body(), alert_body("revenue")), None) == {"batchItemFailures": []}
    assert len(results(lake)) == 3


def test_unreadable_messages_are_quarantined_and_do_not_affect_others(lake):
    event = sqs_event("{", alert_body(), alert_body("clicks"), json.dumps({"detail-type": "something else"}))
    assert function.handler(event, None) == {"batchItemFailures": []}
    assert len(results(lake)) == 3
    assert len(list(lake.list("quarantine"))) == 3


@pytest.mark.parametrize("depth", [1, 2])
def test_an_sns_envelope_is_unwrapped(lake, depth):
    body = alert_body()
    for _ in range(depth):
        body = json.dumps(
            {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:alerts", "MessageId": "1", "Message": body}
        )
    function.handler(sqs_event(body), None)
    assert len(results(lake)) == 3


def test_a_bare_alert_and_an_sns_event_are_filed(lake):
    assert function.handler(json.loads(alert_body()), None) == {"filed": 1, "quarantined": 0}
    sns = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": alert_body("revenue")}}]}
    assert function.handler(sns, None) == {"filed": 1, "quarantined": 0}


def test_an_alert_on_an_event_bus_is_filed_and_an_event_of_an_unsupported_aws_service_is_quarantined(
    lake,
):
    event = {"version": "0", "source": "our.shop", "detail-type": "Anomaly", "detail": json.loads(alert_body())}
    assert function.handler(event, None) == {"filed": 1, "quarantined": 0}
    assert function.handler(sqs_event(json.dumps(event)), None) == {"batchItemFailures": []}
    assert function.handler({**event, "source": "aws.ec2"}, None) == {"filed": 0, "quarantined": 1}


def test_an_alarm_state_other_than_alarm_is_accepted_and_stores_nothing(lake):
    event = json.loads(event_text("cloudwatch_lambda"))
    event["alarmData"]["state"]["value"] = "OK"
    assert function.handler(event, None) == {"filed": 0, "quarantined": 0}
    assert function.handler(sqs_event(json.dumps(event)), None) == {"batchItemFailures": []}
    assert list(lake.list("")) == []


def test_a_dead_letter_of_a_direct_call_can_be_sent_again_unchanged(lake):
    sns = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": alert_body("revenue")}}]}
    for payload in (json.loads(alert_body()), sns):
        letter = {
            "version": "1.0",
            "requestContext": {"condition": "RetriesExhausted"},
            "requestPayload": payload,
            "responsePayload": {"errorType": "X"},
        }
        assert function.handler(sqs_event(json.dumps(letter)), None) == {"batchItemFailures": []}
    assert len(results(lake)) == 3
    assert list(lake.list("quarantine")) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": []},
        {"Records": [1]},
        {"Records": "x"},
        [],
        "text",
        None,
        {"Records": [{"eventSource": "aws:sqs"}]},
    ],
)
def test_no_content_raises_an_error(lake, event):
    assert function.handler(event, None)["quarantined"] == 1
    assert len(list(lake.list("quarantine"))) == 1


@pytest.mark.parametrize("wrap", [lambda inner: {"id": "x-17", "a": inner}, lambda inner: [inner]])
@pytest.mark.parametrize("depth", [990, 20_000])
def test_the_start_of_a_direct_event_that_is_nested_too_deeply_is_quarantined(lake, wrap, depth):
    event = "innermost"
    for _ in range(depth):
        event = wrap(event)
    assert function.handler(event, None) == {"filed": 0, "quarantined": 1}
    (key,) = lake.list("quarantine")
    assert json.loads(lake.get(key).data)["reason"]


class _Broken(ObjectStore):
    """A store that fails for the tables of one hour."""

    def create(self, key, data):
        if "2021-02-17T1100Z" in key:
            raise StorageError(f"{key}: down")
        return super().create(key, data)


def test_failed_storage_returns_only_the_affected_messages(lake, monkeypatch):
    monkeypatch.setattr(settings, "open_store", lambda name, **_: _Broken.memory())
    settings.reset()
    event = sqs_event(alert_body(), alert_body(timestamp="2021-02-17T12:00Z"), "{")
    assert function.handler(event, None) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    with pytest.raises(StorageError, match="down"):
        function.handler(json.loads(alert_body()), None)


def test_the_function_imports_only_the_packages_of_its_layer():
    code = "import sys, anomalake.functions.ingest; print(*sorted(m for m in sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "pyarrow" in loaded
    assert not loaded & {
        "pandas",
        "awswrangler",
        "duckdb",
        "altair",
        "sqlglot",
        "boto3",
        "tqdm",
        "filelock",
    }
