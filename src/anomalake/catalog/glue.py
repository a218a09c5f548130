"""The catalog as a CloudFormation template: Glue databases, tables with partition projection, and views in the form in which Athena stores them.

Sources: "Partition projection with Amazon Athena" and "LazySimpleSerDe for CSV, TSV" in the Athena guide; the view entries are as Trino's
`ViewReaderUtil` reads them.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256

from anomalake import cloudformation
from anomalake.catalog import backfill, detector, projection, sql
from anomalake.catalog.saved import SavedQuery, saved_queries, saved_queries_of_all
from anomalake.catalog.views import (
    COMPACTION,
    COMPACTION_COLUMNS,
    FEEDBACK,
    FEEDBACK_COLUMNS,
    View,
    database,
    views,
    views_of_all,
)
from anomalake.cloudformation import (
    ACCOUNT,
    NOTHING,
    PREFIX,
    Node,
    allow,
    choose,
    literal,
    logical,
    logical_set,
    nested,
    role,
    sub,
    use_key,
)
from anomalake.domain import time_patterns
from anomalake.domain.alert import EARLIEST_TIMESTAMP
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format, Table
from anomalake.lake.live_data import require_source

_PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
_TEXT = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}
_LAKE_CSV = {  # the cells never need a quote or an escape (lake.encoding)
    **_TEXT,
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"field.delim": ","},
    },
}


CATALOG_PARAMETERS = ("Prefix", "Bucket", "Format", "WorkGroup", "KmsKeyArn", "CrawlerSchedule")
SOURCE_PARAMETERS = (
    projection.PARAMETER,
    "DetectFunctionArn",
    "DetectRoleName",
    "SchedulerRoleArn",
    "AlarmTopicArn",
    *backfill.PARAMETERS,
)


_JSON_LINES: Node = {
    "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
    "Parameters": {"ignore.malformed.json": "TRUE"},
}


def set_file(metric_set: MetricSet) -> str:
    """Where the metric set's own template lies, seen from the catalog's."""
    return f"sets/{metric_set.name}.json"


def template(sets: Sequence[MetricSet]) -> Node:
    """The template of the catalog stack: a nested stack for each metric set, and the views over all of them."""
    resources: Node = {logical_set(item): nested(set_file(item), _parameters(item)) for item in sets}
    resources["AllDatabase"] = _database(PREFIX, "Views over all metric sets.")
    for parquet, csv in zip(views_of_all(sets, PREFIX, "parquet"), views_of_all(sets, PREFIX, "csv"), strict=True):
        resources[logical(parquet.name)] = _view(parquet, csv, "AllDatabase")
    resources |= _saved(saved_queries_of_all(sets, PREFIX), "AllDatabase")
    made = cloudformation.template(
        "Anomalake's catalog.", (*CATALOG_PARAMETERS, *SOURCE_PARAMETERS), ["IsCsv"], resources
    )
    if not any(item.source for item in sets):  # the stack gives them all the same
        made["Metadata"]["cfn-lint"]["config"]["ignore_checks"].append("W2001")
    return made


def _parameters(metric_set: MetricSet) -> tuple[str, ...]:
    return (*CATALOG_PARAMETERS, *(SOURCE_PARAMETERS if metric_set.source is not None else ()))


def set_template(item: MetricSet) -> Node:
    """The template of one metric set: its database, tables, views, saved queries and crawler, and its detector's schedule and alarms."""
    resources: Node = {
        "Database": _database(
            database(PREFIX, item), item.short_description or f"Anomalies and live data of {item.title}."
        )
    }
    for table in GLUE_TABLE_NAMES:
        resources[logical(GLUE_TABLE_NAMES[table])] = _lake_table(item, table, "Database")
    resources["Feedback"] = _json_table(FEEDBACK, FEEDBACK_COLUMNS, layout.feedback_folder(item), "Database")
    resources["Compaction"] = _json_table(COMPACTION, COMPACTION_COLUMNS, layout.compaction_folder(item), "Database")
    if item.source is not None:
        resources["Live"] = _live_table(item, "Database")
    for parquet, csv in zip(views(item, PREFIX, "parquet"), views(item, PREFIX, "csv"), strict=True):
        resources[logical(parquet.name)] = _view(parquet, csv, "Database")
    resources |= _saved(saved_queries(item, PREFIX), "Database")
    resources |= _crawler(item)
    conditions = ["IsCsv", "HasKey", "HasCrawlerSchedule"]
    if item.source is not None:
        resources |= detector.resources(item) | backfill.resources(item, _short(item))
        conditions += ["HasDetector", "HasAlarmTopic"]
    return cloudformation.template(
        f"The metric set {item.name}: catalog and detector.", _parameters(item), conditions, resources
    )


def _saved(queries: Sequence[SavedQuery], owner: str) -> Node:
    """Athena's saved queries; every property is fixed, so a change replaces one."""
    return {
        "Query" + "".join(re.findall("[A-Za-z0-9]+", query.name.partition(": ")[2].title())): {
            "Type": "AWS::Athena::NamedQuery",
            "Properties": {
                "Name": query.name, "Description": query.description, "Database": {"Ref": owner}, "WorkGroup": {"Ref": "WorkGroup"},
                "QueryString": sub(query.sql),
            },
        }
        for query in queries
    }  # fmt: skip


def _crawler(metric_set: MetricSet) -> Node:
    """The crawler of the live data, the anomalies and the contributions, into a database of its own that nothing else reads."""
    crawled = f"{database(PREFIX, metric_set)}_crawled"
    folders = [
        layout.table_folder("metricValue_AnomalyScore", metric_set),
        layout.table_folder("dimensionContributions", metric_set),
    ]
    if metric_set.source is not None:
        folders.insert(0, time_patterns.parse_folder_pattern(metric_set.source.path).prefix.rpartition("/")[0])
    arn = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}"
    objects = [sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{folder}/*") for folder in folders]
    bucket = sub("arn:${AWS::Partition}:s3:::${Bucket}")
    log = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws-glue/crawlers"
    statements = [
        allow(["s3:GetObject"], objects),
        allow(["s3:ListBucket"], [bucket], Condition={"StringLike": {"s3:prefix": [f"{folder}*" for folder in folders]}}),
        allow(["s3:GetBucketLocation"], [bucket]),
        allow(
            ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable", "glue:GetPartition", "glue:GetPartitions",
             "glue:CreatePartition", "glue:UpdatePartition", "glue:BatchCreatePartition", "glue:BatchGetPartition"],
            [sub(f"{arn}:catalog"), sub(f"{arn}:database/{crawled}"), sub(f"{arn}:table/{crawled}/*")],  # the crawler names its tables itself
        ),
        allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [sub(log), sub(f"{log}:*")]),
        use_key(["kms:Decrypt"]),
    ]  # fmt: skip
    trust = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    no_security_configuration = {
        "id": "CKV_AWS_195",
        "comment": "it writes no data: tables to the catalog, which the account encrypts, and a log",
    }
    crawler = {
        "Name": sub(f"{PREFIX}_{metric_set.name}"),
        "Description": f"What lies in the folders of {metric_set.title}, to compare with what is declared.",
        "Role": {"Fn::GetAtt": ["CrawlerRole", "Arn"]},
        "DatabaseName": {"Ref": "CrawledDatabase"},
        "Targets": {"S3Targets": [{"Path": sub(f"s3://${{Bucket}}/{folder}/")} for folder in folders]},
        "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"},
        "Schedule": choose("HasCrawlerSchedule", {"ScheduleExpression": {"Ref": "CrawlerSchedule"}}, NOTHING),
    }
    return {
        "CrawledDatabase": _database(
            crawled, "What the crawler found, to compare with what is declared; nothing reads it."
        ),
        "CrawlerRole": role(
            f"{PREFIX}-${{AWS::Region}}-crawl-{_short(metric_set)}",
            "glue.amazonaws.com",
            statements,
            f"Crawls {metric_set.name}.",
            **trust,
        ),
        "Crawler": {
            "Type": "AWS::Glue::Crawler",
            "Metadata": {"checkov": {"skip": [no_security_configuration]}},
            "Properties": crawler,
        },
    }


def _short(metric_set: MetricSet) -> str:
    """The set's name, so short that a role of it with the longest prefix and region keeps to 64 characters; distinct for each."""
    return (
        metric_set.name
        if len(metric_set.name) <= 12
        else f"{metric_set.name[:5]}-{sha256(metric_set.name.encode()).hexdigest()[:6]}"
    )


def _database(name: str, description: str) -> Node:
    properties = {"CatalogId": ACCOUNT, "DatabaseInput": {"Name": sub(name), "Description": description}}
    return {"Type": "AWS::Glue::Database", "Properties": properties}


def _table(owner: str, properties: Node) -> Node:
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {"CatalogId": ACCOUNT, "DatabaseName": {"Ref": owner}, "TableInput": properties},
    }


def _projection(column: str, form: str, projected: str | Node, step: tuple[int, str]) -> Node:
    number, unit = step
    return {
        "EXTERNAL": "TRUE",
        "projection.enabled": "true",
        f"projection.{column}.type": "date",
        f"projection.{column}.format": form,
        f"projection.{column}.range": projected,
        f"projection.{column}.interval": str(number),
        f"projection.{column}.interval.unit": unit,
    }


def _lake_table(metric_set: MetricSet, table: Table, owner: str) -> Node:
    location = f"s3://${{Bucket}}/{layout.table_folder(table, metric_set)}/"
    columns = tables.schema(table, metric_set)
    projected = _projection("date", "yyyy-MM-dd", f"{EARLIEST_TIMESTAMP:%Y-%m-%d},{projection.END}", (1, "DAYS"))
    place = {"storage.location.template": sub(f"{location}date=${{!date}}/")}

    def storage(kept: Format) -> Node:
        kinds = {name: "string" if kept == "csv" else sql.HIVE[sql.TRINO[kind]] for name, kind in columns}
        listed = [{"Name": name.lower(), "Type": kind} for name, kind in kinds.items()]
        return {"Columns": listed, "Location": sub(location), **(_LAKE_CSV if kept == "csv" else _PARQUET)}

    return _table(
        owner,
        {
            "Name": GLUE_TABLE_NAMES[table],
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "date", "Type": "string"}],
            "Parameters": {
                "Fn::If": [
                    "IsCsv",
                    {**projected, **place, "classification": "csv", "skip.header.line.count": "1"},
                    {**projected, **place, "classification": "parquet"},
                ]
            },
            "StorageDescriptor": {"Fn::If": ["IsCsv", storage("csv"), storage("parquet")]},
        },
    )


def _live_table(metric_set: MetricSet, owner: str) -> Node:
    """The live data; every column a text (its reader types nothing else safely); the partition column `slot` is the folder of a day, or, where the
    intervals of a day have none in common, of an interval. What lies in folders below belongs to it.
    """
    source = require_source(metric_set)
    prefix, pattern, suffix = projection.partition(source.path)
    steps = {"P1D": (1, "DAYS"), "PT1H": (1, "HOURS"), "PT10M": (10, "MINUTES"), "PT5M": (5, "MINUTES")}
    parameters = _projection(
        "slot",
        pattern,
        projection.live_range(pattern),
        steps["P1D" if time_patterns.parse_day_pattern(source.path) else metric_set.frequency],
    )
    parameters["storage.location.template"] = sub(f"s3://${{Bucket}}/{prefix}${{!slot}}{suffix}/")
    if source.format == "jsonl":
        parameters["classification"] = "json"
        serde = _JSON_LINES
    else:
        parameters |= {"classification": "csv"} | ({"skip.header.line.count": "1"} if source.header else {})
        # No value holds U+0001, so a backslash in one is a backslash.
        options = {"separatorChar": source.delimiter, "quoteChar": source.quote, "escapeChar": "\x01"}
        serde = {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde", "Parameters": options}
    return _table(
        owner,
        {
            "Name": "live",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "slot", "Type": "string"}],
            "Parameters": parameters,
            "StorageDescriptor": {
                "Columns": [{"Name": column.lower(), "Type": "string"} for column in source.columns],
                "Location": sub(f"s3://${{Bucket}}/{prefix}"),
                **_TEXT,
                "SerdeInfo": serde,
            },
        },
    )


def _json_table(name: str, columns: Sequence[tuple[str, str]], folder: str, owner: str) -> Node:
    """The files of a folder, a JSON object on each line."""
    return _table(
        owner,
        {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "json"},
            "StorageDescriptor": {
                "Columns": [{"Name": column.lower(), "Type": kind} for column, kind in columns],
                "Location": sub(f"s3://${{Bucket}}/{folder}/"),
                **_TEXT,
                "SerdeInfo": _JSON_LINES,
            },
        },
    )


def _view(parquet: View, csv: View, owner: str) -> Node:
    def text(view: View) -> Node:
        columns = [{"name": column.name, "type": column.type} for column in view.columns]
        entry = {
            "originalSql": view.sql,
            "catalog": "awsdatacatalog",
            "schema": view.database,
            "columns": columns,
            "runAsInvoker": True,
        }
        return {
            "Fn::Join": [
                "",
                ["/* Presto View: ", {"Fn::Base64": sub(literal(json.dumps(entry, separators=(",", ":"))))}, " */"],
            ]
        }

    original = text(parquet) if parquet.sql == csv.sql else {"Fn::If": ["IsCsv", text(csv), text(parquet)]}
    return _table(
        owner,
        {
            "Name": parquet.name,  # no Description: Trino takes one for the comment below, and then the entry for no view of its own
            "TableType": "VIRTUAL_VIEW",
            "PartitionKeys": [],
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "ViewOriginalText": original,
            "ViewExpandedText": "/* Presto View */",
            "StorageDescriptor": {
                "Columns": [
                    {"Name": c.name, "Type": sql.HIVE[c.type], "Comment": c.comment[:255]} for c in parquet.columns
                ],
                "Location": "",
                "SerdeInfo": {},
            },
        },
    )
