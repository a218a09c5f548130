"""A metric set's detector in the stack: what it may read, when it runs, and the alarms when it is late or hears nothing. Pure."""

from anomalake.cloudformation import NOTHING, PREFIX, Node, allow, choose, sub
from anomalake.detect import schedule
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import require_source

SILENT_AFTER = {
    "P1D": 1,
    "PT1H": 2,
    "PT10M": 3,
    "PT5M": 6,
}  # intervals without live data in a row, before that is an alarm
LATE_AFTER = 2  # intervals that are due and not scored, after a run
LATE_FOR = {
    "P1D": 2,
    "PT1H": 3,
    "PT10M": 3,
    "PT5M": 3,
}  # intervals for which that lasts, or nothing runs, before it is an alarm


def resources(metric_set: MetricSet) -> Node:
    """The schedule, the permission to read the live data, and two alarms; all of them only where the detector is on."""
    seconds = int(intervals.INTERVAL_LENGTHS[metric_set.frequency].total_seconds())
    name, prefix = metric_set.name, time_patterns.parse_folder_pattern(require_source(metric_set).path).prefix
    read = allow(["s3:GetObject"], [sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{prefix}*")])
    made: Node = {
        "ReadLive": {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "RoleName": {"Ref": "DetectRoleName"}, "PolicyName": f"read-{name}",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [read]},
            },
        },
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "DependsOn": ["ReadLive"],
            "Properties": {
                "Name": sub(f"{PREFIX}-{name}"),
                "GroupName": sub(PREFIX),
                "Description": f"Scores {name} when an interval's data should be there.",
                "ScheduleExpression": schedule.cron(metric_set),
                "ScheduleExpressionTimezone": schedule.timezone(metric_set),
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": {"Ref": "DetectFunctionArn"},
                    "RoleArn": {"Ref": "SchedulerRoleArn"},
                    "Input": f'{{"metricSet":"{name}"}}',
                    # What is missed is caught up by the next run, so a try that is late is of no use.
                    "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": min(seconds, 3600)},
                },
            },
        },
        "DetectorLate": _alarm(
            metric_set, "late", "IntervalsDue", LATE_AFTER, missing="breaching", periods=LATE_FOR[metric_set.frequency],
            told=f"{LATE_AFTER} or more intervals are due and not scored, or the detector does not run. Its log says why.",
        ),
        "NoLiveData": _alarm(
            metric_set, "silent", "IntervalsSilent", SILENT_AFTER[metric_set.frequency], missing="notBreaching", periods=1,
            told=f"no live data for {SILENT_AFTER[metric_set.frequency]} intervals in a row; files belong in {require_source(metric_set).path}",
        ),
    }  # fmt: skip
    return {key: {**resource, "Condition": "HasDetector"} for key, resource in made.items()}


def _alarm(
    metric_set: MetricSet, kind: str, metric: str, threshold: int, *, missing: str, periods: int, told: str
) -> Node:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": sub(f"{PREFIX}-{metric_set.name}-{kind}"),
            "AlarmDescription": f"{metric_set.title}: {told}",
            "Namespace": "Anomalake",
            "MetricName": metric,
            "Dimensions": [
                {"Name": "service", "Value": sub(f"{PREFIX}-detect")},
                {"Name": "MetricSet", "Value": metric_set.name},
            ],
            "Statistic": "Minimum" if missing == "breaching" else "Maximum",
            "Period": int(intervals.INTERVAL_LENGTHS[metric_set.frequency].total_seconds()),
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": missing,
            "AlarmActions": choose("HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], NOTHING),
            "OKActions": choose("HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], NOTHING),
        },
    }
