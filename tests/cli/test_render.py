"""`anomalake render`: which files it writes, removes and checks."""

import json
from pathlib import Path

from anomalake.cli.rendered_files import SCHEMAS, render
from anomalake.domain import metric_set_yaml
from command import run
from examples import shop_text


def test_the_rendered_files_match_the_metric_sets(capsys):
    top = Path(__file__).parents[2]
    for name, text in render(
        metric_set_yaml.load_all(top / "src/metric_sets"), (top / SCHEMAS).read_text("utf-8")
    ).items():
        assert (top / name).read_text("utf-8") == text, f"{name}: run `make render`"


def test_render_check_names_the_files_that_differ(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    (here / "src/metric_sets/shop.yaml").write_text(shop_text())
    assert run("render", "--check", capsys=capsys)[0] == 1
    status, out, _ = run("render", capsys=capsys)
    assert (
        status,
        {"glue/schemas.json", "glue/template.json", "glue/sets/shop.json", "quicksight/sets/shop/topic.json"}
        <= set(out.split()),
    ) == (
        0,
        True,
    )
    assert run("render", "--check", capsys=capsys)[:2] == (0, "")
    (here / "glue/template.json").write_text("edited by hand")
    assert "glue/template.json" in run("render", "--check", capsys=capsys)[2]


def test_render_removes_files_without_a_metric_set(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    for name in ("shop", "store"):
        (here / f"src/metric_sets/{name}.yaml").write_text(shop_text(name=f"name: {name}"))
    run("render", capsys=capsys)
    (here / "src/metric_sets/store.yaml").unlink()
    status, _, err = run("render", "--check", capsys=capsys)
    assert (status, "glue/sets/store.json" in err, (here / "glue/sets/store.json").exists()) == (1, True, True)
    assert "glue/sets/store.json (removed)" in run("render", capsys=capsys)[1]
    assert [file.name for file in here.rglob("*store*")] == []
    assert run("render", "--check", capsys=capsys)[:2] == (0, "")


def test_render_of_one_file_leaves_the_templates_of_the_others(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    for name in ("shop", "store"):
        (here / f"src/metric_sets/{name}.yaml").write_text(shop_text(name=f"name: {name}"))
    run("render", capsys=capsys)
    assert run("render", "--metric-set", "src/metric_sets/shop.yaml", capsys=capsys)[0] == 0
    assert (here / "glue/sets/store.json").exists()


def test_a_damaged_file_of_schemas_is_reported_in_one_line(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    (here / "src/metric_sets/shop.yaml").write_text(shop_text())
    (here / "glue").mkdir()
    (here / "glue/schemas.json").write_text("<<<<<<< HEAD")
    status, _, err = run("render", capsys=capsys)
    assert (
        status,
        err.startswith("anomalake: glue/schemas.json: is not JSON"),
        (here / "glue/template.json").exists(),
    ) == (1, True, False)


def test_render_rejects_a_changed_schema_under_an_old_version_and_keeps_the_files(here, capsys):
    (here / "src/metric_sets").mkdir(parents=True)
    file = here / "src/metric_sets/shop.yaml"
    file.write_text(shop_text())
    assert run("render", capsys=capsys)[0] == 0
    before = (here / "glue/template.json").read_text()
    changed = shop_text(dimensions="dimensions: [marketplace]")
    file.write_text(changed)
    status, _, err = run("render", capsys=capsys)
    assert (status, "raise `version` to 2" in err) == (1, True)
    assert (here / "glue/template.json").read_text() == before
    file.write_text(changed.replace("name: shop", "name: shop\nversion: 2"))
    assert run("render", capsys=capsys)[0] == 0
    assert set(json.loads((here / SCHEMAS).read_text())) == {"shop/v1", "shop/v2"}
