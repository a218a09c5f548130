"""What the rendered CloudFormation templates share: how names reach them, nested stacks, permissions. Pure.

Limits are those of "Understand CloudFormation quotas" in the CloudFormation guide.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet

Node = dict[str, Any]

PREFIX_PLACEHOLDER = "prefixofthestack"  # what names begin with, until `sub` leaves it to the stack
ACCOUNT_ID: Node = {"Ref": "AWS::AccountId"}
NO_VALUE: Node = {"Ref": "AWS::NoValue"}
MAX_TEMPLATE_BYTES, MAX_RESOURCES = 1_000_000, 500
MAX_YAML_GROWTH = (
    2  # times as large as packed JSON a template is at most when `sam deploy` uploads it (measured: 1.4 to 1.7)
)

PARAMETERS: dict[str, Node] = {
    "Prefix": {
        "Type": "String", "Default": "anomalake", "AllowedPattern": "^[a-z][a-z0-9]{0,19}$", "Description": "What names begin with.",
        "ConstraintDescription": "a letter a-z, then up to 19 of a-z and 0-9",
    },
    "Bucket": {"Type": "String", "Description": "Bucket of the lake and of the live data."},
    "Format": {"Type": "String", "Default": "parquet", "AllowedValues": ["parquet", "csv"], "Description": "Format of the lake's tables."},
    "WorkGroup": {"Type": "String", "Description": "Athena workgroup of the stack."},
    "KmsKeyArn": {"Type": "String", "Default": "", "Description": "KMS key that encrypts the bucket; empty where S3's own does."},
    "CrawlerSchedule": {"Type": "String", "Default": "", "Description": "cron(...) of the crawlers; empty: they run when they are asked to."},
    "LiveDataStart": {  # the lake's tables begin in 2000; an expression cannot tell leap years
        "Type": "String", "Default": "2020-01-01", "Description": "The first day of live data that Athena looks for.",
        "AllowedPattern": "^20[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))$",
        "ConstraintDescription": "a day of 2000 to 2099 as 2020-01-31, the 29th of February excepted",
    },
    "DetectFunctionArn": {"Type": "String", "Default": "", "Description": "The detect function; empty where the detector is off."},
    "DetectRoleName": {"Type": "String", "Description": "The detect function's role."},
    "SchedulerRoleArn": {"Type": "String", "Description": "The role that calls the detect function."},
    "AlarmTopicArn": {"Type": "String", "Default": "", "Description": "Where alarms go; empty: nowhere."},
    "BackfillWorkerType": {"Type": "String", "Default": "G.1X", "Description": "Glue worker type of the back-test jobs."},
    "BackfillWorkers": {"Type": "Number", "Default": 4, "MinValue": 2, "Description": "Glue workers of a back-test job, the driver among them."},
    "OwnerArn": {"Type": "String", "Description": "QuickSight user or group that owns what is made."},
    "ReaderArn": {"Type": "String", "Default": "", "Description": "QuickSight user or group that may read the dashboards; empty: nobody else."},
    "ImportMode": {
        "Type": "String", "Default": "DIRECT_QUERY", "AllowedValues": ["DIRECT_QUERY", "SPICE"],
        "Description": "Whether QuickSight asks Athena each time or keeps a copy.",
    },
    "Topics": {"Type": "String", "Default": "on", "AllowedValues": ["on", "off"], "Description": "Whether metric sets have topics, to ask in words."},
    "DataSourceArn": {"Type": "String", "Description": "The Athena data source in QuickSight."},
    "FolderArn": {"Type": "String", "Description": "The QuickSight folder of dashboards and topics."},
}  # fmt: skip
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
    """A template with those of the known parameters and conditions."""
    made: Node = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{description} Rendered by `anomalake render` from src/metric_sets; edit those.",
        "Parameters": {name: PARAMETERS[name] for name in parameters},
    }
    if any(resource["Type"] == "AWS::CloudFormation::Stack" for resource in resources.values()):
        made["Metadata"] = {
            "cfn-lint": {"config": {"ignore_checks": ["W3002"]}}
        }  # `sam deploy` packages the nested templates
    if conditions:
        made["Conditions"] = {name: CONDITIONS[name] for name in conditions}
    return {**made, "Resources": resources}


def nested_stack(file: str, parameters: Sequence[str], *, after: Sequence[str] = (), **values: Node) -> Node:
    """A nested stack from a file beside the template, whose parameters are this template's own or given."""
    properties = {"TemplateURL": file, "Parameters": {**{name: {"Ref": name} for name in parameters}, **values}}
    return {
        "Type": "AWS::CloudFormation::Stack",
        **({"DependsOn": list(after)} if after else {}),
        "Properties": properties,
    }


def fn_sub(text: str) -> Node:
    """A text in which the stack's parameters stand."""
    return {"Fn::Sub": text.replace(PREFIX_PLACEHOLDER, "${Prefix}")}


def escape_for_sub(text: str) -> str:
    """A text of the user's inside one for `sub`: what looks like a parameter in it is none."""
    return text.replace("${", "${!")


def logical_id(name: str) -> str:
    """A CloudFormation logical id."""
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))


def metric_set_logical_id(metric_set: MetricSet) -> str:
    """A logical id of the metric set: names are lower case, so no two become one."""
    return "Set" + metric_set.name[0].upper() + metric_set.name[1:].replace("_", "U")


def fn_if(condition: str, yes: Any, no: Any) -> Node:
    """One or the other."""
    return {"Fn::If": [condition, yes, no]}


def allow_statement(actions: Sequence[str], resources: Sequence[Node | str], **more: Any) -> Node:
    """A statement of a policy; actions of one service, `s3:` and the like before each."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources), **more}


def service_role(
    name: str, service: str, statements: Sequence[Node], description: str, **condition: Mapping[str, Any]
) -> Node:
    """A role of its own for a service of AWS."""
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
    """Leave to use the stack's KMS key, where it has one."""
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
    """The characters of a policy's statements once the longest parameters stand in them."""
    written = json.dumps(list(statements), separators=(",", ":"))
    for name, longest in _MAX_PARAMETER_CHARACTERS.items():
        written = written.replace(f"${{{name}}}", "x" * longest)
    return len(re.sub(r'\{"Fn::Sub":("[^"]*")\}', r"\1", written))


def template_text(made: Node, where: str) -> str:
    """The template as a file; `UserError` where it is beyond what CloudFormation takes."""
    packed = json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n"
    size = len(packed.encode())
    if MAX_YAML_GROWTH * size > MAX_TEMPLATE_BYTES:
        size = len(yaml.dump(made, Dumper=_DumperWithoutAliases, allow_unicode=True).encode())
    if size > MAX_TEMPLATE_BYTES or len(made["Resources"]) > MAX_RESOURCES:
        raise UserError(
            f"{where}: has {size:,} bytes and {len(made['Resources'])} resources; CloudFormation takes {MAX_TEMPLATE_BYTES:,} and {MAX_RESOURCES}. "
            f"A metric set with fewer measures or dimensions, or with shorter names, gives a smaller template"
        )
    readable = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    return readable if len(readable.encode()) <= MAX_TEMPLATE_BYTES else packed


class _DumperWithoutAliases(yaml.CSafeDumper):
    """YAML as `sam deploy` writes it: nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
