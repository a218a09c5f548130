"""`anomalake score`: reads a file of series, writes a score for each row, and reports problems in the data."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalake.cli import score_file
from anomalake.cli.main import main
from anomalake.detect import model
from anomalake.detect.cycle import cycle_of


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = main(["score", *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


def data(days: int = 20, frequency: str = "h", slots: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    times = pd.date_range("2026-01-05", periods=days * slots, freq=frequency)
    frames = []
    for name, level in (("north|01", 1000), ("south", 20)):
        values = rng.normal(level, level / 50, len(times)).round(3)
        frames.append(pd.DataFrame({"series": name, "timestamp": times, "value": values}))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_row_has_a_score_and_the_spike_has_the_highest(tmp_path: Path, capsys, kind):
    frame = data()
    frame.loc[17 * 24 + 3, "value"] = 5000
    source, target = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    frame.to_csv(source, index=False) if kind == "csv" else frame.to_parquet(source)
    status, out, _ = run(capsys, source, target, "--frequency", "PT1H")
    assert (status, "2 series: 0 never change, 0 are too short" in out, "100.00 %" in out) == (0, True, True)
    scored = pd.read_csv(target, parse_dates=["timestamp"]) if kind == "csv" else pd.read_parquet(target)
    assert list(scored.columns) == ["series", "timestamp", "score", "expected", "lower", "upper"]
    assert len(scored) == len(frame)
    worst = scored.loc[int(scored.score.argmax())]
    assert (worst.series, worst.timestamp) == ("north|01", frame.timestamp[17 * 24 + 3])
    assert worst.score > 50
    assert worst.upper < 5000


@pytest.mark.parametrize(
    ("frequency", "step", "slots"), [("P1D", "D", 1), ("PT10M", "10min", 144), ("PT5M", "5min", 288)]
)
def test_every_frequency_is_scored(tmp_path: Path, capsys, frequency, step, slots):
    data(60 if slots == 1 else 10, step, slots).to_parquet(tmp_path / "in.parquet")
    assert run(capsys, tmp_path / "in.parquet", tmp_path / "out.parquet", "--frequency", frequency)[0] == 0
    scored = pd.read_parquet(tmp_path / "out.parquet")
    assert scored.score.notna().mean() > 0.25
    assert (scored.score >= 50).mean() < 0.01


def test_a_score_does_not_depend_on_later_rows_and_equals_that_of_the_live_detector():
    frame = data()
    complete, part = (score_file.score_rows(rows, "PT1H") for rows in (frame, frame[frame.timestamp < "2026-01-20"]))
    pd.testing.assert_frame_equal(complete[complete.timestamp < "2026-01-20"], part)
    state, first = model.State(cycle_of("PT1H"), 2), frame.timestamp[0].toordinal()
    matrix = frame.pivot(index="timestamp", columns="series", values="value").to_numpy()
    live = [model.score_interval(state, first + t // 24, t % 24, row, 50).score for t, row in enumerate(matrix)]
    np.testing.assert_array_equal(complete.pivot(index="timestamp", columns="series", values="score").to_numpy(), live)


def test_problems_in_the_data_are_counted_and_reported(tmp_path: Path, capsys):
    frame = data(10).astype({"value": object})
    frame.loc[5, "value"], frame.loc[6, "value"], frame.loc[7, "value"] = None, "many", "inf"
    frame["timestamp"] = frame.timestamp.astype(str).where(frame.index != 8, "yesterday")
    short = pd.DataFrame({"series": "short", "timestamp": ["2026-01-05", "2026-01-05 01:00:00"], "value": 7})
    frame = pd.concat([frame, short, frame.iloc[[100, 100]]])
    frame.to_csv(tmp_path / "in.csv", index=False)
    status, out, _ = run(capsys, tmp_path / "in.csv", tmp_path / "out.csv", "--frequency", "PT1H")
    assert status == 0
    assert "99.17 %" in out  # 4 of 482
    assert "2 rows repeat" in out
    assert "3 series: 1 never change, 1 are too short" in out
    assert re.search(r"rows +484: 3 unreadable, 1 without a value, 2 out of order", out)
    scored = pd.read_csv(tmp_path / "out.csv")
    assert len(scored) == 478


def test_values_of_one_interval_are_added_up(tmp_path: Path, capsys):
    frame = data()
    frame.to_parquet(tmp_path / "whole.parquet")
    halves = frame.assign(value=frame.value / 2)
    pd.concat([halves, halves.assign(timestamp=halves.timestamp + pd.Timedelta("20min"))]).to_parquet(
        tmp_path / "halves.parquet"
    )
    for name in ("whole", "halves"):
        assert run(capsys, tmp_path / f"{name}.parquet", tmp_path / f"{name}.csv", "--frequency", "PT1H")[0] == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "whole.csv"), pd.read_csv(tmp_path / "halves.csv"))


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("series,when,value\na,2026-01-01,1\n", "out.csv", "has no column 'timestamp'"),
        ("series,timestamp,value\na,01.02.2026,1\n", "out.csv", "no row can be read"),
        ("series,timestamp,value\na,2026-01-01,1\n", "out.txt", "written as .csv or .parquet"),
        ("series,timestamp,value\na,2026-01-01,1\n", "in.csv", "is the data itself"),
    ],
)
def test_an_error_is_reported_and_nothing_is_written(tmp_path: Path, capsys, text, target, message):
    (tmp_path / "in.csv").write_text(text)
    status, _, err = run(capsys, tmp_path / "in.csv", tmp_path / target, "--frequency", "PT1H")
    assert (status, message in err) == (1, True)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]
    assert (tmp_path / "in.csv").read_text() == text
