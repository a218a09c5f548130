"""A proposed metric set as YAML, with notes on what to check."""

from typing import Any, NamedTuple

import yaml

from anomalake.domain import intervals
from anomalake.domain.intervals import Frequency


class Proposal(NamedTuple):
    """A proposed metric set as YAML, and notes on what the user should check."""

    text: str
    notes: tuple[str, ...]


def to_yaml(document: dict[str, Any]) -> str:
    """Return the fields of a metric set as YAML for a person to edit."""
    return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True))


def choose_folder(frequency: Frequency) -> str:
    """Return the dates in the path of live data: a folder a day, or a month for monthly intervals (decision 0020)."""
    return "{{yyyyMM}}" if frequency == "P1M" else "{{yyyyMMdd}}"


def describe_length(frequency: Frequency) -> str:
    """Return a frequency in words: 30 minutes, 1 hour, 1 day, 1 week, 1 month."""
    words = {"P1D": "1 day", "P1W": "1 week", "P1M": "1 month"}
    if frequency in words:
        return words[frequency]
    minutes = int(intervals.INTERVAL_LENGTHS[frequency].total_seconds() // 60)
    count, unit = (minutes, "minute") if minutes % 60 else (minutes // 60, "hour")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
