"""Compares the detector with a random cut forest and a forecaster, on the series of benchmarks/accuracy.py, with the
same metrics. All scores are causal.

The rivals are packages of an environment of their own, `.venv/rivals` (.ci/rivals.txt; `make .venv/.rivals`), and run
there as processes (benchmarks/rival_scores.py).
"""

import datetime
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import accuracy

TOP = Path(__file__).parent.parent
PYTHON = TOP / ".venv/rivals/bin/python"
FLIGHTS = ("all, daily", "all, hourly")
RIVALS = ("forest", "forecaster")


def rivals(folder: Path) -> None:
    """Print a row for each data set: average precision, best F1, and points per second of processor time of each."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is missing: `make .venv/.rivals` makes it")
    print(f"| set | {' | '.join(('Anomalake', *RIVALS))} |\n|---|{'---|' * (1 + len(RIVALS))}")
    for seed in accuracy.SEEDS:
        _row(folder, f"generated, seed {seed}", _judged(*accuracy.labelled(seed), accuracy.WARM_UP * 24, "2024-01-01"))
    for measure, cells in accuracy.shop_cells().items():
        _row(folder, f"the shop, {measure}", _judged(*cells, 0, "2021-01-01"))
    for kind in FLIGHTS:
        _row(folder, f"flights, cancellations, {kind}", lambda way, kind=kind: accuracy.flight_days(way, (kind,))[kind])


def _judged(
    values: np.ndarray, label: np.ndarray, after: int, start: str
) -> Callable[[accuracy.ScoreFunction], accuracy.Result]:
    """Return the quality of a detector from the interval `after` on."""
    return lambda way: accuracy.judge(label[after:].ravel(), way(values, 24, start)[after:].ravel())


def _row(folder: Path, name: str, judged: Callable[[accuracy.ScoreFunction], accuracy.Result]) -> None:
    cells = []
    for rival in (None, *RIVALS):
        taken: list[float] = []

        def way(
            values: np.ndarray, slots: int, start: str, rival: str | None = rival, taken: list[float] = taken
        ) -> np.ndarray:
            began = time.process_time()
            score, seconds = (
                (accuracy.scored(values, slots, start), None)
                if rival is None
                else _rival(folder, rival, values, slots, start)
            )
            taken.append(values.size / (seconds or time.process_time() - began))
            return score

        result = judged(way)
        cells.append(f"{result.average_precision:.3f}, {result.best_f1:.3f}, {float(f'{taken[0]:.2g}'):,.0f}/s")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _rival(folder: Path, rival: str, values: np.ndarray, slots: int, start: str) -> tuple[np.ndarray, float]:
    """Return the scores of the rival, and the seconds that they required."""
    source, target = folder / "values.npz", folder / "scores.npz"
    np.savez(source, values=values, slots=slots, weekday=datetime.date.fromisoformat(start).weekday())
    subprocess.run(
        [PYTHON, Path(__file__).parent / "rival_scores.py", rival, source, target],
        check=True,
        env={"OPENBLAS_NUM_THREADS": "1"},
    )
    with np.load(target) as made:
        return made["score"], float(made["seconds"])
