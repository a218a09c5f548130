"""The stack: the data source, the folder, and a nested stack for each template."""

from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.cloudformation import (
    ACCOUNT_ID,
    NO_VALUE,
    PREFIX_PLACEHOLDER,
    Node,
    fn_if,
    fn_sub,
    metric_set_logical_id,
    nested_stack,
)
from anomalake.dashboards.quicksight.permissions import DATA_SOURCE_OWNER, FOLDER_OWNER, FOLDER_READER, grant
from anomalake.dashboards.quicksight.role import build_role
from anomalake.dashboards.quicksight.template_files import (
    ANALYSIS_PARAMETERS,
    DASHBOARD_PARAMETERS,
    DATASET_PARAMETERS,
    STACK_PARAMETERS,
    TOPIC_PARAMETERS,
    set_template_file,
)
from anomalake.domain.metric_set import MetricSet

# Regions that have AWS::QuickSight::Topic, as CloudFormation's schemas list them. Fn::Or takes at most ten conditions.
TOPIC_REGIONS = (
    ("us-east-1", "us-east-2", "us-west-2", "ca-central-1", "sa-east-1", "eu-central-1", "eu-west-1", "eu-west-2"),
    ("ap-south-1", "ap-northeast-1", "ap-southeast-1", "ap-southeast-2"),
)


def build_stack(sets: Sequence[MetricSet]) -> Node:
    """Return the template of the QuickSight stack."""
    resources: Node = {
        "Role": build_role(sets),
        "DataSource": _build_data_source(),
        "Folder": _build_folder(),
        "All": _nest("all.json", (*DATASET_PARAMETERS, "ReaderArn", "FolderArn")),
    }
    for metric_set in sets:
        resources |= _nest_set_templates(metric_set)
    template = cloudformation.build_template(
        "Anomalake in QuickSight.", STACK_PARAMETERS, ["HasKey", "HasReader"], resources
    )
    template["Conditions"]["HasTopics"] = _build_topics_condition()
    template["Outputs"] = {
        "RoleArn": {
            "Description": "The role that QuickSight assumes to query Athena.",
            "Value": {"Fn::GetAtt": ["Role", "Arn"]},
        }
    }
    return template


def _build_data_source() -> Node:
    athena = {"WorkGroup": {"Ref": "WorkGroup"}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
    return {
        "Type": "AWS::QuickSight::DataSource",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "DataSourceId": fn_sub(PREFIX_PLACEHOLDER),
            "Name": fn_sub(PREFIX_PLACEHOLDER),
            "Type": "ATHENA",
            "DataSourceParameters": {"AthenaParameters": athena},
            "Permissions": [grant("OwnerArn", DATA_SOURCE_OWNER)],
        },
    }


def _build_folder() -> Node:
    return {
        "Type": "AWS::QuickSight::Folder",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "FolderId": fn_sub(PREFIX_PLACEHOLDER),
            "Name": fn_sub(PREFIX_PLACEHOLDER),
            "FolderType": "SHARED",
            "Permissions": [
                grant("OwnerArn", FOLDER_OWNER),
                fn_if("HasReader", grant("ReaderArn", FOLDER_READER), NO_VALUE),
            ],
        },
    }


def _nest_set_templates(metric_set: MetricSet) -> Node:
    """Return the nested stacks of a metric set; all others come after the datasets."""
    base = metric_set_logical_id(metric_set)
    after = [f"{base}Datasets"]
    topic = _nest(set_template_file(metric_set, "topic"), TOPIC_PARAMETERS, after)
    return {
        f"{base}Datasets": _nest(set_template_file(metric_set, "datasets"), DATASET_PARAMETERS),
        f"{base}Analysis": _nest(set_template_file(metric_set, "analysis"), ANALYSIS_PARAMETERS, after),
        f"{base}Dashboard": _nest(set_template_file(metric_set, "dashboard"), DASHBOARD_PARAMETERS, after),
        f"{base}Topic": {**topic, "Condition": "HasTopics"},
    }


def _nest(file: str, parameters: Sequence[str], after: Sequence[str] = ()) -> Node:
    """Return a nested stack.

    It gets the ARNs of the data source and folder from this stack, and the values of this stack's other parameters.
    """
    arns = {"DataSourceArn": {"Fn::GetAtt": ["DataSource", "Arn"]}, "FolderArn": {"Fn::GetAtt": ["Folder", "Arn"]}}
    own_arns = {name: arn for name, arn in arns.items() if name in parameters}
    return nested_stack(file, [name for name in parameters if name not in arns], after=after, **own_arns)


def _build_topics_condition() -> Node:
    regions = [
        {"Fn::Or": [{"Fn::Equals": [{"Ref": "AWS::Region"}, region]} for region in group]} for group in TOPIC_REGIONS
    ]
    return {"Fn::And": [{"Fn::Equals": [{"Ref": "Topics"}, "on"]}, {"Fn::Or": regions}]}
