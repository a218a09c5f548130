"""The resources that the stack creates with each choice of parameters, and their settings."""

import json
from collections import Counter

from anomalake.domain import metric_set_yaml
from examples import shop_text
from large_set import find_values
from stack import ACCOUNT, REGION, TOP, expand, project, read
from template_project import METRIC_SETS, OWNER, TEMPLATE, list_resources


def test_without_an_owner_the_stack_has_no_quicksight_resources(template_file):
    assert not [
        resource
        for resource in expand(template_file).values()
        if "QuickSight" in resource.type or "quicksight" in resource.path.lower()
    ]


def test_a_stack_has_the_resources_of_every_metric_set(stack):
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


def test_spice_adds_a_refresh_schedule_for_each_dataset(template_file):
    made = expand(template_file, **OWNER, QuickSightImportMode="SPICE")
    datasets = {
        item.properties["DataSetId"]: item.properties for item in list_resources(made, "AWS::QuickSight::DataSet")
    }
    assert {item.properties["DataSetId"] for item in list_resources(made, "AWS::QuickSight::RefreshSchedule")} == set(
        datasets
    )
    for properties in datasets.values():
        window = properties["DataSetRefreshProperties"]["RefreshConfiguration"]["IncrementalRefresh"]["LookbackWindow"]
        assert window["ColumnName"] in {column["Name"] for column in find_values(properties, "InputColumns")[0]}
        assert window["Size"] == 4
        decimals = [column for column in find_values(properties, "InputColumns")[0] if column["Type"] == "DECIMAL"]
        assert all(column["SubType"] == "FLOAT" for column in decimals)


def test_a_daily_metric_set_is_refreshed_daily_and_an_offset_extends_the_lookback(tmp_path):
    text = shop_text(frequency="frequency: P1D").replace("format: csv", "format: csv\n  offset: 200000")
    made = expand(project(tmp_path, [metric_set_yaml.parse(text, "shop")]), **OWNER, QuickSightImportMode="SPICE")
    schedules = {
        (
            s.properties["DataSetId"].split("-")[1],
            s.properties["Schedule"]["RefreshType"],
            s.properties["Schedule"]["ScheduleFrequency"]["Interval"],
        )
        for s in list_resources(made, "AWS::QuickSight::RefreshSchedule")
    }
    assert schedules == {
        *(("set", "INCREMENTAL_REFRESH", "DAILY"), ("set", "FULL_REFRESH", "WEEKLY")),
        *(("all", "INCREMENTAL_REFRESH", "HOURLY"), ("all", "FULL_REFRESH", "WEEKLY")),
    }
    window = made["Dashboards/SetShopDatasets/AnomalyLog"].properties["DataSetRefreshProperties"][
        "RefreshConfiguration"
    ]
    assert window["IncrementalRefresh"]["LookbackWindow"]["Size"] == 4 + 3


def test_without_the_detector_the_stack_has_none_of_its_schedules_and_alarms(template_file):
    off = expand(template_file, Detector="off")
    assert not list_resources(off, "AWS::Scheduler::Schedule") + list_resources(off, "AWS::IAM::RolePolicy")
    assert not [
        alarm
        for alarm in list_resources(off, "AWS::CloudWatch::Alarm")
        if alarm.properties["MetricName"].startswith("Intervals")
    ]


def test_in_a_region_without_topics_the_other_resources_exist(template_file, monkeypatch):
    monkeypatch.setitem(__import__("stack").PSEUDO, "AWS::Region", "eu-north-1")
    made = expand(template_file, **OWNER)
    assert not list_resources(made, "AWS::QuickSight::Topic")
    assert list_resources(made, "AWS::QuickSight::Dashboard")


def test_a_parameter_omits_the_topics(template_file):
    made = expand(template_file, **OWNER, QuickSightTopics="off")
    assert not list_resources(made, "AWS::QuickSight::Topic")
    assert list_resources(made, "AWS::QuickSight::Dashboard")


def test_an_existing_bucket_is_used_and_not_changed(template_file):
    made = expand(template_file, **OWNER, ExistingBucket="of-our-own")
    assert not list_resources(made, "AWS::S3::Bucket") + list_resources(made, "AWS::S3::BucketPolicy")
    assert {function.properties["FunctionName"] for function in list_resources(made, "AWS::Serverless::Function")} == {
        "anomalake-ingest",
        "anomalake-detect",
    }
    tables = [table.properties["TableInput"] for table in list_resources(made, "AWS::Glue::Table")]
    places = {table["StorageDescriptor"]["Location"] for table in tables if table["TableType"] == "EXTERNAL_TABLE"}
    assert {place.split("/")[2] for place in places} == {"of-our-own"}


def test_the_bucket_is_private_encrypted_versioned_tls_only_and_retained():
    bucket, policy = (TEMPLATE["Resources"][name] for name in ("DataBucket", "DataBucketPolicy"))
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )  # a failed creation deletes the bucket
    made = expand(TOP / "template.yaml", ArchiveDays="10", QuarantineDays="20", TableDays="30")
    own = made["DataBucket"].properties
    assert own["VersioningConfiguration"] == {"Status": "Enabled"}
    assert all(own["PublicAccessBlockConfiguration"].values())
    assert {
        rule["Prefix"]: rule["ExpirationInDays"]
        for rule in own["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule
    } == {
        "athena-results/": 30,
        "alerts/": "10",
        "quarantine/": "20",
        "anomalyResults/": "30",
    }
    (deny,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_kms_key_encrypts_every_resource_that_supports_one():
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/abc"
    made = expand(TOP / "template.yaml", **OWNER, KmsKeyArn=key)
    for kind, field in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
    ):
        assert {resource.properties[field] for resource in list_resources(made, kind)} == {key}
    assert key in json.dumps(made["DataBucket"].properties)
    assert key in json.dumps(made["WorkGroup"].properties)
    for path in ("FileAlerts", "Dashboards/Role", "Catalog/SetEcommerce/CrawlerRole"):
        assert key in json.dumps(made[path].properties), path
        assert "kms" not in json.dumps(expand(TOP / "template.yaml", **OWNER)[path].properties)


def test_the_queue_outlasts_the_function_timeout_and_redrives_to_the_dead_letter_queue():
    made = expand()
    queue, function = made["Queue"].properties, made["IngestFunction"].properties
    mapping = function["Events"]["Alerts"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + mapping["MaximumBatchingWindowInSeconds"] - 1
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"].endswith(made["DeadLetters"].properties["QueueName"])
    assert made["DeadLetters"].properties["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_resources_depend_on_the_resources_they_use(template_file):
    top = read(template_file)["Resources"]
    assert (top["Catalog"]["DependsOn"], top["Dashboards"]["DependsOn"]) == (["Schedules"], ["Catalog"])
    for item in METRIC_SETS:
        own = read(template_file.parent / f"glue/sets/{item.name}.json")["Resources"]
        assert own["Schedule"]["DependsOn"] == ["ReadLive"]
    for name, resource in read(template_file.parent / "quicksight/template.json")["Resources"].items():
        if name.endswith(("Analysis", "Dashboard", "Topic")):
            assert resource["DependsOn"] == [
                f"{name.removesuffix('Analysis').removesuffix('Dashboard').removesuffix('Topic')}Datasets"
            ]
