"""All sources together: example events match a metric set, and damaged events raise only `AlertError`."""

import copy
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake import sources
from anomalake.domain import alert as alerts
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import AlertError
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.object_store import ObjectStore
from examples import alert_body, event_text

TOP = Path(__file__).parents[2]
EXAMPLES = metric_set_yaml.load_all(TOP / "docs/metric_sets") + metric_set_yaml.load_all(TOP / "src/metric_sets")
EVENTS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((TOP / "tests/events").glob("*.json"))} | {
    "alert": json.loads(alert_body())
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw):
    """An event of a source with another value in one place."""
    event = copy.deepcopy(EVENTS[draw(st.sampled_from(sorted(EVENTS)))])
    place: Any = None
    key: Any = None
    inner = event
    while isinstance(inner, dict | list) and inner and (place is None or draw(st.booleans())):
        place, key = (
            inner,
            draw(st.sampled_from(sorted(inner)) if isinstance(inner, dict) else st.integers(0, len(inner) - 1)),
        )
        inner = place[key]
    place[key] = draw(JSON)
    return event


@given(damaged())
def test_damaged_event_raises_only_alert_error(event):
    try:
        found = sources.read(json.dumps(event), EXAMPLES)
    except AlertError:
        return
    assert all(alert.alert_event_id and alert.instant for alert in found)


@given(damaged())
def test_ids_are_the_same_each_time_an_event_is_read(event):
    def ids():
        try:
            return [alert.alert_event_id for alert in sources.read(json.dumps(event), EXAMPLES)]
        except AlertError as error:
            return str(error)

    assert ids() == ids()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "3",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": "\\ud800"}',
        "\ud800",
        '{"AlarmName": 1, "NewStateValue": 1}',
    ],
)
def test_text_that_is_not_an_event_is_rejected(body):
    with pytest.raises(AlertError):
        sources.read(body, EXAMPLES)


@pytest.mark.parametrize(
    "name",
    [
        "cloudwatch_eventbridge",
        "cloudwatch_lambda",
        "cloudwatch_sns",
        "cost_eventbridge",
        "cost_sns",
        "mapping_grafana",
    ],
)
def test_example_events_match_the_metric_sets_of_the_project(name):
    store = ObjectStore.memory()
    outcome = ingest_messages([Message("m", event_text(name))], store, EXAMPLES, "csv")
    assert (outcome.quarantined, outcome.failed_ids) == ((), ())
    assert len(outcome.stored) == 1


@pytest.mark.parametrize(
    "wrap", [lambda body: {"TopicArn": "t", "Message": body}, lambda body: {"Records": [{"Sns": {"Message": body}}]}]
)
@pytest.mark.parametrize("name", sorted(EVENTS))
def test_event_in_an_sns_envelope_is_read(name, wrap):
    body = json.dumps(EVENTS[name])
    assert sources.read(json.dumps(wrap(body)), EXAMPLES) == sources.read(body, EXAMPLES)


def test_jmespath_is_not_imported_without_a_mapping():
    event = event_text("cost_sns")
    code = f"import sys; from anomalake import sources; sources.read({event!r}, ()); print('jmespath' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


def test_example_of_the_readme_is_a_source(tmp_path):
    event, module = re.search(
        r"```json\n(.*?)```.*?```python\n(.*?)```",
        (TOP / "src/anomalake/sources/README.md").read_text("utf-8"),
        re.DOTALL,
    ).groups()
    (tmp_path / "acme.py").write_text(module)
    spec = importlib.util.spec_from_file_location("acme", tmp_path / "acme.py")
    acme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(acme)
    assert acme.matches(json.loads(event))
    (alert,) = acme.read(json.loads(event))
    alert = alerts.add_direction(alerts.validate(alert))
    assert (alert.event_id, alert.anomaly_score, alert.direction) == ("a-17", 80.0, "below")


def test_every_source_is_documented():
    described = (TOP / "docs/alerts.md").read_text("utf-8")
    for source in (*sources.SOURCES, sources.mapping):
        assert f"`{source.SOURCE}`" in described
