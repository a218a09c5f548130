"""Building blocks of the rendered CloudFormation templates: parameters, nested stacks, permissions. Pure functions.

Names in a template begin with the stack's parameter `Prefix`. Code writes them with `PREFIX_PLACEHOLDER`, which
`fn_sub` replaces by a reference to that parameter. The limits are from "Understand CloudFormation quotas" in the
CloudFormation guide.
"""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import yaml

from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

Node = dict[str, Any]

PREFIX_PLACEHOLDER = "prefixofthestack"  # stands for the parameter `Prefix` until `fn_sub` replaces it
ACCOUNT_ID: Node = {"Ref": "AWS::AccountId"}
NO_VALUE: Node = {"Ref": "AWS::NoValue"}
MAX_TEMPLATE_BYTES = 1_000_000
MAX_RESOURCES = 500
# `sam deploy` uploads YAML. It is at most this many times as large as compact JSON (measured: 1.4 to 1.7 times).
MAX_YAML_GROWTH = 2

PARAMETERS: dict[str, Node] = {
    "Prefix": {
        "Type": "String",
        "Default": "anomalake",
        "AllowedPattern": "^[a-z][a-z0-9]{0,19}$",
        "Description": "The prefix of names.",
        "ConstraintDescription": "a letter a-z, then up to 19 of a-z and 0-9",
    },
    "Bucket": {"Type": "String", "Description": "The bucket of the lake and of the live data."},
    "Format": {
        "Type": "String",
        "Default": "parquet",
        "AllowedValues": ["parquet", "csv"],
        "Description": "The format of the tables in the lake.",
    },
    "WorkGroup": {"Type": "String", "Description": "The Athena workgroup of the stack."},
    "KmsKeyArn": {
        "Type": "String",
        "Default": "",
        "Description": "The KMS key that encrypts the bucket; empty for encryption with a key of S3.",
    },
    "CrawlerSchedule": {
        "Type": "String",
        "Default": "",
        "Description": "The schedule of the crawlers, as cron(...); empty to run them only on demand.",
    },
    "LiveDataStart": {
        "Type": "String",
        "Default": "2020-01-01",
        "Description": "The first day of live data that Athena looks for.",
        # The tables of the lake begin in 2000. February 29 is left out, because a regular expression cannot tell leap
        # years.
        "AllowedPattern": "^20[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
        "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))$",
        "ConstraintDescription": "a day from 2000 to 2099, such as 2020-01-31, except February 29",
    },
    "DetectFunctionArn": {
        "Type": "String",
        "Default": "",
        "Description": "The detect function; empty if the detector is off.",
    },
    "DetectRoleName": {"Type": "String", "Description": "The role of the detect function."},
    "SchedulerRoleArn": {
        "Type": "String",
        "Description": "The role with which EventBridge Scheduler calls the detect function.",
    },
    "AlarmTopicArn": {
        "Type": "String",
        "Default": "",
        "Description": "The SNS topic of alarms; empty for no notifications.",
    },
    "BackfillWorkerType": {
        "Type": "String",
        "Default": "G.1X",
        "Description": "The Glue worker type of the back-test jobs.",
    },
    "BackfillWorkers": {
        "Type": "Number",
        "Default": 4,
        "MinValue": 2,
        "Description": "The number of Glue workers of a back-test job, including the driver.",
    },
    "OwnerArn": {"Type": "String", "Description": "The QuickSight user or group that owns the assets."},
    "ReaderArn": {
        "Type": "String",
        "Default": "",
        "Description": "The QuickSight user or group that can read the dashboards; empty for no one else.",
    },
    "ImportMode": {
        "Type": "String",
        "Default": "DIRECT_QUERY",
        "AllowedValues": ["DIRECT_QUERY", "SPICE"],
        "Description": "Whether QuickSight queries Athena each time or keeps a copy in SPICE.",
    },
    "Topics": {
        "Type": "String",
        "Default": "on",
        "AllowedValues": ["on", "off"],
        "Description": "Whether metric sets have topics, for questions in natural language.",
    },
    "DataSourceArn": {"Type": "String", "Description": "The Athena data source in QuickSight."},
    "FolderArn": {"Type": "String", "Description": "The QuickSight folder of the dashboards and topics."},
}
CONDITIONS: dict[str, Node] = {
    "IsCsv": {"Fn::Equals": [{"Ref": "Format"}, "csv"]},
    "HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "KmsKeyArn"}, ""]}]},
    "HasCrawlerSchedule": {"Fn::Not": [{"Fn::Equals": [{"Ref": "CrawlerSchedule"}, ""]}]},
    "HasDetector": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DetectFunctionArn"}, ""]}]},
    "HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}]},
    "HasReader": {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReaderArn"}, ""]}]},
    "IsSpice": {"Fn::Equals": [{"Ref": "ImportMode"}, "SPICE"]},
}


def build_template(description: str, parameters: Sequence[str], conditions: Sequence[str], resources: Node) -> Node:
    """Return a template. `parameters` and `conditions` name entries of `PARAMETERS` and `CONDITIONS`."""
    template: Node = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{description} Rendered by `anomalake render` from src/metric_sets; edit those.",
        "Parameters": {name: PARAMETERS[name] for name in parameters},
    }
    if any(resource["Type"] == "AWS::CloudFormation::Stack" for resource in resources.values()):
        # W3002 objects to local paths of nested templates, which `sam deploy` packages.
        template["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["W3002"]}}}
    if conditions:
        template["Conditions"] = {name: CONDITIONS[name] for name in conditions}
    return {**template, "Resources": resources}


def nested_stack(file: str, parameters: Sequence[str], *, after: Sequence[str] = (), **values: Node) -> Node:
    """Return a nested stack.

    `file` is the path of its template, relative to this one. The nested stack gets the `parameters` of this template,
    and the other `values`. CloudFormation creates it after the resources in `after`.
    """
    properties = {"TemplateURL": file, "Parameters": {**{name: {"Ref": name} for name in parameters}, **values}}
    return {
        "Type": "AWS::CloudFormation::Stack",
        **({"DependsOn": list(after)} if after else {}),
        "Properties": properties,
    }


def fn_sub(text: str) -> Node:
    """Return `Fn::Sub` of a text that refers to the stack's parameters as `${Name}` or by `PREFIX_PLACEHOLDER`."""
    return {"Fn::Sub": text.replace(PREFIX_PLACEHOLDER, "${Prefix}")}


def escape_for_sub(text: str) -> str:
    """Escape a text of the user for `fn_sub`, so that `${` in it does not refer to a parameter."""
    return text.replace("${", "${!")


def fn_if(condition: str, yes: Any, no: Any) -> Node:
    """Return `Fn::If`: `yes` where the condition is true, else `no`."""
    return {"Fn::If": [condition, yes, no]}


def logical_id(name: str) -> str:
    """Convert a name with `-` or `_` to a CloudFormation logical id: `anomaly_log` -> `AnomalyLog`."""
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))


def metric_set_logical_id(metric_set: MetricSet) -> str:
    """Return the logical id of a metric set. Names are lower case, so that no two metric sets have the same id."""
    return "Set" + metric_set.name[0].upper() + metric_set.name[1:].replace("_", "U")


def short_role_part(metric_set: MetricSet) -> str:
    """Return a unique form of the metric set's name that fits into the name of a role.

    With it, the name keeps to the 64 characters of IAM, whatever the prefix and the region.
    """
    if len(metric_set.name) <= 12:
        return metric_set.name
    return f"{metric_set.name[:5]}-{sha256(metric_set.name.encode()).hexdigest()[:6]}"


def allow_statement(actions: Sequence[str], resources: Sequence[Node | str], **more: Any) -> Node:
    """Return a policy statement that allows `actions` on `resources`; `more` adds fields, such as `Condition`."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources), **more}


def service_role(
    name: str, service: str, statements: Sequence[Node], description: str, **condition: Mapping[str, Any]
) -> Node:
    """Return a role with the permissions `statements`, which only the AWS service `service` can assume."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": fn_sub(name),
            "Description": description,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [
                {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
            ],
        },
    }


def kms_key_statement(actions: Sequence[str]) -> Node:
    """Return a policy statement that allows `actions` with the stack's KMS key, if the stack has one."""
    return fn_if("HasKey", allow_statement(actions, [{"Ref": "KmsKeyArn"}]), NO_VALUE)


_MAX_PARAMETER_CHARACTERS = {
    "Prefix": 20,
    "WorkGroup": 20,
    "Bucket": 63,
    "AWS::Region": 14,
    "AWS::AccountId": 12,
    "AWS::Partition": 10,
}


def policy_size(statements: Sequence[Node]) -> int:
    """Return the number of characters that a policy's statements have with the longest values of all parameters."""
    document = json.dumps(list(statements), separators=(",", ":"))
    for name, characters in _MAX_PARAMETER_CHARACTERS.items():
        document = document.replace(f"${{{name}}}", "x" * characters)
    return len(re.sub(r'\{"Fn::Sub":("[^"]*")\}', r"\1", document))


def template_text(template: Node, path: str) -> str:
    """Return the template as JSON: indented, or compact where the indented text is larger than CloudFormation accepts.

    Raises `UserError` if even the form that `sam deploy` uploads is too large, or if there are too many resources;
    `path` names the file.
    """
    compact = json.dumps(template, separators=(",", ":"), ensure_ascii=False) + "\n"
    size = len(compact.encode())
    if MAX_YAML_GROWTH * size > MAX_TEMPLATE_BYTES:
        size = len(yaml.dump(template, Dumper=_DumperWithoutAliases, allow_unicode=True).encode())
    resources = len(template["Resources"])
    if size > MAX_TEMPLATE_BYTES or resources > MAX_RESOURCES:
        raise UserError(
            f"{path}: the template has {size:,} bytes and {resources} resources; CloudFormation accepts "
            f"{MAX_TEMPLATE_BYTES:,} bytes and {MAX_RESOURCES} resources. To make the template smaller, reduce the "
            "measures or dimensions of the metric set, or shorten its names"
        )
    indented = json.dumps(template, indent=1, ensure_ascii=False) + "\n"
    return indented if len(indented.encode()) <= MAX_TEMPLATE_BYTES else compact


class _DumperWithoutAliases(yaml.CSafeDumper):
    """Writes YAML as `sam deploy` does, without aliases (references to a repeated node)."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
