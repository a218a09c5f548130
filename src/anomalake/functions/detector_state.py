"""Reads and writes the state of a metric set's detector in the lake, and reads the feedback.

The state is a head in JSON and the shards that it names. Shards are written first, then the head. The head is
replaced only if it is still the head that was read, so two runs cannot mix their states.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from anomalake.detect import feedback, reading, state
from anomalake.detect.detector import map_in_threads
from anomalake.detect.feedback import Feedback
from anomalake.detect.state import DetectorState
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.store import StorageError, Store, StoredObject
from anomalake.lake.top_values import NO_TOP, TopValues, read_top_values, read_totals, write_top_values

LEGACY_STATE_NAME = "state.npz"  # the state of versions that did not use shards


class FeedbackFiles(NamedTuple):
    """The feedback of a metric set, and a text for each file that could not be read."""

    feedback: tuple[Feedback, ...]
    problems: tuple[str, ...]


def load_state(store: Store, metric_set: MetricSet) -> tuple[DetectorState | None, StoredObject | None]:
    """Return the state and the head it was read from, or None and None when the lake has no state.

    Raises `UserError` when the state does not fit the metric set or this version of Anomalake; the message says what
    to do.
    """
    key = layout.state_key(metric_set)
    head = store.get(key)
    if head is None:
        legacy_key = f"{key.rpartition('/')[0]}/{LEGACY_STATE_NAME}"
        if store.get(legacy_key) is not None:
            problem = "is the state of an older Anomalake, which this version cannot read"
            raise UserError(f"{legacy_key}: {problem}; {state.rebuild_hint(metric_set)}")
        return None, None

    def read_shard(name: str) -> bytes | None:
        stored = store.get(layout.shard_key(metric_set, name))
        return stored.data if stored else None

    return state.load(head.data, read_shard, metric_set, key), head


def save_state(store: Store, metric_set: MetricSet, detector_state: DetectorState, head: StoredObject | None) -> None:
    """Write the state, then delete the shards that the new head does not name.

    `head` is the head that the state was read from. Raises `StorageError` when another run has replaced it.
    """
    key = layout.state_key(metric_set)
    data, shards = state.dump(detector_state)
    old_names = state.shard_names(head.data) if head else frozenset()
    new_names = [name for name in shards if name not in old_names]

    def write_shard(number: int) -> None:
        store.put(layout.shard_key(metric_set, new_names[number]), shards[new_names[number]])

    list(map_in_threads(write_shard, range(len(new_names))))
    if not (store.replace(key, data, head.version) if head else store.create(key, data)):
        raise StorageError(
            f"{key}: another run wrote it at the same time; the next run repeats this one, with the same result"
        )
    for name in sorted(old_names - shards.keys()):
        store.delete(layout.shard_key(metric_set, name))


def update_top_values(store: Store, metric_set: MetricSet, starts: Iterable[datetime]) -> TopValues:
    """Return the values that `top` keeps of the dimensions.

    If a dimension keeps fewer than it can, the largest values of the intervals with these starts (naive UTC) join
    them, and the list is written.
    """
    if not metric_set.has_top:
        return NO_TOP
    kept = read_top_values(store, metric_set)
    if not reading.needs_values(metric_set, kept):
        return kept
    folders = reading.list_folders(store, metric_set, starts)
    totals = (read_totals(store, metric_set, *folder) for folder in folders if folder[1])
    chosen = reading.choose_largest(metric_set, totals, kept)
    if chosen != kept:
        write_top_values(store, metric_set, chosen)
    return chosen


def delete_unused_shards(store: Store, metric_set: MetricSet) -> None:
    """Delete the shards that the head does not name, and the state of an older Anomalake."""
    key = layout.state_key(metric_set)
    head, folder = store.get(key), key.rpartition("/")[0]
    used = {layout.shard_key(metric_set, name) for name in (state.shard_names(head.data) if head else ())}
    for name in list(store.list(folder)):
        if (name.startswith(f"{folder}/shards/") or name == f"{folder}/{LEGACY_STATE_NAME}") and name not in used:
            store.delete(name)


def read_feedback(store: Store, metric_set: MetricSet) -> FeedbackFiles:
    """Read the feedback of the lake, in the order of the file names."""
    found, problems = [], []
    for key in sorted(store.list(layout.feedback_folder(metric_set))):
        stored = store.get(key)
        if stored is None or not key.endswith(".json"):
            continue
        try:
            found.append(feedback.parse(stored.data, metric_set, key))
        except UserError as error:
            problems.append(str(error))
    return FeedbackFiles(tuple(found), tuple(problems))
