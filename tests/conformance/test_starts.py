"""The engine shows the live data from `LiveDataStart` to tomorrow, in whole local days, and reports the rest."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

import stack
from anomalake.catalog import duckdb_catalog, projection
from anomalake.catalog.views import database
from anomalake.domain import intervals
from anomalake.lake.folder_store import FolderStore

from . import awkward_sets, lakes
from .engine import Trino
from .test_partitions import write_live_file


def list_walls_around(day: datetime, frequency: intervals.Frequency) -> list[datetime]:
    """Return the last start of an interval before the day, and the first two from then on."""
    before = intervals.floor_to_interval(day - intervals.MINUTE, frequency)
    first = intervals.next_wall_time(before, frequency)
    return [before, first, intervals.next_wall_time(first, frequency)]


@pytest.mark.parametrize("start", ["2013-01-01", "2020-01-01", "2000-01-01"])
def test_live_data_is_shown_from_the_day_of_the_parameter_and_earlier_data_is_reported(
    trino: Trino, endpoint: str, buckets: Path, tmp_path: Path, start: str
) -> None:
    """Live data around the first day, around the end of tomorrow, and before 2000.

    It covers every frequency and folder pattern, in zones on both sides of Greenwich.
    """
    sets, first = awkward_sets.awkward(), date.fromisoformat(start)
    now = datetime.now(UTC).replace(tzinfo=None)
    name = f"since{first:%Y}"
    (buckets / name).mkdir()
    template = stack.project(tmp_path, sets)
    lake = lakes.declare(
        name, "parquet", sets, template=template, root=buckets / name, endpoint=endpoint, LiveDataStart=start
    )
    store, shown = FolderStore(lake.root), 0
    days = [
        datetime.combine(first, time.min),
        datetime(1995, 5, 5),
        datetime.combine((now + timedelta(days=2)).date(), time.min),
    ]
    walls_of = {item.name: {wall for day in days for wall in list_walls_around(day, item.frequency)} for item in sets}
    for item in sets:
        for wall in walls_of[item.name]:
            write_live_file(store, item, wall)
    connection = duckdb_catalog.connect(lake.root, sets)
    for item in sets:
        walls = walls_of[item.name]
        around = sorted({f"{wall + timedelta(days=number):%Y-%m-%d}" for wall in walls for number in (-1, 0, 1)})
        statement = 'SELECT "localtimestamp" FROM "{}".anomalies_with_live WHERE "date" IN ({})'
        dates = ", ".join(f"'{day}'" for day in around)
        here = {
            wall
            for (wall,) in connection.sql(
                statement.format(database(duckdb_catalog.DEFAULT_PREFIX, item), dates)
            ).fetchall()
        }
        shown_walls = {wall for (wall,) in trino.query(statement.format(database(name, item), dates)).rows}
        assert here == walls
        reported = {wall for wall in walls if any(projection.find_out_of_range([wall], item, first, now))}
        before_tables = {
            wall for wall in shown_walls if projection.find_out_of_range([wall], item, first, now).before_tables
        }
        assert shown_walls - before_tables == here - reported
        assert {wall.date() for wall in before_tables} <= {
            first
        }  # the first hours of 2000 east of Greenwich: of live data only
        shown += len(shown_walls)
    assert shown == len(sets) * (2 + 1)  # the first two of the first day, and the last of tomorrow
