"""Series for tests of the model, and the points that the model returns for them."""

from datetime import datetime

import numpy as np

from anomalake.detect import model
from anomalake.detect.cycle import WEEKDAYS, Cycle

START = datetime(2021, 1, 4)


def score_matrix(values: np.ndarray, slots: int = 24, sensitivity: float = 50) -> model.Points:
    """Score a matrix [interval, series] from the first interval on."""
    state = model.State(Cycle(slots, 1, WEEKDAYS), values.shape[1])
    first = START.toordinal()
    steps = [
        model.score_interval(state, first + t // slots, t % slots, row, sensitivity) for t, row in enumerate(values)
    ]
    return model.Points(*(np.array(column) for column in zip(*steps, strict=True)))


def seasonal_values(days: int, seed: int = 1, level: float = 1000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    weekday = np.where((hours // 24) % 7 >= 5, 0.6, 1.0)
    return (level * (1 + 0.5 * np.sin(hours / 24 * 2 * np.pi)) * weekday * rng.normal(1, 0.03, len(hours)))[:, None]
