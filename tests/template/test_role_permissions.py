"""The permissions of the roles: nothing is missing, and nothing is wider than the service requires."""

import json
import re

import botocore.session
import botocore.validate

from lock_files import normalized, pins
from service_model import list_problems
from stack import ACCOUNT, REGION, TOP
from template_project import METRIC_SETS, list_resources, list_statements

# Actions that support no resource ("Actions, resources, and condition keys for AWS services").
ACTIONS_WITHOUT_RESOURCE = {
    "cloudwatch:PutMetricData",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "athena:ListDataCatalogs",
    "lakeformation:GetDataAccess",
}


def test_no_permission_is_wider_than_the_service_requires(stack):
    holders = [
        item
        for item in stack.values()
        if item.type in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}
    ]
    assert (
        len(holders) == 2 + 1 + 1 + 1 + 3 * 3
    )  # functions, scheduler, policy of both functions, QuickSight; crawler, live data, backtest of each metric set
    for holder in holders:
        assert not [arn for arn in holder.properties.get("ManagedPolicyArns", ()) if ":aws:policy" in arn], holder.path
        for statement in list_statements(holder):
            actions, resources = (
                [item] if isinstance(item, str) else item for item in (statement["Action"], statement["Resource"])
            )
            assert not [action for action in actions if "*" in action], holder.path
            if "*" in resources:
                assert set(actions) <= ACTIONS_WITHOUT_RESOURCE, holder.path
            for arn in resources:
                assert arn == "*" or arn.count("*") <= 1, arn
                assert arn == "*" or "*" not in arn.rsplit("/", 1)[0].rsplit(":", 1)[0], arn


def test_the_quicksight_role_reads_only_the_data_of_its_stack(stack):
    role = stack["Dashboards/Role"]
    assert role.properties["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "quicksight.amazonaws.com"
    }
    text = json.dumps(list_statements(role))
    sources = {item.source.path.split("{{")[0] for item in METRIC_SETS if item.source}
    for folder in ("anomalyResults/", *sources):
        assert f":::{stack['DataBucket'].properties['BucketName']}/{folder}*" in text
    for item in METRIC_SETS:
        assert f":database/anomalake_{item.name}" in text
    for hidden in ("alerts/", "quarantine/", "detector/", "_crawled"):
        assert hidden not in text
    allowed = {
        (action, resource)
        for statement in list_statements(role)
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    bucket = f"arn:aws:s3:::{stack['DataBucket'].properties['BucketName']}"
    # The actions that "Amazon Athena connections" in the QuickSight user guide names, and those of the API calls.
    for action in ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
        assert (action, f"{bucket}/athena-results/*") in allowed
    for action in ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"):
        assert (action, bucket) in allowed
    for action in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution", "GetWorkGroup"):
        assert (f"athena:{action}", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/anomalake") in allowed


def test_a_reader_can_view_and_an_owner_can_change(stack):
    seen: dict[str, set[str]] = {}
    for resource in stack.values():
        for grant in resource.properties.get("Permissions", ()) if "QuickSight" in resource.type else ():
            who = "reader" if grant["Principal"].endswith("readers") else "owner"
            seen.setdefault(f"{who} {resource.type.rpartition(':')[2]}", set()).update(grant["Actions"])
    change = re.compile("quicksight:(Update|Delete|Create|Put|Cancel|Restore)")
    for what, actions in seen.items():
        assert bool([action for action in actions if change.match(action)]) == what.startswith("owner"), what
    assert {what for what in seen if what.startswith("reader")} == {"reader Dashboard", "reader Folder"}
    assert seen["owner DataSource"] >= {"quicksight:PassDataSource", "quicksight:DescribeDataSource"}
    assert seen["owner DataSet"] >= {
        "quicksight:PassDataSet",
        "quicksight:DescribeDataSet",
        "quicksight:CreateIngestion",
    }


def test_a_crawler_can_write_only_its_own_database(stack):
    for item in METRIC_SETS:
        role = stack[f"Catalog/Set{item.name[0].upper()}{item.name[1:]}/CrawlerRole"]
        (glue,) = [statement for statement in list_statements(role) if "glue:CreateTable" in statement["Action"]]
        own = f"anomalake_{item.name}_crawled"
        assert {arn.split(":", 5)[5] for arn in glue["Resource"]} == {"catalog", f"database/{own}", f"table/{own}/*"}


def test_a_backtest_job_runs_the_uploaded_script_with_valid_arguments_and_tested_versions(stack):
    from anomalake.catalog import backfill_resources

    modules = {normalized(pin) for pin in backfill_resources.PYTHON_MODULES}
    assert modules <= pins(TOP / ".ci/spark.txt")
    assert modules <= pins(TOP / "constraints.txt")
    takes = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', (TOP / "glue/backfill.py").read_text()))
    bucket = stack["DataBucket"].properties["BucketName"]
    service = botocore.session.get_session().get_service_model("glue").operation_model("CreateJob").input_shape
    for item in METRIC_SETS:
        (job,) = [
            job.properties
            for job in list_resources(stack, "AWS::Glue::Job")
            if job.properties["Name"] == f"anomalake-{item.name}-backfill"
        ]
        given = {name: value for name, value in job["DefaultArguments"].items() if name in takes}
        assert given == {
            "--lake": f"s3://{bucket}",
            "--metric-set": item.name,
            "--metric-sets": f"s3://{bucket}/backfill/metric_sets",
            "--format": "parquet",
            "--region": REGION,
        }
        assert job["Command"]["ScriptLocation"] == f"s3://{bucket}/backfill/backfill.py"
        assert (
            job["DefaultArguments"]["--additional-python-modules"].split(",")[0]
            == f"s3://{bucket}/backfill/{backfill_resources.WHEEL_FILE}"
        )
        assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"]) == ("5.0", "G.1X", "4")
        assert list_problems(service, {**job, "NumberOfWorkers": 4}) == []
    text = json.dumps(list_statements(stack["Catalog/SetShop/BackfillRole"]))
    for other in METRIC_SETS[1:]:
        assert f"/{other.name}/" not in text
