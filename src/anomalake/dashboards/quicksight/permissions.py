"""Permissions on QuickSight resources, as the QuickSight console grants them to owners and readers."""

from collections.abc import Sequence

from anomalake.cloudformation import Node

DATA_SOURCE_OWNER = (
    "DescribeDataSource",
    "DescribeDataSourcePermissions",
    "PassDataSource",
    "UpdateDataSource",
    "DeleteDataSource",
    "UpdateDataSourcePermissions",
)
DATASET_OWNER = (
    "DescribeDataSet",
    "DescribeDataSetPermissions",
    "PassDataSet",
    "DescribeIngestion",
    "ListIngestions",
    "UpdateDataSet",
    "DeleteDataSet",
    "CreateIngestion",
    "CancelIngestion",
    "UpdateDataSetPermissions",
    "CreateRefreshSchedule",
    "UpdateRefreshSchedule",
    "DeleteRefreshSchedule",
    "DescribeRefreshSchedule",
    "ListRefreshSchedules",
    "PutDataSetRefreshProperties",
    "DescribeDataSetRefreshProperties",
    "DeleteDataSetRefreshProperties",
)
ANALYSIS_OWNER = (
    "DescribeAnalysis",
    "DescribeAnalysisPermissions",
    "UpdateAnalysis",
    "UpdateAnalysisPermissions",
    "DeleteAnalysis",
    "QueryAnalysis",
    "RestoreAnalysis",
)
DASHBOARD_READER = ("DescribeDashboard", "ListDashboardVersions", "QueryDashboard")
DASHBOARD_OWNER = (
    *DASHBOARD_READER,
    "UpdateDashboard",
    "DeleteDashboard",
    "UpdateDashboardPublishedVersion",
    "DescribeDashboardPermissions",
    "UpdateDashboardPermissions",
)
FOLDER_READER = ("DescribeFolder",)
FOLDER_OWNER = (
    "CreateFolder",
    "DescribeFolder",
    "UpdateFolder",
    "DeleteFolder",
    "CreateFolderMembership",
    "DeleteFolderMembership",
    "DescribeFolderPermissions",
    "UpdateFolderPermissions",
)


def grant(arn_parameter: str, actions: Sequence[str]) -> Node:
    """Return the permission for the user or group whose ARN is in the template's parameter."""
    return {"Principal": {"Ref": arn_parameter}, "Actions": [f"quicksight:{action}" for action in actions]}
