"""How much data a page holds."""

MAX_QUERY_ROWS = 200_000  # of one chart's query; with more, the query leaves out the columns of the drop-down lists
MAX_COLORS = (
    25  # values of a chart's color field, when the chart without drop-down lists still has more than MAX_QUERY_ROWS
)
MAX_TABLE_ROWS = 1_000  # rows that a table or pivot table shows
SIGNIFICANT_FIGURES = 7  # of an embedded number
