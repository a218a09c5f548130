"""Convert distances to scores and back.

A distance is |value - expected| in scales: the usual spread of the series at that time.
"""

import numpy as np
from numpy.typing import NDArray

HALF_SCORE_AT = 4.3  # scales at which the score is 50; docs/detector.md has the number of false alarms for each score
# In units of `HALF_SCORE_AT`: above this, the logarithm replaces the distance, so that float64 still distinguishes very
# large distances.
MAX_LINEAR_UNITS = 100.0
MAX_SCORE = 99.9985  # the score of the largest distance that float64 holds


def score_from_distance(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score, 0 to 100, strictly increasing: 100 u / (1 + u) with u = distance / `HALF_SCORE_AT`.

    The score is 50 at `HALF_SCORE_AT`, 75 at three times and 90 at nine times that distance.
    """
    unit = distance / HALF_SCORE_AT
    large = unit > MAX_LINEAR_UNITS
    if np.count_nonzero(large):
        logarithmic = MAX_LINEAR_UNITS * (1 + np.log(np.maximum(unit, MAX_LINEAR_UNITS) / MAX_LINEAR_UNITS))
        unit = np.where(large, logarithmic, unit)
    score: NDArray[np.float64] = 100 * unit / (1 + unit)
    return score


def distance_from_score(score: float) -> float:
    """Return the distance that gives the score; above `MAX_SCORE`, the distance of `MAX_SCORE`."""
    unit = score / (100 - min(score, MAX_SCORE))
    if unit > MAX_LINEAR_UNITS:
        unit = MAX_LINEAR_UNITS * np.exp(unit / MAX_LINEAR_UNITS - 1)
    return float(HALF_SCORE_AT * unit)
