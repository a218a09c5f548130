"""HTTP calls of the ingest function, and the batches of EventBridge Pipes: the response reports the result."""

import base64
import json

import pytest

from anomalake.functions import ingest as function
from anomalake.functions import settings
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from examples import alert_body


@pytest.fixture
def lake(monkeypatch, function_lake):
    """The lake of the function, with CSV tables."""
    monkeypatch.setenv("ANOMALAKE_FORMAT", "csv")
    return function_lake


def url(body, method="POST", **more):
    return {
        "version": "2.0",
        "requestContext": {"http": {"method": method, "path": "/"}},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def api(body, method="POST", **more):
    return {
        "httpMethod": method,
        "path": "/",
        "requestContext": {"stage": "prod"},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def call(event):
    response = function.handler(event, None)
    assert set(response) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert response["headers"]["content-type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def quarantined(store):
    return [json.loads(store.get(key).data)["body"] for key in store.list("quarantine")]


@pytest.mark.parametrize("form", [url, api])
def test_a_filed_alert_returns_200_and_counts(lake, form):
    assert call(form(alert_body())) == (200, {"filed": 1, "quarantined": 0})
    assert call(form(base64.b64encode(alert_body("revenue").encode()).decode(), isBase64Encoded=True)) == (
        200,
        {"filed": 1, "quarantined": 0},
    )
    assert call(form(f"[{alert_body()}, {alert_body('revenue')}]"))[1]["filed"] == 2
    assert quarantined(lake) == []


@pytest.mark.parametrize("form", [url, api])
def test_quarantined_alerts_return_422_or_202_when_others_are_filed(lake, form):
    status, content = call(form("{"))
    assert (status, content["filed"], content["quarantined"]) == (422, 0, 1)
    assert content["reasons"][0].startswith("not JSON")
    status, content = call(form(f"[{alert_body()}, {alert_body('clicks')}]"))
    assert (status, content["filed"], content["quarantined"]) == (202, 1, 1)
    assert "has no measure 'clicks'" in content["reasons"][0]
    assert sorted(quarantined(lake)) == sorted(["{", alert_body("clicks")])


@pytest.mark.parametrize("body", ["%%%", base64.b64encode(b"\x1f\x8b\xff").decode()])
def test_a_body_that_is_not_base64_of_text_is_quarantined_unchanged(lake, body):
    status, content = call(url(body, isBase64Encoded=True))
    assert (status, quarantined(lake)) == (422, [body])
    assert content["reasons"] == ["the body is not the base64 encoding of UTF-8 text; send uncompressed JSON in UTF-8"]


@pytest.mark.parametrize("form", [url, api])
def test_calls_without_an_alert_store_nothing(lake, form):
    assert call(form(None))[0] == call(form(" \n"))[0] == 400
    assert call(form(alert_body(), "GET"))[0] == 405
    assert list(lake.list("")) == []


@pytest.mark.parametrize("form", [url, api])
def test_failed_storage_returns_503_so_that_the_caller_retries(lake, monkeypatch, form):
    class Down(ObjectStore):
        def create(self, key, data):
            raise StorageError(f"{key}: down")

    monkeypatch.setattr(settings, "open_store", lambda name, **_: Down.memory())
    settings.reset()
    for body in (alert_body(), "{"):
        response = function.handler(form(body), None)
        assert (response["statusCode"], response["headers"]["retry-after"]) == (503, "60")


def test_the_list_of_a_pipe_is_processed_as_an_sqs_batch(lake, monkeypatch):
    records = [
        {"eventSource": "aws:sqs", "messageId": f"m{n}", "body": body} for n, body in enumerate([alert_body(), "{"])
    ]
    assert function.handler(records, None) == {"batchItemFailures": []}
    assert (len(list(lake.list("anomalyResults"))), quarantined(lake)) == (3, ["{"])


def test_a_list_of_alerts_and_a_text_with_an_alert_are_filed(lake):
    alerts = [json.loads(alert_body()), alert_body("revenue"), {"x": 1}]
    assert function.handler(alerts, None) == {"filed": 2, "quarantined": 1}
    assert function.handler(alert_body(), None) == {"filed": 1, "quarantined": 0}
    assert function.handler([json.loads(alert_body())], None) == {"filed": 1, "quarantined": 0}
    many = [json.loads(alert_body(event=f"e{n}")) for n in range(150)]
    assert function.handler(many, None) == {"filed": 150, "quarantined": 0}
