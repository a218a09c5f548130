"""Folders of live data: a folder of an hour, a day or a month has the same data as folders of its intervals."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import intervals
from anomalake.lake import live_data
from anomalake.lake.object_store import ObjectStore
from sales_rows import SALES, build_set, encode_rows, read_lake

WALL_FORMAT, UNIX = '"yyyy-MM-dd HH:mm:ss"', "UNIX"
FOLDERS = {"PT1H": "yyyyMMddHH", "P1D": "yyyyMMdd", "P1M": "yyyyMM"}
# (frequency, period of the folder)
LAYOUTS = [("PT5M", "PT1H"), ("PT5M", "P1D"), ("PT1H", "P1D"), ("PT2H", "P1D"), ("PT12H", "P1M"), ("P1D", "P1M")]
# Days in Berlin on which clocks are set, and the days after them.
INSTANTS = [datetime(2021, 3, 27, 22), datetime(2021, 10, 30, 21)]
ROWS = st.lists(
    st.tuples(st.sampled_from(INSTANTS), st.integers(0, 30 * 60), SALES).map(
        lambda row: (row[0] + timedelta(minutes=row[1]), *row[2])
    ),
    max_size=30,
)


def write(item, rows):
    """Write rows (their first cell is an instant) to the folders of the metric set."""
    store, files = ObjectStore.memory(), {}
    for instant, *cells in rows:
        wall = intervals.to_wall_time(instant, item.timezone)
        is_unix = item.timestamp.format == UNIX
        stamp = int(instant.replace(tzinfo=UTC).timestamp()) if is_unix else f"{wall:%Y-%m-%d %H:%M:%S}"
        folder = live_data.interval_folder(item, item.clock.wall_time(item.start(instant)))
        files.setdefault(folder, []).append((stamp, *cells))
    for folder, file_rows in files.items():
        store.put(f"{folder}/data.csv", encode_rows(item, file_rows))
    return store


@pytest.mark.parametrize("timestamp", [WALL_FORMAT, UNIX])
@pytest.mark.parametrize(("frequency", "period"), LAYOUTS)
@given(rows=ROWS, min_bytes=st.sampled_from([0, 100_000]))
def test_every_layout_of_folders_gives_equal_intervals(timestamp, frequency, period, rows, min_bytes):
    each = build_set(
        frequency=frequency, folder="yyyyMMdd" if frequency == "P1D" else "yyyyMMddHHmm", timestamp=timestamp
    )
    several = build_set(frequency=frequency, folder=FOLDERS[period], timestamp=timestamp)
    assert (each.folder_period, several.folder_period) == (frequency, period)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_data, "MIN_BYTES_BY_COLUMN", min_bytes)
        expected, found = read_lake(write(each, rows), each), read_lake(write(several, rows), several)
    assert found == expected
    assert sum(part.row_count for part in found.values()) == len(rows)
    assert [list(part.values) for part in found.values()] == [list(part.values) for part in expected.values()]


@pytest.mark.parametrize("timestamp", [WALL_FORMAT, UNIX])
def test_all_intervals_of_a_folder_have_the_same_list_and_skipped_ones_are_left_out(timestamp):
    item, store = build_set(timestamp=timestamp), ObjectStore.memory()
    for day in ("20210327", "20210328", "20211031"):
        store.put(f"sales/live/{day}/data.csv", b"")
    files = live_data.list_files_by_interval(store, item)
    lists = {wall.date(): keys for wall, keys in files.items()}
    assert all(keys is lists[wall.date()] for wall, keys in files.items())
    hours = [wall.hour for wall in files if wall.date() == datetime(2021, 3, 28).date()]
    assert hours == [0, 1, *range(3, 24)]
    starts = live_data.list_interval_starts(store, item)
    assert len(starts) == 24 + 23 + (25 if timestamp == UNIX else 24)
    assert live_data.list_interval_starts(store, item, after=starts[30]) == starts[31:]


def test_a_finding_of_no_interval_is_reported_with_the_first_interval_of_the_folder_only():
    item, store = build_set(), ObjectStore.memory()
    rows = [
        ("2021-02-17 05:00:00", "a", "x", "ann", "odd"),
        ("2021-02-18 00:00:00", "a", "x", "ann", 1),
        ("yesterday", "a", "x", "ann", 1),
    ]
    store.put("sales/live/20210217/data.csv", encode_rows(item, rows))
    problems = {part.start: [finding.problem for finding in part.findings] for part in read_lake(store, item).values()}
    assert problems == {
        datetime(2021, 2, 16, 23): [
            "the timestamp '2021-02-18 00:00:00' lies outside the day of its folder, 2021-02-17 00:00 (Europe/Berlin)",
            "the timestamp 'yesterday' does not have the format yyyy-MM-dd HH:mm:ss",
        ],
        datetime(2021, 2, 17, 4): ["amount: 'odd' is not a number; it counts as missing"],
    }


@pytest.mark.parametrize("min_bytes", [0, 100_000])
def test_more_rows_than_are_read_at_once_give_the_same_intervals(monkeypatch, min_bytes):
    item, store = build_set(), ObjectStore.memory()
    for number in range(3):
        rows = [(f"2021-02-17 {row % 24:02}:00:00", "a", "x", str(row), row) for row in range(240)]
        store.put(f"sales/live/20210217/{number}.csv", encode_rows(item, [*rows, ("never", "a", "x", "ann", 1)]))
    monkeypatch.setattr(live_data, "MIN_BYTES_BY_COLUMN", min_bytes)
    expected = read_lake(store, item)
    monkeypatch.setattr(live_data, "MAX_ROWS_PER_INTERVAL", 30)
    assert read_lake(store, item) == expected
    assert sum(part.row_count for part in expected.values()) == 720
    assert sum(part.finding_count for part in expected.values()) == 3


def test_the_limits_of_an_interval_apply_to_each_interval_of_a_folder(monkeypatch):
    item, store = build_set(), ObjectStore.memory()
    monkeypatch.setattr(live_data, "MAX_ROWS_PER_INTERVAL", 3)
    for number in range(2):
        rows = [(f"2021-02-17 {hour:02}:00:00", "a", "x", "ann", 1) for hour in (5, 5, 6)]
        store.put(f"sales/live/20210217/{number}.csv", encode_rows(item, rows))
    found = read_lake(store, item)
    assert {start.hour: part.row_count for start, part in found.items()} == {4: 2, 5: 2}
    (finding,) = found[datetime(2021, 2, 17, 4)].findings
    assert finding.where == "sales/live/20210217/1.csv"
    assert finding.problem.startswith("the interval has more than 3 rows with this file")
