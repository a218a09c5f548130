"""Output and messages of the command: no value or text of a sender runs in a spreadsheet or a terminal."""

import csv
import io
import json
import unicodedata
from datetime import datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.cli.main import main
from anomalake.cli.terminal import escape_lines, json_line, printable, table
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake import encoding
from query_lake import HEADER, asked

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@a",
    " =1",
    "\t=1",
    "\uff1d1",
    "a,b",
    'a"b',
    "line\nbreak",
    "\x1b[31mred",
    "\x07",
    "\x7f",
    "\x9b31m",
    "\u202etxt",
    "\u2066x",
    "",
    "%41",
]


def one_row(lake, values):
    """Return a query that selects these values as columns."""
    return "SELECT " + ", ".join(
        f"{' || '.join(f'chr({ord(c)})' for c in value) or chr(39) * 2} AS c{n}" for n, value in enumerate(values)
    )


def dangerous(text):
    return [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} and char != "\n"]


@pytest.mark.parametrize("arguments", [["--as", "csv"], ["--raw"], ["--as", "json"], ["--as", "table"]])
def test_no_control_character_reaches_the_output(lake, capsys, arguments):
    status, out, _ = asked(capsys, one_row(lake, HOSTILE), *arguments)
    assert status == 0
    assert not dangerous(out)
    assert out.count("\n") == {"table": 3, "json": 1}.get(arguments[-1], 2)


def test_csv_output_is_encoded_as_the_csv_of_the_lake_and_raw_output_is_not(lake, capsys):
    _, out, _ = asked(capsys, one_row(lake, HOSTILE), "--as", "csv")
    cells = out.split("\n")[1].split(",")
    assert [unquote(cell) if cell != '""' else "" for cell in cells] == HOSTILE
    assert not any(cell[:1] in set("=+-@\t \uff1d") for cell in cells)
    assert cells[:10] == [encoding._encode_text(value) for value in HOSTILE[:10]]
    _, out, _ = asked(capsys, one_row(lake, HOSTILE), "--raw")
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert rows[1] == [printable(value) for value in HOSTILE]


def test_json_output_preserves_every_value(lake, capsys):
    _, out, _ = asked(capsys, one_row(lake, HOSTILE), "--as", "json")
    assert list(json.loads(out).values()) == HOSTILE


def test_numbers_times_nulls_and_column_names_are_encoded_as_cells(lake, capsys):
    statement = (
        'SELECT -1 AS "=a", -1.5 AS b, CAST(-2 AS decimal(4, 1)) AS c, NULL AS d, '
        "TIMESTAMP '2021-02-17 11:00:00' AS e, DATE '2021-02-17' AS f"
    )
    assert (
        asked(capsys, statement, "--as", "csv")[1] == "%3Da,b,c,d,e,f\n-1,-1.5,-2.0,,2021-02-17 11:00:00,2021-02-17\n"
    )


def test_raw_output_is_csv(lake, capsys):
    assert asked(capsys, "SELECT 1", "--raw", "--as", "json")[0] == 2
    assert asked(capsys, "SELECT 'a,b' AS x, '=1' AS y", "--raw")[1] == 'x,y\n"a,b",=1\n'


@given(st.text())
def test_printable_text_shows_every_character_and_no_control_character(text):
    shown = printable(text)
    assert shown.isprintable()
    assert not text.isprintable() or shown == text
    assert json_line(text).isprintable()
    assert json.loads(json_line(text)) == text
    assert not dangerous(escape_lines(text).replace("\t", ""))
    cell = encoding.encode_safe_cell(text)
    assert cell.isprintable()
    assert ("" if cell == '""' else unquote(cell)) == text


def test_a_table_of_hostile_names_and_values_keeps_its_lines():
    text = table(["a\x1b[2J", "b"], [["x\r\ny" * 50, "\u202e"], [None, datetime(2021, 2, 17)]])
    assert text.count("\n") == 3
    assert not dangerous(text)


def test_texts_of_senders_and_files_are_escaped_in_the_terminal(lake, capsys):
    (lake / "shop/live/20210217/1100/da\x1b]0;x\x07ta.csv").write_text(f"{HEADER}a,us,\x1b[2J,1,1\n")
    assert main(
        ["backtest", "--metric-set", str(lake / "metric_sets/shop.yaml"), "--output", str(lake.parent / "page.html")]
    ) in (0, 1)
    (lake.parent / "alert\x1b.json").write_text('{"alertEventId": "\\u001b[31m\\n\\u202e"}')
    assert main(["ingest", str(lake.parent / "alert\x1b.json")]) == 1
    assert main(["ingest", str(lake.parent / "no\udcff\x1b[31m.json")]) == 1
    out, err = capsys.readouterr()
    assert "\\x1b[2J" in err
    assert not dangerous(out + err)


@pytest.mark.parametrize("text", ["\x1b[0m", "a\nb\tc", "\u202e"])
def test_error_messages_are_escaped(monkeypatch, capsys, text, lake):
    def fail(*_):
        raise UserError(text)

    monkeypatch.setattr(metric_set_yaml, "load_all", fail)
    assert main(["query", "SELECT 1"]) == 1
    assert not dangerous(capsys.readouterr().err.replace("\t", ""))
