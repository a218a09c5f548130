"""Many requests to a store at a time, their answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import Store

REQUESTS = 16  # to a store over the network at a time
_A = TypeVar("_A")
_B = TypeVar("_B")


def in_order(store: Store, work: Callable[[_A], _B], items: Iterable[_A]) -> Iterator[_B]:
    """What `work` gives for each item, in the items' order: one by one on a folder, several at a time on a store that answers over the network."""
    if isinstance(store, FolderStore):
        yield from map(work, items)
        return
    begun: deque[Future[_B]] = deque()
    with ThreadPoolExecutor(REQUESTS) as pool:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == 2 * REQUESTS:  # no more ahead: a year of live data need not fit in memory
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
