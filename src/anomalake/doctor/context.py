"""What every check of the doctor shares: what it looks at, how it asks AWS, and what this checkout declares.

AWS may refuse any question. `ask` then raises `RefusalError`, which carries the finding to tell instead.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from anomalake.catalog import sql
from anomalake.catalog.views import database, views_of_set, views_over_all_sets
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format

Status = Literal["ok", "warning", "problem", "skipped"]
Clients = Callable[[str, str], Any]  # a service and a region -> its boto3 client
Answer = dict[str, Any]

_IDENTITY_REGION = re.compile(r"identity region is ([a-z0-9-]+)")
_NOT_FOUND_CODES = {"ResourceNotFoundException", "EntityNotFoundException", "NoSuchBucket", "NoSuchEntity"}
_EXPIRED_CREDENTIALS_CODES = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
}
_MAX_NAMES_IN_FINDING = 4  # tables, columns or errors that one finding lists


class Settings(NamedTuple):
    """What to examine: the stack and its region, who is to own the dashboards (empty: as the stack says), this checkout's metric sets."""

    stack: str
    region: str
    owner: str
    sets: tuple[MetricSet, ...]


class Finding(NamedTuple):
    """What a check found, and what to do about it (empty where there is nothing to do)."""

    status: Status
    found: str
    remedy: str = ""


class AwsCallError(Exception):
    """AWS did not answer: why, and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.finding = Finding("skipped", found, remedy)


class Stack(NamedTuple):
    """The deployed stack."""

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


class Context(NamedTuple):
    """What every check knows."""

    clients: Clients
    settings: Settings
    caller: str = ""
    stack: Stack | None = None

    @property
    def account(self) -> str:
        """Its twelve digits."""
        return self.caller.split(":")[4]

    @property
    def partition(self) -> str:
        """What ARNs begin with: `aws`, `aws-cn`, ..."""
        return self.caller.split(":")[1]

    def parameter(self, name: str) -> str:
        """The stack's parameter, empty where it has none."""
        return self.stack.parameters.get(name, "") if self.stack else ""

    def output(self, name: str) -> str:
        """The stack's output, empty where it has none."""
        return self.stack.outputs.get(name, "") if self.stack else ""

    @property
    def prefix(self) -> str:
        """What the stack's names begin with."""
        return self.parameter("Prefix") or "anomalake"

    @property
    def owner(self) -> str:
        """Who is to own the dashboards; empty where nobody is named."""
        return self.settings.owner or self.parameter("QuickSightOwner")

    @property
    def role(self) -> str:
        """The ARN of the role with which QuickSight asks Athena; empty where there is none."""
        return self.output("QuickSightRoleArn")


# --- asking AWS


def call_aws(context: Context, service: str, operation: str, *, region: str = "", **parameters: Any) -> Answer | None:
    """The answer; None where there is no such thing. Raises `RefusalError`."""
    try:
        answer: Answer = getattr(context.clients(service, region or context.settings.region), operation)(**parameters)
        return answer
    except ClientError as error:
        code, said = (
            error.response["Error"].get("Code", ""),
            " ".join(error.response["Error"].get("Message", "").split()),
        )
        if code in _NOT_FOUND_CODES or (
            code in {"ValidationError", "InvalidRequestException"} and re.search(r"does not exist|not found", said)
        ):
            return None
        permission = f"{service}:{error.operation_name}".replace("ListObjectsV2", "ListBucket")
        if code in _EXPIRED_CREDENTIALS_CODES:
            remedy = "sign in again (`aws sso login`, or new access keys)"
        elif code.startswith("AccessDenied"):
            remedy = f"allow {permission} to whoever runs this, or ask somebody who has it to run it"
        else:
            remedy = "try again; if it stays, the message says what AWS objects to"
        raise AwsCallError(f"{permission} was refused: {said or code}", remedy) from error
    except NoCredentialsError as error:
        raise AwsCallError(
            "there are no AWS credentials",
            "sign in (`aws configure`, `aws sso login`), or name a profile in AWS_PROFILE",
        ) from error
    except (BotoCoreError, ResponseParserError, ValueError) as error:  # ValueError: an AWS_ENDPOINT_URL that is no URL
        said = " ".join(str(error).split())
        raise AwsCallError(
            f"{service} could not be asked: {said}", "check the network, the region and the credentials"
        ) from error


def call_all_pages(context: Context, service: str, operation: str, key: str, **parameters: Any) -> list[Any] | None:
    """What all pages hold under `key`; None where there is no such thing."""
    found: list[Any] = []
    page: dict[str, str] = {}
    while (answer := call_aws(context, service, operation, **parameters, **page)) is not None:
        found += answer.get(key, [])
        if not answer.get("NextToken"):
            return found
        page = {"NextToken": answer["NextToken"]}
    return None


def call_in_identity_region(context: Context, operation: str, **parameters: Any) -> tuple[str, Answer | None]:
    """The identity region, and its answer. QuickSight names that region where another one is asked for users."""
    parameters["AwsAccountId"] = context.account
    try:
        return context.settings.region, call_aws(context, "quicksight", operation, **parameters)
    except AwsCallError as refusal:
        named = _IDENTITY_REGION.search(refusal.finding.found)
        if named is None:
            raise
        return named[1], call_aws(context, "quicksight", operation, region=named[1], **parameters)


def call_quicksight(context: Context, operation: str, **parameters: Any) -> Answer | None:
    """`ask` for one of the account's QuickSight assets."""
    return call_aws(context, "quicksight", operation, AwsAccountId=context.account, **parameters)


def join_first(names: Iterable[str]) -> str:
    """The first few of them in words."""
    told = list(names)
    return ", ".join(told[:_MAX_NAMES_IN_FINDING]) + (
        f" and {len(told) - _MAX_NAMES_IN_FINDING} more" if len(told) > _MAX_NAMES_IN_FINDING else ""
    )


def describe_stack(context: Context) -> Stack | None:
    """The stack as it is; None where there is none. Raises `RefusalError`."""
    answer = call_aws(context, "cloudformation", "describe_stacks", StackName=context.settings.stack)
    if answer is None:
        return None
    if not answer.get("Stacks"):
        return None
    stack = answer["Stacks"][0]
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])}
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
    return Stack(stack["StackId"], stack["StackStatus"], parameters, outputs)


# --- what this checkout declares


class DeclaredTable(NamedTuple):
    """A table or view as this checkout's metric sets give it: its columns with their Hive types; a table's folder."""

    columns: Mapping[str, str]
    folder: str = ""


def declared_catalog(context: Context) -> dict[str, dict[str, DeclaredTable]]:
    """Every database's tables and views."""
    form: Format = "csv" if context.parameter("Format") == "csv" else "parquet"
    made: dict[str, dict[str, DeclaredTable]] = {context.prefix: {}}
    for item in context.settings.sets:
        own = made[database(context.prefix, item)] = {}
        for table, name in GLUE_TABLE_NAMES.items():
            kinds = {
                column: "string" if form == "csv" else sql.HIVE_TYPES[sql.TRINO_TYPES[kind]]
                for column, kind in tables.schema(table, item)
            }
            own[name] = DeclaredTable(
                {column.lower(): kind for column, kind in kinds.items()}, layout.table_folder(table, item)
            )
        if item.source is not None:
            columns = dict.fromkeys((column.lower() for column in item.source.columns), "string")
            own["live"] = DeclaredTable(
                columns, time_patterns.parse_folder_pattern(item.source.path).prefix.rpartition("/")[0]
            )
    every = [view for item in context.settings.sets for view in views_of_set(item, context.prefix, form)]
    for view in (*every, *views_over_all_sets(context.settings.sets, context.prefix, form)):
        made[view.database][view.name] = DeclaredTable(
            {column.name: sql.HIVE_TYPES[column.type] for column in view.columns}
        )
    return made


def query_results_location(workgroup: Answer) -> str:
    """Where a workgroup's query results go; empty where it does not say."""
    return str(workgroup.get("Configuration", {}).get("ResultConfiguration", {}).get("OutputLocation", ""))
