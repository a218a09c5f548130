"""The page of a lake: of an empty one, and of a large metric set."""

from anomalake.catalog import duckdb_catalog
from anomalake.dashboards import lake_page
from anomalake.domain import metric_set_yaml
from examples import shop_text
from large_set import large_metric_set
from shop_page import CHROMIUM, open_page


def test_an_empty_lake_has_a_page(tmp_path):
    metric_set = metric_set_yaml.parse(shop_text(), "shop")
    assert lake_page.write_page(metric_set, duckdb_catalog.connect(tmp_path, [metric_set]), tmp_path / "page.html") > 0
    if CHROMIUM:
        _, marks, body = open_page(tmp_path / "page.html", "overview")
        assert (body["drawn"], marks["timeline"], marks["log"]) == ("overview", {"empty": 1}, {"empty": 1})


def test_the_page_of_a_large_metric_set_is_smaller_than_5_mb(tmp_path):
    metric_set = large_metric_set()
    assert (
        lake_page.write_page(metric_set, duckdb_catalog.connect(tmp_path, [metric_set]), tmp_path / "page.html")
        < 5_000_000
    )
