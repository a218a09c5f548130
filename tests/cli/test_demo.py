"""`anomalake demo` in a folder: the flights, the shop, and a folder of the user."""

import json
import re

import pytest

from command import run


def test_the_demo_on_a_slice_of_the_flights(working_folder, capsys):
    status, out, _ = run("demo", "--days", "45", capsys=capsys)
    assert status == 0
    worst = [line for line in out.splitlines() if line.startswith("2013-")]
    assert [line.split()[0] for line in worst[:2]] == ["2013-02-08", "2013-02-09"]
    assert worst[0].split()[1] == "472"
    assert (working_folder / "dashboard.html").stat().st_size < 5_000_000
    status, out, _ = run(
        "query",
        "--lake",
        "demo-lake",
        "SELECT sum(cancelled) AS n FROM anomalies_with_live WHERE date = '2013-02-09'",
        "--as",
        "json",
        capsys=capsys,
    )
    files = (working_folder / "demo-lake/flights/live").glob("*/*")
    rows = [line for file in files for line in file.read_text().splitlines()[1:]]
    live = sum(float(row.split(",")[4]) for row in rows if "2013-02-08 19" <= row[:13] < "2013-02-09 19")
    assert json.loads(out) == {"n": live}


@pytest.mark.slow
def test_most_anomalies_of_the_shop_are_found_and_a_second_run_replaces_the_first(working_folder, capsys):
    status, out, _ = run("demo", "--dataset", "ecommerce", "--days", "40", "--format", "csv", capsys=capsys)
    first = sorted(path.relative_to(working_folder) for path in (working_folder / "demo-lake").rglob("*.csv"))
    assert status == 0
    (answer,) = re.findall(r"Against the labels: (\d+) of (\d+) injected values found, (\d+) others flagged", out)
    found, known, others = map(int, answer)
    assert found >= 0.95 * known
    assert others <= 0.1 * known
    assert run("demo", "--dataset", "ecommerce", "--days", "40", "--format", "csv", capsys=capsys)[1] == out
    assert sorted(path.relative_to(working_folder) for path in (working_folder / "demo-lake").rglob("*.csv")) == first


def test_the_demo_rejects_a_folder_with_files_of_the_user(working_folder, capsys):
    (working_folder / "lake").mkdir()
    (working_folder / "lake" / "mine.txt").write_text("keep")
    status, _, err = run("demo", "--lake", "lake", capsys=capsys)
    assert (status, "lake/mine.txt: was not written by the demo" in err) == (1, True)
    assert (working_folder / "lake" / "mine.txt").read_text() == "keep"
