"""What is rendered from the metric sets and committed: the templates of the catalog and of QuickSight. Pure."""

import json
from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.catalog import glue_templates
from anomalake.dashboards import quicksight
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

SCHEMAS = "glue/schemas.json"  # the dimensions and measures of every version that was ever rendered
FOLDERS = ("glue/sets", "quicksight/sets")  # what lies there is rendered, all of it


def render(sets: Sequence[MetricSet], known: str = "{}") -> dict[str, str]:
    """Every rendered file: its path below the project's top, and its text; `known` is the text of `SCHEMAS` so far.

    Raises `UserError` where dimensions or measures changed and `version` did not (the tables of a version have one schema), and where a template
    is larger than CloudFormation takes.
    """
    try:
        schemas: dict[str, dict[str, list[str]]] = json.loads(known)
    except ValueError as error:
        raise UserError(
            f"{SCHEMAS}: is not JSON ({error}); take back what it was, it remembers the schema of every version"
        ) from error
    for item in sets:
        schema = {"dimensions": list(item.dimension_names), "measures": list(item.measure_names)}
        before = schemas.setdefault(item.path, schema)
        if before != schema:
            raise UserError(
                f"metric set {item.name!r}: version {item.version} was rendered with dimensions {before['dimensions']} and measures "
                f"{before['measures']}, not {schema['dimensions']} and {schema['measures']}; raise `version` to {item.version + 1}"
            )
    templates = {"glue/template.json": glue_templates.catalog_template(sets)}
    templates |= {
        f"glue/{glue_templates.metric_set_file(item)}": glue_templates.metric_set_template(item) for item in sets
    }
    templates |= {f"quicksight/{name}": made for name, made in quicksight.build_templates(sets).items()}
    return {
        SCHEMAS: json.dumps(schemas, indent=1, sort_keys=True) + "\n",
        **{name: cloudformation.template_text(made, name) for name, made in templates.items()},
    }
