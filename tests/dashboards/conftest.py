"""The page of the lake with hostile values, which several tests open."""

from pathlib import Path

import pytest

from anomalake.dashboards import lake_page
from shop_page import write_hostile_lake


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Path:
    """The page of a lake whose values try to run as scripts."""
    root = tmp_path_factory.mktemp("hostile")
    metric_set, connection = write_hostile_lake(root)
    lake_page.write_page(metric_set, connection, root / "page.html")
    return root / "page.html"
