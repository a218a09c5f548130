"""Hostile and broken live files: each costs itself only, within bounded time and memory."""

import gzip
import os
import re
import time
import tracemalloc
import zlib
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.lake import live_data, live_files
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.store import UnreadableError
from examples import shop_text

WALL = datetime(2021, 2, 17, 11)
HEADER = "platform,marketplace,timestamp,views,revenue\n"
GOOD = f"{HEADER}a,us,2021-02-17 11:00:00,1,1\n".encode()
GOOD_VALUES = {("a", "us"): (1.0, 1.0)}
BEFORE_LINEAR = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


def shop(form="csv", compression="none", charset="UTF-8", **lines):
    source = f"format: {form}\n  compression: {compression}\n  charset: {charset}"
    return metric_set_yaml.parse(shop_text(**lines).replace("format: csv", source), "shop")


def interval_of(item, *files, store=None):
    """The interval of these files, with a good file before them."""
    store = store or ObjectStore.memory()
    good = GOOD
    if item.source.format == "jsonl":
        good = b'{"platform": "a", "marketplace": "us", "timestamp": "2021-02-17 11:00:00", "views": 1, "revenue": 1}\n'
    good = gzip.compress(good) if item.source.compression == "gzip" else good
    for number, data in enumerate((good, *files)):
        store.put(f"shop/live/20210217/1100/{number}", data)
    return live_data.read_interval(store, item, WALL, live_data.list_interval_files(store, item, WALL))


def problem_of(item, data):
    """What is found in the file, which costs nothing but itself."""
    interval = interval_of(item, data)
    assert interval.values == GOOD_VALUES
    assert interval.finding_count == 1
    (finding,) = interval.findings
    assert finding.where.partition(":")[0] == "shop/live/20210217/1100/1"
    return finding.problem


def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began


# --- numbers


@pytest.mark.parametrize("text", ["{}x", "-{}.", "{0}.{0}x", ".{}e", "{}e{}x", "1e{}x", "{}.{}.", " {}"])
def test_the_time_to_decide_whether_a_cell_is_a_number_grows_with_its_length(text):
    short, long = (
        seconds(lambda n=n: [live_files.is_number(text.format("1" * n, "2" * n)) for _ in range(20)])
        for n in (20_000, 80_000)
    )
    assert long < 16 * max(short, 0.002)


def test_a_million_digits_are_read_as_quickly_as_they_are_long():
    interval = interval_of(
        shop(),
        f"{HEADER}b,us,2021-02-17 11:00:00,{'1' * 500_000}x,1\nc,us,2021-02-17 11:00:00,0.{'1' * 500_000},1\n".encode(),
    )
    assert interval.values["b", "us"] == (None, 1.0)
    assert interval.values["c", "us"] == (0.1111111111111111, 1.0)
    (finding,) = interval.findings
    assert finding.problem == f"views: '{'1' * 99}…' is not a number; it counts as missing"


@given(st.text(alphabet="01.eE+-x", max_size=12))
def test_the_same_texts_are_numbers_as_before(text):
    assert live_files.is_number(text) == (re.fullmatch(BEFORE_LINEAR, text) is not None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"views": 1%s}' % ("0" * 5_000), "the line is not a JSON object: Integer value out of range"),
        ('{"views": 1e999}', "the line is not a JSON object: Number out of range"),
        ('{"views": true}', "views: true is not a number; it counts as missing"),
        (
            '{{"views": [{}]}}'.format(",".join("1" * 9_000)),
            "views: a JSON array is not a number; it counts as missing",
        ),
        ('{"views": {"a": 1}}', "views: a JSON object is not a number; it counts as missing"),
        ('{"platform": {"a": 1}}', "the dimension value is a JSON object, not text"),
        ('{"platform": false}', "the dimension value is false, not text"),
        ("[" * 100_000, "the line is not a JSON object: Expected `object`, got `array`"),
        ('{"a":' * 100_000, "the line is not a JSON object: maximum recursion depth exceeded"),
    ],
)
def test_json_that_is_not_a_row_is_named_without_a_python_literal(line, problem):
    item = shop("jsonl")
    if line.startswith(('{"views"', '{"platform"')):
        line = '{"timestamp": "2021-02-17 11:00:00", ' + line[1:]
    interval = interval_of(item, f"{line}\n".encode())
    (finding,) = interval.findings
    assert finding.problem.startswith(problem)
    assert interval.values["a", "us"] == (1.0, 1.0)


def test_a_large_json_integer_is_a_number():
    line = '{"platform": "b", "timestamp": "2021-02-17 11:00:00", "views": 1%s}\n' % ("0" * 100)
    assert interval_of(shop("jsonl"), line.encode()).values["b", None] == (1e100, None)


# --- findings


LONG = "y" * 5_000


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (shop(), f"{HEADER}a,us,{LONG},1,1\n"),
        (shop(), f"{HEADER}a,us,2021-02-17 11:00:00,{LONG},1\n"),
        (shop(), f"{LONG},{LONG}\n"),
        (shop("jsonl"), f'{{"timestamp": "{LONG}"}}\n'),
        (shop("jsonl"), f'{{"timestamp": "2021-02-17 11:00:00", "views": "{LONG}"}}\n'),
        (shop("jsonl"), LONG),
        (shop(timestamp="timestamp: {column: timestamp, format: UNIX}"), f"{HEADER}a,us,{LONG},1,1\n"),
        (shop(timestamp="timestamp: {column: timestamp, format: UNIX}"), f"{HEADER}a,us,{'9' * 5_000},1,1\n"),
        (shop(timestamp="timestamp: {column: timestamp, format: UNIX}"), f"{HEADER}a,us,{'0' * 5_000}1613000000,1,1\n"),
    ],
)
def test_a_finding_quotes_at_most_100_characters_of_the_data(item, text):
    (finding,) = (
        one for one in live_data.parse_file(text.encode(), item, WALL, "f") if isinstance(one, live_data.Finding)
    )
    assert len(finding.problem) < 300
    assert "y" * 100 not in finding.problem


def test_of_a_million_findings_the_first_hundred_are_kept_and_the_others_are_counted():
    interval = interval_of(
        shop(), (HEADER + "a,us,yesterday,1,1\n" * 20_000).encode(), (HEADER + "x\n" * 20_000).encode()
    )
    assert interval.finding_count == 40_000
    assert len(interval.findings) == live_files.MAX_FINDINGS == 100
    assert interval.findings[0].where == "shop/live/20210217/1100/1:2"
    assert interval.values == GOOD_VALUES


# --- gzip


def test_a_file_that_unpacks_to_a_gigabyte_is_a_finding_and_is_never_unpacked():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b"\n" * 2**20) for _ in range(1024)) + packer.flush()
    tracemalloc.start()
    problem = problem_of(shop(compression="gzip"), bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem == "the file unpacks to more than 64 MiB, the limit for one file; the file is skipped"
    assert peak < 2 * live_files.MAX_UNPACKED_BYTES


@pytest.mark.parametrize("parts", [2, 7, 3_000])
def test_a_gzip_file_of_several_members_is_read_whole(parts):
    rows = [f"b{number},us,2021-02-17 11:00:00,{number},1\n" for number in range(parts)]
    data = (
        gzip.compress(HEADER.encode()) + b"\0" * 5 + b"".join(gzip.compress(row.encode()) for row in rows) + b"\0" * 100
    )
    interval = interval_of(shop(compression="gzip"), data)
    assert (len(interval.values), interval.finding_count) == (parts + 1, 0)


def test_the_time_for_a_gzip_file_grows_with_its_members():
    item = shop(compression="gzip")
    short, long = (
        seconds(lambda n=n: list(live_data.parse_file(gzip.compress(b"") * n, item, WALL, "f")))
        for n in (10_000, 40_000)
    )
    assert long < 12 * short


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            b"plain text",
            "the file is not a valid gzip file (Error -3 while decompressing data: incorrect header check); the file is skipped",
        ),
        (gzip.compress(GOOD)[:-9], "the gzip file ends too early; the file is skipped"),
        (gzip.compress(GOOD)[:5], "the gzip file ends too early; the file is skipped"),
        (gzip.compress(GOOD) + b"trailing", "the file is not a valid gzip file"),
        (
            gzip.compress(GOOD)[:-8] + b"\1" * 8,
            "the file is not a valid gzip file (Error -3 while decompressing data: incorrect data check)",
        ),
        (gzip.compress(GOOD)[:10] + b"\xff" * 50, "the file is not a valid gzip file"),
    ],
    ids=["plain", "without its end", "header cut", "trailing bytes", "wrong check sum", "broken data"],
)
def test_a_broken_gzip_file_is_skipped_as_a_whole(data, problem):
    assert problem_of(shop(compression="gzip"), data).startswith(problem)


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 40))
def test_a_gzip_file_with_any_damage_is_read_as_gzip_reads_it(body, place, length):
    packed = bytearray(gzip.compress(body, mtime=0) + gzip.compress(body[:9], mtime=0))
    packed[place : place + length] = bytes(length)
    try:
        expected = gzip.decompress(bytes(packed))
    except (OSError, EOFError, zlib.error):
        expected = None
    source = live_data.require_source(shop(compression="gzip"))
    try:
        found = live_files._decompress(bytes(packed), source)
    except live_files.FileError:
        found = None
    assert found == expected


def test_a_gzip_file_where_plain_files_are_configured_is_named():
    assert "the file is a gzip file, but source.compression is none" in problem_of(shop(), gzip.compress(GOOD))


# --- size, lines and line length


def test_a_file_with_too_many_lines_is_skipped_before_it_is_read(monkeypatch):
    monkeypatch.setattr(live_files, "MAX_LINES", 1_000)
    for line in ("\n", "\r", "\r\n", "b,us,2021-02-17 11:00:00,1,1\n", "x\n", '"\n"\n'):
        assert (
            problem_of(shop(), HEADER.encode() + line.encode() * 1_001)
            == "the file has more than 1,000 lines, the limit for one file; the file is skipped"
        )
    assert interval_of(shop(), HEADER.encode() + b"\r\n" * 999).finding_count == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_line_of_sixty_megabytes_is_a_finding_that_names_the_limit(form):
    data = HEADER.encode() + b"x" * 60_000_000
    assert (
        problem_of(shop(form), data)
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


def test_rows_with_a_million_cells_are_named_in_bounded_memory():
    data = HEADER.encode() + (b"," * 1_000_000 + b"\n") * 20
    tracemalloc.start()
    interval = interval_of(shop(), data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert interval.finding_count == 20
    assert peak < 4 * len(data)


def test_nul_bytes_are_values_and_break_nothing():
    interval = interval_of(shop(), f"{HEADER}\0b,us,2021-02-17 11:00:00,1\0,1\n".encode())
    assert interval.values["\0b", "us"] == (None, 1.0)
    assert interval.findings[0].problem == "views: '1\0' is not a number; it counts as missing"


def test_an_interval_with_too_many_rows_skips_the_file_that_goes_beyond(monkeypatch):
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


def test_an_interval_with_too_many_series_skips_the_file_that_goes_beyond(monkeypatch):
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
def test_an_object_that_is_too_large_is_refused_before_it_is_read(where, tmp_path, request):
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


def test_a_sparse_file_of_ten_gigabytes_a_pipe_and_a_device_cost_only_themselves(tmp_path):
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


# --- anything else


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("too deep"), ValueError("x" * 9_000), ZeroDivisionError("odd")]
)
def test_any_exception_in_a_file_costs_that_file_and_its_rows_only(monkeypatch, error):
    real = live_files._parse_number

    def number(value):
        if value == "666":
            raise error
        return real(value)

    monkeypatch.setattr(live_files, "_parse_number", number)
    problem = problem_of(shop(), f"{HEADER}b,us,2021-02-17 11:00:00,1,1\nx\nc,us,2021-02-17 11:00:00,666,1\n".encode())
    assert problem.startswith(f"the file is skipped after an error in Anomalake: {type(error).__name__}")
    assert len(problem) < 300


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
@given(data=st.binary(max_size=200) | st.text(alphabet='a,"\n\r\0{}[]:1e.-\ufeff🦀', max_size=200).map(str.encode))
def test_any_bytes_are_a_file_that_costs_only_itself(form, compression, data):
    for packed in {data, gzip.compress(data) if compression == "gzip" else data}:
        interval = interval_of(shop(form, compression), packed)
        assert interval.values["a", "us"] == (1.0, 1.0)
        assert not any("error in Anomalake" in finding.problem for finding in interval.findings)


def test_timestamps_of_any_length_fill_no_cache():
    item = shop(timestamp="timestamp: {column: timestamp, format: UNIX}")
    live_data._parse_wall_time_cached.cache_clear()
    rows = "".join(f"a,us,{'0' * 10_000}{1613559600 + second},1,1\n" for second in range(50))
    found = list(live_data.parse_file(f"{HEADER}{rows}".encode(), item, WALL, "f"))
    assert found == [(("a", "us"), (1.0, 1.0))] * 50
    assert live_data._parse_wall_time_cached.cache_info().currsize == 0


def test_rows_by_the_column_and_row_by_row_agree_on_a_byte_order_mark():
    for data in (b"\xef\xbb\xbf" + GOOD, b"\xef\xbb\xbf" + GOOD + b"x\n"):
        assert next(live_data.parse_file(data, shop(), WALL, "f")) == (("a", "us"), (1.0, 1.0))


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
