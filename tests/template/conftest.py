"""The expanded template, for the tests of the template."""

from pathlib import Path

import pytest

from stack import Resource, expand, project
from template_project import METRIC_SETS, OWNER


@pytest.fixture(scope="session")
def template_file(tmp_path_factory) -> Path:
    """The template of a project with three metric sets: two have ten dimensions and ten measures, one has the
    longest names.
    """
    return project(tmp_path_factory.mktemp("three"), METRIC_SETS)


@pytest.fixture(scope="session")
def stack(template_file) -> dict[str, Resource]:
    """Every resource of the stack of that project."""
    return expand(template_file, **OWNER, QuickSightReader="group/default/readers")
