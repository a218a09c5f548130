"""A metric set with a measure of each aggregation."""

from anomalake.domain import metric_set_yaml

RATES_YAML = """
name: rates
frequency: PT30M
timezone: UTC
timestamp: {column: at, format: "yyyy-MM-dd HH:mm:ss"}
dimensions: [country]
measures:
  - {name: visits, aggregation: SUM}
  - {name: orders, aggregation: COUNT}
  - {name: buyers, aggregation: COUNT_DISTINCT, column: customer}
  - {name: conversion, aggregation: RATIO, numerator: orders, denominator: visits, format: percent}
  - {name: load, aggregation: AVG}
  - {name: least, aggregation: MIN, column: load}
  - {name: most, aggregation: MAX, column: load}
source:
  path: "rates/live/{{yyyyMMdd}}"
  format: csv
  columns: [at, country, visits, customer, load]
"""
RATES = metric_set_yaml.parse(RATES_YAML, "rates")
