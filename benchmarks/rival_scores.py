"""Scores of a rival, in an environment of its own (.ci/rivals.txt): `python rival_scores.py forest|forecaster IN.npz
OUT.npz`.

IN: `values` [interval, series] (NaN: missing), `slots` of a day, `weekday` of the first day (Monday 0). OUT: `score`,
of the same shape, higher for more anomalous values, NaN while there is too little history; `seconds` of processor time
without imports. The score of the forest uses no later value, and that of the forecaster uses no value of the same day.
Both use square roots, because the spread of business figures then depends less on their size. Parameters were selected
by the average precision on the first series of seed 11 of `accuracy.labelled`.
"""

import sys
import time
from typing import Any

import numpy as np

FIRST = 14  # days of history before scoring starts
TREES, SAMPLE = 50, 512
KEPT = {24: 28, 1: 365}  # days that the forecaster looks back, by slots of a day
CLIPPED = 4.0  # in scales; the history contains a value at most this far from its forecast
JUMPS = {
    "trend_jump": 12,
    "low_pass_jump": 12,
}  # these curves are computed at every twelfth hour: the result differs by less than 0.1 %, seven times as fast
LEAST = 0.5  # of the scale of the forecaster: the root of a count varies by this much by chance


def forest(values: np.ndarray, slots: int, weekday: int) -> np.ndarray:
    """AWS's random cut forest, point by point: it scores (value, time of day on a circle, weekend or not), then learns
    the point.
    """
    from krcf import RandomCutForest

    time_of = np.arange(len(values))
    angle, days = 2 * np.pi * time_of / slots, weekday + time_of // slots
    week = 2 * np.pi * days / 7
    calendar = (np.sin(angle), np.cos(angle), days % 7 >= 5) if slots > 1 else (np.sin(week), np.cos(week))
    score = np.full(values.shape, np.nan)
    for column in range(values.shape[1]):
        value = np.sqrt(values[:, column])
        size = float(np.nanstd(value[: FIRST * slots])) or 1.0  # the calendar has the weight of the usual variation
        points = np.column_stack([value, *(size * part for part in calendar)]).tolist()
        options: Any = {
            "dimensions": len(points[0]),
            "shingle_size": 1,
            "num_trees": TREES,
            "sample_size": SAMPLE,
            "random_seed": 1,
        }
        trees = RandomCutForest(options)
        for number, point in enumerate(points):
            if not np.isnan(point[0]):
                score[number, column] = trees.score(point) if number >= FIRST * slots else np.nan
                trees.update(point)
    return score


def forecaster(values: np.ndarray, slots: int, _: int) -> np.ndarray:
    """Separate day and week (MSTL), and smooth the trend exponentially (AutoETS), fitted each day for the next: |error|
    in robust scales.
    """
    from statsforecast.models import MSTL, AutoETS

    score, seasons = np.full(values.shape, np.nan), [slots, 7 * slots] if slots > 1 else [7]
    for column in range(values.shape[1]):
        value = np.sqrt(values[:, column])
        known, errors = np.where(np.isnan(value), 0.0, value), np.full(len(value), np.nan)
        for begin in range(FIRST * slots, len(value), slots):
            day, back = slice(begin, begin + slots), slice(max(0, begin - KEPT[slots] * slots), begin)
            trend = AutoETS(model="ANN" if slots > 1 else "ZZN")
            model = MSTL(season_length=seasons, trend_forecaster=trend, stl_kwargs=JUMPS if slots > 1 else None)
            expected = model.forecast(y=known[back], h=len(value[day]))["mean"]
            errors[day] = value[day] - expected
            if np.isnan(errors[back]).all():  # the first day
                known[day] = np.where(np.isnan(value[day]), expected, value[day])
                continue
            scale = max(LEAST, 1.4826 * float(np.nanmedian(np.abs(errors[back]))))
            score[day, column] = np.abs(errors[day]) / scale
            known[day] = expected + np.clip(np.nan_to_num(errors[day]), -CLIPPED * scale, CLIPPED * scale)
    return score


def main() -> None:
    name, source, target = sys.argv[1:]
    given = np.load(source)
    way = {"forest": forest, "forecaster": forecaster}[name]
    way(
        given["values"][: (FIRST + 3) * int(given["slots"]), :1], int(given["slots"]), int(given["weekday"])
    )  # imports and compiles the code
    began = time.process_time()
    score = way(given["values"], int(given["slots"]), int(given["weekday"]))
    np.savez(target, score=score, seconds=time.process_time() - began)


if __name__ == "__main__":
    main()
