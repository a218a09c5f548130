"""The walk through a metric set's intervals: live data in, observations and alerts out, causal. Live and back-test take this one path."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anomalake import intervals
from anomalake.alert import Alert, dimension_values
from anomalake.detect import events, model
from anomalake.key import series_key
from anomalake.live import Interval, Series
from anomalake.metric_set import MetricSet


class Scored(NamedTuple):
    """An interval's outcome: a record for each series and measure with a value (the columns of `observations`), and its alerts."""

    start: datetime  # naive UTC
    observations: list[tuple[Any, ...]]
    alerts: tuple[Alert, ...]


class Ongoing(NamedTuple):
    """The last event of a measure: when, the group that it belongs to, and the columns of its series."""

    wall: datetime
    group: str
    series: frozenset[int]


@dataclass
class Detector:
    """A metric set's detector: the series it knows, and the model's state of each of their measures (column = series x measures + measure)."""

    metric_set: MetricSet
    series: dict[Series, int] = field(default_factory=dict)
    state: model.State = field(init=False)
    ongoing: dict[str, Ongoing] = field(default_factory=dict)  # by measure

    def __post_init__(self) -> None:
        self.state = model.State(intervals.slots_per_day(self.metric_set.frequency))

    def score(self, interval: Interval) -> Scored:
        """Score an interval and learn from it; intervals come in time's order."""
        item, wall, width = self.metric_set, interval.wall, len(self.metric_set.measures)
        start = intervals.to_utc(wall, item.timezone)
        for series in interval.values:
            self.series.setdefault(series, len(self.series))
        known = list(self.series)
        values = np.full((len(known), width), np.nan)
        for series, measured in interval.values.items():
            values[self.series[series]] = [np.nan if value is None else value for value in measured]
        self.state.grow(values.size)
        day, slot = wall.toordinal(), intervals.slot(wall, item.frequency)
        points = model.step(self.state, day, slot, values.ravel(), item.alerts.sensitivity)
        by_measure = [model.Points(*(column[number::width] for column in points)) for number in range(width)]
        observations = [
            (series_key(series), start, *series, measure, float(values[i, number]), *_cells(by_measure[number], i))
            for series, i in ((series, self.series[series]) for series in interval.values)
            for number, measure in enumerate(item.measure_names)
            if not np.isnan(values[i, number])
        ]
        observations.sort(key=lambda record: str(record[0]))
        found = (events.event(item, measure, wall, known, some) for measure, some in zip(item.measure_names, by_measure, strict=True))
        return Scored(start, observations, tuple(self._grouped(alert, wall) for alert in found if alert is not None))

    def _grouped(self, alert: Alert, wall: datetime) -> Alert:
        """The alert in the group of the interval just before, where that had an event of the measure and of one of its series."""
        item, metric = self.metric_set, alert.impacted_metric
        affected = frozenset(self.series[dimension_values(series, item)] for series in metric.relevant_time_series)
        before = self.ongoing.get(metric.metric_name)
        if before is not None and before.series & affected and intervals.end(before.wall, item.frequency, item.timezone) == alert.instant:
            alert = msgspec.structs.replace(alert, anomaly_group_id=before.group)
        self.ongoing[metric.metric_name] = Ongoing(wall, alert.anomaly_group_id or "", affected)
        return alert


def _cells(points: model.Points, i: int) -> tuple[float | None, ...]:
    """Expected value, bounds and score of one series; null where there are none yet."""
    if np.isnan(points.expected[i]):
        return (None, None, None, None)
    return (*events.rounded(points, i), events.figures(float(points.score[i])))


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
