"""Feedback on events: it raises or lowers the scores of later anomalies of the same series. docs/detector.md describes
the files.

Each feedback "not wanted" halves the distance from the expected value that counts; each feedback "wanted" raises it by
a quarter.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalake.domain.alert import MISSING_DATA
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import Series

WANTED_WEIGHT, NOT_WANTED_WEIGHT = 1.25, 0.5  # factors of the distance from the expected value
MIN_WEIGHT, MAX_WEIGHT = 0.125, 2.0  # limits of the product of all factors


class Feedback(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Feedback on an event or on series; it holds for intervals after `timestamp` (naive UTC).

    Without `series`: for all of the measure.
    """

    metric_name: str
    timestamp: datetime
    wanted: bool
    event_id: str | None = None
    direction: str | None = None  # above or below; null: both
    series: tuple[dict[str, str | None], ...] = ()  # a series matches if it has all values of one entry
    note: str | None = None
    said_at: datetime | None = None  # UTC; if two are about one event, the tables show the later one


def parse(data: bytes, metric_set: MetricSet, where: str) -> Feedback:
    """Parse the feedback of a file. Raises `UserError`, which names the problem."""
    try:
        feedback = msgspec.json.decode(data, type=Feedback)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UserError(f"{where}: is not valid feedback: {error}; the detector ignores the file") from error
    validate(feedback, metric_set, where)
    return feedback


def validate(feedback: Feedback, metric_set: MetricSet, where: str) -> None:
    """Raise `UserError` if the feedback names something that the metric set does not have."""
    measures, dimensions = (*metric_set.measure_names, MISSING_DATA), metric_set.dimension_names
    if feedback.metric_name not in measures:
        raise UserError(
            f"{where}: metricName: there is no measure '{feedback.metric_name}'; there are {', '.join(measures)}"
        )
    if feedback.direction not in (None, "above", "below"):
        raise UserError(f"{where}: direction: '{feedback.direction}' must be above, below or null")
    if feedback.timestamp.tzinfo is not None:
        raise UserError(f"{where}: timestamp: must be in UTC without a zone, such as 2021-02-17T11:00:00")
    if unknown := sorted({name for entry in feedback.series for name in entry} - set(dimensions)):
        raise UserError(
            f"{where}: series: there is no dimension '{unknown[0]}'; "
            f"the dimensions are: {', '.join(dimensions) or '(none)'}"
        )


def feedback_before(feedback: Sequence[Feedback], start: datetime) -> list[Feedback]:
    """Return the feedback that holds for the interval that starts at `start`."""
    return [item for item in feedback if item.timestamp < start]


def distance_weights(
    feedback: Sequence[Feedback], metric_set: MetricSet, series: Sequence[Series], direction: str
) -> NDArray[np.float64]:
    """Return the factors of distances above, or below, the expected value; shape (series, measures)."""
    names = metric_set.dimension_names
    weights = np.ones((len(series), len(metric_set.measures)))
    for item in feedback:
        if item.metric_name in metric_set.measure_names and item.direction in (None, direction):
            matching = [
                not item.series or any(_matches(values, dimensions, names) for dimensions in item.series)
                for values in series
            ]
            weights[matching, metric_set.measure_names.index(item.metric_name)] *= _weight(item)
    return np.clip(weights, MIN_WEIGHT, MAX_WEIGHT)


def missing_data_weight(feedback: Sequence[Feedback]) -> float:
    """Return the factor of the percentage of missing series that counts."""
    weights = [_weight(item) for item in feedback if item.metric_name == MISSING_DATA]
    return float(np.clip(np.prod(weights), MIN_WEIGHT, MAX_WEIGHT))


def _weight(item: Feedback) -> float:
    return WANTED_WEIGHT if item.wanted else NOT_WANTED_WEIGHT


def _matches(series: Series, dimensions: dict[str, str | None], names: Sequence[str]) -> bool:
    return all(series[names.index(name)] == value for name, value in dimensions.items())
