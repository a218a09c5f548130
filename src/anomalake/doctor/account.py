"""Checks of the account, before a deployment or after it: QuickSight and its people, Lake Formation, the catalog's key, the stack."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from anomalake.doctor.context import (
    Answer,
    Context,
    Finding,
    Status,
    call_all_pages,
    call_aws,
    call_in_identity_region,
    declared_catalog,
    describe_stack,
    join_first,
)

_EVERYONE = "IAM_ALLOWED_PRINCIPALS"  # Lake Formation's name for "IAM alone decides"


def check_subscription(context: Context) -> Iterator[Finding]:
    """Sources: "DescribeAccountSubscription" in the QuickSight API; a data source with a role of its own needs Enterprise."""
    short: Status = "problem" if context.owner else "warning"
    _, answer = call_in_identity_region(context, "describe_account_subscription")
    info = answer["AccountInfo"] if answer else {}
    if not info or str(info.get("AccountSubscriptionStatus", "")).startswith("UNSUBSCRIBE"):
        yield Finding(
            short,
            f"account {context.account} has no QuickSight",
            "sign up for QuickSight Enterprise, or deploy without QuickSightOwner",
        )
    elif info.get("Edition") == "STANDARD":
        remedy = "upgrade to Enterprise in QuickSight's account settings: a data source with a role of its own needs it"
        yield Finding(short, "QuickSight is of the Standard edition", remedy)
    else:
        yield Finding("ok", f"QuickSight, edition {info.get('Edition')}")


def check_identity_region(context: Context) -> Iterator[Finding]:
    """Users live in the account's identity region, wherever the stack is."""
    region, answer = call_in_identity_region(context, "list_users", Namespace="default", MaxResults=1)
    if answer is None:
        yield Finding("skipped", "there is no namespace `default` to look for users in", "sign up for QuickSight first")
        return
    named = {
        "the owner's ARN": _region_of(context.owner),
        "the stack's QuickSightIdentityRegion": context.parameter("QuickSightIdentityRegion"),
    }
    wrong = [f"{what} says {said}" for what, said in named.items() if said and said != region]
    if wrong:
        remedy = f"write {region} there; `aws quicksight list-users --aws-account-id {context.account} --namespace default --region {region}` prints ARNs"
        yield Finding("problem", f"QuickSight's users live in {region}, but {' and '.join(wrong)}", remedy)
    elif region != context.settings.region and not any(named.values()):
        found = f"QuickSight's users live in {region}, not in {context.settings.region}"
        yield Finding("warning", found, f"deploy with QuickSightIdentityRegion={region}")
    else:
        yield Finding("ok", f"QuickSight's users live in {region}")


class Principal(NamedTuple):
    """Somebody in QuickSight."""

    kind: str  # user | group | namespace
    namespace: str
    name: str


def parse_principal(text: str) -> Principal:
    """Of an ARN, `group/default/NAME`, or a user's bare name (which may hold slashes)."""
    rest = text.split(":", 5)[5] if text.startswith("arn:") and text.count(":") >= 5 else text
    if match := re.fullmatch(r"(user|group)/([^/]+)/(.+)", rest):
        return Principal(*match.groups())
    if match := re.fullmatch(r"namespace/([^/]+)", rest):
        return Principal("namespace", match[1], "")
    return Principal("user", "default", rest)


def _region_of(text: str) -> str:
    return text.split(":")[3] if text.startswith("arn:") and text.count(":") >= 5 else ""


def check_people(context: Context) -> Iterator[Finding]:
    """Whether the owner and the reader exist, and the owner may own."""
    people = {"owner": context.owner, "reader": context.parameter("QuickSightReader")}
    if not any(people.values()):
        yield Finding(
            "skipped", "nobody is named who is to own the dashboards", "name somebody with --quicksight-owner"
        )
    for what, text in people.items():
        kind, namespace, name = parse_principal(text)
        if not text or kind == "namespace":
            continue
        asked = {f"{kind.title()}Name": name, "Namespace": namespace}
        region, answer = call_in_identity_region(context, f"describe_{kind}", **asked)
        listing = f"`aws quicksight list-{kind}s --aws-account-id {context.account} --namespace {namespace} --region {region}` prints those there are"
        if answer is None:
            yield Finding("problem", f"the {what} {text!r} is no QuickSight {kind} in {region}", listing)
        elif what == "owner" and "READER" in answer.get("User", {}).get("Role", ""):
            yield Finding(
                "problem",
                f"the owner {text!r} is a reader and cannot own an analysis",
                "make an author of them, or name one",
            )
        elif not answer.get("User", {}).get("Active", True):
            yield Finding(
                "warning", f"the {what} {text!r} is not active in QuickSight", "let them accept the invitation"
            )
        else:
            yield Finding("ok", f"the {what} is the {kind} {name!r}")


def check_lake_formation(context: Context) -> Iterator[Finding]:
    """Sources: "Changing the default settings for your data lake" and "ListPermissions" in the Lake Formation guide."""
    settings = (call_aws(context, "lakeformation", "get_data_lake_settings") or {})["DataLakeSettings"]
    kinds = ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions")
    if all(
        any(grant["Principal"]["DataLakePrincipalIdentifier"] == _EVERYONE for grant in settings.get(kind, []))
        for kind in kinds
    ):
        yield Finding("ok", "Lake Formation leaves new databases and tables to IAM")
        return
    databases = list(declared_catalog(context))
    who = context.role or "the QuickSight role (the stack's output QuickSightRoleArn)"
    remedy = f"in Lake Formation grant {who} DESCRIBE on {', '.join(databases)} and SELECT on all their tables; the crawlers' roles CREATE_TABLE too"
    if not context.role:
        yield Finding(
            "warning",
            "Lake Formation guards new databases and tables: IAM is not enough",
            f"after the deployment, {remedy}",
        )
        return
    closed = [name for name in databases if not _granted(context, {"Database": {"Name": name}}, "DESCRIBE")]
    every = {name: {"Table": {"DatabaseName": name, "TableWildcard": {}}} for name in databases}
    partly = [name for name in databases if not _granted(context, every[name], "SELECT")]
    if closed:
        yield Finding("problem", f"Lake Formation keeps the QuickSight role out of {join_first(closed)}", remedy)
    elif partly:
        found = f"Lake Formation grants the QuickSight role no SELECT on all tables of {join_first(partly)} (grants on single tables are not looked at)"
        yield Finding("warning", found, remedy)
    else:
        yield Finding("ok", "Lake Formation lets the QuickSight role in")


def _granted(context: Context, resource: Answer, permission: str) -> bool:
    grants = (
        call_all_pages(context, "lakeformation", "list_permissions", "PrincipalResourcePermissions", Resource=resource)
        or []
    )
    return any(
        grant["Principal"]["DataLakePrincipalIdentifier"] in {context.role, _EVERYONE}
        and {"ALL", permission} & set(grant["Permissions"])
        for grant in grants
    )


def check_encryption(context: Context) -> Iterator[Finding]:
    """Source: "Encrypting your Data Catalog" in the Glue guide."""
    answer = call_aws(context, "glue", "get_data_catalog_encryption_settings") or {}
    rest = answer["DataCatalogEncryptionSettings"].get("EncryptionAtRest", {})
    if rest.get("CatalogEncryptionMode", "DISABLED") == "DISABLED":
        remedy = "switch on metadata encryption in Glue's Data Catalog settings; the QuickSight role and the crawlers' roles then need kms:Decrypt"
        yield Finding("warning", "the Data Catalog is not encrypted", remedy)
    else:
        key = rest.get("SseAwsKmsKeyId", "alias/aws/glue")
        needing = context.role or "the QuickSight role"
        remedy = f"see that {needing} and the crawlers' roles may kms:Decrypt with that key (its key policy counts too)"
        yield Finding("warning", f"the Data Catalog is encrypted with the key {key}", remedy)


def check_stack(context: Context) -> Iterator[Finding]:
    """Source: "Stack status codes" in the CloudFormation guide."""
    stack, name = describe_stack(context), context.settings.stack
    if stack is None:
        found = f"there is no stack {name!r} in {context.settings.region}"
        yield Finding(
            "skipped", found, "deploy it (`make build`, `make deploy`), then run this again; another name: --stack"
        )
    elif stack.status in {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "IMPORT_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    }:
        yield Finding("ok", f"the stack {name!r} is {stack.status}")
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        found = f"the last update of {name!r} failed, what was before it is back: {_first_failure(context, stack.id)}"
        yield Finding("warning", found, "mend that and deploy again")
    elif stack.status.endswith("IN_PROGRESS"):
        yield Finding("warning", f"the stack {name!r} is {stack.status}", "run this again when it is through")
    else:
        remedy = "mend that and deploy again" + (
            "; delete the stack first" if stack.status.startswith(("ROLLBACK", "DELETE")) else ""
        )
        yield Finding("problem", f"the stack {name!r} is {stack.status}: {_first_failure(context, stack.id)}", remedy)


def _first_failure(context: Context, stack_id: str) -> str:
    """The first thing that failed in the last operation on a stack, in a nested one if it was there."""
    first: Answer = {}
    for event in (
        call_all_pages(context, "cloudformation", "describe_stack_events", "StackEvents", StackName=stack_id) or []
    ):  # the newest first
        status, own = event["ResourceStatus"], event["PhysicalResourceId"] == stack_id
        if status.endswith("_FAILED") and not own and "cancelled" not in event.get("ResourceStatusReason", "cancelled"):
            first = event
        if own and status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}:
            break
    if not first:
        return "its events name no reason"
    if first["ResourceType"] == "AWS::CloudFormation::Stack" and first.get("PhysicalResourceId"):
        return _first_failure(context, first["PhysicalResourceId"])
    return f"{first['LogicalResourceId']} ({first['ResourceType']}): {first['ResourceStatusReason']}"
