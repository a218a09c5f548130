"""Checks of the account, before or after a deployment: QuickSight, its users, Lake Formation, encryption, the stack."""

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
    describe_stack,
    join_first,
)
from anomalake.doctor.declared import declared_catalog

_IAM_ALONE = "IAM_ALLOWED_PRINCIPALS"  # a grant of Lake Formation to this principal means that IAM alone decides


def check_subscription(context: Context) -> Iterator[Finding]:
    """Check that the account has QuickSight Enterprise, which a data source with a role of its own requires.

    Source: "DescribeAccountSubscription" in the QuickSight API.
    """
    status: Status = "problem" if context.owner else "warning"
    _, answer = call_in_identity_region(context, "describe_account_subscription")
    info = answer["AccountInfo"] if answer else {}
    if not info or str(info.get("AccountSubscriptionStatus", "")).startswith("UNSUBSCRIBE"):
        remedy = "sign up for QuickSight Enterprise, or deploy without QuickSightOwner"
        yield Finding(status, f"account {context.account} has no QuickSight", remedy)
    elif info.get("Edition") == "STANDARD":
        remedy = "upgrade to Enterprise in QuickSight's account settings: a data source with a role of its own needs it"
        yield Finding(status, "QuickSight has the Standard edition", remedy)
    else:
        yield Finding("ok", f"QuickSight, edition {info.get('Edition')}")


def check_identity_region(context: Context) -> Iterator[Finding]:
    """Check that the settings name the account's identity region, which has QuickSight's users for all regions."""
    region, answer = call_in_identity_region(context, "list_users", Namespace="default", MaxResults=1)
    if answer is None:
        found = "QuickSight has no namespace 'default', so its users cannot be listed"
        yield Finding("skipped", found, "sign up for QuickSight first")
        return
    named = {
        "the owner's ARN": _region_of_arn(context.owner),
        "the stack's QuickSightIdentityRegion": context.parameter("QuickSightIdentityRegion"),
    }
    wrong = [f"{origin} has {value}" for origin, value in named.items() if value and value != region]
    if wrong:
        command = f"aws quicksight list-users --aws-account-id {context.account} --namespace default --region {region}"
        remedy = f"change it to {region}; `{command}` prints the ARNs of users"
        yield Finding("problem", f"QuickSight's users live in {region}, but {' and '.join(wrong)}", remedy)
    elif region != context.settings.region and not any(named.values()):
        found = f"QuickSight's users live in {region}, not in {context.settings.region}"
        yield Finding("warning", found, f"deploy with QuickSightIdentityRegion={region}")
    else:
        yield Finding("ok", f"QuickSight's users live in {region}")


class Principal(NamedTuple):
    """A user, group or namespace of QuickSight."""

    kind: str  # user | group | namespace
    namespace: str
    name: str


def parse_principal(text: str) -> Principal:
    """Parse an ARN, a path such as `group/default/NAME`, or the name of a user (which may contain slashes)."""
    path = text.split(":", 5)[5] if text.startswith("arn:") and text.count(":") >= 5 else text
    if match := re.fullmatch(r"(user|group)/([^/]+)/(.+)", path):
        return Principal(*match.groups())
    if match := re.fullmatch(r"namespace/([^/]+)", path):
        return Principal("namespace", match[1], "")
    return Principal("user", "default", path)


def _region_of_arn(text: str) -> str:
    return text.split(":")[3] if text.startswith("arn:") and text.count(":") >= 5 else ""


def check_people(context: Context) -> Iterator[Finding]:
    """Check that the owner and the reader of the dashboards exist, and that the owner can own them."""
    people = {"owner": context.owner, "reader": context.parameter("QuickSightReader")}
    if not any(people.values()):
        yield Finding("skipped", "no owner of the dashboards is named", "name the owner with --quicksight-owner")
    for role, text in people.items():
        kind, namespace, name = parse_principal(text)
        if not text or kind == "namespace":
            continue
        parameters = {f"{kind.title()}Name": name, "Namespace": namespace}
        region, answer = call_in_identity_region(context, f"describe_{kind}", **parameters)
        if answer is None:
            command = (
                f"aws quicksight list-{kind}s --aws-account-id {context.account} "
                f"--namespace {namespace} --region {region}"
            )
            found = f"the {role} '{text}' is not a QuickSight {kind} in {region}"
            yield Finding("problem", found, f"name one of the {kind}s that `{command}` prints")
        elif role == "owner" and "READER" in answer.get("User", {}).get("Role", ""):
            found = f"the owner '{text}' has the role of a reader and cannot own an analysis"
            yield Finding("problem", found, "give this user the role of an author, or name an author as the owner")
        elif not answer.get("User", {}).get("Active", True):
            found = f"the {role} '{text}' is not active in QuickSight"
            yield Finding("warning", found, "ask this user to accept the invitation to QuickSight")
        else:
            yield Finding("ok", f"the {role} is the {kind} '{name}'")


def check_lake_formation(context: Context) -> Iterator[Finding]:
    """Check that Lake Formation lets the QuickSight role read the catalog.

    Sources: "Changing the default settings for your data lake" and "ListPermissions" in the Lake Formation guide.
    """
    settings = (call_aws(context, "lakeformation", "get_data_lake_settings") or {})["DataLakeSettings"]
    defaults = [settings.get(f"Create{kind}DefaultPermissions", []) for kind in ("Database", "Table")]
    if all(any(_principal_of(grant) == _IAM_ALONE for grant in grants) for grants in defaults):
        yield Finding("ok", "Lake Formation leaves new databases and tables to IAM")
        return
    databases = list(declared_catalog(context))
    role = context.role or "the QuickSight role (the stack's output QuickSightRoleArn)"
    remedy = (
        f"in Lake Formation, grant {role} DESCRIBE on {', '.join(databases)} and SELECT on all their tables; "
        "also grant the crawlers' roles CREATE_TABLE"
    )
    if not context.role:
        found = "Lake Formation controls new databases and tables: permissions of IAM are not enough"
        yield Finding("warning", found, f"after the deployment, {remedy}")
        return
    closed = [name for name in databases if not _is_granted(context, {"Database": {"Name": name}}, "DESCRIBE")]
    all_tables = {name: {"Table": {"DatabaseName": name, "TableWildcard": {}}} for name in databases}
    partly = [name for name in databases if not _is_granted(context, all_tables[name], "SELECT")]
    if closed:
        yield Finding("problem", f"Lake Formation keeps the QuickSight role out of {join_first(closed)}", remedy)
    elif partly:
        found = (
            f"Lake Formation grants the QuickSight role no SELECT on all tables of {join_first(partly)} "
            "(grants on single tables are not checked)"
        )
        yield Finding("warning", found, remedy)
    else:
        yield Finding("ok", "Lake Formation lets the QuickSight role in")


def _principal_of(grant: Answer) -> str:
    return str(grant["Principal"]["DataLakePrincipalIdentifier"])


def _is_granted(context: Context, resource: Answer, permission: str) -> bool:
    """Return whether Lake Formation grants the QuickSight role a permission on a resource."""
    grants = (
        call_all_pages(context, "lakeformation", "list_permissions", "PrincipalResourcePermissions", Resource=resource)
        or []
    )
    return any(
        _principal_of(grant) in {context.role, _IAM_ALONE} and {"ALL", permission} & set(grant["Permissions"])
        for grant in grants
    )


def check_encryption(context: Context) -> Iterator[Finding]:
    """Check whether the Data Catalog is encrypted. Source: "Encrypting your Data Catalog" in the Glue guide."""
    answer = call_aws(context, "glue", "get_data_catalog_encryption_settings") or {}
    at_rest = answer["DataCatalogEncryptionSettings"].get("EncryptionAtRest", {})
    if at_rest.get("CatalogEncryptionMode", "DISABLED") == "DISABLED":
        remedy = (
            "turn on metadata encryption in Glue's Data Catalog settings; "
            "the QuickSight role and the crawlers' roles then need kms:Decrypt"
        )
        yield Finding("warning", "the Data Catalog is not encrypted", remedy)
    else:
        key = at_rest.get("SseAwsKmsKeyId", "alias/aws/glue")
        role = context.role or "the QuickSight role"
        remedy = f"verify that {role} and the crawlers' roles have kms:Decrypt with this key, also in its key policy"
        yield Finding("warning", f"the Data Catalog is encrypted with the key {key}", remedy)


_COMPLETE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}


def check_stack(context: Context) -> Iterator[Finding]:
    """Check the status of the stack. Source: "Stack status codes" in the CloudFormation guide."""
    stack, name = describe_stack(context), context.settings.stack
    if stack is None:
        found = f"there is no stack '{name}' in {context.settings.region}"
        remedy = (
            "deploy it (`make build`, `make deploy`) and run this again; if the stack has another name, use --stack"
        )
        yield Finding("skipped", found, remedy)
    elif stack.status in _COMPLETE:
        yield Finding("ok", f"the stack '{name}' is {stack.status}")
    elif stack.status == "UPDATE_ROLLBACK_COMPLETE":
        found = f"the last update of '{name}' failed and was rolled back: {_first_failure(context, stack.id)}"
        yield Finding("warning", found, "fix the cause and deploy again")
    elif stack.status.endswith("IN_PROGRESS"):
        yield Finding("warning", f"the stack '{name}' is {stack.status}", "run this again when the operation has ended")
    else:
        must_delete = stack.status.startswith(("ROLLBACK", "DELETE"))
        remedy = "fix the cause and deploy again" + ("; delete the stack first" if must_delete else "")
        yield Finding("problem", f"the stack '{name}' is {stack.status}: {_first_failure(context, stack.id)}", remedy)


def _first_failure(context: Context, stack_id: str) -> str:
    """Return the first failure in the last operation on a stack; if it is a nested stack, the first failure there."""
    first: Answer = {}
    events = call_all_pages(context, "cloudformation", "describe_stack_events", "StackEvents", StackName=stack_id)
    for event in events or []:  # the newest event is first
        status, is_stack_itself = event["ResourceStatus"], event["PhysicalResourceId"] == stack_id
        reason = event.get("ResourceStatusReason", "cancelled")
        if status.endswith("_FAILED") and not is_stack_itself and "cancelled" not in reason:
            first = event
        if is_stack_itself and status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}:
            break
    if not first:
        return "its events give no reason"
    if first["ResourceType"] == "AWS::CloudFormation::Stack" and first.get("PhysicalResourceId"):
        return _first_failure(context, first["PhysicalResourceId"])
    return f"{first['LogicalResourceId']} ({first['ResourceType']}): {first['ResourceStatusReason']}"
