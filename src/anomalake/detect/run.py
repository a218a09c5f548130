"""The walk through a metric set's intervals: live data in, observations and alerts out, causal. Live and back-test take this one path."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from anomalake import intervals
from anomalake.alert import Alert
from anomalake.detect import events, model
from anomalake.key import series_key
from anomalake.live import Interval, Series
from anomalake.metric_set import MetricSet


class Scored(NamedTuple):
    """An interval's outcome: a record for each series and measure with a value (the columns of `observations`), and its alerts."""

    start: datetime  # naive UTC
    observations: list[tuple[Any, ...]]
    alerts: tuple[Alert, ...]


@dataclass
class Detector:
    """A metric set's detector: the series it knows, and the model's state of each of their measures (column = series x measure)."""

    metric_set: MetricSet
    series: dict[Series, int] = field(default_factory=dict)
    states: list[model.State] = field(default_factory=list)  # one a measure

    def __post_init__(self) -> None:
        slots = intervals.slots_per_day(self.metric_set.frequency)
        self.states = [model.State(slots) for _ in self.metric_set.measures]

    def score(self, interval: Interval) -> Scored:
        """Score an interval and learn from it; intervals come in time's order."""
        item, wall = self.metric_set, interval.wall
        start = intervals.to_utc(wall, item.timezone)
        for series in interval.values:
            self.series.setdefault(series, len(self.series))
        known = list(self.series)
        keys = [series_key(series) for series in known]
        observations: list[tuple[Any, ...]] = []
        alerts = []
        for number, (measure, state) in enumerate(zip(item.measure_names, self.states, strict=True)):
            values = np.full(len(known), np.nan)
            for series, measured in interval.values.items():
                value = measured[number]
                values[self.series[series]] = np.nan if value is None else value
            state.grow(len(known))
            points = model.step(state, wall.toordinal(), intervals.slot(wall, item.frequency), values, item.alerts.sensitivity)
            observations.extend(
                (keys[i], start, *known[i], measure, float(values[i]), *(_cell(column[i]) for column in points[1:]))
                for i in np.flatnonzero(~np.isnan(values)).tolist()
            )
            if alert := events.event(item, measure, start, known, points):
                alerts.append(alert)
        observations.sort(key=lambda record: record[0])
        return Scored(start, observations, tuple(alerts))


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else events.figures(float(value))


def days(scored: Iterator[Scored]) -> Iterator[tuple[str, list[Scored]]]:
    """The outcomes gathered by UTC date, in time's order."""
    gathered: list[Scored] = []
    for item in scored:
        if gathered and item.start.date() != gathered[0].start.date():
            yield f"{gathered[0].start:%Y-%m-%d}", gathered
            gathered = []
        gathered.append(item)
    if gathered:
        yield f"{gathered[0].start:%Y-%m-%d}", gathered
