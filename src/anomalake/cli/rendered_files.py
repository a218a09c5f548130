"""Renders the committed templates of the catalog and of QuickSight from the metric sets. Does no input or output."""

import json
from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.catalog import glue_templates
from anomalake.dashboards import quicksight
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

SCHEMAS = "glue/schemas.json"  # the dimensions and measures of every version that was rendered before
FOLDERS = ("glue/sets", "quicksight/sets")  # folders that hold rendered files only


def render(metric_sets: Sequence[MetricSet], known: str = "{}") -> dict[str, str]:
    """Return the rendered files: path in the project -> text. `known` is the present text of `SCHEMAS`.

    Raises `UserError` where the dimensions or measures changed and `version` did not (the tables of a version have one
    schema), and where a template is larger than CloudFormation accepts.
    """
    try:
        schemas: dict[str, dict[str, list[str]]] = json.loads(known)
    except ValueError as error:
        raise UserError(
            f"{SCHEMAS}: is not JSON ({error}); restore the committed file, which has the schema of every version"
        ) from error
    for metric_set in metric_sets:
        schema = {"dimensions": list(metric_set.dimension_names), "measures": list(metric_set.measure_names)}
        before = schemas.setdefault(metric_set.path, schema)
        if before != schema:
            raise UserError(
                f"metric set '{metric_set.name}': version {metric_set.version} was rendered with {_describe(before)}, "
                f"and now has {_describe(schema)}; raise `version` to {metric_set.version + 1}"
            )
    templates = {"glue/template.json": glue_templates.catalog_template(metric_sets)}
    templates |= {
        f"glue/{glue_templates.metric_set_file(metric_set)}": glue_templates.metric_set_template(metric_set)
        for metric_set in metric_sets
    }
    templates |= {f"quicksight/{name}": template for name, template in quicksight.build_templates(metric_sets).items()}
    return {
        SCHEMAS: json.dumps(schemas, indent=1, sort_keys=True) + "\n",
        **{name: cloudformation.template_text(template, name) for name, template in templates.items()},
    }


def _describe(schema: dict[str, list[str]]) -> str:
    dimensions, measures = (", ".join(schema[kind]) or "(none)" for kind in ("dimensions", "measures"))
    return f"the dimensions {dimensions} and the measures {measures}"
