"""The score of a distance and back. A distance is |value - expected| in scales, the spread that is usual for the series at that time. Pure."""

import numpy as np
from numpy.typing import NDArray

HALF_SCORE_AT = 4.3  # scales at which the score is 50; what that costs in false alarms: docs/detector.md
LINEAR_TO = 100.0  # in units of `HALF_SCORE_AT`: beyond, the logarithm counts, so that float64 still tells the greatest distances apart
GREATEST = 99.9985  # no distance that float64 can hold gives more


def score_from_distance(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 100, strictly increasing: 100 u / (1 + u) for u = distance / `HALF_SCORE_AT`, so 50 there, 75 at three times as far, 90 at nine times."""
    unit = distance / HALF_SCORE_AT
    unit = np.where(unit > LINEAR_TO, LINEAR_TO * (1 + np.log(np.maximum(unit, LINEAR_TO) / LINEAR_TO)), unit)
    score: NDArray[np.float64] = 100 * unit / (1 + unit)
    return score


def distance_from_score(score: float) -> float:
    """The distance that gives the score; that of `GREATEST` for what is above."""
    unit = score / (100 - min(score, GREATEST))
    return float(HALF_SCORE_AT * (unit if unit <= LINEAR_TO else LINEAR_TO * np.exp(unit / LINEAR_TO - 1)))
