"""YAML and JMESPath that expand to large values: rejected with a short message, without expanding them."""

import json

import pytest

from anomalake.domain import expressions, metric_set_yaml, strict_yaml
from anomalake.domain.errors import UserError
from examples import shop_text

DOUBLING = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"version: {'9' * 5_000}", "line 1: a number has 5,000 characters; the limit is 40"),
        (f"version: 0x{'f' * 50_000}", "line 1: a number has 50,002 characters"),
        (f"version: 1{':59' * 20_000}", "a number has 60,001 characters"),
        (f"version: 1{':59' * 20_000}.5", "a number has"),
        (f"version: {'9' * 5_000}.0", "a number has 5,002 characters"),
        ("version: !!int x", "is not valid YAML"),
        ("version: !!bool maybe", "is not valid YAML"),
        ("version: !!float x", "is not valid YAML"),
        ("version: !!python/object:os.system x", "could not determine a constructor"),
        ("mapping:\n" + "".join(f"  a{n}: x\n" for n in range(12_000)), "more than 20,000 values"),
        ("measures: [" + "{}, " * 30_000 + "{}]", "more than 20,000 values"),
        (DOUBLING, "more than 20,000 values"),
        (DOUBLING.replace("[*", "{<<: [*").replace("]\n", "]}\n"), "is not valid YAML"),
        ("a: &a [*a]", "the alias in line 1 is inside the value that it refers to"),
        ("a: &a {b: *a}", "the alias in line 1 is inside"),
        ("a" * 200_001, "is longer than 200,000 characters"),
        ("? [a, b]\n: c", "the name of a field must be a text"),
        ("? {a: b}\n: c", "the name of a field must be a text"),
        (f"{'x' * 1_000}: 1\n{'x' * 1_000}: 2", "occurs twice"),
        ("[" * 5_000, "nested too deeply"),
        ("{a: " * 5_000, "nested too deeply"),
        ('label: "\\ud800"', "half of a surrogate pair"),
        ('label: "\\U00110000"', "is not valid YAML"),
        ("label: \x07", "is not valid YAML"),
        ("", "contains no metric set"),
    ],
)
def test_file_that_expands_beyond_the_limits_is_rejected_with_a_short_message(text, message):
    with pytest.raises(UserError) as caught:
        metric_set_yaml.parse(text, "shop.yaml")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).startswith("shop.yaml: ")


def test_work_grows_linearly_with_the_number_of_fields():
    def count_composed_nodes(count: int) -> int:
        loader = strict_yaml._Loader("\n".join(f"a{n}: {n}" for n in range(count)))
        assert len(loader.get_single_data()) == count
        return len(loader.sizes)

    assert count_composed_nodes(4_000) <= 4 * count_composed_nodes(1_000)


def test_alias_can_be_used_several_times():
    text = (
        shop_text()
        + "alerts: {snoozed: [{until: &day 2026-08-01, measures: &all [views, revenue]}, "
        + "{until: *day, measures: *all}]}\n"
    )
    first, second = metric_set_yaml.parse(text, "shop.yaml").alerts.snoozed
    assert first == second


def test_message_about_thousands_of_names_is_short():
    names = ", ".join(f"d{n}" for n in range(9_000))
    for text in (
        shop_text(dimensions=f"dimensions: [{names}]"),
        shop_text().replace("columns: [platform", f"columns: [{names}"),
        shop_text() + f"alerts: {{measures: [{names}]}}\n",
        shop_text() + f"mapping: {{{', '.join(f'd{n}: x' for n in range(9_000))}}}\n",
    ):
        with pytest.raises(UserError) as caught:
            metric_set_yaml.parse(text, "shop.yaml")
        assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "expression",
    [
        " | ".join(["[@, @]"] * 60),
        " | ".join(["[@, @][]"] * 60),
        " | ".join(["{a: @, b: @}"] * 60),
        " | ".join(["join('', [@, @])"] * 60),
        " | ".join(["to_string(@)"] * 60),
        " | ".join(["map(&[@, @], @)", "@[]"] * 30),
        "[" + ", ".join(["@[*].[@[*]]"] * 40) + "]" + " | [@, @][] | [][]" * 20,
    ],
)
@pytest.mark.parametrize("document", ["x", ["x", "y"], {"a": '"\\"'}])
def test_expression_that_doubles_its_result_ends_in_an_error_or_a_bounded_result(expression, document):
    try:
        found = expressions.search(expression, document)
    except (ValueError, TypeError):
        return
    assert len(json.dumps(found)) < 20 * expressions.MAX_EVALUATION_COST


def test_too_long_expression_is_rejected():
    with pytest.raises(
        UserError,
        match=r"mapping.metricName: '.*' is not a JMESPath expression: it has 5001 characters; the limit is 4000",
    ):
        metric_set_yaml.parse(shop_text() + f"mapping: {{timestamp: t, metricName: {'a' * 5_001}}}\n", "shop.yaml")


def test_expressions_give_the_same_results_as_the_library():
    document = {"a": [{"b": 1, "c": "x"}, {"b": 2, "c": "y"}], "n": {"m": [1, 2, [3]]}}
    import jmespath

    for expression in (
        "a[?b > `1`].c",
        "a[*].{x: b, y: c}",
        "n.m[]",
        "sort_by(a, &b)[-1]",
        "join('-', a[].c)",
        "length(a)",
        "nothing",
        "a[?b == `1`] | [0]",
    ):
        assert expressions.search(expression, document) == jmespath.search(expression, document)
