"""What most often goes wrong with QuickSight on Athena, checked before and after a deployment, each with what to do (docs/doctor.md).

It only reads. A check is a function that yields findings; whatever AWS refuses to tell makes it `skipped`, never a traceback.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from anomalake.doctor import account, lake, partitions, quicksight
from anomalake.doctor.context import AwsCallError, Clients, Context, Finding, Settings, Status, call_aws, describe_stack

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
    """A finding under the name of its check."""

    name: str
    status: Status
    found: str
    remedy: str


# The checks by name, in the order in which they are told.
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
    """Every check's findings, in order. Without credentials that is one, without a stack those that tell before a deployment."""
    context = Context(clients, settings)
    try:
        caller = call_aws(context, "sts", "get_caller_identity") or {}
    except AwsCallError as refusal:
        yield CheckResult("credentials", *refusal.finding._replace(status="problem"))
        return
    if "Arn" not in caller:
        yield CheckResult(
            "credentials", "problem", "what answered is not AWS", "look at the proxy, and at AWS_ENDPOINT_URL"
        )
        return
    context = context._replace(caller=caller["Arn"])
    yield CheckResult("credentials", "ok", f"account {context.account}, as {context.caller}", "")
    with suppress(AwsCallError):  # the check of the stack asks again, and says so
        context = context._replace(stack=describe_stack(context))
    checks = ACCOUNT_CHECKS
    if context.output("DataBucket"):
        checks = ACCOUNT_CHECKS | LAKE_CHECKS | (QUICKSIGHT_CHECKS if context.role else {})
    for name, check in checks.items():
        try:
            for finding in check(context):
                yield CheckResult(name, *finding)
        except AwsCallError as refusal:
            yield CheckResult(name, *refusal.finding)
    if context.output("DataBucket") and not context.role:
        yield CheckResult(
            "dashboards",
            "skipped",
            "the stack was deployed without QuickSight",
            "to have it, deploy with QuickSightOwner",
        )


def is_healthy(checks: Sequence[CheckResult]) -> bool:
    """Whether no problem was found, and anything but the credentials could be looked at."""
    return all(check.status != "problem" for check in checks) and any(
        check.status in {"ok", "warning"} for check in checks[1:]
    )
