"""The doctor's checks of QuickSight: access, the data source, datasets, dashboards, sharing."""

from typing import Any

import pytest

from doctor_answers import ANA, BUCKET, ROLE, board, data_sets, examine, ingestion, simulated, the


def test_missing_permissions_of_the_role_are_named_and_conditions_are_not_evaluated():
    check = the(examine(iam__simulate_principal_policy=simulated("s3:PutObject")), "access", "problem")
    assert f"s3:PutObject on arn:aws:s3:::{BUCKET}/athena-results/any" in check.found
    assert ROLE in check.remedy
    unsure = simulated("s3:ListBucket", MissingContextValues=["s3:prefix"])
    assert "depends on conditions" in the(examine(iam__simulate_principal_policy=unsure), "access", "warning").found
    assert "own policy that denies it" in the(examine(), "access", "ok").found
    message = "NoSuchEntity: The role cannot be found"
    assert "no role" in the(examine(iam__simulate_principal_policy=message), "access", "problem").found


def test_a_data_source_that_failed_or_is_missing_is_a_problem():
    error = {"Type": "ACCESS_DENIED", "Message": "Insufficient permissions"}
    failed = {"DataSource": {"Status": "CREATION_FAILED", "ErrorInfo": error}}
    assert (
        "ACCESS_DENIED Insufficient"
        in the(examine(quicksight__describe_data_source=failed), "data-source", "problem").found
    )
    missing = "ResourceNotFoundException: DataSource anomalake is not found"
    assert (
        "no QuickSight data source"
        in the(examine(quicksight__describe_data_source=missing), "data-source", "problem").found
    )


def test_missing_datasets_are_named():
    fewer = {"DataSetSummaries": data_sets()["DataSetSummaries"][1:]}
    assert (
        "anomalake-set-shop-anomalies-with-live"
        in the(examine(quicksight__list_data_sets=fewer), "datasets", "problem").found
    )


@pytest.mark.parametrize(
    ("ingestions", "status", "found"),
    [
        (
            [ingestion("COMPLETED", 1), ingestion("FAILED", 2, ErrorInfo={"Type": "QUERY_TIMEOUT", "Message": "slow"})],
            "problem",
            "TIMEOUT slow",
        ),
        ([ingestion("COMPLETED", 2), ingestion("FAILED", 1)], "ok", "COMPLETED"),
        ([ingestion("CANCELLED")], "warning", "CANCELLED"),
        ([], "warning", "never refreshed"),
    ],
)
def test_the_last_refresh_of_a_spice_dataset_determines_its_status(ingestions: list[Any], status: str, found: str):
    checks = examine(
        quicksight__list_data_sets=data_sets("SPICE"), quicksight__list_ingestions={"Ingestions": ingestions}
    )
    findings = [
        check.found
        for check in checks
        if check.name == "datasets" and check.status == status and "anomalake-" in check.found
    ]
    assert len(findings) == 9
    assert found in findings[0]


def test_a_failed_full_refresh_is_a_problem_even_if_later_incremental_refreshes_succeed():
    """The hourly refreshes of a week fill the first page of the response, and read only the last days."""
    failed = ingestion("FAILED", 1, RequestType="FULL_REFRESH", ErrorInfo={"Type": "QUERY_TIMEOUT", "Message": "slow"})
    pages = {
        None: {"Ingestions": [ingestion("COMPLETED", 2, RequestType="INCREMENTAL_REFRESH")] * 100, "NextToken": "more"},
        "more": {
            "Ingestions": [ingestion("COMPLETED", 1, RequestType="INCREMENTAL_REFRESH")] * 68 + [failed],
            "NextToken": "even more",
        },
    }
    checks = examine(
        quicksight__list_data_sets=data_sets("SPICE"),
        quicksight__list_ingestions=lambda NextToken=None, **_: pages[NextToken],
    )
    dataset_checks = [check for check in checks if check.name == "datasets" and "anomaly-log" in check.found]
    assert [check.status for check in dataset_checks if "set-shop" in check.found] == ["problem", "ok"]
    assert "anomalake-set-shop-anomaly-log: the last full refresh is FAILED QUERY_TIMEOUT slow" in [
        check.found for check in dataset_checks
    ]
    assert "anomalake-set-shop-anomaly-log: the last incremental refresh is COMPLETED" in [
        check.found for check in dataset_checks
    ]


def test_missing_analyses_and_dashboards_and_their_errors_are_problems():
    error = {"Type": "COLUMN_TYPE_MISMATCH", "Message": "groupscore"}
    failed = board("CREATION_FAILED", error)
    checks = examine(
        quicksight__describe_analysis={"Analysis": failed},
        quicksight__describe_dashboard="ResourceNotFoundException: not found",
    )
    findings = [check.found for check in checks if (check.name, check.status) == ("dashboards", "problem")]
    assert findings == [
        "the analysis anomalake-set-shop is CREATION_FAILED: COLUMN_TYPE_MISMATCH: groupscore",
        "the dashboard anomalake-set-shop is missing",
        "the analysis anomalake-all is CREATION_FAILED: COLUMN_TYPE_MISMATCH: groupscore",
        "the dashboard anomalake-all is missing",
    ]


def test_an_owner_without_permission_on_a_dashboard_is_a_problem():
    others = {"Permissions": [{"Principal": ANA.replace("ana", "bob"), "Actions": ["quicksight:DescribeDashboard"]}]}
    assert (
        "anomalake-set-shop"
        in the(examine(quicksight__describe_dashboard_permissions=others), "sharing", "problem").found
    )
    the(examine("ana"), "sharing", "ok")
