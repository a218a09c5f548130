"""The objects that the detector writes of several intervals: their observations, and their data health.

A series and measure with a value has one row of `observations`, with its figures.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from anomalake.detect import events
from anomalake.detect.interval_result import IntervalResult
from anomalake.detect.model import Points
from anomalake.detect.scoring import EXPECTED, FIELDS, SCORE, VALUE, WEIGHT
from anomalake.detect.transform import Floats, Mask
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.series_key import build_series_key
from anomalake.lake import encoding, tables
from anomalake.lake.layout import Format, Table
from anomalake.lake.live_data import Series

_cached_series_key = lru_cache(maxsize=2**17)(build_series_key)


def build_columns(
    metric_set: MetricSet, series: Sequence[Series], results: Sequence[IntervalResult]
) -> dict[str, pa.Array] | None:
    """Return the rows of the results by column, sorted by interval, series key and measure; None without a row.

    `series` are all known series in their order. Expected value, bounds and score are null while there is too little
    history.
    """
    width = len(metric_set.measures)
    count = max((result.figures.shape[1] for result in results), default=0) // width
    keys = [_cached_series_key(values) for values in series[:count]]
    order = sorted(range(count), key=keys.__getitem__)
    figures = np.full((len(FIELDS), len(results), count, width), np.nan)
    for number, result in enumerate(results):
        own = result.figures.reshape(len(FIELDS), -1, width)
        figures[:, number, : own.shape[1]] = own
    figures = figures[:, :, order]
    interval, place, measure = np.nonzero(~np.isnan(figures[VALUE]))
    if not len(interval):
        return None
    cells = figures[:, interval, place, measure]
    starts = np.array([result.start for result in results], "datetime64[ms]")
    unscored, points = np.isnan(cells[EXPECTED]), Points(*cells[:WEIGHT])
    rounded = (*events.round_bounds(points, slice(None)), events.round_figures(cells[SCORE]))
    columns = [
        _texts(keys, order).take(pa.array(place)),
        pa.array(starts[interval]),
        *(_texts([item[number] for item in series[:count]], order).take(pa.array(place))
          for number in range(len(metric_set.dimensions))),
        pa.array(metric_set.measure_names, pa.string()).take(pa.array(measure)),
        pa.array(cells[VALUE]),
        *(_numbers(column, unscored) for column in rounded),
        _numbers(cells[WEIGHT], np.isnan(cells[WEIGHT])),
    ]  # fmt: skip
    names = [column.name for column in tables.schema("observations", metric_set)]
    return dict(zip(names, columns, strict=True))


def encode_results(
    metric_set: MetricSet, table_format: Format, series: Sequence[Series], results: Sequence[IntervalResult]
) -> dict[Table, bytes]:
    """Return the object of each of the tables `observations` and `dataHealth` that has a row."""
    objects: dict[Table, bytes] = {}
    if columns := build_columns(metric_set, series, results):
        objects["observations"] = encoding.encode_table(
            table_format, tables.schema("observations", metric_set), columns
        )
    if health := [result.health for result in results if result.health]:
        objects["dataHealth"] = encoding.encode_records(table_format, tables.schema("dataHealth", metric_set), health)
    return objects


def _texts(values: Sequence[str | None], order: Sequence[int]) -> pa.Array:
    return pa.array([values[place] for place in order], pa.string())


def _numbers(values: Floats, is_null: Mask) -> pa.Array:
    return pa.array(values, pa.float64(), mask=is_null)
