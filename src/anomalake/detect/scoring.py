"""Scores the values of an interval with the model: for the detector, and for the parts of a back-test."""

from datetime import datetime

import numpy as np

from anomalake.detect import model
from anomalake.detect.cycle import cycle_of, model_time
from anomalake.detect.transform import Floats
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import IntervalData

# The rows of figures: the fields of `model.Points`, and the weight of a mean or the denominator of a ratio.
FIELDS = (*model.Points._fields, "weight")
VALUE, EXPECTED, SCORE, WEIGHT = (FIELDS.index(name) for name in ("value", "expected", "score", "weight"))


def values_matrix(interval: IntervalData, metric_set: MetricSet) -> Floats:
    """Return the interval's values [series, measure]; NaN without a value."""
    return np.array(list(interval.values.values()), float).reshape(-1, len(metric_set.measures))


def weights_matrix(interval: IntervalData, metric_set: MetricSet) -> Floats | None:
    """Return the weights of the interval's values [series, measure], NaN without one; None if no measure has any."""
    if not any(measure.has_weight for measure in metric_set.measures):
        return None
    without = (None,) * len(metric_set.measures)
    rows = [interval.weights.get(series, without) for series in interval.values]
    return np.array(rows, float).reshape(-1, len(metric_set.measures))


def new_state(metric_set: MetricSet) -> model.State:
    """Return a state of the model without series."""
    return model.State(cycle_of(metric_set.frequency))


def score_values(
    state: model.State, metric_set: MetricSet, start: datetime, wall: datetime, values: Floats, *,
    weights: Floats | None, distance_weights: tuple[Floats, Floats] | None,
) -> Floats:  # fmt: skip
    """Score an interval's values [series, measure] and learn from them; return figures [field, series x measures].

    The state gets new series. `weights` has the form of `values`; `distance_weights` are the factors of distances
    below, and above, the expected value, one for each column.
    """
    day, slot = model_time(wall, metric_set.frequency)
    state.grow(values.size)
    ratios = length_ratios(metric_set, start)
    points = model.score_interval(
        state, day, slot, values.ravel(), metric_set.alerts.sensitivity,
        weights=distance_weights, length_ratio=None if ratios is None else np.tile(ratios, len(values)),
        denominator=_denominators(metric_set, values, weights),
    )  # fmt: skip
    figures = np.empty((len(FIELDS), values.size))
    figures[:WEIGHT] = points
    figures[WEIGHT] = np.nan if weights is None else weights.ravel()
    return figures


def _denominators(metric_set: MetricSet, values: Floats, weights: Floats | None) -> Floats | None:
    """Return the denominators of the ratios, one for each column, NaN for other measures; None without a ratio."""
    is_ratio = [measure.aggregation == "RATIO" for measure in metric_set.measures]
    if weights is None or not any(is_ratio):
        return None
    return np.where(np.array(is_ratio) & ~np.isnan(values), weights, np.nan).ravel()


def unscored_figures(columns: int) -> Floats:
    """Return the figures of an interval without values."""
    return np.full((len(FIELDS), columns), np.nan)


def length_ratios(metric_set: MetricSet, start: datetime) -> Floats | None:
    """Return an interval's length / its usual length, for each measure (1 for one that is not additive); None unless
    clocks change in the interval.
    """
    ratio = metric_set.clock.length_ratio(start)
    if ratio == 1:
        return None
    return np.array([ratio if measure.is_additive else 1.0 for measure in metric_set.measures])
