"""Anomalake stores anomaly alerts in tables and shows them in dashboards. Start with `domain`, `lake` and `cli`."""

__version__ = "0.1.0"
