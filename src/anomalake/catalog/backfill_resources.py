"""The back-test of a metric set as CloudFormation resources: a Glue job that runs glue/backfill.py, and its role.

Sources: "AWS Glue job parameters", "Using Python libraries with AWS Glue" and "Logging for AWS Glue jobs" in the Glue
guide.
"""

from anomalake import __version__
from anomalake.catalog.views import has_top_values
from anomalake.cloudformation import (
    ACCOUNT_ID,
    PREFIX_PLACEHOLDER,
    Node,
    allow_statement,
    fn_sub,
    kms_key_statement,
    service_role,
    short_role_part,
)
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.live_data import require_source
from anomalake.lake.tables import ALERT_TABLES

BACKFILL_PARAMETERS = ("BackfillWorkerType", "BackfillWorkers")
BACKFILL_FOLDER = "backfill"  # the folder of the lake to which `make backfill-upload` uploads the files of the job
WHEEL_FILE = f"anomalake-{__version__}-py3-none-any.whl"
# The requirements of the wheel, at the versions of constraints.txt. Glue 5 has a pyarrow of its own, which would encode
# the same tables in other bytes.
PYTHON_MODULES = (
    "aws_lambda_powertools==3.37.0",
    "jmespath==1.1.0",
    "msgspec==0.22.0",
    "numpy==2.4.6",
    "obstore==0.12.1",
    "pyarrow==25.0.1",
    "PyYAML==6.0.3",
    "typing_extensions==4.16.0",
    "tzdata==2026.6",
)


def backfill_resources(metric_set: MetricSet) -> Node:
    """Return the job and its role."""
    name, lake = metric_set.name, "s3://${Bucket}"
    modules = ",".join([f"{lake}/{BACKFILL_FOLDER}/{WHEEL_FILE}", *PYTHON_MODULES])
    properties: Node = {
        "Name": fn_sub(f"{PREFIX_PLACEHOLDER}-{name}-backfill"),
        "Description": f"Back-tests {name} over all of its live data: rebuilds the tables and the detector's state.",
        "Role": {"Fn::GetAtt": ["BackfillRole", "Arn"]},
        "GlueVersion": "5.0",
        "Command": {
            "Name": "glueetl",
            "PythonVersion": "3",
            "ScriptLocation": fn_sub(f"{lake}/{BACKFILL_FOLDER}/backfill.py"),
        },
        "DefaultArguments": {
            "--lake": fn_sub(lake),
            "--metric-set": name,
            "--metric-sets": fn_sub(f"{lake}/{BACKFILL_FOLDER}/metric_sets"),
            "--format": {"Ref": "Format"},
            "--region": {"Ref": "AWS::Region"},
            "--additional-python-modules": fn_sub(modules),
            "--custom-logGroup-prefix": fn_sub(f"/aws-glue/{PREFIX_PLACEHOLDER}"),
            "--enable-metrics": "true",
        },
        "WorkerType": {"Ref": "BackfillWorkerType"},
        "NumberOfWorkers": {"Ref": "BackfillWorkers"},
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "MaxRetries": 1,
        "Timeout": 2880,
    }
    no_security_configuration = {
        "id": "CKV_AWS_195",
        "comment": "the bucket encrypts the objects, CloudWatch encrypts the log, and there is no bookmark",
    }
    return {
        "BackfillRole": service_role(
            f"{PREFIX_PLACEHOLDER}-${{AWS::Region}}-past-{short_role_part(metric_set)}",
            "glue.amazonaws.com",
            _job_statements(metric_set),
            f"Back-tests {name}.",
            StringEquals={"aws:SourceAccount": ACCOUNT_ID},
        ),
        "Backfill": {
            "Type": "AWS::Glue::Job",
            "Metadata": {"checkov": {"skip": [no_security_configuration]}},
            "Properties": properties,
        },
    }


def _job_statements(metric_set: MetricSet) -> list[Node]:
    """Return the permissions of the job.

    The job reads its own files and the live data. It reads and writes the objects of its metric set, and the
    quarantine, which all metric sets share.
    """

    def objects(*folders: str) -> list[Node | str]:
        return [fn_sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{folder}*") for folder in folders]

    live = time_patterns.parse_folder_pattern(require_source(metric_set).path).prefix
    feedback, compaction = f"{layout.feedback_folder(metric_set)}/", f"{layout.compaction_folder(metric_set)}/"
    alert_tables = [f"{layout.table_folder(table, metric_set)}/" for table in ALERT_TABLES]
    detector_tables = [f"{layout.table_folder(table, metric_set)}/" for table in layout.DETECTOR_TABLES]
    archive, quarantine = f"{layout.archive_folder(metric_set.name)}/", f"{layout.QUARANTINE_FOLDER}/"
    state = layout.state_key(metric_set).rpartition("/")[0] + "/"
    top_values = [layout.top_values_key(metric_set)] if has_top_values(metric_set) else []
    log = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws-glue/{PREFIX_PLACEHOLDER}"
    return [
        allow_statement(["s3:GetObject"], objects(live, f"{BACKFILL_FOLDER}/", feedback, compaction)),
        allow_statement(
            ["s3:GetObject", "s3:PutObject"], objects(*alert_tables, archive, quarantine, state, *top_values)
        ),
        allow_statement(["s3:PutObject", "s3:DeleteObject"], objects(*detector_tables)),
        allow_statement(["s3:DeleteObject"], objects(state, compaction)),
        allow_statement(["s3:ListBucket"], [fn_sub("arn:${AWS::Partition}:s3:::${Bucket}")]),
        allow_statement(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [fn_sub(f"{log}/{kind}{part}") for kind in ("error", "output") for part in ("", ":*")],
        ),
        allow_statement(
            ["cloudwatch:PutMetricData"], ["*"], Condition={"StringEquals": {"cloudwatch:namespace": "Glue"}}
        ),
        kms_key_statement(["kms:Decrypt", "kms:GenerateDataKey"]),
    ]
