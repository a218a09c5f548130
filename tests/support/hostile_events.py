"""Building blocks of the hostile events: metric sets, messages with outcomes, valid events, paths in JSON."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from examples import alert_body, event_text, shop_text

MIB = 1 << 20
TOP = Path(__file__).parents[2]
SERVICE_EVENTS = sorted(path.stem for path in (TOP / "tests/events").glob("*.json"))
SEARCH = """
name: search
frequency: PT10M
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [host_keyword, zone]
measures: [{name: requests, aggregation: SUM}, {name: error_rate, aggregation: AVG}, {name: bytes, aggregation: SUM}]
alerts: {detectors: [Zr4kqo0BtLw7xP2cVdQh]}
"""

# YAML of metric sets by name: the examples of the project, the shop, and one for OpenSearch.
METRIC_SETS = {
    **{
        file.stem: file.read_text("utf-8")
        for file in (*(TOP / "docs/metric_sets").glob("*.yaml"), TOP / "src/metric_sets/aws_cost.yaml")
    },
    "shop": shop_text(),
    "search": SEARCH,
}
STORED, QUARANTINED, NO_ALERT = "stored", "quarantined", "no alert"


class Message(NamedTuple):
    """A body, its damage, its allowed outcomes, and a pattern that the reason must match if it is quarantined."""

    damage: str
    body: str
    outcomes: frozenset[str]
    reason: str = ""


class Delivery(NamedTuple):
    """An event of the function, and its messages with the bodies that the lake must contain."""

    event: Any
    messages: tuple[Message, ...]


def expect_stored(damage: str, body: str) -> Message:
    """A body that must be stored in the tables and the archive."""
    return Message(damage, body, frozenset({STORED}))


def expect_quarantined(damage: str, body: str, reason: str) -> Message:
    """A body that must be quarantined with this reason."""
    return Message(damage, body, frozenset({QUARANTINED}), reason)


def expect_either(damage: str, body: str, *also: str) -> Message:
    """A body that must be stored or quarantined. `also` can be `NO_ALERT`, if the body can report no anomaly."""
    return Message(damage, body, frozenset({STORED, QUARANTINED, *also}))


def metric_sets() -> tuple[MetricSet, ...]:
    """Metric sets for the events of every source."""
    return tuple(metric_set_yaml.parse(text, name) for name, text in METRIC_SETS.items())


class EventFactory:
    """Creates valid events, each with an hour or a day of its own. The first is `number` days after 1 January 2001."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def _next(self) -> int:
        self.number += 1
        return self.number

    def alert(self, **more: Any) -> dict[str, Any]:
        """An alert for the shop. A keyword replaces a field of it, or a parameter of `examples.alert_body`."""
        number = self._next()
        found: dict[str, Any] = json.loads(
            alert_body(
                **{
                    "timestamp": f"{datetime(2001, 1, 1) + timedelta(hours=3 * number):%Y-%m-%dT%H:%M}Z",
                    "event": f"e{number}",
                    **more,
                }
            )
        )
        return found

    def service_event(self, name: str) -> dict[str, Any]:
        """An event of another service."""
        day = datetime(2001, 1, 1) + timedelta(days=self._next())
        text = re.sub(r"2026-07-\d\d", f"{day:%Y-%m-%d}", event_text(name))
        text = re.sub(r"\d\d/07/26", f"{day:%d/%m/%y}", text)
        text = re.sub(r"\b17\d{11}\b", str(int((day - datetime(1970, 1, 1)).total_seconds() * 1000)), text)
        found: dict[str, Any] = json.loads(text)
        return found

    def event(self, name: str) -> dict[str, Any]:
        """An event of another service, or an alert."""
        return self.alert() if name == "alert" else self.service_event(name)


WRONG_VALUES = (
    None,
    True,
    False,
    0,
    -1,
    7.5,
    1e308,
    2**70,
    "",
    "x",
    "../../etc/passwd",
    "\0",
    [],
    [[]],
    [None],
    ["x"] * 50,
    {},
    {"a": 1},
    {"": None},
)
TEXT, TEXT_OR_NULL, NUMBER, NUMBER_OR_NULL = (str,), (str, type(None)), (int, float), (int, float, type(None))
# Valid types of the fields of an alert. The elements of lists (`0`) are objects.
FIELD_TYPES: dict[Any, tuple[type, ...]] = {
    **dict.fromkeys(("alertEventId", "anomalyDetectorArn", "timestamp", "metricName", "dimensionName"), TEXT),
    **dict.fromkeys(
        ("alertName", "alertArn", "alertDescription", "anomalyGroupId", "consoleUrl", "timeSeriesId", "dimensionValue"),
        TEXT_OR_NULL,
    ),
    **dict.fromkeys(("anomalyScore", "metricValue"), NUMBER_OR_NULL),
    "valueContribution": NUMBER,
    "impactedMetric": (dict,),
    **dict.fromkeys(
        ("dimensionContribution", "dimensionValueContributions", "relevantTimeSeries", "dimensions"), (list,)
    ),
    0: (dict,),
}


def iterate_paths(inner: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values in decoded JSON; of a list, only the first element."""
    steps = list(inner) if isinstance(inner, dict) else range(min(1, len(inner))) if isinstance(inner, list) else []
    for step in steps:
        yield (*at, step)
        yield from iterate_paths(inner[step], (*at, step))


def get_at(event: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path."""
    for step in path:
        event = event[step]
    return event


def change_at(event: Any, path: tuple[str | int, ...], act: Callable[[Any, Any], None]) -> str:
    """The event as JSON after `act(container, last step)`."""
    act(get_at(event, path[:-1]), path[-1])
    return json.dumps(event)
