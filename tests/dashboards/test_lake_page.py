"""The page of a lake: of an empty one, and of a large metric set."""

from anomalake.catalog import duckdb_catalog
from anomalake.dashboards import lake_page
from anomalake.domain import metric_set_yaml
from examples import shop_text
from large_set import big
from shop_page import CHROMIUM, open_page


def test_an_empty_lake_gives_a_page(tmp_path):
    item = metric_set_yaml.parse(shop_text(), "shop")
    assert lake_page.write_page(item, duckdb_catalog.connect(tmp_path, [item]), tmp_path / "page.html") > 0
    if CHROMIUM:
        _, marks, body = open_page(tmp_path / "page.html", "overview")
        assert (body["drawn"], marks["timeline"], marks["log"]) == ("overview", {"empty": 1}, {"empty": 1})


def test_big_metric_sets_preview(tmp_path):
    item = big()
    assert lake_page.write_page(item, duckdb_catalog.connect(tmp_path, [item]), tmp_path / "page.html") < 5_000_000
