"""The templates are within the limits of CloudFormation and the services, and two stacks share no name."""

import base64
import json

import pytest
import yaml

from anomalake import cloudformation
from anomalake.cli.rendered_files import render
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from examples import shop_text
from large_set import find_values
from stack import REGION, Resource, cfn_lint, expand, project, read
from template_project import OWNER, list_resources


def test_every_template_is_within_cloudformation_limits_as_written_and_as_sam_uploads_it(template_file):
    for file in [*template_file.parent.rglob("*.json"), template_file]:
        if file.name == "schemas.json":
            continue
        template = read(file)
        uploaded = len(
            yaml.dump(json.loads(json.dumps(template)), Dumper=yaml.CSafeDumper).encode()
        )  # `sam deploy` uploads YAML
        assert max(file.stat().st_size, uploaded) < 1_000_000, file
        assert len(template["Resources"]) <= 500
        assert len(template.get("Parameters", {})) <= 200
        assert len(template.get("Outputs", {})) <= 200
        assert len(template.get("Mappings", {})) <= 200
        assert len(template["Description"].encode()) <= 1024
        assert all(
            len(parameter["Description"].encode()) <= 4000 for parameter in template.get("Parameters", {}).values()
        )


@pytest.mark.cfn_lint
def test_cfn_lint_reports_nothing_for_three_metric_sets(template_file):
    files = [template_file, *(file for file in template_file.parent.rglob("*.json") if file.name != "schemas.json")]
    assert cfn_lint("us-east-1", "eu-central-1", files=files) == ""


def test_a_template_beyond_the_limits_is_rejected_before_anything_is_written():
    with pytest.raises(UserError, match="CloudFormation accepts 1,000,000"):
        cloudformation.template_text({"Resources": {"X": {"Type": "T", "Text": "x" * 1_000_001}}}, "glue/template.json")


NAME_PROPERTIES = (
    "Name",
    "BucketName",
    "RoleName",
    "ManagedPolicyName",
    "FunctionName",
    "QueueName",
    "TopicName",
    "LogGroupName",
    "AlarmName",
    "LayerName",
    "DashboardName",
    "DataSourceId",
    "DataSetId",
    "AnalysisId",
    "DashboardId",
    "TopicId",
    "FolderId",
)


def list_identifiers(resources: dict[str, Resource]) -> list[tuple[str, ...]]:
    """The identifier of each resource that the template names."""
    found = []
    for resource in resources.values():
        own = resource.properties
        if resource.type == "AWS::Glue::Database":
            found.append((resource.type, own["DatabaseInput"]["Name"]))
        elif resource.type in {"AWS::Glue::Table", "AWS::Athena::NamedQuery"}:
            found.append(
                (resource.type, own.get("DatabaseName", own.get("WorkGroup")), own.get("TableInput", own)["Name"])
            )
        elif resource.type == "AWS::QuickSight::RefreshSchedule":
            found.append((resource.type, own["DataSetId"], own["Schedule"]["ScheduleId"]))
        elif resource.type == "AWS::IAM::RolePolicy":
            found.append((resource.type, own["RoleName"], own["PolicyName"]))
        elif resource.type == "AWS::Lambda::Permission":
            found.append((resource.type, own["FunctionName"], own["Principal"]))
        elif resource.type == "AWS::Scheduler::Schedule":
            found.append((resource.type, own["GroupName"], own["Name"]))
        else:
            keys = [
                key
                for key in NAME_PROPERTIES
                if key in own and not (key == "Name" and any(name in own for name in NAME_PROPERTIES[11:]))
            ]
            found.extend((resource.type, own[key]) for key in keys)
    return found


def test_two_stacks_in_one_account_and_region_share_no_name(template_file):
    one, other = (
        list_identifiers(expand(template_file, **OWNER, QuickSightImportMode="SPICE", Prefix=prefix))
        for prefix in ("alpha", "beta")
    )
    assert len(set(one)) == len(one) == len(other)
    assert not set(one) & set(other)
    for kind, *names in one:
        if kind not in {"AWS::Glue::Table", "AWS::Athena::NamedQuery"}:
            assert any("alpha" in name for name in names), (kind, names)


def test_role_names_have_at_most_64_characters_with_the_longest_prefix_and_region(template_file):
    roles = list_resources(expand(template_file, **OWNER, Prefix="a" * 20), "AWS::IAM::Role")
    names = [role.properties["RoleName"].replace(REGION, "ap-northeast-1") for role in roles]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 64


HOSTILE_TEXTS = (
    shop_text(timestamp="timestamp: {column: timestamp, format: \"yyyy-MM-dd'${Bucket}'HH:mm:ss\"}")
    + f"""
label: "<b>Shop</b> 'quoted' \\"twice\\" ${{Prefix}} \\n second line / 🛒 {"x" * 300}"
description: "{"long " * 1000}"
"""
)
HOSTILE_TEXTS = HOSTILE_TEXTS.replace(
    "{name: views, aggregation: SUM}",
    f"{{name: views, aggregation: SUM, label: \"Überschuß / 'n' ${{x}} \\n {'y' * 300}\", "
    f'unit: "{"u" * 90}", description: "{"d" * 3000}"}}',
)


@pytest.mark.cfn_lint
def test_a_metric_set_without_a_source_has_no_detector_and_no_unused_parts_in_its_template(tmp_path):
    outside = metric_set_yaml.parse(shop_text().partition("source:")[0], "shop.yaml")
    template = project(tmp_path, [outside])
    made = expand(template, **OWNER)
    assert not list_resources(made, "AWS::Scheduler::Schedule")
    assert "Catalog/SetShop/AnomaliesWithLive" in made
    assert cfn_lint("us-east-1", files=[tmp_path / "glue/template.json", tmp_path / "glue/sets/shop.json"]) == ""


def test_more_metric_sets_than_one_role_can_name_are_rejected():
    sets = [metric_set_yaml.parse(shop_text(name=f"name: {'n' * 37}{n}"), "x") for n in range(10, 60)]
    with pytest.raises(
        UserError,
        match="QuickSight's role cannot name 50 metric sets; move some of them to a stack with another Prefix",
    ):
        render(sets)


@pytest.mark.cfn_lint
def test_hostile_texts_of_a_metric_set_are_escaped_and_shortened(tmp_path):
    item = metric_set_yaml.parse(HOSTILE_TEXTS, "loud.yaml")
    template = project(tmp_path, [item])
    made = expand(template, **OWNER)
    assert cfn_lint("us-east-1", files=tmp_path.rglob("sets/**/*.json")) == ""
    for resource in made.values():
        own = resource.properties
        for text in [
            *find_values(own, "Description"),
            *find_values(own, "AlarmDescription"),
            *find_values(own, "Comment"),
            *find_values(own, "Name"),
        ]:
            assert "\n" not in text, resource.path
            assert len(text) <= 255, (resource.path, text)
        if resource.type == "AWS::QuickSight::DataSet":
            assert len(own["Name"]) <= 128
    entry = made["Catalog/SetShop/AnomaliesWithLive"].properties["TableInput"]["ViewOriginalText"]
    assert "${Bucket}" in json.loads(base64.b64decode(entry.split()[3]))["originalSql"]
