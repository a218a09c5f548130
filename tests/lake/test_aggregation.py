"""Aggregations: every value is what the definition of its aggregation says, whatever the order of rows and files."""

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.lake import live_data
from anomalake.lake.object_store import ObjectStore
from sales_rows import SALES, build_set, encode_rows, expect_values

START = datetime(2021, 2, 17, 10)  # 11:00 in Berlin
KEY = "sales/live/20210217"


def read(item, *files):
    store = ObjectStore.memory()
    for number, rows in enumerate(files):
        store.put(f"{KEY}/{number}.csv", encode_rows(item, rows))
    return live_data.read_interval(store, item, START, list(store.list(KEY)))


def stamp(rows):
    return [(f"2021-02-17 11:{number % 60:02}:00", *row) for number, row in enumerate(rows)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("missing", ["zero", "unknown"])
@pytest.mark.parametrize("min_bytes", [0, 10_000])
@given(rows=st.lists(SALES, max_size=20))
def test_every_value_and_weight_is_what_its_aggregation_says(form, missing, min_bytes, rows):
    item = build_set(form=form, more=f"missing: {missing}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_data, "MIN_BYTES_BY_COLUMN", min_bytes)
        interval = read(item, stamp(rows))
    by_series = {}
    for store, kind, *cells in rows:
        by_series.setdefault((store, kind), []).append(cells)
    expected = {series: expect_values(cells, missing == "zero") for series, cells in by_series.items()}
    assert interval.finding_count == 0
    assert interval.row_count == len(rows)
    assert list(interval.values.items()) == [(series, values) for series, (values, _) in expected.items()]
    assert interval.weights == {series: weights for series, (_, weights) in expected.items()}


@given(rows=st.lists(SALES, max_size=20), number=st.randoms(use_true_random=False), cuts=st.lists(st.integers(0, 20)))
def test_the_order_of_rows_and_their_files_change_no_value(rows, number, cuts):
    item, shuffled = build_set(), number.sample(stamp(rows), len(rows))
    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    files = [shuffled[first:end] for first, end in pairwise(bounds)]
    one, several = read(item, stamp(rows)), read(item, *files)
    assert (one.values, one.weights, one.row_count) == (several.values, several.weights, several.row_count)


def test_a_json_value_that_is_no_text_is_counted_as_text_and_a_list_is_reported():
    item = build_set(form="jsonl")
    rows = [("2021-02-17 11:00:00", "a", "x", customer, 1) for customer in (1, "1", True, "true", "", [1])]
    interval = read(item, rows)
    assert interval.values["a", "x"][0] == 6
    assert interval.values["a", "x"][6] == 2
    (finding,) = interval.findings
    assert finding.problem == "customer: a JSON array is not a value that is counted; it counts as missing"


def test_an_unreadable_number_is_reported_once_for_all_measures_of_its_column():
    interval = read(build_set(), [("2021-02-17 11:00:00", "a", "x", "ann", "many")])
    assert [finding.problem for finding in interval.findings] == [
        "amount: 'many' is not a number; it counts as missing"
    ]
    assert interval.values["a", "x"][:3] == (1.0, 1.0, None)
