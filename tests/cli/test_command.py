"""The command: exit statuses, error messages, help, the ingestion of files, and the format of a lake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anomalake.cli.main import COMMANDS, main
from anomalake.lake.store import open_store
from command import hourly, run
from examples import alert_body, shop_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_has_an_array_or_lines_in_the_encoding_of_its_byte_order_mark(working_folder, capsys, encoding):
    Path("sets").mkdir()
    (working_folder / "sets" / "shop.yaml").write_text(shop_text())
    Path("array.json").write_bytes(f"[{alert_body()}, {alert_body('revenue')}]".encode(encoding))
    Path("lines.jsonl").write_bytes(f"{alert_body('clicks')}\n{alert_body('revenue')}\n".encode(encoding))
    status, out, err = run("ingest", "array.json", "lines.jsonl", "--metric-set", "sets", capsys=capsys)
    assert (status, out) == (1, "3 alerts stored, 1 quarantined, 0 failed\n")
    assert "lines.jsonl:1: metricName: " in err


def test_alerts_are_ingested_from_files(working_folder, capsys):
    Path("sets").mkdir()
    (working_folder / "sets" / "shop.yaml").write_text(shop_text())
    Path("one.json").write_text(json.dumps(json.loads(alert_body()), indent=2))
    Path("more.jsonl").write_text(alert_body("revenue") + "\n" + alert_body("clicks") + "\n")
    status, out, err = run("ingest", "one.json", "more.jsonl", "--metric-set", "sets", capsys=capsys)
    assert status == 1
    assert "2 alerts stored, 1 quarantined" in out
    assert "more.jsonl:2: metricName: the metric set 'shop' has no measure 'clicks'" in err
    assert run("ingest", "nowhere.json", "--metric-set", "sets", capsys=capsys)[0] == 1
    assert run("query", "SELECT count(*) AS n FROM anomaly_log", "--metric-set", "sets", capsys=capsys)[1] == "n\n2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("query", "SELECT bogus FROM anomaly_log"), 'column "bogus" not found'),
        (("query", "SELECT FROM WHERE"), "cannot parse the SQL at line 1"),
        (("query", "SELECT 1", "--lake", "nowhere"), "this folder does not exist, so there is no lake to read"),
        (("query", "SELECT 1", "--lake", "s3://bucket"), "query a lake in S3 through Athena"),
        (("query", "SELECT 1", "--metric-set", "nowhere.yaml"), "there is no such metric set"),
        (("backtest", "--metric-set", "sets"), "no live data of the metric set 'shop'"),
    ],
)
def test_an_error_is_one_message_without_a_traceback(working_folder, capsys, arguments, message):
    (working_folder / "lake" / "anomalyResults").mkdir(parents=True)
    (working_folder / "sets").mkdir()
    (working_folder / "sets" / "shop.yaml").write_text(shop_text())
    if "--metric-set" not in arguments:
        arguments = (*arguments, "--metric-set", "sets")
    status, _, err = run(*arguments, capsys=capsys)
    assert status == 1
    assert message in err
    assert "Traceback" not in err
    assert "\x1b" not in err


def test_wrong_usage_exits_with_2_and_every_command_shows_an_example(capsys):
    for arguments in (["nonsense"], ["demo", "--days", "0"], ["demo", "--dataset", "cars"], []):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    help_text = subprocess.run(
        [sys.executable, "-m", "anomalake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in COMMANDS:
        assert command in help_text
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert "Example:" in capsys.readouterr().out


def test_a_lake_has_only_one_format(working_folder, capsys):
    Path("sets").mkdir()
    (working_folder / "sets" / "shop.yaml").write_text(shop_text())
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


def test_alerts_are_stored_in_s3_in_the_format_of_the_lake(sets_folder, s3_lake, tmp_path, capsys):
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


def test_localtimestamp_without_quotes_gives_a_warning(working_folder, capsys):
    (working_folder / "lake").mkdir()
    (working_folder / "s.yaml").write_text(shop_text())
    _, out, err = run("query", "SELECT localtimestamp FROM anomaly_log", "--metric-set", "s.yaml", capsys=capsys)
    assert (out, "In Athena, localtimestamp without quotes is the current time" in err) == ("localtimestamp\n", True)
    assert run("query", 'SELECT "localtimestamp" FROM anomaly_log', "--metric-set", "s.yaml", capsys=capsys)[2] == ""
    assert run("query", "SELECT 7 / 2 AS n", "--metric-set", "s.yaml", capsys=capsys)[1] == "n\n3\n"


def test_a_file_that_cannot_be_written_is_an_error(working_folder, capsys):
    hourly().to_csv("sales.csv", index=False)
    for arguments in (["init", "sales.csv", "--output", "nowhere/x.yaml"], ["demo", "--lake", "sales.csv"]):
        status, _, err = run(*arguments, capsys=capsys)
        assert (status, err.startswith("anomalake: "), "Traceback" in err) == (1, True, False)


def test_help_loads_no_large_library():
    code = (
        "import sys; from anomalake.cli.main import make_parser; make_parser().format_help(); "
        "print(*sorted({'pandas', 'numpy', 'duckdb', 'pyarrow', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
