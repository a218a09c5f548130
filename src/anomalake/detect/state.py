"""A detector's memory as bytes: what it has learned of every series, and how far it has come. Pure.

A head in JSON names the shards, each numpy's archive of the arrays of some series and named by its digest: written first, they change nothing until
the head is replaced. What is broken, newer or of another schema is refused, never forgotten in silence.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from anomalake.detect.detector import Detector, OngoingEvent, map_in_threads
from anomalake.detect.model_state import State
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

VERSION = 5
# The arrays of `State` by the name under which a shard stores them. A change of these names needs a new version.
STORED_ARRAYS = {
    "parts": "components",
    "unsure": "component_variance",
    "spread": "error_sums",
    "local": "slot_means",
    "seen": "values_seen",
    "tail": "tail_factor",
    "zeros": "zero_share",
    "nonzero": "nonzero_mean",
    "dispersion": "dispersion",
    "run": "outlier_run",
    "habit": "slot_outlier_run",
    "counts": "is_count",
    "positive": "is_nonnegative",
    "strange_days": "kind_change_days",
    "strange_last": "last_kind_change",
    "relearned": "relearned_day",
}


class Memory(NamedTuple):
    """A detector, the start of the last interval it processed, of the first it alerts on (naive UTC), and intervals since the last with data."""

    detector: Detector
    last_processed: datetime
    alerts_from: datetime
    silent_intervals: int
    empty_intervals: tuple[datetime, ...] = ()  # the newest intervals that had no data when they were processed
    late_intervals: int = 0  # of these, since the memory began, how many had data later


def rebuild_hint(metric_set: MetricSet) -> str:
    """What to do about a memory that does not fit."""
    return f"`anomalake detect --rebuild` with the lake and the metric set {metric_set.name!r} makes it anew from the live data (docs/detector.md)"


def _made_for(metric_set: MetricSet) -> dict[str, object]:
    """What a memory fits to: another of these, and it means nothing."""
    names = {"dimensions": list(metric_set.dimension_names), "measures": list(metric_set.measure_names)}
    return {**names, "frequency": metric_set.frequency, "timezone": metric_set.timezone}


def dump(memory: Memory) -> tuple[bytes, Mapping[str, bytes]]:
    """The memory as bytes: its head, and its shards by name."""
    detector = memory.detector
    series, per_shard = list(detector.series), detector.per_shard

    def shard(number: int) -> bytes:
        state = detector.shards[number]
        mine = slice(number * per_shard, (number + 1) * per_shard)
        names = np.frombuffer(json.dumps(series[mine]).encode(), np.uint8)
        packed = io.BytesIO()
        arrays = {stored: getattr(state, name) for stored, name in STORED_ARRAYS.items()}
        np.savez_compressed(packed, series=names, last=detector.last_days[mine], **arrays)
        return packed.getvalue()

    shards = {sha256(data).hexdigest()[:32]: data for data in map_in_threads(shard, range(len(detector.shards)))}
    arrived = detector.completeness
    head = {
        "version": VERSION,
        **_made_for(detector.metric_set),
        "after": memory.last_processed.isoformat(),
        "alerts_from": memory.alerts_from.isoformat(),
        "silent": memory.silent_intervals,
        "missed": [start.isoformat() for start in memory.empty_intervals],
        "late": memory.late_intervals,
        "status": detector.status(),
        "ongoing": {
            measure: (one.start.isoformat(), one.group, sorted(one.series)) for measure, one in detector.ongoing.items()
        },
        "arrived": {
            "day": arrived.day,
            "counts": arrived.counts.tolist(),
            "gaps": arrived.recent_gaps,
            "gap": arrived.gap_length,
            "told": arrived.reported,
        },
        "days": [state.day for state in detector.shards],
        "shards": list(shards),
    }
    return json.dumps({"memory": head, "digest": _digest(head)}, indent=1).encode(), shards


def _digest(head: object) -> str:
    return sha256(json.dumps(head).encode()).hexdigest()[:32]


def shard_names(head: bytes) -> frozenset[str]:
    """The names of the shards that a head names; none where it is broken."""
    try:
        return frozenset(json.loads(head)["memory"]["shards"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


def load(head: bytes, shard: Callable[[str], bytes | None], metric_set: MetricSet, where: str) -> Memory:
    """The memory of those bytes, `shard` giving a shard's; `UserError` where they are none, or one of another metric set, saying what to do."""
    try:
        said = json.loads(head)["memory"]
        if json.loads(head)["digest"] != _digest(said):
            raise ValueError("it was changed since it was kept")
        if said["version"] != VERSION:
            newer = f"has version {said['version']}, and this Anomalake reads {VERSION}; deploy the newer one, or {rebuild_hint(metric_set)}"
            raise UserError(f"{where}: {newer}")
        for name, now in _made_for(metric_set).items():
            if said[name] != now:
                raised = f"raise the metric set's `version`, or {rebuild_hint(metric_set)}"
                raise UserError(f"{where}: was made with the {name} {said[name]}, not {now}; {raised}")
        detector = Detector(metric_set)
        for measure, (start, group, series) in said["ongoing"].items():
            detector.ongoing[measure] = OngoingEvent(datetime.fromisoformat(start), group, frozenset(series))
        arrived = detector.completeness
        arrived.day, arrived.gap_length, arrived.reported = (said["arrived"][name] for name in ("day", "gap", "told"))
        arrived.recent_gaps = [(day, length) for day, length in said["arrived"]["gaps"]]
        counts = np.array(said["arrived"]["counts"], np.int32)
        if counts.shape != arrived.counts.shape:
            raise ValueError(f"arrived has the shape {counts.shape}")
        arrived.counts = counts
        names, days = said["shards"], said["days"]
        several = zip(days, map_in_threads(lambda number: _shard(names[number], shard), range(len(names))), strict=True)
        lasts = [detector.last_days]
        for number, (day, arrays) in enumerate(several):
            lasts.append(_filled(detector, arrays, day, whole=number < len(names) - 1))
        detector.last_days = np.concatenate(lasts)
        after, alerts_from = (datetime.fromisoformat(said[name]) for name in ("after", "alerts_from"))
        missed = tuple(datetime.fromisoformat(start) for start in said["missed"])
        return Memory(detector, after, alerts_from, said["silent"], missed, said["late"])
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{where}: the detector's state cannot be read: {error}; {rebuild_hint(metric_set)}") from error


def _shard(name: str, shard: Callable[[str], bytes | None]) -> dict[str, Any]:
    """The arrays of a shard; `ValueError` where its bytes are not those that were kept."""
    data = shard(name)
    if data is None:
        raise ValueError(f"its part {name} is not there")
    if sha256(data).hexdigest()[:32] != name:
        raise ValueError(f"its part {name} is damaged")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in ("series", "last", *STORED_ARRAYS)}


def _filled(detector: Detector, arrays: dict[str, Any], day: int, *, whole: bool) -> Any:
    """Take a shard's arrays into the detector; its series' last days."""
    series, width = json.loads(arrays["series"].tobytes()), len(detector.metric_set.measures)
    if (whole and len(series) != detector.per_shard) or arrays["last"].shape != (len(series),):
        raise ValueError(f"a part has {len(series)} series")
    detector.series.update({tuple(one): len(detector.series) + number for number, one in enumerate(series)})
    state = State(detector.completeness.slots)
    state.size, state.day = len(series) * width, day
    for stored, name in STORED_ARRAYS.items():
        array, empty = arrays[stored], getattr(state, name)
        shape = (*empty.shape[:-1], state.size)
        if array.shape != shape or array.dtype != empty.dtype:
            raise ValueError(f"the array {stored} has the shape {_times(array.shape)}, expected {_times(shape)}")
        setattr(state, name, array)
    detector.shards.append(state)
    return arrays["last"]


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
