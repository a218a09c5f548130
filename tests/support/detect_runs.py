"""Runs of the detect function over live data of a small shop, and what they write to the lake."""

from datetime import datetime
from typing import Any

from anomalake.domain import intervals, metric_set, metric_set_yaml
from anomalake.functions import detect
from anomalake.functions.settings import Settings
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.object_store import ObjectStore
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


NOW, HOUR = datetime(2021, 3, 1, 10, 20), datetime(2021, 3, 1, 10)


HEADER = "platform,marketplace,timestamp,views,revenue\n"


def write_live_data(
    store: ObjectStore, walls, item: metric_set.MetricSet = SHOP, level: float = 100, **odd: float
) -> None:
    """Write live data of two series for each wall time: a level with small changes.

    `odd` replaces the views of a time; its keys are `x%m%dT%H`.
    """
    for wall in walls:
        views = odd.get(f"x{wall:%m%dT%H}", level + wall.hour + wall.day % 3)
        rows = "".join(
            f"{platform},us,{wall:%Y-%m-%d %H:%M:%S},{views},{0.5 + wall.hour / 100}\n" for platform in ("app", "web")
        )
        store.put(f"{live_data.interval_folder(item, wall)}/data.csv", (HEADER + rows).encode())


def list_hours(first: datetime, last: datetime) -> list[datetime]:
    return list(intervals.iterate_wall_times(first, last, "PT1H"))


def run(settings: Settings, now: datetime = NOW, budget: int = 10**6) -> detect.RunResult:
    left = iter(range(budget))
    return detect.run_detector(SHOP, settings, now, lambda: next(left, None) is not None)[0]


def read_objects(settings: Settings, prefix: str = "anomalyResults") -> dict[str, bytes]:
    return {key: found.data for key in settings.store.list(prefix) if (found := settings.store.get(key))}


def read_rows(settings: Settings, table: layout.Table, start: datetime) -> list[tuple[Any, ...]]:
    """The rows of a table for an interval."""
    key, schema = layout.table_key(table, SHOP, start, settings.format), tables.schema(table, SHOP)
    found = settings.store.get(key)
    return (
        list(zip(*encoding.decode_table(settings.format, schema, found.data, key).values(), strict=True))
        if found
        else []
    )
