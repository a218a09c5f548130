"""The files of the project: lock files that pip verifies, and environments with only what their target needs."""

from pathlib import Path

import pytest

from lock_files import pins, without_hash

TOP = Path(__file__).parents[1]
LOCKS = sorted([TOP / "constraints.txt", *(TOP / ".ci").glob("*.txt"), *(TOP / "layers").glob("*.txt")])


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.relative_to(TOP).as_posix())
def test_a_lock_file_has_a_hash_for_every_package_and_names_no_registry(file: Path):
    assert pins(file)
    assert without_hash(file) == []
    assert "://" not in file.read_text("utf-8")
    assert "index-url" not in file.read_text("utf-8")


@pytest.mark.parametrize("name", [".ci/demo.txt", "layers/base.txt", "layers/numpy.txt"])
def test_deployed_packages_have_the_versions_of_the_tests(name: str):
    assert pins(TOP / name) <= pins(TOP / "constraints.txt")


def test_the_demo_and_the_tests_install_no_linter_and_no_cloudformation_tool():
    tools = {"cfn-lint", "sympy", "networkx", "mypy", "ruff", "aws-sam-cli", "checkov", "vl-convert-python"}
    assert not tools & {pin.partition("==")[0] for pin in pins(TOP / "constraints.txt")}
