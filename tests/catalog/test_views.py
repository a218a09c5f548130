"""The views compared with an independent computation in pandas: missing dimensions, hostile values, absent data."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalake.catalog import duckdb_catalog
from anomalake.catalog.views import database
from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from examples import alert_body, shop_text

FORMATS = ("parquet", "csv")
ZONE = "America/New_York"
VALUES = ["us", "de", 'q"uote', "com,ma", "per%cent|bar", "back\\slash", "=1+1", "🦀 </script>", " blank "]
PLATFORMS = ["pc", "app", None]


def frames() -> tuple[pd.DataFrame, list[dict]]:
    """Return live rows (several for some series, none for others), and alerts.

    Some series of the alerts have no dimensions, expected values or live data.
    """
    rng = np.random.default_rng(5)
    live, alerts = [], []
    for hour in range(6):
        wall = datetime(2021, 3, 13, 22) + timedelta(hours=hour)
        if wall.hour == 2:  # 14 March: New York skips from 2 to 3
            continue
        for platform in PLATFORMS[:2]:
            for market in VALUES[: 4 + hour % 3]:
                live += [
                    (
                        platform,
                        market,
                        f"{wall + timedelta(minutes=int(m)):%Y-%m-%d %H:%M:%S}",
                        int(rng.integers(1, 99)),
                        round(float(rng.uniform()), 3),
                    )
                    for m in rng.integers(0, 60, 2)
                ]
    utc = datetime(2021, 3, 14, 3)
    for number in range(12):
        points = []
        for _ in range(int(rng.integers(0, 6))):
            platform, market = PLATFORMS[int(rng.integers(3))], VALUES[int(rng.integers(len(VALUES)))]
            named = {
                name: v
                for name, v in (("platform", platform), ("marketplace", market))
                if v is not None or rng.random() < 0.5
            }
            if named not in [p[0] for p in points]:
                points.append((named, float(rng.integers(1, 500))))
        shares: dict[str, dict[str | None, float]] = {
            "platform": {"pc": 70.0, None: 30.0},
            "marketplace": {VALUES[number % 9]: 60.0, "never": 40.0},
        }
        body = json.loads(
            alert_body(
                ["views", "revenue"][number % 2],
                timestamp=f"{utc + timedelta(hours=number // 2 % 5):%Y-%m-%dT%H:%M}Z[UTC]",
                event=f"e{number}",
                score=float(number * 7 + 1),
                series=points,
                contributions=shares,
            )
        )
        for place, series in enumerate(body["impactedMetric"]["relevantTimeSeries"]):
            if number % 3 and (
                place or number % 2
            ):  # some sources give no expected value, or give it for some series only
                series["expectedValue"] = series["metricValue"] * 2
        alerts.append(body)
    return pd.DataFrame(live, columns=["platform", "marketplace", "timestamp", "views", "revenue"]), alerts


@pytest.fixture(scope="module", params=FORMATS)
def lake(request, tmp_path_factory):
    """Write the lake of `frames` in one format. Returns a connection and the name of the database."""
    root: Path = tmp_path_factory.mktemp(request.param)
    item = metric_set_yaml.parse(shop_text(ZONE), "shop")
    live, alerts = frames()
    write_live_data(live, item, FolderStore(root))
    outcome = ingest_messages(
        [Message(str(n), json.dumps(body)) for n, body in enumerate(alerts)], FolderStore(root), (item,), request.param
    )
    assert (len(outcome.stored), outcome.quarantined, outcome.failed_ids) == (12, (), ())
    return duckdb_catalog.connect(root, [item]), database("anomalake", item)


def compute_cells() -> pd.DataFrame:
    """One row for each series, measure and event."""
    rows = []
    for body in frames()[1]:
        metric, event = body["impactedMetric"], body["alertEventId"].split("event/")[1]
        for series in metric["relevantTimeSeries"]:
            named = {d["dimensionName"]: d["dimensionValue"] for d in series["dimensions"]}
            rows.append(
                {
                    "timestamp": pd.Timestamp(body["timestamp"][:16]),
                    "platform": named.get("platform"),
                    "marketplace": named.get("marketplace"),
                    "measure": metric["metricName"],
                    "event": event,
                    "score": body["anomalyScore"],
                    "value": series["metricValue"],
                    "expected": series.get("expectedValue"),
                }
            )
    return pd.DataFrame(rows).sort_values("score").fillna({"platform": "∅", "marketplace": "∅"})


def compute_anomalies() -> pd.DataFrame:
    """One row for each series and hour. Each measure has the event with the highest score; all scores differ."""
    return compute_cells().groupby(["timestamp", "platform", "marketplace", "measure"]).tail(1)


def test_the_join_of_live_data_and_anomalies_loses_no_row_of_either(lake):
    connection, db = lake
    view = connection.sql(f"SELECT * FROM {db}.anomalies_with_live").df().fillna({"platform": "∅", "marketplace": "∅"})
    live = frames()[0].fillna({"platform": "∅", "marketplace": "∅"})
    wall = pd.to_datetime(live.timestamp).dt.floor("h")
    live["timestamp"] = wall.dt.tz_localize(ZONE).dt.tz_convert("UTC").dt.tz_localize(None)
    keys = ["timestamp", "platform", "marketplace"]
    live = (
        live.groupby(keys, as_index=False).agg(views=("views", "sum"), revenue=("revenue", "mean")).assign(alive=True)
    )
    wide = compute_anomalies().pivot(index=keys, columns="measure", values=["value", "score", "expected"])
    wide.columns = [
        f"{measure}_{what}"
        for what, measure in zip(wide.columns.get_level_values(0), wide.columns.get_level_values(1), strict=True)
    ]
    expected = (
        live.merge(wide.reset_index().assign(anomalous=True), on=keys, how="outer")
        .sort_values(keys)
        .reset_index(drop=True)
    )
    view = view.sort_values(keys).reset_index(drop=True)
    assert len(view) == len(expected)
    for column, other in {
        "timestamp": "timestamp",
        "platform": "platform",
        "marketplace": "marketplace",
        "views": "views",
        "revenue": "revenue",
        "viewsanomalymetricvalue": "views_value",
        "viewsgroupscore": "views_score",
        "viewsexpectedvalue": "views_expected",
        "revenueanomalymetricvalue": "revenue_value",
        "revenuegroupscore": "revenue_score",
    }.items():
        pd.testing.assert_series_equal(view[column], expected[other], check_names=False, check_dtype=False, obj=column)
    assert (view.haslive == expected.alive.notna()).all()
    assert (view.isanomaly == expected.anomalous.notna()).all()
    assert (view.date == view.timestamp.dt.strftime("%Y-%m-%d")).all()
    local = view.timestamp.dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.tz_localize(None)
    pd.testing.assert_series_equal(view.localtimestamp, local, check_names=False, check_dtype=False)
    assert {True, False} == set(view.haslive) == set(view.isanomaly)


def test_contributions_join_the_series_of_their_event_and_the_shares_add_up_to_them(lake):
    connection, db = lake
    view = connection.sql(f"SELECT * FROM {db}.anomalies_with_contributions").df()
    cells = compute_cells()
    found = {}
    for body in frames()[1]:
        event = body["alertEventId"].split("event/")[1]
        for dimension in body["impactedMetric"]["dimensionContribution"]:
            for share in dimension["dimensionValueContributions"]:
                value = share["dimensionValue"] or "∅"
                carrying = cells[(cells.event == event) & (cells[dimension["dimensionName"]] == value)]
                weight = (carrying.value - carrying.expected).abs()
                if weight.isna().any() or weight.sum() == 0:
                    weight = pd.Series(1.0, carrying.index)
                place = (event, dimension["dimensionName"], share["dimensionValue"])
                found[place] = (
                    sorted(share["valueContribution"] * weight / weight.sum())
                    if len(carrying)
                    else [share["valueContribution"]]
                )
    grouped = {
        (event, name, None if pd.isna(value) else value): sorted(rows.contributionshare)
        for (event, name, value), rows in view.groupby(["eventid", "dimensionname", "dimensionvalue"], dropna=False)
    }
    assert grouped.keys() == found.keys()
    for place, shares in found.items():
        assert grouped[place] == pytest.approx(shares), place
        assert sum(grouped[place]) == pytest.approx(sum(shares))
    assert view.key.isna().any()
    assert view.key.notna().any()


def test_the_log_has_one_row_for_each_event_with_its_severity_and_the_newest_first(lake):
    connection, db = lake
    log = connection.sql(f"SELECT * FROM {db}.anomaly_log").df()
    assert sorted(log.eventid) == sorted(f"e{n}" for n in range(12))
    assert log.timestamp.is_monotonic_decreasing
    bounds = [(30, "low"), (60, "medium"), (80, "high"), (101, "critical")]
    assert list(log.severity) == [next(label for bound, label in bounds if score < bound) for score in log.groupscore]


def test_one_view_covers_all_metric_sets(lake):
    connection, db = lake
    ((anomalies,),) = connection.sql("SELECT count(*) FROM anomalake.all_anomalies").fetchall()
    assert anomalies == len(compute_anomalies())
    for name, of in (("all_contributions", "anomalies_with_contributions"), ("all_anomaly_log", "anomaly_log")):
        counts = {
            connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in (f"anomalake.{name}", f"{db}.{of}")
        }
        assert len(counts) == 1
    assert connection.sql("SELECT DISTINCT metricset FROM anomalake.all_anomaly_log").fetchall() == [("shop",)]


def test_a_contribution_is_split_by_deviation_or_equally_if_a_deviation_is_unknown(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    series = [({"platform": "pc", "marketplace": "us"}, 30.0), ({"platform": "pc", "marketplace": "de"}, 10.0)]
    for hour, expected in (("11", [0.0, 0.0]), ("12", [0.0, None]), ("13", [30.0, 10.0])):
        body = json.loads(
            alert_body(timestamp=f"2021-02-17T{hour}:00Z", series=series, contributions={"platform": {"pc": 80.0}})
        )
        for one, value in zip(body["impactedMetric"]["relevantTimeSeries"], expected, strict=True):
            one["expectedValue"] = value
        ingest_messages([Message("m", json.dumps(body))], FolderStore(tmp_path), (item,), "parquet")
    statement = (
        'SELECT hour("timestamp"), marketplace, contributionshare FROM anomalake_shop.anomalies_with_contributions'
    )
    shares = {
        (hour, market): share
        for hour, market, share in duckdb_catalog.connect(tmp_path, [item]).sql(statement).fetchall()
    }
    assert shares == {
        (11, "us"): 60.0,
        (11, "de"): 20.0,
        (12, "us"): 40.0,
        (12, "de"): 40.0,
        (13, "us"): 40.0,
        (13, "de"): 40.0,
    }
