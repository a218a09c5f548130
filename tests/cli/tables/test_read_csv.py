"""CSV of every common kind is read as a table of text: nothing is converted, and nothing is left out without a note."""

import csv
import gzip
import io
import zipfile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anomalake.cli.tables import read
from anomalake.domain.errors import UserError

CELLS = st.text(st.characters(codec="cp1252", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=8)


def read_rows(tmp_path, content, name="data.csv"):
    """The header, the rows (None is null), and the notes."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read.read_texts(str(tmp_path / name))
    return (
        list(table.rows.columns),
        table.rows.astype(object).where(table.rows.notna(), None).values.tolist(),
        table.notes,
    )


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.property
@given(
    cells=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_is_read_back_from_any_delimiter_encoding_and_line_end(
    tmp_path_factory, cells, delimiter, encoding, line_end
):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=line_end)
    rows = [[f"r{number}", *row] for number, row in enumerate(cells)]
    writer.writerows([["name", "first", "second", "third"], *rows])
    data = text.getvalue().encode(encoding)
    assume(data.isascii() or is_utf8(data) == encoding.startswith("utf-8"))  # otherwise nobody can tell
    header, found, _ = read_rows(tmp_path_factory.mktemp("csv"), data)
    assert (header, found) == (["name", "first", "second", "third"], rows)


def test_codes_keep_their_zeros_and_quoted_cells_their_line_breaks(tmp_path):
    header, rows, notes = read_rows(tmp_path, 'zip,note,n\n01067,"a\nb",1.50\n00001,"say ""x""",\n')
    assert header == ["zip", "note", "n"]
    assert rows == [["01067", "a\nb", "1.50"], ["00001", 'say "x"', None]]
    assert notes == ()


def test_a_decimal_comma_does_not_hide_the_delimiter(tmp_path):
    assert read_rows(tmp_path, "t;a;b\n2024-01-01;1,5;2,5\n2024-01-02;1,5;2,5\n")[1][0] == ["2024-01-01", "1,5", "2,5"]


@pytest.mark.parametrize("delimiter", ["\x01", "^", "~"])
def test_rare_delimiters_are_found(tmp_path, delimiter):
    text = "t,a,b\n2024-01-01,x y,1\n2024-01-02,z y,2\n".replace(",", delimiter)
    assert read_rows(tmp_path, text)[0] == ["t", "a", "b"]


def test_blank_and_repeated_names_get_a_name_and_a_note(tmp_path):
    header, _, notes = read_rows(tmp_path, "t,n,,n\n2024-01-01,1,x,2\n")
    assert header == ["t", "n", "column_3", "n_2"]
    assert "columns: column 3 has no name; it is called 'column_3'" in notes
    assert "columns: 'n' is the name of several columns; column 4 is called 'n_2'" in notes


def test_an_index_that_was_saved_is_left_out_with_a_note(tmp_path):
    header, _, notes = read_rows(tmp_path, ",t,n\n0,2024-01-01,1\n1,2024-01-02,2\n")
    assert header == ["t", "n"]
    assert notes == ("columns: column 1 has no name and only numbers the rows; it is left out",)


def test_an_index_of_names_stays(tmp_path):
    assert read_rows(tmp_path, ",t,n\na,2024-01-01,1\nb,2024-01-02,2\n")[0] == ["column_1", "t", "n"]


@pytest.mark.parametrize("header", ["t,n", "t,n,"])
def test_trailing_delimiters_make_no_column(tmp_path, header):
    assert read_rows(tmp_path, f"{header}\n2024-01-01,1,\n2024-01-02,2,\n")[:2] == (
        ["t", "n"], [["2024-01-01", "1"], ["2024-01-02", "2"]],
    )  # fmt: skip


def test_a_title_above_the_header_is_left_out_with_a_note(tmp_path):
    header, rows, notes = read_rows(tmp_path, "Report of sales\n\nt,a,n\n2024-01-01,x,1\n2024-01-02,y,2\n")
    assert (header, len(rows)) == (["t", "a", "n"], 2)
    assert notes == ("header: 1 lines above the header are left out",)


def test_a_file_without_a_header_gets_names(tmp_path):
    header, rows, notes = read_rows(tmp_path, "2024-01-01,x,1\n2024-01-02,y,2\n2024-01-03,y,2\n")
    assert (header, len(rows)) == (["column_1", "column_2", "column_3"], 3)
    assert "the first line looks like data" in notes[0]


def test_a_header_of_years_or_dates_stays_a_header(tmp_path):
    assert read_rows(tmp_path, "country,2023,2024\nDE,1,2\nFR,3,4\n")[0] == ["country", "2023", "2024"]
    assert read_rows(tmp_path, "country,1/22/20,1/23/20\nDE,1,2\nFR,3,4\n")[0][1] == "1/22/20"


def test_mail_dates_on_lines_of_their_own_are_one_column(tmp_path):
    lines = "Sat, 22 Apr 2017 15:11:58 -0500\nMon, 17 Apr 2017 22:57:07 -0400\n"
    assert read_rows(tmp_path, lines)[1] == [[line] for line in lines.splitlines()]


def test_spaces_before_quotes_are_no_part_of_a_cell(tmp_path):
    assert read_rows(tmp_path, 't, a, n\n2024-01-01, "x, y", 1\n2024-01-02, "z", 2\n')[1][0] == [
        "2024-01-01",
        "x, y",
        "1",
    ]


def test_rows_of_another_width_are_filled_up_or_left_out_and_counted(tmp_path):
    good = "2024-01-01,a,1\n" * 5
    _, rows, notes = read_rows(tmp_path, f"t,a,n\n2024-01-01\n{good}2024-01-02,b,2,3\n2024-01-03,c,4,\n")
    assert (len(rows), rows[0], rows[-1]) == (7, ["2024-01-01", None, None], ["2024-01-03", "c", "4"])
    assert notes == (
        "rows: 1 rows have fewer cells than the header; their last cells are empty (row 1)",
        "rows: 1 rows have more than 3 cells and are left out (row 7 has 4 cells)",
    )


def test_latin_text_is_read_with_a_note(tmp_path):
    _, rows, notes = read_rows(tmp_path, "t,stadt\n2024-01-01,Köln\n".encode("latin-1"))
    assert rows == [["2024-01-01", "Köln"]]
    assert "the text is not UTF-8; it is read as Windows-1252" in notes[0]


def test_compressed_files_are_unpacked(tmp_path):
    text = b"t,n\n2024-01-01,1\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__MACOSX/._data.csv", b"\0")
        archive.writestr("folder/data.csv", text)
    for data in (gzip.compress(text), packed.getvalue(), gzip.compress(packed.getvalue())):
        assert read_rows(tmp_path, data)[1] == [["2024-01-01", "1"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"t,n\n", "holds no rows"),
        (bytes(range(256)) * 40, "is not text"),
        (b"\x93\x05\x81\x9f\xff\xfe\x02" * 50, "is not text, nor a form of file"),
        (b"%PDF-1.7\n\xe2\xe3", "is a PDF file, which cannot be read; export the data as CSV"),
        (b"<!DOCTYPE html><table>", "is HTML or XML"),
        (b"\x1f\x8bxx", "cannot be unpacked"),
        (b'a,b\n1,2\n3,"x\n5,6\n', "row 2 has a quotation mark that no other one closes"),
        (b"a,b\n1,2\n" * 3 + b"x\n1,2,3\n1,2,3,4\n1,2,3,4,5\n" * 9, "is no table: the header has"),
    ],
)
def test_a_file_that_is_no_table_is_an_error_with_the_reason(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path, content)


def test_an_archive_of_several_files_is_an_error_that_names_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "t,n\n1,2\n")
        archive.writestr("b.csv", "t,n\n1,2\n")
    with pytest.raises(UserError, match=r"holds 2 files \(a.csv, b.csv\); unpack the archive and name one of them"):
        read.read_texts(str(tmp_path / "two.zip"))


def test_a_file_over_the_limit_is_an_error_that_says_what_to_do(tmp_path):
    with (tmp_path / "big.csv").open("wb") as opened:
        opened.truncate(10 << 30)  # a sparse file
    with pytest.raises(UserError, match=r"more than 2 GB of data, .* aggregate it first, for example with DuckDB"):
        read.read_texts(str(tmp_path / "big.csv"))
