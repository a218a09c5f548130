"""The tables of the catalog as DuckDB SELECTs over the files of a lake in a folder."""

import glob
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from anomalake.catalog import sql
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import REPORT_ID_SUFFIX
from anomalake.lake import layout, tables
from anomalake.lake.layout import Format
from anomalake.lake.live_data import require_source

DUCKDB_CHARSETS = {"UTF-8": "utf-8", "ISO-8859-1": "latin-1"}  # a metric set's name of a charset -> DuckDB's
_LAKE_TYPES = {"string": "VARCHAR", "double": "DOUBLE", "bigint": "BIGINT", "timestamp": "TIMESTAMP_MS"}
_JSON_TYPES = {"string": "VARCHAR", "boolean": "BOOLEAN", "array<map<string,string>>": "MAP(VARCHAR, VARCHAR)[]"}


def select_lake_table(root: Path, metric_set: MetricSet, table: layout.Table, table_format: Format) -> str:
    """Return a SELECT of a lake table: its columns, `date`, and `$path` for the tables that the detector writes.

    Without files, the SELECT returns no row. Raises `UserError` if the files are from an older version.
    """
    columns = tables.schema(table, metric_set)
    folder = root / layout.table_folder(table, metric_set)
    has_path = table in layout.DETECTOR_TABLES
    may_lack_columns = any(column in tables.ADDED_COLUMNS for column, _ in columns)
    oldest = min(folder.rglob(f"*.{table_format}"), default=None)
    nulls = [
        f"CAST(NULL AS {_LAKE_TYPES[kind] if table_format == 'parquet' else 'VARCHAR'}) AS {sql.identifier(column)}"
        for column, kind in columns
    ]
    path = ', CAST(NULL AS VARCHAR) AS "$path"' if has_path else ""
    empty = f'SELECT {", ".join(nulls)}, CAST(NULL AS VARCHAR) AS "date"{path} WHERE false'
    if oldest is None:
        return empty
    _check_columns(oldest, [column for column, _ in columns], root)
    files = sql.literal(f"{glob.escape(str(folder))}/*/*.{table_format}")
    options = "hive_partitioning = true, hive_types = {'date': VARCHAR}" + (", filename = '$path'" if has_path else "")
    if table_format == "parquet":
        if may_lack_columns:
            return f"({empty}) UNION ALL BY NAME SELECT * FROM read_parquet({files}, {options}, union_by_name = true)"
        return f"SELECT * FROM read_parquet({files}, {options})"
    names = ", ".join(f"{sql.literal(column.lower())}: 'VARCHAR'" for column, _ in columns)
    # In Athena, an empty cell is ''.
    texts = ", ".join(f"coalesce({sql.identifier(column)}, '') AS {sql.identifier(column)}" for column, _ in columns)
    options += ", null_padding = true" if may_lack_columns else ""
    return (
        f"SELECT * REPLACE ({texts}) FROM read_csv({files}, {options}, auto_detect = false, header = true, "
        f"delim = ',', quote = '', escape = '', columns = {{{names}}})"
    )


def _check_columns(file: Path, columns: Sequence[str], root: Path) -> None:
    """Raise `UserError` if a file of the lake lacks the report columns, because an older version wrote it."""
    try:
        if file.suffix == ".csv":
            with file.open(encoding="utf-8") as text:
                file_columns = text.readline().rstrip("\n").split(",")
        else:
            file_columns = pq.read_schema(file).names
    except (OSError, ValueError, pa.ArrowException):
        return
    missing = [column for column in columns if column not in file_columns]
    if any(
        column == tables.EVENT_RANK_COLUMN or column.lower().endswith(REPORT_ID_SUFFIX.lower()) for column in missing
    ):
        raise UserError(
            f"{file}: lacks the columns {', '.join(missing)}, because an older version of Anomalake wrote it; "
            f"to rebuild the tables from the archive, run `anomalake replay --lake {root}`"
        )


def select_json_table(folder: Path, suffix: str, columns: Sequence[tuple[str, str]]) -> str:
    """Return a SELECT of a folder's JSON Lines files; `columns` gives the names and Hive types of the columns."""
    if not any(folder.glob(f"*.{suffix}")):
        nulls = [f"CAST(NULL AS {_JSON_TYPES[kind]}) AS {sql.identifier(column.lower())}" for column, kind in columns]
        return f"SELECT {', '.join(nulls)} WHERE false"
    types = ", ".join(f"{sql.literal(column)}: {sql.literal(_JSON_TYPES[kind])}" for column, kind in columns)
    files = sql.literal(f"{glob.escape(str(folder))}/*.{suffix}")
    return (
        f"SELECT * FROM read_json({files}, format = 'newline_delimited', columns = {{{types}}}, ignore_errors = true)"
    )


def select_live_table(root: Path, metric_set: MetricSet) -> str:
    """Return a SELECT of the live data, from the files in folders whose names match the source's path.

    Its columns are the columns of the source, all as text as in Athena, then `slot` and `$path`.
    """
    source = require_source(metric_set)
    prefix, pattern, suffix = time_patterns.parse_folder_pattern(source.path)
    day = time_patterns.parse_day_pattern(source.path)
    sample_instant = datetime(2000, 1, 1)
    sample = sample_instant.strftime(time_patterns.to_python_format(pattern))
    slot = sample_instant.strftime(time_patterns.to_python_format(day.pattern if day else pattern))
    digits = "".join("[0-9]" if letter.isdigit() else glob.escape(letter) for letter in sample)
    base = f"{root}/{prefix}"
    files = f"{glob.escape(base)}{digits}{glob.escape(suffix)}/**/[!._]*"
    matches = glob.iglob(files, recursive=True)  # noqa: PTH207  (DuckDB reads the same pattern)
    if not any(Path(file).is_file() for file in matches):
        nulls = ", ".join(f"CAST(NULL AS VARCHAR) AS {sql.identifier(c)}" for c in (*source.columns, "slot", "$path"))
        return f"SELECT {nulls} WHERE false"
    partition_columns = (
        f"substr(_file, {len(base) + 1}, {len(slot)}) AS slot, "
        f"'s3://lake/' || substr(_file, {len(str(root)) + 2}) AS \"$path\""
    )
    date_format = sql.literal(time_patterns.to_python_format(pattern))
    # As in Athena, hidden files are left out. So are folders whose digits are not a date.
    filters = (
        f"WHERE NOT regexp_matches(substr(_file, {len(base) + len(sample) + len(suffix) + 1}), '/[._]') "
        f"AND try_strptime(substr(_file, {len(base) + 1}, {len(sample)}), {date_format}) IS NOT NULL"
    )
    columns = ", ".join(f"{sql.literal(column)}: 'VARCHAR'" for column in source.columns)
    options = (
        f"columns = {{{columns}}}, compression = '{'gzip' if source.compression == 'gzip' else 'none'}', "
        "filename = '_file', hive_partitioning = false, ignore_errors = true"
    )
    if source.format == "jsonl":
        reader = f"read_json({sql.literal(files)}, format = 'newline_delimited', {options})"
    else:
        quote = sql.literal(source.quote)
        reader = (
            f"read_csv({sql.literal(files)}, auto_detect = false, header = {str(source.header).lower()}, "
            f"delim = {sql.literal(source.delimiter)}, quote = {quote}, escape = {quote}, "
            f"encoding = '{DUCKDB_CHARSETS[source.charset]}', strict_mode = false, {options})"
        )
    return f"SELECT * EXCLUDE (_file), {partition_columns} FROM {reader} {filters}"
