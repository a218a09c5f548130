"""Broken live files: each file affects only itself, and each problem becomes a finding."""

import gzip
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.lake import live_data, live_files, live_rows
from live_file_cases import GOOD, GOOD_VALUES, HEADER, find_problem, interval_of, parse_file, seconds, shop

BEFORE_LINEAR = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


@pytest.mark.parametrize("text", ["{}x", "-{}.", "{0}.{0}x", ".{}e", "{}e{}x", "1e{}x", "{}.{}.", " {}"])
def test_the_time_to_decide_whether_a_cell_is_a_number_grows_with_its_length(text):
    short, long = (
        seconds(lambda n=n: [live_files.is_number(text.format("1" * n, "2" * n)) for _ in range(20)])
        for n in (20_000, 80_000)
    )
    assert long < 16 * max(short, 0.002)


def test_a_million_digits_are_read_in_linear_time():
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
    _, (finding,) = parse_file(text.encode(), item)
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


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("too deep"), ValueError("x" * 9_000), ZeroDivisionError("odd")]
)
def test_an_exception_in_a_file_affects_only_that_file(monkeypatch, error):
    real = live_rows.parse_number

    def number(value):
        if value == "666":
            raise error
        return real(value)

    monkeypatch.setattr(live_rows, "parse_number", number)
    problem = find_problem(
        shop(), f"{HEADER}b,us,2021-02-17 11:00:00,1,1\nx\nc,us,2021-02-17 11:00:00,666,1\n".encode()
    )
    assert problem.startswith(f"the file is skipped after an error in Anomalake: {type(error).__name__}")
    assert len(problem) < 300


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
@given(data=st.binary(max_size=200) | st.text(alphabet='a,"\n\r\0{}[]:1e.-\ufeff🦀', max_size=200).map(str.encode))
def test_a_file_of_any_bytes_affects_only_itself(form, compression, data):
    for packed in {data, gzip.compress(data) if compression == "gzip" else data}:
        interval = interval_of(shop(form, compression), packed)
        assert interval.values["a", "us"] == (1.0, 1.0)
        assert not any("error in Anomalake" in finding.problem for finding in interval.findings)


def test_reading_by_column_and_by_row_agree_on_a_byte_order_mark(monkeypatch):
    for data in (b"\xef\xbb\xbf" + GOOD, b"\xef\xbb\xbf" + GOOD + b"x\n"):
        for limit in (0, 10_000):
            monkeypatch.setattr(live_data, "MIN_BYTES_BY_COLUMN", limit)
            assert parse_file(data, shop())[0] == [(("a", "us"), (1.0, 1.0))]
