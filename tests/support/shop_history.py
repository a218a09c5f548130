"""Live data of the demo shop with the defects of real data, and the objects that a backtest in one process writes."""

import numpy as np

from anomalake.cli import local_pipeline
from anomalake.cli.demo import shop
from anomalake.cli.write_live_data import write_live_data as write_table
from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import live_data
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import Format
from anomalake.lake.store import Store
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text("Europe/Berlin"), "shop.yaml")
OUTPUT_FOLDERS = ("anomalyResults", "alerts", "quarantine", "detector")


def write_live_data(store: Store, item: MetricSet = SHOP, days: int = 26) -> None:
    """Write live data of days in which clocks go forward, with the defects of real data.

    One series begins late and one ends; cells are empty; there is a gap, and hours in which most series are missing;
    some series have several rows; some rows are invalid.
    """
    frame = shop.generate(days, start="2021-03-05").data
    day, hour = (frame.timestamp - frame.timestamp.min()).dt.days, frame.timestamp.dt.hour
    late = (frame.platform == "mobile_app") & (frame.marketplace == "jp") & (day < 9)
    ended = (frame.platform == "pc_web") & (frame.marketplace == "us") & (day > 20)
    gap = (day == 22) & hour.between(9, 13)
    thin = (day == 24) & hour.between(9, 11) & (frame.platform != "pc_web")
    frame = frame[~(late | ended | gap | thin)].astype({"revenue": float})
    frame.loc[frame.index % 97 == 0, "revenue"] = np.nan
    write_table(frame, item, store)
    for wall, rows in frame[frame.index % 11 == 0].groupby("timestamp"):
        lines = "".join(
            f"{row.platform},{row.marketplace},{row.timestamp},{row.views},{row.revenue * 1.01:.3f}\n"
            for row in rows.itertuples()
        )
        store.put(
            f"{live_data.interval_folder(item, wall.to_pydatetime())}/more.csv",
            f"{','.join(live_data.require_source(item).columns)}\n{lines}bad,row\n".encode(),
        )


def read_outputs(store: Store) -> dict[str, bytes]:
    """Read every object that a backtest writes, except the lease."""
    keys = [key for folder in OUTPUT_FOLDERS for key in store.list(folder) if not key.endswith("running.json")]
    return {key: stored.data for key in keys if (stored := store.get(key))}


def assert_same_objects(actual: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Assert that both have the same objects, byte for byte."""
    assert sorted(actual) == sorted(expected)
    assert [key for key in expected if actual[key] != expected[key]] == []


def run_in_one_process(store: FolderStore, item: MetricSet = SHOP, form: Format = "parquet") -> dict[str, bytes]:
    """Run a backtest in one process and read what it writes."""
    report = local_pipeline.run_backtest(item, store, (item,), form)
    assert report.alerts > 20
    assert report.failed_alerts == report.quarantined_alerts == 0
    return read_outputs(store)
