"""Scores the values of an interval with the model: for the detector, and for the parts of a back-test."""

from datetime import datetime

import numpy as np

from anomalake.detect import model
from anomalake.detect.cycle import cycle_of
from anomalake.detect.traits import Moment, Traits
from anomalake.detect.transform import Floats
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import IntervalData

# The rows of figures: the fields of `model.Points`, and the weight of a mean or the denominator of a ratio.
FIELDS = (*model.Points._fields, "weight")
VALUE, EXPECTED, SCORE, WEIGHT = (FIELDS.index(name) for name in ("value", "expected", "score", "weight"))


def values_matrix(interval: IntervalData, width: int) -> Floats:
    """Return the interval's values [series, measure]; NaN without a value."""
    return np.array(list(interval.values.values()), float).reshape(-1, width)


def weights_matrix(interval: IntervalData, traits: Traits) -> Floats | None:
    """Return the weights of the interval's values [series, measure], NaN without one; None if no measure has any."""
    if not traits.has_weights:
        return None
    without = (None,) * traits.width
    rows = [interval.weights.get(series, without) for series in interval.values]
    return np.array(rows, float).reshape(-1, traits.width)


def new_state(metric_set: MetricSet) -> model.State:
    """Return a state of the model without series."""
    return model.State(cycle_of(metric_set.frequency))


def score_values(
    state: model.State, traits: Traits, moment: Moment, values: Floats, sensitivity: float, *,
    weights: Floats | None, distance_weights: tuple[Floats, Floats] | None,
) -> Floats:  # fmt: skip
    """Score an interval's values [series, measure] and learn from them; return figures [field, series x measures].

    The state gets new series. `weights` has the form of `values`; `distance_weights` are the factors of distances
    below, and above, the expected value, one for each column.
    """
    if state.size != values.size:
        state.grow(values.size)
    denominators = None
    if traits.is_ratio is not None and weights is not None:
        denominators = np.where(traits.is_ratio & ~np.isnan(values), weights, np.nan).ravel()
    points = model.score_interval(
        state, moment.model_day, moment.model_slot, values.ravel(), sensitivity,
        weights=distance_weights, length_ratio=_length_ratios(traits, moment.start, len(values)),
        denominator=denominators,
    )  # fmt: skip
    figures = np.empty((len(FIELDS), values.size))
    figures[:WEIGHT] = points
    figures[WEIGHT] = np.nan if weights is None else weights.ravel()
    return figures


def _length_ratios(traits: Traits, start: datetime, series_count: int) -> Floats | None:
    """Return an interval's length / its usual length, for each column (1 for a measure that is not additive); None
    unless clocks change in the interval.
    """
    ratio = traits.clock.length_ratio(start)
    return None if ratio == 1 else np.tile(np.where(traits.is_additive, ratio, 1.0), series_count)


def unscored_figures(columns: int) -> Floats:
    """Return the figures of an interval without values."""
    return np.full((len(FIELDS), columns), np.nan)
