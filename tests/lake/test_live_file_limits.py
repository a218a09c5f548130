"""The limits of live files and intervals, in bounded time and memory."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.lake import live_data, live_files, live_timestamps
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import UnreadableError
from live_file_cases import GOOD, GOOD_VALUES, HEADER, WALL, find_problem, interval_of, parse_file, shop


def test_a_file_with_too_many_lines_is_skipped_before_it_is_read(monkeypatch):
    monkeypatch.setattr(live_files, "MAX_LINES", 1_000)
    for line in ("\n", "\r", "\r\n", "b,us,2021-02-17 11:00:00,1,1\n", "x\n", '"\n"\n'):
        assert (
            find_problem(shop(), HEADER.encode() + line.encode() * 1_001)
            == "the file has more than 1,000 lines, the limit for one file; the file is skipped"
        )
    assert interval_of(shop(), HEADER.encode() + b"\r\n" * 999).finding_count == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_line_of_sixty_megabytes_is_a_finding_that_names_the_limit(form):
    data = HEADER.encode() + b"x" * 60_000_000
    assert (
        find_problem(shop(form), data)
        == "line 2 has more than 1,048,576 bytes, the limit for one line; the file is skipped"
    )


@given(st.lists(st.integers(0, 30), max_size=30), st.sampled_from(["\n", "\r", "\r\n"]), st.integers(1, 25))
def test_every_line_that_is_too_long_is_found_and_no_other(lengths, ending, limit):
    raw = ending.join("x" * length for length in lengths).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_files, "MAX_LINE_BYTES", limit)
        try:
            live_files._check_limits(raw)
            found = False
        except live_files.FileError:
            found = True
    assert found == (max(lengths, default=0) > limit)


def test_lines_of_the_allowed_length_are_read():
    cell = "z" * (live_files.MAX_LINE_BYTES - 100)
    interval = interval_of(shop(), f"{HEADER}{cell},us,2021-02-17 11:00:00,1,1\n".encode())
    assert interval.values[cell, "us"] == (1.0, 1.0)


def test_the_file_that_exceeds_the_row_limit_of_an_interval_is_skipped(monkeypatch):
    monkeypatch.setattr(live_data, "MAX_ROWS_PER_INTERVAL", 3)
    two = HEADER.encode() + b"b,us,2021-02-17 11:00:00,1,1\n" * 2
    interval = interval_of(shop(), two, two)
    assert interval.row_count == 3
    assert interval.findings == (
        live_data.Finding(
            "shop/live/20210217/1100/2",
            "the interval has more than 3 rows with this file, the limit for one interval; the file is skipped",
        ),
    )


def test_the_file_that_exceeds_the_series_limit_of_an_interval_is_skipped(monkeypatch):
    monkeypatch.setattr(live_data, "MAX_SERIES_PER_INTERVAL", 2)
    known, new = (
        HEADER.encode() + b"".join(b"%s,us,2021-02-17 11:00:00,1,1\n" % name for name in names)
        for names in ((b"b",), (b"c",))
    )
    interval = interval_of(shop(), known, new, known)
    assert interval.values == {("a", "us"): (1.0, 1.0), ("b", "us"): (2.0, 1.0)}
    assert interval.findings == (
        live_data.Finding(
            "shop/live/20210217/1100/2",
            "the interval has more than 2 series with this file, the limit for one interval; the file is skipped",
        ),
    )


@pytest.mark.parametrize("where", ["memory", "folder", "s3"])
def test_an_object_that_is_too_large_is_rejected_before_it_is_read(where, tmp_path, request):
    match where:
        case "memory":
            store = ObjectStore.memory()
        case "folder":
            store = FolderStore(tmp_path)
        case _:
            store = ObjectStore.s3(request.getfixturevalue("s3_lake").removeprefix("s3://"))
    store.put("shop/x", b"x" * 11)
    assert store.get("shop/x", 11).data == b"x" * 11
    assert store.get("shop/none", 11) is None
    with pytest.raises(UnreadableError, match="shop/x: has more than 0 MiB, the limit for one file"):
        store.get("shop/x", 10)


def test_a_sparse_file_of_ten_gigabytes_a_pipe_and_a_device_affect_only_themselves(tmp_path):
    store = FolderStore(tmp_path)
    store.put("shop/live/20210217/1100/0", GOOD)
    folder = tmp_path / "shop/live/20210217/1100"
    with (folder / "1").open("wb") as large:
        large.truncate(10 * 2**30)
    os.mkfifo(folder / "2")
    (folder / "3").symlink_to("/dev/zero")
    (folder / "4").symlink_to("nowhere")
    interval = live_data.read_interval(store, shop(), WALL, live_data.list_interval_files(store, shop(), WALL))
    assert interval.values == GOOD_VALUES
    assert [finding.problem for finding in interval.findings] == [
        "the file has more than 64 MiB, the limit for one file; the file is skipped",
        *["the file is not a regular file; the file is skipped"] * 2,
    ]


def test_timestamps_of_any_length_fill_no_cache():
    item = shop(timestamp="timestamp: {column: timestamp, format: UNIX}")
    live_timestamps._parse_wall_time_cached.cache_clear()
    rows = "".join(f"a,us,{'0' * 10_000}{1613559600 + second},1,1\n" for second in range(50))
    assert parse_file(f"{HEADER}{rows}".encode(), item) == ([(("a", "us"), (1.0, 1.0))] * 50, [])
    assert live_timestamps._parse_wall_time_cached.cache_info().currsize == 0


def test_the_limits_are_documented():
    text = (Path(__file__).parents[2] / "docs/metric-sets.md").read_text("utf-8")
    for limit in ("64 MiB", "1,000,000 lines", "1 MiB", "1,000,000 rows", "100 characters"):
        assert limit in text
    sizes = (
        live_files.MAX_UNPACKED_BYTES,
        live_files.MAX_LINES,
        live_files.MAX_LINE_BYTES,
        live_data.MAX_ROWS_PER_INTERVAL,
        live_files.MAX_QUOTED_CHARACTERS,
    )
    assert sizes == (64 * 2**20, 1_000_000, 2**20, 1_000_000, 100)
