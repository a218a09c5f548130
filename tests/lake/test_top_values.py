"""The values that `top` keeps: the largest, stable under further data, the same for every reader."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain.metric_set import OTHER_VALUES
from anomalake.lake import layout, live_data, top_values
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import StorageError
from sales_rows import build_set, encode_rows

ITEM = build_set()  # keeps two values of the dimension kind
KEYS, START = ["sales/live/20210217/data.csv"], datetime(2021, 2, 17, 10)
KINDS = st.sampled_from(["w", "x", "y", "z", OTHER_VALUES, None])
TOTALS = st.dictionaries(KINDS, st.integers(0, 4).map(float)).map(lambda found: {"kind": found})


def store_of(kinds):
    store = ObjectStore.memory()
    rows = [("2021-02-17 11:00:00", "a", kind, "ann", 1) for kind in kinds]
    store.put(KEYS[0], encode_rows(ITEM, rows))
    return store


@given(TOTALS)
def test_the_largest_values_are_kept_and_equal_ones_in_their_order(totals):
    kept = top_values.choose_top_values(ITEM, totals).get("kind", frozenset())
    found = {value: total for value, total in totals["kind"].items() if value != OTHER_VALUES}
    ranked = sorted(found, key=lambda value: (-found[value], value is not None, value or ""))
    assert kept == frozenset(ranked[:2])


@given(st.lists(TOTALS, min_size=1, max_size=5))
def test_a_value_that_is_kept_stays_and_the_list_never_has_more_than_top(parts):
    totals, chosen = {}, top_values.NO_TOP
    for part in parts:
        totals, before = top_values.add_totals(totals, part), chosen
        chosen = top_values.choose_top_values(ITEM, totals, before)
        assert before.get("kind", frozenset()) <= chosen.get("kind", frozenset())
        assert len(chosen.get("kind", ())) <= 2


@given(st.frozensets(st.text(max_size=5) | st.none(), min_size=1))
def test_the_list_is_read_as_it_was_written(values):
    store = ObjectStore.memory()
    assert top_values.read_top_values(store, ITEM) == top_values.NO_TOP
    top_values.write_top_values(store, ITEM, {"kind": values})
    assert top_values.read_top_values(store, ITEM) == {"kind": values}


def test_a_broken_list_is_an_error_that_names_the_object():
    store = ObjectStore.memory()
    store.put(layout.top_values_key(ITEM), b"{}\n")
    with pytest.raises(StorageError, match=r"topValues/sales/v1/values[.]jsonl: is not a list of values"):
        top_values.read_top_values(store, ITEM)


@pytest.mark.parametrize("min_bytes", [0, 10_000])
def test_rows_with_other_values_are_aggregated_together(monkeypatch, min_bytes):
    monkeypatch.setattr(live_data, "MIN_BYTES_BY_COLUMN", min_bytes)
    store = store_of(["x", "x", "y", "z", "z", None, OTHER_VALUES])
    kept = {"kind": frozenset({"x", None})}
    interval = live_data.read_interval(store, ITEM, START, KEYS, kept)
    assert {series[1]: values[0] for series, values in interval.values.items()} == {"x": 2, OTHER_VALUES: 4, None: 1}
    assert interval.values["a", OTHER_VALUES][6] == 1  # ann is one customer of all of them
    unlisted = live_data.read_interval(store, ITEM, START, KEYS)
    assert {series[1] for series in unlisted.values} == {"x", "y", "z", None, OTHER_VALUES}


def test_totals_are_those_of_the_first_additive_measure():
    totals = top_values.read_totals(store_of(["x", "x", "y", None]), ITEM, [START], KEYS)
    assert totals == {"kind": {"x": 2.0, "y": 1.0, None: 1.0}}
    assert top_values.choose_top_values(ITEM, totals) == {"kind": frozenset({"x", None})}
