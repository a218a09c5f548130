"""`anomalake init` and `anomalake backtest`: from a file of the user to a dashboard, and what both report."""

import pandas as pd
import pytest

from anomalake.domain import metric_set_yaml
from command import hourly, run
from slow_cases import slow_after


@pytest.mark.parametrize("kind", slow_after(1, ["csv", "parquet"]))
def test_two_commands_turn_a_file_into_a_dashboard(working_folder, capsys, kind):
    frame = hourly()
    if kind == "parquet":
        frame["when"] = pd.to_datetime(frame.when, format="%d.%m.%Y %H:%M")
        frame.to_parquet("sales.parquet")
    else:
        frame.to_csv("sales.csv", index=False, sep=";")
    status, out, _ = run("init", f"sales.{kind}", "--timezone", "Europe/Berlin", capsys=capsys)
    assert status == 0
    item = metric_set_yaml.load(working_folder / "sales.yaml")
    assert (item.frequency, item.timezone, item.dimension_names) == ("PT1H", "Europe/Berlin", ("Region_Name", "zip"))
    assert [(m.name, m.aggregation) for m in item.measures] == [("Umsatz", "SUM"), ("rate", "AVG")]
    assert item.timestamp.format == ("dd.MM.yyyy HH:mm" if kind == "csv" else "yyyy-MM-dd HH:mm:ss")
    for note in (
        "'Region Name' is called 'Region_Name' in the metric set",
        "'zip' holds numbers and has the name of a code",
        "'rate' looks like a rate",
    ):
        assert note in out
    status, out, err = run("backtest", "--metric-set", "sales.yaml", "--data", f"sales.{kind}", capsys=capsys)
    assert (status, err) == (0, "")
    assert "alerts      1" in out
    assert (working_folder / "dashboard.html").exists()
    status, out, _ = run("query", "SELECT localtimestamp, metricname FROM anomaly_log", capsys=capsys)
    assert out == "localtimestamp,metricname\n2024-01-16 06:00:00,Umsatz\n"


def test_init_prints_what_to_check(working_folder, capsys):
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
    ("text", "message"),
    [
        ("", "is empty; a header and at least one row are required"),
        ("a,b\n", "holds no rows"),
        ("a,b\nx,y\n", "no column holds timestamps"),
        ("t,b\n2024-01-01,y\n", "no column holds numbers"),
    ],
)
def test_data_that_gives_no_metric_set_is_an_error_with_the_reason(working_folder, capsys, text, message):
    (working_folder / "bad.csv").write_text(text)
    status, _, err = run("init", "bad.csv", capsys=capsys)
    assert status == 1
    assert message in err
    message = "anomalake: missing.csv: the file does not exist; check the path\n"
    assert run("init", "missing.csv", capsys=capsys)[2] == message


def test_a_backtest_reports_completeness_duplicates_and_cardinality(working_folder, capsys):
    frame = hourly()
    pd.concat([frame, frame.iloc[10:13]]).to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    _, out, _ = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert "completeness of Umsatz: 100.00 %" in out
    assert "duplicates: 3 rows repeat a series and interval" in out
    assert "cardinality: Region_Name 1, zip 1" in out


def test_unreadable_rows_are_counted_and_reported_and_the_backtest_continues(working_folder, capsys):
    hourly().to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    lines = (working_folder / "sales.csv").read_text().splitlines()
    lines[5], lines[7] = (
        lines[5].replace("01.01.2024", "32.01.2024"),
        lines[7].replace(",01067", ",01067").replace("106.0", "many"),
    )
    (working_folder / "sales.csv").write_text("\n".join(lines))
    status, out, err = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert status == 0
    assert "row 5: the timestamp '32.01.2024 04:00' does not have the format dd.MM.yyyy HH:mm" in err
    assert "Umsatz: 'many' is not a number; it counts as missing" in err
    assert "alerts      1" in out


def test_init_reports_how_many_measures_it_found_and_which_it_left_out(working_folder, capsys):
    frame = hourly(48)[["when"]].assign(**{f"sales{number}": 5 for number in range(12)})
    frame.to_csv("wide.csv", index=False)
    status, out, _ = run("init", "wide.csv", capsys=capsys)
    assert status == 0
    assert "measures: found 12 measures; a metric set can have 10. Left out: sales10, sales11" in out


def test_init_reports_an_unsupported_frequency_with_the_supported_ones(working_folder, capsys):
    pd.DataFrame({"month": ["2024-01-01", "2024-02-01", "2024-03-03"], "sales": [1, 2, 3]}).to_csv("m.csv", index=False)
    _, out, _ = run("init", "m.csv", capsys=capsys)
    assert "frequency: rows are 31 days apart; supported frequencies: P1D, PT1H, PT10M, PT5M. P1D is used" in out


def test_a_backtest_reports_a_folder_in_the_future_once(working_folder, capsys):
    frame = hourly()
    frame.loc[len(frame)] = frame.iloc[-1].replace(frame.when.iloc[-1], "01.01.2099 00:00")
    frame.to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    status, _, err = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert (status, err.count("20990101"), "Athena" in err) == (0, 1, False)
