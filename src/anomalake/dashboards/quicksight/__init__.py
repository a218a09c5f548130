"""Builds the CloudFormation templates of the QuickSight stack. Pure.

`templates` builds all of them from `stack`, `role`, `datasets` with `refresh`, `analysis` and `topic`.

Sources: the `AWS::QuickSight::*` pages of the CloudFormation guide; the permissions are those that the QuickSight
console grants.
"""

from anomalake.dashboards.quicksight.ids import all_sets_resource_id, dataset_arn, dataset_id, resource_id
from anomalake.dashboards.quicksight.templates import build_templates

__all__ = ["all_sets_resource_id", "build_templates", "dataset_arn", "dataset_id", "resource_id"]
