"""JSON, Excel, Parquet, databases, folders, S3 and standard input give the same table of text as CSV."""

import io
import json
import sqlite3
import sys
from datetime import date, datetime
from types import SimpleNamespace

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import s3_server
from anomalake.cli.tables import read
from anomalake.domain.errors import UserError
from anomalake.lake.store import open_store
from workbooks import write_workbook

CSV = "t,n\n2024-01-01,1.50\n2024-01-02,2\n"
ROWS = [["2024-01-01", "1.50"], ["2024-01-02", "2"]]


def rows_of(location, table_name=None):
    rows = read.read_texts(str(location), table_name).rows
    return rows.astype(object).where(rows.notna(), None).values.tolist()


@pytest.mark.parametrize(
    "text",
    [
        '{"t": "2024-01-01", "n": 1.50}\n\n{"t": "2024-01-02", "n": 2}\n',
        '[{"t": "2024-01-01", "n": 1.50}, {"t": "2024-01-02", "n": 2}]',
        '{"status": "ok", "data": [{"t": "2024-01-01", "n": 1.50}, {"t": "2024-01-02", "n": 2}]}',
        '{"t": ["2024-01-01", "2024-01-02"], "n": [1.50, 2]}\n',
        '{"t": {"0": "2024-01-01", "1": "2024-01-02"}, "n": {"0": 1.50, "1": 2}}',
    ],
    ids=["lines", "array", "field", "columns", "pandas"],
)
def test_json_in_any_layout_keeps_the_digits_of_numbers(tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    assert rows_of(tmp_path / "data.json") == ROWS


def test_json_fields_in_fields_become_columns_and_missing_ones_are_null(tmp_path):
    records = [{"t": "x", "place": {"city": "A"}}, {"t": "y", "tags": [1], "ok": True}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, records)))
    table = read.read_texts(str(tmp_path / "data.jsonl"))
    assert list(table.rows.columns) == ["t", "place.city", "tags", "ok"]
    assert rows_of(tmp_path / "data.jsonl") == [["x", "A", None, None], ["y", None, '["1"]', "true"]]


def test_json_lines_that_are_no_objects_are_left_out_and_counted(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"t": 1}\nnothing\n{"t": 2}\n')
    assert read.read_texts(str(tmp_path / "data.jsonl")).notes == (
        "rows: 1 lines are not JSON objects and are left out (line 2)",
    )


def test_excel_cells_become_text_as_a_person_reads_them(tmp_path):
    rows: list[list[object]] = [
        ["Sales"], ["day", "hour", "zip", "n"],
        [datetime(2024, 1, 1), datetime(2024, 1, 1, 13, 5), "01067", 3.0], [datetime(2024, 1, 2), None, "1", 2.5],
    ]  # fmt: skip
    file = write_workbook(tmp_path / "data.xlsx", {"Data": rows, "Empty": []})
    assert rows_of(file) == [["2024-01-01", "2024-01-01 13:05:00", "01067", "3"], ["2024-01-02", None, "1", "2.5"]]


def test_a_workbook_of_several_sheets_needs_a_choice(tmp_path):
    file = write_workbook(tmp_path / "data.xlsx", {"A": [["t", "n"], ["x", 1]], "B": [["t", "n"], ["y", 2]]})
    with pytest.raises(UserError, match="several sheets with data: A, B; choose one with --table"):
        rows_of(file)
    assert rows_of(file, "B") == [["y", "2"]]
    with pytest.raises(UserError, match="has no sheet 'C'; its sheets are A, B"):
        rows_of(file, "C")


def test_an_encrypted_workbook_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "data.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(UserError, match="is encrypted; open it in Excel, save it without a password"):
        rows_of(tmp_path / "data.xlsx")


def test_parquet_of_any_types_becomes_text(tmp_path):
    table = pa.table(
        {
            "naive": pa.array([datetime(2024, 1, 1, 5), None]),
            "zoned": pa.array([datetime(2024, 1, 1, 5), None], pa.timestamp("us", "Europe/Berlin")),
            "day": [date(2024, 1, 1), None],
            "n": [0.1, float("nan")],
            "b": [True, None],
            "d": pa.array(["x", None]).dictionary_encode(),
            "s": [{"city": "A"}, None],
        }
    )
    pq.write_table(table, tmp_path / "data")  # the content decides, not the name
    first = ["2024-01-01 05:00:00", "2024-01-01T05:00:00Z", "2024-01-01", "0.1", "true", "x", "A"]
    assert rows_of(tmp_path / "data") == [first, [None] * 7]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_table_of_a_database_is_read_or_has_to_be_chosen(tmp_path, kind):
    file = tmp_path / "data.db"
    connection = duckdb.connect(str(file)) if kind == "duckdb" else sqlite3.connect(file)
    connection.execute("CREATE TABLE a (t TEXT, n REAL)")
    connection.execute("INSERT INTO a VALUES ('2024-01-01', 1.5), ('2024-01-02', NULL)")
    connection.commit()
    connection.close()
    assert rows_of(file) == [["2024-01-01", "1.5"], ["2024-01-02", None]]
    assert rows_of(file, "a") == rows_of(file)
    with pytest.raises(UserError, match="has no table 'b'; its tables are a"):
        rows_of(file, "b")
    connection = duckdb.connect(str(file)) if kind == "duckdb" else sqlite3.connect(file)
    connection.execute('CREATE VIEW "the view" AS SELECT t FROM a')
    connection.commit()
    connection.close()
    with pytest.raises(UserError, match="has several tables: a, the view; choose one with --table"):
        rows_of(file)
    assert rows_of(file, "the view") == [["2024-01-01"], ["2024-01-02"]]


def test_the_files_of_a_folder_are_one_table_with_its_partitions_as_columns(tmp_path):
    for year, region in ((2023, "north"), (2024, "a%20b")):
        folder = tmp_path / f"year={year}" / f"region={region}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(f"n\n{year}\n")
    pd.DataFrame({"n": [5], "m": ["x"]}).to_parquet(tmp_path / "year=2023" / "more.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    table = read.read_texts(str(tmp_path))
    assert list(table.rows.columns) == ["n", "m", "year", "region"]
    assert rows_of(tmp_path) == [
        ["5", "x", "2023", None], ["2023", None, "2023", "north"], ["2024", None, "2024", "a b"],
    ]  # fmt: skip
    assert "year=2024/region=a%20b/part.csv: has no column m; its cells are empty" in table.notes


def test_a_folder_without_files_is_an_error(tmp_path):
    with pytest.raises(UserError, match="the folder holds no files"):
        rows_of(tmp_path)


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(CSV.encode())))
    assert rows_of("-") == ROWS


def test_an_object_and_a_folder_in_s3_are_read(monkeypatch):
    with s3_server.running() as endpoint:
        for name, value in s3_server.build_environment(endpoint).items():
            monkeypatch.setenv(name, value)
        lake = s3_server.create_lake(endpoint)
        store = open_store(lake)
        store.put("day=1/data.csv", CSV.encode())
        assert rows_of(f"{lake}/day=1/data.csv") == ROWS
        assert rows_of(f"{lake}/") == [[*row, "1"] for row in ROWS]
        with pytest.raises(UserError, match="does not exist; check bucket and key"):
            rows_of(f"{lake}/missing.csv")


@pytest.mark.parametrize(
    ("location", "message"),
    [("missing.csv", "does not exist; check the path"), ("ftp://x/y", "is not a place that can be read")],
)
def test_a_location_without_data_is_an_error(location, message):
    with pytest.raises(UserError, match=message):
        rows_of(location)
