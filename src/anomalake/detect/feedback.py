"""What people said of events: which series' later anomalies weigh more or less for it. Pure; the files are described in docs/detector.md.

An anomaly of a series that was not wanted counts half as far from what is expected, each time it was said; one that was wanted a quarter farther.
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

WANTED, NOT_WANTED = 1.25, 0.5  # times the distance from what is expected
LEAST, MOST = 0.125, 2.0  # however often it was said


class Feedback(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One marking: of an event, or of series; it holds for what comes after `timestamp` (naive UTC). No series: all of the measure."""

    metric_name: str
    timestamp: datetime
    wanted: bool
    event_id: str | None = None
    direction: str | None = None  # above or below; null: both
    series: tuple[dict[str, str | None], ...] = ()  # the dimensions that are named have to fit
    note: str | None = None
    said_at: datetime | None = None  # UTC; of two that speak of one event the tables show the later


def parse(data: bytes, metric_set: MetricSet, where: str) -> Feedback:
    """The marking of a file; `UserError` names what is wrong with it."""
    try:
        found = msgspec.json.decode(data, type=Feedback)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UserError(f"{where}: is no feedback: {error}; it is left out") from error
    validate(found, metric_set, where)
    return found


def validate(found: Feedback, metric_set: MetricSet, where: str) -> None:
    """`UserError` where it names what the metric set does not have."""
    measures, dimensions = (*metric_set.measure_names, MISSING_DATA), metric_set.dimension_names
    if found.metric_name not in measures:
        raise UserError(
            f"{where}: metricName: there is no measure {found.metric_name!r}; there are {', '.join(measures)}"
        )
    if found.direction not in (None, "above", "below"):
        raise UserError(f"{where}: direction: {found.direction!r} must be above, below or null")
    if found.timestamp.tzinfo is not None:
        raise UserError(f"{where}: timestamp: is UTC, and written without a zone, as 2021-02-17T11:00:00")
    if unknown := sorted({name for one in found.series for name in one} - set(dimensions)):
        raise UserError(
            f"{where}: series: there is no dimension {unknown[0]!r}; there are {', '.join(dimensions) or 'none'}"
        )


def feedback_before(feedback: Sequence[Feedback], start: datetime) -> list[Feedback]:
    """Return the feedback that holds for the interval that starts at `start`."""
    return [item for item in feedback if item.timestamp < start]


def distance_weights(
    some: Sequence[Feedback], metric_set: MetricSet, series: Sequence[Series], direction: str
) -> NDArray[np.float64]:
    """How many times its distance a series' anomaly counts on that side of what is expected; shape (series, measures)."""
    names = metric_set.dimension_names
    found = np.ones((len(series), len(metric_set.measures)))
    for one in some:
        if one.metric_name in metric_set.measure_names and one.direction in (None, direction):
            fits = [not one.series or any(_fits(values, wanted, names) for wanted in one.series) for values in series]
            found[fits, metric_set.measure_names.index(one.metric_name)] *= WANTED if one.wanted else NOT_WANTED
    return np.clip(found, LEAST, MOST)


def missing_data_weight(some: Sequence[Feedback]) -> float:
    """The same of data that does not arrive."""
    said = [WANTED if one.wanted else NOT_WANTED for one in some if one.metric_name == MISSING_DATA]
    return float(np.clip(np.prod(said), LEAST, MOST))


def _fits(series: Series, wanted: dict[str, str | None], names: Sequence[str]) -> bool:
    return all(series[names.index(name)] == value for name, value in wanted.items())
