"""Runs several requests to a store at the same time, and returns the results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import Store

MAX_CONCURRENT_REQUESTS = 16  # to a store over the network
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(store: Store, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Yield `work(item)` for each item, in order: one at a time for a folder, several at a time for a store over the
    network.
    """
    if isinstance(store, FolderStore):
        yield from map(work, items)
        return
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(MAX_CONCURRENT_REQUESTS) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if (
                len(pending) == 2 * MAX_CONCURRENT_REQUESTS
            ):  # a limit, because a year of live data may not fit in memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
