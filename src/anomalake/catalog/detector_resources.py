"""The detector of a metric set as CloudFormation resources: its schedule, its permission to read, and two alarms."""

from anomalake.cloudformation import NO_VALUE, PREFIX_PLACEHOLDER, Node, allow_statement, fn_if, fn_sub
from anomalake.detect import schedule
from anomalake.domain import intervals, time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import require_source

# Consecutive intervals without live data that raise the alarm "silent", by frequency.
SILENT_INTERVALS_BEFORE_ALARM = {"P1D": 1, "PT1H": 2, "PT10M": 3, "PT5M": 6}
# The alarm "late": this many intervals are due and not scored after a run ...
DUE_INTERVALS_BEFORE_ALARM = 2
# ... for this many intervals in a row, by frequency. An interval without a run counts as late.
LATE_PERIODS_BEFORE_ALARM = {"P1D": 2, "PT1H": 3, "PT10M": 3, "PT5M": 3}


def detector_resources(metric_set: MetricSet) -> Node:
    """Return the schedule, the permission to read the live data, and two alarms, on the condition `HasDetector`."""
    name, path = metric_set.name, require_source(metric_set).path
    prefix = time_patterns.parse_folder_pattern(path).prefix
    silent_intervals = SILENT_INTERVALS_BEFORE_ALARM[metric_set.frequency]
    read = allow_statement(["s3:GetObject"], [fn_sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{prefix}*")])
    resources: Node = {
        "ReadLive": {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "RoleName": {"Ref": "DetectRoleName"},
                "PolicyName": f"read-{name}",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [read]},
            },
        },
        "Schedule": _schedule(metric_set),
        "DetectorLate": _alarm(
            metric_set,
            "late",
            "IntervalsDue",
            DUE_INTERVALS_BEFORE_ALARM,
            missing_data="breaching",
            periods=LATE_PERIODS_BEFORE_ALARM[metric_set.frequency],
            description=f"{DUE_INTERVALS_BEFORE_ALARM} or more intervals are due and not scored, "
            "or the detector does not run. Its log says why.",
        ),
        "NoLiveData": _alarm(
            metric_set,
            "silent",
            "IntervalsSilent",
            silent_intervals,
            missing_data="notBreaching",
            periods=1,
            description=f"no live data for {silent_intervals} intervals in a row. Live data belongs in {path}",
        ),
    }
    return {key: {**resource, "Condition": "HasDetector"} for key, resource in resources.items()}


def _interval_seconds(metric_set: MetricSet) -> int:
    return int(intervals.INTERVAL_LENGTHS[metric_set.frequency].total_seconds())


def _schedule(metric_set: MetricSet) -> Node:
    return {
        "Type": "AWS::Scheduler::Schedule",
        "DependsOn": ["ReadLive"],
        "Properties": {
            "Name": fn_sub(f"{PREFIX_PLACEHOLDER}-{metric_set.name}"),
            "GroupName": fn_sub(PREFIX_PLACEHOLDER),
            "Description": f"Scores {metric_set.name} after each interval, when its data is due.",
            "ScheduleExpression": schedule.cron_expression(metric_set),
            "ScheduleExpressionTimezone": schedule.schedule_timezone(metric_set),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": {"Ref": "DetectFunctionArn"},
                "RoleArn": {"Ref": "SchedulerRoleArn"},
                "Input": f'{{"metricSet":"{metric_set.name}"}}',
                # A run also scores the intervals that earlier runs missed, so that a late retry has no use.
                "RetryPolicy": {
                    "MaximumRetryAttempts": 2,
                    "MaximumEventAgeInSeconds": min(_interval_seconds(metric_set), 3600),
                },
            },
        },
    }


def _alarm(
    metric_set: MetricSet, kind: str, metric: str, threshold: int, *, missing_data: str, periods: int, description: str
) -> Node:
    """Return an alarm on a metric of the detect function, evaluated once an interval."""
    topic = fn_if("HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], NO_VALUE)
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": fn_sub(f"{PREFIX_PLACEHOLDER}-{metric_set.name}-{kind}"),
            "AlarmDescription": f"{metric_set.title}: {description}",
            "Namespace": "Anomalake",
            "MetricName": metric,
            "Dimensions": [
                {"Name": "service", "Value": fn_sub(f"{PREFIX_PLACEHOLDER}-detect")},
                {"Name": "MetricSet", "Value": metric_set.name},
            ],
            "Statistic": "Minimum" if missing_data == "breaching" else "Maximum",
            "Period": _interval_seconds(metric_set),
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": missing_data,
            "AlarmActions": topic,
            "OKActions": topic,
        },
    }
