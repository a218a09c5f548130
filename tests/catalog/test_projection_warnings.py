"""Commands warn about live data that Athena does not show, because it is outside of the range of its partitions."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from anomalake.catalog import projection
from anomalake.cli.main import main
from anomalake.lake.folder_store import FolderStore
from folder_patterns import SHOP


def build_csv(first: datetime, hours: int = 48) -> str:
    rows = [f"pc,us,{first + timedelta(hours=hour)},{100 + hour % 7},1.5" for hour in range(hours)]
    return "\n".join(["platform,marketplace,timestamp,views,revenue", *rows]) + "\n"


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets_folder: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANOMALAKE_LAKE", raising=False)
    monkeypatch.delenv("ANOMALAKE_METRIC_SETS", raising=False)
    return tmp_path


def run(*arguments: str, capsys) -> tuple[int, str]:
    status = main(list(arguments))
    return status, capsys.readouterr().err


BACKTEST = ("backtest", "--metric-set", "sets/shop.yaml", "--data", "data.csv")
REBUILD = ("detect", "--rebuild", "--metric-set", "sets/shop.yaml")
TOLD = (
    "anomalake: shop: there is live data from shop/live/20190306/0500 on, but Athena shows it only from 2020-01-01 on"
)


def test_a_backtest_and_a_rebuild_name_the_parameter_and_the_first_folder_that_athena_does_not_show(
    working_folder: Path, capsys
):
    (working_folder / "data.csv").write_text(build_csv(datetime(2019, 3, 6, 5)))
    for command in (BACKTEST, REBUILD):
        status, err = run(*command, capsys=capsys)
        assert status == 0
        assert f"{TOLD} (the default of LiveDataStart); deploy with LiveDataStart=2019-03-01\n" in err
    (working_folder / "samconfig.toml").write_text(
        '[prod.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2019-03-06"]\n'
    )
    assert (
        f"{TOLD} (LiveDataStart of the profile default in samconfig.toml); deploy with"
        in run(*REBUILD, capsys=capsys)[1]
    )
    (working_folder / "samconfig.toml").write_text(
        '[default.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2019-03-06"]\n'
    )
    assert "Athena" not in run(*REBUILD, capsys=capsys)[1]


def test_data_that_athena_shows_gives_no_warning(working_folder: Path, capsys):
    (working_folder / "data.csv").write_text(build_csv(datetime(2020, 1, 1)))
    status, err = run(*BACKTEST, capsys=capsys)
    assert (status, "Athena" in err) == (0, False)


def test_data_before_2000_has_its_own_warning_because_no_parameter_shows_it():
    lies = projection.find_out_of_range(
        [datetime(1970, 1, 1), datetime(2019, 3, 6)], SHOP, projection.DEFAULT_START, datetime(2026, 1, 1)
    )
    old, early = projection.range_warnings(SHOP, lies, projection.DEFAULT_START, "x")
    assert "begins with shop/live/19700101/0000; the tables that Athena reads begin in 2000 (UTC)" in old.found
    assert early.remedy == "deploy with LiveDataStart=2019-03-01"


def test_the_warning_about_future_data_names_the_last_day_that_athena_shows():
    lies = projection.find_out_of_range(
        [datetime(2026, 1, 1), datetime(2036, 1, 1)], SHOP, projection.DEFAULT_START, datetime(2026, 1, 1)
    )
    (told,) = projection.range_warnings(SHOP, lies, projection.DEFAULT_START, "x")
    assert told.found == "shop: shop/live/20360101/0000 is in the future; Athena shows live data up to tomorrow"


def run_render(working_folder: Path, capsys, *more: str) -> tuple[int, str]:
    return run("render", "--metric-set", "sets", "--output", str(working_folder), *more, capsys=capsys)


@pytest.mark.parametrize("variable", [None, "elsewhere"])
def test_render_warns_if_the_local_lake_has_data_before_the_start(
    working_folder: Path, capsys, monkeypatch, variable: str | None
):
    if variable:
        monkeypatch.setenv("ANOMALAKE_LAKE", variable)
    assert run_render(working_folder, capsys) == (0, "")
    FolderStore(working_folder / (variable or "lake")).put("shop/live/20190306/0500/a.csv", b"x")
    for more in ((), ("--check",)):
        status, err = run_render(working_folder, capsys, *more)
        assert (status, err.startswith(TOLD)) == (0, True)
    (working_folder / "samconfig.toml").write_text(
        '[default.deploy.parameters]\nparameter_overrides = "LiveDataStart=2019-03-01"\n'
    )
    assert run_render(working_folder, capsys) == (0, "")


def test_render_does_not_check_a_lake_in_s3(working_folder: Path, capsys, monkeypatch):
    monkeypatch.setenv("ANOMALAKE_LAKE", "s3://bucket-that-nobody-asks")
    assert run_render(working_folder, capsys) == (0, "")
