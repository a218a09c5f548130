"""Every statement that the stack declares runs on the engine of Athena and returns the same rows as in DuckDB."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from anomalake.catalog import duckdb_catalog, sql
from anomalake.catalog.views import database
from anomalake.domain import intervals
from anomalake.lake import layout, live_data
from anomalake.lake.folder_store import FolderStore

from .engine import Answer, Trino
from .lakes import Lake

LAKES = [kind + form for kind in ("empty", "demo", "awkward") for form in ("parquet", "csv")]
CLOSE = 1e-9  # relative difference allowed between two sums of the same numbers: each engine adds in its own order


def days(lake: Lake, db: str) -> str:
    """Return the dates with live data or events of a metric set, as a SQL list; for an empty lake, a week."""
    sets = [item for item in lake.sets if db in (lake.name, database(lake.name, item))]
    store = FolderStore(lake.root)
    live_days = {
        (wall, item.timezone) for item in sets if item.source for wall in live_data.list_files_by_interval(store, item)
    }
    found = {layout.utc_date(intervals.to_utc(wall, zone)) for wall, zone in live_days}
    found |= {
        layout.date_in_key(key) for item in sets for key in store.list(layout.table_folder("anomalyGroups", item))
    }
    return ", ".join(f"'{day}'" for day in sorted(found) or [f"2026-01-0{day}" for day in range(1, 8)])


def build_sort_key(cell: Any) -> str:
    """Return a key that sorts rows. For a number it has the first digits only, because the last digits differ between
    engines.
    """
    return f"{cell:.6g}" if isinstance(cell, float) else repr(cell)


def are_cells_equal(left: Any, right: Any) -> bool:
    """Return whether two cells have the same value."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=CLOSE, abs_tol=1e-12) or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and left == right


def differences(answer: Answer, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return the first difference between the rows of both engines, in any order."""
    if answer.names != list(names):
        return [f"columns: {answer.names}, DuckDB: {list(names)}"]
    ours, theirs = (
        sorted(result, key=lambda row: [build_sort_key(cell) for cell in row]) for result in (answer.rows, rows)
    )
    if len(ours) == len(theirs) and all(
        are_cells_equal(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)
    ):
        return []
    known, here = (
        Counter(tuple(map(build_sort_key, row)) for row in ours),
        Counter(tuple(map(build_sort_key, row)) for row in theirs),
    )
    lacks = [dict(zip(names, row, strict=True)) for row in theirs if tuple(map(build_sort_key, row)) not in known]
    more = [dict(zip(names, row, strict=True)) for row in ours if tuple(map(build_sort_key, row)) not in here]
    return [
        f"{len(ours)} rows, DuckDB: {len(theirs)}; of these only the engine has {len(more)}, such as {more[:1]}, "
        f"and only DuckDB {len(lacks)}, such as {lacks[:1]}"
    ]


def compare(
    trino: Trino, lake: Lake, statements: Sequence[tuple[str, str, str]]
) -> Iterator[tuple[str, Answer, list[str]]]:
    """Run statements (name, schema, SQL) on both engines; yield the name, the engine's answer and the difference.

    The engine runs two statements at a time, while DuckDB runs the one before them.
    """
    connection = duckdb_catalog.connect(lake.root, lake.sets, lake.form)
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda one: trino.query(one[2], schema=one[1]), statements)
        for (name, _, statement), answer in zip(statements, answers, strict=True):
            yield name, answer, differences(answer, *duckdb_catalog.query(connection, lake.as_duck(statement)))


@pytest.mark.parametrize("name", LAKES)
def test_every_view_returns_the_same_rows_as_in_duckdb(trino: Trino, every_lake: dict[str, Lake], name: str) -> None:
    lake, problems, counts = every_lake[name], [], {}
    statements = [
        (f"{db}.{view}", "", f'SELECT * FROM "{db}"."{view}" WHERE "date" IN ({days(lake, db)})')
        for db, view in lake.relations("VIRTUAL_VIEW")
    ]
    for view, answer, found in compare(trino, lake, statements):
        problems += [f"{view}: {difference}" for difference in found]
        counts[view] = len(answer.rows)
    assert not problems, "\n".join(problems)
    assert counts
    print(f"{name}: {len(counts)} views, rows: {counts}")
    assert all(count == 0 for count in counts.values()) if name.startswith("empty") else sum(counts.values()) > 0


@pytest.mark.parametrize("name", LAKES[:-1])  # without one of the awkward lakes, whose data is older than the queries
def test_every_saved_query_returns_the_same_rows_as_in_duckdb(
    trino: Trino, every_lake: dict[str, Lake], name: str
) -> None:
    lake, problems, rows = every_lake[name], [], 0
    saved = lake.of("AWS::Athena::NamedQuery")
    statements = [(query["Name"], query["Database"], query["QueryString"]) for query in saved]
    for query, answer, found in compare(trino, lake, statements):
        problems += [f"{query}: {difference}" for difference in found]
        rows += len(answer.rows)
    assert not problems, "\n".join(problems)
    assert len(saved) >= len(lake.sets) * 4 + 2
    assert (rows > 0) == name.startswith("demo")


@pytest.mark.parametrize(
    "zone",
    ["America/New_York", "America/Havana", "Europe/Berlin", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe"],
)
def test_a_repeated_wall_time_is_its_first_instant(trino: Trino, zone: str) -> None:
    """Return times around every clock change of some years, also of changes that skip midnight."""
    hours = [datetime(2021, 1, 1) + timedelta(minutes=30 * number) for number in range(3 * 365 * 48)]
    walls = [
        wall
        for wall in hours
        if intervals.to_utc(wall + timedelta(days=1), zone) - intervals.to_utc(wall - timedelta(days=1), zone)
        != timedelta(2)
    ]
    assert len(walls) >= 2 * 96  # two days of half hours around each change; Cairo has two changes in these years
    values = ", ".join(f"(TIMESTAMP '{wall}')" for wall in walls)
    rows = trino.query(f"SELECT wall, {sql.wall_to_utc('wall', zone)} FROM (VALUES {values}) AS t (wall)").rows
    assert dict(rows) == {wall: intervals.to_utc(wall, zone) for wall in walls}


@pytest.mark.parametrize(
    ("zone", "frequency", "changes"),
    [
        ("America/New_York", "PT40M", ("2021-03-14T07:00", "2021-11-07T06:00")),
        ("America/New_York", "PT45M", ("2021-03-14T07:00", "2021-11-07T06:00")),
        ("Australia/Lord_Howe", "PT20M", ("2021-10-02T15:30", "2021-04-03T15:00")),
        ("Pacific/Chatham", "PT1H", ("2021-09-25T14:00", "2021-04-03T14:00")),
        ("Antarctica/Troll", "PT2H", ("2021-03-28T01:00", "2021-10-31T01:00")),
    ],
)
def test_an_interval_that_a_clock_change_divides_has_the_same_start(
    trino: Trino, zone: str, frequency: str, changes: tuple[str, str]
) -> None:
    """Every five minutes around a change of absolute timestamps."""
    clock = intervals.Clock(frequency, zone, absolute=True)
    instants = [
        datetime.fromisoformat(change) + timedelta(minutes=5 * number)
        for change in changes
        for number in range(-60, 60)
    ]
    values = ", ".join(f"(TIMESTAMP '{instant}')" for instant in instants)
    wall = sql.utc_to_wall("instant", zone)
    start = sql.interval_start("instant", "wall", sql.floor_to_interval("wall", frequency), zone, frequency)
    rows = trino.query(
        f"SELECT instant, {start} FROM (SELECT instant, {wall} AS wall FROM (VALUES {values}) AS t (instant))"
    ).rows
    assert dict(rows) == {instant: clock.start(instant) for instant in instants}
