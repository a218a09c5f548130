"""SELECTs of the lake's tables that the views read, and the JSON tables that Anomalake's results do not contain."""

from anomalake.catalog import sql
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import tables
from anomalake.lake.layout import DETECTOR_TABLES, GLUE_TABLE_NAMES, Format, Table

FEEDBACK_TABLE = "feedback"  # the feedback that people gave on events
FEEDBACK_COLUMNS = (
    ("eventId", "string"),
    ("metricName", "string"),
    ("timestamp", "string"),
    ("wanted", "boolean"),
    ("direction", "string"),
    ("series", "array<map<string,string>>"),
    ("note", "string"),
    ("saidAt", "string"),
)
COMPACTION_TABLE = "compaction"  # the days being compacted: their objects are being merged into one
COMPACTION_COLUMNS = (
    ("day", "string"),
    ("step", "string"),
    ("since", "string"),
    ("target", "string"),
    ("switched", "boolean"),
)

TOP_VALUES_TABLE = "topvalues"  # the dimension values that `top` keeps
TOP_VALUES_COLUMNS = (("dimension", "string"), ("value", "string"))


def has_top_values(metric_set: MetricSet) -> bool:
    """Return whether a dimension of the live data has `top`, so that the catalog has the table of top values."""
    return metric_set.source is not None and metric_set.has_top


def select_typed(table: Table, metric_set: MetricSet, db: str, table_format: Format) -> str:
    """Return a SELECT of a lake table: its columns, typed and in lower case, and `date`.

    A day being compacted has its rows twice for a while: in the objects of its intervals, and in the object of the day
    (`target`). The SELECT reads one of the two: the object of the day once `switched` is true.
    """
    cells = [
        (
            f"{sql.parse_csv_cell(sql.identifier(column), kind)} AS {sql.identifier(column)}"
            if table_format == "csv"
            else sql.identifier(column)
        )
        for column, kind in tables.schema(table, metric_set)
    ]
    selected = f'SELECT {", ".join(cells)}, "date" FROM {sql.identifier(db)}.{sql.identifier(GLUE_TABLE_NAMES[table])}'
    if table not in DETECTOR_TABLES:
        return selected
    return (
        f"{selected} LEFT JOIN (SELECT day AS _day, target AS _target, switched AS _switched "
        f"FROM {sql.identifier(db)}.{COMPACTION_TABLE} WHERE target IS NOT NULL) "
        "ON _day = \"date\" WHERE _target IS NULL OR (\"$path\" LIKE concat('%/', _target, '.%')) = _switched"
    )


def select_anomalous_series(metric_set: MetricSet, db: str, table_format: Format, *, first_event_only: bool) -> str:
    """Return a SELECT of the anomalous series.

    With `first_event_only`, each series and measure has the one event that charts show (event rank 0); else it has all
    of its events. Objects from before event ranks existed have no rank, which counts as 0.
    """
    rank = sql.identifier(tables.EVENT_RANK_COLUMN)
    if table_format == "csv":
        rank = sql.parse_csv_cell(rank, "bigint")
    operator = "=" if first_event_only else ">="
    typed = select_typed("metricValue_AnomalyScore", metric_set, db, table_format)
    return f"{typed} WHERE coalesce({rank}, 0) {operator} 0"


def report_digest(column: str) -> str:
    """Return an expression for the content of a report, whatever its time: the digest at the end of its id.

    Objects from before report ids existed have no id; their digest is empty.
    """
    return f"coalesce(substr({column}, -{tables.DIGEST_CHARACTERS}), '')"
