"""What the detector remembers, read from the lake and kept there: the shards first, then the head that names them, and only over what was read."""

from typing import NamedTuple

from anomalake.detect import feedback, state
from anomalake.detect.detector import in_threads
from anomalake.detect.feedback import Feedback
from anomalake.detect.state import Memory
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.store import StorageError, Store, StoredObject

OLD_STATE = "state.npz"  # of versions before the memory was cut into shards


class Said(NamedTuple):
    """What people said of events, and files that say nothing, with the reason."""

    feedback: tuple[Feedback, ...]
    problems: tuple[str, ...]


def recall(store: Store, metric_set: MetricSet) -> tuple[Memory | None, StoredObject | None]:
    """The memory and the head it was read from; None where there is none. `UserError` where it does not fit, saying what to do."""
    key = layout.state_key(metric_set)
    head = store.get(key)
    if head is None:
        old = f"{key.rpartition('/')[0]}/{OLD_STATE}"
        if store.get(old) is not None:
            raise UserError(
                f"{old}: is the state of an older Anomalake, which this one does not read; {state.remedy(metric_set)}"
            )
        return None, None

    def shard(name: str) -> bytes | None:
        found = store.get(layout.shard_key(metric_set, name))
        return found.data if found else None

    return state.load(head.data, shard, metric_set, key), head


def remember(store: Store, metric_set: MetricSet, memory: Memory, head: StoredObject | None) -> None:
    """Keep the memory where the head is still the one that was read; `StorageError` otherwise. Parts that no head names any more are deleted."""
    key = layout.state_key(metric_set)
    data, shards = state.dump(memory)
    before = state.shards_of(head.data) if head else frozenset()
    new = [name for name in shards if name not in before]
    list(
        in_threads(
            lambda number: store.put(layout.shard_key(metric_set, new[number]), shards[new[number]]), range(len(new))
        )
    )
    if not (store.replace(key, data, head.version) if head else store.create(key, data)):
        raise StorageError(
            f"{key}: another run wrote it meanwhile; what this run did will be done again, to the same end"
        )
    for name in sorted(before - shards.keys()):
        store.delete(layout.shard_key(metric_set, name))


def tidy(store: Store, metric_set: MetricSet) -> None:
    """Delete what the head does not name: parts of memories that could not be read, and the state of an older Anomalake."""
    key = layout.state_key(metric_set)
    head, folder = store.get(key), key.rpartition("/")[0]
    named = {layout.shard_key(metric_set, name) for name in (state.shards_of(head.data) if head else ())}
    for name in list(store.list(folder)):
        if (name.startswith(f"{folder}/shards/") or name == f"{folder}/{OLD_STATE}") and name not in named:
            store.delete(name)


def said(store: Store, metric_set: MetricSet) -> Said:
    """The feedback of the lake, in the order of the files' names."""
    found, problems = [], []
    for key in sorted(store.list(layout.feedback_folder(metric_set))):
        stored = store.get(key)
        if stored is None or not key.endswith(".json"):
            continue
        try:
            found.append(feedback.parse(stored.data, metric_set, key))
        except UserError as error:
            problems.append(str(error))
    return Said(tuple(found), tuple(problems))
