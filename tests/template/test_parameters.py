"""The parameters of the template: descriptions, patterns, rules, and what each one changes."""

import re

import pytest

from stack import ACCOUNT, REGION, _Scope, expand, read
from template_project import METRIC_SETS, OWNER, TEMPLATE, list_resources


@pytest.mark.parametrize(
    ("address", "protocol"), [("a.b@example.com", "email"), ("+4915112345678", "sms"), ("a+b@example.com", "email")]
)
def test_an_email_address_and_a_telephone_number_get_their_own_protocol(address, protocol):
    assert expand(NotificationAddress=address)["Subscription"].properties == {
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:anomalake-notifications",
        "Protocol": protocol,
        "Endpoint": address,
    }
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
def test_the_identity_region_completes_the_arn_of_an_owner(given, region, arn):
    made = expand(QuickSightOwner=given, QuickSightReader=given, QuickSightIdentityRegion=region)
    permissions = {
        grant["Principal"] for resource in made.values() for grant in resource.properties.get("Permissions", ())
    }
    assert permissions == {arn}


def test_parameters_reach_the_resources_that_they_configure(template_file):
    made = expand(
        template_file,
        **OWNER,
        Format="csv",
        NotifyScore="33",
        ScanLimitGigabytes="7",
        CrawlerSchedule="cron(1 2 * * ? *)",
        LogDays="7",
    )
    scope = _Scope(
        read(template_file),
        {
            name: str({"Format": "csv", "NotifyScore": "33", **OWNER}.get(name, p["Default"]))
            for name, p in read(template_file)["Parameters"].items()
        },
    )
    variables = scope.resolve(read(template_file)["Globals"]["Function"]["Environment"]["Variables"])
    assert (variables["ANOMALAKE_FORMAT"], variables["ANOMALAKE_NOTIFY_SCORE"]) == ("csv", "33")
    assert variables["ANOMALAKE_LAKE"] == f"s3://{made['DataBucket'].properties['BucketName']}"
    dashboards = {item.properties["DashboardId"] for item in list_resources(made, "AWS::QuickSight::Dashboard")}
    for item in METRIC_SETS:
        link = variables["ANOMALAKE_DASHBOARD"].replace("{metric_set}", item.name.replace("_", "-"))
        assert link.rpartition("/")[2] in dashboards
    workgroup = made["WorkGroup"].properties["WorkGroupConfiguration"]
    assert workgroup["BytesScannedCutoffPerQuery"] == "7000000000"
    assert workgroup["EnforceWorkGroupConfiguration"] is True
    assert all(
        crawler.properties["Schedule"] == {"ScheduleExpression": "cron(1 2 * * ? *)"}
        for crawler in list_resources(made, "AWS::Glue::Crawler")
    )
    assert {log.properties["RetentionInDays"] for log in list_resources(made, "AWS::Logs::LogGroup")} == {"7"}


def test_every_parameter_has_a_description_and_explains_its_pattern():
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
        (
            "KmsKeyArn",
            ["", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1-2"],
            ["alias/mine", "1234", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine"],
        ),
        ("ArchiveDays", ["0", "1", "365"], ["", "-1", "1.5", "007", "a year"]),
        ("ScanLimitGigabytes", ["1", "100"], ["0", "1.5", "", "-3"]),
        ("CrawlerSchedule", ["", "cron(15 3 * * ? *)"], ["daily", "rate(1 day)", "15 3 * * ? *"]),
        ("NotificationAddress", ["", "a@b.example", "+4915112345678"], ["nobody", "a@b", "015112345678", "+0151"]),
        (
            "QuickSightOwner",
            ["", "user/default/a", "group/default/b c", f"arn:aws:quicksight:us-east-1:{ACCOUNT}:user/default/a"],
            ["alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "user/alice"],
        ),
        ("QuickSightIdentityRegion", ["", "us-east-1", "us-gov-west-1"], ["Ireland", "eu-west", "eu-west-1a"]),
    ],
)
def test_patterns_accept_valid_values_and_reject_invalid_ones(parameter, good, bad):
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


@pytest.mark.parametrize(
    ("parameters", "message"),
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
        ({"QuickSightReader": "group/default/r"}, "QuickSightOwner is empty"),
        ({"QuickSightImportMode": "SPICE"}, "nothing to import"),
        ({"QuickSightIdentityRegion": "us-east-1"}, "QuickSightOwner is empty"),
        ({"ExistingBucket": "ours"}, None),
        ({"ExistingBucket": "ours", "TableDays": "10"}, "does not change the lifecycle"),
    ],
)
def test_rules_reject_contradictory_parameters(parameters, message):
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
    assert bool(refused) == bool(message)
    assert all(message in text for text in refused)
