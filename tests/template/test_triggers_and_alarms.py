"""The triggers of the functions, the messages that reach the queue, and the metrics that the alarms watch."""

import json
from collections import Counter
from typing import Any

import pytest

from anomalake.catalog.detector_resources import detector_resources
from anomalake.domain import intervals, metric_set_yaml
from examples import alert_body, event_text, shop_text
from stack import ACCOUNT, REGION, expand
from template_project import METRIC_SETS, list_resources, list_statements


def test_every_alarm_watches_a_metric_that_the_functions_publish(stack, function_lake, capsys):
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
        for alarm in list_resources(stack, "AWS::CloudWatch::Alarm")
        if not alarm.properties["Namespace"].startswith("AWS/")
    ]
    assert {alarm["Namespace"] for alarm in own} == spaces
    assert {alarm["MetricName"] for alarm in own} <= given
    functions = {
        item.properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for item in list_resources(stack, "AWS::Serverless::Function")
    }
    named_sets = {item.name for item in METRIC_SETS}
    for alarm in own:
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert dimensions.pop("service") in functions
        assert set(dimensions) <= {"MetricSet"}
        assert set(dimensions.values()) <= named_sets


def test_a_schedule_invokes_the_detect_function_with_a_valid_event(stack):
    from anomalake.functions import detect, lease

    (function,) = [
        item
        for item in list_resources(stack, "AWS::Serverless::Function")
        if item.properties["Handler"] == "anomalake.functions.detect.handler"
    ]
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.properties['FunctionName']}"
    (allowed,) = list_statements(stack["SchedulerRole"])
    assert (allowed["Action"], allowed["Resource"]) == ("lambda:InvokeFunction", arn)
    for item in METRIC_SETS:
        (one,) = [
            s.properties
            for s in list_resources(stack, "AWS::Scheduler::Schedule")
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


def test_services_can_call_the_queue_function_and_topic_and_failures_go_to_the_dead_letter_queue(stack):
    queue, topic = (
        stack["QueuePolicy"].properties["PolicyDocument"]["Statement"],
        stack["TopicPolicy"].properties["PolicyDocument"]["Statement"],
    )
    same = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert (queue[0]["Principal"], queue[0]["Action"], queue[0]["Condition"]) == (
        {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
        "sqs:SendMessage",
        same,
    )
    assert (topic[0]["Principal"], topic[0]["Action"], topic[0]["Condition"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
        same,
    )
    callers = {permission.properties["Principal"] for permission in list_resources(stack, "AWS::Lambda::Permission")}
    assert callers == {"sns.amazonaws.com", "events.amazonaws.com", "lambda.alarms.cloudwatch.amazonaws.com"}
    failed = stack["IngestFunction"].properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:anomalake-dead-letters"}


def matches_pattern(pattern: Any, event: object) -> bool:
    """Whether an event matches an EventBridge pattern; one element of an array must match.

    Source: "Amazon EventBridge event patterns" in the EventBridge user guide.
    """
    if isinstance(event, list):
        return any(matches_pattern(pattern, value) for value in event)
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(
            name in event and matches_pattern(part, event[name]) for name, part in pattern.items()
        )
    allowed = [choice if isinstance(choice, str) else choice["prefix"] for choice in pattern]
    return any(event == choice for choice in pattern) or any(
        str(event).startswith(prefix) for prefix in allowed if {"prefix": prefix} in pattern
    )


def test_event_rules_match_the_events_that_the_sources_read_and_no_others(template_file):
    fixed = json.loads(event_text("cloudwatch_eventbridge"))
    fixed["detail"]["configuration"]["metrics"] = fixed["detail"]["configuration"]["metrics"][:1]
    recovered = json.loads(event_text("cloudwatch_eventbridge"))
    recovered["detail"]["state"]["value"] = "OK"
    events = {name: json.loads(event_text(name)) for name in ("cost_eventbridge", "cloudwatch_eventbridge")} | {
        "fixed": fixed,
        "recovered": recovered,
    }
    for parameters, expected in (
        ({}, {"anomalake-cost-anomalies": ["cost_eventbridge"]}),
        (
            {"CostAnomalies": "off", "CloudWatchAlarms": "on"},
            {"anomalake-cloudwatch-alarms": ["cloudwatch_eventbridge"]},
        ),
    ):
        rules = [rule.properties for rule in list_resources(expand(template_file, **parameters), "AWS::Events::Rule")]
        assert {
            rule["Name"]: [name for name, event in events.items() if matches_pattern(rule["EventPattern"], event)]
            for rule in rules
        } == expected
        assert [target["Arn"] for rule in rules for target in rule["Targets"]] == [
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:anomalake-alerts"
        ]


def test_the_ingest_function_has_a_url_only_with_the_parameter(stack, template_file):
    assert not list_resources(stack, "AWS::Lambda::Url")
    made = expand(template_file, HttpIngest="on")
    (url,) = list_resources(made, "AWS::Lambda::Url")
    assert url.properties["AuthType"] == "AWS_IAM"
    assert "Cors" not in url.properties
    added = Counter(resource.type for resource in made.values()) - Counter(
        resource.type for resource in expand(template_file).values()
    )
    assert added == {"AWS::Lambda::Url": 1, "AWS::Lambda::Permission": 1, "AWS::IAM::ManagedPolicy": 1}


def test_only_identities_of_the_account_with_the_policy_can_call_the_url(template_file):
    made = expand(template_file, HttpIngest="on")
    (permission,) = [
        permission.properties
        for permission in list_resources(made, "AWS::Lambda::Permission")
        if permission.properties["Action"] == "lambda:InvokeFunctionUrl"
    ]
    assert (permission["Principal"], permission["FunctionUrlAuthType"]) == (ACCOUNT, "AWS_IAM")
    (policy,) = [
        policy.properties
        for policy in list_resources(made, "AWS::IAM::ManagedPolicy")
        if policy.properties.get("ManagedPolicyName", "").endswith("send-alerts")
    ]
    statements = {statement["Action"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert set(statements) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert statements["lambda:InvokeFunctionUrl"]["Condition"] == {
        "StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}
    }
    assert statements["lambda:InvokeFunction"]["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert {statement["Resource"] for statement in statements.values()} == {
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:anomalake-ingest"
    }


def test_every_alarm_notifies_the_topic_and_watches_the_resource_in_its_name(stack):
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:anomalake-notifications"
    alarms = {
        alarm.properties["AlarmName"].removeprefix("anomalake-"): alarm.properties
        for alarm in list_resources(stack, "AWS::CloudWatch::Alarm")
    }
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [topic] for alarm in alarms.values())
    watched = {name: [dimension["Value"] for dimension in alarm["Dimensions"]] for name, alarm in alarms.items()}
    assert {name: watched[name] for name in ("dead-letters", "backlog", "ingest-errors", "detect-errors")} == {
        "dead-letters": ["anomalake-dead-letters"],
        "backlog": ["anomalake-alerts"],
        "ingest-errors": ["anomalake-ingest"],
        "detect-errors": ["anomalake-detect"],
    }
    for item in METRIC_SETS:
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


@pytest.mark.parametrize("frequency", sorted(intervals.INTERVAL_LENGTHS))
def test_the_alarms_of_every_frequency_are_within_the_limits_of_cloudwatch(frequency: str):
    """`PutMetricAlarm`: a period of whole minutes, of at most a day; seven days in all, one day for shorter periods."""
    metric_set = metric_set_yaml.parse(shop_text(frequency=f"frequency: {frequency}"), "shop")
    resources = detector_resources(metric_set)
    for name in ("DetectorLate", "NoLiveData"):
        alarm = resources[name]["Properties"]
        period, periods = alarm["Period"], alarm["EvaluationPeriods"]
        assert period % 60 == 0
        assert period <= 86_400
        assert period * periods <= (86_400 if period < 3600 else 604_800)


def test_alarms_wait_at_least_two_short_intervals_and_15_or_30_minutes_and_one_long_interval():
    seen = {}
    for frequency in ("PT1M", "PT5M", "PT10M", "PT1H", "PT12H", "P1D", "P1W", "P1M"):
        resources = detector_resources(metric_set_yaml.parse(shop_text(frequency=f"frequency: {frequency}"), "shop"))
        late, silent = (resources[name]["Properties"] for name in ("DetectorLate", "NoLiveData"))
        seen[frequency] = (
            (late["Threshold"], late["EvaluationPeriods"], late["TreatMissingData"]),
            (silent["Threshold"], silent["TreatMissingData"]),
        )
    assert seen == {
        "PT1M": ((2, 15, "breaching"), (30, "notBreaching")),
        "PT5M": ((2, 3, "breaching"), (6, "notBreaching")),
        "PT10M": ((2, 3, "breaching"), (3, "notBreaching")),
        "PT1H": ((2, 3, "breaching"), (2, "notBreaching")),
        "PT12H": ((2, 3, "breaching"), (2, "notBreaching")),
        "P1D": ((2, 2, "breaching"), (1, "notBreaching")),
        # The state of the alarm lasts until the next run, which is longer away than CloudWatch looks back.
        "P1W": ((1, 1, "ignore"), (1, "ignore")),
        "P1M": ((1, 1, "ignore"), (1, "ignore")),
    }
