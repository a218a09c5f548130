"""A metric set of each frequency with a measure of each aggregation, and random live data for it."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from anomalake.cli.write_live_data import write_live_data
from anomalake.detect import schedule
from anomalake.domain import intervals, metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.folder_store import FolderStore
from rates_set import RATES_YAML

FOLDERS = {"P1D": "{{yyyyMMdd}}", "P1W": "{{yyyyMMdd}}", "P1M": "{{yyyyMM}}"}


def visits_set(
    frequency: str, *, missing: str = "zero", zone: str = "UTC", folder: str = "", top: int | None = None
) -> MetricSet:
    """Return the metric set; by default, a folder of live data covers one interval."""
    path = folder or FOLDERS.get(frequency, "{{yyyyMMdd}}/{{HHmm}}")
    text = RATES_YAML.replace("PT30M", f"{frequency}\nmissing: {missing}").replace("timezone: UTC", f"timezone: {zone}")
    text = text.replace("{{yyyyMMdd}}", path)
    if top is not None:
        text = text.replace("[country]", f"[{{name: country, top: {top}}}]")
    return metric_set_yaml.parse(text, "rates")


def write_visits(root: Path, item: MetricSet, starts: list[datetime], seed: int) -> FolderStore:
    """Write live data of four countries in intervals with these starts; some intervals have no rows.

    One country ends, one begins late, one has few rows; each interval has up to three rows of a country.
    """
    store, rng, rows = FolderStore(root), np.random.default_rng(seed), []
    empty = set(rng.choice(len(starts), len(starts) // 20, replace=False).tolist())
    for number, start in enumerate(starts):
        present = ["de", *(["fr"] if number < len(starts) // 2 else []), *(["it"] if number > 5 else [])]
        present += ["us"] if rng.random() < 0.2 else []
        factor = 30 if number == len(starts) - 3 else 1
        for country in present if number not in empty or number == 0 else []:
            for _ in range(int(rng.integers(1, 4))):
                visits, load = int(rng.poisson(40)) * factor, round(float(rng.normal(10, 1)), 2)
                rows.append(
                    (intervals.to_wall_time(start, item.timezone), country, visits, f"c{rng.integers(9)}", load)
                )
    frame = pd.DataFrame(rows, columns=["at", "country", "visits", "customer", "load"])
    _, findings = write_live_data(frame, item, store)
    assert findings == []
    return store


def list_starts(item: MetricSet, first: datetime, count: int) -> list[datetime]:
    """Return the starts of consecutive intervals from the one that contains `first` (naive UTC)."""
    starts = [item.start(first)]
    while len(starts) < count:
        starts.append(item.clock.next_start(starts[-1]))
    return starts


def due_after(item: MetricSet, start: datetime) -> datetime:
    """Return when the interval is due (naive UTC)."""
    return schedule.due_time(item, start)
