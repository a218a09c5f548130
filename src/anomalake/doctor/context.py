"""The context that every check gets, and the calls of AWS.

AWS may deny any call. `call_aws` then raises `AwsCallError`, which has the finding to report instead.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from anomalake.domain.metric_set import MetricSet

Status = Literal["ok", "warning", "problem", "skipped"]
Clients = Callable[[str, str], Any]  # (service, region) -> a boto3 client
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
    """What to check.

    `stack` and `region` name the stack. `owner` is the owner of the dashboards (an empty text: the stack's parameter).
    `sets` are the metric sets of this checkout.
    """

    stack: str
    region: str
    owner: str
    sets: tuple[MetricSet, ...]


class Finding(NamedTuple):
    """What a check found, and what to do about it (empty if there is nothing to do)."""

    status: Status
    found: str
    remedy: str = ""


class AwsCallError(Exception):
    """A call of AWS failed. `finding` says why and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.finding = Finding("skipped", found, remedy)


class Stack(NamedTuple):
    """The deployed stack: its id, status, parameters and outputs."""

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


class Context(NamedTuple):
    """What a check reads. `caller` is the ARN of the caller; `stack` is None if it is not deployed."""

    clients: Clients
    settings: Settings
    caller: str = ""
    stack: Stack | None = None

    @property
    def account(self) -> str:
        """The account's id, of twelve digits."""
        return self.caller.split(":")[4]

    @property
    def partition(self) -> str:
        """The partition in ARNs: `aws`, `aws-cn`, ..."""
        return self.caller.split(":")[1]

    def parameter(self, name: str) -> str:
        """Return a parameter of the stack; empty if it does not have it."""
        return self.stack.parameters.get(name, "") if self.stack else ""

    def output(self, name: str) -> str:
        """Return an output of the stack; empty if it does not have it."""
        return self.stack.outputs.get(name, "") if self.stack else ""

    @property
    def prefix(self) -> str:
        """The prefix of the stack's names."""
        return self.parameter("Prefix") or "anomalake"

    @property
    def owner(self) -> str:
        """The owner of the dashboards; empty if the settings and the stack name no one."""
        return self.settings.owner or self.parameter("QuickSightOwner")

    @property
    def role(self) -> str:
        """The ARN of the role with which QuickSight queries Athena; empty if the stack has no QuickSight."""
        return self.output("QuickSightRoleArn")


def call_aws(context: Context, service: str, operation: str, *, region: str = "", **parameters: Any) -> Answer | None:
    """Call an operation of AWS and return its answer; None if the resource does not exist.

    Raises `AwsCallError` if AWS denies the call or cannot be reached.
    """
    try:
        answer: Answer = getattr(context.clients(service, region or context.settings.region), operation)(**parameters)
        return answer
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        message = " ".join(error.response["Error"].get("Message", "").split())
        if code in _NOT_FOUND_CODES or (
            code in {"ValidationError", "InvalidRequestException"} and re.search(r"does not exist|not found", message)
        ):
            return None
        permission = f"{service}:{error.operation_name}".replace("ListObjectsV2", "ListBucket")
        if code in _EXPIRED_CREDENTIALS_CODES:
            remedy = "sign in again (`aws sso login`, or new access keys)"
        elif code.startswith("AccessDenied"):
            remedy = (
                f"grant {permission} to the identity that runs this, or run it as an identity that has this permission"
            )
        else:
            remedy = "run this again; if the error persists, the message of AWS says what is wrong"
        raise AwsCallError(f"{permission} failed: {message or code}", remedy) from error
    except NoCredentialsError as error:
        raise AwsCallError(
            "there are no AWS credentials",
            "sign in (`aws configure`, `aws sso login`), or name a profile in AWS_PROFILE",
        ) from error
    except (BotoCoreError, ResponseParserError, ValueError) as error:  # ValueError: AWS_ENDPOINT_URL is not a URL
        message = " ".join(str(error).split())
        raise AwsCallError(
            f"cannot call {service}: {message}", "check the network, the region and the credentials"
        ) from error


def call_all_pages(context: Context, service: str, operation: str, key: str, **parameters: Any) -> list[Any] | None:
    """Call an operation for all pages and return the items under `key`; None if the resource does not exist."""
    found: list[Any] = []
    page: dict[str, str] = {}
    while (answer := call_aws(context, service, operation, **parameters, **page)) is not None:
        found += answer.get(key, [])
        if not answer.get("NextToken"):
            return found
        page = {"NextToken": answer["NextToken"]}
    return None


def call_in_identity_region(context: Context, operation: str, **parameters: Any) -> tuple[str, Answer | None]:
    """Call QuickSight in the identity region, and return that region and the answer.

    Called for users in another region, QuickSight names the identity region in its error.
    """
    parameters["AwsAccountId"] = context.account
    try:
        return context.settings.region, call_aws(context, "quicksight", operation, **parameters)
    except AwsCallError as error:
        named = _IDENTITY_REGION.search(error.finding.found)
        if named is None:
            raise
        return named[1], call_aws(context, "quicksight", operation, region=named[1], **parameters)


def call_quicksight(context: Context, operation: str, **parameters: Any) -> Answer | None:
    """Call QuickSight, as `call_aws`, for an asset of the account."""
    return call_aws(context, "quicksight", operation, AwsAccountId=context.account, **parameters)


def join_first(names: Iterable[str]) -> str:
    """Join the first few names with commas, and count the others."""
    all_names = list(names)
    shown, others = all_names[:_MAX_NAMES_IN_FINDING], len(all_names) - _MAX_NAMES_IN_FINDING
    return ", ".join(shown) + (f" and {others} more" if others > 0 else "")


def describe_stack(context: Context) -> Stack | None:
    """Return the deployed stack; None if it does not exist. Raises `AwsCallError`."""
    answer = call_aws(context, "cloudformation", "describe_stacks", StackName=context.settings.stack)
    if answer is None:
        return None
    if not answer.get("Stacks"):
        return None
    stack = answer["Stacks"][0]
    parameters = {item["ParameterKey"]: item.get("ParameterValue", "") for item in stack.get("Parameters", [])}
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    return Stack(stack["StackId"], stack["StackStatus"], parameters, outputs)


def query_results_location(workgroup: Answer) -> str:
    """Return the location of a workgroup's query results; empty if the workgroup has none."""
    return str(workgroup.get("Configuration", {}).get("ResultConfiguration", {}).get("OutputLocation", ""))
