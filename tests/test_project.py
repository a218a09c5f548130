"""The files of the project: lock files that pip verifies, and environments with only what their target needs."""

import ast
import subprocess
from pathlib import Path

import pytest

from lock_files import list_pins_without_hash, read_pins

TOP = Path(__file__).parents[1]
LOCKS = sorted([TOP / "constraints.txt", *(TOP / ".ci").glob("*.txt"), *(TOP / "layers").glob("*.txt")])


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.relative_to(TOP).as_posix())
def test_a_lock_file_has_a_hash_for_every_package_and_names_no_registry(file: Path):
    assert read_pins(file)
    assert list_pins_without_hash(file) == []
    assert "://" not in file.read_text("utf-8")
    assert "index-url" not in file.read_text("utf-8")


@pytest.mark.parametrize("name", [".ci/demo.txt", "layers/base.txt", "layers/numpy.txt"])
def test_deployed_packages_have_the_versions_of_the_tests(name: str):
    assert read_pins(TOP / name) <= read_pins(TOP / "constraints.txt")


def test_the_demo_and_the_tests_install_no_linter_and_no_cloudformation_tool():
    tools = {"cfn-lint", "sympy", "networkx", "mypy", "ruff", "aws-sam-cli", "checkov", "vl-convert-python"}
    assert not tools & {pin.partition("==")[0] for pin in read_pins(TOP / "constraints.txt")}


def find_imports(module: str, imported: set[str]) -> set[str]:
    """Add the module and all modules of the project that are imported with it to `imported`."""
    if module in imported:
        return imported
    file = TOP / "src" / (module.replace(".", "/") + ".py")
    file = file if file.exists() else TOP / "src" / module.replace(".", "/") / "__init__.py"
    imported.add(module)
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("anomalake"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in (node.module, *filter(is_module, names)):
                find_imports(name, imported)
    return imported


def is_module(name: str) -> bool:
    path = TOP / "src" / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


@pytest.mark.parametrize(("function", "variable"), [("ingest", "INGEST"), ("detect", "DETECT")])
def test_every_module_that_a_function_imports_is_in_the_list_of_what_sam_builds(function, variable):
    printed = subprocess.run(
        ["make", "-f", TOP / "src/Makefile", "--eval", f"print-it: ; @echo $({variable})", "print-it"],
        capture_output=True,
        text=True,
        check=True,
        cwd=TOP / "src",
    ).stdout.split()
    imported = {name.replace(".", "/") for name in find_imports(f"anomalake.functions.{function}", set())}
    folders = {item for item in printed if not item.endswith(".py")}  # copied as a whole
    for name in sorted(imported - {"anomalake"}):
        path = name.removeprefix("anomalake/")
        is_built = path.split("/")[0] in folders or f"{path}.py" in printed or f"{path}/__init__.py" in printed
        assert is_built, f"src/Makefile: add {path}.py to {variable}, because functions/{function}.py imports it"
