"""All checks of the doctor: a healthy deployment, no deployment, calls that AWS denies, missing credentials."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from anomalake import doctor
from doctor_answers import ABSENT, HEALTHY, REGION, ROLE, SHOP, examine, stack, the


def test_a_healthy_deployment_passes_every_check_and_only_the_key_is_a_warning():
    checks = examine()
    assert {check.name for check in checks} == {
        "credentials",
        *doctor.ACCOUNT_CHECKS,
        *doctor.LAKE_CHECKS,
        *doctor.QUICKSIGHT_CHECKS,
    }
    assert [(check.name, check.status) for check in checks if check.status != "ok"] == [("encryption", "warning")]
    assert "alias/lake" in the(checks, "encryption", "warning").found
    assert ROLE in the(checks, "encryption", "warning").remedy
    assert doctor.is_healthy(checks)


def test_without_a_stack_only_the_checks_before_a_deployment_run():
    checks = examine("ana", cloudformation__describe_stacks=ABSENT)
    assert [check.name for check in checks] == ["credentials", *doctor.ACCOUNT_CHECKS]
    assert "make deploy" in the(checks, "stack", "skipped").remedy
    assert doctor.is_healthy(checks)


def test_a_stack_without_quicksight_is_checked_without_it():
    checks = examine(cloudformation__describe_stacks=stack(quicksight=False))
    assert not {check.name for check in checks} & {"access", "data-source", "sharing"}
    assert "without QuickSight" in the(checks, "dashboards", "skipped").found


@pytest.mark.parametrize("operation", sorted(set(HEALTHY) - {"sts.get_caller_identity"}))
def test_a_denied_check_is_skipped_with_the_missing_permission(operation: str):
    service, _, name = operation.partition(".")
    code = "AccessDenied" if service in {"s3", "iam"} else "AccessDeniedException"
    checks = examine(**{operation.replace(".", "__"): f"{code}: User is not authorized"})
    permission = "s3:ListBucket" if service == "s3" else f"{service}:{name.replace('_', '')}"
    skipped = [check for check in checks if check.status == "skipped"]
    assert any(permission.lower() in check.remedy.lower() for check in skipped)
    assert not [check for check in checks if check.status == "problem"]


def test_if_every_call_is_denied_the_doctor_reports_that_it_could_not_check():
    denied = dict.fromkeys(
        (name.replace(".", "__") for name in HEALTHY if not name.startswith("sts")), "AccessDeniedException: no"
    )
    checks = examine("ana", **denied)
    assert {check.status for check in checks[1:]} == {"skipped"}
    assert not doctor.is_healthy(checks)


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (NoCredentialsError(), "aws sso login"),
        ("ExpiredToken: The security token included in the request is expired", "sign in again"),
        (EndpointConnectionError(endpoint_url="https://sts.eu-west-1.amazonaws.com"), "check the network"),
    ],
)
def test_without_credentials_or_network_the_doctor_reports_only_that(answer: Any, remedy: str):
    (check,) = checks = examine(sts__get_caller_identity=answer)
    assert (check.name, check.status) == ("credentials", "problem")
    assert remedy in check.remedy
    assert not doctor.is_healthy(checks)


@pytest.mark.parametrize("answer", [{}, ResponseParserError("not XML")])
def test_a_response_that_is_not_from_aws_is_reported(answer: Any):
    def clients(service: str, region: str) -> Any:
        return SimpleNamespace(
            get_caller_identity=lambda: (_ for _ in ()).throw(answer) if isinstance(answer, Exception) else answer
        )

    (check,) = doctor.run_checks(clients, doctor.Settings("anomalake", REGION, "", (SHOP,)))
    assert (check.name, check.status) == ("credentials", "problem")
