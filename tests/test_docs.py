"""The documentation matches the project.

It describes every field, column, parameter, output, alarm, metric, saved query and check.
Every command, path and link in it exists.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import cfn_yaml
from anomalake import doctor
from anomalake.catalog import glue_templates
from anomalake.catalog.saved_queries import saved_queries_of_set, saved_queries_over_all_sets
from anomalake.catalog.views import views_of_set, views_over_all_sets
from anomalake.cli.main import main
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.lake import tables
from anomalake.lake.layout import GLUE_TABLE_NAMES
from examples import shop_text

TOP = Path(__file__).parent.parent
PAGES = sorted(
    [*TOP.glob("*.md"), *(path for folder in ("docs", "src", "tests") for path in (TOP / folder).rglob("*.md"))]
)
DOCS = {path.name: path.read_text("utf-8") for path in (TOP / "docs").glob("*.md")}
README = (TOP / "README.md").read_text("utf-8")
SHOP = metric_set_yaml.parse(shop_text(), "shop")
TEMPLATE = cfn_yaml.load(TOP / "template.yaml")
SET_TEMPLATE = glue_templates.metric_set_template(SHOP)


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
    def with_placeholder(name: str) -> str:
        return re.sub(r"^(views|revenue)(?=.)", "<m>", name)

    names_of_the_set = {"platform", "marketplace", "views", "revenue"}
    for table in GLUE_TABLE_NAMES:
        for column in tables.schema(table, SHOP):
            assert column.name in names_of_the_set or f"`{with_placeholder(column.name)}`" in DOCS["lake.md"], column
    for view in (*views_of_set(SHOP, "anomalake", "parquet"), *views_over_all_sets([SHOP], "anomalake", "parquet")):
        assert view.name in DOCS["catalog.md"]
        for name in (column.name for column in view.columns):
            assert name in names_of_the_set or f"`{with_placeholder(name)}`" in DOCS["catalog.md"], name


def test_every_check_of_the_doctor_is_described():
    for name in doctor.ACCOUNT_CHECKS | doctor.LAKE_CHECKS | doctor.QUICKSIGHT_CHECKS:
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
        for template in (TEMPLATE, SET_TEMPLATE)
        for resource in template["Resources"].values()
        if "Alarm" in resource["Type"]
    ]
    assert len(alarms) == 6 + 2
    for alarm in alarms:
        name = alarm["AlarmName"]["Fn::Sub"].replace("${Prefix}", "<prefix>").replace("-shop-", "-<set>-")
        assert re.search(rf"^\| `{name}` \| .+ \| .+ \|$", DOCS["deploy.md"], re.MULTILINE), name
        if alarm["Namespace"] == "Anomalake" and "<set>" in name:
            assert f"| `{alarm['MetricName']}` |" in DOCS["detector.md"], name


def test_every_saved_query_is_described():
    for query in (*saved_queries_of_set(SHOP, "anomalake"), *saved_queries_over_all_sets([SHOP], "anomalake")):
        assert f"| `{query.name.replace('shop:', '<set>:')}` |" in DOCS["catalog.md"], query.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_every_relative_link_and_heading_anchor_exists(page: Path):
    for link, anchor in relative_links(page):
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), f"link to a missing file: {link}"
        if anchor:
            assert anchor in anchors(target), f"link to a missing heading: {link}#{anchor}"


def test_links_to_pages_and_headings_are_checked():
    assert sum(bool(anchor) for page in PAGES for _, anchor in relative_links(page)) > 50
    assert "from-amazon-lookout-for-metrics" in anchors(TOP / "docs" / "metric-sets.md")
    assert "no-such-heading" not in anchors(TOP / "docs" / "metric-sets.md")


def relative_links(page: Path) -> Iterator[tuple[str, str]]:
    """Return the links of a page to files of the project: path and anchor. Either can be empty."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            link, _, anchor = target.partition("#")
            yield link, anchor


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub creates for the headings of a page. The second heading with the same text ends in
    `-1`.
    """
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        base = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        repeated = sum(
            anchor == base or re.fullmatch(rf"{re.escape(base)}-\d+", anchor) is not None for anchor in found
        )
        found.append(f"{base}-{repeated}" if repeated else base)
    return frozenset(found)


def test_the_layout_in_the_readme_is_the_tree():
    (block,) = re.findall(r"^```\n(src/anomalake/ .*?)^```", README, re.MULTILINE | re.DOTALL)
    listed: list[str] = []
    for line in block.splitlines():
        name = line.split()[0]
        listed.append(f"src/anomalake/{name}" if line.startswith(" ") else name)
    for name in listed:
        assert (TOP / name).exists(), name
    package = {f"src/anomalake/{path.parent.name}/" for path in (TOP / "src" / "anomalake").glob("*/__init__.py")}
    assert package <= set(listed)
    starts = {re.match(r" *\S+ +", line).end() for line in block.splitlines()}
    assert len(starts) == 1, "the descriptions do not begin in one column"


def test_a_folder_of_the_package_imports_only_folders_that_the_readme_lists_before_it():
    order = [name.rstrip("/") for name in re.findall(r"^  (\w+/|\w+\.py) ", README, re.MULTILINE)]
    order = [name.removesuffix(".py") for name in order]
    package = TOP / "src" / "anomalake"
    for file in package.rglob("*.py"):
        unit = file.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or unit not in order:
                continue
            names = [f"anomalake.{name.name}" for name in node.names] if node.module == "anomalake" else [node.module]
            for imported in names:
                top, _, rest = (imported or "").partition(".")
                if top == "anomalake" and (other := rest.split(".")[0]) in order:
                    assert order.index(other) <= order.index(unit), f"{file.relative_to(TOP)} imports {imported}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/glossary.md"])
def test_every_file_and_name_in_the_guides_exists(page: str):
    """A file in backticks exists and has the names in parentheses, as in `lake/store.py` (`open_store`)."""
    text = (TOP / page).read_text("utf-8")
    name = r"`[\w.]+`"
    named = re.findall(rf"`([\w./-]+\.(?:py|md|ya?ml|json|txt|toml|css|js))`(?:\s+\(({name}(?:,\s+{name})*)\))?", text)
    assert len(named) > 10
    for path, names in named:
        found = [file for file in (TOP / path, TOP / "src" / "anomalake" / path) if file.exists()]
        assert found or "acme" in path, f"there is no file {path}"
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"\b{re.escape(name)}\b", found[0].read_text("utf-8")), f"{path} has no {name}"


def test_the_readme_begins_with_its_two_commands():
    assert README.index("make demo") < README.index("make test") < README.index("dashboard.png")


def test_commands_in_the_documentation_are_commands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^ {2,4}([a-z][a-z-]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE))
    assert {"init", "import-metric-set", "backtest", "doctor"} <= commands
    for page in PAGES:
        for command in re.findall(r"(?:^|(?<!from) |[`/])anomalake ([a-z-]+) ", page.read_text("utf-8")):
            assert command in {*commands, "and"}, f"{page.name}: {command}"
