"""Compressed live files: damaged, nested and very large gzip files."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.lake import live_data, live_files
from live_file_cases import GOOD, HEADER, find_problem, interval_of, parse_file, seconds, shop


def test_a_file_that_unpacks_to_a_gigabyte_is_a_finding_and_is_never_unpacked():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b"\n" * 2**20) for _ in range(1024)) + packer.flush()
    tracemalloc.start()
    problem = find_problem(shop(compression="gzip"), bomb)
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
    short, long = (seconds(lambda n=n: parse_file(gzip.compress(b"") * n, item)) for n in (10_000, 40_000))
    assert long < 12 * short


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            b"plain text",
            "the file is not a valid gzip file (Error -3 while decompressing data: incorrect header check); "
            "the file is skipped",
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
    assert find_problem(shop(compression="gzip"), data).startswith(problem)


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
    assert "the file is a gzip file, but source.compression is none" in find_problem(shop(), gzip.compress(GOOD))
