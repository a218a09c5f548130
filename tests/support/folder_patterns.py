"""A metric set of the shop with any folder pattern of live data, for tests of partition projection."""

from datetime import datetime

from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import live_data
from examples import shop_text

PATHS = (  # patterns of hourly metric sets
    "shop/live/{{yyyyMMdd}}/{{HHmm}}",
    "shop/live/{{yyyyMMddHH}}",
    "shop/live/{{yyyy}}/{{MM}}/{{dd}}/{{HH}}",
    "shop/live/y={{yyyy}}/m={{MM}}/d={{dd}}/h={{HH}}",
    "shop/live/{{yyyy-MM-dd}}T{{HH}}",
    "shop/live/{{dd}}.{{MM}}.{{yyyy}}/{{HH}}",
    "shop/live/{{HH}}/{{yyyyMMdd}}",
    "shop/live/{{yyyyMMdd}}/_in/{{HHmmss}}/x",
)


def shop(path: str = PATHS[0], zone: str = "UTC", name: str = "shop", **replaced: str) -> MetricSet:
    text = shop_text(zone, name=f"name: {name}", **replaced)
    return metric_set_yaml.parse(text.replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", path), f"{name}.yaml")


SHOP = shop()


def keys_of(item: MetricSet, *times: datetime) -> list[str]:
    return [f"{live_data.interval_folder(item, wall)}/data.csv" for wall in times]
