"""Partition projection finds the files in folders of intervals and no others; queries read only their own days."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.dashboards import preview
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.live_data import interval_folder, require_source

from . import awkward_lake
from .engine import Trino
from .lakes import Lake
from .test_statements import differences

BEFORE, AFTER = timedelta(days=2), timedelta(days=1)  # days that the calculated filters add around the window


class Read(NamedTuple):
    """The partitions of a table that a plan reads, as ranges of their values. A plan lists each partition if they are
    few.
    """

    table: str
    ranges: list[tuple[str, str]]


def list_partition_reads(trino: Trino, statement: str) -> list[Read]:
    """Return the partitions that the plan of the statement reads, by partitioned table.

    Raises `AssertionError` if a table is read without bounds.
    """
    ((plan,),) = trino.query(f"EXPLAIN (TYPE IO, FORMAT JSON) {statement}").rows
    found = []
    for table in json.loads(plan)["inputTableColumnInfos"]:
        where, constraint = table["table"]["schemaTable"], table["constraint"]
        ranges = [
            value_range
            for column in constraint["columnConstraints"]
            if column["columnName"] in {"date", "slot"}
            for value_range in column["domain"]["ranges"]
        ]
        assert where["table"] in {"feedback", "compaction", "topvalues"} or ranges or constraint["none"], (
            f"{where}: every partition is read, by\n{statement}"
        )
        found.append(
            Read(
                f"{where['schema']}.{where['table']}",
                [(value_range["low"]["value"], value_range["high"]["value"]) for value_range in ranges],
            )
        )
    return found


def live_text(item: MetricSet, wall: datetime) -> str:
    """Return a live file with one row of the interval."""
    source = require_source(item)
    at = (
        f"{wall:{time_patterns.to_python_format(item.timestamp.format)}}"
        if item.timestamp.format != time_patterns.UNIX
        else (f"{intervals.to_utc(wall, item.timezone).replace(tzinfo=UTC).timestamp():.0f}")
    )
    row = dict.fromkeys(source.columns, "1") | {item.timestamp.column: at}
    line = json.dumps(row) if source.format == "jsonl" else source.delimiter.join(row.values())
    return (
        (source.delimiter.join(source.columns) + "\n" if source.format == "csv" and source.header else "") + line + "\n"
    )


def write_live_file(store: FolderStore, item: MetricSet, wall: datetime) -> None:
    """Write such a file to the folder of the interval."""
    packed = ".gz" if require_source(item).compression == "gzip" else ""
    store.put(
        f"{interval_folder(item, wall)}/a{wall:%H%M}{packed}",
        awkward_lake.encode_live_file(item, live_text(item, wall)),
    )


@pytest.mark.parametrize("number", range(5))
def test_the_live_table_reads_only_the_folders_of_intervals(
    trino: Trino, every_lake: dict[str, Lake], number: int
) -> None:
    """Beside the folders of a day lie those of the days around it, and ones that only look like theirs."""
    lake = every_lake["foldersparquet"]
    item = lake.sets[number]
    source, step = require_source(item), intervals.INTERVAL_LENGTHS[item.frequency]
    prefix, pattern, _ = time_patterns.parse_day_pattern(source.path) or time_patterns.parse_folder_pattern(source.path)
    day = datetime(2022, 5, 17)
    walls = list(intervals.iterate_wall_times(day, day + timedelta(days=1) - step, item.frequency))
    walls_with_data = list(dict.fromkeys([day - step, *walls[:2], walls[-1], day + timedelta(days=1)]))
    store = FolderStore(lake.root)
    for wall in walls_with_data:
        write_live_file(store, item, wall)
    off = interval_folder(item, walls[0])
    stray = [
        f"{off}x/a",
        f"{off}/_a",
        f"{off}/.a",
        f"{off}/_b/a",
        f"{prefix}a",
        f"{prefix}0{off.removeprefix(prefix)}/a",
        f"elsewhere/{off}/a",
        f"{off.rpartition('/')[0]}/a",
        f"{off.rpartition('/')[0]}/{off}/a",
    ]
    for key in stray:
        store.put(key, awkward_lake.encode_live_file(item, live_text(item, walls[0])))
    form = time_patterns.to_python_format(pattern)
    first, last = (f"{wall:{form}}" for wall in (day - timedelta(days=3), day + timedelta(days=3)))
    (read,) = list_partition_reads(
        trino,
        f"SELECT count(*) FROM \"{database(lake.name, item)}\".\"live\" WHERE slot BETWEEN '{first}' AND '{last}'",
    )
    assert (read.ranges[0][0], read.ranges[-1][1]) == (first, last)
    dates = ", ".join(f"'{day + timedelta(days=number):%Y-%m-%d}'" for number in range(-3, 4))
    seen = trino.query(
        f'SELECT "localtimestamp" FROM "{database(lake.name, item)}".anomalies_with_live WHERE "date" IN ({dates})'
    ).rows
    assert sorted(seen) == [(wall,) for wall in walls_with_data]


@pytest.mark.parametrize("number", range(7))
def test_a_filter_on_the_date_prunes_the_folders_of_live_data(
    trino: Trino, every_lake: dict[str, Lake], number: int
) -> None:
    """A query of some UTC days reads only the partitions of the local days that overlap them."""
    lake = every_lake["foldersparquet"]
    item = lake.sets[number]
    where = "\"date\" BETWEEN '2022-05-17' AND '2022-05-19'"
    statement = f'SELECT * FROM "{database(lake.name, item)}".anomalies_with_live WHERE {where}'
    found = [
        bound
        for table, ranges in list_partition_reads(trino, statement)
        if table.endswith(".live")
        for both in ranges
        for bound in both
    ]
    days = [get_folder_date(item, slot) for slot in found]
    around = intervals.iterate_wall_times(datetime(2022, 5, 15), datetime(2022, 5, 22), item.frequency)
    dates = [f"{wall:%Y-%m-%d}" for wall in around if 17 <= intervals.to_utc(wall, item.timezone).day <= 19]
    assert (min(days), max(days)) == (dates[0], dates[-1])


class Asked:
    """A connection to DuckDB that records the statements of the page."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection, self.statements = connection, list[str]()

    def sql(self, statement: str) -> duckdb.DuckDBPyRelation:
        """Run the statement and record it."""
        if not statement.startswith(("DESCRIBE", "SELECT count(*) FROM ")):  # a statement of the page itself
            self.statements.append(statement)
        return self.connection.sql(statement)


def dashboards(lake: Lake, now: datetime) -> Iterator[tuple[str, datetime, datetime, list[tuple[str, str]]]]:
    """Yield each dashboard of the stack: its id, its initial window, and its queries in the SQL of Athena and of
    DuckDB.
    """
    connection = duckdb_catalog.connect(lake.root, lake.sets, lake.form)
    names = {
        own["DataSetId"]: own["PhysicalTableMap"]["view"]["RelationalTable"]
        for own in lake.of("AWS::QuickSight::DataSet")
    }
    for board in lake.of("AWS::QuickSight::Dashboard"):
        declared: dict[str, Any] = board["Definition"]
        tables = {
            declaration["Identifier"]: names[declaration["DataSetArn"].rpartition("/")[2]]
            for declaration in declared["DataSetIdentifierDeclarations"]
        }
        sources = {name: lake.as_duck(f'"{table["Schema"]}"."{table["Name"]}"') for name, table in tables.items()}
        asked = Asked(connection)
        preview.render_page(declared, asked, sources, "", now)  # type: ignore[arg-type]
        moments = preview.read_parameters(declared, now)
        yield (
            board["DashboardId"],
            moments["From"],
            moments["Until"],
            [(lake.as_athena(statement), statement) for statement in dict.fromkeys(asked.statements)],
        )


@pytest.mark.parametrize("name", ["emptyparquet", "emptycsv", "demoparquet", "democsv"])
def test_a_dashboard_reads_only_the_days_of_its_window_and_shows_the_rows_of_the_page(
    trino: Trino, every_lake: dict[str, Lake], name: str
) -> None:
    """The plans are those of one lake, because those of the others differ only in the files.

    For CSV, these are the plans that read live data.
    """
    lake, now = every_lake[name], datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    connection = duckdb_catalog.connect(lake.root, lake.sets, lake.form)
    of_live = {f"{database(lake.name, item)}.live": item for item in lake.sets}
    planned = asked = most = rows = 0
    problems: list[str] = []
    for board, start, end, statements in dashboards(lake, now):
        first, last = (f"{moment:%Y-%m-%d}" for moment in (start - BEFORE, end + AFTER))
        assert statements, board
        selected = [
            one
            for one, _ in statements
            if name == "demoparquet" or (name == "democsv" and "anomalies_with_live" in one)
        ]
        with ThreadPoolExecutor(2) as pool:  # a query mostly waits for files
            plans = list(pool.map(lambda one: list_partition_reads(trino, one), selected))
            answers = list(pool.map(trino.query, [one for one, _ in statements]))
        for statement, plan in zip(selected, plans, strict=True):
            for table, ranges in plan:
                days = [
                    get_folder_date(of_live[table], slot) if table in of_live else slot
                    for both in ranges
                    for slot in both
                ]
                assert all(first <= day <= last for day in days), (
                    f"{board}: {table} of {min(days)} to {max(days)}, not {first} to {last}\n{statement}"
                )
                if days:
                    most = max(most, (datetime.fromisoformat(max(days)) - datetime.fromisoformat(min(days))).days + 1)
        for (statement, in_duck), answer in zip(statements, answers, strict=True):
            known = connection.sql(in_duck).fetchall()
            if (
                len(known) < preview.MAX_TABLE_ROWS
            ):  # a table shows the first rows, and the order of equal rows is undefined
                problems += [f"{board}: {found}\n{statement}" for found in differences(answer, answer.names, known)]
            rows += len(answer.rows)
        planned, asked = planned + len(plans), asked + len(answers)
    assert not problems, "\n".join(problems)
    assert asked > 15
    assert planned > {"demoparquet": 30, "democsv": 2}.get(name, -1)
    assert (rows > 1000) == name.startswith("demo")
    print(
        f"{name}: {planned} queries of dashboards planned, {asked} of them run, "
        f"{most} days read by each at most, {rows} rows"
    )


def get_folder_date(item: MetricSet, slot: str) -> str:
    """Return the local date of a folder of live data."""
    path = require_source(item).path
    form = time_patterns.to_python_format(
        (time_patterns.parse_day_pattern(path) or time_patterns.parse_folder_pattern(path)).pattern
    )
    return f"{datetime.strptime(slot, form):%Y-%m-%d}"
