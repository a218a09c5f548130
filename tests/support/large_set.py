"""A metric set with ten dimensions and ten measures with unusual names, and a search in nested definitions."""

from anomalake.domain import metric_set, metric_set_yaml

LARGE_SET_YAML = """
name: big
frequency: PT5M
timezone: Europe/Berlin
timestamp: {column: at, format: UNIX}
dimensions: [%s]
measures: [%s]
source: {path: "x/{{yyyy}}/{{MM}}/{{dd}}/{{HHmm}}", format: csv, columns: [at, %s]}
"""


def large_metric_set() -> metric_set.MetricSet:
    """The metric set with ten dimensions and ten measures with unusual names."""
    dimensions, measures = [f"D-{n}_x" for n in range(10)], [f"0m-{n}" for n in range(10)]
    listed = ", ".join(
        f'{{name: {m}, aggregation: {"AVG" if m[-1] in "13" else "SUM"}, label: "<{m}> & more"}}' for m in measures
    )
    return metric_set_yaml.parse(
        LARGE_SET_YAML % (", ".join(dimensions), listed, ", ".join([*dimensions, *measures])), "big"
    )


def find_values(node: object, name: str) -> list:
    """All values of a field anywhere in a definition."""
    if isinstance(node, dict):
        return [
            found
            for key, value in node.items()
            for found in ([value] if key == name else []) + find_values(value, name)
        ]
    return [found for value in node for found in find_values(value, name)] if isinstance(node, list) else []
