"""Feedback: its effect on later events, its files, and the tables that show it."""

import contextlib
import io
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from anomalake.cli.main import main
from anomalake.detect import feedback
from anomalake.detect.detector import Detector
from anomalake.detect.feedback import Feedback
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake.live_data import IntervalData
from examples import shop_text

SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
PC, APP = ("pc", "us"), ("app", "us")
START = datetime(2021, 1, 4)
EARLY, LATE = START + timedelta(days=15), START + timedelta(days=16)


def alerts(*feedback: Feedback, odd: float = 125.0) -> list[tuple[datetime, float, set[str]]]:
    """Return the events of views as (time, score, platforms).

    After 15 days, both series are far from 100 at two times.
    """
    detector, found = Detector(SHOP, feedback=feedback), []
    for hour in range(16 * 24 + 1):
        wall = START + timedelta(hours=hour)
        value = odd if wall in (EARLY, LATE) else 100.0 + wall.hour % 3 - wall.day % 2
        for alert in detector.score(IntervalData(wall, {PC: (value, None), APP: (value, None)}, 2, ())).alerts:
            platforms = {
                d.dimension_value
                for s in alert.impacted_metric.relevant_time_series
                for d in s.dimensions
                if d.dimension_name == "platform"
            }
            found.append((wall, alert.anomaly_score, platforms))
    return found


def feedback_on_views(wanted: bool, **more) -> Feedback:
    return Feedback("views", EARLY, wanted, **more)


def test_unwanted_events_lower_the_severity_of_later_events_only():
    (first, score, _), (second, again, _) = alerts()
    less = alerts(feedback_on_views(False))
    assert less[0] == (first, score, {"pc", "app"})
    assert not less[1:] or (less[1][0] == second and less[1][1] < again)


def test_wanted_events_raise_the_severity_of_later_events():
    (_, score, _), (_, again, _) = alerts()
    before, after = alerts(feedback_on_views(True))
    assert before[1] == score
    assert after[1] > again


def test_feedback_applies_to_its_series_measure_and_direction():
    assert alerts(feedback_on_views(False, direction="below")) == alerts()
    assert alerts(Feedback("revenue", EARLY, wanted=False)) == alerts()
    often = [feedback_on_views(False, series=({"platform": "pc"},))] * 6
    assert [platforms for _, _, platforms in alerts(*often)] == [{"pc", "app"}, {"app"}]
    assert [
        platforms
        for _, _, platforms in alerts(
            *[feedback_on_views(False, series=({"platform": "pc", "marketplace": "de"},))] * 6
        )
    ] == [{"pc", "app"}] * 2


def test_repeated_feedback_weighs_between_an_eighth_and_two():
    low = feedback.distance_weights([feedback_on_views(False)] * 50, SHOP, [PC], "above")
    high = feedback.distance_weights([feedback_on_views(True)] * 50, SHOP, [PC], "above")
    assert (low.tolist(), high.tolist()) == ([[0.125, 1.0]], [[2.0, 1.0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid feedback"),
        ("[]", "is not valid feedback"),
        ('{"metricName": "views"}', "timestamp"),
        (
            '{"metricName": "clicks", "timestamp": "2021-01-01T00:00:00", "wanted": true}',
            "no measure 'clicks'; there are views, revenue, missing",
        ),
        ('{"metricName": "views", "timestamp": "2021-01-01T00:00:00Z", "wanted": true}', "without a zone"),
        (
            '{"metricName": "views", "timestamp": "2021-01-01T00:00:00", "wanted": true, "direction": "up"}',
            "must be above, below or null",
        ),
        (
            '{"metricName": "views", "timestamp": "2021-01-01T00:00:00", "wanted": true, "series": [{"os": "x"}]}',
            "no dimension 'os'; the dimensions are: platform, marketplace",
        ),
    ],
)
def test_an_invalid_file_is_reported_with_its_problem(text, message):
    with pytest.raises(UserError, match=message):
        feedback.parse(text.encode(), SHOP, "feedback/shop/v1/x.json")


@pytest.fixture(scope="module")
def lake_of_a_backtest(tmp_path_factory):
    """Create a lake with an event of both series of views, and an event of missing data."""
    tmp_path = tmp_path_factory.mktemp("backtest")
    (tmp_path / "shop.yaml").write_text(shop_text())
    lines = ["platform,marketplace,timestamp,views,revenue"]
    for hour in range(16 * 24):
        wall = START + timedelta(hours=hour)
        value = 1000 if wall == EARLY else 100 + wall.hour % 3 - wall.day % 2
        if wall != EARLY + timedelta(hours=5):
            lines += [f"{platform},us,{wall},{value},1" for platform in ("pc", "app")]
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n")
    page = str(tmp_path / "page.html")
    arguments = [
        "--metric-set",
        str(tmp_path / "shop.yaml"),
        "--data",
        str(tmp_path / "shop.csv"),
        "--lake",
        str(tmp_path / "lake"),
    ]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["backtest", *arguments, "--output", page]) == 0
    assert "views: scored, 2 of 2 series" in out.getvalue()
    return tmp_path / "lake"


@pytest.fixture
def lake(tmp_path, lake_of_a_backtest):
    """Return a copy of that lake for one test."""
    return Path(shutil.copytree(lake_of_a_backtest, tmp_path / "lake"))


def run_query(lake, capsys, sql: str) -> list[dict]:
    assert main(["query", sql, "--lake", str(lake), "--as", "json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_log_shows_the_newest_feedback_on_an_event(lake, capsys):
    events = {
        row["metricname"]: row["eventid"]
        for row in run_query(lake, capsys, "SELECT metricname, eventid, feedback FROM anomaly_log")
    }
    assert set(events) == {"views", "missing data"}
    for name, words in (
        ("views", ["--wanted"]),
        ("views", ["--not-wanted", "--note", "a sale"]),
        ("missing data", ["--not-wanted"]),
    ):
        assert main(["feedback", events[name], *words, "--lake", str(lake)]) == 0
    capsys.readouterr()
    assert {row["feedback"] for row in run_query(lake, capsys, "SELECT feedback FROM anomaly_log")} == {"not wanted"}
    (row,) = run_query(
        lake, capsys, "SELECT wanted, note, cardinality(series) AS n FROM feedback WHERE metricname = 'views'"
    )
    assert row == {"wanted": False, "note": "a sale", "n": 2}
    (file,) = [file for file in lake.glob("feedback/shop/v1/*.json") if "views" in file.read_text()]
    assert json.loads(file.read_text())["series"] == [
        {"platform": "app", "marketplace": "us"},
        {"platform": "pc", "marketplace": "us"},
    ]


def test_a_rebuild_applies_feedback_on_series(lake, capsys):
    since = "2021-01-10"
    assert main(["feedback", "--measure", "missing data", "--not-wanted", "--since", since, "--lake", str(lake)]) == 0
    assert (
        main(
            [
                "feedback",
                "--measure",
                "views",
                "--series",
                "platform=pc",
                "--wanted",
                "--since",
                since,
                "--lake",
                str(lake),
            ]
        )
        == 0
    )
    capsys.readouterr()
    sql = "SELECT score FROM metrics_with_band WHERE metricname = 'views' AND key LIKE 'pc%' AND date = '2021-01-18'"
    before = run_query(lake, capsys, sql)
    assert main(["detect", "--rebuild", "--lake", str(lake)]) == 0
    assert "detector    383 intervals, 1 more without data" in capsys.readouterr().out
    after = run_query(lake, capsys, sql)
    assert sum(row["score"] for row in after) > sum(row["score"] for row in before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "--wanted"], "no event has the id 'nonsense'"),
        (["--measure", "clicks", "--wanted"], "there is no measure 'clicks'"),
        (["--measure", "views", "--series", "platform", "--wanted"], "must be NAME=VALUE"),
        (["--wanted"], "name an event, or a --measure"),
    ],
)
def test_invalid_arguments_are_rejected_with_what_is_valid(lake, capsys, arguments, message):
    assert main(["feedback", *arguments, "--lake", str(lake)]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not list(lake.glob("feedback/**/*.json"))
