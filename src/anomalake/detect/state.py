"""A detector's memory as bytes: what it has learned of every series, and how far it has come. Pure.

The form is numpy's archive of arrays with a header in JSON. One that is broken, newer or of another schema is refused, never forgotten in silence.
"""

import io
import json
import zipfile
import zlib
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple

import numpy as np

from anomalake.detect.model import State
from anomalake.detect.run import Detector, Ongoing
from anomalake.errors import UserError
from anomalake.metric_set import MetricSet

VERSION = 3
_ARRAYS = tuple(field.name for field in fields(State) if field.name not in ("slots", "size", "day"))


class Memory(NamedTuple):
    """A detector, the last interval it has gone through, the first it alerts on, and how many since the last that had data (walls, naive)."""

    detector: Detector
    after: datetime
    alerts_from: datetime
    silent: int


def _made_for(metric_set: MetricSet) -> dict[str, object]:
    """What a memory fits to: another of these, and it means nothing."""
    names = {"dimensions": list(metric_set.dimension_names), "measures": list(metric_set.measure_names)}
    return {**names, "frequency": metric_set.frequency, "timezone": metric_set.timezone}


def dump(memory: Memory) -> bytes:
    """The memory as bytes."""
    detector, state = memory.detector, memory.detector.state
    header = {
        "version": VERSION,
        **_made_for(detector.metric_set),
        "after": memory.after.isoformat(),
        "alerts_from": memory.alerts_from.isoformat(),
        "silent": memory.silent,
        "day": state.day,
        "series": list(detector.series),
        "ongoing": {measure: (one.wall.isoformat(), one.group, sorted(one.series)) for measure, one in detector.ongoing.items()},
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **{name: getattr(state, name) for name in _ARRAYS})
    return packed.getvalue()


def load(data: bytes, metric_set: MetricSet, where: str) -> Memory:
    """The memory of those bytes; `UserError` where they are none, or one of another metric set, saying what to do."""
    remedy = f"delete {where} to let the detector learn anew from the live data"
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["version"] != VERSION:
                raise UserError(f"{where}: has version {header['version']}, and this Anomalake reads {VERSION}; deploy the newer one, or {remedy}")
            for name, now in _made_for(metric_set).items():
                if header[name] != now:
                    raise UserError(f"{where}: was made with the {name} {header[name]}, not {now}; raise the metric set's `version`, or {remedy}")
            detector = Detector(metric_set)
            detector.series = {tuple(series): number for number, series in enumerate(header["series"])}
            for measure, (wall, group, series) in header["ongoing"].items():
                detector.ongoing[measure] = Ongoing(datetime.fromisoformat(wall), group, frozenset(series))
            state = detector.state
            state.size, state.day = len(detector.series) * len(metric_set.measures), header["day"]
            for name in _ARRAYS:
                array = arrays[name]
                if array.shape[:-1] != getattr(state, name).shape[:-1] or array.shape[-1] != state.size or array.dtype != getattr(state, name).dtype:
                    raise ValueError(f"{name} has the shape {array.shape}")
                setattr(state, name, array)
        after, alerts_from = (datetime.fromisoformat(header[name]) for name in ("after", "alerts_from"))
        return Memory(detector, after, alerts_from, header["silent"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{where}: the detector's state cannot be read: {error}; {remedy}") from error
