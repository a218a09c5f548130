"""What is rendered from the metric sets and committed: the catalog's template and the QuickSight definitions. Pure."""

import json
from collections.abc import Sequence

import yaml

from anomalake.catalog import glue, views
from anomalake.dashboards import definition
from anomalake.metric_set import MetricSet

_QUICKSIGHT_TYPES = {"varchar": "STRING", "double": "DECIMAL", "bigint": "INTEGER", "timestamp(3)": "DATETIME", "boolean": "BOOLEAN"}


def render(sets: Sequence[MetricSet]) -> dict[str, str]:
    """Every rendered file: its path below the project's top, and its text."""
    made = {"glue/template.yaml": "# Rendered by `anomalake render`; edit src/metric_sets instead.\n" + _yaml(glue.template(sets))}
    for item in sets:
        columns = {
            view.name: [{"Name": column.name, "Type": _QUICKSIGHT_TYPES[column.type]} for column in view.columns]
            for view in views.views(item, "anomalake", "parquet")
        }
        analysis = {"DataSets": columns, "Definition": definition.definition(item, definition.rolling(item))}
        made[f"quicksight/{item.name}.json"] = json.dumps(analysis, indent=1, ensure_ascii=False) + "\n"
    return made


def _yaml(document: object) -> str:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  (CloudFormation has no anchors)
            return True

    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=150)
