"""Regular expressions, and similar code, need linear time on the data of users and senders."""

import re
import time
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.cli.proposal import columns, propose, times
from anomalake.cli.tables import csv_layout, numbers, read, table
from anomalake.cli.tables.timestamps import recognise
from anomalake.domain import time_patterns, timestamps
from anomalake.domain.errors import UserError
from anomalake.lake import encoding, layout, live_data
from anomalake.lake.live_files import NUMBER
from anomalake.sources import cloudwatch

# Texts for which an inefficient expression tries each start with each end.
ATTACKS = {
    "digits": lambda n: "1" * n + "x",
    "fraction": lambda n: "1." + "1" * n + "x",
    "exponent": lambda n: "1e" + "1" * n + "x",
    "formula": lambda n: "=" * n,
    "blanks": lambda n: " " * n + "x",
    "marks": lambda n: "-+@" * n,
    "words": lambda n: "a" * n,
    "quotes": lambda n: "'" * n + "x",
    "open quote": lambda n: "'" + "a" * n,
    "keys": lambda n: "{{" * n,
    "words in keys": lambda n: "{{yyyy" * n,
    "points": lambda n: "1.0-" * n,
    "thresholds": lambda n: "lower threshold [" * n,
    "bands": lambda n: "ANOMALY_DETECTION_BAND(" * n,
    "band blanks": lambda n: "ANOMALY_DETECTION_BAND(" + " " * n,
    "timestamp": lambda n: "2022-03-04T05:25:00." + "0" * n + "x",
    "zone": lambda n: "2022-03-04T05:25:00[" + "A/" * n,
    "path": lambda n: "/date=2022-03-04" * n,
    "archive": lambda n: "alerts/" + "a/" * n,
    "percent": lambda n: "%41" * n,
}
EXPRESSIONS = {
    "live number": re.compile(NUMBER).fullmatch,
    "formula": encoding._FORMULA.match,
    "cell": encoding.encode_safe_cell,
    "alert timestamp": timestamps._TIMESTAMP.fullmatch,
    "band": cloudwatch._BAND.search,
    "point": cloudwatch._POINT.findall,
    "lower bound": lambda text: cloudwatch._bounds("lower", text, 1),
    "date pattern": lambda text: sum(1 for _ in time_patterns._TOKEN.finditer(text)),
    "folder keys": time_patterns._FOLDER_KEYS.findall,
    "archive key": layout._ARCHIVE_KEY.fullmatch,
    "interval key": layout._INTERVAL_KEY.fullmatch,
    "date in a key": layout._DATE_FOLDER.search,
    "words of a name": columns.split_name,
    "wall time": lambda text: live_data.parse_wall_time(text, "yyyy-MM-dd HH:mm", "UTC"),
    "UNIX time": lambda text: live_data.parse_wall_time(text, time_patterns.UNIX, "UTC"),
    "column name": lambda text: table.column_names([text]),
    "numbers": lambda text: numbers.recognise_numbers(pd.Series([text, "1,5"], dtype="str")),
    "timestamps": lambda text: recognise(pd.Series([text, "2026-07-01"], dtype="str"), "time"),
}


def seconds(work, text):
    """Return the shortest of three times."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work(text)
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_time_grows_linearly_with_the_text(name):
    for attack in ATTACKS.values():
        short, long = (seconds(EXPRESSIONS[name], attack(n)) for n in (5_000, 20_000))
        assert long < 9 * max(short, 0.002)


def test_sql_recognizes_the_same_numbers_as_python_in_linear_time():
    connection = duckdb_catalog.duckdb.connect()
    for attack in ATTACKS.values():
        text = attack(20_000)
        ((found,),) = connection.execute(f"SELECT regexp_full_match(?, '{NUMBER}')", [text]).fetchall()
        assert found == (re.fullmatch(NUMBER, text) is not None)


SAMPLES = [',"', '",', "',\n", ';"a', " '\"", ',"a\n', "a\n", '"\n', "|;,\t"]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_delimiter_of_any_file_is_found_in_linear_time(sample):
    short, long = (seconds(csv_layout.detect_delimiter, sample * n) for n in (3_000, 12_000))
    assert long < 9 * max(short, 0.005)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("row", ['"a,;|b"{0}2021-01-01 00:00:00{0}1.5', "a{0}2021-01-01{0}1"])
def test_the_delimiter_is_found_beside_quotes_and_other_marks(delimiter, row):
    text = f"name{delimiter}time{delimiter}value\n" + f"{row.format(delimiter)}\n" * 1_000
    assert csv_layout.detect_delimiter(text) == delimiter


def test_a_file_of_one_column_is_read_as_one(tmp_path):
    (tmp_path / "data.csv").write_text("time\n2021-01-01 00:00:00\n")
    assert list(read.read(str(tmp_path / "data.csv")).rows.columns) == ["time"]


def test_numbers_of_thousands_of_digits_are_not_numbers_and_raise_no_error():
    found = numbers.parse_numbers(pd.Series(["1", "1" * 5_000, None, "x", "-2.5e3"], dtype=object))
    assert found.tolist()[0::4] == [1.0, -2_500.0]
    assert np.isnan(found.tolist()[1:4]).all()


def test_a_metric_set_is_proposed_for_a_file_with_a_number_of_thousands_of_digits():
    hours = [f"{datetime.fromtimestamp(1_600_000_000 + 3_600 * hour, UTC):%Y-%m-%d %H:%M:%S}" for hour in range(300)]
    rows = pd.DataFrame({"time": hours, "sales": [*["1"] * 150, *["2"] * 149, "1" * 5_000]}, dtype="str")
    proposed = propose.propose(table.Table(rows), "sales", times.find_times(rows))
    assert "name: sales" in proposed.proposal.text


def test_a_path_with_a_brace_in_its_date_is_rejected():
    for path in ("shop/{{yyyy{MM}}}/x", "{{" * 20_000):
        with pytest.raises(UserError, match="contains no date"):
            time_patterns.parse_folder_pattern(path)
