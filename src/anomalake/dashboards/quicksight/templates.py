"""The list of templates: the stack, the template over all metric sets, and four templates for each metric set."""

from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.cloudformation import Node
from anomalake.dashboards import definition
from anomalake.dashboards.quicksight.analysis import build_analysis, build_dashboard
from anomalake.dashboards.quicksight.datasets import build_all_sets_datasets, build_set_datasets
from anomalake.dashboards.quicksight.ids import all_sets_resource_id, dataset_arn, resource_id
from anomalake.dashboards.quicksight.stack import build_stack
from anomalake.dashboards.quicksight.template_files import (
    ANALYSIS_PARAMETERS,
    DASHBOARD_PARAMETERS,
    DATASET_PARAMETERS,
    TOPIC_PARAMETERS,
    set_template_file,
)
from anomalake.dashboards.quicksight.topic import build_topic
from anomalake.domain.metric_set import MetricSet

ROLLING_DAYS_OF_ALL_SETS = 30


def build_templates(sets: Sequence[MetricSet]) -> dict[str, Node]:
    """Return every template by its file name in `quicksight/`. `template.json` is the parent of all others."""
    templates = {"template.json": build_stack(sets), "all.json": _build_all_sets_template(sets)}
    for metric_set in sets:
        for part, template in _build_set_templates(metric_set).items():
            templates[set_template_file(metric_set, part)] = template
    return templates


def _build_set_templates(metric_set: MetricSet) -> dict[str, Node]:
    name, title, identity = metric_set.name, metric_set.title, resource_id(metric_set)
    arns = {view: dataset_arn(metric_set, view) for view in definition.DATASETS}
    analysis = definition.build_set_definition(metric_set, definition.rolling_window(metric_set), arns)
    return {
        "datasets": cloudformation.build_template(
            f"The datasets of {name}.", DATASET_PARAMETERS, ["IsSpice"], build_set_datasets(metric_set)
        ),
        "analysis": cloudformation.build_template(
            f"The analysis of {name}.", ANALYSIS_PARAMETERS, [], {"Analysis": build_analysis(identity, title, analysis)}
        ),
        "dashboard": cloudformation.build_template(
            f"The dashboard of {name}.",
            DASHBOARD_PARAMETERS,
            ["HasReader"],
            {"Dashboard": build_dashboard(identity, title, analysis)},
        ),
        "topic": cloudformation.build_template(
            f"The topic of {name}.", TOPIC_PARAMETERS, [], {"Topic": build_topic(metric_set)}
        ),
    }


def _build_all_sets_template(sets: Sequence[MetricSet]) -> Node:
    resources, logical_ids = build_all_sets_datasets(sets)
    has_minutes = any(definition.finest_granularity(metric_set) == "MINUTE" for metric_set in sets)
    window = definition.Window(
        f"addDateTime(-{ROLLING_DAYS_OF_ALL_SETS}, 'DD', now())",
        "addDateTime(1, 'DD', now())",
        "MINUTE" if has_minutes else "HOUR",
    )
    arns = {view: dataset_arn(None, view) for view in definition.ALL_DATASETS}
    analysis = definition.build_all_sets_definition(window, arns)
    identity, title = all_sets_resource_id(), "All metric sets"
    after = {"DependsOn": logical_ids}
    resources["Analysis"] = {**build_analysis(identity, title, analysis), **after}
    resources["Dashboard"] = {**build_dashboard(identity, title, analysis), **after}
    parameters = (*DATASET_PARAMETERS, "ReaderArn", "FolderArn")
    return cloudformation.build_template("All metric sets.", parameters, ["IsSpice", "HasReader"], resources)
