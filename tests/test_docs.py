"""The documentation names what there is: every field, column, parameter, alarm, metric, saved query, command and page."""

import argparse
import re
from pathlib import Path

import cfn_yaml
from anomalake import doctor
from anomalake.catalog import glue
from anomalake.catalog.saved import saved_queries, saved_queries_of_all
from anomalake.catalog.views import views, views_of_all
from anomalake.cli.main import main
from anomalake.domain import metric_set
from anomalake.lake import tables
from anomalake.lake.layout import GLUE_TABLE_NAMES
from examples import shop_text

TOP = Path(__file__).parent.parent
DOCS = {path.name: path.read_text("utf-8") for path in (TOP / "docs").glob("*.md")}
README = (TOP / "README.md").read_text("utf-8")
SHOP = metric_set.parse(shop_text(), "shop")
TEMPLATE = cfn_yaml.load(TOP / "template.yaml")
SET_TEMPLATE = glue.set_template(SHOP)


def test_every_field_of_a_metric_set_is_described():
    for record in (
        metric_set.MetricSet,
        metric_set.Source,
        metric_set.Alerts,
        metric_set.Snooze,
        metric_set.Measure,
        metric_set.Dimension,
        metric_set.Timestamp,
    ):
        for field in record.__struct_encode_fields__:
            assert re.search(rf"\b{field}\b", DOCS["metric-sets.md"]), field


def test_every_column_of_tables_and_views_is_described():
    def general(name: str) -> str:
        return re.sub(r"^(views|revenue)(?=.)", "<m>", name)

    own = {"platform", "marketplace", "views", "revenue"}
    for table in GLUE_TABLE_NAMES:
        for column in tables.schema(table, SHOP):
            assert column.name in own or f"`{general(column.name)}`" in DOCS["lake.md"], column
    for view in (*views(SHOP, "anomalake", "parquet"), *views_of_all([SHOP], "anomalake", "parquet")):
        assert view.name in DOCS["catalog.md"]
        for column in view.columns:
            assert column.name in own or f"`{general(column.name)}`" in DOCS["catalog.md"], column.name


def test_every_check_of_the_doctor_is_described():
    for name in doctor.BEFORE | doctor.AFTER_LAKE | doctor.AFTER_QUICKSIGHT:
        assert f"| `{name}` |" in DOCS["doctor.md"], name


def test_every_parameter_of_the_stack_is_described_with_its_default():
    for name, declared in TEMPLATE["Parameters"].items():
        default = str(declared["Default"])
        shown = f"`{default}`" if declared["Type"] == "String" and default else default
        assert re.search(rf"^\| `{name}` \| {re.escape(shown)} ?\|", DOCS["deploy.md"], re.MULTILINE), name


def test_every_output_of_the_stack_is_named():
    for name in TEMPLATE["Outputs"]:
        assert f"`{name}`" in DOCS["deploy.md"], name


def test_every_alarm_is_described_with_what_to_do():
    alarms = [
        resource["Properties"]
        for made in (TEMPLATE, SET_TEMPLATE)
        for resource in made["Resources"].values()
        if "Alarm" in resource["Type"]
    ]
    assert len(alarms) == 6 + 2
    for alarm in alarms:
        name = alarm["AlarmName"]["Fn::Sub"].replace("${Prefix}", "<prefix>").replace("-shop-", "-<set>-")
        assert re.search(rf"^\| `{name}` \| .+ \| .+ \|$", DOCS["deploy.md"], re.MULTILINE), name
        if alarm["Namespace"] == "Anomalake" and "<set>" in name:
            assert f"| `{alarm['MetricName']}` |" in DOCS["detector.md"], name


def test_every_saved_query_is_described():
    for query in (*saved_queries(SHOP, "anomalake"), *saved_queries_of_all([SHOP], "anomalake")):
        assert f"| `{query.name.replace('shop:', '<set>:')}` |" in DOCS["catalog.md"], query.name


def test_links_between_the_pages_lead_somewhere():
    for page in (*(TOP / "docs").glob("*.md"), TOP / "README.md"):
        for link, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", page.read_text("utf-8")):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                titles = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, (
                    f"{page.name}: {link}#{anchor}"
                )


def test_the_readme_shows_its_two_commands_first():
    assert README.index("make demo") < README.index("make test") < README.index("dashboard.png")


def test_commands_in_the_documentation_are_commands():
    (choices,) = [
        action.choices for action in main._parser()._actions if isinstance(action, argparse._SubParsersAction)
    ]
    for text in (README, *DOCS.values()):
        for command in re.findall(r"(?:^|[ `/])anomalake ([a-z-]+) ", text):
            assert command in {*choices, "and"}, command
