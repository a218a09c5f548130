"""The crawler of a metric set as CloudFormation resources.

A Glue crawler reads the files of the live data, the anomalies and the contributions, and writes the tables that it
finds to a database of its own. Nothing reads that database but `anomalake doctor`, which compares it with the declared
tables.
"""

from anomalake.catalog.glue_tables import database_resource
from anomalake.catalog.views import database
from anomalake.cloudformation import (
    ACCOUNT_ID,
    NO_VALUE,
    PREFIX_PLACEHOLDER,
    Node,
    allow_statement,
    fn_if,
    fn_sub,
    kms_key_statement,
    service_role,
    short_role_part,
)
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout

_ARN = "arn:${AWS::Partition}"
_ACCOUNT_ARN_PART = "${AWS::Region}:${AWS::AccountId}"


def crawler_resources(metric_set: MetricSet) -> Node:
    """Return the crawler, its role and its database."""
    folders = [
        layout.table_folder("metricValue_AnomalyScore", metric_set),
        layout.table_folder("dimensionContributions", metric_set),
    ]
    if metric_set.source is not None:
        folders.insert(0, time_patterns.parse_folder_pattern(metric_set.source.path).prefix.rpartition("/")[0])
    crawled = f"{database(PREFIX_PLACEHOLDER, metric_set)}_crawled"
    no_security_configuration = {
        "id": "CKV_AWS_195",
        "comment": "it writes no data, only tables to the catalog, which the account encrypts, and a log",
    }
    crawler = {
        "Name": fn_sub(f"{PREFIX_PLACEHOLDER}_{metric_set.name}"),
        "Description": f"Reads the files of {metric_set.title}, to compare their columns with the declared ones.",
        "Role": {"Fn::GetAtt": ["CrawlerRole", "Arn"]},
        "DatabaseName": {"Ref": "CrawledDatabase"},
        "Targets": {"S3Targets": [{"Path": fn_sub(f"s3://${{Bucket}}/{folder}/")} for folder in folders]},
        "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"},
        "Schedule": fn_if("HasCrawlerSchedule", {"ScheduleExpression": {"Ref": "CrawlerSchedule"}}, NO_VALUE),
    }
    return {
        "CrawledDatabase": database_resource(
            crawled, "Tables that the crawler found, to compare with the declared ones. No view reads them."
        ),
        "CrawlerRole": service_role(
            f"{PREFIX_PLACEHOLDER}-${{AWS::Region}}-crawl-{short_role_part(metric_set)}",
            "glue.amazonaws.com",
            _crawler_statements(folders, crawled),
            f"Crawls {metric_set.name}.",
            StringEquals={"aws:SourceAccount": ACCOUNT_ID},
        ),
        "Crawler": {
            "Type": "AWS::Glue::Crawler",
            "Metadata": {"checkov": {"skip": [no_security_configuration]}},
            "Properties": crawler,
        },
    }


def _crawler_statements(folders: list[str], crawled: str) -> list[Node]:
    """Return the permissions of the crawler: read the folders, write the tables of the database `crawled`, and log."""
    glue = f"{_ARN}:glue:{_ACCOUNT_ARN_PART}"
    log = f"{_ARN}:logs:{_ACCOUNT_ARN_PART}:log-group:/aws-glue/crawlers"
    bucket = fn_sub(f"{_ARN}:s3:::${{Bucket}}")
    listed = {"StringLike": {"s3:prefix": [f"{folder}*" for folder in folders]}}
    return [
        allow_statement(["s3:GetObject"], [fn_sub(f"{_ARN}:s3:::${{Bucket}}/{folder}/*") for folder in folders]),
        allow_statement(["s3:ListBucket"], [bucket], Condition=listed),
        allow_statement(["s3:GetBucketLocation"], [bucket]),
        allow_statement(
            [
                "glue:GetDatabase",
                "glue:GetTable",
                "glue:GetTables",
                "glue:CreateTable",
                "glue:UpdateTable",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:CreatePartition",
                "glue:UpdatePartition",
                "glue:BatchCreatePartition",
                "glue:BatchGetPartition",
            ],
            # The crawler chooses the names of its tables.
            [fn_sub(f"{glue}:catalog"), fn_sub(f"{glue}:database/{crawled}"), fn_sub(f"{glue}:table/{crawled}/*")],
        ),
        allow_statement(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [fn_sub(log), fn_sub(f"{log}:*")]
        ),
        kms_key_statement(["kms:Decrypt"]),
    ]
