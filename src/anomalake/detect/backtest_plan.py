"""A back-test in parts, first half: read the live data of each UTC day, then plan what all parts have to know.

`Plan` needs every interval in order (which series came first, which data is missing), so one process makes it from the
small summaries of the days. `backtest_parts` continues; glue/backfill.py distributes the parts with Spark.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.detect.backtest import IntervalSummary, summarize_interval
from anomalake.detect.completeness import Completeness, completeness_of
from anomalake.detect.detector import Detector
from anomalake.detect.feedback import Feedback, feedback_before
from anomalake.detect.interval_result import Arrival, record_arrival
from anomalake.detect.missing_rows import has_active_series
from anomalake.detect.reading import read_in_order
from anomalake.detect.scoring import values_matrix, weights_matrix
from anomalake.detect.traits import Moment, Traits, moment_of, traits_of
from anomalake.detect.transform import Floats
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.credentials import open_lake
from anomalake.lake.layout import Format
from anomalake.lake.live_data import Series
from anomalake.lake.store import Store
from anomalake.lake.top_values import NO_TOP, TopValues

FirstSeen = dict[Series, tuple[int, int]]  # (number of the interval, place in it) where a series first occurs


class Job(NamedTuple):
    """The metric set to back-test and its lake; the ingest code routes alerts among `sets`."""

    lake: str
    metric_set: MetricSet
    sets: tuple[MetricSet, ...]
    format: Format
    top_values: TopValues = NO_TOP  # that dimensions with `top` keep

    @property
    def store(self) -> Store:
        """The lake; each process opens it once."""
        return _open_store(self.lake)


_open_store = cache(open_lake)


class Day(NamedTuple):
    """A UTC day: its number, and the live files of its intervals, the first of which has the number `first` among all
    intervals.
    """

    number: int
    date: str
    first: int
    files: tuple[tuple[datetime, tuple[str, ...]], ...]


def group_by_day(files: Mapping[datetime, Sequence[str]]) -> list[Day]:
    """Group the intervals and their live files by UTC date."""
    by_date: dict[str, list[tuple[datetime, tuple[str, ...]]]] = {}
    for start, keys in files.items():
        by_date.setdefault(layout.utc_date(start), []).append((start, tuple(keys)))
    firsts = itertools.accumulate((len(items) for items in by_date.values()), initial=0)
    return [
        Day(number, date, first, tuple(items))
        for number, (first, (date, items)) in enumerate(zip(firsts, by_date.items(), strict=False))
    ]


class DayData(NamedTuple):
    """A day's live data: `values` [interval, series, measure] of the series in `first_seen`, in that order, and their
    `weights`, if a measure has any.
    """

    day: int
    first_seen: FirstSeen
    values: Floats
    weights: Floats | None
    summaries: tuple[IntervalSummary, ...]


def read_day(job: Job, day: Day) -> DayData:
    """Read a day's live data."""
    metric_set, store, traits = job.metric_set, job.store, traits_of(job.metric_set)
    first_seen: FirstSeen = {}
    column: dict[Series, int] = {}
    parts: list[tuple[list[int], Floats, Floats | None]] = []
    summaries: list[IntervalSummary] = []
    for number, interval in enumerate(read_in_order(store, metric_set, day.files, job.top_values)):
        values = values_matrix(interval, traits.width)
        summaries.append(summarize_interval(interval, traits))
        for place, series in enumerate(interval.values):
            if series not in column:
                column[series], first_seen[series] = len(column), (day.first + number, place)
        places = [column[series] for series in interval.values]
        parts.append((places, values, weights_matrix(interval, traits)))
    all_values, all_weights = np.full((2, len(parts), len(column), len(metric_set.measures)), np.nan)
    for number, (columns, values, weights) in enumerate(parts):
        all_values[number, columns] = values
        if weights is not None:
            all_weights[number, columns] = weights
    return DayData(day.number, first_seen, all_values, all_weights if traits.has_weights else None, tuple(summaries))


def merge_first_seen(left: FirstSeen, right: FirstSeen) -> FirstSeen:
    """Merge where series first occur in two sets of days."""
    return left | {series: min(first, left.get(series, first)) for series, first in right.items()}


class Plan(msgspec.Struct, frozen=True, dict=True):
    """What all parts know about all intervals, by the interval's number, once all days are read."""

    job: Job
    days: list[Day]
    series: list[Series]  # in the order in which they first occur
    known_series: NDArray[np.int64]  # of each interval: number of series that have occurred so far
    arrivals: list[Arrival]
    is_scored: list[bool]  # of each interval: it has data, or a series that is filled with zeros
    summaries: list[IntervalSummary]
    completeness: Completeness  # after the last interval
    feedback: tuple[Feedback, ...]
    chunks: list[tuple[int, int]]  # of series: first, end; a chunk is scored by one part and lies within one shard

    @cached_property
    def series_number(self) -> dict[Series, int]:
        """The place of each series in `series`."""
        return {series: number for number, series in enumerate(self.series)}


def make_plan(
    job: Job,
    days: list[Day],
    first_seen: Mapping[Series, tuple[int, int]],
    summaries: list[IntervalSummary],
    *,
    feedback: tuple[Feedback, ...],
    parts: int,
) -> Plan:
    """Plan the parts:

    `summaries` has the summary of each interval, in order; series are divided into at least `parts` chunks, if there
    are enough.
    """
    metric_set = job.metric_set
    series = sorted(first_seen, key=first_seen.__getitem__)
    first_intervals = [first_seen[item][0] for item in series]
    known_series = np.searchsorted(first_intervals, np.arange(len(summaries)), side="right")
    completeness = completeness_of(metric_set.frequency)
    traits = traits_of(metric_set)
    moments = [moment_of(traits.clock, start) for day in days for start, _ in day.files]
    arrivals = [
        record_arrival(
            completeness,
            metric_set,
            moment,
            feedback_before(feedback, moment.start),
            series_count=summary.series_with_value,
            rows=summary.rows,
            rejected_rows=summary.finding_count,
            is_counted=count > 0,
        )
        for moment, summary, count in zip(moments, summaries, known_series.tolist(), strict=True)
    ]
    per_shard = Detector(metric_set).per_shard
    size = max(1, min(per_shard, -(-len(series) // parts)))
    chunks = [
        (first, min(first + size, shard + per_shard, len(series)))
        for shard in range(0, len(series), per_shard)
        for first in range(shard, min(shard + per_shard, len(series)), size)
    ]
    is_scored = _find_scored(traits, moments, summaries, known_series)
    return Plan(
        job, days, series, known_series, arrivals, is_scored, summaries, completeness, feedback, chunks or [(0, 0)]
    )


def _find_scored(
    traits: Traits, moments: Sequence[Moment], summaries: Sequence[IntervalSummary], known: NDArray[np.int64]
) -> list[bool]:
    """Return which intervals are scored: those with data, and if missing rows mean zero, those with a series that is
    not retired.
    """
    has_data = [summary.series_in_data > 0 for summary in summaries]
    if not traits.fills_zeros:
        return has_data
    is_scored: list[bool] = []
    last_day, last_count = None, 0
    for moment, has_own, summary, count in zip(moments, has_data, summaries, known.tolist(), strict=True):
        if summary.any_living or count > last_count:
            last_day, last_count = moment.day, count
        is_active = last_day is not None and has_active_series(traits.clock, last_day, moment.day)
        is_scored.append(has_own or is_active)
    return is_scored
