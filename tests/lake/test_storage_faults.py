"""Storage that fails, is slow, does not respond or sends half a response: no alert is lost or stored twice, and
failures are returned.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3_proxy
from anomalake.functions import ingest as function
from anomalake.functions import settings
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.store import RetryPolicy, StorageError, open_store
from examples import alert_body
from s3_proxy import FAULTS, Fault, Proxy, Request
from traffic import SHOP, clean, messages, objects, settled
from worker import of_sqs

pytestmark = pytest.mark.slow

NOON, ONE = "2021-02-17T12:00Z", "2021-02-17T13:00Z"
KNOWN = (alert_body(timestamp=NOON, event="a", score=40),)
BATCH = (
    alert_body(timestamp=NOON, event="a", score=80),
    "{",
    alert_body("revenue", timestamp=NOON, event="b"),
    alert_body(timestamp=ONE),
)
FORM = "csv"
SHORT_RETRY_POLICY = RetryPolicy(connect_seconds=0.5, request_seconds=0.5, total_seconds=4, max_attempts=4)


@pytest.fixture
def proxy(s3_lake, sets_folder: Path, monkeypatch) -> Iterator[Proxy]:
    """A proxy before the lake. The function uses it, and the test does not (`open_store` before `begin`)."""
    with s3_proxy.before(os.environ["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("ANOMALAKE_METRIC_SETS", str(sets_folder))
        monkeypatch.setenv("ANOMALAKE_FORMAT", FORM)
        monkeypatch.setattr(function, "BATCH_RETRY_POLICY", SHORT_RETRY_POLICY)
        yield proxy
        settings.reset()


class Lake:
    """A lake that contains `KNOWN`. The test reads it directly; the function uses the proxy."""

    def __init__(self, name: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = open_store(name)
        for key, data in clean(FORM, KNOWN).items():
            self.store.put(key, data)
        direct = os.environ["AWS_ENDPOINT_URL_S3"]
        monkeypatch.setenv("ANOMALAKE_LAKE", name)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        settings.reset()
        settings.load_settings(function.BATCH_RETRY_POLICY)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", direct)


def handed_back(batch: list[Message], context: object = None) -> list[Message]:
    """Pass the batch to the function. Returns the messages that it reports as failed."""
    named = [item["itemIdentifier"] for item in function.handler(of_sqs(batch), context)["batchItemFailures"]]
    assert set(named) <= {message.id for message in batch}
    return [message for message in batch if message.id in named]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_of_a_batch_loses_no_alert(fault, proxy, s3_lake, monkeypatch):
    lake = Lake(f"{s3_lake}/untroubled", proxy, monkeypatch)
    assert handed_back(messages(BATCH)) == []
    requests, expected = list(proxy.seen), clean(FORM, KNOWN, BATCH)
    assert objects(lake.store) == expected
    assert {(request.method, request.condition) for request in requests} == {
        ("PUT", "create"),
        ("GET", ""),
        ("PUT", "replace"),
    }
    for number, request in enumerate(requests, 1):
        if fault == "cut short" and request.method != "GET":
            continue  # the response to a write has no body
        lake = Lake(f"{s3_lake}/{number}", proxy, monkeypatch)
        proxy.begin(lambda now, _, number=number: fault if now == number else None)
        assert handed_back(messages(BATCH)) == [], f"{fault} at request {number}, {request.key}"
        assert objects(lake.store) == expected, f"{fault} at request {number}, {request.key}"
        assert len(proxy.seen) >= len(requests)


@pytest.mark.parametrize("fault", [None, "503 SlowDown", "reset before"])
def test_concurrent_writers_lose_no_alert_with_and_without_faults(fault, proxy, s3_lake, monkeypatch):
    lake = Lake(s3_lake, proxy, monkeypatch)
    others = list[str]()

    def interfere(_: int, request: Request) -> Fault | None:
        """Another writer's update completes before the pending one, three times for each object."""
        if request.condition == "replace" and sum(seen.key == request.key for seen in proxy.seen) <= 3:
            others.append(alert_body(timestamp=NOON, event=f"other {len(others)}", score=90 + len(others) / 10))
            assert not ingest_messages(messages(others[-1:]), lake.store, (SHOP,), FORM).failed_ids
            return fault if len(others) % 2 else None
        return None

    proxy.begin(interfere)
    assert handed_back(messages(BATCH)) == []
    assert len(others) >= 6
    assert settled(objects(lake.store)) == settled(clean(FORM, KNOWN, BATCH, others))


@pytest.mark.parametrize(
    ("down", "named"),
    [
        ("metricValue_AnomalyScore/shop/v1/date=2021-02-17/2021-02-17T1200Z", ("m0", "m2")),
        ("anomalyGroups/shop/v1/date=2021-02-17/2021-02-17T1300Z", ("m3",)),
        ("quarantine/", ("m1",)),
        ("alerts/", ("m0", "m2", "m3")),
        ("", ("m0", "m1", "m2", "m3")),
    ],
)
@pytest.mark.parametrize("fault", ["503 SlowDown", "reset after"])
def test_unavailable_keys_fail_only_their_messages_until_they_are_sent_again(
    fault, down, named, *, proxy, s3_lake, monkeypatch
):
    lake = Lake(s3_lake, proxy, monkeypatch)
    proxy.begin(lambda _, request: fault if down in request.path else None)
    returned = handed_back(messages(BATCH))
    assert tuple(message.id for message in returned) == named
    if down == "alerts/":
        tables = {key: data for key, data in clean(FORM, KNOWN).items() if key.startswith("anomalyResults/")}
        assert {key: lake.store.get(key).data for key in lake.store.list("anomalyResults")} == tables, (
            "the tables hold what the archive does not"
        )
    tries = Counter(request.key for request in proxy.seen if down in request.path)
    assert max(tries.values()) <= SHORT_RETRY_POLICY.max_attempts
    assert fault != "503 SlowDown" or min(tries.values()) == SHORT_RETRY_POLICY.max_attempts  # the store retried
    proxy.begin(s3_proxy.nothing)
    assert handed_back(returned) == []
    assert settled(objects(lake.store)) == settled(clean(FORM, KNOWN, BATCH))


def test_a_direct_event_raises_an_error_so_that_the_caller_sends_it_again(proxy, s3_lake, monkeypatch):
    lake = Lake(s3_lake, proxy, monkeypatch)
    for event in (json.loads(BATCH[0]), {"what": "is this"}):
        proxy.begin(lambda *_: "500 InternalError")
        with pytest.raises(StorageError, match="4 attempts"):
            function.handler(event, None)
    proxy.begin(s3_proxy.nothing)
    assert function.handler({"what": "is this"}, None) == {"filed": 0, "quarantined": 1}
    assert len(list(lake.store.list("quarantine"))) == 1


def test_retry_delays_are_random_so_that_functions_do_not_retry_at_the_same_time(proxy, s3_lake, monkeypatch):
    monkeypatch.setattr(function, "BATCH_RETRY_POLICY", SHORT_RETRY_POLICY._replace(max_attempts=2))
    Lake(s3_lake, proxy, monkeypatch)
    random.seed(1)
    proxy.begin(lambda *_: "503 SlowDown")
    assert len(handed_back(messages([f"garbage {number}" for number in range(12)]))) == 12
    pauses = [second.at - first.at for first, second in zip(proxy.seen[::2], proxy.seen[1::2], strict=True)]
    assert min(pauses) < 0.06
    assert max(pauses) > 0.12


class Context:
    """A Lambda context that reports the remaining time of a running clock."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self.end - time.monotonic()) * 1000)


MANY = [alert_body(timestamp=f"2021-02-17T{hour:02}:00Z", event=str(hour)) for hour in range(6)]


@pytest.fixture
def short_time(monkeypatch) -> Context:
    """The function has three seconds, and starts calls only in the first 1.5 seconds."""
    monkeypatch.setattr(
        function,
        "BATCH_RETRY_POLICY",
        RetryPolicy(connect_seconds=0.5, request_seconds=0.5, total_seconds=0.5, max_attempts=4),
    )
    monkeypatch.setattr(function, "RESPONSE_RESERVE_SECONDS", 0.5)
    return Context(3)


def test_with_a_slow_store_messages_that_exceed_the_deadline_are_returned_in_time(
    proxy, s3_lake, monkeypatch, short_time
):
    lake = Lake(s3_lake, proxy, monkeypatch)
    proxy.delay, short_time.end = 0.12, time.monotonic() + 3
    sent = messages(MANY)
    returned = handed_back(sent, short_time)
    assert short_time.get_remaining_time_in_millis() > 0
    assert 0 < len(returned) < len(sent)
    found, expected = objects(lake.store), clean(FORM, KNOWN, MANY)
    for message in sent:
        if message not in returned:
            keys = [key for key in expected if f"T{message.body.split('2021-02-17T')[1][:2]}00Z" in key]
            assert len(keys) == 3
            assert all(found[key] == expected[key] for key in keys), message.id
    proxy.delay = 0
    assert handed_back(returned) == []
    assert settled(objects(lake.store)) == settled(expected)


def test_a_store_that_never_responds_is_an_error_before_the_deadline(proxy, s3_lake, monkeypatch, short_time):
    lake = Lake(s3_lake, proxy, monkeypatch)
    short_time.end = time.monotonic() + 3
    proxy.begin(lambda *_: "time-out before")
    assert handed_back(messages(MANY), short_time) == messages(MANY)
    assert short_time.get_remaining_time_in_millis() > 0
    proxy.begin(s3_proxy.nothing)
    assert handed_back(messages(MANY)) == []
    assert settled(objects(lake.store)) == settled(clean(FORM, KNOWN, MANY))


@pytest.mark.parametrize("fault", ["time-out after", "reset after"])
def test_a_completed_write_is_reported_as_completed_even_if_its_response_is_lost(fault, proxy, s3_lake, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    store = open_store(s3_lake, retry_policy=SHORT_RETRY_POLICY)
    proxy.begin(lambda number, _: fault if number == 1 else None)
    assert store.create("a", b"one")
    assert len(proxy.seen) == 3  # the write, its retry, and a read that verifies it
    version = store.get("a").version
    proxy.begin(lambda number, _: fault if number == 1 else None)
    assert store.replace("a", b"two", version)
    assert len(proxy.seen) == 3
    assert not store.create("a", b"three")
    assert store.get("a").data == b"two"


def test_a_call_ends_before_its_deadline_even_if_it_must_verify_the_write(proxy, s3_lake, monkeypatch):
    retry_policy = RetryPolicy(connect_seconds=0.3, request_seconds=0.3, total_seconds=1, max_attempts=60)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    store = open_store(s3_lake, retry_policy=retry_policy)

    def plan(number: int, request: Request) -> Fault | None:
        """The write completes and its response is lost. The read that verifies it gets no response."""
        return "time-out before" if request.method == "GET" else "time-out after" if number < 3 else None

    proxy.begin(plan)
    began = time.monotonic()
    with pytest.raises(StorageError):
        store.create("a", b"x")
    assert time.monotonic() - began < retry_policy.max_call_seconds + 0.3  # time for other work of the machine
