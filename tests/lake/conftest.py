"""Fixtures of several test modules: lakes to replay."""

from pathlib import Path

import pytest

from examples import shop_text
from replay_lake import alert_bodies, fill_lake


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder lake with alerts in Parquet, and its metric set."""
    root = tmp_path / "lake"
    fill_lake(root, alert_bodies())
    (root / "metric_sets").mkdir()
    (root / "metric_sets/shop.yaml").write_text(shop_text())
    return root


@pytest.fixture
def rerouted(lake) -> Path:
    """The lake, after another metric set takes the shop's alerts."""
    (lake / "metric_sets/store.yaml").write_text(shop_text(name="name: store") + "alerts: {detectors: [shop]}\n")
    return lake
