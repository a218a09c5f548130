"""`anomalake init` and `anomalake backtest`: from a file of the user to a dashboard, and what both report."""

import pandas as pd
import pytest

import user_tables
from anomalake.cli import propose_for_file
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
        "the column 'zip': it holds numbers and has the name of a code",
        "measures: rate AVG: its name has 'rate'",
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
    assert "dates such as 01/02/2017 are read as day-first; month-first also fits every row" in out
    assert "rows        3" in out
    assert "step        1 day (P1D): 3 of 3 intervals have data" in out
    assert run("init", "d.csv", capsys=capsys)[0] == 1
    assert "overwrite it with --force" in run("init", "d.csv", capsys=capsys)[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a header and at least one row are required"),
        ("a,b\n", "holds no rows"),
        ("a,b\nx,y\n", "no column holds timestamps"),
        ("t,b\n2024-01-01,y\n2024-01-02,y\n", "no column holds numbers"),
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
    assert "cardinality: Region_Name 2, zip 2" in out


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


def test_init_reports_the_step_and_those_that_fit_as_well(working_folder, capsys):
    pd.DataFrame({"month": pd.date_range("2024-01-01", periods=30, freq="MS"), "sales": range(40, 70)}).to_csv("m.csv")
    _, out, _ = run("init", "m.csv", capsys=capsys)
    assert "frequency: P1M; 30 of 30 intervals have data" in out
    hourly().to_csv("h.csv", index=False)
    _, out, _ = run("init", "h.csv", "--frequency", "P1D", capsys=capsys)
    assert "frequency: P1D; 20 of 20 intervals have data; the rows of an interval are aggregated" in out


def test_a_backtest_reports_a_folder_in_the_future_once(working_folder, capsys):
    frame = hourly()
    frame.loc[len(frame)] = frame.iloc[-1].replace(frame.when.iloc[-1], "01.01.2099 00:00")
    frame.to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    status, _, err = run("backtest", "--metric-set", "sales.yaml", "--data", "sales.csv", capsys=capsys)
    assert (status, err.count("20990101"), "Athena" in err) == (0, 1, False)


@pytest.mark.parametrize("command", slow_after(1, ["watch sales.csv", "init sales.csv --run"]))
def test_one_command_proposes_runs_and_writes_the_page(working_folder, capsys, command):
    hourly().to_csv("sales.csv", index=False)
    status, out, err = run(*command.split(), capsys=capsys)
    assert (status, err) == (0, "")
    assert "frequency: PT1H; 480 of 480 intervals have data" in out
    assert "alerts      1" in out
    assert (working_folder / "sales.yaml").exists()
    assert (working_folder / "dashboard.html").exists()


def test_watch_uses_an_edited_metric_set(working_folder, capsys):
    hourly().to_csv("sales.csv", index=False)
    run("init", "sales.csv", capsys=capsys)
    edited = (working_folder / "sales.yaml").read_text().replace("sensitivity: 50", "sensitivity: 100")
    (working_folder / "sales.yaml").write_text(edited)
    status, out, _ = run("watch", "sales.csv", capsys=capsys)
    assert status == 0
    assert "sales.yaml is used as it is; --force proposes it again" in out
    assert "alerts      0" in out


@pytest.fixture
def answers(monkeypatch) -> list[str]:
    """A terminal at which a person gives these answers."""
    given: list[str] = []
    monkeypatch.setattr(propose_for_file, "can_ask", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: given.pop(0))
    return given


def test_init_asks_for_the_order_of_day_and_month_the_time_zone_and_the_step(working_folder, capsys, answers):
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=7 * 5_000, freq="17s"), "n": 1})
    frame = frame[frame.when.dt.day <= 12]
    frame["n"] = range(len(frame))
    frame["when"] = frame.when.dt.strftime("%d/%m/%Y %H:%M:%S")
    frame.to_csv("calls.csv", index=False)
    answers += ["", "Mars/Olympus", "Europe/Berlin", "9", "2"]
    status, out, _ = run("init", "calls.csv", capsys=capsys)
    assert (status, answers) == (0, [])
    assert "is not a time zone" in out
    item = metric_set_yaml.load(working_folder / "calls.yaml")
    assert (item.timezone, item.frequency) == ("Europe/Berlin", "PT5M")
    assert "--data calls.csv --date-order day-first" in out


def test_nothing_is_asked_with_yes(working_folder, capsys, answers):
    hourly().to_csv("sales.csv", index=False)
    assert run("init", "sales.csv", "--yes", capsys=capsys)[0] == 0
    assert metric_set_yaml.load(working_folder / "sales.yaml").timezone == "UTC"


def test_a_long_table_is_read_again_by_the_backtest(working_folder, capsys):
    user_tables.sensors().to_csv("machines.csv", index=False)
    assert run("init", "machines.csv", capsys=capsys)[0] == 0
    status, out, err = run("backtest", "--metric-set", "machines.yaml", "--data", "machines.csv", capsys=capsys)
    assert (status, err) == (0, "")
    assert "672 rows, 2 series" in out
    assert "completeness of requests: 100.00 %" in out
