"""The analysis and the dashboard, with the same definition: owners change the analysis, readers see the dashboard."""

from anomalake.cloudformation import ACCOUNT_ID, NO_VALUE, Node, fn_if, fn_sub
from anomalake.dashboards.quicksight.permissions import ANALYSIS_OWNER, DASHBOARD_OWNER, DASHBOARD_READER, grant


def build_analysis(analysis_id: str, title: str, definition: Node) -> Node:
    """Return the resource of an analysis."""
    return {
        "Type": "AWS::QuickSight::Analysis",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "AnalysisId": fn_sub(analysis_id),
            "Name": title,
            "Definition": definition,
            "Permissions": [grant("OwnerArn", ANALYSIS_OWNER)],
        },
    }


def build_dashboard(dashboard_id: str, title: str, definition: Node) -> Node:
    """Return the resource of a dashboard in the stack's folder."""
    return {
        "Type": "AWS::QuickSight::Dashboard",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "DashboardId": fn_sub(dashboard_id),
            "Name": title,
            "Definition": definition,
            "DashboardPublishOptions": {
                "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
                "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
                "SheetControlsOption": {"VisibilityState": "EXPANDED"},
            },
            "FolderArns": [{"Ref": "FolderArn"}],
            "Permissions": [
                grant("OwnerArn", DASHBOARD_OWNER),
                fn_if("HasReader", grant("ReaderArn", DASHBOARD_READER), NO_VALUE),
            ],
        },
    }
