"""Alerts that contradict each other, the ways they arrive, and the expected content of the lake."""

import json
import random
from collections.abc import Sequence

from anomalake.domain import metric_set_yaml
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.layout import Format
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import Store
from examples import alert_body, shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
TIMES = ("2021-02-17T11:00Z", "2021-02-17T12:00Z", "2021-02-18T00:00Z")
KEPT = (
    "anomalyResults",
    "quarantine",
    "alerts",
)  # what the lake must hold; `.writing` and `.locks` of a folder are left out

Objects = dict[str, bytes]


def bodies(rng: random.Random, count: int) -> list[str]:
    """Return alerts for few times, events and series, so that several report one event or one cell, with different
    scores or none.

    Every tenth body is invalid.
    """
    return [_garbage(rng) if number % 10 == 9 else _alert(rng) for number in range(count)]


def _alert(rng: random.Random) -> str:
    series = [
        (
            {"platform": platform, "marketplace": rng.choice(["us", "de", None])},
            rng.choice([0.0, 1.5, -3.0, 812.25, None]),
        )
        for platform in rng.sample(["pc_web", "mobile_app", "=1+1", 'a,"b"\n'], 2)
    ]
    shares = {
        "platform": {"pc_web": rng.choice([36.0, 64.0]), None: 10.0},
        "marketplace": {rng.choice(["us", "de"]): 100.0},
    }
    return alert_body(
        rng.choice(["views", "revenue"]),
        timestamp=rng.choice(TIMES),
        event=rng.choice(["e1", "e2", "e3"]),
        score=rng.choice([None, 0.0, 55.5, 71.5, 90.0]),
        series=series,
        contributions=shares,
        alertName=rng.choice(["first", "second"]),
    )


def _garbage(rng: random.Random) -> str:
    return rng.choice(
        [
            '{"alertName": ',
            alert_body("clicks", event=str(rng.random())),
            json.dumps({"detail-type": str(rng.random())}),
        ]
    )


def messages(bodies: Sequence[str]) -> list[Message]:
    """Return each body as a message with its own ID."""
    return [Message(f"m{number}", body) for number, body in enumerate(bodies)]


def batches(rng: random.Random, messages_to_send: Sequence[Message], largest: int = 10) -> list[list[Message]]:
    """Return the messages in random order, in batches of 1 to `largest`, as SQS delivers them."""
    remaining, cut = rng.sample(messages_to_send, len(messages_to_send)), list[list[Message]]()
    while remaining:
        size = rng.randint(1, largest)
        cut.append(remaining[:size])
        remaining = remaining[size:]
    return cut


def objects(store: Store) -> Objects:
    """Return all objects that a test compares."""
    return {key: stored.data for folder in KEPT for key in store.list(folder) if (stored := store.get(key))}


def settled(objects: Objects) -> tuple[Objects, set[str]]:
    """Return the objects that are byte-equal for any order of messages (tables and quarantine), and the bodies in the
    archive.

    The archive stores bodies by batch, so its objects differ.
    """
    archived = {
        json.loads(line)["body"]
        for key, data in objects.items()
        if key.startswith("alerts/")
        for line in data.splitlines()
    }
    return {key: data for key, data in objects.items() if not key.startswith("alerts/")}, archived


def clean(form: Format, *batches_of_bodies: Sequence[str]) -> Objects:
    """Return the content of the lake after one process ingests the batches in order, without faults."""
    store = ObjectStore.memory()
    for batch in batches_of_bodies:
        assert not ingest_messages(messages(batch), store, (SHOP,), form).failed_ids
    return objects(store)
