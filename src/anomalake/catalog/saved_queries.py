"""The saved queries of the Athena workgroup, for each metric set and over all of them. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.catalog.views import database
from anomalake.domain.metric_set import MetricSet

_LAST_WEEK = "\"date\" >= date_format(current_timestamp - INTERVAL '7' DAY, '%Y-%m-%d')"
_LAST_MONTH = "\"date\" >= date_format(current_timestamp - INTERVAL '30' DAY, '%Y-%m-%d')"
MAX_DESCRIPTION_CHARACTERS = 1_024  # "CreateNamedQuery" in the Athena API


class SavedQuery(NamedTuple):
    """A saved query: the name and the description that Athena shows, its database and its SQL."""

    name: str
    description: str
    database: str
    sql: str


def saved_queries_of_set(metric_set: MetricSet, prefix: str) -> tuple[SavedQuery, ...]:
    """Return the saved queries of one metric set. Queries of a single measure read the first one."""
    db = database(prefix, metric_set)
    queries = _alert_queries(sql.identifier(db))
    if metric_set.source is not None:
        queries += _live_data_queries(sql.identifier(db), sql.literal(metric_set.measures[0].name))
    return tuple(
        SavedQuery(f"{metric_set.name}: {name}", description, db, statement) for name, description, statement in queries
    )


def _alert_queries(db: str) -> list[tuple[str, str, str]]:
    """Return names, descriptions and SQL of the queries that every metric set has; `db` is a quoted identifier."""
    return [
        (
            "worst events of the week",
            "The 20 most severe events of the last seven days.",
            f"""\
SELECT "localtimestamp", metricname, groupscore, severity, direction, affectedseries, eventid
FROM {db}.anomaly_log
WHERE {_LAST_WEEK}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20
""",
        ),
        (
            "who contributed",
            "Contributions to each event of the last seven days, in percent, by dimension and value, largest first.",
            f"""\
SELECT "localtimestamp", metricname, eventid, dimensionname, dimensionvalue, sum(contributionshare) AS contribution
FROM {db}.anomalies_with_contributions
WHERE {_LAST_WEEK}
GROUP BY "localtimestamp", metricname, eventid, dimensionname, dimensionvalue
ORDER BY "localtimestamp" DESC, metricname, eventid, contribution DESC
""",
        ),
        (
            "quietest and noisiest series",
            "The number of anomalous intervals of each series in the last 30 days, largest first.",
            f"""\
SELECT "key", metricname, count(*) AS intervals, count_if(isanomaly) AS anomalous, max(score) AS worst
FROM {db}.metrics_with_band
WHERE {_LAST_MONTH}
GROUP BY "key", metricname
ORDER BY anomalous DESC, worst DESC
""",
        ),
        (
            "alerts an hour",
            "The number of events in each hour of the last seven days, by source.",
            f"""\
SELECT date_trunc('hour', "localtimestamp") AS hour, source, count(*) AS events, max(groupscore) AS worst
FROM {db}.anomaly_log
WHERE {_LAST_WEEK}
GROUP BY 1, 2
ORDER BY 1 DESC, 2
""",
        ),
    ]


def _live_data_queries(db: str, measure: str) -> list[tuple[str, str, str]]:
    """Return names, descriptions and SQL of the queries that need live data; `measure` is a string literal."""
    return [
        (
            "live against expected",
            "The value and the expected value of the first measure in the last seven days, over all series.",
            f"""\
SELECT "localtimestamp", sum(value) AS value, sum(expectedvalue) AS expected, count_if(isanomaly) AS anomalous
FROM {db}.metrics_with_band
WHERE metricname = {measure} AND expectedvalue IS NOT NULL AND {_LAST_WEEK}
GROUP BY "localtimestamp"
ORDER BY "localtimestamp" DESC
""",
        ),
        (
            "health of the live data",
            "Intervals of the last seven days that were late, empty or thin, newest first.",
            f"""\
SELECT "localtimestamp", status, series, usualseries, completeness, scoredseries, rowsrefused
FROM {db}.data_health
WHERE status IN ('late', 'empty', 'thin') AND {_LAST_WEEK}
ORDER BY "localtimestamp" DESC
""",
        ),
    ]


def saved_queries_over_all_sets(sets: Sequence[MetricSet], prefix: str) -> tuple[SavedQuery, ...]:
    """Return the saved queries over all metric sets."""
    names = ", ".join(metric_set.name for metric_set in sets)
    description = f"The 20 most severe events of the last seven days, of {names}."[:MAX_DESCRIPTION_CHARACTERS]
    worst_events = f"""\
SELECT "localtimestamp", metricset, metricname, groupscore, severity, direction, affectedseries, eventid
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_LAST_WEEK}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20
"""
    events_by_day = f"""\
SELECT "date", metricset, count(*) AS events, max(groupscore) AS worst
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_LAST_MONTH}
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
