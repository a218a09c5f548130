"""What the visuals of a sheet share: the definition, its parameters, its datasets and the connection."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import duckdb

from anomalake.domain.errors import UserError


class SheetContext(NamedTuple):
    """A sheet of a definition, and where its data is."""

    definition: Mapping[str, Any]
    sheet_id: str
    parameters: Mapping[str, Any]  # name -> value
    columns: Mapping[str, Mapping[str, str]]  # dataset -> column -> DuckDB type
    controls: Mapping[str, str]  # columns of the sheet's drop-down lists -> titles
    connection: duckdb.DuckDBPyConnection
    datasets: Mapping[str, str]  # dataset -> its name in SQL
    group_counts: dict[tuple[object, ...], int]  # the results of `cubes.count_groups`, which visuals share


def read_columns(
    definition: Mapping[str, Any], connection: duckdb.DuckDBPyConnection, datasets: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return the columns of each dataset that the definition declares, with their DuckDB types.

    Raises `UserError` for a dataset without data.
    """
    columns = {}
    for declaration in definition["DataSetIdentifierDeclarations"]:
        dataset = declaration["Identifier"]
        if dataset not in datasets:
            available = f"datasets with data: {', '.join(datasets)}" if datasets else "no dataset has data"
            raise UserError(f"the definition's dataset '{dataset}' has no data; {available}")
        described = connection.sql(f"DESCRIBE SELECT * FROM {datasets[dataset]}").fetchall()
        columns[dataset] = {name: kind for name, kind, *_ in described}
    return columns
