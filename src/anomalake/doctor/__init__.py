"""What most often goes wrong with QuickSight on Athena, checked before and after a deployment, each with what to do (docs/doctor.md).

It only reads. A check is a function that yields findings; whatever AWS refuses to tell makes it `skipped`, never a traceback.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from anomalake.doctor import account, lake, partitions, quicksight
from anomalake.doctor.scene import Clients, Finding, RefusalError, Scene, Setting, Status, ask, deployed

__all__ = ["AFTER_LAKE", "AFTER_QUICKSIGHT", "BEFORE", "Check", "Clients", "Setting", "examine", "healthy"]
Examiner = Callable[[Scene], Iterable[Finding]]


class Check(NamedTuple):
    """A finding under the name of its check."""

    name: str
    status: Status
    found: str
    remedy: str


# The checks by name, in the order in which they are told.
BEFORE: dict[str, Examiner] = {
    "subscription": account.subscription,
    "identity-region": account.identity_region,
    "people": account.people,
    "lake-formation": account.lake_formation,
    "encryption": account.encryption,
    "stack": account.stack,
}
AFTER_LAKE: dict[str, Examiner] = {
    "workgroup": lake.workgroup,
    "catalog": lake.catalog,
    "data": lake.data,
    "partitions": partitions.partitions,
    "crawled": lake.crawled,
}
AFTER_QUICKSIGHT: dict[str, Examiner] = {
    "access": quicksight.access,
    "data-source": quicksight.data_source,
    "datasets": quicksight.datasets,
    "dashboards": quicksight.dashboards,
    "sharing": quicksight.sharing,
}


def examine(clients: Clients, setting: Setting) -> Iterator[Check]:
    """Every check's findings, in order. Without credentials that is one, without a stack those that tell before a deployment."""
    scene = Scene(clients, setting)
    try:
        caller = ask(scene, "sts", "get_caller_identity") or {}
    except RefusalError as refusal:
        yield Check("credentials", *refusal.finding._replace(status="problem"))
        return
    if "Arn" not in caller:
        yield Check("credentials", "problem", "what answered is not AWS", "look at the proxy, and at AWS_ENDPOINT_URL")
        return
    scene = scene._replace(caller=caller["Arn"])
    yield Check("credentials", "ok", f"account {scene.account}, as {scene.caller}", "")
    with suppress(RefusalError):  # the check of the stack asks again, and says so
        scene = scene._replace(stack=deployed(scene))
    checks = BEFORE
    if scene.output("DataBucket"):
        checks = BEFORE | AFTER_LAKE | (AFTER_QUICKSIGHT if scene.role else {})
    for name, check in checks.items():
        try:
            for finding in check(scene):
                yield Check(name, *finding)
        except RefusalError as refusal:
            yield Check(name, *refusal.finding)
    if scene.output("DataBucket") and not scene.role:
        yield Check(
            "dashboards",
            "skipped",
            "the stack was deployed without QuickSight",
            "to have it, deploy with QuickSightOwner",
        )


def healthy(checks: Sequence[Check]) -> bool:
    """Whether no problem was found, and anything but the credentials could be looked at."""
    return all(check.status != "problem" for check in checks) and any(
        check.status in {"ok", "warning"} for check in checks[1:]
    )
