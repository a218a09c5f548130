"""What a view is, and the columns and SQL fragments that several views share."""

from collections.abc import Sequence
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.names import ANOMALY_COLUMN_SUFFIXES


class ViewColumn(NamedTuple):
    """A column of a view: its name (lower case), Trino type, SQL expression and description."""

    name: str
    type: str
    expression: str
    comment: str


class View(NamedTuple):
    """A view as the catalog declares it."""

    database: str
    name: str
    columns: tuple[ViewColumn, ...]
    sql: str
    comment: str


ANOMALY_COLUMN_COMMENTS = dict(
    zip(
        ANOMALY_COLUMN_SUFFIXES,
        (
            "value, if it is anomalous",
            "severity of the event, 0-100",
            "expected value",
            "lower bound",
            "upper bound",
            "id of the event",
        ),
        strict=True,
    )
)


def database(prefix: str, metric_set: MetricSet) -> str:
    """Return the name of the metric set's Glue database."""
    return f"{prefix}_{metric_set.name}"


def build_view(
    db: str, name: str, comment: str, body: str, columns: Sequence[ViewColumn], *, prelude: str = "", end: str = ""
) -> View:
    """Build a view that selects `columns`, each cast to its type, from `body`.

    `prelude` precedes the SELECT (a WITH clause), `end` follows it (GROUP BY, ORDER BY).
    """
    selected = ",\n  ".join(
        f"CAST({column.expression} AS {column.type}) AS {sql.identifier(column.name)}" for column in columns
    )
    return View(db, name, tuple(columns), f"{prelude}SELECT\n  {selected}\nFROM {body}{end}", comment)


def union_all(queries: Sequence[str]) -> str:
    """Combine queries with UNION ALL, in parentheses."""
    return "(\n" + "\nUNION ALL\n".join(queries) + "\n)"


def null_columns(columns: Sequence[tuple[str, str]]) -> str:
    """Return select-list items that are null, from pairs of a column and its type."""
    return ", ".join(f"CAST(NULL AS {kind}) AS {sql.identifier(column)}" for column, kind in columns)


def time_columns(metric_set: MetricSet, table: str = "") -> list[ViewColumn]:
    """Return the columns that say when an interval starts; `table` is the alias of the table that has them."""
    prefix = f"{table}." if table else ""
    return [
        ViewColumn("timestamp", "timestamp(3)", f'{prefix}"timestamp"', "start of the interval, UTC"),
        ViewColumn(
            "localtimestamp",
            "timestamp(3)",
            sql.utc_to_wall(f'{prefix}"timestamp"', metric_set.timezone),
            f"start of the interval, {metric_set.timezone}",
        ),
        *date_columns(f'{prefix}"date"'),
    ]


def date_columns(date: str) -> list[ViewColumn]:
    """Return the UTC date as a text and as a timestamp; `date` is the expression of the text."""
    return [
        ViewColumn("date", "varchar", date, "UTC date; filter on it to read fewer partitions"),
        ViewColumn(
            "utcday",
            "timestamp(3)",
            f"date_parse({date}, '%Y-%m-%d')",
            "the UTC date as a timestamp, for tools that filter on times",
        ),
    ]


def dimension_columns(metric_set: MetricSet, table: str = "") -> list[ViewColumn]:
    """Return a column for each dimension; `table` is the alias of the table that has them."""
    prefix = f"{table}." if table else ""
    return [
        ViewColumn(
            d.name.lower(),
            "varchar",
            prefix + sql.identifier(d.name),
            d.short_description or f"dimension {d.title}",
        )
        for d in metric_set.dimensions
    ]


def anomaly_columns(metric_set: MetricSet, wrap: str) -> list[ViewColumn]:
    """Return the anomaly columns of each measure; `wrap` is a format string around the column, such as `max({})`."""
    return [
        ViewColumn(
            (measure.name + suffix).lower(),
            "varchar" if suffix == "EventId" else "double",
            wrap.format(sql.identifier(measure.name + suffix)),
            f"{measure.title}: {ANOMALY_COLUMN_COMMENTS[suffix]}",
        )
        for measure in metric_set.measures
        for suffix in ANOMALY_COLUMN_SUFFIXES
    ]
