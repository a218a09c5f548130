"""Cubes: queries that group a dataset by the fields of one or several visuals and by the columns of drop-down lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from anomalake.catalog import sql
from anomalake.dashboards.preview.fields import GroupField, ValueField
from anomalake.dashboards.preview.limits import MAX_TABLE_ROWS
from anomalake.dashboards.preview.packing import pack_column


@dataclass
class Cube:
    """A query that serves one or several visuals; `groups` and `values` give the position of each field in the result.

    A cube that is not `aggregated` holds the first `MAX_TABLE_ROWS` rows by `order`, for a table.
    """

    dataset: str
    predicates: tuple[str, ...]
    groups: dict[GroupField, int] = field(default_factory=dict)
    values: dict[ValueField, int] = field(default_factory=dict)
    aggregated: bool = True
    order: str = ""

    def add_groups(self, groups: Iterable[GroupField]) -> None:
        """Add the fields that the cube does not group by yet."""
        for group in groups:
            self.groups.setdefault(group, len(self.groups))

    def add_value(self, value: ValueField) -> int:
        """Add the field if the cube does not hold it yet, and return its position."""
        return self.values.setdefault(value, len(self.values))


def count_groups(
    connection: duckdb.DuckDBPyConnection, dataset: str, predicates: Sequence[str], groups: Iterable[GroupField]
) -> int:
    """Return how many rows a cube with these groups has; `dataset` is a name in SQL."""
    keys = ", ".join(_group_to_sql(group) for group in groups)
    statement = f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {dataset} WHERE {_join(predicates)})"
    ((count,),) = connection.sql(statement).fetchall()
    return int(count)


def keep_most_frequent(dataset: str, predicates: Sequence[str], column: str, number: int) -> str:
    """Return the condition that the column has one of the values with the most rows; `dataset` is a name in SQL."""
    name = sql.identifier(column)
    most_frequent = (
        f"SELECT {name} FROM {dataset} WHERE {_join(predicates)} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {number}"
    )
    return f"{name} IN ({most_frequent})"


def run_cube(cube: Cube, connection: duckdb.DuckDBPyConnection, dataset: str) -> dict[str, Any]:
    """Run the query and return its result, column by column, as the page unpacks it; `dataset` is a name in SQL.

    `total` is the number of rows in the dataset for a cube that is not aggregated, and 0 otherwise. `names` holds the
    column of each group without granularity, for the drop-down lists.
    """
    keys = [_group_to_sql(group) for group in cube.groups]
    source = f"FROM {dataset} WHERE {_join(cube.predicates)}"
    total = 0
    if cube.aggregated:
        statement = _aggregate(keys, cube.values, source)
    else:
        ((total,),) = connection.sql(f"SELECT count(*) {source}").fetchall()
        order = f" ORDER BY {cube.order}" if cube.order else ""
        statement = f"SELECT {', '.join(keys)} {source}{order} LIMIT {MAX_TABLE_ROWS}"
    relation = connection.sql(statement)
    rows = relation.fetchall()
    by_column = list(zip(*rows, strict=True)) or [()] * len(relation.columns)
    columns = [pack_column(column, exact=position < len(keys)) for position, column in enumerate(by_column)]
    return {
        "rows": len(rows),
        "total": total,
        "names": [group.column if group.granularity is None else "" for group in cube.groups],
        "groups": columns[: len(keys)],
        "values": columns[len(keys) :],
    }


def _aggregate(keys: Sequence[str], values: Iterable[ValueField], source: str) -> str:
    aggregates = [
        f"CAST({value.aggregation.lower()}({value.expression or sql.identifier(value.column)}) AS double)"
        for value in values
    ]
    group_by = f" GROUP BY {', '.join(keys)}" if keys else ""
    order_by = f" ORDER BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
    return f"SELECT {', '.join([*keys, *aggregates])} {source}{group_by}{order_by}"


def _group_to_sql(group: GroupField) -> str:
    column = sql.identifier(group.column)
    return f"date_trunc('{group.granularity.lower()}', {column})" if group.granularity else column


def _join(predicates: Sequence[str]) -> str:
    return " AND ".join(predicates) or "true"
