"""Both clock changes, with rows every half hour: the repeated hour is one interval, and rows of the skipped hour are
rejected and counted.
"""

import itertools
from datetime import datetime, timedelta

import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli import local_pipeline
from anomalake.domain import metric_set_yaml
from anomalake.lake.folder_store import FolderStore
from examples import shop_text

HEADER = "platform,marketplace,timestamp,views,revenue\n"


@pytest.mark.parametrize(
    ("zone", "first", "hours", "twice", "never"),
    [
        ("America/New_York", datetime(2013, 11, 2, 22), 8, "2013-11-03 01:00", None),
        ("America/New_York", datetime(2013, 3, 9, 22), 8, None, "2013-03-10 02:00"),
        ("Europe/Berlin", datetime(2021, 10, 30, 23), 8, "2021-10-31 02:00", None),
        (
            "Australia/Lord_Howe",
            datetime(2021, 4, 3, 23),
            6,
            "2021-04-04 01:30",
            None,
        ),  # clocks go back by half an hour
    ],
)
def test_half_hourly_data_across_a_clock_change(tmp_path, zone, first, hours, twice, never):  # noqa: PLR0917
    text = shop_text(zone, frequency="frequency: PT10M")
    item = metric_set_yaml.parse(text, "shop.yaml")
    root, store = tmp_path / "lake", FolderStore(tmp_path / "lake")
    walls = [first + timedelta(minutes=30 * step) for step in range(2 * hours)]
    for wall in walls:  # one row for each interval; a repeated hour adds two files to its folders
        files = (
            2
            if twice
            and 0 <= (wall - datetime.fromisoformat(twice)) / timedelta(minutes=30) < (1 if "Lord" in zone else 2)
            else 1
        )
        for number in range(files):
            store.put(
                f"shop/live/{wall:%Y%m%d/%H%M}/{number}.csv", f"{HEADER}pc,us,{wall:%Y-%m-%d %H:%M:%S},10,1\n".encode()
            )
    report = local_pipeline.run_backtest(item, FolderStore(root), (item,), "parquet")
    skipped = [
        wall
        for wall in walls
        if never and datetime.fromisoformat(never) <= wall < datetime.fromisoformat(never) + timedelta(hours=1)
    ]
    assert report.finding_count == len(skipped)
    assert all("does not exist" in finding.problem for finding in report.findings)
    connection = duckdb_catalog.connect(root, [item])
    live = connection.sql(
        'SELECT "timestamp", localtimestamp, views FROM anomalake_shop.anomalies_with_live ORDER BY 1'
    ).fetchall()
    seen = connection.sql(
        "SELECT \"timestamp\", localtimestamp, value FROM metrics_with_band WHERE metricname = 'views' ORDER BY 1"
    ).fetchall()
    assert live == seen  # the detector and the SQL read the same
    assert [wall for _, wall, _ in live] == [wall for wall in walls if wall not in skipped]
    doubled = [wall for _, wall, views in live if views == 20]
    assert len(doubled) == (0 if twice is None else 1 if "Lord" in zone else 2)
    steps = {later[0] - earlier[0] for earlier, later in itertools.pairwise(live)}
    change = {timedelta(minutes=60)} if "Lord" in zone else {timedelta(minutes=90)} if twice else set()
    assert steps == {timedelta(minutes=30)} | change
