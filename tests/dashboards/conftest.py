"""The page of the lake with hostile values, which several tests open."""

from pathlib import Path

import pytest

from anomalake.dashboards import lake_page
from shop_page import write_hostile_lake


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    item, connection = write_hostile_lake(root)
    lake_page.write_page(item, connection, root / "page.html")
    return root / "page.html"
