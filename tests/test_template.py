"""The stack: what one deployment makes, under which names and permissions, within which limits, and that everything named in it is there."""

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
import yaml

from anomalake import cloudformation
from anomalake.catalog.views import views_of_set, views_over_all_sets
from anomalake.cli.rendered_files import render
from anomalake.dashboards import definition
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from examples import alert_body, event_text, shop_text
from large_set import big, named
from lock_files import normalized, pins
from stack import ACCOUNT, REGION, TOP, Resource, _Scope, cfn_lint, expand, project, read

OWNER = {"QuickSightOwner": "user/default/alice"}
TEMPLATE = read(TOP / "template.yaml")
LONG = metric_set_yaml.parse(
    shop_text(
        name=f"name: {'a' * 41}",
        dimensions="dimensions: [" + ", ".join(f"{'d' * 61}{n:02}" for n in range(10)) + "]",
        source='source: {path: "x/{{yyyyMMdd}}/{{HHmm}}", format: jsonl, columns: [t, '
        + ", ".join([*(f"{'d' * 61}{n:02}" for n in range(10)), *(f"{'m' * 44}{n:02}" for n in range(10))]) + "]}",
        timestamp="timestamp: {column: t, format: UNIX}",
    ).split("measures:")[0]
    + "measures: [" + ", ".join(f"{{name: {'m' * 44}{n:02}, aggregation: SUM}}" for n in range(10)) + "]\n"
    + 'source: {path: "x/{{yyyyMMdd}}/{{HHmm}}", format: jsonl, columns: [t, '
    + ", ".join([*(f"{'d' * 61}{n:02}" for n in range(10)), *(f"{'m' * 44}{n:02}" for n in range(10))]) + "]}\n",
    "long",
)  # fmt: skip
THREE = (metric_set_yaml.parse(shop_text(), "shop"), big(), LONG)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    """The template of a project with three metric sets, two of ten dimensions and ten measures, one with the longest names."""
    return project(tmp_path_factory.mktemp("three"), THREE)


@pytest.fixture(scope="module")
def stack(three) -> dict[str, Resource]:
    """Every resource of that project's stack."""
    return expand(three, **OWNER, QuickSightReader="group/default/readers")


def of(resources: dict[str, Resource], kind: str) -> list[Resource]:
    return [resource for resource in resources.values() if resource.type == kind]


# --- limits and names


def test_every_template_keeps_cloudformation_s_limits_as_written_and_as_sam_uploads_it(three):
    for file in [*three.parent.rglob("*.json"), three]:
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
def test_cfn_lint_finds_nothing_in_what_is_rendered_for_three_metric_sets(three):
    files = [three, *(file for file in three.parent.rglob("*.json") if file.name != "schemas.json")]
    assert cfn_lint("us-east-1", "eu-central-1", files=files) == ""


def test_a_template_beyond_the_limits_is_refused_before_anything_is_written():
    with pytest.raises(UserError, match="CloudFormation takes 1,000,000"):
        cloudformation.template_text({"Resources": {"X": {"Type": "T", "Text": "x" * 1_000_001}}}, "glue/template.json")


NAMES = ("Name", "BucketName", "RoleName", "ManagedPolicyName", "FunctionName", "QueueName", "TopicName", "LogGroupName", "AlarmName", "LayerName",
         "DashboardName", "DataSourceId", "DataSetId", "AnalysisId", "DashboardId", "TopicId", "FolderId")  # fmt: skip


def identities(resources: dict[str, Resource]) -> list[tuple[str, ...]]:
    """What AWS knows each resource by, where the template names it."""
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
                key for key in NAMES if key in own and not (key == "Name" and any(one in own for one in NAMES[11:]))
            ]
            found += [(resource.type, own[key]) for key in keys]
    return found


def test_two_stacks_live_in_one_account_and_region(three):
    one, other = (
        identities(expand(three, **OWNER, QuickSightImportMode="SPICE", Prefix=prefix)) for prefix in ("alpha", "beta")
    )
    assert len(set(one)) == len(one) == len(other)
    assert not set(one) & set(other)
    for kind, *names in one:
        if kind not in {"AWS::Glue::Table", "AWS::Athena::NamedQuery"}:
            assert any("alpha" in name for name in names), (kind, names)


def test_role_names_keep_to_64_characters_with_the_longest_prefix_and_region(three):
    roles = of(expand(three, **OWNER, Prefix="a" * 20), "AWS::IAM::Role")
    names = [role.properties["RoleName"].replace(REGION, "ap-northeast-1") for role in roles]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 64


LOUD = (
    shop_text(timestamp="timestamp: {column: timestamp, format: \"yyyy-MM-dd'${Bucket}'HH:mm:ss\"}")
    + f"""
label: "<b>Shop</b> 'quoted' \\"twice\\" ${{Prefix}} \\n second line / 🛒 {"x" * 300}"
description: "{"long " * 1000}"
"""
)
LOUD = LOUD.replace(
    "{name: views, aggregation: SUM}",
    f'{{name: views, aggregation: SUM, label: "Überschuß / \'n\' ${{x}} \\n {"y" * 300}", unit: "{"u" * 90}", description: "{"d" * 3000}"}}',
)


@pytest.mark.cfn_lint
def test_a_metric_set_without_a_source_has_no_detector_and_nothing_idle_in_its_template(tmp_path):
    outside = metric_set_yaml.parse(shop_text().partition("source:")[0], "shop.yaml")
    template = project(tmp_path, [outside])
    made = expand(template, **OWNER)
    assert not of(made, "AWS::Scheduler::Schedule")
    assert "Catalog/SetShop/AnomaliesWithLive" in made
    assert cfn_lint("us-east-1", files=[tmp_path / "glue/template.json", tmp_path / "glue/sets/shop.json"]) == ""


def test_more_metric_sets_than_one_role_can_name_are_refused():
    sets = [metric_set_yaml.parse(shop_text(name=f"name: {'n' * 37}{n}"), "x") for n in range(10, 60)]
    with pytest.raises(
        UserError,
        match="50 metric sets are more than one role of QuickSight's can name; move some to a stack of another Prefix",
    ):
        render(sets)


@pytest.mark.cfn_lint
def test_loud_texts_of_people_stay_texts_and_within_what_the_services_take(tmp_path):
    item = metric_set_yaml.parse(LOUD, "loud.yaml")
    template = project(tmp_path, [item])
    made = expand(template, **OWNER)
    assert cfn_lint("us-east-1", files=tmp_path.rglob("sets/**/*.json")) == ""
    for resource in made.values():
        own = resource.properties
        for text in [
            *named(own, "Description"),
            *named(own, "AlarmDescription"),
            *named(own, "Comment"),
            *named(own, "Name"),
        ]:
            assert "\n" not in text, resource.path
            assert len(text) <= 255, (resource.path, text)
        if resource.type == "AWS::QuickSight::DataSet":
            assert len(own["Name"]) <= 128
    entry = made["Catalog/SetShop/AnomaliesWithLive"].properties["TableInput"]["ViewOriginalText"]
    assert "${Bucket}" in json.loads(base64.b64decode(entry.split()[3]))["originalSql"]


# --- what is made


def test_without_an_owner_nothing_is_made_in_quicksight(three):
    assert not [
        resource
        for resource in expand(three).values()
        if "QuickSight" in resource.type or "quicksight" in resource.path.lower()
    ]


def test_a_stack_gives_all_of_it(stack):
    kinds = Counter(resource.type for resource in stack.values())
    assert kinds["AWS::Glue::Database"] == 2 * 3 + 1
    assert kinds["AWS::Glue::Table"] == 3 * (8 + 5) + 4
    assert (
        kinds["AWS::Glue::Job"]
        == kinds["AWS::Glue::Crawler"]
        == kinds["AWS::Scheduler::Schedule"]
        == kinds["AWS::QuickSight::Topic"]
        == 3
    )
    assert kinds["AWS::QuickSight::DataSet"] == 3 * 5 + 4
    assert kinds["AWS::QuickSight::Analysis"] == kinds["AWS::QuickSight::Dashboard"] == 3 + 1
    assert kinds["AWS::Athena::NamedQuery"] == 3 * 6 + 2
    assert kinds["AWS::Athena::WorkGroup"] == kinds["AWS::QuickSight::DataSource"] == kinds["AWS::S3::Bucket"] == 1
    assert kinds["AWS::QuickSight::RefreshSchedule"] == 0


def test_spice_brings_a_refresh_schedule_for_each_dataset(three):
    made = expand(three, **OWNER, QuickSightImportMode="SPICE")
    datasets = {item.properties["DataSetId"]: item.properties for item in of(made, "AWS::QuickSight::DataSet")}
    assert {item.properties["DataSetId"] for item in of(made, "AWS::QuickSight::RefreshSchedule")} == set(datasets)
    for properties in datasets.values():
        window = properties["DataSetRefreshProperties"]["RefreshConfiguration"]["IncrementalRefresh"]["LookbackWindow"]
        assert window["ColumnName"] in {column["Name"] for column in named(properties, "InputColumns")[0]}
        assert window["Size"] == 4
        decimals = [column for column in named(properties, "InputColumns")[0] if column["Type"] == "DECIMAL"]
        assert all(column["SubType"] == "FLOAT" for column in decimals)


def test_a_daily_metric_set_is_refreshed_daily_and_a_late_one_looks_further_back(tmp_path):
    text = shop_text(frequency="frequency: P1D").replace("format: csv", "format: csv\n  offset: 200000")
    made = expand(project(tmp_path, [metric_set_yaml.parse(text, "shop")]), **OWNER, QuickSightImportMode="SPICE")
    schedules = {
        (
            s.properties["DataSetId"].split("-")[1],
            s.properties["Schedule"]["RefreshType"],
            s.properties["Schedule"]["ScheduleFrequency"]["Interval"],
        )
        for s in of(made, "AWS::QuickSight::RefreshSchedule")
    }
    assert schedules == {
        *(("set", "INCREMENTAL_REFRESH", "DAILY"), ("set", "FULL_REFRESH", "WEEKLY")),
        *(("all", "INCREMENTAL_REFRESH", "HOURLY"), ("all", "FULL_REFRESH", "WEEKLY")),
    }
    window = made["Dashboards/SetShopDatasets/AnomalyLog"].properties["DataSetRefreshProperties"][
        "RefreshConfiguration"
    ]
    assert window["IncrementalRefresh"]["LookbackWindow"]["Size"] == 4 + 3


def test_without_the_detector_there_is_no_schedule_and_no_alarm_of_it(three):
    off = expand(three, Detector="off")
    assert not of(off, "AWS::Scheduler::Schedule") + of(off, "AWS::IAM::RolePolicy")
    assert not [
        alarm for alarm in of(off, "AWS::CloudWatch::Alarm") if alarm.properties["MetricName"].startswith("Intervals")
    ]


def test_in_a_region_without_topics_the_rest_is_made(three, monkeypatch):
    monkeypatch.setitem(__import__("stack").PSEUDO, "AWS::Region", "eu-north-1")
    made = expand(three, **OWNER)
    assert not of(made, "AWS::QuickSight::Topic")
    assert of(made, "AWS::QuickSight::Dashboard")


def test_topics_can_be_left_out(three):
    made = expand(three, **OWNER, QuickSightTopics="off")
    assert not of(made, "AWS::QuickSight::Topic")
    assert of(made, "AWS::QuickSight::Dashboard")


def test_an_existing_bucket_is_used_and_left_as_it_is(three):
    made = expand(three, **OWNER, ExistingBucket="of-our-own")
    assert not of(made, "AWS::S3::Bucket") + of(made, "AWS::S3::BucketPolicy")
    assert {function.properties["FunctionName"] for function in of(made, "AWS::Serverless::Function")} == {
        "anomalake-ingest",
        "anomalake-detect",
    }
    tables = [table.properties["TableInput"] for table in of(made, "AWS::Glue::Table")]
    places = {table["StorageDescriptor"]["Location"] for table in tables if table["TableType"] == "EXTERNAL_TABLE"}
    assert {place.split("/")[2] for place in places} == {"of-our-own"}


def test_the_bucket_is_private_encrypted_versioned_tls_only_and_stays():
    bucket, policy = (TEMPLATE["Resources"][name] for name in ("DataBucket", "DataBucketPolicy"))
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )  # a creation that failed leaves none
    made = expand(TOP / "template.yaml", ArchiveDays="10", QuarantineDays="20", TableDays="30")
    own = made["DataBucket"].properties
    assert own["VersioningConfiguration"] == {"Status": "Enabled"}
    assert all(own["PublicAccessBlockConfiguration"].values())
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in own["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule} == {
        "athena-results/": 30, "alerts/": "10", "quarantine/": "20", "anomalyResults/": "30",
    }  # fmt: skip
    (deny,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_key_encrypts_everything_that_takes_one():
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/abc"
    made = expand(TOP / "template.yaml", **OWNER, KmsKeyArn=key)
    for kind, field in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
    ):
        assert {resource.properties[field] for resource in of(made, kind)} == {key}
    assert key in json.dumps(made["DataBucket"].properties)
    assert key in json.dumps(made["WorkGroup"].properties)
    for path in ("FileAlerts", "Dashboards/Role", "Catalog/SetEcommerce/CrawlerRole"):
        assert key in json.dumps(made[path].properties), path
        assert "kms" not in json.dumps(expand(TOP / "template.yaml", **OWNER)[path].properties)


def test_the_queue_waits_for_the_function_and_gives_up_into_dead_letters():
    made = expand()
    queue, function = made["Queue"].properties, made["IngestFunction"].properties
    mapping = function["Events"]["Alerts"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + mapping["MaximumBatchingWindowInSeconds"] - 1
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"].endswith(made["DeadLetters"].properties["QueueName"])
    assert made["DeadLetters"].properties["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


@pytest.mark.parametrize(
    ("address", "protocol"), [("a.b@example.com", "email"), ("+4915112345678", "sms"), ("a+b@example.com", "email")]
)
def test_a_mail_address_and_a_telephone_number_are_told_apart(address, protocol):
    assert expand(NotificationAddress=address)["Subscription"].properties == {
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:anomalake-notifications", "Protocol": protocol, "Endpoint": address,
    }  # fmt: skip
    assert "Subscription" not in expand()


@pytest.mark.parametrize(
    ("given", "region", "arn"),
    [
        ("user/default/alice", "", f"arn:aws:quicksight:{REGION}:{ACCOUNT}:user/default/alice"),
        ("group/default/data", "us-east-1", f"arn:aws:quicksight:us-east-1:{ACCOUNT}:group/default/data"),
        (
            "arn:aws:quicksight:us-east-1:111122223333:user/default/a/b",
            "",
            "arn:aws:quicksight:us-east-1:111122223333:user/default/a/b",
        ),
    ],
)
def test_an_owner_is_completed_by_the_identity_region(given, region, arn):
    made = expand(QuickSightOwner=given, QuickSightReader=given, QuickSightIdentityRegion=region)
    permissions = {
        grant["Principal"] for resource in made.values() for grant in resource.properties.get("Permissions", ())
    }
    assert permissions == {arn}


def test_every_alarm_watches_a_metric_that_the_functions_give(stack, function_lake, capsys):
    from anomalake.functions import detect, ingest

    ingest.handler(json.loads(alert_body()), None)
    detect.handler({"metricSet": "shop"}, None)
    blobs = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    given = {
        metric["Name"]
        for blob in blobs
        for directive in blob["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    spaces = {directive["Namespace"] for blob in blobs for directive in blob["_aws"]["CloudWatchMetrics"]}
    own = [
        alarm.properties
        for alarm in of(stack, "AWS::CloudWatch::Alarm")
        if not alarm.properties["Namespace"].startswith("AWS/")
    ]
    assert {alarm["Namespace"] for alarm in own} == spaces
    assert {alarm["MetricName"] for alarm in own} <= given
    functions = {
        item.properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for item in of(stack, "AWS::Serverless::Function")
    }
    named_sets = {item.name for item in THREE}
    for alarm in own:
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        assert dimensions.pop("service") in functions
        assert set(dimensions) <= {"MetricSet"}
        assert set(dimensions.values()) <= named_sets


def test_a_schedule_calls_the_detect_function_with_an_event_that_it_takes(stack):
    from anomalake.functions import detect, lease

    (function,) = [
        item
        for item in of(stack, "AWS::Serverless::Function")
        if item.properties["Handler"] == "anomalake.functions.detect.handler"
    ]
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.properties['FunctionName']}"
    (allowed,) = statements(stack["SchedulerRole"])
    assert (allowed["Action"], allowed["Resource"]) == ("lambda:InvokeFunction", arn)
    for item in THREE:
        (one,) = [
            s.properties
            for s in of(stack, "AWS::Scheduler::Schedule")
            if s.properties["Name"] == f"anomalake-{item.name}"
        ]
        assert (one["Target"]["Arn"], one["Target"]["RoleArn"].rpartition("/")[2]) == (
            arn,
            stack["SchedulerRole"].properties["RoleName"],
        )
        assert json.loads(one["Target"]["Input"]) == {"metricSet": item.name}
        assert one["GroupName"] == stack["Schedules"].properties["Name"]
    assert lease.LEASE_DURATION.total_seconds() > function.properties["Timeout"]
    assert 30_000 <= detect.RESERVED_MS < 1000 * function.properties["Timeout"] / 2


def test_others_reach_the_queue_the_function_and_the_topic_and_failures_the_dead_letters(stack):
    queue, topic = (
        stack["QueuePolicy"].properties["PolicyDocument"]["Statement"],
        stack["TopicPolicy"].properties["PolicyDocument"]["Statement"],
    )
    same = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert (queue[0]["Principal"], queue[0]["Action"], queue[0]["Condition"]) == (
        {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}, "sqs:SendMessage", same,
    )  # fmt: skip
    assert (topic[0]["Principal"], topic[0]["Action"], topic[0]["Condition"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
        same,
    )
    callers = {permission.properties["Principal"] for permission in of(stack, "AWS::Lambda::Permission")}
    assert callers == {"sns.amazonaws.com", "events.amazonaws.com", "lambda.alarms.cloudwatch.amazonaws.com"}
    failed = stack["IngestFunction"].properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:anomalake-dead-letters"}


def matches(pattern: object, event: object) -> bool:
    """Whether an event is one of the pattern: of an array one element has to be ("Amazon EventBridge event patterns" in the EventBridge guide)."""
    if isinstance(event, list):
        return any(matches(pattern, one) for one in event)
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(
            name in event and matches(part, event[name]) for name, part in pattern.items()
        )
    allowed = [one if isinstance(one, str) else one["prefix"] for one in pattern]
    return any(event == one for one in pattern) or any(
        str(event).startswith(one) for one in allowed if {"prefix": one} in pattern
    )


def test_rules_send_to_the_queue_what_the_sources_read_and_nothing_else(three):
    fixed = json.loads(event_text("cloudwatch_eventbridge"))
    fixed["detail"]["configuration"]["metrics"] = fixed["detail"]["configuration"]["metrics"][:1]
    recovered = json.loads(event_text("cloudwatch_eventbridge"))
    recovered["detail"]["state"]["value"] = "OK"
    events = {name: json.loads(event_text(name)) for name in ("cost_eventbridge", "cloudwatch_eventbridge")} | {
        "fixed": fixed,
        "recovered": recovered,
    }
    for parameters, wanted in (
        ({}, {"anomalake-cost-anomalies": ["cost_eventbridge"]}),
        (
            {"CostAnomalies": "off", "CloudWatchAlarms": "on"},
            {"anomalake-cloudwatch-alarms": ["cloudwatch_eventbridge"]},
        ),
    ):
        rules = [rule.properties for rule in of(expand(three, **parameters), "AWS::Events::Rule")]
        assert {
            rule["Name"]: [name for name, event in events.items() if matches(rule["EventPattern"], event)]
            for rule in rules
        } == wanted
        assert [target["Arn"] for rule in rules for target in rule["Targets"]] == [
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:anomalake-alerts"
        ]


def test_the_ingest_function_has_no_url_unless_it_is_asked_for(stack, three):
    assert not of(stack, "AWS::Lambda::Url")
    made = expand(three, HttpIngest="on")
    (url,) = of(made, "AWS::Lambda::Url")
    assert url.properties["AuthType"] == "AWS_IAM"
    assert "Cors" not in url.properties
    added = Counter(resource.type for resource in made.values()) - Counter(
        resource.type for resource in expand(three).values()
    )
    assert added == {"AWS::Lambda::Url": 1, "AWS::Lambda::Permission": 1, "AWS::IAM::ManagedPolicy": 1}


def test_the_url_is_open_to_the_account_s_own_identities_that_have_the_policy_only(three):
    made = expand(three, HttpIngest="on")
    (permission,) = [
        one.properties
        for one in of(made, "AWS::Lambda::Permission")
        if one.properties["Action"] == "lambda:InvokeFunctionUrl"
    ]
    assert (permission["Principal"], permission["FunctionUrlAuthType"]) == (ACCOUNT, "AWS_IAM")
    (policy,) = [
        one.properties
        for one in of(made, "AWS::IAM::ManagedPolicy")
        if one.properties.get("ManagedPolicyName", "").endswith("send-alerts")
    ]
    statements = {one["Action"]: one for one in policy["PolicyDocument"]["Statement"]}
    assert set(statements) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert statements["lambda:InvokeFunctionUrl"]["Condition"] == {
        "StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}
    }
    assert statements["lambda:InvokeFunction"]["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert {one["Resource"] for one in statements.values()} == {
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:anomalake-ingest"
    }


def test_every_alarm_tells_the_topic_and_watches_what_its_name_says(stack):
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:anomalake-notifications"
    alarms = {
        alarm.properties["AlarmName"].removeprefix("anomalake-"): alarm.properties
        for alarm in of(stack, "AWS::CloudWatch::Alarm")
    }
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [topic] for alarm in alarms.values())
    watched = {name: [one["Value"] for one in alarm["Dimensions"]] for name, alarm in alarms.items()}
    assert {name: watched[name] for name in ("dead-letters", "backlog", "ingest-errors", "detect-errors")} == {
        "dead-letters": ["anomalake-dead-letters"], "backlog": ["anomalake-alerts"],
        "ingest-errors": ["anomalake-ingest"], "detect-errors": ["anomalake-detect"],
    }  # fmt: skip
    for item in THREE:
        late, silent = alarms[f"{item.name}-late"], alarms[f"{item.name}-silent"]
        assert watched[f"{item.name}-late"] == watched[f"{item.name}-silent"] == ["anomalake-detect", item.name]
        assert (late["MetricName"], late["Statistic"], late["TreatMissingData"]) == (
            "IntervalsDue",
            "Minimum",
            "breaching",
        )
        assert (silent["MetricName"], silent["Statistic"], silent["TreatMissingData"]) == (
            "IntervalsSilent",
            "Maximum",
            "notBreaching",
        )


def test_parameters_reach_what_they_are_for(three):
    made = expand(
        three,
        **OWNER,
        Format="csv",
        NotifyScore="33",
        ScanLimitGigabytes="7",
        CrawlerSchedule="cron(1 2 * * ? *)",
        LogDays="7",
    )
    scope = _Scope(read(three), {name: str({"Format": "csv", "NotifyScore": "33", **OWNER}.get(name, p["Default"]))
                                 for name, p in read(three)["Parameters"].items()})  # fmt: skip
    variables = scope.resolve(read(three)["Globals"]["Function"]["Environment"]["Variables"])
    assert (variables["ANOMALAKE_FORMAT"], variables["ANOMALAKE_NOTIFY_SCORE"]) == ("csv", "33")
    assert variables["ANOMALAKE_LAKE"] == f"s3://{made['DataBucket'].properties['BucketName']}"
    dashboards = {item.properties["DashboardId"] for item in of(made, "AWS::QuickSight::Dashboard")}
    for item in THREE:
        link = variables["ANOMALAKE_DASHBOARD"].replace("{metric_set}", item.name.replace("_", "-"))
        assert link.rpartition("/")[2] in dashboards
    workgroup = made["WorkGroup"].properties["WorkGroupConfiguration"]
    assert workgroup["BytesScannedCutoffPerQuery"] == "7000000000"
    assert workgroup["EnforceWorkGroupConfiguration"] is True
    assert all(
        crawler.properties["Schedule"] == {"ScheduleExpression": "cron(1 2 * * ? *)"}
        for crawler in of(made, "AWS::Glue::Crawler")
    )
    assert {log.properties["RetentionInDays"] for log in of(made, "AWS::Logs::LogGroup")} == {"7"}


def test_what_needs_another_waits_for_it(three):
    top = read(three)["Resources"]
    assert (top["Catalog"]["DependsOn"], top["Dashboards"]["DependsOn"]) == (["Schedules"], ["Catalog"])
    for item in THREE:
        own = read(three.parent / f"glue/sets/{item.name}.json")["Resources"]
        assert own["Schedule"]["DependsOn"] == ["ReadLive"]
    for name, resource in read(three.parent / "quicksight/template.json")["Resources"].items():
        if name.endswith(("Analysis", "Dashboard", "Topic")):
            assert resource["DependsOn"] == [
                f"{name.removesuffix('Analysis').removesuffix('Dashboard').removesuffix('Topic')}Datasets"
            ]


# --- parameters


def test_every_parameter_says_what_it_is_and_refuses_in_words_what_cannot_work():
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert "Default" in parameter, name
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter), name
        if "AllowedPattern" in parameter:
            assert re.search(parameter["AllowedPattern"], str(parameter["Default"])), name
    grouped = [
        name
        for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("Prefix", ["a", "shop2", "a" * 20], ["", "2shop", "Shop", "my-shop", "my_shop", "a" * 21]),
        ("ExistingBucket", ["", "my-bucket.eu"], ["s3://my-bucket", "My-Bucket", "a", "-bucket"]),
        ("KmsKeyArn", ["", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1-2"], ["alias/mine", "1234", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine"]),
        ("ArchiveDays", ["0", "1", "365"], ["", "-1", "1.5", "007", "a year"]),
        ("ScanLimitGigabytes", ["1", "100"], ["0", "1.5", "", "-3"]),
        ("CrawlerSchedule", ["", "cron(15 3 * * ? *)"], ["daily", "rate(1 day)", "15 3 * * ? *"]),
        ("NotificationAddress", ["", "a@b.example", "+4915112345678"], ["nobody", "a@b", "015112345678", "+0151"]),
        ("QuickSightOwner", ["", "user/default/a", "group/default/b c", f"arn:aws:quicksight:us-east-1:{ACCOUNT}:user/default/a"],
         ["alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "user/alice"]),
        ("QuickSightIdentityRegion", ["", "us-east-1", "us-gov-west-1"], ["Ireland", "eu-west", "eu-west-1a"]),
    ],
)  # fmt: skip
def test_patterns_take_what_works_and_refuse_what_cannot(parameter, good, bad):
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, None),
        (OWNER, None),
        (
            {
                **OWNER,
                "QuickSightReader": "group/default/r",
                "QuickSightImportMode": "SPICE",
                "QuickSightIdentityRegion": "us-east-1",
            },
            None,
        ),
        ({"QuickSightReader": "group/default/r"}, "QuickSightOwner is not"),
        ({"QuickSightImportMode": "SPICE"}, "nothing to import"),
        ({"QuickSightIdentityRegion": "us-east-1"}, "QuickSightOwner is not"),
        ({"ExistingBucket": "ours"}, None),
        ({"ExistingBucket": "ours", "TableDays": "10"}, "keeps its own lifecycle"),
    ],
)
def test_rules_refuse_parameters_that_do_not_fit_together(parameters, told):
    scope = _Scope(
        TEMPLATE,
        {name: str(parameters.get(name, declared["Default"])) for name, declared in TEMPLATE["Parameters"].items()},
    )
    refused = [
        assertion["AssertDescription"]
        for rule in TEMPLATE["Rules"].values()
        if scope._test(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not scope._test(assertion["Assert"])
    ]
    assert bool(refused) == bool(told)
    assert all(told in text for text in refused)


# --- permissions


def statements(resource: Resource) -> list[dict[str, Any]]:
    own = resource.properties
    documents = (
        [own["PolicyDocument"]]
        if "PolicyDocument" in own
        else [policy["PolicyDocument"] for policy in own.get("Policies", ())]
    )
    return [statement for document in documents for statement in document["Statement"]]


# Actions that know no resource ("Actions, resources, and condition keys for AWS services").
NO_FINER = {
    "cloudwatch:PutMetricData",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "athena:ListDataCatalogs",
    "lakeformation:GetDataAccess",
}


def test_no_permission_is_wider_than_the_service_forces(stack):
    holders = [
        item
        for item in stack.values()
        if item.type in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}
    ]
    assert (
        len(holders) == 2 + 1 + 1 + 1 + 3 * 3
    )  # functions, scheduler, policy of both functions, QuickSight; crawler, live data, back-test of each set
    for holder in holders:
        assert not [arn for arn in holder.properties.get("ManagedPolicyArns", ()) if ":aws:policy" in arn], holder.path
        for statement in statements(holder):
            actions, resources = (
                [one] if isinstance(one, str) else one for one in (statement["Action"], statement["Resource"])
            )
            assert not [action for action in actions if "*" in action], holder.path
            if "*" in resources:
                assert set(actions) <= NO_FINER, holder.path
            for arn in resources:
                assert arn == "*" or arn.count("*") <= 1, arn
                assert arn == "*" or "*" not in arn.rsplit("/", 1)[0].rsplit(":", 1)[0], arn


def test_quicksight_s_role_reads_this_stack_s_data_and_no_other(stack):
    role = stack["Dashboards/Role"]
    assert role.properties["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "quicksight.amazonaws.com"
    }
    text = json.dumps(statements(role))
    sources = {item.source.path.split("{{")[0] for item in THREE if item.source}
    for folder in ("anomalyResults/", *sources):
        assert f":::{stack['DataBucket'].properties['BucketName']}/{folder}*" in text
    for item in THREE:
        assert f":database/anomalake_{item.name}" in text
    for hidden in ("alerts/", "quarantine/", "detector/", "_crawled"):
        assert hidden not in text
    allowed = {
        (action, resource) for one in statements(role) for action in one["Action"] for resource in one["Resource"]
    }
    bucket = f"arn:aws:s3:::{stack['DataBucket'].properties['BucketName']}"
    # What "Amazon Athena connections" in the QuickSight guide and the API's own calls need.
    for action in ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
        assert (action, f"{bucket}/athena-results/*") in allowed
    for action in ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"):
        assert (action, bucket) in allowed
    for action in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution", "GetWorkGroup"):
        assert (f"athena:{action}", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/anomalake") in allowed


def test_a_reader_may_look_and_an_owner_change(stack):
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


def test_the_crawler_may_write_its_own_database_and_no_other(stack):
    for item in THREE:
        role = stack[f"Catalog/Set{item.name[0].upper()}{item.name[1:]}/CrawlerRole"]
        (glue,) = [one for one in statements(role) if "glue:CreateTable" in one["Action"]]
        own = f"anomalake_{item.name}_crawled"
        assert {arn.split(":", 5)[5] for arn in glue["Resource"]} == {"catalog", f"database/{own}", f"table/{own}/*"}


def test_a_backtest_job_runs_the_uploaded_script_with_arguments_that_it_takes_on_the_versions_that_are_tested(stack):
    from anomalake.catalog import backfill_resources

    modules = {normalized(pin) for pin in backfill_resources.PYTHON_MODULES}
    assert modules <= pins(TOP / ".ci/spark.txt")
    assert modules <= pins(TOP / "constraints.txt")
    takes = set(re.findall(r'add_argument\("(--[a-z-]+)"', (TOP / "glue/backfill.py").read_text()))
    bucket = stack["DataBucket"].properties["BucketName"]
    service = botocore.session.get_session().get_service_model("glue").operation_model("CreateJob").input_shape
    for item in THREE:
        (job,) = [
            one.properties
            for one in of(stack, "AWS::Glue::Job")
            if one.properties["Name"] == f"anomalake-{item.name}-backfill"
        ]
        given = {name: value for name, value in job["DefaultArguments"].items() if name in takes}
        assert given == {
            "--lake": f"s3://{bucket}", "--metric-set": item.name, "--metric-sets": f"s3://{bucket}/backfill/metric_sets", "--format": "parquet",
            "--region": REGION,
        }  # fmt: skip
        assert job["Command"]["ScriptLocation"] == f"s3://{bucket}/backfill/backfill.py"
        assert (
            job["DefaultArguments"]["--additional-python-modules"].split(",")[0]
            == f"s3://{bucket}/backfill/{backfill_resources.WHEEL_FILE}"
        )
        assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"]) == ("5.0", "G.1X", "4")
        assert enum_problems(service, {**job, "NumberOfWorkers": 4}) == []
    text = json.dumps(statements(stack["Catalog/SetShop/BackfillRole"]))
    for other in THREE[1:]:
        assert f"/{other.name}/" not in text


# --- QuickSight: every definition is checked against the service's own model, and every name against what it names


def enum_problems(shape: Any, value: Any, where: str = "") -> list[str]:
    """Values that are not among those that the service model lists, and texts that its patterns refuse."""
    if shape.type_name == "structure":
        return [
            found
            for name, one in value.items()
            if name in shape.members
            for found in enum_problems(shape.members[name], one, f"{where}.{name}")
        ]
    if shape.type_name == "list":
        return [
            found
            for number, one in enumerate(value)
            for found in enum_problems(shape.member, one, f"{where}[{number}]")
        ]
    if shape.type_name == "map":
        return [
            found
            for key, one in value.items()
            for found in enum_problems(shape.key, key, where) + enum_problems(shape.value, one, f"{where}.{key}")
        ]
    found = []
    if getattr(shape, "enum", None) and value not in shape.enum:
        found.append(f"{where}: {value} is none of {shape.enum}")
    pattern = shape.metadata.get("pattern") if isinstance(value, str) else None
    if (
        pattern
        and "\\u" not in pattern
        and "\\p" not in pattern
        and not re.search(f"^(?:{pattern})$", value, re.DOTALL)
    ):
        found.append(f"{where}: {value!r} does not match {pattern}")
    return found


SERVICE = botocore.session.get_session().get_service_model("quicksight")


def as_api(resource: Resource) -> tuple[str, dict[str, Any]]:
    """The API's call that CloudFormation makes of a resource; a few names differ between them."""
    own = json.loads(json.dumps(resource.properties))
    match resource.type.rpartition("::")[2]:
        case "DataSet":
            own.pop("IngestionWaitPolicy")
            own["FieldFolders"] = {name: {"columns": folder["Columns"]} for name, folder in own["FieldFolders"].items()}
            return "CreateDataSet", {key: value for key, value in own.items() if key != "DataSetRefreshProperties"}
        case "RefreshSchedule":
            frequency = own["Schedule"]["ScheduleFrequency"]
            frequency["Timezone"] = frequency.pop("TimeZone")
            return "CreateRefreshSchedule", own
        case "Topic":
            outer = {key: own.pop(key) for key in ("AwsAccountId", "TopicId", "FolderArns")}
            return "CreateTopic", {**outer, "Topic": own}
        case kind:
            return f"Create{kind}", own


def test_quicksight_s_own_model_takes_every_resource(three):
    made = expand(three, **OWNER, QuickSightReader="group/default/r", QuickSightImportMode="SPICE")
    seen = set()
    for resource in made.values():
        if "QuickSight" not in resource.type:
            continue
        operation, parameters = as_api(resource)
        shape = SERVICE.operation_model(operation).input_shape
        assert botocore.validate.ParamValidator().validate(parameters, shape).generate_report() == "", resource.path
        assert enum_problems(shape, parameters) == [], resource.path
        seen.add(operation)
    assert len(seen) == 7
    refresh = SERVICE.operation_model("PutDataSetRefreshProperties").input_shape.members["DataSetRefreshProperties"]
    for dataset in of(made, "AWS::QuickSight::DataSet"):
        assert (
            botocore.validate.ParamValidator()
            .validate(dataset.properties["DataSetRefreshProperties"], refresh)
            .generate_report()
            == ""
        )


def test_the_model_s_check_finds_what_it_is_there_for():
    shape = SERVICE.operation_model("CreateDataSet").input_shape
    assert enum_problems(shape, {"ImportMode": "DIRECT"})
    assert enum_problems(shape, {"PhysicalTableMap": {"under_score": {}}})


def test_every_dataset_has_the_columns_of_its_view_each_in_one_folder(stack):
    declared = {
        (t.properties["DatabaseName"], t.properties["TableInput"]["Name"]): t.properties["TableInput"]
        for t in of(stack, "AWS::Glue::Table")
    }
    types = {
        "string": "STRING",
        "double": "DECIMAL",
        "bigint": "INTEGER",
        "timestamp": "DATETIME",
        "boolean": "BOOLEAN",
    }
    for dataset in of(stack, "AWS::QuickSight::DataSet"):
        (physical,) = dataset.properties["PhysicalTableMap"].values()
        table = physical["RelationalTable"]
        view = declared[table["Schema"], table["Name"]]
        assert view["TableType"] == "VIRTUAL_VIEW"
        assert [(c["Name"], c["Type"]) for c in table["InputColumns"]] == [
            (c["Name"], types[c["Type"]]) for c in view["StorageDescriptor"]["Columns"]
        ]
        names = [column["Name"] for column in table["InputColumns"]]
        assert sorted(
            name for folder in dataset.properties["FieldFolders"].values() for name in folder["Columns"]
        ) == sorted(names)
        described = [
            one["TagColumnOperation"] for one in dataset.properties["LogicalTableMap"]["described"]["DataTransforms"]
        ]
        assert [one["ColumnName"] for one in described] == names
        assert all(one["Tags"][0]["ColumnDescription"]["Text"] for one in described)


def references(made: dict[str, Any], columns: dict[str, set[str]]) -> list[str]:
    """What a definition names and does not have, has twice, or places on one another."""
    found = []
    columns = {name: set(known) for name, known in columns.items()}
    for calculated in made["CalculatedFields"]:
        known = columns[calculated["DataSetIdentifier"]]
        found += [
            f"calculated field {calculated['Name']}: {c}"
            for c in re.findall(r"(?<!\$)\{([^}]*)\}", calculated["Expression"])
            if c not in known
        ]
        parameters = {p["Name"] for d in made["ParameterDeclarations"] for p in d.values()}
        found += [
            f"calculated field {calculated['Name']}: ${p}"
            for p in re.findall(r"\$\{([^}]*)\}", calculated["Expression"])
            if p not in parameters
        ]
    for calculated in made["CalculatedFields"]:
        columns[calculated["DataSetIdentifier"]].add(calculated["Name"])
    found += [
        f"column {one}"
        for one in named(made, "Column")
        if one["ColumnName"] not in columns.get(one["DataSetIdentifier"], ())
    ]
    for name in ("VisualId", "FilterGroupId", "FilterId", "FilterControlId", "ParameterControlId"):
        own = [value for value in named(made, name) if isinstance(value, str)]
        found += [f"{name} {value} twice" for value, count in Counter(own).items() if count > 1]
    sheets = {
        sheet["SheetId"]: {body["VisualId"] for visual in sheet["Visuals"] for body in visual.values()}
        for sheet in made["Sheets"]
    }
    found += ["a sheet's id twice"] if len(sheets) < len(made["Sheets"]) else []
    for scope in (one for scopes in named(made, "SheetVisualScopingConfigurations") for one in scopes):
        missing = set(scope.get("VisualIds", ())) - sheets.get(scope["SheetId"], set())
        found += [f"scope {scope}"] if scope["SheetId"] not in sheets or missing else []
    filters, parameters = set(named(made, "FilterId")), set(named(made["ParameterDeclarations"], "Name"))
    found += [f"control of {one}" for one in named(made, "SourceFilterId") if one not in filters]
    found += [f"parameter {one}" for one in named(made, "SourceParameterName") if one not in parameters]
    for sheet in made["Sheets"]:
        elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
        found += [f"element {one['ElementId']}" for one in elements if one["ElementId"] not in sheets[sheet["SheetId"]]]
        found += [
            f"visual {one} without a place"
            for one in sheets[sheet["SheetId"]] - {element["ElementId"] for element in elements}
        ]
        taken: set[tuple[int, int]] = set()
        for one in elements:
            cells = {(c, r) for c in range(one["ColumnIndex"], one["ColumnIndex"] + one["ColumnSpan"])
                     for r in range(one["RowIndex"], one["RowIndex"] + one["RowSpan"])}  # fmt: skip
            found += (
                [f"{one['ElementId']} lies on another, or outside"]
                if cells & taken or max(c for c, _ in cells) > 35
                else []
            )
            taken |= cells
        for visual in sheet["Visuals"]:
            ((_, body),) = visual.items()
            wells = set(named(body["ChartConfiguration"]["FieldWells"], "FieldId"))
            found += [f"field {one} of {body['VisualId']}" for one in named(body, "FieldId") if one not in wells]
    return found


def columns_of(stack: dict[str, Resource], declarations: list[dict[str, Any]]) -> dict[str, set[str]]:
    datasets = {
        f"arn:aws:quicksight:{REGION}:{ACCOUNT}:dataset/{d.properties['DataSetId']}": {
            c["Name"] for c in named(d.properties, "InputColumns")[0]
        }
        for d in of(stack, "AWS::QuickSight::DataSet")
    }
    return {one["Identifier"]: datasets[one["DataSetArn"]] for one in declarations}


def test_everything_that_an_analysis_or_dashboard_names_is_there(stack):
    for resource in [*of(stack, "AWS::QuickSight::Analysis"), *of(stack, "AWS::QuickSight::Dashboard")]:
        made = resource.properties["Definition"]
        assert references(made, columns_of(stack, made["DataSetIdentifierDeclarations"])) == [], resource.path
        assert len(made["Sheets"]) <= 20
        assert all(len(sheet["Visuals"]) <= 50 for sheet in made["Sheets"])


def test_the_check_of_references_finds_what_it_is_there_for(stack):
    item = THREE[0]
    made = definition.build_set_definition(item, definition.rolling_window(item))
    columns = {
        view.name: {column.name for column in view.columns} for view in views_of_set(item, "anomalake", "parquet")
    }
    assert references(made, columns) == []
    text = json.dumps(made)
    for right, wrong in (
        ('"ColumnName": "groupscore"', '"ColumnName": "score"'), ('"SourceFilterId": "choose-platform"', '"SourceFilterId": "choose"'),
        ('"ElementId": "timeline"', '"ElementId": "time"'), ('"VisualId": "worst"', '"VisualId": "timeline"'),
        ('"ColumnIndex": 18', '"ColumnIndex": 17'),
        ('"FieldId": "log-severity", "CustomLabel"', '"FieldId": "log-sever", "CustomLabel"'), ("${From}", "${Form}"), ("{utcday}", "{day}"),
        ('"SheetId": "contributions", "Scope"', '"SheetId": "other", "Scope"'), ('"SourceParameterName": "From"', '"SourceParameterName": "Since"'),
    ):  # fmt: skip
        assert right in text, right
        assert references(json.loads(text.replace(right, wrong, 1)), columns), right


def test_a_topic_asks_for_columns_that_its_datasets_have_under_names_of_their_own(stack):
    for topic in of(stack, "AWS::QuickSight::Topic"):
        for dataset in topic.properties["DataSets"]:
            known = columns_of(stack, [{"Identifier": "x", "DataSetArn": dataset["DatasetArn"]}])["x"]
            listed = [column["ColumnName"] for column in dataset["Columns"]]
            assert set(listed) <= known
            assert dataset["DataAggregation"]["DefaultDateColumnName"] in listed
            friendly = [column["ColumnFriendlyName"].lower() for column in dataset["Columns"]]
            assert len(set(friendly)) == len(friendly)
            assert all(column["IsIncludedInTopic"] for column in dataset["Columns"])


def test_a_topic_adds_up_as_the_measures_do(stack):
    topic = next(
        item for item in of(stack, "AWS::QuickSight::Topic") if item.properties["TopicId"] == "anomalake-set-shop"
    )
    how = {
        column["ColumnName"]: column.get("Aggregation")
        for dataset in topic.properties["DataSets"]
        for column in dataset["Columns"]
    }
    wanted = {
        "views": "SUM",
        "revenue": "AVERAGE",
        "viewsgroupscore": "MAX",
        "groupscore": "MAX",
        "eventid": "DISTINCT_COUNT",
        "platform": None,
    }
    assert {name: how[name] for name in wanted} == wanted


def test_the_dashboards_window_reads_only_the_partitions_around_it(stack):
    for resource in of(stack, "AWS::QuickSight::Dashboard"):
        made = resource.properties["Definition"]
        datasets = {one["Identifier"] for one in made["DataSetIdentifierDeclarations"]}
        filtered = {
            f["NumericEqualityFilter"]["Column"]["DataSetIdentifier"]
            for g in made["FilterGroups"]
            for f in g["Filters"]
            if "NumericEqualityFilter" in f
        }
        assert filtered == datasets


# --- the catalog's views, as CloudFormation will have put them together


def test_a_view_arrives_in_the_catalog_as_athena_stores_it(three):
    for form in ("parquet", "csv"):
        made = expand(three, Format=form, Prefix="mine")
        known = {(v.database, v.name): v for s in THREE for v in views_of_set(s, "mine", form)} | {
            (v.database, v.name): v for v in views_over_all_sets(THREE, "mine", form)
        }
        entries = [t for t in of(made, "AWS::Glue::Table") if t.properties["TableInput"]["TableType"] == "VIRTUAL_VIEW"]
        assert len(entries) == len(known)
        for table in entries:
            view = known[table.properties["DatabaseName"], table.properties["TableInput"]["Name"]]
            text = table.properties["TableInput"]["ViewOriginalText"]
            assert len(text) < 409_600
            assert re.fullmatch(r"/\* Presto View: \S+ \*/", text)
            entry = json.loads(base64.b64decode(text.split()[3]))
            assert (entry["originalSql"], entry["schema"], entry["catalog"]) == (
                view.sql,
                view.database,
                "awsdatacatalog",
            )
            assert [(c["name"], c["type"]) for c in entry["columns"]] == [(c.name, c.type) for c in view.columns]


def test_live_and_lake_are_found_where_they_are_written(three):
    made = expand(three, Prefix="mine", ExistingBucket="ours")
    tables = {
        (t.properties["DatabaseName"], t.properties["TableInput"]["Name"]): t.properties["TableInput"]
        for t in of(made, "AWS::Glue::Table")
    }
    live = tables["mine_shop", "live"]["Parameters"]
    assert live["storage.location.template"] == "s3://ours/shop/live/${slot}/"
    assert (
        live["projection.slot.format"],
        live["projection.slot.interval"],
        live["projection.slot.interval.unit"],
    ) == (
        "yyyyMMdd",
        "1",
        "DAYS",
    )
    assert (
        tables["mine_shop", "observations"]["Parameters"]["storage.location.template"]
        == "s3://ours/anomalyResults/observations/shop/v1/date=${date}/"
    )
