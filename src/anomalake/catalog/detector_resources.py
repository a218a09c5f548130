"""The detector of a metric set as CloudFormation resources: its schedule, its permission to read, and two alarms."""

from datetime import timedelta

from anomalake.cloudformation import NO_VALUE, PREFIX_PLACEHOLDER, Node, allow_statement, fn_if, fn_sub
from anomalake.detect import schedule
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake.live_data import require_source

# The alarm "silent": no live data for two intervals of less than a day, and at least for this time; for one longer
# interval.
SILENT_TIME_BEFORE_ALARM = timedelta(minutes=30)
# The alarm "late": two intervals are due and not scored after a run, for three intervals in a row and at least for this
# time; for two days with daily intervals. A period without a run counts as late.
LATE_TIME_BEFORE_ALARM = timedelta(minutes=15)
DUE_INTERVALS_BEFORE_ALARM = 2
# CloudWatch evaluates at most seven days ("Period" of PutMetricAlarm). The alarms of weeks and months therefore look at
# one day, and keep their state until the next run.
MAX_PERIOD = timedelta(days=1)


def detector_resources(metric_set: MetricSet) -> Node:
    """Return the schedule, the permission to read the live data, and two alarms, on the condition `HasDetector`."""
    name, path = metric_set.name, require_source(metric_set).path
    prefix = time_patterns.parse_folder_pattern(path).prefix
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
        "DetectorLate": _late_alarm(metric_set),
        "NoLiveData": _silent_alarm(metric_set, path),
    }
    return {key: {**resource, "Condition": "HasDetector"} for key, resource in resources.items()}


def _late_alarm(metric_set: MetricSet) -> Node:
    if _is_longer_than_a_day(metric_set):
        description = "an interval is due and not scored. The log of the detector says why."
        return _alarm(metric_set, "late", "IntervalsDue", 1, missing_data="ignore", periods=1, description=description)
    return _alarm(
        metric_set,
        "late",
        "IntervalsDue",
        DUE_INTERVALS_BEFORE_ALARM,
        missing_data="breaching",
        periods=max(3, _count_intervals(LATE_TIME_BEFORE_ALARM, metric_set)) if metric_set.clock.is_sub_daily else 2,
        description=f"{DUE_INTERVALS_BEFORE_ALARM} or more intervals are due and not scored, "
        "or the detector does not run. Its log says why.",
    )


def _silent_alarm(metric_set: MetricSet, path: str) -> Node:
    silent_intervals = count_silent_intervals_before_alarm(metric_set)
    silence = f"{silent_intervals} intervals in a row" if silent_intervals > 1 else "an interval"
    return _alarm(
        metric_set,
        "silent",
        "IntervalsSilent",
        silent_intervals,
        missing_data="ignore" if _is_longer_than_a_day(metric_set) else "notBreaching",
        periods=1,
        description=f"no live data for {silence}. Live data belongs in {path}",
    )


def count_silent_intervals_before_alarm(metric_set: MetricSet) -> int:
    """Return the number of consecutive intervals without live data that raises the alarm "silent"."""
    if not metric_set.clock.is_sub_daily:
        return 1
    return max(2, _count_intervals(SILENT_TIME_BEFORE_ALARM, metric_set))


def _count_intervals(time: timedelta, metric_set: MetricSet) -> int:
    """Return the number of intervals that cover the time."""
    return -(-time // metric_set.clock.step)


def _is_longer_than_a_day(metric_set: MetricSet) -> bool:
    return metric_set.clock.step > MAX_PERIOD


def _interval_seconds(metric_set: MetricSet) -> int:
    return int(metric_set.clock.step.total_seconds())


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
    """Return an alarm on a metric of the detect function, evaluated once an interval, at least once a day."""
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
            "Period": min(_interval_seconds(metric_set), int(MAX_PERIOD.total_seconds())),
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": missing_data,
            "AlarmActions": topic,
            "OKActions": topic,
        },
    }
