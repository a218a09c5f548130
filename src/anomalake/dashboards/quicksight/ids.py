"""Ids of the resources in QuickSight."""

from anomalake.cloudformation import PREFIX_PLACEHOLDER, Node, fn_sub
from anomalake.domain.metric_set import MetricSet


def resource_id(metric_set: MetricSet, prefix: str = PREFIX_PLACEHOLDER) -> str:
    """Return the id of the metric set's analysis, dashboard and topic.

    The name of a metric set has no hyphen, so different metric sets have different ids.
    """
    return f"{prefix}-set-{metric_set.name.replace('_', '-')}"


def all_sets_resource_id(prefix: str = PREFIX_PLACEHOLDER) -> str:
    """Return the id of the analysis and dashboard over all metric sets."""
    return f"{prefix}-all"


def dataset_id(metric_set: MetricSet | None, view: str, prefix: str = PREFIX_PLACEHOLDER) -> str:
    """Return the id of the dataset over a view of the metric set, or over a view of all metric sets (None)."""
    return f"{resource_id(metric_set, prefix) if metric_set else prefix}-{view.replace('_', '-')}"


def dataset_arn(metric_set: MetricSet | None, view: str) -> Node:
    """Return the ARN of the dataset over a view of the metric set, or over a view of all metric sets (None)."""
    account = "arn:${AWS::Partition}:quicksight:${AWS::Region}:${AWS::AccountId}"
    return fn_sub(f"{account}:dataset/{dataset_id(metric_set, view)}")
