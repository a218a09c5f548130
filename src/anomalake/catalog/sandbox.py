"""What a query may do: one statement that reads the lake's views and tables, and nothing else.

DuckDB's own settings end all access to files outside the lake, to the network, to extensions and to the settings
themselves. They cannot tell a view that reads the lake's files from a statement that names such a file, or that writes
one (`COPY`). So each statement is checked too, on the syntax tree that DuckDB itself makes of it.
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
# Table functions that make rows of their arguments. Every other one reads files, metadata or other statements.
_TABLE_FUNCTIONS = {"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}
_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SETTINGS = (
    "SET python_enable_replacements = false",  # no variables of this program as tables
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def restrict_access(connection: duckdb.DuckDBPyConnection, root: Path, live_folders: Sequence[Path]) -> None:
    """Limit the connection to the files of the lake, for good; files that are links in a folder of live data may lie elsewhere."""
    links = sorted({link for folder in live_folders for link in _links(folder)})
    connection.execute(f"SET allowed_directories = {_texts([str(root), *filter(os.path.isdir, links)])}")
    connection.execute(f"SET allowed_paths = {_texts([link for link in links if not os.path.isdir(link)])}")  # noqa: PTH112
    for setting in _SETTINGS:
        connection.execute(setting)


def _links(folder: Path | str) -> Iterator[str]:
    """The targets of all symbolic links in a folder, and of the folder itself; DuckDB compares real paths."""
    if os.path.realpath(folder) != str(folder):
        yield os.path.realpath(folder)
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            yield os.path.realpath(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(entry.path)


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(map(sql.literal, values))}]"


def check_statement(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse (`UserError`) a text that is not one statement, writes, or reads anything but views and tables; what DuckDB cannot parse passes."""
    try:
        types = [found.type for found in connection.extract_statements(statement)]
    except duckdb.ParserException:  # Athena's SQL, of which the translation is checked, or no SQL at all
        return
    if len(types) != 1:
        raise UserError(f"the SQL holds {len(types)} statements; {_ALLOWED}")
    if types[0] != duckdb.StatementType.SELECT:
        raise UserError(f"the SQL is a statement of the type {types[0].name}; {_ALLOWED}")
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
    elif kind == "BASE_TABLE" and any(
        mark in node["table_name"] for mark in "./\\:*"
    ):  # DuckDB would read a file of that name
        raise UserError(f"the SQL reads from '{node['table_name'][:100]}', which is a file; {_READS}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of the tree; without recursion, for a statement may be nested deeply."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
