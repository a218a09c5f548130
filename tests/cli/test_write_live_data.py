"""A table becomes live data: every row is in the folder of its interval, and is read as it was."""

from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli.write_live_data import write_live_data
from anomalake.lake import live_files
from anomalake.lake.object_store import ObjectStore
from sales_rows import COLUMNS, SALES, build_set, read_lake

TIMES = st.datetimes(datetime(2021, 3, 26), datetime(2021, 3, 30)).map(lambda time: time.replace(microsecond=0))
LAYOUTS = [("PT5M", "yyyyMMdd"), ("PT1H", "yyyyMMddHHmm"), ("P1D", "yyyyMMdd"), ("P1D", "yyyyMM"), ("P1W", "yyyyMMdd")]


@pytest.mark.parametrize(("frequency", "folder"), LAYOUTS)
@given(rows=st.lists(st.tuples(TIMES, SALES), max_size=20))
def test_every_row_is_written_or_reported_and_read_in_its_interval(frequency, folder, rows):
    item, store = build_set(frequency=frequency, folder=folder), ObjectStore.memory()
    frame = pd.DataFrame([(f"{time:%Y-%m-%d %H:%M:%S}", *cells) for time, cells in rows], columns=COLUMNS)
    folders, findings = write_live_data(frame, item, store)
    read = read_lake(store, item).values()
    skipped = [number for number, (time, _) in enumerate(rows, 1) if (time.day, time.hour) == (28, 2)]
    assert [finding.where for finding in findings] == [f"row {number}" for number in skipped]
    assert sum(part.row_count for part in read) == len(rows) - len(skipped)
    assert sum(part.finding_count for part in read) == 0
    assert folders == len({key.rpartition("/")[0] for key in store.list("sales")}) == len(list(store.list("sales")))


@given(rows=st.lists(st.tuples(TIMES, SALES), max_size=20))
def test_datetimes_are_written_as_text_of_the_format(rows):
    item, text, datetimes = build_set(), ObjectStore.memory(), ObjectStore.memory()
    frame = pd.DataFrame([(time, *cells) for time, cells in rows], columns=COLUMNS)
    frame["at"] = pd.to_datetime(frame["at"])
    written = write_live_data(frame, item, datetimes)
    assert written == write_live_data(frame.assign(at=frame["at"].dt.strftime("%Y-%m-%d %H:%M:%S")), item, text)
    assert {key: datetimes.get(key).data for key in datetimes.list("sales")} == {
        key: text.get(key).data for key in text.list("sales")
    }


def test_a_missing_timestamp_is_reported_with_its_row():
    item, store = build_set(), ObjectStore.memory()
    frame = pd.DataFrame([(time, "a", "x", "ann", 1) for time in ("2021-02-17 11:00", None)], columns=COLUMNS)
    frame["at"] = pd.to_datetime(frame["at"])
    folders, (finding,) = write_live_data(frame, item, store)
    assert folders == 1
    assert str(finding) == "row 2: the timestamp '' does not have the format yyyy-MM-dd HH:mm:ss"


def test_a_folder_that_is_too_large_for_one_file_has_several(monkeypatch):
    item, store = build_set(), ObjectStore.memory()
    monkeypatch.setattr(live_files, "MAX_LINES", 7)
    rows = [(f"2021-02-17 {hour:02}:00:00", "a", "x", "ann", hour) for hour in range(24)]
    assert write_live_data(pd.DataFrame(rows, columns=COLUMNS), item, store) == (1, [])
    assert list(store.list("sales")) == [f"sales/live/20210217/data-{number:04}.csv" for number in range(1, 5)]
    assert [part.values["a", "x"][2] for part in read_lake(store, item).values()] == list(range(24))
