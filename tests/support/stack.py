"""The stack as CloudFormation would see it: templates expanded with parameters, conditions decided, intrinsic functions resolved. For tests.

It knows what this project's templates use and refuses the rest, so that nothing passes unread.
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
    "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::NoValue": None,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/anomalake/1a2b3c4d-0000-1111-2222-333344445555",
}  # fmt: skip


class Resource(NamedTuple):
    """A resource that would be made: its path through the nested stacks, type, and resolved properties."""

    path: str
    type: str
    properties: dict[str, Any]


def project(top: Path, sets: Sequence[MetricSet]) -> Path:
    """The template of a project with these metric sets, in the folder `top`, with what is rendered from them."""
    for name, text in render(sets).items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, "utf-8")
    shutil.copy(TOP / "template.yaml", top)
    return top / "template.yaml"


def read(file: Path) -> dict[str, Any]:
    """A template as it is written."""
    if file.suffix == ".json":
        return dict(json.loads(file.read_text("utf-8")))
    return cfn_yaml.load(file)


def expand(file: Path = TOP / "template.yaml", path: str = "", **parameters: str) -> dict[str, Resource]:
    """Every resource of the stack and of its nested stacks, by path."""
    template = read(file)
    unknown = set(parameters) - set(template.get("Parameters", {}))
    assert not unknown, f"{file}: has no parameter {unknown}"
    values = {}
    for name, declared in template.get("Parameters", {}).items():
        assert name in parameters or "Default" in declared, f"{file}: {name} is not given"
        values[name] = str(parameters.get(name, declared.get("Default")))
    scope = _Scope(template, values)
    found: dict[str, Resource] = {}
    for name, resource in template["Resources"].items():
        if "Condition" in resource and not scope.condition(resource["Condition"]):
            continue
        for other in _listed(resource.get("DependsOn", [])):
            assert other in template["Resources"], f"{file}: {name} depends on {other}, which is not there"
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


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class _Scope:
    """One template's names."""

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
                return all(self._test(one) for one in body)
            case "Fn::Or":
                return any(self._test(one) for one in body)
            case "Condition":
                return self.condition(body)
        raise AssertionError(f"a condition by {kind} is not known here")

    def resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for one in node if (value := self.resolve(one)) is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((kind, body),) = node.items()
            if kind == "Ref":
                return self._ref(body)
            if kind.startswith("Fn::"):
                return self._function(kind, body)
        return {key: value for key, one in node.items() if (value := self.resolve(one)) is not None}

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
        raise AssertionError(f"{kind} is not known here")

    def _sub(self, text: str, own: dict[str, Any]) -> str:
        parts = text.split("${")
        made = parts[0]
        for part in parts[1:]:
            name, _, rest = part.partition("}")
            if name.startswith("!"):
                made += "${" + name[1:] + "}"
            elif name in own:
                made += str(own[name])
            else:
                made += str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))
            made += rest
        return made

    def _ref(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.values:
            return self.values[name]
        resource = self._known(name)
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
        raise AssertionError(f"what Ref gives of {name} is not known here")

    def _attribute(self, name: str, attribute: str) -> Any:
        resource = self._known(name)
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
        raise AssertionError(f"{name}.{attribute} is not known here")

    def _known(self, name: str) -> dict[str, Any]:
        assert name in self.template["Resources"], f"{name} is neither a parameter nor a resource"
        return dict(self.template["Resources"][name])


def cfn_lint(*regions: str, files: Iterable[Path]) -> str:
    """Return what cfn-lint finds in the templates; it runs in the environment of the SAM CLI (`make check`)."""
    command = [TOP / ".venv/sam/bin/cfn-lint", "--regions", *regions, "--", *files]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    return linted.stdout + linted.stderr
