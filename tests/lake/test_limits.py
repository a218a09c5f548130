"""The limits of a table for one interval: the result does not depend on order or batches, and memory is bounded."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.domain.alert_matching import match_to_metric_set
from anomalake.domain.errors import AlertError
from anomalake.lake import encoding, limits, tables
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.layout import table_key
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, shop_text

TOP = Path(__file__).parents[2]
SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
SCORES = st.one_of(st.none(), st.integers(0, 3).map(float))
SERIES = st.lists(st.sampled_from([None, "a", "b", "cccccccccc", "d" * 40]), min_size=1, max_size=3)


@st.composite
def some_alerts(draw):
    def one(number):
        series = [({"platform": value}, float(draw(st.integers(0, 2)))) for value in draw(SERIES)]
        shares = {"platform": {value or "": float(draw(st.integers(1, 3))) for value in draw(SERIES)}}
        return alerts.parse(
            alert_body(
                draw(st.sampled_from(["views", "revenue"])),
                event=f"e{number % 4}",
                score=draw(SCORES),
                series=series,
                contributions=shares,
            )
        )

    return [one(number) for number in range(draw(st.integers(1, 7)))]


@pytest.mark.parametrize("table", tables.ALERT_TABLES)
@settings(deadline=None, max_examples=40)
@given(some=some_alerts(), data=st.data())
def test_the_content_of_a_full_interval_does_not_depend_on_order_repetition_or_batches(table, some, data):
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(limits, "MAX_INTERVAL_BYTES", data.draw(st.integers(1, 1_500)))
        context.setattr(
            limits,
            "MAX_EVENTS_PER_INTERVAL",
            dict.fromkeys(limits.MAX_EVENTS_PER_INTERVAL, data.draw(st.integers(1, 3))),
        )
        units = [limits.limited_units(table, alert, SHOP) for alert in some]
        at_once = limits.keep_greatest(table, tables.merge_units(units))
        one_by_one: tables.Units = {}
        for unit in data.draw(st.permutations(units + units[:2])):
            one_by_one = limits.keep_greatest(
                table, tables.merge_units([limits.keep_greatest(table, unit), one_by_one])
            )
        assert one_by_one == at_once


def test_the_series_with_the_highest_scores_are_kept_and_a_warning_names_the_interval(monkeypatch):
    monkeypatch.setattr(limits, "MAX_INTERVAL_BYTES", 3 * limits.ROW_BYTES)
    store = ObjectStore.memory()
    low = alert_body(event="low", score=40, series=[({"platform": f"l{n}"}, 1.0) for n in range(5)])
    high = alert_body(event="high", score=90, series=[({"platform": f"h{n}"}, 1.0) for n in range(2)])
    outcomes = [ingest_messages([Message("m", body)], store, (SHOP,), "csv") for body in (low, high)]
    key = table_key("metricValue_AnomalyScore", SHOP, outcomes[0].stored[0].timestamp, "csv")
    rows = encoding.decode_table("csv", tables.schema("metricValue_AnomalyScore", SHOP), store.get(key).data, key)
    assert {"h0", "h1"} <= set(rows["platform"])
    assert len(rows["platform"]) == 3
    assert all(outcome.warnings[0].startswith(f"{key}: the object reached its limit") for outcome in outcomes)
    assert len(outcomes[0].stored) == len(outcomes[1].stored) == 1


def test_the_largest_contributions_of_an_event_are_kept():
    shares = {"platform": {f"p{n}": float(n) for n in range(1_000)}}
    (unit,) = limits.limited_units(
        "dimensionContributions", alerts.parse(alert_body(contributions=shares)), SHOP
    ).values()
    assert {value for _, value, _ in unit[-1]} == {f"p{n}" for n in range(500, 1_000)}
    long = {"platform": {"x" * 20_000 + str(n): float(n) for n in range(9)}}
    (unit,) = limits.limited_units(
        "dimensionContributions", alerts.parse(alert_body(contributions=long)), SHOP
    ).values()
    assert [share for *_, share in sorted(unit[-1], key=lambda one: one[2])] == [7.0, 8.0]


def test_long_texts_of_an_event_are_truncated_and_a_long_link_is_omitted():
    alert = alerts.parse(alert_body(rootCause="é" * 5_000, consoleUrl="https://x/" + "y" * 5_000))
    (unit,) = limits.limited_units("anomalyGroups", alert, SHOP).values()
    assert "é" * 2_000 in unit[-1]
    assert max(len(text) for text in unit[-1] if isinstance(text, str)) == 2_000
    assert not any("https://x" in text for text in unit[-1] if isinstance(text, str))


@pytest.mark.parametrize(
    "more", [{"series": [({"platform": "x" * 5_001}, 1.0)]}, {"contributions": {"platform": {"x" * 5_001: 1.0}}}]
)
def test_a_very_long_dimension_value_is_rejected_with_a_reason(more):
    with pytest.raises(AlertError, match="dimensionValue: has 5001 characters; the limit is 5000"):
        match_to_metric_set(alerts.parse(alert_body(**more)), SHOP)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the greatest memory is read as Linux has it")
@pytest.mark.parametrize("kind", ["series", "shares"])
def test_valid_batches_that_fill_one_interval_need_less_than_300_mb(tmp_path, kind):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets/shop.yaml").write_text(shop_text())
    paths = {
        "PYTHONPATH": f"{TOP / 'src'}:{TOP / 'tests/support'}",
        "ANOMALAKE_METRIC_SETS": str(tmp_path / "sets"),
        "ANOMALAKE_LAKE": str(tmp_path / "lake"),
    }
    (tmp_path / "lake").mkdir()
    run = subprocess.run(
        [sys.executable, __file__, kind], env={**os.environ, **paths}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2_000:]
    assert 50 < int(run.stdout.split()[-1]) < 300


def _body(kind: str, number: int) -> str:
    """Return an alert of 1 MiB with series, or contributions, that no other alert has."""
    found = json.loads(alert_body(event=f"e{number}"))
    values = [f"{number}.{place:x}" for place in range(14_000)]
    series = [{"dimensions": [{"dimensionName": "platform", "dimensionValue": value}]} for value in values]
    shares = [
        {"valueContribution": 1, "dimensionValue": value}
        for value in [*values, *(f"+{value}" for value in values[:6_000])]
    ]
    found["impactedMetric"]["relevantTimeSeries"] = series if kind == "series" else []
    found["impactedMetric"]["dimensionContribution"] = (
        [{"dimensionName": "platform", "dimensionValueContributions": shares}] if kind == "shares" else []
    )
    body = json.dumps(found, separators=(",", ":"))
    assert 900_000 < len(body) <= 1 << 20
    return body


def _fill(kind: str) -> None:
    """Ingest two calls of alerts for one interval: six alerts, the most that Lambda accepts in one call, and two more.

    Print the peak resident memory in MB.
    """
    from anomalake.functions import ingest as function

    for numbers in (range(6), range(6, 8)):
        records = [{"eventSource": "aws:sqs", "messageId": f"m{n}", "body": _body(kind, n)} for n in numbers]
        assert function.handler({"Records": records}, None) == {"batchItemFailures": []}
    # Not `getrusage`: it includes the memory of the parent process before this program was loaded.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    sys.stdout.write(f"\n{int(peak[1]) // 1024}\n")


if __name__ == "__main__":
    _fill(sys.argv[1])
