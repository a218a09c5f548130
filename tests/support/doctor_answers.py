"""Responses of AWS for the tests of the doctor: a healthy deployment, and functions that build other responses."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from anomalake import doctor
from anomalake.catalog import views
from anomalake.doctor.context import Context, Stack
from anomalake.doctor.declared import declared_catalog
from anomalake.domain import metric_set, metric_set_yaml
from examples import shop_text
from fake_aws import Answers, Aws

ACCOUNT, REGION, BUCKET = "111122223333", "eu-west-1", "anomalake-111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/anomalake-quicksight"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/anomalake/1"
ANA = f"arn:aws:quicksight:{REGION}:{ACCOUNT}:user/default/ana"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOP = metric_set_yaml.parse(shop_text(), "shop.yaml")


def catalog(**changed: Any) -> Callable[..., Any]:
    """Return the tables in Glue as the metric set declares them, one table on each page. `changed` replaces the tables
    of a database.
    """
    stack = Stack("", "", {}, {"DataBucket": BUCKET})
    context = Context(Aws({}), doctor.Settings("anomalake", REGION, "", (SHOP,)), stack=stack)
    databases = {
        name: {
            table: (table_data.columns, f"s3://{BUCKET}/{table_data.folder}/") for table, table_data in there.items()
        }
        for name, there in declared_catalog(context).items()
    }
    databases["anomalake_shop_crawled"] = {
        f"crawled_{name}": table for name, table in databases["anomalake_shop"].items() if "anomal" in name
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
    """Return a database of `catalog`, which a test changes."""
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
    """Return the listing of the bucket. Each keyword is the number of objects below the prefix that starts with its
    name.
    """

    def list_objects_v2(Prefix: str, MaxKeys: int, StartAfter: str = "", **_: Any) -> Any:
        number = numbers.get(Prefix.partition("/")[0], 0) if Prefix else sum(numbers.values())
        place = f"{Prefix}20210217/0000/" if Prefix == "shop/live/" else Prefix
        return {"Contents": [{"Key": f"{place}{n}"} for n in range(min(number, MaxKeys)) if f"{place}{n}" > StartAfter]}

    return list_objects_v2


def simulated(*denied: str, **more: Any) -> Callable[..., Any]:
    """Return the policy simulation of IAM: everything is allowed except these actions."""

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
    stack_parameters = {
        "Prefix": "anomalake",
        "Format": "parquet",
        "QuickSightOwner": ANA if quicksight else "",
        **parameters,
    }
    one = {
        "StackId": STACK_ID, "StackName": "anomalake", "StackStatus": status, "CreationTime": NOW,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in stack_parameters.items()],
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
    grants = [
        {"Principal": {"DataLakePrincipalIdentifier": principal}, "Permissions": ["ALL"]} for principal in principals
    ]
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
    """Return the findings for a healthy AWS with these other responses (`glue__get_tables=...`)."""
    answers = {**HEALTHY, **{name.replace("__", "."): answer for name, answer in changed.items()}}
    return list(doctor.run_checks(Aws(answers), doctor.Settings("anomalake", REGION, owner, sets)))


def the(checks: list[doctor.CheckResult], name: str, status: str) -> doctor.CheckResult:
    """Return the only finding with that name and status."""
    (found,) = [check for check in checks if (check.name, check.status) == (name, status)]
    return found
