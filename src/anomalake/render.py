"""What is rendered from the metric sets and committed: the catalog's template and the QuickSight definitions. Pure."""

import json
from collections.abc import Sequence

import yaml

from anomalake.catalog import glue, views
from anomalake.dashboards import definition
from anomalake.errors import UserError
from anomalake.metric_set import MetricSet

_QUICKSIGHT_TYPES = {"varchar": "STRING", "double": "DECIMAL", "bigint": "INTEGER", "timestamp(3)": "DATETIME", "boolean": "BOOLEAN"}


SCHEMAS = "glue/schemas.json"  # the dimensions and measures of every version that was ever rendered


def render(sets: Sequence[MetricSet], known: str = "{}") -> dict[str, str]:
    """Every rendered file: its path below the project's top, and its text; `known` is the text of `SCHEMAS` so far.

    Raises `UserError` where dimensions or measures changed and `version` did not: the tables of a version have one schema.
    """
    schemas: dict[str, dict[str, list[str]]] = json.loads(known)
    for item in sets:
        schema = {"dimensions": list(item.dimension_names), "measures": list(item.measure_names)}
        before = schemas.setdefault(item.path, schema)
        if before != schema:
            raise UserError(
                f"metric set {item.name!r}: version {item.version} was rendered with dimensions {before['dimensions']} and measures "
                f"{before['measures']}, not {schema['dimensions']} and {schema['measures']}; raise `version` to {item.version + 1}"
            )
    made = {SCHEMAS: json.dumps(schemas, indent=1, sort_keys=True) + "\n"}
    made |= {"glue/template.yaml": "# Rendered by `anomalake render`; edit src/metric_sets instead.\n" + _yaml(glue.template(sets))}
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
