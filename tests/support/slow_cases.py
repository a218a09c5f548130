"""Keeps the first cases of a parametrized test in `make test`, and leaves the others to `make test-slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after(count: int, cases: Iterable[Any]) -> list[Any]:
    """Return the cases; those after the first `count` have the marker `slow`."""
    all_cases = list(cases)
    slow = (case if type(case) is tuple else (case,) for case in all_cases[count:])
    return [*all_cases[:count], *(pytest.param(*values, marks=pytest.mark.slow) for values in slow)]
