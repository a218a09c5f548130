"""The saved queries of the Athena workgroup, for each metric set and over all of them. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.catalog.views import database
from anomalake.domain.metric_set import Measure, MetricSet

MAX_DESCRIPTION_CHARACTERS = 1_024  # "CreateNamedQuery" in the Athena API


class Window(NamedTuple):
    """The time up to now that a query covers, in words and in days."""

    words: str
    days: int

    @property
    def condition(self) -> str:
        """The SQL condition that a row lies in the window."""
        return f"\"date\" >= date_format(current_timestamp - INTERVAL '{self.days}' DAY, '%Y-%m-%d')"


class _Windows(NamedTuple):
    """The windows of a metric set, with the names that queries use for the short one and for the time of an event."""

    recent: Window
    long: Window
    period: str
    unit: str


_DAYS = _Windows(Window("seven days", 7), Window("30 days", 30), "week", "hour")
# Windows by frequency; those of longer intervals hold more time. All others have `_DAYS`.
_WINDOWS = {
    "P1D": _DAYS._replace(unit="day"),
    "P1W": _Windows(Window("13 weeks", 91), Window("52 weeks", 364), "quarter", "week"),
    "P1M": _Windows(Window("twelve months", 366), Window("three years", 1096), "year", "month"),
}


class SavedQuery(NamedTuple):
    """A saved query: the name and the description that Athena shows, its database and its SQL."""

    name: str
    description: str
    database: str
    sql: str


def saved_queries_of_set(metric_set: MetricSet, prefix: str) -> tuple[SavedQuery, ...]:
    """Return the saved queries of one metric set. Queries of a single measure read the first one."""
    db, windows = database(prefix, metric_set), _WINDOWS.get(metric_set.frequency, _DAYS)
    queries = _alert_queries(sql.identifier(db), windows)
    if metric_set.source is not None:
        queries += _live_data_queries(sql.identifier(db), metric_set.measures[0], windows)
    return tuple(
        SavedQuery(f"{metric_set.name}: {name}", description, db, statement) for name, description, statement in queries
    )


def _alert_queries(db: str, windows: _Windows) -> list[tuple[str, str, str]]:
    """Return names, descriptions and SQL of the queries that every metric set has; `db` is a quoted identifier."""
    recent, long, period, unit = windows
    return [
        (
            f"worst events of the {period}",
            f"The 20 most severe events of the last {recent.words}.",
            f"""\
SELECT "localtimestamp", metricname, groupscore, severity, direction, affectedseries, eventid
FROM {db}.anomaly_log
WHERE {recent.condition}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20
""",
        ),
        (
            "who contributed",
            f"Contributions to each event of the last {recent.words}, in percent, by dimension and value.",
            f"""\
SELECT "localtimestamp", metricname, eventid, dimensionname, dimensionvalue, sum(contributionshare) AS contribution
FROM {db}.anomalies_with_contributions
WHERE {recent.condition}
GROUP BY "localtimestamp", metricname, eventid, dimensionname, dimensionvalue
ORDER BY "localtimestamp" DESC, metricname, eventid, contribution DESC
""",
        ),
        (
            "quietest and noisiest series",
            f"The number of anomalous intervals of each series in the last {long.words}, largest first.",
            f"""\
SELECT "key", metricname, count(*) AS intervals, count_if(isanomaly) AS anomalous, max(score) AS worst
FROM {db}.metrics_with_band
WHERE {long.condition}
GROUP BY "key", metricname
ORDER BY anomalous DESC, worst DESC
""",
        ),
        (
            f"alerts {'an' if unit == 'hour' else 'a'} {unit}",
            f"The number of events in each {unit} of the last {recent.words}, by source.",
            f"""\
SELECT date_trunc('{unit}', "localtimestamp") AS {unit}, source, count(*) AS events, max(groupscore) AS worst
FROM {db}.anomaly_log
WHERE {recent.condition}
GROUP BY 1, 2
ORDER BY 1 DESC, 2
""",
        ),
    ]


def _live_data_queries(db: str, measure: Measure, windows: _Windows) -> list[tuple[str, str, str]]:
    """Return names, descriptions and SQL of the queries that need live data; `db` is a quoted identifier."""
    recent, value, expected = windows.recent, _roll_up(measure, "value"), _roll_up(measure, "expectedvalue")
    return [
        (
            "live against expected",
            f"The value and the expected value of the first measure in the last {recent.words}, over all series.",
            f"""\
SELECT "localtimestamp", {value} AS value, {expected} AS expected, count_if(isanomaly) AS anomalous
FROM {db}.metrics_with_band
WHERE metricname = {sql.literal(measure.name)} AND expectedvalue IS NOT NULL AND {recent.condition}
GROUP BY "localtimestamp"
ORDER BY "localtimestamp" DESC
""",
        ),
        (
            "health of the live data",
            f"Intervals of the last {recent.words} that were late, empty or thin, newest first.",
            f"""\
SELECT "localtimestamp", status, series, usualseries, completeness, scoredseries, rowsrefused
FROM {db}.data_health
WHERE status IN ('late', 'empty', 'thin') AND {recent.condition}
ORDER BY "localtimestamp" DESC
""",
        ),
    ]


def _roll_up(measure: Measure, column: str) -> str:
    """Return the value of a measure over several series; an observation without a weight counts once."""
    if measure.has_weight:
        return f"sum({column} * coalesce(weight, 1)) / nullif(sum(coalesce(weight, 1)), 0)"
    return f"{'sum' if measure.is_additive else measure.aggregation.lower()}({column})"


def saved_queries_over_all_sets(sets: Sequence[MetricSet], prefix: str) -> tuple[SavedQuery, ...]:
    """Return the saved queries over all metric sets."""
    names = ", ".join(metric_set.name for metric_set in sets)
    description = f"The 20 most severe events of the last seven days, of {names}."[:MAX_DESCRIPTION_CHARACTERS]
    worst_events = f"""\
SELECT "localtimestamp", metricset, metricname, groupscore, severity, direction, affectedseries, eventid
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_DAYS.recent.condition}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20
"""
    events_by_day = f"""\
SELECT "date", metricset, count(*) AS events, max(groupscore) AS worst
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_DAYS.long.condition}
GROUP BY "date", metricset
ORDER BY "date" DESC, events DESC
"""
    return (
        SavedQuery("all: worst events of the week", description, prefix, worst_events),
        SavedQuery(
            "all: events a day",
            "The number of events of each metric set on each of the last 30 days.",
            prefix,
            events_by_day,
        ),
    )
