"""Anomalake: anomaly alerts in; tables and dashboards out. Start with `metric_set`, `alert` and `lake`."""

__version__ = "0.1.0"
