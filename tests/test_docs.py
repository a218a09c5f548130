"""The documentation names what there is: every field, column, command and page."""

import argparse
import re
from pathlib import Path

from anomalake import cli, doctor, metric_set
from anomalake.catalog.views import views, views_of_all
from anomalake.lake import tables
from anomalake.lake.layout import GLUE_NAMES
from conftest import shop_text

TOP = Path(__file__).parent.parent
DOCS = {path.name: path.read_text("utf-8") for path in (TOP / "docs").glob("*.md")}
README = (TOP / "README.md").read_text("utf-8")
SHOP = metric_set.parse(shop_text(), "shop")


def test_every_field_of_a_metric_set_is_described():
    for record in (metric_set.MetricSet, metric_set.Source, metric_set.Alerts, metric_set.Measure, metric_set.Dimension, metric_set.Timestamp):
        for field in record.__struct_fields__:
            assert re.search(rf"\b{field}\b", DOCS["metric-sets.md"]), field


def test_every_column_of_tables_and_views_is_described():
    def general(name: str) -> str:
        return re.sub(r"^(views|revenue)(?=.)", "<m>", name)

    own = {"platform", "marketplace", "views", "revenue"}
    for table in GLUE_NAMES:
        for column in tables.schema(table, SHOP):
            assert column.name in own or f"`{general(column.name)}`" in DOCS["lake.md"], column
    for view in (*views(SHOP, "anomalake", "parquet"), *views_of_all([SHOP], "anomalake", "parquet")):
        assert view.name in DOCS["catalog.md"]
        for column in view.columns:
            assert column.name in own or f"`{general(column.name)}`" in DOCS["catalog.md"], column.name


def test_every_check_of_the_doctor_is_described():
    for name in doctor.BEFORE | doctor.AFTER_LAKE | doctor.AFTER_QUICKSIGHT:
        assert f"| `{name}` |" in DOCS["doctor.md"], name


def test_the_readme_links_to_what_exists_and_shows_its_two_commands_first():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (TOP / link).exists(), link
    assert README.index("make demo") < README.index("make test") < README.index("dashboard.png")


def test_commands_in_the_documentation_are_commands():
    (choices,) = [action.choices for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for text in (README, *DOCS.values()):
        for command in re.findall(r"(?:^|[ `/])anomalake ([a-z-]+) ", text):
            assert command in {*choices, "and"}, command
