"""Restricts queries: a query is one statement that reads the views and tables of the lake, and nothing else.

DuckDB's settings disable access to files outside the lake, to the network and to extensions, and then lock themselves.
They do not distinguish a view that reads the lake's files from a statement that names such a file or writes one
(`COPY`). For this reason, each statement is checked too, on the syntax tree that DuckDB parses it to.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from anomalake.catalog import sql
from anomalake.domain.errors import UserError

_ALLOWED = "a query is one SELECT, WITH, VALUES, DESCRIBE or SHOW statement"
_READS = "a query reads the lake's views and tables only (docs/catalog.md)"
# Table functions that return rows of their arguments. Every other one reads files, metadata or other statements.
_TABLE_FUNCTIONS = {"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}
_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SETTINGS = (
    "SET python_enable_replacements = false",  # Python variables are not tables
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def restrict_access(connection: duckdb.DuckDBPyConnection, root: Path, live_folders: Sequence[Path]) -> None:
    """Restrict the connection, irrevocably, to the files of the lake and to the targets of links in `live_folders`."""
    targets = sorted({target for folder in live_folders for target in _link_targets(folder)})
    folders = [target for target in targets if os.path.isdir(target)]  # noqa: PTH112  (Path.is_dir raises PermissionError)
    files = [target for target in targets if target not in folders]
    connection.execute(f"SET allowed_directories = {_list_literal([str(root), *folders])}")
    connection.execute(f"SET allowed_paths = {_list_literal(files)}")
    for setting in _SETTINGS:
        connection.execute(setting)


def _link_targets(folder: Path | str) -> Iterator[str]:
    """Yield the targets of all symbolic links in a folder, and of the folder itself. DuckDB compares real paths."""
    if os.path.realpath(folder) != str(folder):
        yield os.path.realpath(folder)
    yield from _link_targets_inside(folder)


def _link_targets_inside(folder: Path | str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            yield os.path.realpath(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _link_targets_inside(entry.path)


def _list_literal(values: Sequence[str]) -> str:
    return f"[{', '.join(map(sql.literal, values))}]"


def check_statement(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Raise `UserError` if a text is not one statement, writes, or reads anything but views and tables.

    A text that DuckDB cannot parse passes, because DuckDB cannot run it either.
    """
    try:
        types = [parsed.type for parsed in connection.extract_statements(statement)]
    except duckdb.ParserException:  # Athena's SQL, whose translation is checked too, or a text that is not SQL
        return
    if len(types) != 1:
        raise UserError(f"the SQL has {len(types)} statements; {_ALLOWED}")
    if types[0] != duckdb.StatementType.SELECT:
        raise UserError(f"the SQL is a {types[0].name} statement; {_ALLOWED}")
    ((tree,),) = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()
    for node in _nodes(json.loads(tree)):
        _check_node(node)


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _QUERY_NODES:
        raise UserError(f"the SQL has a part that writes ({kind.removesuffix('_QUERY_NODE')}); {_ALLOWED}")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name"))
        if name.lower() not in _TABLE_FUNCTIONS:
            raise UserError(f"the SQL calls {name}(); {_READS}")
    elif kind == "BASE_TABLE" and any(character in node["table_name"] for character in "./\\:*"):
        # DuckDB would read a file with this name.
        raise UserError(f"the SQL reads from '{node['table_name'][:100]}', which is a file; {_READS}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of the tree. It does not recurse, because a statement may be nested deeply."""
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
