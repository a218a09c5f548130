"""`anomalake doctor`: checks an AWS account for what most often goes wrong with QuickSight on Athena.

The checks run before and after a deployment, and only read. A check is a function that yields findings, each with what
to do about it (docs/doctor.md). Where AWS denies a call, the finding has the status `skipped`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from anomalake.doctor import account, lake, partitions, quicksight
from anomalake.doctor.context import (
    AwsCallError,
    Clients,
    Context,
    Finding,
    Settings,
    Status,
    call_aws,
    describe_stack,
)

__all__ = [
    "ACCOUNT_CHECKS",
    "LAKE_CHECKS",
    "QUICKSIGHT_CHECKS",
    "CheckResult",
    "Clients",
    "Settings",
    "is_healthy",
    "run_checks",
]
Check = Callable[[Context], Iterable[Finding]]


class CheckResult(NamedTuple):
    """A finding, with the name of the check that found it."""

    name: str
    status: Status
    found: str
    remedy: str


# The checks by name, in the order in which they run. The checks of the account need no deployment.
ACCOUNT_CHECKS: dict[str, Check] = {
    "subscription": account.check_subscription,
    "identity-region": account.check_identity_region,
    "people": account.check_people,
    "lake-formation": account.check_lake_formation,
    "encryption": account.check_encryption,
    "stack": account.check_stack,
}
LAKE_CHECKS: dict[str, Check] = {
    "workgroup": lake.check_workgroup,
    "catalog": lake.check_catalog,
    "data": lake.check_data,
    "partitions": partitions.check_partitions,
    "crawled": lake.check_crawled,
}
QUICKSIGHT_CHECKS: dict[str, Check] = {
    "access": quicksight.check_access,
    "data-source": quicksight.check_data_source,
    "datasets": quicksight.check_datasets,
    "dashboards": quicksight.check_dashboards,
    "sharing": quicksight.check_sharing,
}


def run_checks(clients: Clients, settings: Settings) -> Iterator[CheckResult]:
    """Run the checks and yield their findings, in order.

    Without valid credentials, the only finding is about them. Without a deployed stack, only `ACCOUNT_CHECKS` run.
    """
    context = Context(clients, settings)
    try:
        caller = call_aws(context, "sts", "get_caller_identity") or {}
    except AwsCallError as error:
        yield CheckResult("credentials", *error.finding._replace(status="problem"))
        return
    if "Arn" not in caller:
        yield CheckResult(
            "credentials",
            "problem",
            "the answer to sts:GetCallerIdentity is not from AWS",
            "check the proxy and AWS_ENDPOINT_URL",
        )
        return
    context = context._replace(caller=caller["Arn"])
    yield CheckResult("credentials", "ok", f"account {context.account}, as {context.caller}", "")
    with suppress(AwsCallError):  # the check of the stack makes the same call, and reports the error
        context = context._replace(stack=describe_stack(context))
    checks = ACCOUNT_CHECKS
    if context.output("DataBucket"):
        checks = ACCOUNT_CHECKS | LAKE_CHECKS | (QUICKSIGHT_CHECKS if context.role else {})
    for name, check in checks.items():
        try:
            for finding in check(context):
                yield CheckResult(name, *finding)
        except AwsCallError as error:
            yield CheckResult(name, *error.finding)
    if context.output("DataBucket") and not context.role:
        yield CheckResult(
            "dashboards",
            "skipped",
            "the stack was deployed without QuickSight",
            "to add QuickSight, deploy with QuickSightOwner",
        )


def is_healthy(checks: Sequence[CheckResult]) -> bool:
    """Return whether no check found a problem, and at least one check besides the credentials could run."""
    return all(check.status != "problem" for check in checks) and any(
        check.status in {"ok", "warning"} for check in checks[1:]
    )
