"""The doctor against an AWS that answers as told: what it finds wrong, and that nothing AWS refuses stops it.

The fake holds every question and every answer against botocore's own service models.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.validate import ParamValidator

from anomalake import doctor
from anomalake.catalog import views
from anomalake.cli.main import main
from anomalake.doctor.context import Context, Stack, declared_catalog
from anomalake.domain import metric_set, metric_set_yaml
from examples import shop_text
from stack import expand, project

ACCOUNT, REGION, BUCKET = "111122223333", "eu-west-1", "anomalake-111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/anomalake-quicksight"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/anomalake/1"
ANA = f"arn:aws:quicksight:{REGION}:{ACCOUNT}:user/default/ana"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")
_MODELS = botocore.session.get_session()

Answers = dict[str, Any]  # "service.operation" -> its answer, an exception, or a function of the parameters


@dataclass
class Aws:
    """Clients that give canned answers, and remember what they were asked."""

    answers: Answers
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # region, operation, parameters

    def __call__(self, service: str, region: str) -> Any:
        return Client(self, service, region)


@dataclass
class Client:
    """One service in one region."""

    aws: Aws
    service: str
    region: str

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name, shapes = _operation(self.service, operation)

        def call(**parameters: Any) -> Any:
            report = ParamValidator().validate(parameters, shapes.input_shape)
            assert not report.has_errors(), report.generate_report()
            self.aws.asked.append((self.region, operation, parameters))
            answer = self.aws.answers[f"{self.service}.{operation}"]
            if callable(answer):
                answer = answer(region=self.region, **parameters)
            if isinstance(answer, str):  # an error's code, and what it says
                code, _, message = answer.partition(": ")
                raise ClientError({"Error": {"Code": code, "Message": message}}, name)
            if isinstance(answer, Exception):
                raise answer
            _is_of(shapes.output_shape, answer, name)
            return answer

        return call


@cache
def _operation(service: str, operation: str) -> tuple[str, Any]:
    """An operation's name in the service's model, and its shapes; one that there is not fails."""
    model = _MODELS.get_service_model(service)
    (name,) = [name for name in model.operation_names if botocore.xform_name(name) == operation]
    return name, model.operation_model(name)


def _is_of(shape: Any, answer: Any, where: str) -> None:
    """An answer holds nothing that the service's model does not know."""
    if shape.type_name == "structure":
        for name, value in answer.items():
            assert name in shape.members, f"{where} never answers {name}"
            _is_of(shape.members[name], value, f"{where}.{name}")
    elif shape.type_name == "list":
        for value in answer:
            _is_of(shape.member, value, where)
    elif getattr(shape, "enum", None):
        assert answer in shape.enum, f"{where} is never {answer}"


def catalog(**changed: Any) -> Callable[..., Any]:
    """Glue's tables as the metric set declares them, a table a page; `changed` replaces a database's."""
    stack = Stack("", "", {}, {"DataBucket": BUCKET})
    context = Context(Aws({}), doctor.Settings("anomalake", REGION, "", (SHOP,)), stack=stack)
    databases = {
        name: {table: (whole.columns, f"s3://{BUCKET}/{whole.folder}/") for table, whole in there.items()}
        for name, there in declared_catalog(context).items()
    }
    databases["anomalake_shop_crawled"] = {
        f"crawled_{name}": one for name, one in databases["anomalake_shop"].items() if "anomal" in name
    }
    databases = {**databases, **changed}

    def get_tables(DatabaseName: str, NextToken: str = "0", **_: Any) -> Any:
        if databases.get(DatabaseName) is None:
            return f"EntityNotFoundException: Database {DatabaseName} not found."
        place = int(NextToken)
        page = [
            {
                "Name": name,
                "StorageDescriptor": {
                    "Columns": [{"Name": c, "Type": t} for c, t in columns.items()],
                    "Location": location,
                },
            }
            for name, (columns, location) in list(databases[DatabaseName].items())[place : place + 1]
        ]
        return {
            "TableList": page,
            **({"NextToken": str(place + 1)} if place + 1 < len(databases[DatabaseName]) else {}),
        }

    return get_tables


def tables_of(database: str) -> dict[str, Any]:
    """A database of `catalog`, to change."""
    get_tables, found, page = catalog(), {}, {}
    while True:
        answer = get_tables(DatabaseName=database, **page)
        for table in answer["TableList"]:
            descriptor = table["StorageDescriptor"]
            found[table["Name"]] = (
                {column["Name"]: column["Type"] for column in descriptor["Columns"]},
                descriptor["Location"],
            )
        if "NextToken" not in answer:
            return found
        page = {"NextToken": answer["NextToken"]}


def objects(**numbers: int) -> Callable[..., Any]:
    """The bucket's listing: how many objects lie under each prefix (its first word names it)."""

    def list_objects_v2(Prefix: str, MaxKeys: int, StartAfter: str = "", **_: Any) -> Any:
        number = numbers.get(Prefix.partition("/")[0], 0) if Prefix else sum(numbers.values())
        place = f"{Prefix}20210217/0000/" if Prefix == "shop/live/" else Prefix
        return {"Contents": [{"Key": f"{place}{n}"} for n in range(min(number, MaxKeys)) if f"{place}{n}" > StartAfter]}

    return list_objects_v2


def simulated(*denied: str, **more: Any) -> Callable[..., Any]:
    """IAM's simulation: everything is allowed but these actions."""

    def simulate(ActionNames: list[str], ResourceArns: list[str], **_: Any) -> Any:
        results = [
            {"EvalActionName": action, "EvalResourceName": arn, "EvalDecision": "allowed"}
            if action not in denied
            else {"EvalActionName": action, "EvalResourceName": arn, "EvalDecision": "implicitDeny", **more}
            for action in ActionNames
            for arn in ResourceArns
        ]
        return {"EvaluationResults": results}

    return simulate


def stack(status: str = "UPDATE_COMPLETE", *, quicksight: bool = True, **parameters: str) -> Answers:
    outputs = {"DataBucket": BUCKET, "WorkGroup": "anomalake", **({"QuickSightRoleArn": ROLE} if quicksight else {})}
    given = {"Prefix": "anomalake", "Format": "parquet", "QuickSightOwner": ANA if quicksight else "", **parameters}
    one = {
        "StackId": STACK_ID, "StackName": "anomalake", "StackStatus": status, "CreationTime": NOW,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
    }  # fmt: skip
    return {"Stacks": [one]}


def event(
    status: str,
    reason: str = "",
    *,
    resource: str = "anomalake",
    kind: str = "AWS::CloudFormation::Stack",
    own: str = STACK_ID,
) -> Answers:
    known = {"LogicalResourceId": resource, "ResourceType": kind, "PhysicalResourceId": own, "ResourceStatus": status}
    return {
        "StackId": STACK_ID,
        "EventId": "e",
        "StackName": "anomalake",
        "Timestamp": NOW,
        "ResourceStatusReason": reason,
        **known,
    }


def workgroup(
    state: str = "ENABLED",
    *,
    enforced: bool = True,
    location: str = f"s3://{BUCKET}/athena-results/",
    engine: str = "3",
) -> Answers:
    configuration = {
        "ResultConfiguration": {"OutputLocation": location} if location else {},
        "EnforceWorkGroupConfiguration": enforced,
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": f"Athena engine version {engine}"},
    }
    return {"WorkGroup": {"Name": "anomalake", "State": state, "Configuration": configuration}}


def data_sets(mode: str = "DIRECT_QUERY") -> Answers:
    names = [
        f"anomalake-set-shop-{view.name.replace('_', '-')}" for view in views.views_of_set(SHOP, "anomalake", "parquet")
    ]
    names += [
        "anomalake-all-anomalies",
        "anomalake-all-contributions",
        "anomalake-all-anomaly-log",
        "anomalake-all-data-health",
    ]
    return {"DataSetSummaries": [{"DataSetId": name, "ImportMode": mode} for name in names]}


def ingestion(status: str, day: int = 1, **more: Any) -> Answers:
    return {
        "Arn": "arn",
        "IngestionId": f"i{day}",
        "IngestionStatus": status,
        "CreatedTime": NOW.replace(day=day),
        **more,
    }


def lake_settings(*principals: str) -> Answers:
    grants = [{"Principal": {"DataLakePrincipalIdentifier": one}, "Permissions": ["ALL"]} for one in principals]
    return {"DataLakeSettings": {"CreateDatabaseDefaultPermissions": grants, "CreateTableDefaultPermissions": grants}}


def user(role: str = "AUTHOR", *, active: bool = True) -> Answers:
    return {"User": {"Arn": ANA, "UserName": "ana", "Role": role, "Active": active}}


def board(status: str = "CREATION_SUCCESSFUL", *errors: Any) -> Answers:
    return {"Status": status, "Errors": list(errors)}


HEALTHY: Answers = {
    "sts.get_caller_identity": {
        "Account": ACCOUNT,
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/engineer/me",
        "UserId": "A:me",
    },
    "quicksight.describe_account_subscription": {
        "AccountInfo": {"Edition": "ENTERPRISE", "AccountSubscriptionStatus": "ACCOUNT_CREATED"}
    },
    "quicksight.list_users": {"UserList": [user()["User"]]},
    "quicksight.describe_user": user(),
    "lakeformation.get_data_lake_settings": lake_settings("IAM_ALLOWED_PRINCIPALS"),
    "glue.get_data_catalog_encryption_settings": {
        "DataCatalogEncryptionSettings": {
            "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": "alias/lake"}
        }
    },
    "cloudformation.describe_stacks": stack(),
    "athena.get_work_group": workgroup(),
    "glue.get_tables": catalog(),
    "glue.get_table": {"Table": {"Name": "live", "Parameters": {"projection.slot.range": "20200101,NOW+1DAYS"}}},
    "s3.list_objects_v2": objects(shop=3, anomalyResults=2),
    "iam.simulate_principal_policy": simulated(),
    "quicksight.describe_data_source": {
        "DataSource": {"DataSourceId": "anomalake", "Type": "ATHENA", "Status": "CREATION_SUCCESSFUL"}
    },
    "quicksight.list_data_sets": data_sets(),
    "quicksight.describe_analysis": {"Analysis": board()},
    "quicksight.describe_dashboard": {"Dashboard": {"Version": board()}},
    "quicksight.describe_dashboard_permissions": {
        "Permissions": [{"Principal": ANA, "Actions": ["quicksight:DescribeDashboard"]}]
    },
}
ABSENT = "ValidationError: Stack with id anomalake does not exist"


def examine(
    owner: str = "", sets: tuple[metric_set.MetricSet, ...] = (SHOP,), **changed: Any
) -> list[doctor.CheckResult]:
    """The findings where AWS is healthy but for these answers (`glue__get_tables=...`)."""
    answers = {**HEALTHY, **{name.replace("__", "."): answer for name, answer in changed.items()}}
    return list(doctor.run_checks(Aws(answers), doctor.Settings("anomalake", REGION, owner, sets)))


def the(checks: list[doctor.CheckResult], name: str, status: str) -> doctor.CheckResult:
    """The one finding of that name and status."""
    (found,) = [check for check in checks if (check.name, check.status) == (name, status)]
    return found


# --- all of it


def test_a_healthy_deployment_is_ok_everywhere_and_only_the_key_is_pointed_at():
    checks = examine()
    assert {check.name for check in checks} == {
        "credentials",
        *doctor.ACCOUNT_CHECKS,
        *doctor.LAKE_CHECKS,
        *doctor.QUICKSIGHT_CHECKS,
    }
    assert [(check.name, check.status) for check in checks if check.status != "ok"] == [("encryption", "warning")]
    assert "alias/lake" in the(checks, "encryption", "warning").found
    assert ROLE in the(checks, "encryption", "warning").remedy
    assert doctor.is_healthy(checks)


def test_without_a_stack_what_can_be_known_before_is_examined_and_nothing_else():
    checks = examine("ana", cloudformation__describe_stacks=ABSENT)
    assert [check.name for check in checks] == ["credentials", *doctor.ACCOUNT_CHECKS]
    assert "make deploy" in the(checks, "stack", "skipped").remedy
    assert doctor.is_healthy(checks)


def test_a_stack_without_quicksight_is_examined_without_it():
    checks = examine(cloudformation__describe_stacks=stack(quicksight=False))
    assert not {check.name for check in checks} & {"access", "data-source", "sharing"}
    assert "without QuickSight" in the(checks, "dashboards", "skipped").found


@pytest.mark.parametrize("operation", sorted(set(HEALTHY) - {"sts.get_caller_identity"}))
def test_what_aws_denies_is_skipped_with_the_permission_that_is_missing(operation: str):
    service, _, name = operation.partition(".")
    told = "AccessDenied" if service in {"s3", "iam"} else "AccessDeniedException"
    checks = examine(**{operation.replace(".", "__"): f"{told}: User is not authorized"})
    permission = "s3:ListBucket" if service == "s3" else f"{service}:{name.replace('_', '')}"
    skipped = [check for check in checks if check.status == "skipped"]
    assert any(permission.lower() in check.remedy.lower() for check in skipped)
    assert not [check for check in checks if check.status == "problem"]


def test_where_everything_is_denied_the_doctor_could_not_do_its_work():
    denied = dict.fromkeys(
        (name.replace(".", "__") for name in HEALTHY if not name.startswith("sts")), "AccessDeniedException: no"
    )
    checks = examine("ana", **denied)
    assert {check.status for check in checks[1:]} == {"skipped"}
    assert not doctor.is_healthy(checks)


# --- before a deployment


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (NoCredentialsError(), "aws sso login"),
        ("ExpiredToken: The security token included in the request is expired", "sign in again"),
        (EndpointConnectionError(endpoint_url="https://sts.eu-west-1.amazonaws.com"), "check the network"),
    ],
)
def test_without_credentials_or_network_that_is_all_it_says(answer: Any, remedy: str):
    (check,) = checks = examine(sts__get_caller_identity=answer)
    assert (check.name, check.status) == ("credentials", "problem")
    assert remedy in check.remedy
    assert not doctor.is_healthy(checks)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("ResourceNotFoundException: Account 111122223333 is not signed up with QuickSight", "has no QuickSight"),
        ({"AccountInfo": {"Edition": "ENTERPRISE", "AccountSubscriptionStatus": "UNSUBSCRIBED"}}, "has no QuickSight"),
        ({"AccountInfo": {"Edition": "STANDARD", "AccountSubscriptionStatus": "ACCOUNT_CREATED"}}, "Standard edition"),
    ],
)
def test_a_missing_or_standard_subscription_is_a_problem_where_somebody_is_to_own_dashboards(answer: Any, found: str):
    assert (
        found in the(examine("ana", quicksight__describe_account_subscription=answer), "subscription", "problem").found
    )
    bare = examine(quicksight__describe_account_subscription=answer, cloudformation__describe_stacks=ABSENT)
    assert found in the(bare, "subscription", "warning").found


def _elsewhere(
    answer: Any, said: str = "Operation is being called from endpoint eu-west-1, but your identity region is us-east-1."
) -> Any:
    return lambda region, **_: (
        answer if region == "us-east-1" else f"AccessDeniedException: {said} Please use the us-east-1 endpoint."
    )


@pytest.mark.parametrize("comma", [",", ""])
def test_users_are_asked_for_in_the_identity_region_that_quicksight_names(comma: str):
    said = f"Operation is being called from endpoint eu-west-1{comma} but your identity region is us-east-1."
    checks = examine(
        "ana", cloudformation__describe_stacks=ABSENT,
        quicksight__list_users=_elsewhere({"UserList": []}, said), quicksight__describe_user=_elsewhere(user(), said),
    )  # fmt: skip
    assert "QuickSightIdentityRegion=us-east-1" in the(checks, "identity-region", "warning").remedy
    assert "'ana'" in the(checks, "people", "ok").found


def test_an_owner_or_a_stack_of_another_identity_region_is_a_problem():
    by_arn = the(examine(ANA, quicksight__list_users=_elsewhere({"UserList": []})), "identity-region", "problem")
    assert "live in us-east-1, but the owner's ARN says eu-west-1" in by_arn.found
    assert "--region us-east-1" in by_arn.remedy
    deployed = stack(QuickSightIdentityRegion="eu-central-1")
    by_stack = the(examine(cloudformation__describe_stacks=deployed), "identity-region", "problem")
    assert "the stack's QuickSightIdentityRegion says eu-central-1" in by_stack.found


def test_an_owner_who_does_not_exist_is_a_problem_and_the_remedy_lists_who_does():
    check = the(
        examine("bob", quicksight__describe_user="ResourceNotFoundException: User bob not found"), "people", "problem"
    )
    assert "'bob' is no QuickSight user" in check.found
    assert "list-users" in check.remedy


def test_a_reader_cannot_own_and_somebody_inactive_is_pointed_out():
    assert "cannot own" in the(examine(quicksight__describe_user=user("READER_PRO")), "people", "problem").found
    assert "not active" in the(examine(quicksight__describe_user=user(active=False)), "people", "warning").found


def test_groups_and_names_with_slashes_are_understood():
    group = {"Group": {"GroupName": "analysts"}}
    aws = Aws(
        {
            **HEALTHY,
            "quicksight.describe_group": group,
            "cloudformation.describe_stacks": stack(QuickSightReader="group/default/analysts"),
        }
    )
    checks = list(
        doctor.run_checks(aws, doctor.Settings("anomalake", REGION, "AWSReservedSSO_Admin_1/ana@example.com", (SHOP,)))
    )
    asked = {operation: parameters for _, operation, parameters in aws.asked}
    assert asked["describe_user"]["UserName"] == "AWSReservedSSO_Admin_1/ana@example.com"
    assert asked["describe_group"]["GroupName"] == "analysts"
    assert [check.status for check in checks if check.name == "people"] == ["ok", "ok"]


def test_lake_formation_that_guards_the_catalog_asks_for_grants_after_the_deployment():
    guarded = {"lakeformation__get_data_lake_settings": lake_settings()}
    check = the(examine(cloudformation__describe_stacks=ABSENT, **guarded), "lake-formation", "warning")
    assert "anomalake_shop" in check.remedy
    assert "QuickSightRoleArn" in check.remedy


def _grants(principal: str, permission: str) -> Answers:
    grant = {"Principal": {"DataLakePrincipalIdentifier": principal}, "Permissions": [permission]}
    return {"PrincipalResourcePermissions": [grant]}


def test_lake_formation_without_grants_for_the_role_is_a_problem_and_with_them_ok():
    guarded = {"lakeformation__get_data_lake_settings": lake_settings()}
    others = _grants("arn:aws:iam::111122223333:role/other", "ALL")
    check = the(examine(lakeformation__list_permissions=others, **guarded), "lake-formation", "problem")
    assert "out of anomalake, anomalake_shop" in check.found
    assert ROLE in check.remedy
    described = the(
        examine(lakeformation__list_permissions=_grants(ROLE, "DESCRIBE"), **guarded), "lake-formation", "warning"
    )
    assert "no SELECT on all tables of anomalake, anomalake_shop" in described.found
    for principal in (ROLE, "IAM_ALLOWED_PRINCIPALS"):
        the(examine(lakeformation__list_permissions=_grants(principal, "ALL"), **guarded), "lake-formation", "ok")


def test_a_catalog_that_is_not_encrypted_is_a_warning():
    off = {"DataCatalogEncryptionSettings": {"EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"}}}
    assert (
        "not encrypted" in the(examine(glue__get_data_catalog_encryption_settings=off), "encryption", "warning").found
    )


# --- the stack


BOOM = event(
    "CREATE_FAILED", "no permission to PassRole", resource="Source", kind="AWS::QuickSight::DataSource", own="anomalake"
)
CANCELLED = event(
    "CREATE_FAILED", "Resource creation cancelled", resource="Other", kind="AWS::Glue::Table", own="other"
)
OLD = event("UPDATE_FAILED", "an older story", resource="Old", kind="AWS::Glue::Table", own="old")


@pytest.mark.parametrize(
    ("status", "verdict", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "problem", "delete the stack first"),
        ("UPDATE_ROLLBACK_FAILED", "problem", "deploy again"),
        ("UPDATE_ROLLBACK_COMPLETE", "warning", "deploy again"),
    ],
)
def test_a_failed_stack_names_what_failed_first_in_its_last_operation(status: str, verdict: str, remedy: str):
    events = [event(status), CANCELLED, BOOM, event("CREATE_IN_PROGRESS", "User Initiated"), OLD]
    checks = examine(
        cloudformation__describe_stacks=stack(status), cloudformation__describe_stack_events={"StackEvents": events}
    )
    check = the(checks, "stack", verdict)
    assert "Source (AWS::QuickSight::DataSource): no permission to PassRole" in check.found
    assert remedy in check.remedy


def test_a_failure_in_a_nested_stack_is_followed_to_where_it_happened():
    nested = event("CREATE_FAILED", "Embedded stack was not successfully created", resource="Catalog", own="arn:nested")
    pages = {STACK_ID: [nested, event("CREATE_IN_PROGRESS")], "arn:nested": [BOOM]}
    checks = examine(
        cloudformation__describe_stacks=stack("ROLLBACK_FAILED"),
        cloudformation__describe_stack_events=lambda **asked: {"StackEvents": pages[asked["StackName"]]},
    )
    assert "PassRole" in the(checks, "stack", "problem").found


def test_a_stack_under_way_is_to_be_waited_for():
    assert (
        "through"
        in the(examine(cloudformation__describe_stacks=stack("UPDATE_IN_PROGRESS")), "stack", "warning").remedy
    )


# --- the lake and its catalog


@pytest.mark.parametrize(
    ("answer", "status", "found"),
    [
        ("InvalidRequestException: WorkGroup anomalake is not found.", "problem", "no workgroup"),
        (workgroup("DISABLED"), "problem", "disabled"),
        (workgroup(location=""), "problem", "no location"),
        (workgroup(engine="2"), "problem", "need Athena engine version 3"),
        (workgroup(enforced=False), "warning", "override"),
    ],
)
def test_a_workgroup_that_quicksight_cannot_use_is_told(answer: Any, status: str, found: str):
    assert found in the(examine(athena__get_work_group=answer), "workgroup", status).found


def test_a_missing_database_and_a_missing_table_are_problems():
    assert (
        "no database 'anomalake_shop'"
        in the(examine(glue__get_tables=catalog(anomalake_shop=None)), "catalog", "problem").found
    )
    fewer = {name: table for name, table in tables_of("anomalake_shop").items() if name != "anomaly_log"}
    check = the(examine(glue__get_tables=catalog(anomalake_shop=fewer)), "catalog", "problem")
    assert check.found == "anomalake_shop: anomaly_log is missing"
    assert "anomalake render" in check.remedy


def test_columns_that_lack_are_new_or_of_another_type_are_named():
    there = tables_of("anomalake_shop")
    columns, location = there["anomaly_log"]
    there["anomaly_log"] = ({**columns, "groupscore": "string", "colour": "string"}, location)
    del there["anomaly_log"][0]["severity"]
    found = the(examine(glue__get_tables=catalog(anomalake_shop=there)), "catalog", "problem").found
    assert "anomaly_log lacks severity" in found
    assert "anomaly_log has colour" in found
    assert "anomaly_log.groupscore is string, not double" in found


def test_a_csv_lake_is_held_against_the_csv_catalog():
    found = the(examine(cloudformation__describe_stacks=stack(Format="csv")), "catalog", "problem").found
    assert "is double, not string" in found or "is timestamp, not string" in found


def test_before_the_first_crawl_the_doctor_says_how_to_start_it_and_a_failed_one_is_a_problem():
    empty = {"glue__get_tables": catalog(anomalake_shop_crawled={})}
    assert (
        "start-crawler --name anomalake_shop"
        in the(examine(glue__get_crawler={"Crawler": {}}, **empty), "crawled", "skipped").remedy
    )
    failed = {"Crawler": {"LastCrawl": {"Status": "FAILED", "ErrorMessage": "Insufficient Lake Formation permissions"}}}
    assert "Insufficient" in the(examine(glue__get_crawler=failed, **empty), "crawled", "problem").found


def test_files_with_other_columns_than_declared_are_found_by_their_place():
    columns, location = tables_of("anomalake_shop")["anomalygroups"]
    there = {
        "whatever": (
            {**{name: kind for name, kind in columns.items() if name != "rootcause"}, "extra": "string"},
            location,
        )
    }
    found = the(examine(glue__get_tables=catalog(anomalake_shop_crawled=there)), "crawled", "problem").found
    assert "anomalygroups is declared with rootcause, which the files lack" in found
    assert "anomalygroups has extra in the files" in found


def test_headers_that_the_crawler_did_not_recognise_are_counted_only_and_another_versions_tables_told():
    columns, location = tables_of("anomalake_shop")["anomalygroups"]
    unnamed = {f"col{number}": "string" for number in range(len(columns))}
    the(examine(glue__get_tables=catalog(anomalake_shop_crawled={"t": (unnamed, location)})), "crawled", "ok")
    fewer = {"t": ({"col0": "string"}, location)}
    assert (
        "has 1 columns"
        in the(examine(glue__get_tables=catalog(anomalake_shop_crawled=fewer)), "crawled", "problem").found
    )
    older = {"t": (columns, location.replace("/v1/", "/v0/"))}
    assert "shop/v1" in the(examine(glue__get_tables=catalog(anomalake_shop_crawled=older)), "crawled", "warning").found


def test_a_lake_without_live_data_without_anomalies_or_with_quarantine_is_told():
    nothing = the(examine(s3__list_objects_v2=objects()), "data", "warning")
    assert f"s3://{BUCKET}/shop/live/20210217/0000/" in nothing.remedy
    assert "live data, but no anomalies" in the(examine(s3__list_objects_v2=objects(shop=1)), "data", "warning").found
    refused = the(examine(s3__list_objects_v2=objects(shop=1, anomalyResults=1, quarantine=7)), "data", "warning")
    assert refused.found.startswith("7 events")
    assert "docs/alerts.md" in refused.remedy
    many = examine(s3__list_objects_v2=objects(shop=1, anomalyResults=1, quarantine=5000))
    assert the(many, "data", "warning").found.startswith("1,000 or more events")
    gone = "NoSuchBucket: The specified bucket does not exist"
    assert "no bucket" in the(examine(s3__list_objects_v2=gone), "data", "problem").found


def test_a_metric_set_without_live_data_of_its_own_waits_for_alerts():
    outside = metric_set_yaml.parse(shop_text().partition("source:")[0], "shop.yaml")
    assert (
        "no alert has arrived" in the(examine(sets=(outside,), s3__list_objects_v2=objects()), "data", "warning").found
    )


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_rendered_catalog_put_into_glue_is_what_the_doctor_expects(form: str, tmp_path: Path):
    import boto3
    from moto import mock_aws

    resources = expand(project(tmp_path, [SHOP]), Format=form, ExistingBucket=BUCKET).values()
    with mock_aws():
        client = boto3.client("glue", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
        for one in resources:
            if one.type == "AWS::Glue::Database":
                client.create_database(DatabaseInput=one.properties["DatabaseInput"])
        for one in resources:
            if one.type == "AWS::Glue::Table":
                client.create_table(
                    DatabaseName=one.properties["DatabaseName"], TableInput=one.properties["TableInput"]
                )
        fake = Aws({**HEALTHY, "cloudformation.describe_stacks": stack(Format=form)})
        settings = doctor.Settings("anomalake", REGION, "", (SHOP,))
        checks = list(
            doctor.run_checks(lambda service, region: client if service == "glue" else fake(service, region), settings)
        )
    assert [check.status for check in checks if check.name == "catalog"] == ["ok", "ok"]
    assert "not encrypted" in the(checks, "encryption", "warning").found
    assert "start-crawler" in the(checks, "crawled", "skipped").remedy


# --- QuickSight


def test_what_the_role_may_not_do_is_named_and_conditions_are_no_verdict():
    check = the(examine(iam__simulate_principal_policy=simulated("s3:PutObject")), "access", "problem")
    assert f"s3:PutObject on arn:aws:s3:::{BUCKET}/athena-results/any" in check.found
    assert ROLE in check.remedy
    unsure = simulated("s3:ListBucket", MissingContextValues=["s3:prefix"])
    assert "depends on conditions" in the(examine(iam__simulate_principal_policy=unsure), "access", "warning").found
    assert "own policy that denies is out of sight" in the(examine(), "access", "ok").found
    gone = "NoSuchEntity: The role cannot be found"
    assert "no role" in the(examine(iam__simulate_principal_policy=gone), "access", "problem").found


def test_a_data_source_that_failed_or_is_missing_is_a_problem():
    error = {"Type": "ACCESS_DENIED", "Message": "Insufficient permissions"}
    failed = {"DataSource": {"Status": "CREATION_FAILED", "ErrorInfo": error}}
    assert (
        "ACCESS_DENIED Insufficient"
        in the(examine(quicksight__describe_data_source=failed), "data-source", "problem").found
    )
    missing = "ResourceNotFoundException: DataSource anomalake is not found"
    assert (
        "no QuickSight data source"
        in the(examine(quicksight__describe_data_source=missing), "data-source", "problem").found
    )


def test_missing_datasets_are_named():
    fewer = {"DataSetSummaries": data_sets()["DataSetSummaries"][1:]}
    assert (
        "anomalake-set-shop-anomalies-with-live"
        in the(examine(quicksight__list_data_sets=fewer), "datasets", "problem").found
    )


@pytest.mark.parametrize(
    ("ingestions", "status", "found"),
    [
        (
            [ingestion("COMPLETED", 1), ingestion("FAILED", 2, ErrorInfo={"Type": "QUERY_TIMEOUT", "Message": "slow"})],
            "problem",
            "TIMEOUT slow",
        ),
        ([ingestion("COMPLETED", 2), ingestion("FAILED", 1)], "ok", "COMPLETED"),
        ([ingestion("CANCELLED")], "warning", "CANCELLED"),
        ([], "warning", "never refreshed"),
    ],
)
def test_the_last_refresh_of_a_spice_dataset_counts(ingestions: list[Any], status: str, found: str):
    checks = examine(
        quicksight__list_data_sets=data_sets("SPICE"), quicksight__list_ingestions={"Ingestions": ingestions}
    )
    told = [
        check.found
        for check in checks
        if check.name == "datasets" and check.status == status and "anomalake-" in check.found
    ]
    assert len(told) == 9
    assert found in told[0]


def test_a_full_refresh_that_failed_is_a_problem_though_later_incremental_ones_were_completed():
    """The hourly refreshes of a week fill the first page of answers, and read the last days alone."""
    failed = ingestion("FAILED", 1, RequestType="FULL_REFRESH", ErrorInfo={"Type": "QUERY_TIMEOUT", "Message": "slow"})
    pages = {
        None: {"Ingestions": [ingestion("COMPLETED", 2, RequestType="INCREMENTAL_REFRESH")] * 100, "NextToken": "more"},
        "more": {
            "Ingestions": [ingestion("COMPLETED", 1, RequestType="INCREMENTAL_REFRESH")] * 68 + [failed],
            "NextToken": "even more",
        },
    }
    checks = examine(
        quicksight__list_data_sets=data_sets("SPICE"),
        quicksight__list_ingestions=lambda NextToken=None, **_: pages[NextToken],
    )
    told = [check for check in checks if check.name == "datasets" and "anomaly-log" in check.found]
    assert [check.status for check in told if "set-shop" in check.found] == ["problem", "ok"]
    assert "anomalake-set-shop-anomaly-log: the last full refresh is FAILED QUERY_TIMEOUT slow" in [
        check.found for check in told
    ]
    assert "anomalake-set-shop-anomaly-log: the last incremental refresh is COMPLETED" in [
        check.found for check in told
    ]


def test_errors_in_analyses_and_dashboards_and_missing_ones_are_problems():
    error = {"Type": "COLUMN_TYPE_MISMATCH", "Message": "groupscore"}
    failed = board("CREATION_FAILED", error)
    checks = examine(
        quicksight__describe_analysis={"Analysis": failed},
        quicksight__describe_dashboard="ResourceNotFoundException: not found",
    )
    told = [check.found for check in checks if (check.name, check.status) == ("dashboards", "problem")]
    assert told == [
        "the analysis anomalake-set-shop is CREATION_FAILED: COLUMN_TYPE_MISMATCH: groupscore", "the dashboard anomalake-set-shop is missing",
        "the analysis anomalake-all is CREATION_FAILED: COLUMN_TYPE_MISMATCH: groupscore", "the dashboard anomalake-all is missing",
    ]  # fmt: skip


def test_an_owner_without_permission_on_a_dashboard_sees_nothing_which_is_a_problem():
    others = {"Permissions": [{"Principal": ANA.replace("ana", "bob"), "Actions": ["quicksight:DescribeDashboard"]}]}
    assert (
        "anomalake-set-shop"
        in the(examine(quicksight__describe_dashboard_permissions=others), "sharing", "problem").found
    )
    the(examine("ana"), "sharing", "ok")


@pytest.mark.parametrize("answer", [{}, ResponseParserError("not XML")])
def test_what_answers_and_is_not_aws_is_told_as_that(answer: Any):
    def clients(service: str, region: str) -> Any:
        return SimpleNamespace(
            get_caller_identity=lambda: (_ for _ in ()).throw(answer) if isinstance(answer, Exception) else answer
        )

    (check,) = doctor.run_checks(clients, doctor.Settings("anomalake", REGION, "", (SHOP,)))
    assert (check.name, check.status) == ("credentials", "problem")


# --- the command


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """boto3 hands out the fake's clients."""
    fake = Aws(dict(HEALTHY))
    monkeypatch.setattr("boto3.Session.client", lambda _, service, region_name, **__: fake(service, region_name))
    return fake


def run(sets_folder: Any, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = main(["doctor", "--region", REGION, "--metric-set", str(sets_folder), *options])
    return (status, *capsys.readouterr())


def test_the_command_tells_people_and_programs_and_its_status_says_whether_there_is_a_problem(aws, sets_folder, capsys):
    status, out, err = run(sets_folder, capsys)
    assert (status, err) == (0, "")
    assert out.startswith("ok       credentials      account 111122223333")
    aws.answers["athena.get_work_group"] = workgroup("DISABLED")
    status, out, _ = run(sets_folder, capsys, "--as", "json")
    checks = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [(check["name"], list(check)) for check in checks if check["status"] == "problem"] == [
        ("workgroup", ["name", "status", "found", "remedy"])
    ]


def test_the_region_of_the_aws_cli_s_variable_is_taken(aws, sets_folder, capsys, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 0


def test_without_credentials_the_command_says_so_in_a_sentence(sets_folder, capsys, monkeypatch, tmp_path):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status, out, err = run(sets_folder, capsys)
    assert (status, err) == (1, "")
    assert "there are no AWS credentials" in out
    assert "aws sso login" in out


def test_a_missing_region_an_unknown_profile_and_wrong_usage_are_told_apart(sets_folder, capsys, monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 1
    assert "--region" in capsys.readouterr().err
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 1
    assert "AWS_PROFILE: The config profile (nobody) could not be found" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--as", "xml"])
    assert stopped.value.code == 2
