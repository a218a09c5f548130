"""`update` compared with a model: stores of several processes use one bucket, and requests fail, conflict, lose their
responses, and overlap.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore import exceptions
from obstore.store import MemoryStore

from anomalake.lake import store as store_module
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError, update_object

pytestmark = pytest.mark.slow

KEYS = ("a", "b")


class Requests:
    """The requests of an `ObjectStore`, in place of the module that sends them. Before and after each request, anything
    can happen.
    """

    def __init__(self, chance: Random, between: Callable[[], None]) -> None:
        self.chance, self.between = chance, between

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(*arguments: Any, **named: Any) -> Any:
            self.between()
            fate = self.chance.random()
            if fate < 0.08:
                raise exceptions.GenericError("refused, not done")
            if fate < 0.12 and name == "put":
                raise exceptions.AlreadyExistsError("409: busy with that key, not done")
            answer = getattr(obstore, name)(*arguments, **named)
            self.between()
            if fate > 0.88:
                raise exceptions.GenericError("done, but the answer was lost")
            return answer

        return request


class World:
    """A bucket, the stores on it, and the possible state of each row: written by updates (certain after the response),
    or deleted with its object.
    """

    def __init__(self, chance: Random, deletions: bool) -> None:
        self.chance, self.deletions, self.depth, self.clock = chance, deletions, 0, 0
        bucket = MemoryStore()
        self.plain = ObjectStore(bucket)
        self.stores = [ObjectStore(bucket) for _ in range(3)]
        for store in self.stores:
            store._obstore = Requests(chance, self.between)
        self.begun: dict[tuple[str, bytes], int] = {}  # start of the last update of a row
        self.ended: dict[tuple[str, bytes], int] = {}  # end of an update
        self.safe: dict[tuple[str, bytes], int] = {}  # start of the last update that received its response
        self.gone: dict[str, int] = dict.fromkeys(KEYS, 0)  # end of the last deletion
        self.rows = 0

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def between(self) -> None:
        """Run the steps of the other stores."""
        if self.depth < 3 and self.chance.random() < 0.15:
            self.step()

    def step(self) -> None:
        self.depth += 1
        store, key = self.chance.choice(self.stores), self.chance.choice(KEYS)
        if self.deletions and self.chance.random() < 0.15:
            self.plain.delete(key)
            self.gone[key] = self.now()
        else:
            self.write(store, key)
        self.depth -= 1

    def write(self, store: ObjectStore, key: str) -> None:
        """Add a row, which is new or existed before."""
        if self.chance.random() < 0.7:
            self.rows += 1
        row = b"%d" % self.chance.randint(max(1, self.rows - 2), max(1, self.rows))
        began = self.begun[key, row] = self.now()
        try:
            update_object(
                store,
                key,
                lambda current: b"\n".join(sorted({row, *(current or b"").split(b"\n")} - {b""})),
                probably_exists=self.chance.random() < 0.5,
            )
        except StorageError:
            self.begun[key, row] = 1 << 60  # the update may have completed
            return
        self.ended[key, row] = self.now()
        self.safe[key, row] = max(began, self.safe.get((key, row), 0))

    def check(self) -> None:
        for key in KEYS:
            stored = self.plain.get(key)
            rows = stored.data.split(b"\n") if stored else []
            assert len(rows) == len(set(rows))
            for (where, row), began in self.safe.items():
                if where == key and began > self.gone[key]:
                    assert row in rows, "a row is lost"
            for row in rows:
                began, ended = self.begun[key, row], self.ended.get((key, row), 1 << 60)
                assert max(began, ended) > self.gone[key], "a row is back that was taken away"


@pytest.mark.parametrize("deletions", [False, True])
@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_no_row_is_lost_or_restored_by_any_order_of_concurrent_requests(deletions, seed):
    pauses, store_module.time.sleep = store_module.time.sleep, lambda _: None
    try:
        world = World(Random(seed), deletions)
        for _ in range(25):
            world.step()
            world.check()
    finally:
        store_module.time.sleep = pauses
