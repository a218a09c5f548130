"""Many requests to a store at a time, their answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from anomalake.lake.folder_store import FolderStore
from anomalake.lake.store import Store

MAX_CONCURRENT_REQUESTS = 16  # to a store over the network at a time
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(store: Store, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """What `work` gives for each item, in the items' order: one by one on a folder, several at a time on a store that answers over the network."""
    if isinstance(store, FolderStore):
        yield from map(work, items)
        return
    begun: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(MAX_CONCURRENT_REQUESTS) as pool:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == 2 * MAX_CONCURRENT_REQUESTS:  # no more ahead: a year of live data need not fit in memory
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
