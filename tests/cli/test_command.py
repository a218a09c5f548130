"""The command, as its user calls it: what it writes, what it says of mistakes, and its exit status."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from anomalake.cli.main import main
from anomalake.cli.rendered_files import SCHEMAS, render
from anomalake.domain import metric_set_yaml
from anomalake.lake.store import open_store
from examples import alert_body, shop_text


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    status = main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_on_a_slice_of_the_flights(here, capsys):
    status, out, _ = run("demo", "--days", "45", capsys=capsys)
    assert status == 0
    worst = [line for line in out.splitlines() if line.startswith("2013-")]
    assert [line.split()[0] for line in worst[:2]] == ["2013-02-08", "2013-02-09"]
    assert worst[0].split()[1] == "472"
    assert (here / "dashboard.html").stat().st_size < 5_000_000
    status, out, _ = run(
        "query",
        "--lake",
        "demo-lake",
        "SELECT sum(cancelled) AS n FROM anomalies_with_live WHERE date = '2013-02-09'",
        "--as",
        "json",
        capsys=capsys,
    )
    live = sum(float(line.split(",")[4]) for file in (here / "demo-lake/flights/live").glob("*/*/*") for line in file.read_text().splitlines()[1:]
               if "2013-02-08 19" <= line[:13] < "2013-02-09 19")  # fmt: skip
    assert json.loads(out) == {"n": live}


def test_the_shop_is_found_out_and_a_second_run_begins_anew(here, capsys):
    status, out, _ = run("demo", "--dataset", "ecommerce", "--days", "40", "--format", "csv", capsys=capsys)
    first = sorted(path.relative_to(here) for path in (here / "demo-lake").rglob("*.csv"))
    assert status == 0
    (answer,) = re.findall(r"Against the labels: (\d+) of (\d+) injected values found, (\d+) others flagged", out)
    found, known, others = map(int, answer)
    assert found >= 0.95 * known
    assert others <= 0.1 * known
    assert run("demo", "--dataset", "ecommerce", "--days", "40", "--format", "csv", capsys=capsys)[1] == out
    assert sorted(path.relative_to(here) for path in (here / "demo-lake").rglob("*.csv")) == first


def test_the_demo_touches_no_folder_that_is_not_its_own(here, capsys):
    (here / "lake").mkdir()
    (here / "lake" / "mine.txt").write_text("keep")
    status, _, err = run("demo", "--lake", "lake", capsys=capsys)
    assert (status, "lake/mine.txt: was not written by the demo" in err) == (1, True)
    assert (here / "lake" / "mine.txt").read_text() == "keep"


def hourly(rows: int = 24 * 20) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    spike = [900.0 if n == 24 * 15 + 6 else 100.0 + n % 24 for n in range(rows)]
    return pd.DataFrame(
        {
            "when": times.strftime("%d.%m.%Y %H:%M"),
            "Region Name": "north",
            "Umsatz": spike,
            "zip": "01067",
            "rate": 0.25,
        }
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_first_dashboard_of_ones_own_data_is_two_commands_away(here, capsys, kind):
    frame = hourly()
    if kind == "parquet":
        frame["when"] = pd.to_datetime(frame.when, format="%d.%m.%Y %H:%M")
        frame.to_parquet("sales.parquet")
    else:
        frame.to_csv("sales.csv", index=False, sep=";")
    status, out, _ = run("init", f"sales.{kind}", "--timezone", "Europe/Berlin", capsys=capsys)
    assert status == 0
    item = metric_set_yaml.load(here / "sales.yaml")
    assert (item.frequency, item.timezone, item.dimension_names) == ("PT1H", "Europe/Berlin", ("Region_Name", "zip"))
    assert [(m.name, m.aggregation) for m in item.measures] == [("Umsatz", "SUM"), ("rate", "AVG")]
    assert item.timestamp.format == ("dd.MM.yyyy HH:mm" if kind == "csv" else "yyyy-MM-dd HH:mm:ss")
    for doubt in (
        "'Region Name' is called 'Region_Name' in the metric set",
        "'zip' holds numbers and has the name of a code",
        "'rate' looks like a rate",
    ):
        assert doubt in out
    status, out, err = run("backtest", "--metric-set", "sales.yaml", "--data", f"sales.{kind}", capsys=capsys)
    assert (status, err) == (0, "")
    assert "alerts      1" in out
    assert (here / "dashboard.html").exists()
    status, out, _ = run("query", "SELECT localtimestamp, metricname FROM anomaly_log", capsys=capsys)
    assert out == "localtimestamp,metricname\n2024-01-16 06:00:00,Umsatz\n"


def test_init_says_what_it_was_unsure_of(here, capsys):
    pd.DataFrame({"day": ["01/02/2024", "02/02/2024", "03/02/2024"], "n": [1, 2, 3], "note": ["x", "y", "z"]}).to_csv(
        "d.csv", index=False
    )
    status, out, _ = run("init", "d.csv", capsys=capsys)
    assert status == 0
    assert "timestamp.format: the format 'dd/MM/yyyy' is used; these formats also fit every row: MM/dd/yyyy" in out
    assert "timezone: the data does not name a time zone; UTC is assumed" in out
    assert run("init", "d.csv", capsys=capsys)[0] == 1
    assert "overwrite it with --force" in run("init", "d.csv", capsys=capsys)[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be read as CSV"),
        ("a,b\n", "holds no rows"),
        ("a,b\nx,y\n", "no column holds timestamps"),
        ("t,b\n2024-01-01,y\n", "no column holds numbers"),
    ],
)
def test_data_that_is_no_metric_set_is_told_why(here, capsys, text, told):
    (here / "bad.csv").write_text(text)
    status, _, err = run("init", "bad.csv", capsys=capsys)
    assert status == 1
    assert told in err
    assert run("init", "missing.csv", capsys=capsys)[2] == "anomalake: missing.csv: there is no such file\n"


def test_a_back_test_says_how_complete_and_doubled_the_data_is_and_how_many_values_each_dimension_has(here, capsys):
    frame = hourly()
    pd.concat([frame, frame.iloc[10:13]]).to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    _, out, _ = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert "completeness of Umsatz: 100.00 %" in out
    assert "duplicates: 3 rows repeat a series and interval" in out
    assert "cardinality: Region_Name 1, zip 1" in out


def test_rows_that_cannot_be_read_are_counted_and_named_and_stop_nothing(here, capsys):
    hourly().to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    lines = (here / "sales.csv").read_text().splitlines()
    lines[5], lines[7] = (
        lines[5].replace("01.01.2024", "32.01.2024"),
        lines[7].replace(",01067", ",01067").replace("106.0", "many"),
    )
    (here / "sales.csv").write_text("\n".join(lines))
    status, out, err = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert status == 0
    assert "row 5: the timestamp '32.01.2024 04:00' does not have the format dd.MM.yyyy HH:mm" in err
    assert "Umsatz: 'many' is not a number; it counts as missing" in err
    assert "alerts      1" in out


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_hold_an_array_or_lines_in_what_a_byte_order_mark_says(here, capsys, encoding):
    Path("sets").mkdir()
    (here / "sets" / "shop.yaml").write_text(shop_text())
    Path("array.json").write_bytes(f"[{alert_body()}, {alert_body('revenue')}]".encode(encoding))
    Path("lines.jsonl").write_bytes(f"{alert_body('clicks')}\n{alert_body('revenue')}\n".encode(encoding))
    status, out, err = run("ingest", "array.json", "lines.jsonl", "--metric-set", "sets", capsys=capsys)
    assert (status, out) == (1, "3 alerts stored, 1 quarantined, 0 failed\n")
    assert "lines.jsonl:1: metricName: " in err


def test_alerts_are_ingested_from_files(here, capsys):
    Path("sets").mkdir()
    (here / "sets" / "shop.yaml").write_text(shop_text())
    Path("one.json").write_text(json.dumps(json.loads(alert_body()), indent=2))
    Path("more.jsonl").write_text(alert_body("revenue") + "\n" + alert_body("clicks") + "\n")
    status, out, err = run("ingest", "one.json", "more.jsonl", "--metric-set", "sets", capsys=capsys)
    assert status == 1
    assert "2 alerts stored, 1 quarantined" in out
    assert "more.jsonl:2: metricName: the metric set 'shop' has no measure 'clicks'" in err
    assert run("ingest", "nowhere.json", "--metric-set", "sets", capsys=capsys)[0] == 1
    assert run("query", "SELECT count(*) AS n FROM anomaly_log", "--metric-set", "sets", capsys=capsys)[1] == "n\n2\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("query", "SELECT bogus FROM anomaly_log"), 'column "bogus" not found'),
        (("query", "SELECT FROM WHERE"), "cannot parse the SQL at line 1"),
        (("query", "SELECT 1", "--lake", "nowhere"), "this folder does not exist, so there is no lake to read"),
        (("query", "SELECT 1", "--lake", "s3://bucket"), "query a lake in S3 through Athena"),
        (("query", "SELECT 1", "--metric-set", "nowhere.yaml"), "there is no such metric set"),
        (("backtest", "--metric-set", "sets"), "no live data of the metric set 'shop'"),
    ],
)
def test_a_mistake_gets_one_message_and_no_traceback(here, capsys, arguments, told):
    (here / "lake" / "anomalyResults").mkdir(parents=True)
    (here / "sets").mkdir()
    (here / "sets" / "shop.yaml").write_text(shop_text())
    if "--metric-set" not in arguments:
        arguments = (*arguments, "--metric-set", "sets")
    status, _, err = run(*arguments, capsys=capsys)
    assert status == 1
    assert told in err
    assert "Traceback" not in err
    assert "\x1b" not in err


def test_wrong_usage_exits_with_two_and_every_command_teaches():
    for arguments in (["nonsense"], ["demo", "--days", "0"], ["demo", "--dataset", "cars"], []):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    told = subprocess.run(
        [sys.executable, "-m", "anomalake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in ("init", "import-metric-set", "demo", "ingest", "backtest", "query", "preview", "render"):
        assert command in told
        shown = subprocess.run(
            [sys.executable, "-m", "anomalake", command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert "Example:" in shown


def test_the_rendered_files_are_what_the_metric_sets_give(capsys):
    top = Path(__file__).parents[2]
    for name, text in render(
        metric_set_yaml.load_all(top / "src/metric_sets"), (top / SCHEMAS).read_text("utf-8")
    ).items():
        assert (top / name).read_text("utf-8") == text, f"{name}: run `make render`"


def test_render_check_names_what_differs(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    (here / "src/metric_sets/shop.yaml").write_text(shop_text())
    assert run("render", "--check", capsys=capsys)[0] == 1
    status, out, _ = run("render", capsys=capsys)
    assert (
        status,
        {"glue/schemas.json", "glue/template.json", "glue/sets/shop.json", "quicksight/sets/shop/topic.json"}
        <= set(out.split()),
    ) == (
        0,
        True,
    )
    assert run("render", "--check", capsys=capsys)[:2] == (0, "")
    (here / "glue/template.json").write_text("edited by hand")
    assert "glue/template.json" in run("render", "--check", capsys=capsys)[2]


def test_render_takes_away_what_no_metric_set_gives_any_more(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    for name in ("shop", "store"):
        (here / f"src/metric_sets/{name}.yaml").write_text(shop_text(name=f"name: {name}"))
    run("render", capsys=capsys)
    (here / "src/metric_sets/store.yaml").unlink()
    status, _, err = run("render", "--check", capsys=capsys)
    assert (status, "glue/sets/store.json" in err, (here / "glue/sets/store.json").exists()) == (1, True, True)
    assert "glue/sets/store.json (removed)" in run("render", capsys=capsys)[1]
    assert [file.name for file in here.rglob("*store*")] == []
    assert run("render", "--check", capsys=capsys)[:2] == (0, "")


def test_render_of_one_file_leaves_the_templates_of_the_others(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    for name in ("shop", "store"):
        (here / f"src/metric_sets/{name}.yaml").write_text(shop_text(name=f"name: {name}"))
    run("render", capsys=capsys)
    assert run("render", "--metric-set", "src/metric_sets/shop.yaml", capsys=capsys)[0] == 0
    assert (here / "glue/sets/store.json").exists()


def test_a_broken_memory_of_schemas_is_told_in_a_sentence(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    (here / "src/metric_sets/shop.yaml").write_text(shop_text())
    (here / "glue").mkdir()
    (here / "glue/schemas.json").write_text("<<<<<<< HEAD")
    status, _, err = run("render", capsys=capsys)
    assert (
        status,
        err.startswith("anomalake: glue/schemas.json: is not JSON"),
        (here / "glue/template.json").exists(),
    ) == (1, True, False)


def test_render_refuses_a_changed_schema_under_an_old_version_and_leaves_the_old_files(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    file = here / "src/metric_sets/shop.yaml"
    file.write_text(shop_text())
    assert run("render", capsys=capsys)[0] == 0
    before = (here / "glue/template.json").read_text()
    changed = shop_text(dimensions="dimensions: [marketplace]")
    file.write_text(changed)
    status, _, err = run("render", capsys=capsys)
    assert (status, "raise `version` to 2" in err) == (1, True)
    assert (here / "glue/template.json").read_text() == before
    file.write_text(changed.replace("name: shop", "name: shop\nversion: 2"))
    assert run("render", capsys=capsys)[0] == 0
    assert set(json.loads((here / SCHEMAS).read_text())) == {"shop/v1", "shop/v2"}


def test_a_lake_keeps_one_format(here, capsys):
    Path("sets").mkdir()
    (here / "sets" / "shop.yaml").write_text(shop_text())
    Path("a.json").write_text(alert_body())
    Path("b.ndjson").write_text(
        "\ufeff"
        + alert_body("revenue", alertName="line\u2028separator")
        + "\n"
        + alert_body("revenue", event="x")
        + "\n"
    )
    Path("c.json").write_text("[" + alert_body(event="y") + "," + alert_body(event="z") + "]")
    assert run("ingest", "a.json", "--metric-set", "sets", "--format", "csv", capsys=capsys)[0] == 0
    assert "5 alerts" not in run("ingest", "b.ndjson", "c.json", "--metric-set", "sets", capsys=capsys)[1]
    assert run("query", "SELECT count(*) AS n FROM anomaly_log", "--metric-set", "sets", capsys=capsys)[1] == "n\n5\n"
    status, _, err = run("ingest", "a.json", "--metric-set", "sets", "--format", "parquet", capsys=capsys)
    assert (status, "holds csv tables" in err) == (1, True)


def test_alerts_are_filed_in_s3_in_the_format_that_the_lake_has(sets_folder, s3_lake, tmp_path, capsys):
    (tmp_path / "a.json").write_text(alert_body())
    (tmp_path / "b.json").write_text(alert_body(event="b"))
    for name, *form in (("a.json", "--format", "csv"), ("b.json",)):
        assert (
            run(
                "ingest",
                str(tmp_path / name),
                "--lake",
                s3_lake,
                "--metric-set",
                str(sets_folder),
                *form,
                capsys=capsys,
            )[0]
            == 0
        )
    assert {key.rpartition(".")[2] for key in open_store(s3_lake).list("anomalyResults")} == {"csv"}


def test_localtimestamp_without_quotes_is_warned_of(here, capsys):
    (here / "lake").mkdir()
    (here / "s.yaml").write_text(shop_text())
    _, out, err = run("query", "SELECT localtimestamp FROM anomaly_log", "--metric-set", "s.yaml", capsys=capsys)
    assert (out, "In Athena, localtimestamp without quotes is the current time" in err) == ("localtimestamp\n", True)
    assert run("query", 'SELECT "localtimestamp" FROM anomaly_log', "--metric-set", "s.yaml", capsys=capsys)[2] == ""
    assert run("query", "SELECT 7 / 2 AS n", "--metric-set", "s.yaml", capsys=capsys)[1] == "n\n3\n"


def test_what_cannot_be_written_is_told(here, capsys):
    hourly().to_csv("sales.csv", index=False)
    for arguments in (["init", "sales.csv", "--output", "nowhere/x.yaml"], ["demo", "--lake", "sales.csv"]):
        status, _, err = run(*arguments, capsys=capsys)
        assert (status, err.startswith("anomalake: "), "Traceback" in err) == (1, True, False)
