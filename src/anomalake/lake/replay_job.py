"""The records of a replay: what to rebuild (`ReplayJob`, `ArchivedDay`) and the result (`ReplayResult`)."""

from datetime import datetime
from functools import cache
from typing import NamedTuple

from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP, TIMESTAMP_LIMIT
from anomalake.lake import layout, tables
from anomalake.lake.credentials import open_lake
from anomalake.lake.layout import Format, Table
from anomalake.lake.store import Store

MAX_FINDINGS = 20  # that a result stores with their text; further findings are only counted


class ReplayJob(NamedTuple):
    """What to rebuild: tables of one metric set in a lake, in a period of time."""

    lake: str
    sets: tuple[MetricSet, ...]  # the alerts are routed to these
    metric_set: MetricSet
    table_format: Format
    tables: tuple[Table, ...] = (*tables.ALERT_TABLES, *layout.DETECTOR_TABLES)
    start: datetime = EARLIEST_TIMESTAMP  # of the first interval, naive UTC
    end: datetime = TIMESTAMP_LIMIT  # exclusive
    reroute: bool = (
        False  # route alerts by today's metric sets, and not to the metric set that the archive has them under
    )
    exact: bool = False  # drop rows of events that the archive does not have

    def includes(self, instant: datetime) -> bool:
        """Return whether the job rebuilds the interval that starts at the instant (naive UTC)."""
        return self.start <= instant < self.end

    def open_store(self) -> Store:
        """Open the lake, once in each process."""
        return _open_cached_lake(self.lake)


@cache
def _open_cached_lake(lake: str) -> Store:
    return open_lake(lake)


class ReplayResult(NamedTuple):
    """The result of a replay, or of a part of it."""

    alerts: int = 0  # stored
    moved_alerts: int = 0  # of these: stored in another metric set than before
    written: int = 0  # objects
    unchanged: int = 0  # objects that were correct already
    deleted: int = 0  # objects whose content is in other objects now
    kept_events: int = 0  # events in tables that the archive does not have
    findings: tuple[str, ...] = ()  # the first MAX_FINDINGS
    finding_count: int = 0

    def plus(self, other: "ReplayResult") -> "ReplayResult":
        """Return the sum of two results."""
        return ReplayResult(
            self.alerts + other.alerts,
            self.moved_alerts + other.moved_alerts,
            self.written + other.written,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
            self.kept_events + other.kept_events,
            (self.findings + other.findings)[:MAX_FINDINGS],
            self.finding_count + other.finding_count,
        )


class ArchivedDay(NamedTuple):
    """A UTC date, and the versions of the metric set whose archive can have alerts for it."""

    date: str
    versions: tuple[int, ...]
