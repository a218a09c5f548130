"""Lakes for the tests of replay: alerts, metric sets, and functions to fill and read a lake."""

import json
from pathlib import Path

from anomalake.cli.main import main
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.lake import encoding, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.store import StorageError, Store
from examples import alert_body, shop_text

DAYS = 2


SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


def alert_bodies(days: int = DAYS) -> list[str]:
    """Return alerts of some days: two measures, updates of an event, an event of two alert configurations, one without
    a score.
    """
    found = []
    for day in range(days):
        for hour in (9, 10):
            at = f"2021-02-{10 + day}T{hour:02}:00Z[UTC]"
            series = [
                ({"platform": "pc_web", "marketplace": "us"}, 100.0 + day),
                ({"marketplace": 'a "b", \\c\n=1'}, None),
            ]
            found += [
                alert_body(timestamp=at, event=f"v{day}", score=40.0 + hour, series=series),
                alert_body(timestamp=at, event=f"v{day}", score=70.0, series=series[:1]),
                alert_body("revenue", timestamp=at, event=f"r{day}", score=None),
                alert_body("revenue", timestamp=at, event=f"r{day}", score=12.5, alertName="pager"),
            ]
    return found


def fill_lake(lake: Path, bodies: list[str], *sets, form="parquet") -> None:
    ingest_bodies(FolderStore(lake), bodies, *sets, form=form)


def ingest_bodies(store: Store, bodies: list[str], *sets, form="parquet") -> None:
    for number in range(0, len(bodies), 7):
        outcome = ingest_messages(
            [Message(str(i), body) for i, body in enumerate(bodies[number : number + 7])], store, sets or (SHOP,), form
        )
        assert not outcome.failed_ids


def read_folder(lake: Path, below: str = "anomalyResults") -> dict[str, bytes]:
    """Read every object below a folder of the lake."""
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in sorted((lake / below).rglob("*"))
        if path.is_file()
    }


def read_results(store: Store) -> dict[str, bytes]:
    return {key: store.get(key).data for key in store.list("anomalyResults")}


def run_replay(lake: Path, *arguments: str) -> int:
    return main(["replay", "--lake", str(lake), *arguments])


def read_anomaly_rows(lake: Path) -> dict[str, int]:
    """Return the number of rows of each Parquet object that has rows."""
    schema = {table: tables.schema(table, SHOP) for table in tables.ALERT_TABLES}
    found = {
        key: len(encoding.decode_table("parquet", schema[key.split("/")[1]], data, key)["timestamp"])
        for key, data in read_folder(lake).items()
    }
    return {key: count for key, count in found.items() if count}


def read_archive(lake: Path, name: str = "") -> list[str]:
    return sorted(
        {
            json.loads(line)["body"]
            for data in read_folder(lake, f"alerts/{name}").values()
            for line in data.decode().splitlines()
        }
    )


def write_mapping_sets(lake: Path, **each: str) -> tuple[metric_set.MetricSet, ...]:
    """Write metric sets with these names that map custom events; `each` selects the parts of an event."""
    (lake / "metric_sets").mkdir(parents=True, exist_ok=True)
    for name, parts in each.items():
        text = (
            shop_text(name=f"name: {name}")
            + f"mapping: {{each: {parts}, metricName: m, timestamp: t, alertEventId: id}}\n"
        )
        (lake / f"metric_sets/{name}.yaml").write_text(text)
    return metric_set_yaml.load_all(lake / "metric_sets")


def two_alert_body(*times: str) -> str:
    """Return a custom event with an alert at each time."""
    return json.dumps({"items": [{"m": "views", "t": time, "id": f"e{time}"} for time in times]})


class FailingFolderStore(FolderStore):
    """A folder lake whose n-th call fails."""

    def __init__(self, root: Path, fails_at: int) -> None:
        super().__init__(root)
        self.left = fails_at

    def _path(self, key):
        self.left -= 1
        if self.left == 0:
            raise StorageError("down")
        return super()._path(key)
