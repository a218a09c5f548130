"""The metric sets of the awkward lake: time zones with clock changes, quotes, every aggregation, weeks and months."""

from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet

_TOWN = """
name: town
frequency: PT1H
timezone: America/New_York
timestamp: {column: at, format: "MM/dd/yyyy hh:mm:ss a"}
dimensions: [platform, marketplace]
measures: [{name: views, aggregation: SUM}, {name: revenue, aggregation: AVG}]
source: {path: "town/live/{{yyyyMMdd}}/{{HHmm}}", format: csv, columns: [platform, marketplace, at, views, revenue]}
"""
_WIDE = """
name: wide
frequency: PT1H
timezone: Europe/Berlin
timestamp: {column: at, format: UNIX}
dimensions: [%s]
measures: [{name: hits, aggregation: SUM}, {name: Spent-Time, aggregation: AVG}, {name: 9lives, aggregation: SUM}]
source:
  path: "wide/y={{yyyy}}/m={{MM}}/d={{dd}}/{{HH}}h{{mm}}/in"
  format: jsonl
  columns: [at, %s, hits, Spent-Time, 9lives, unused]
"""
_MIDNIGHT = """
name: midnight
frequency: P1D
timezone: America/Havana
timestamp: {column: at, format: yyyy-MM-dd}
dimensions: [platform]
measures: [{name: views, aggregation: SUM}]
source:
  path: "midnight/{{yyyy-MM-dd}}"
  format: csv
  delimiter: ";"
  quote: "'"
  header: false
  compression: gzip
  columns: [at, platform, views]
"""
_BRIEF = """
name: brief
frequency: PT5M
timestamp: {column: at, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [platform]
measures: [{name: views, aggregation: SUM}]
source: {path: "brief/dt={{yyyy-MM-dd}}/{{HH}}h/{{mm}}/in", format: jsonl, columns: [at, platform, views]}
"""
_ISLAND = """
name: island
frequency: PT10M
timezone: Australia/Lord_Howe
timestamp: {column: at, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [platform]
measures: [{name: views, aggregation: SUM}]
source: {path: "island/{{yyyy}}/{{MM}}/{{dd}}2/{{HHmm}}", format: csv, columns: [platform, at, views]}
"""
# Live columns have names that the tables and views also use; a day, a week and a month have one folder.
_COUNTS = """
name: counts
frequency: PT15M
timezone: America/New_York
timestamp: {column: timestamp, format: UNIX}
dimensions: [{name: platform, column: key, top: 3}, {name: place, column: slots}]
measures:
  - {name: total, aggregation: SUM, column: value}
  - {name: mean, aggregation: AVG, column: value}
  - {name: low, aggregation: MIN, column: value}
  - {name: high, aggregation: MAX, column: value}
  - {name: lines, aggregation: COUNT}
  - {name: filled, aggregation: COUNT, column: date}
  - {name: buyers, aggregation: COUNT_DISTINCT, column: date}
  - {name: share, aggregation: RATIO, numerator: filled, denominator: lines}
  - {name: worth, aggregation: RATIO, numerator: total, denominator: buyers}
source: {path: "counts/{{yyyyMMdd}}", format: csv, columns: [timestamp, value, key, slots, date]}
"""
_SHIFTS = """
name: shifts
frequency: PT2H
timezone: Europe/Berlin
timestamp: {column: at, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [platform]
measures:
  - {name: users, aggregation: COUNT_DISTINCT, column: user}
  - {name: visits, aggregation: COUNT}
  - {name: rate, aggregation: RATIO, numerator: users, denominator: visits}
missing: unknown
source: {path: "shifts/{{yyyy-MM-dd}}/{{HH}}", format: jsonl, columns: [at, platform, user]}
"""
_WEEKS = """
name: weeks
frequency: P1W
timezone: Australia/Lord_Howe
timestamp: {column: timestamp, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [{name: platform, column: date}]
measures: [{name: total, aggregation: SUM, column: value}, {name: high, aggregation: MAX, column: value}]
missing: zero
source: {path: "weeks/{{yyyyMMdd}}", format: csv, columns: [timestamp, date, value]}
"""
_MONTHS = """
name: months
frequency: P1M
timezone: America/Havana
timestamp: {column: timestamp, format: UNIX}
dimensions: []
measures: [{name: visits, aggregation: COUNT}, {name: mean, aggregation: AVG, column: value}]
source: {path: "months/{{yyyy-MM-dd}}", format: csv, columns: [timestamp, value]}
"""
WIDE_DIMENSIONS = tuple(f"D-{number}_x" for number in range(10))


def awkward() -> tuple[MetricSet, ...]:
    """Return metric sets of many frequencies, most in zones whose clocks change, with different forms of live data."""
    listed = ", ".join(WIDE_DIMENSIONS)
    texts = (_TOWN, _WIDE % (listed, listed), _MIDNIGHT, _BRIEF, _ISLAND, _COUNTS, _SHIFTS, _WEEKS, _MONTHS)
    return tuple(metric_set_yaml.parse(text, "awkward") for text in texts)
