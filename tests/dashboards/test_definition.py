"""The definition of an analysis: its ids."""

from anomalake.dashboards import definition
from anomalake.domain import metric_set_yaml
from large_set import BIG, named
from shop_page import WINDOW


def test_names_with_hyphens_never_make_one_id_of_two():
    text = BIG % ("b-c, c, choose-b, b", "{name: a, aggregation: SUM}, {name: a-b, aggregation: SUM}, {name: a-choose, aggregation: SUM}",
                  "b-c, c, choose-b, b, a, a-b, a-choose")  # fmt: skip
    made = definition.build_set_definition(metric_set_yaml.parse(text, "big"), WINDOW)
    for name in ("VisualId", "FilterGroupId", "FilterControlId"):
        own = [value for value in named(made, name) if isinstance(value, str)]
        assert len(set(own)) == len(own), name
