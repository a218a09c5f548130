"""The catalog on a laptop: DuckDB over a lake in a folder, with the same databases, tables and views, from the same SQL text.

sqlglot translates Athena's SQL; the few functions that it does not know are macros here.
"""

import glob
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot

from anomalake.catalog import sandbox, sql
from anomalake.catalog.views import (
    COMPACTION_COLUMNS,
    COMPACTION_TABLE,
    FEEDBACK_COLUMNS,
    FEEDBACK_TABLE,
    View,
    database,
    views_of_set,
    views_over_all_sets,
)
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import REPORT_ID_SUFFIX
from anomalake.lake import layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format
from anomalake.lake.live_data import require_source

DEFAULT_PREFIX = "anomalake"
ROWS_PER_BATCH = 1_000  # rows of a result at a time
DUCKDB_CHARSETS = {"UTF-8": "utf-8", "ISO-8859-1": "latin-1"}  # a metric set's names and DuckDB's
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of commands such as SHOW
Connection = duckdb.DuckDBPyConnection
_Result = TypeVar("_Result")
# Trino's functions as DuckDB has them. Of an ambiguous wall time DuckDB means the later instant, Trino that or the
# earlier; `sql.wall_to_utc` does not depend on it.
_MACROS = """
CREATE MACRO at_timezone(instant, zone) AS timezone(zone, instant);
CREATE MACRO with_timezone(wall, zone) AS timezone(zone, CAST(wall AS TIMESTAMP));
CREATE MACRO is_finite(number) AS isfinite(number);
"""


_LOCALTIMESTAMP = (
    'Athena takes localtimestamp for the present moment unless it stands in double quotes: "localtimestamp"'
)


def to_duckdb(athena: str) -> str:
    """Athena's SQL as DuckDB's."""
    return ";\n".join(sqlglot.transpile(athena, read="athena", write="duckdb"))


def connect(root: Path, sets: Sequence[MetricSet], form: Format | None = None) -> duckdb.DuckDBPyConnection:
    """A connection that knows every table and view of the lake in the folder `root`; the format is what the lake holds, if not given."""
    if not root.is_dir():
        raise UserError(f"{root}: there is no lake in this folder; `anomalake demo` or `anomalake backtest` makes one")
    try:
        return _connected(root.resolve(), sets, form)  # DuckDB names files without `.` and `..`
    except duckdb.Error as error:
        raise UserError(f"{root}: the lake cannot be read: {one_line(error)}") from error


def _connected(root: Path, sets: Sequence[MetricSet], form: Format | None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET integer_division = true")  # 7 / 2 is 3, as in Athena
    connection.execute(_MACROS)
    kept = form or layout.detect_format(FolderStore(root), sets) or "parquet"
    for item in sets:
        db = database(DEFAULT_PREFIX, item)
        connection.execute(f"CREATE SCHEMA {sql.identifier(db)}")
        for table, known in GLUE_TABLE_NAMES.items():
            connection.execute(
                f"CREATE VIEW {sql.identifier(db)}.{sql.identifier(known)} AS {_lake_table(root, item, table, kept)}"
            )
        said, moving = root / layout.feedback_folder(item), root / layout.compaction_folder(item)
        connection.execute(
            f"CREATE VIEW {sql.identifier(db)}.{sql.identifier(FEEDBACK_TABLE)} AS {_json_table(said, 'json', FEEDBACK_COLUMNS)}"
        )
        connection.execute(
            f"CREATE VIEW {sql.identifier(db)}.{sql.identifier(COMPACTION_TABLE)} AS {_json_table(moving, 'jsonl', COMPACTION_COLUMNS)}"
        )
        if item.source is not None:
            connection.execute(f'CREATE VIEW {sql.identifier(db)}."live" AS {_live_table(root, item)}')
        _create(connection, views_of_set(item, DEFAULT_PREFIX, kept))
    connection.execute(f"CREATE SCHEMA {sql.identifier(DEFAULT_PREFIX)}")
    _create(connection, views_over_all_sets(sets, DEFAULT_PREFIX, kept))
    paths = [DEFAULT_PREFIX, *(database(DEFAULT_PREFIX, item) for item in sets[:1] if len(sets) == 1)]
    connection.execute(f"SET search_path = '{','.join(paths)}'")
    folders = [
        root / time_patterns.parse_folder_pattern(item.source.path).prefix.rpartition("/")[0]
        for item in sets
        if item.source is not None
    ]
    sandbox.restrict_access(connection, root, folders)
    return connection


def query(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one statement of Athena's SQL: column names and rows; `UserError` says what the engine found wrong."""
    columns, rows = stream(connection, statement)
    return columns, list(rows)


def stream(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """`query`, with rows that are read as they are needed, so that a result may be larger than memory."""
    with engine_errors_as_user_errors():
        sandbox.check_statement(connection, statement)
        trees = sqlglot.parse(statement, read="athena")
        if any(tree is not None and tree.find(sqlglot.exp.Localtimestamp) for tree in trees):
            warnings.warn(_LOCALTIMESTAMP, stacklevel=2)
        translated = to_duckdb(statement)
        sandbox.check_statement(connection, translated)
        result = run_interruptibly(connection, lambda: connection.execute(translated))
        columns = [str(column[0]) for column in result.description or ()]

    def rows() -> Iterator[tuple[Any, ...]]:
        with engine_errors_as_user_errors():
            while some := run_interruptibly(connection, lambda: result.fetchmany(ROWS_PER_BATCH)):
                yield from some

    return columns, rows()


def run_interruptibly(connection: duckdb.DuckDBPyConnection, work: Callable[[], _Result]) -> _Result:
    """What the work gives; Ctrl-C ends it at once. While DuckDB waits for its threads in the main thread, it may not notice the signal."""
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
    """Errors of the engines as `UserError`, one line each."""
    try:
        yield
    except RecursionError as error:
        raise UserError("the SQL is nested too deeply") from error
    except sqlglot.errors.ParseError as error:
        first = error.errors[0] if error.errors else {"description": str(error), "line": 1, "col": 1}
        what, token, _ = str(first["description"]).partition("<Token ")
        found = f"{what}something else" if token else what.partition(" for <class")[0]
        raise UserError(
            f"the SQL could not be understood at line {first['line']}, column {first['col']}: {one_line(found)}"
        ) from error
    except duckdb.IOException as error:
        raise UserError(
            f"a file of the lake cannot be read: {one_line(error)}; repair it, or remove it from the folder"
        ) from error
    except (sqlglot.errors.SqlglotError, duckdb.Error) as error:
        raise UserError(f"the SQL could not be run: {one_line(error)}") from error


def one_line(error: object) -> str:
    """What an engine says, without the excerpt of the statement that DuckDB adds."""
    return " ".join(str(error).partition("\nLINE ")[0].split())


def _create(connection: duckdb.DuckDBPyConnection, made: Sequence[View]) -> None:
    for view in made:
        connection.execute(
            f"CREATE VIEW {sql.identifier(view.database)}.{sql.identifier(view.name)} AS {to_duckdb(view.sql)}"
        )


def _lake_table(root: Path, metric_set: MetricSet, table: layout.Table, form: Format) -> str:
    columns = tables.schema(table, metric_set)
    folder = root / layout.table_folder(table, metric_set)
    oldest = min(folder.rglob(f"*.{form}"), default=None)
    if oldest is None:
        kinds = {"string": "VARCHAR", "double": "DOUBLE", "bigint": "BIGINT", "timestamp": "TIMESTAMP_MS"}
        nulls = [
            f"CAST(NULL AS {kinds[kind] if form == 'parquet' else 'VARCHAR'}) AS {sql.identifier(column)}"
            for column, kind in columns
        ]
        path = ', CAST(NULL AS VARCHAR) AS "$path"' if table in layout.DETECTOR_TABLES else ""
        return f'SELECT {", ".join(nulls)}, CAST(NULL AS VARCHAR) AS "date"{path} WHERE false'
    _check(oldest, [column for column, _ in columns], root)
    files = sql.literal(f"{glob.escape(str(folder))}/*/*.{form}")
    partitions = "hive_partitioning = true, hive_types = {'date': VARCHAR}" + (
        ", filename = '$path'" if table in layout.DETECTOR_TABLES else ""
    )
    if form == "parquet":
        return f"SELECT * FROM read_parquet({files}, {partitions})"
    names = ", ".join(f"{sql.literal(column.lower())}: 'VARCHAR'" for column, _ in columns)
    texts = ", ".join(
        f"coalesce({sql.identifier(column)}, '') AS {sql.identifier(column)}" for column, _ in columns
    )  # an empty cell is '' in Athena
    return (
        f"SELECT * REPLACE ({texts}) FROM read_csv({files}, {partitions}, auto_detect = false, header = true, "
        f"delim = ',', quote = '', escape = '', columns = {{{names}}})"
    )


def _check(file: Path, columns: Sequence[str], root: Path) -> None:
    """`UserError` where an object of the lake lacks the columns of reports, as one that an older Anomalake wrote does."""
    try:
        if file.suffix == ".csv":
            with file.open(encoding="utf-8") as text:
                found = text.readline().rstrip("\n").split(",")
        else:
            found = pq.read_schema(file).names
    except (OSError, ValueError, pa.ArrowException):
        return
    missing = [column for column in columns if column not in found]
    if any(
        column == tables.EVENT_RANK_COLUMN or column.lower().endswith(REPORT_ID_SUFFIX.lower()) for column in missing
    ):
        raise UserError(
            f"{file}: lacks the columns {', '.join(missing)}, as an older Anomalake wrote it; "
            f"`anomalake replay --lake {root}` rebuilds the tables from the archive"
        )


def _json_table(folder: Path, suffix: str, known: Sequence[tuple[str, str]]) -> str:
    """The folder's files, a JSON object on each line."""
    kinds = {"string": "VARCHAR", "boolean": "BOOLEAN", "array<map<string,string>>": "MAP(VARCHAR, VARCHAR)[]"}
    if not any(folder.glob(f"*.{suffix}")):
        nulls = [f"CAST(NULL AS {kinds[kind]}) AS {sql.identifier(column.lower())}" for column, kind in known]
        return f"SELECT {', '.join(nulls)} WHERE false"
    columns = ", ".join(f"{sql.literal(column)}: {sql.literal(kinds[kind])}" for column, kind in known)
    files = sql.literal(f"{glob.escape(str(folder))}/*.{suffix}")
    return (
        f"SELECT * FROM read_json({files}, format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true)"
    )


def _live_table(root: Path, metric_set: MetricSet) -> str:
    """The files of folders that are named as intervals are; every column a text, as Athena's CSV reader gives them, `slot` and `$path`."""
    source = require_source(metric_set)
    prefix, pattern, suffix = time_patterns.parse_folder_pattern(source.path)
    day = time_patterns.parse_day_pattern(source.path)
    sample, slot = (
        datetime(2000, 1, 1).strftime(time_patterns.to_python_format(one))
        for one in (pattern, day.pattern if day else pattern)
    )
    digits = "".join("[0-9]" if letter.isdigit() else glob.escape(letter) for letter in sample)
    base = f"{root}/{prefix}"
    files = f"{glob.escape(base)}{digits}{glob.escape(suffix)}/**/[!._]*"
    own = f"substr(_file, {len(base) + 1}, {len(slot)}) AS slot, 's3://lake/' || substr(_file, {len(str(root)) + 2}) AS \"$path\""
    seen = (  # no hidden files, as Athena sees them; no folder that only looks like a date
        f"WHERE NOT regexp_matches(substr(_file, {len(base) + len(sample) + len(suffix) + 1}), '/[._]') "
        f"AND try_strptime(substr(_file, {len(base) + 1}, {len(sample)}), {sql.literal(time_patterns.to_python_format(pattern))}) IS NOT NULL"
    )
    columns = ", ".join(f"{sql.literal(column)}: 'VARCHAR'" for column in source.columns)
    if not any(Path(file).is_file() for file in glob.iglob(files, recursive=True)):  # noqa: PTH207  (DuckDB takes the same pattern)
        return f"SELECT {', '.join(f'CAST(NULL AS VARCHAR) AS {sql.identifier(c)}' for c in (*source.columns, 'slot', '$path'))} WHERE false"
    packed = "gzip" if source.compression == "gzip" else "none"
    options = f"columns = {{{columns}}}, compression = '{packed}', filename = '_file', hive_partitioning = false, ignore_errors = true"
    if source.format == "jsonl":
        return f"SELECT * EXCLUDE (_file), {own} FROM read_json({sql.literal(files)}, format = 'newline_delimited', {options}) {seen}"
    quoting = f"delim = {sql.literal(source.delimiter)}, quote = {sql.literal(source.quote)}, escape = {sql.literal(source.quote)}"
    return (
        f"SELECT * EXCLUDE (_file), {own} FROM read_csv({sql.literal(files)}, auto_detect = false, header = {str(source.header).lower()}, "
        f"{quoting}, encoding = '{DUCKDB_CHARSETS[source.charset]}', strict_mode = false, {options}) {seen}"
    )
