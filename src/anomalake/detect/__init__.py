"""The detector: scores time series and builds alerts.

`model` scores the series of an interval, `events` builds alerts from the scored points, `detector` processes a metric
set's intervals in order, `backtest` processes its past. numpy is used in this package and in no other part of the
functions.
"""
