"""Live data: the rows that are read from a file, and the findings for everything else."""

import gzip
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.domain import metric_set_yaml
from anomalake.lake import live_data
from anomalake.lake.object_store import ObjectStore
from examples import shop_text
from live_file_cases import interval_of, parse_file

WALL = datetime(2021, 2, 17, 11)
SHOP = metric_set_yaml.parse(shop_text(), "shop")
HEADER = "platform,marketplace,timestamp,views,revenue\n"


def parse_text(text: str, item=None, wall=WALL):
    return parse_file(text.encode(), item or metric_set_yaml.parse(shop_text(), "shop"), wall)


def test_rows_are_read_with_their_hostile_values():
    values = ['pc "web"', "a,b", "line\nbreak", "</script>", "🦀", " blank "]
    text = HEADER + "".join(f'"{v.replace(chr(34), chr(34) * 2)}",us,2021-02-17 11:30:00,1,2.5\n' for v in values)
    rows, findings = parse_text(text)
    assert not findings
    assert rows == [((value, "us"), (1.0, 2.5)) for value in values]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a,us,2021-02-17 12:00:00,1,1", "lies outside the interval of its folder, 2021-02-17 11:00"),
        ("a,us,yesterday,1,1", "'yesterday' does not have the format yyyy-MM-dd HH:mm:ss"),
        ("a,us,,1,1", "'' does not have the format"),
        ("a,us,2021-02-17 11:00:00,1", "the row has 4 cells, but source.columns has 5"),
        ("a,us,2021-02-17 11:00:00,many,1", "views: 'many' is not a number; it counts as missing"),
        ("a,us,2021-02-17 11:00:00,NaN,1", "views: 'NaN' is not a number"),
        ("a,us,2021-02-17 11:00:00,1e999,1", "views: '1e999' is outside the range of a number"),
        ("a,us,2021-02-17 11:00:00,1_000,1", "views: '1_000' is not a number"),
    ],
)
def test_an_unreadable_row_is_reported_with_its_line_and_other_rows_are_read(line, told):
    rows, findings = parse_text(f"{HEADER}a,us,2021-02-17 11:00:00,1,1\n{line}\nb,us,2021-02-17 11:59:59,-2,\n")
    (finding,) = findings
    assert finding.where == "f.csv:3"
    assert told in finding.problem
    assert rows[0] == (("a", "us"), (1.0, 1.0))
    assert rows[-1] == (("b", "us"), (-2.0, None))


def test_a_file_with_another_header_is_skipped():
    rows, findings = parse_text("marketplace,platform,timestamp,views,revenue\nus,a,2021-02-17 11:00:00,1,1\n")
    assert not rows
    assert "is not the metric set's source.columns" in findings[0].problem


def test_a_binary_file_is_named():
    item = metric_set_yaml.parse(shop_text().replace("format: csv", "format: csv\n  compression: gzip"), "shop")
    packed = gzip.compress((HEADER + "a,us,2021-02-17 11:00:00,1,1\n").encode())
    assert parse_file(packed, item) == ([(("a", "us"), (1.0, 1.0))], [])
    rows, (finding,) = parse_file(b"plain", item)
    assert not rows
    assert "the file is not a valid gzip file" in finding.problem


def test_a_row_that_is_not_in_the_charset_affects_no_other_row():
    rows, findings = parse_file(
        HEADER.encode() + b"\xe9,us,2021-02-17 11:00:00,1,1\nb,us,2021-02-17 11:00:00,2,2\n", SHOP
    )
    assert [finding.where for finding in findings] == ["f.csv:2"]
    assert rows == [(("b", "us"), (2.0, 2.0))]


def test_a_sum_that_overflows_is_missing():
    interval = interval_of(
        SHOP, f"{HEADER}b,us,2021-02-17 11:00:00,1e308,1\n".encode() + b"b,us,2021-02-17 11:00:00,1e308,1\n"
    )
    assert interval.values["b", "us"] == (None, 1.0)


def test_json_lines_distinguish_null_from_empty():
    item = metric_set_yaml.parse(shop_text().replace("format: csv", "format: jsonl"), "shop")
    rows, findings = parse_text(
        '{"platform": "", "timestamp": "2021-02-17 11:00:00", "views": 3, "revenue": "4.5"}\n\n'
        '{"platform": {}}\nnot json\n'
        '{"platform": ["a"], "timestamp": "2021-02-17 11:00:00"}\n',
        item,
    )
    assert rows == [(("", None), (3.0, 4.5))]
    assert [finding.where for finding in findings] == ["f.csv:3", "f.csv:4", "f.csv:5"]


@pytest.mark.parametrize("text", ["1613559600", "1613559600000", "1613559600.0"])
def test_unix_time_is_read_in_seconds_and_milliseconds(text):
    item = metric_set_yaml.parse(shop_text(timestamp="timestamp: {column: timestamp, format: UNIX}"), "shop")
    rows, findings = parse_text(f"{HEADER}a,us,{text},1,1\n", item)
    assert (len(rows), findings) == (1, [])


CELLS = ["pc", "", "a|b", '"q,1"', '"x\ny"', "é", " pc ", '"un']
STAMPS = ["2021-02-17 11:00:00", " 2021-02-17 11:59:59", "2021-02-17 11:30:00", "2021-02-17 12:00:00"]
NUMBERS = ["1", "", " 2 ", "-0", "1.5e3", "1e400", "nan", "1_0", "x"]
ROW = st.tuples(
    *(
        st.sampled_from(cells)
        for cells in (CELLS, CELLS, STAMPS[:3] * 5 + STAMPS, NUMBERS[:2] * 5 + NUMBERS, NUMBERS[:2] * 5 + NUMBERS)
    )
)


@given(
    st.lists(ROW | st.lists(st.sampled_from(CELLS), max_size=6), max_size=6),
    st.sampled_from([b"", b"\xff", b"\r\n", b"\n", b"\0"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_reading_by_column_gives_the_same_rows_as_reading_by_row(rows, end, line_break):
    text = HEADER + "".join(",".join(row) + "\n" for row in rows)
    data = text.replace("\n", line_break).encode() + end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_data, "MIN_BYTES_BY_COLUMN", 0)
        by_column = parse_file(data, SHOP)
        patch.setattr(live_data, "MIN_BYTES_BY_COLUMN", 10_000)
        assert repr(parse_file(data, SHOP)) == repr(by_column)


def test_several_rows_of_a_series_are_aggregated_as_the_measure_defines():
    times = ["2021-02-17 11:00:00,1,1", "2021-02-17 11:10:00,2,4", "2021-02-17 11:20:00,,"]
    interval = interval_of(SHOP, (HEADER + "".join(f"b,us,{time}\n" for time in times)).encode())
    assert interval.values["b", "us"] == (3.0, 2.5)
    assert interval.weights["b", "us"] == (None, 2.0)


def test_only_folders_that_are_intervals_hold_live_data(shop):
    store = ObjectStore.memory()
    for key in (
        "20210217/1100/a.csv",
        "20210217/1100/b.csv",
        "20210217/1130/a.csv",
        "2021021/1100/a.csv",
        "20210217/1200/deeper/a.csv",
        "readme.txt",
    ):
        store.put(f"shop/live/{key}", b"")
    assert {wall: len(keys) for wall, keys in live_data.list_files_by_interval(store, shop).items()} == {
        WALL: 2,
        datetime(2021, 2, 17, 12): 1,
    }
