"""The saved queries of the workgroup: what an analyst asks first, in Athena's SQL, for each metric set and over all of them. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from anomalake.catalog import sql
from anomalake.catalog.views import database
from anomalake.domain.metric_set import MetricSet

_LAST_WEEK = "\"date\" >= date_format(current_timestamp - INTERVAL '7' DAY, '%Y-%m-%d')"
_LAST_MONTH = "\"date\" >= date_format(current_timestamp - INTERVAL '30' DAY, '%Y-%m-%d')"


class SavedQuery(NamedTuple):
    """A query with the name and the description that Athena shows."""

    name: str
    description: str
    database: str
    sql: str


def saved_queries_of_set(metric_set: MetricSet, prefix: str) -> tuple[SavedQuery, ...]:
    """The questions of one metric set; its first measure stands in those that name one."""
    db, measure = database(prefix, metric_set), sql.literal(metric_set.measures[0].name)

    def query(name: str, description: str, statement: str) -> SavedQuery:
        return SavedQuery(f"{metric_set.name}: {name}", description, db, statement.strip() + "\n")

    made = [
        query("worst events of the week", "The 20 most severe events of the last seven days.", f"""
SELECT "localtimestamp", metricname, groupscore, severity, direction, affectedseries, eventid
FROM {sql.identifier(db)}.anomaly_log
WHERE {_LAST_WEEK}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20"""),
        query("who contributed", "What made up each event of the last seven days, per cent by dimension and value; the greatest first.", f"""
SELECT "localtimestamp", metricname, eventid, dimensionname, dimensionvalue, sum(contributionshare) AS contribution
FROM {sql.identifier(db)}.anomalies_with_contributions
WHERE {_LAST_WEEK}
GROUP BY "localtimestamp", metricname, eventid, dimensionname, dimensionvalue
ORDER BY "localtimestamp" DESC, metricname, eventid, contribution DESC"""),
        query("quietest and noisiest series", "Anomalous intervals of each series in the last 30 days, the noisiest first.", f"""
SELECT "key", metricname, count(*) AS intervals, count_if(isanomaly) AS anomalous, max(score) AS worst
FROM {sql.identifier(db)}.metrics_with_band
WHERE {_LAST_MONTH}
GROUP BY "key", metricname
ORDER BY anomalous DESC, worst DESC"""),
        query("alerts an hour", "How many events each hour of the last seven days had, by source.", f"""
SELECT date_trunc('hour', "localtimestamp") AS hour, source, count(*) AS events, max(groupscore) AS worst
FROM {sql.identifier(db)}.anomaly_log
WHERE {_LAST_WEEK}
GROUP BY 1, 2
ORDER BY 1 DESC, 2"""),
    ]  # fmt: skip
    expected = query("live against expected", "The first measure of the last seven days: its value beside what was expected, all series.", f"""
SELECT "localtimestamp", sum(value) AS value, sum(expectedvalue) AS expected, count_if(isanomaly) AS anomalous
FROM {sql.identifier(db)}.metrics_with_band
WHERE metricname = {measure} AND expectedvalue IS NOT NULL AND {_LAST_WEEK}
GROUP BY "localtimestamp"
ORDER BY "localtimestamp" DESC""")  # fmt: skip
    health = query("health of the live data", "Intervals of the last seven days that were late, empty or thin, the newest first.", f"""
SELECT "localtimestamp", status, series, usualseries, completeness, scoredseries, rowsrefused
FROM {sql.identifier(db)}.data_health
WHERE status IN ('late', 'empty', 'thin') AND {_LAST_WEEK}
ORDER BY "localtimestamp" DESC""")  # fmt: skip
    return (*made, *([expected, health] if metric_set.source is not None else []))


def saved_queries_over_all_sets(sets: Sequence[MetricSet], prefix: str) -> tuple[SavedQuery, ...]:
    """The questions over all metric sets."""
    names = ", ".join(item.name for item in sets)
    return (
        SavedQuery("all: worst events of the week", f"The 20 most severe events of the last seven days, of {names}."[:1024], prefix, f"""\
SELECT "localtimestamp", metricset, metricname, groupscore, severity, direction, affectedseries, eventid
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_LAST_WEEK}
ORDER BY groupscore DESC NULLS LAST
LIMIT 20
"""),
        SavedQuery("all: events a day", "How many events each metric set had on each of the last 30 days.", prefix, f"""\
SELECT "date", metricset, count(*) AS events, max(groupscore) AS worst
FROM {sql.identifier(prefix)}.all_anomaly_log
WHERE {_LAST_MONTH}
GROUP BY "date", metricset
ORDER BY "date" DESC, events DESC
"""),
    )  # fmt: skip
