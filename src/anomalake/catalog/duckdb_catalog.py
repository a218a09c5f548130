"""The catalog in DuckDB, over a lake in a folder: the same databases, tables and views as in Athena, from the same SQL.

sqlglot translates Athena's SQL to DuckDB's. Macros define the few functions that sqlglot does not translate.
"""

import functools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import sqlglot

from anomalake.catalog import duckdb_tables, sandbox, sql
from anomalake.catalog.views import (
    COMPACTION_COLUMNS,
    COMPACTION_TABLE,
    FEEDBACK_COLUMNS,
    FEEDBACK_TABLE,
    TOP_VALUES_COLUMNS,
    TOP_VALUES_TABLE,
    View,
    database,
    has_top_values,
    views_of_set,
    views_over_all_sets,
)
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format

DEFAULT_PREFIX = "anomalake"
ROWS_PER_BATCH = 1_000  # rows of a result that are fetched at a time
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # sqlglot logs a warning for commands such as SHOW
Connection = duckdb.DuckDBPyConnection
_Result = TypeVar("_Result")
# Trino's functions in DuckDB. DuckDB reads an ambiguous wall time as the later instant; Trino reads it as the later or
# the earlier one. `sql.wall_to_utc` works with both.
_MACROS = """
CREATE MACRO at_timezone(instant, zone) AS timezone(zone, instant);
CREATE MACRO with_timezone(wall, zone) AS timezone(zone, CAST(wall AS TIMESTAMP));
CREATE MACRO is_finite(number) AS isfinite(number);
"""
_LOCALTIMESTAMP_WARNING = (
    'In Athena, localtimestamp without quotes is the current time. To read the column, write "localtimestamp"'
)


@functools.lru_cache(maxsize=256)
def to_duckdb(athena: str) -> str:
    """Translate Athena's SQL to DuckDB's."""
    return ";\n".join(sqlglot.transpile(athena, read="athena", write="duckdb"))


def connect(root: Path, sets: Sequence[MetricSet], table_format: Format | None = None) -> Connection:
    """Return a connection that has every table and view of the lake in the folder `root`.

    `table_format` defaults to the format of the lake. Raises `UserError` if there is no lake, or if it cannot be read.
    """
    if not root.is_dir():
        raise UserError(
            f"{root}: this folder does not exist, so there is no lake to read; "
            "to create a lake, run `anomalake demo` or `anomalake backtest`"
        )
    try:
        return _connect(root.resolve(), sets, table_format)  # DuckDB resolves `.` and `..` in the names of files
    except duckdb.Error as error:
        raise UserError(f"{root}: cannot read the lake: {one_line(error)}") from error


def _connect(root: Path, sets: Sequence[MetricSet], table_format: Format | None) -> Connection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET integer_division = true")  # 7 / 2 is 3, as in Athena
    connection.execute(_MACROS)
    lake_format = table_format or layout.detect_format(FolderStore(root), sets) or "parquet"
    for metric_set in sets:
        _create_database(connection, root, metric_set, lake_format)
    connection.execute(f"CREATE SCHEMA {sql.identifier(DEFAULT_PREFIX)}")
    _create_views(connection, views_over_all_sets(sets, DEFAULT_PREFIX, lake_format))
    search_path = [DEFAULT_PREFIX, *(database(DEFAULT_PREFIX, item) for item in sets[:1] if len(sets) == 1)]
    connection.execute(f"SET search_path = '{','.join(search_path)}'")
    live_folders = [
        root / time_patterns.parse_folder_pattern(item.source.path).prefix.rpartition("/")[0]
        for item in sets
        if item.source is not None
    ]
    sandbox.restrict_access(connection, root, live_folders)
    return connection


def _create_database(connection: Connection, root: Path, metric_set: MetricSet, table_format: Format) -> None:
    """Create the tables and views of one metric set. A table is a DuckDB view over the files of a folder."""
    schema = sql.identifier(database(DEFAULT_PREFIX, metric_set))
    selects = {
        name: duckdb_tables.select_lake_table(root, metric_set, table, table_format)
        for table, name in GLUE_TABLE_NAMES.items()
    }
    feedback_folder = root / layout.feedback_folder(metric_set)
    selects[FEEDBACK_TABLE] = duckdb_tables.select_json_table(feedback_folder, "json", FEEDBACK_COLUMNS)
    compaction_folder = root / layout.compaction_folder(metric_set)
    selects[COMPACTION_TABLE] = duckdb_tables.select_json_table(compaction_folder, "jsonl", COMPACTION_COLUMNS)
    if metric_set.source is not None:
        selects["live"] = duckdb_tables.select_live_table(root, metric_set)
    if has_top_values(metric_set):
        top_folder = (root / layout.top_values_key(metric_set)).parent
        selects[TOP_VALUES_TABLE] = duckdb_tables.select_json_table(top_folder, "jsonl", TOP_VALUES_COLUMNS)
    connection.execute(f"CREATE SCHEMA {schema}")
    for name, select in selects.items():
        connection.execute(f"CREATE VIEW {schema}.{sql.identifier(name)} AS {select}")
    _create_views(connection, views_of_set(metric_set, DEFAULT_PREFIX, table_format))


def _create_views(connection: Connection, views: Sequence[View]) -> None:
    for view in views:
        connection.execute(
            f"CREATE VIEW {sql.identifier(view.database)}.{sql.identifier(view.name)} AS {to_duckdb(view.sql)}"
        )


def query(connection: Connection, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one statement of Athena's SQL and return its column names and rows. Raises `UserError` if it fails."""
    columns, rows = stream(connection, statement)
    return columns, list(rows)


def stream(connection: Connection, statement: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run a statement as `query` does. The rows are fetched in batches, so that a result may be larger than memory."""
    with engine_errors_as_user_errors():
        sandbox.check_statement(connection, statement)
        trees = sqlglot.parse(statement, read="athena")
        if any(tree is not None and tree.find(sqlglot.exp.Localtimestamp) for tree in trees):
            warnings.warn(_LOCALTIMESTAMP_WARNING, stacklevel=2)
        translated = to_duckdb(statement)
        sandbox.check_statement(connection, translated)
        result = run_interruptibly(connection, lambda: connection.execute(translated))
        columns = [str(column[0]) for column in result.description or ()]

    def fetch_rows() -> Iterator[tuple[Any, ...]]:
        with engine_errors_as_user_errors():
            while batch := run_interruptibly(connection, lambda: result.fetchmany(ROWS_PER_BATCH)):
                yield from batch

    return columns, fetch_rows()


def run_interruptibly(connection: Connection, work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread and return its result, so that Ctrl-C interrupts it at once.

    In the main thread, DuckDB may not notice the signal while it waits for its own threads.
    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        try:
            return running.result()
        except KeyboardInterrupt:
            while not running.done():
                connection.interrupt()
                wait([running], timeout=0.1)
            raise


@contextmanager
def engine_errors_as_user_errors() -> Iterator[None]:
    """Convert errors of sqlglot and DuckDB to a `UserError` of one line each."""
    try:
        yield
    except RecursionError as error:
        raise UserError("the SQL is nested too deeply") from error
    except sqlglot.errors.ParseError as error:
        first = error.errors[0] if error.errors else {"description": str(error), "line": 1, "col": 1}
        description, token, _ = str(first["description"]).partition("<Token ")
        expected = f"{description}something else" if token else description.partition(" for <class")[0]
        raise UserError(
            f"cannot parse the SQL at line {first['line']}, column {first['col']}: {one_line(expected)}"
        ) from error
    except duckdb.IOException as error:
        raise UserError(
            f"cannot read a file of the lake: {one_line(error)}; repair it, or remove it from the folder"
        ) from error
    except (sqlglot.errors.SqlglotError, duckdb.Error) as error:
        raise UserError(f"cannot run the SQL: {one_line(error)}") from error


def one_line(error: object) -> str:
    """Return the message of an engine's error on one line, without the excerpt of the statement that DuckDB appends."""
    return " ".join(str(error).partition("\nLINE ")[0].split())
