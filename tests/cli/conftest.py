"""Fixtures for the tests of the command."""

from pathlib import Path

import pytest

from examples import shop_text
from query_lake import ONE


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake with one row of live data, and a folder outside the lake."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "lake"
    (root / "metric_sets").mkdir(parents=True)
    (root / "metric_sets/shop.yaml").write_text(shop_text())
    (root / "shop/live/20210217/1100").mkdir(parents=True)
    (root / "shop/live/20210217/1100/data.csv").write_text(ONE)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.csv").write_text("secret\n42\n")
    return root
