"""What `init` reads, `backtest` reads in the same way."""

import pandas as pd
import pytest

from anomalake.cli.tables.live_rows import ReadingOptions, prepare_rows
from anomalake.domain import metric_set_yaml

METRIC_SET = """
name: shop
frequency: P1D
timestamp: {{column: {column}, format: "{format}"}}
dimensions: []
measures: [{{name: sales, aggregation: SUM}}]
source: {{path: "shop/live/{{{{yyyyMMdd}}}}", format: csv, columns: [{column}, sales]}}
"""


def prepare(columns, column="day", timestamp_format="yyyy-MM-dd HH:mm:ss", **options):
    metric_set = metric_set_yaml.parse(METRIC_SET.format(column=column, format=timestamp_format), "shop")
    rows, notes = prepare_rows(pd.DataFrame(columns, dtype="str"), metric_set, ReadingOptions(**options))
    return rows[[column, "sales"]].values.tolist(), notes


def test_times_that_the_lake_cannot_read_are_normalised_and_unreadable_rows_are_reported():
    columns = {"day": ["Jan 1 2000", "Jan 2 2000", "?"], "sales": ["$1,000.00", "many", "3"]}
    rows, notes = prepare(columns)
    assert rows == [["2000-01-01 00:00:00", "1000.00"], ["2000-01-02 00:00:00", "many"]]
    assert notes == ("1 rows have no readable timestamp and are left out (row 3: '?')",)


def test_times_in_the_format_of_the_metric_set_stay():
    rows, _ = prepare({"day": ["01/02/2024", "x"], "sales": ["1", "2"]}, timestamp_format="MM/dd/yyyy")
    assert rows == [["01/02/2024", "1"], ["x", "2"]]


@pytest.mark.parametrize(("order", "day"), [("day-first", "2024-02-01"), ("month-first", "2024-01-02")])
def test_options_decide_what_the_data_does_not(order, day):
    rows, _ = prepare({"day": ["1/2/24"], "sales": ["1,234"]}, order=order, decimal=",")
    assert rows == [[f"{day} 00:00:00", "1.234"]]


def test_a_time_of_several_columns_is_found_by_its_name():
    rows, _ = prepare({"year": ["2024"], "month": ["2"], "sales": ["1"]}, column="year_month")
    assert rows == [["2024-02-01 00:00:00", "1"]]
