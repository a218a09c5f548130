"""The template with three metric sets that the tests of the template expand, and searches in its resources."""

from typing import Any

from anomalake.domain import metric_set_yaml
from examples import shop_text
from large_set import large_metric_set
from stack import TOP, Resource, read

OWNER = {"QuickSightOwner": "user/default/alice"}


TEMPLATE = read(TOP / "template.yaml")


LONG_NAMES = metric_set_yaml.parse(
    shop_text(
        name=f"name: {'a' * 41}",
        dimensions="dimensions: [" + ", ".join(f"{'d' * 61}{n:02}" for n in range(10)) + "]",
        source='source: {path: "x/{{yyyyMMdd}}/{{HHmm}}", format: jsonl, columns: [t, '
        + ", ".join([*(f"{'d' * 61}{n:02}" for n in range(10)), *(f"{'m' * 44}{n:02}" for n in range(10))])
        + "]}",
        timestamp="timestamp: {column: t, format: UNIX}",
    ).split("measures:")[0]
    + "measures: ["
    + ", ".join(f"{{name: {'m' * 44}{n:02}, aggregation: SUM}}" for n in range(10))
    + "]\n"
    + 'source: {path: "x/{{yyyyMMdd}}/{{HHmm}}", format: jsonl, columns: [t, '
    + ", ".join([*(f"{'d' * 61}{n:02}" for n in range(10)), *(f"{'m' * 44}{n:02}" for n in range(10))])
    + "]}\n",
    "long",
)


METRIC_SETS = (metric_set_yaml.parse(shop_text(), "shop"), large_metric_set(), LONG_NAMES)


def list_resources(resources: dict[str, Resource], kind: str) -> list[Resource]:
    return [resource for resource in resources.values() if resource.type == kind]


def list_statements(resource: Resource) -> list[dict[str, Any]]:
    own = resource.properties
    documents = (
        [own["PolicyDocument"]]
        if "PolicyDocument" in own
        else [policy["PolicyDocument"] for policy in own.get("Policies", ())]
    )
    return [statement for document in documents for statement in document["Statement"]]
