"""A metric set's back-test in the stack: the Glue job that runs glue/backfill.py in Spark, and what it may read and write. Pure.

Sources: "AWS Glue job parameters", "Using Python libraries with AWS Glue" and "Logging for AWS Glue jobs" in the Glue guide.
"""

from anomalake import __version__
from anomalake.cloudformation import ACCOUNT, PREFIX, Node, allow, role, sub, use_key
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.live_data import require_source
from anomalake.lake.tables import ALERT_TABLES

PARAMETERS = ("BackfillWorkerType", "BackfillWorkers")
FOLDER = "backfill"  # of the lake: what `make backfill-upload` puts there
WHEEL = f"anomalake-{__version__}-py3-none-any.whl"
# What the wheel needs, at the versions of constraints.txt; Glue 5's own pyarrow would encode the same tables in other bytes.
MODULES = (
    "aws_lambda_powertools==3.37.0", "jmespath==1.1.0", "msgspec==0.22.0", "numpy==2.4.6", "obstore==0.12.1", "pyarrow==25.0.1", "PyYAML==6.0.3",
    "typing_extensions==4.16.0", "tzdata==2026.6",
)  # fmt: skip


def resources(metric_set: MetricSet, short: str) -> Node:
    """The job and its role, `short` being the set's name in the role's."""
    name, place = metric_set.name, "s3://${Bucket}"
    properties: Node = {
        "Name": sub(f"{PREFIX}-{name}-backfill"),
        "Description": f"Back-tests {name} over all of its live data: tables and the detector's memory are made anew.",
        "Role": {"Fn::GetAtt": ["BackfillRole", "Arn"]},
        "GlueVersion": "5.0",
        "Command": {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": sub(f"{place}/{FOLDER}/backfill.py")},
        "DefaultArguments": {
            "--lake": sub(place),
            "--metric-set": name,
            "--metric-sets": sub(f"{place}/{FOLDER}/metric_sets"),
            "--format": {"Ref": "Format"},
            "--region": {"Ref": "AWS::Region"},
            "--additional-python-modules": sub(",".join([f"{place}/{FOLDER}/{WHEEL}", *MODULES])),
            "--custom-logGroup-prefix": sub(f"/aws-glue/{PREFIX}"),
            "--enable-metrics": "true",
        },
        "WorkerType": {"Ref": "BackfillWorkerType"},
        "NumberOfWorkers": {"Ref": "BackfillWorkers"},
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "MaxRetries": 1,
        "Timeout": 2880,
    }
    skipped = [
        {"id": "CKV_AWS_195", "comment": "the bucket encrypts what it writes, CloudWatch its log; there is no bookmark"}
    ]
    trust = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    return {
        "BackfillRole": role(
            f"{PREFIX}-${{AWS::Region}}-past-{short}",
            "glue.amazonaws.com",
            _statements(metric_set),
            f"Back-tests {name}.",
            **trust,
        ),
        "Backfill": {"Type": "AWS::Glue::Job", "Metadata": {"checkov": {"skip": skipped}}, "Properties": properties},
    }


def _statements(metric_set: MetricSet) -> list[Node]:
    """What the job may do: with the objects of its metric set, its own files, and quarantine, which is one for all."""

    def objects(*folders: str) -> list[Node | str]:
        return [sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{folder}*") for folder in folders]

    live = time_patterns.parse_folder_pattern(require_source(metric_set).path).prefix
    filed = [f"{layout.table_folder(table, metric_set)}/" for table in ALERT_TABLES]
    written = [f"{layout.table_folder(table, metric_set)}/" for table in layout.DETECTOR_TABLES]
    kept = [layout.archive_folder(metric_set.name) + "/", f"{layout.QUARANTINE_FOLDER}/"]
    memory = layout.state_key(metric_set).rpartition("/")[0] + "/"
    log = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws-glue/{PREFIX}"
    return [
        allow(
            ["s3:GetObject"],
            objects(
                live, f"{FOLDER}/", f"{layout.feedback_folder(metric_set)}/", f"{layout.compaction_folder(metric_set)}/"
            ),
        ),
        allow(["s3:GetObject", "s3:PutObject"], objects(*filed, *kept, memory)),
        allow(["s3:PutObject", "s3:DeleteObject"], objects(*written)),
        allow(["s3:DeleteObject"], objects(memory, f"{layout.compaction_folder(metric_set)}/")),
        allow(["s3:ListBucket"], [sub("arn:${AWS::Partition}:s3:::${Bucket}")]),
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [sub(f"{log}/{kind}{part}") for kind in ("error", "output") for part in ("", ":*")],
        ),
        allow(["cloudwatch:PutMetricData"], ["*"], Condition={"StringEquals": {"cloudwatch:namespace": "Glue"}}),
        use_key(["kms:Decrypt", "kms:GenerateDataKey"]),
    ]
