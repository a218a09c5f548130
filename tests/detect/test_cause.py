"""The root cause of an event: the fewest combinations of dimension values that explain it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalake.detect import cause
from anomalake.detect.cause import Cause

PLATFORMS, MARKETS, KINDS = ("app", "pc", "tv"), ("de", "fr", "uk", "us"), ("new", "old", None)
SERIES = list(itertools.product(PLATFORMS, MARKETS, KINDS))
NAMES = ("platform", "market", "kind")


def causes_of(
    changes: dict[tuple, float], seed: int = 1, series=SERIES, noise: float = 1.0, names=NAMES
) -> tuple[Cause, ...]:
    """Return the causes after the factors are applied to the series. Series are anomalous beyond 4.3 spreads."""
    generator = np.random.default_rng(seed)
    expected = np.exp(generator.normal(5, 0.6, len(series)))
    value = expected + noise * np.sqrt(expected) * generator.normal(size=len(series))
    for combination, factor in changes.items():
        for i, values in enumerate(series):
            if all(want is ... or want == part for want, part in zip(combination, values, strict=True)):
                value[i] = expected[i] * factor
    anomalous = np.flatnonzero(np.abs(value - expected) > 4.3 * np.sqrt(expected))
    return cause.find_causes(names, series, value, expected, anomalous)


def values(causes: tuple[Cause, ...]) -> set[tuple]:
    return {cause.values for cause in causes}


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ((..., ..., ...), ()),
        (("pc", ..., ...), (("platform", "pc"),)),
        ((..., "us", "new"), (("market", "us"), ("kind", "new"))),
        (("tv", "de", "old"), (("platform", "tv"), ("market", "de"), ("kind", "old"))),
        ((..., ..., None), (("kind", None),)),
    ],
)
@pytest.mark.parametrize("factor", [0.3, 3])
def test_the_combination_that_changed_is_the_cause(wanted, named, factor):
    (one,) = causes_of({wanted: factor})
    assert one.values == named
    assert one.explains == pytest.approx(1)


def test_two_causes_are_found_and_the_cause_that_explains_more_is_first():
    first, second = causes_of({("pc", ..., ...): 0.2, ("app", "de", ...): 0.3})
    assert first.values == (("platform", "pc"),)
    assert second.values == (("platform", "app"), ("market", "de"))
    assert first.explains > second.explains


def test_small_series_that_changed_with_the_cause_support_it():
    expected = np.array([1000.0, 900, 8, 5, 700, 600, 9, 6])
    series = [(platform, f"m{number}") for platform in ("pc", "app") for number in range(4)]
    value = expected * np.array([0.5, 0.5, 0.5, 0.6, 1, 1, 1, 1])
    assert values(cause.find_causes(("platform", "market"), series, value, expected, np.array([0, 1]))) == {
        (("platform", "pc"),)
    }


def test_unknown_values_are_not_a_cause():
    nothing = np.array([], np.int64)
    assert cause.find_causes(NAMES, [], np.array([]), np.array([]), nothing) == ()
    assert cause.find_causes(("a",), [("x",)], np.array([1.0]), np.array([1.0]), np.array([0])) == ()
    assert cause.find_causes(("a",), [("x",)], np.array([np.nan]), np.array([1.0]), np.array([0])) == ()
    assert cause.find_causes((), [()], np.array([9.0]), np.array([1.0]), np.array([0])) == (Cause((), 1.0),)


@given(st.permutations(range(len(SERIES))), st.integers(0, 20))
def test_the_order_of_the_series_does_not_matter(order, seed):
    causes = causes_of({("pc", "us", ...): 0.4, (..., ..., "old"): 2.0}, seed)
    generator = np.random.default_rng(seed)
    expected = np.exp(generator.normal(5, 0.6, len(SERIES)))
    value = expected + np.sqrt(expected) * generator.normal(size=len(SERIES))
    for i, (platform, market, kind) in enumerate(SERIES):
        if (platform, market) == ("pc", "us"):
            value[i] = expected[i] * 0.4
        if kind == "old":
            value[i] = expected[i] * 2.0
    anomalous = np.flatnonzero(np.abs(value - expected) > 4.3 * np.sqrt(expected))
    place = {number: i for i, number in enumerate(order)}
    again = cause.find_causes(
        NAMES,
        [SERIES[i] for i in order],
        value[list(order)],
        expected[list(order)],
        np.array([place[i] for i in anomalous]),
    )
    assert again == causes


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y"]), st.floats(), st.floats(), st.booleans()
        ),
        max_size=12,
    ),
)
def test_the_explained_share_lies_between_0_and_1_for_all_numbers(rows):
    series = [row[:2] for row in rows]
    affected = np.array([i for i, row in enumerate(rows) if row[4]], np.int64)
    with np.errstate(all="ignore"):
        causes = cause.find_causes(
            ("a", "b"),
            series,
            np.array([row[2] for row in rows], float),
            np.array([row[3] for row in rows], float),
            affected,
        )
    assert all(0 < cause.explains <= 1 + 1e-9 for cause in causes)
    assert sum(cause.explains for cause in causes) <= 1 + 1e-9
    assert len(set(values(causes))) == len(causes) <= cause.MAX_CAUSES


def test_the_search_is_bounded_for_many_dimensions_and_series(monkeypatch):
    monkeypatch.setattr(cause, "MAX_GROUPED_SERIES", 100)
    combinations = values(causes_of({("pc", ..., ...): 0.3}))
    assert 0 < len(combinations) <= cause.MAX_CAUSES
    assert all(dict(combination)["platform"] == "pc" and len(combination) == len(NAMES) for combination in combinations)


def test_causes_are_formatted_as_one_line_of_limited_length():
    causes = (Cause((("platform", "pc_web"), ("market", None)), 0.83), Cause((), 0.12))
    assert cause.format_causes(causes) == "platform=pc_web, market=(null) (83 %); all series (12 %)"
    assert len(cause.format_causes([Cause((("a", "x" * 200),), 0.1)] * 5)) == cause.MAX_TEXT_LENGTH
