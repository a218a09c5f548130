"""The definition of an analysis: its ids."""

from anomalake.dashboards import definition
from anomalake.domain import metric_set_yaml
from large_set import LARGE_SET_YAML, find_values
from shop_page import WINDOW


def test_names_with_hyphens_give_different_ids():
    measures = "{name: a, aggregation: SUM}, {name: a-b, aggregation: SUM}, {name: a-choose, aggregation: SUM}"
    text = LARGE_SET_YAML % ("b-c, c, choose-b, b", measures, "b-c, c, choose-b, b, a, a-b, a-choose")
    analysis = definition.build_set_definition(metric_set_yaml.parse(text, "big"), WINDOW)
    for field in ("VisualId", "FilterGroupId", "FilterControlId"):
        ids = [value for value in find_values(analysis, field) if isinstance(value, str)]
        assert len(set(ids)) == len(ids), field
