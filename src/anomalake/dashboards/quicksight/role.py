"""The role of the data source: what QuickSight can read in Athena, Glue and S3."""

from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.catalog.views import database
from anomalake.cloudformation import PREFIX_PLACEHOLDER, Node, allow_statement, fn_sub, kms_key_statement, service_role
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout

MAX_POLICY_CHARACTERS = 10_000  # of a role's policies together ("IAM and AWS STS quotas": 10,240)

_RUN_QUERIES = (
    "athena:GetWorkGroup",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "athena:GetQueryExecution",
    "athena:BatchGetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetQueryResultsStream",
)
_READ_DATA_CATALOG = (
    "athena:GetDataCatalog",
    "athena:ListDatabases",
    "athena:GetDatabase",
    "athena:ListTableMetadata",
    "athena:GetTableMetadata",
)
_READ_GLUE = (
    "glue:GetDatabase",
    "glue:GetDatabases",
    "glue:GetTable",
    "glue:GetTables",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:BatchGetPartition",
)
_WRITE_RESULTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_BUCKET = "arn:${AWS::Partition}:s3:::${Bucket}"
_QUERY_RESULTS = "athena-results"


def build_role(sets: Sequence[MetricSet]) -> Node:
    """Return the role that QuickSight assumes for this data source only.

    It permits queries in the workgroup, and reading the databases, the lake and the live data. Raises `UserError`
    when the names of the metric sets are longer than a policy can hold.
    """
    statements = [
        *_allow_athena(),
        _allow_glue(sets),
        *_allow_s3(sets),
        kms_key_statement(["kms:Decrypt", "kms:GenerateDataKey"]),
    ]
    if cloudformation.policy_size(statements) > MAX_POLICY_CHARACTERS:
        raise UserError(
            f"the policy of QuickSight's role cannot name {len(sets)} metric sets; "
            "move some of them to a stack with another Prefix"
        )
    return service_role(
        f"{PREFIX_PLACEHOLDER}-${{AWS::Region}}-quicksight",
        "quicksight.amazonaws.com",
        statements,
        "QuickSight assumes this role to query Athena.",
    )


def _allow_athena() -> list[Node]:
    athena = "arn:${AWS::Partition}:athena:${AWS::Region}:${AWS::AccountId}"
    return [
        allow_statement(_RUN_QUERIES, [fn_sub(f"{athena}:workgroup/${{WorkGroup}}")]),
        allow_statement(_READ_DATA_CATALOG, [fn_sub(f"{athena}:datacatalog/AwsDataCatalog")]),
        # Neither action has a resource type.
        allow_statement(["athena:ListDataCatalogs", "lakeformation:GetDataAccess"], ["*"]),
    ]


def _allow_glue(sets: Sequence[MetricSet]) -> Node:
    glue = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}"
    databases = [PREFIX_PLACEHOLDER, *(database(PREFIX_PLACEHOLDER, metric_set) for metric_set in sets)]
    resources = [
        fn_sub(f"{glue}:catalog"),
        *(fn_sub(f"{glue}:database/{name}") for name in databases),
        *(fn_sub(f"{glue}:table/{name}/*") for name in databases),
    ]
    return allow_statement(_READ_GLUE, resources)


def _allow_s3(sets: Sequence[MetricSet]) -> list[Node]:
    live_data = [
        time_patterns.parse_folder_pattern(metric_set.source.path).prefix for metric_set in sets if metric_set.source
    ]
    folders = [f"{layout.RESULTS_FOLDER}/", f"{layout.FEEDBACK_FOLDER}/", *live_data]
    listed = {"s3:prefix": [f"{_QUERY_RESULTS}/*", *(f"{folder}*" for folder in folders)]}
    return [
        allow_statement(["s3:GetObject"], [fn_sub(f"{_BUCKET}/{folder}*") for folder in folders]),
        allow_statement(["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [fn_sub(_BUCKET)]),
        allow_statement(["s3:ListBucket"], [fn_sub(_BUCKET)], Condition={"StringLike": listed}),
        allow_statement(_WRITE_RESULTS, [fn_sub(f"{_BUCKET}/{_QUERY_RESULTS}/*")]),
    ]
