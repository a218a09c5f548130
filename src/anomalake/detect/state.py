"""The state of a detector, as bytes: what it has learned of every series, and the last interval that it processed.

A head in JSON names the shards. Each shard is a numpy archive with the arrays of some series, named by its digest.
Shards are written first and change nothing until the head is replaced. A state that is damaged, newer or of another
schema is rejected with an error.
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

from anomalake.detect.completeness import Completeness
from anomalake.detect.cycle import cycle_of
from anomalake.detect.detector import Detector, OngoingEvent, map_in_threads
from anomalake.detect.model_state import State
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

VERSION = 6
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
    "denominator": "denominator_mean",
    "proportion": "is_proportion",
}


class DetectorState(NamedTuple):
    """A detector and its position in time. Times are starts of intervals, naive UTC."""

    detector: Detector
    last_processed: datetime
    alerts_from: datetime  # the first interval that sends alerts
    silent_intervals: int  # consecutive intervals without data, up to the last processed one
    empty_intervals: tuple[datetime, ...] = ()  # the newest intervals without data when they were processed
    late_intervals: int = 0  # number of such intervals that had data later


def rebuild_hint(metric_set: MetricSet) -> str:
    """Return the text that says how to replace a state that cannot be used."""
    return f"run `anomalake detect --rebuild` for metric set '{metric_set.name}' to rebuild it (see docs/detector.md)"


def _schema(metric_set: MetricSet) -> dict[str, object]:
    """Return the fields of the metric set that a state depends on: it is valid only while they stay the same."""
    names = {"dimensions": list(metric_set.dimension_names), "measures": list(metric_set.measure_names)}
    return {**names, "frequency": metric_set.frequency, "timezone": metric_set.timezone}


def dump(detector_state: DetectorState) -> tuple[bytes, Mapping[str, bytes]]:
    """Return the state as bytes: its head, and its shards by name."""
    detector = detector_state.detector
    series, per_shard = list(detector.series), detector.per_shard

    def pack_shard(number: int) -> bytes:
        state = detector.shards[number]
        in_shard = slice(number * per_shard, (number + 1) * per_shard)
        names = np.frombuffer(json.dumps(series[in_shard]).encode(), np.uint8)
        packed = io.BytesIO()
        arrays = {stored: getattr(state, name) for stored, name in STORED_ARRAYS.items()}
        np.savez_compressed(packed, series=names, last=detector.last_days[in_shard], **arrays)
        return packed.getvalue()

    packed_shards = map_in_threads(pack_shard, range(len(detector.shards)))
    shards = {sha256(data).hexdigest()[:32]: data for data in packed_shards}
    completeness = detector.completeness
    head = {
        "version": VERSION,
        **_schema(detector.metric_set),
        "after": detector_state.last_processed.isoformat(),
        "alerts_from": detector_state.alerts_from.isoformat(),
        "silent": detector_state.silent_intervals,
        "missed": [start.isoformat() for start in detector_state.empty_intervals],
        "late": detector_state.late_intervals,
        "status": detector.status(),
        "ongoing": {
            measure: (event.start.isoformat(), event.group, sorted(event.series))
            for measure, event in detector.ongoing.items()
        },
        "arrived": {
            "day": completeness.day,
            "counts": completeness.counts.tolist(),
            "gaps": completeness.recent_gaps,
            "gap": completeness.gap_length,
            "told": completeness.reported,
        },
        "days": [state.day for state in detector.shards],
        "shards": list(shards),
    }
    return json.dumps({"memory": head, "digest": _digest(head)}, indent=1).encode(), shards


def _digest(head: object) -> str:
    return sha256(json.dumps(head).encode()).hexdigest()[:32]


def shard_names(head: bytes) -> frozenset[str]:
    """Return the names of the shards that a head names; an empty set if the head is damaged."""
    try:
        return frozenset(json.loads(head)["memory"]["shards"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


def load(head: bytes, shard: Callable[[str], bytes | None], metric_set: MetricSet, where: str) -> DetectorState:
    """Read a state from the bytes of its head; `shard` returns the bytes of a shard.

    Raises `UserError`, which says what to do, if the state is damaged, of another version or of another metric set.
    `where` is its key.
    """
    try:
        stored = json.loads(head)["memory"]
        if json.loads(head)["digest"] != _digest(stored):
            raise ValueError("its digest does not match")
        if stored["version"] != VERSION:
            raise UserError(
                f"{where}: has version {stored['version']}, and this Anomalake reads {VERSION}; "
                f"deploy the newer version, or {rebuild_hint(metric_set)}"
            )
        for name, now in _schema(metric_set).items():
            if stored[name] != now:
                raise UserError(
                    f"{where}: was made for {name} {_text(stored[name])}; the metric set has {_text(now)}; "
                    f"raise the metric set's `version`, or {rebuild_hint(metric_set)}"
                )
        detector = Detector(metric_set)
        for measure, (start, group, series) in stored["ongoing"].items():
            detector.ongoing[measure] = OngoingEvent(datetime.fromisoformat(start), group, frozenset(series))
        _load_completeness(detector.completeness, stored["arrived"])
        names, days = stored["shards"], stored["days"]
        shards = map_in_threads(lambda number: _read_shard(names[number], shard), range(len(names)))
        last_days = [detector.last_days]
        for number, (day, arrays) in enumerate(zip(days, shards, strict=True)):
            last_days.append(_add_shard(detector, arrays, day, whole=number < len(names) - 1))
        detector.last_days = np.concatenate(last_days)
        after, alerts_from = (datetime.fromisoformat(stored[name]) for name in ("after", "alerts_from"))
        empty = tuple(datetime.fromisoformat(start) for start in stored["missed"])
        return DetectorState(detector, after, alerts_from, stored["silent"], empty, stored["late"])
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


def _load_completeness(completeness: Completeness, stored: dict[str, Any]) -> None:
    """Restore the completeness of the detector. Raises `ValueError` if its counts have another shape."""
    completeness.day, completeness.gap_length, completeness.reported = (stored[name] for name in ("day", "gap", "told"))
    completeness.recent_gaps = [(day, length) for day, length in stored["gaps"]]
    counts = np.array(stored["counts"], np.int32)
    if counts.shape != completeness.counts.shape:
        expected = _times(completeness.counts.shape)
        raise ValueError(f"the array counts has the shape {_times(counts.shape)}, expected {expected}")
    completeness.counts = counts


def _read_shard(name: str, shard: Callable[[str], bytes | None]) -> dict[str, Any]:
    """Read the arrays of a shard. Raises `ValueError` if it is missing or damaged."""
    data = shard(name)
    if data is None:
        raise ValueError(f"shard {name} is missing")
    if sha256(data).hexdigest()[:32] != name:
        raise ValueError(f"shard {name} is damaged")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in ("series", "last", *STORED_ARRAYS)}


def _add_shard(detector: Detector, arrays: dict[str, Any], day: int, *, whole: bool) -> Any:
    """Add a shard's series and arrays to the detector; return its `last_days`."""
    series, width = json.loads(arrays["series"].tobytes()), len(detector.metric_set.measures)
    if (whole and len(series) != detector.per_shard) or arrays["last"].shape != (len(series),):
        raise ValueError(f"a shard has {len(series)} series")
    detector.series.update({tuple(values): len(detector.series) + number for number, values in enumerate(series)})
    state = State(cycle_of(detector.metric_set.frequency))
    state.size, state.day = len(series) * width, day
    for stored, name in STORED_ARRAYS.items():
        array, empty = arrays[stored], getattr(state, name)
        shape = (*empty.shape[:-1], state.size)
        if array.shape != shape or array.dtype != empty.dtype:
            raise ValueError(f"the array {stored} has the shape {_times(array.shape)}, expected {_times(shape)}")
        setattr(state, name, array)
    detector.shards.append(state)
    return arrays["last"]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
