"""The doctor's checks of the account: QuickSight and its users, Lake Formation, encryption, the stack."""

from typing import Any

import pytest

from anomalake import doctor
from doctor_answers import (
    ABSENT,
    ANA,
    HEALTHY,
    REGION,
    ROLE,
    SHOP,
    STACK_ID,
    event,
    examine,
    find_check,
    lake_settings,
    stack,
    user,
)
from fake_aws import Answers, Aws


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("ResourceNotFoundException: Account 111122223333 is not signed up with QuickSight", "has no QuickSight"),
        ({"AccountInfo": {"Edition": "ENTERPRISE", "AccountSubscriptionStatus": "UNSUBSCRIBED"}}, "has no QuickSight"),
        ({"AccountInfo": {"Edition": "STANDARD", "AccountSubscriptionStatus": "ACCOUNT_CREATED"}}, "Standard edition"),
    ],
)
def test_a_missing_or_standard_subscription_is_a_problem_if_an_owner_is_configured(answer: Any, found: str):
    assert (
        found
        in find_check(examine("ana", quicksight__describe_account_subscription=answer), "subscription", "problem").found
    )
    bare = examine(quicksight__describe_account_subscription=answer, cloudformation__describe_stacks=ABSENT)
    assert found in find_check(bare, "subscription", "warning").found


def _build_other_region_answers(
    answer: Any, said: str = "Operation is being called from endpoint eu-west-1, but your identity region is us-east-1."
) -> Any:
    return lambda region, **_: (
        answer if region == "us-east-1" else f"AccessDeniedException: {said} Please use the us-east-1 endpoint."
    )


@pytest.mark.parametrize("comma", [",", ""])
def test_users_are_listed_in_the_identity_region_that_quicksight_names(comma: str):
    message = f"Operation is being called from endpoint eu-west-1{comma} but your identity region is us-east-1."
    checks = examine(
        "ana",
        cloudformation__describe_stacks=ABSENT,
        quicksight__list_users=_build_other_region_answers({"UserList": []}, message),
        quicksight__describe_user=_build_other_region_answers(user(), message),
    )
    assert "QuickSightIdentityRegion=us-east-1" in find_check(checks, "identity-region", "warning").remedy
    assert "'ana'" in find_check(checks, "people", "ok").found


def test_an_owner_or_a_stack_of_another_identity_region_is_a_problem():
    by_arn = find_check(
        examine(ANA, quicksight__list_users=_build_other_region_answers({"UserList": []})), "identity-region", "problem"
    )
    assert "live in us-east-1, but the owner's ARN has eu-west-1" in by_arn.found
    assert "--region us-east-1" in by_arn.remedy
    deployed = stack(QuickSightIdentityRegion="eu-central-1")
    by_stack = find_check(examine(cloudformation__describe_stacks=deployed), "identity-region", "problem")
    assert "the stack's QuickSightIdentityRegion has eu-central-1" in by_stack.found


def test_an_owner_who_does_not_exist_is_a_problem_and_the_remedy_lists_the_users():
    check = find_check(
        examine("bob", quicksight__describe_user="ResourceNotFoundException: User bob not found"), "people", "problem"
    )
    assert "'bob' is not a QuickSight user" in check.found
    assert "list-users" in check.remedy


def test_a_reader_cannot_be_an_owner_and_an_inactive_user_is_reported():
    assert "cannot own" in find_check(examine(quicksight__describe_user=user("READER_PRO")), "people", "problem").found
    assert "not active" in find_check(examine(quicksight__describe_user=user(active=False)), "people", "warning").found


def test_groups_and_names_with_slashes_are_accepted():
    group = {"Group": {"GroupName": "analysts"}}
    aws = Aws(
        {
            **HEALTHY,
            "quicksight.describe_group": group,
            "cloudformation.describe_stacks": stack(QuickSightReader="group/default/analysts"),
        }
    )
    checks = list(
        doctor.run_checks(aws, doctor.Settings("anomalake", REGION, "AWSReservedSSO_Admin_1/ana@example.com", (SHOP,)))
    )
    calls = {operation: parameters for _, operation, parameters in aws.asked}
    assert calls["describe_user"]["UserName"] == "AWSReservedSSO_Admin_1/ana@example.com"
    assert calls["describe_group"]["GroupName"] == "analysts"
    assert [check.status for check in checks if check.name == "people"] == ["ok", "ok"]


def test_lake_formation_permissions_on_the_catalog_require_grants_after_the_deployment():
    guarded = {"lakeformation__get_data_lake_settings": lake_settings()}
    check = find_check(examine(cloudformation__describe_stacks=ABSENT, **guarded), "lake-formation", "warning")
    assert "anomalake_shop" in check.remedy
    assert "QuickSightRoleArn" in check.remedy


def _build_grants(principal: str, permission: str) -> Answers:
    grant = {"Principal": {"DataLakePrincipalIdentifier": principal}, "Permissions": [permission]}
    return {"PrincipalResourcePermissions": [grant]}


def test_missing_lake_formation_grants_for_the_role_are_a_problem():
    guarded = {"lakeformation__get_data_lake_settings": lake_settings()}
    others = _build_grants("arn:aws:iam::111122223333:role/other", "ALL")
    check = find_check(examine(lakeformation__list_permissions=others, **guarded), "lake-formation", "problem")
    assert "out of anomalake, anomalake_shop" in check.found
    assert ROLE in check.remedy
    described = find_check(
        examine(lakeformation__list_permissions=_build_grants(ROLE, "DESCRIBE"), **guarded), "lake-formation", "warning"
    )
    assert "no SELECT on all tables of anomalake, anomalake_shop" in described.found
    for principal in (ROLE, "IAM_ALLOWED_PRINCIPALS"):
        find_check(
            examine(lakeformation__list_permissions=_build_grants(principal, "ALL"), **guarded), "lake-formation", "ok"
        )


def test_a_catalog_that_is_not_encrypted_is_a_warning():
    off = {"DataCatalogEncryptionSettings": {"EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"}}}
    assert (
        "not encrypted"
        in find_check(examine(glue__get_data_catalog_encryption_settings=off), "encryption", "warning").found
    )


BOOM = event(
    "CREATE_FAILED", "no permission to PassRole", resource="Source", kind="AWS::QuickSight::DataSource", own="anomalake"
)
CANCELLED = event(
    "CREATE_FAILED", "Resource creation cancelled", resource="Other", kind="AWS::Glue::Table", own="other"
)
OLD = event("UPDATE_FAILED", "an older story", resource="Old", kind="AWS::Glue::Table", own="old")


@pytest.mark.parametrize(
    ("status", "verdict", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "problem", "delete the stack first"),
        ("UPDATE_ROLLBACK_FAILED", "problem", "deploy again"),
        ("UPDATE_ROLLBACK_COMPLETE", "warning", "deploy again"),
    ],
)
def test_a_failed_stack_reports_the_first_failure_of_its_last_operation(status: str, verdict: str, remedy: str):
    events = [event(status), CANCELLED, BOOM, event("CREATE_IN_PROGRESS", "User Initiated"), OLD]
    checks = examine(
        cloudformation__describe_stacks=stack(status), cloudformation__describe_stack_events={"StackEvents": events}
    )
    check = find_check(checks, "stack", verdict)
    assert "Source (AWS::QuickSight::DataSource): no permission to PassRole" in check.found
    assert remedy in check.remedy


def test_a_failure_in_a_nested_stack_is_traced_to_its_resource():
    nested = event("CREATE_FAILED", "Embedded stack was not successfully created", resource="Catalog", own="arn:nested")
    pages = {STACK_ID: [nested, event("CREATE_IN_PROGRESS")], "arn:nested": [BOOM]}
    checks = examine(
        cloudformation__describe_stacks=stack("ROLLBACK_FAILED"),
        cloudformation__describe_stack_events=lambda **asked: {"StackEvents": pages[asked["StackName"]]},
    )
    assert "PassRole" in find_check(checks, "stack", "problem").found


def test_a_stack_operation_in_progress_is_reported():
    assert (
        "when the operation has ended"
        in find_check(examine(cloudformation__describe_stacks=stack("UPDATE_IN_PROGRESS")), "stack", "warning").remedy
    )
