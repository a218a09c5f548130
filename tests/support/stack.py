"""Expands the templates of the stack as CloudFormation does: parameters, conditions and intrinsic functions are
resolved.

It supports what the templates of this project use, and fails on everything else, so that no part stays untested.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cfn_yaml
from anomalake.cli.rendered_files import render
from anomalake.domain.metric_set import MetricSet

TOP = Path(__file__).parents[2]
ACCOUNT, REGION = "111122223333", "eu-west-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::NoValue": None,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/anomalake/1a2b3c4d-0000-1111-2222-333344445555",
}


class Resource(NamedTuple):
    """A resource of the stack: its path through the nested stacks, its type, and its resolved properties."""

    path: str
    type: str
    properties: dict[str, Any]


def project(top: Path, sets: Sequence[MetricSet]) -> Path:
    """Write the template of a project with these metric sets, and the rendered files, to the folder `top`.

    Returns its path.
    """
    for name, text in render(sets).items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, "utf-8")
    shutil.copy(TOP / "template.yaml", top)
    return top / "template.yaml"


def read(file: Path) -> dict[str, Any]:
    """Read a template without expanding it."""
    if file.suffix == ".json":
        return dict(json.loads(file.read_text("utf-8")))
    return cfn_yaml.load(file)


def expand(file: Path = TOP / "template.yaml", path: str = "", **parameters: str) -> dict[str, Resource]:
    """Return every resource of the stack and of its nested stacks, by path."""
    template = read(file)
    unknown = set(parameters) - set(template.get("Parameters", {}))
    assert not unknown, f"{file}: has no parameter {', '.join(unknown)}"
    values = {}
    for name, declared in template.get("Parameters", {}).items():
        assert name in parameters or "Default" in declared, f"{file}: {name} has no value"
        values[name] = str(parameters.get(name, declared.get("Default")))
    scope = _Scope(template, values)
    found: dict[str, Resource] = {}
    for name, resource in template["Resources"].items():
        if "Condition" in resource and not scope.condition(resource["Condition"]):
            continue
        for other in _as_list(resource.get("DependsOn", [])):
            assert other in template["Resources"], f"{file}: {name} depends on {other}, which does not exist"
        properties = scope.resolve(resource.get("Properties", {}))
        if resource["Type"] == "AWS::CloudFormation::Stack":
            found |= expand(
                file.parent / properties["TemplateURL"], f"{path}{name}/", **properties.get("Parameters", {})
            )
        else:
            found[path + name] = Resource(path + name, resource["Type"], properties)
    for output in template.get("Outputs", {}).values():
        if "Condition" not in output or scope.condition(output["Condition"]):
            scope.resolve(output["Value"])
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class _Scope:
    """The parameters and resources of one template, by name."""

    def __init__(self, template: dict[str, Any], values: dict[str, str]) -> None:
        self.template, self.values = template, values

    def condition(self, name: str) -> bool:
        return self._test(self.template["Conditions"][name])

    def _test(self, node: Any) -> bool:
        ((kind, body),) = node.items()
        match kind:
            case "Fn::Equals":
                return str(self.resolve(body[0])) == str(self.resolve(body[1]))
            case "Fn::Not":
                return not self._test(body[0])
            case "Fn::And":
                return all(self._test(condition) for condition in body)
            case "Fn::Or":
                return any(self._test(condition) for condition in body)
            case "Condition":
                return self.condition(body)
        raise AssertionError(f"the condition {kind} is not supported")

    def resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for item in node if (value := self.resolve(item)) is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((kind, body),) = node.items()
            if kind == "Ref":
                return self._ref(body)
            if kind.startswith("Fn::"):
                return self._function(kind, body)
        return {key: value for key, item in node.items() if (value := self.resolve(item)) is not None}

    def _function(self, kind: str, body: Any) -> Any:
        match kind:
            case "Fn::If":
                return self.resolve(body[1] if self.condition(body[0]) else body[2])
            case "Fn::Sub":
                text, own = body if isinstance(body, list) else (body, {})
                return self._sub(text, {key: self.resolve(value) for key, value in own.items()})
            case "Fn::Join":
                return body[0].join(map(str, self.resolve(body[1])))
            case "Fn::Split":
                return str(self.resolve(body[1])).split(body[0])
            case "Fn::Select":
                return self.resolve(body[1])[int(body[0])]
            case "Fn::Base64":
                return base64.b64encode(str(self.resolve(body)).encode()).decode()
            case "Fn::GetAtt":
                return self._attribute(*(body if isinstance(body, list) else body.split(".", 1)))
        raise AssertionError(f"the function {kind} is not supported")

    def _sub(self, text: str, variables: dict[str, Any]) -> str:
        parts = text.split("${")
        text_so_far = parts[0]
        for part in parts[1:]:
            name, _, rest = part.partition("}")
            if name.startswith("!"):
                text_so_far += "${" + name[1:] + "}"
            elif name in variables:
                text_so_far += str(variables[name])
            else:
                text_so_far += str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))
            text_so_far += rest
        return text_so_far

    def _ref(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.values:
            return self.values[name]
        resource = self._get_resource(name)
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::SQS::Queue":
                return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.resolve(properties['QueueName'])}"
            case "AWS::SNS::Topic":
                return f"arn:aws:sns:{REGION}:{ACCOUNT}:{self.resolve(properties['TopicName'])}"
            case "AWS::IAM::ManagedPolicy":
                return f"arn:aws:iam::{ACCOUNT}:policy/{self.resolve(properties['ManagedPolicyName'])}"
            case "AWS::Glue::Database":
                return self.resolve(properties["DatabaseInput"]["Name"])
        for own in (
            "BucketName",
            "RoleName",
            "FunctionName",
            "LogGroupName",
            "Name",
            "AlarmName",
            "LayerName",
            "DashboardName",
        ):
            if own in properties:
                return self.resolve(properties[own])
        raise AssertionError(f"Ref of {name} is not supported")

    def _attribute(self, name: str, attribute: str) -> Any:
        resource = self._get_resource(name)
        if attribute.startswith("Outputs."):
            return f"{name}.{attribute}"
        properties = resource.get("Properties", {})
        own = self.resolve(properties)
        arns = {
            "AWS::S3::Bucket": lambda: f"arn:aws:s3:::{own['BucketName']}",
            "AWS::SQS::Queue": lambda: f"arn:aws:sqs:{REGION}:{ACCOUNT}:{own['QueueName']}",
            "AWS::IAM::Role": lambda: f"arn:aws:iam::{ACCOUNT}:role/{own['RoleName']}",
            "AWS::Serverless::Function": lambda: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{own['FunctionName']}",
            "AWS::Logs::LogGroup": lambda: f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{own['LogGroupName']}:*",
            "AWS::QuickSight::DataSource": lambda: (
                f"arn:aws:quicksight:{REGION}:{ACCOUNT}:datasource/{own['DataSourceId']}"
            ),
            "AWS::QuickSight::Folder": lambda: f"arn:aws:quicksight:{REGION}:{ACCOUNT}:folder/{own['FolderId']}",
            "AWS::CloudWatch::Alarm": lambda: f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{own['AlarmName']}",
        }
        if attribute == "Arn":
            return arns[resource["Type"]]()
        if attribute == "FunctionUrl":
            return f"https://{name.lower()}.lambda-url.{REGION}.on.aws/"
        if attribute == "QueueName":
            return own["QueueName"]
        raise AssertionError(f"the attribute {name}.{attribute} is not supported")

    def _get_resource(self, name: str) -> dict[str, Any]:
        assert name in self.template["Resources"], f"{name} is neither a parameter nor a resource"
        return dict(self.template["Resources"][name])


def cfn_lint(*regions: str, files: Iterable[Path]) -> str:
    """Return what cfn-lint finds in the templates; it runs in the environment of the SAM CLI (`make check`)."""
    command = [TOP / ".venv/sam/bin/cfn-lint", "--regions", *regions, "--", *files]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    return linted.stdout + linted.stderr
