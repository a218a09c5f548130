"""The CloudFormation templates of the catalog: one for each metric set, and one that nests them.

`glue_tables` declares databases, tables and views; `crawler_resources`, `detector_resources` and `backfill_resources`
declare what runs.
"""

import re
from collections.abc import Sequence

from anomalake import cloudformation
from anomalake.catalog import glue_tables, projection
from anomalake.catalog.backfill_resources import BACKFILL_PARAMETERS, backfill_resources
from anomalake.catalog.crawler_resources import crawler_resources
from anomalake.catalog.detector_resources import detector_resources
from anomalake.catalog.saved_queries import SavedQuery, saved_queries_of_set, saved_queries_over_all_sets
from anomalake.catalog.views import (
    COMPACTION_COLUMNS,
    COMPACTION_TABLE,
    FEEDBACK_COLUMNS,
    FEEDBACK_TABLE,
    TOP_VALUES_COLUMNS,
    TOP_VALUES_TABLE,
    database,
    has_top_values,
    views_of_set,
    views_over_all_sets,
)
from anomalake.cloudformation import (
    PREFIX_PLACEHOLDER,
    Node,
    fn_sub,
    logical_id,
    metric_set_logical_id,
    nested_stack,
)
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout
from anomalake.lake.layout import GLUE_TABLE_NAMES

CATALOG_PARAMETERS = ("Prefix", "Bucket", "Format", "WorkGroup", "KmsKeyArn", "CrawlerSchedule")
SOURCE_PARAMETERS = (
    projection.START_PARAMETER,
    "DetectFunctionArn",
    "DetectRoleName",
    "SchedulerRoleArn",
    "AlarmTopicArn",
    *BACKFILL_PARAMETERS,
)


def metric_set_file(metric_set: MetricSet) -> str:
    """Return the path of the metric set's template, relative to the catalog's template."""
    return f"sets/{metric_set.name}.json"


def catalog_template(sets: Sequence[MetricSet]) -> Node:
    """Return the template of the catalog stack: a nested stack for each metric set, and the views over all of them."""
    resources: Node = {
        metric_set_logical_id(metric_set): nested_stack(metric_set_file(metric_set), _parameters(metric_set))
        for metric_set in sets
    }
    resources["AllDatabase"] = glue_tables.database_resource(PREFIX_PLACEHOLDER, "Views over all metric sets.")
    parquet_views = views_over_all_sets(sets, PREFIX_PLACEHOLDER, "parquet")
    csv_views = views_over_all_sets(sets, PREFIX_PLACEHOLDER, "csv")
    for parquet, csv in zip(parquet_views, csv_views, strict=True):
        resources[logical_id(parquet.name)] = glue_tables.view_resource(parquet, csv, "AllDatabase")
    resources |= _saved_query_resources(saved_queries_over_all_sets(sets, PREFIX_PLACEHOLDER), "AllDatabase")
    template = cloudformation.build_template(
        "Anomalake's catalog.", (*CATALOG_PARAMETERS, *SOURCE_PARAMETERS), ["IsCsv"], resources
    )
    if not any(metric_set.source for metric_set in sets):  # no nested stack takes SOURCE_PARAMETERS (W2001: not used)
        template["Metadata"]["cfn-lint"]["config"]["ignore_checks"].append("W2001")
    return template


def _parameters(metric_set: MetricSet) -> tuple[str, ...]:
    return (*CATALOG_PARAMETERS, *(SOURCE_PARAMETERS if metric_set.source is not None else ()))


def metric_set_template(metric_set: MetricSet) -> Node:
    """Return the template of one metric set.

    It declares the database, tables, views, saved queries and the crawler; for a metric set with live data also the
    detector's schedule and alarms, and the back-test job.
    """
    description = metric_set.short_description or f"Anomalies and live data of {metric_set.title}."
    resources: Node = {"Database": glue_tables.database_resource(database(PREFIX_PLACEHOLDER, metric_set), description)}
    for table, name in GLUE_TABLE_NAMES.items():
        resources[logical_id(name)] = glue_tables.lake_table_resource(metric_set, table, "Database")
    resources["Feedback"] = glue_tables.json_table_resource(
        FEEDBACK_TABLE, FEEDBACK_COLUMNS, layout.feedback_folder(metric_set), "Database"
    )
    resources["Compaction"] = glue_tables.json_table_resource(
        COMPACTION_TABLE, COMPACTION_COLUMNS, layout.compaction_folder(metric_set), "Database"
    )
    if has_top_values(metric_set):
        resources["TopValues"] = glue_tables.json_table_resource(
            TOP_VALUES_TABLE, TOP_VALUES_COLUMNS, layout.top_values_key(metric_set).rpartition("/")[0], "Database"
        )
    if metric_set.source is not None:
        resources["Live"] = glue_tables.live_table_resource(metric_set, "Database")
    parquet_views = views_of_set(metric_set, PREFIX_PLACEHOLDER, "parquet")
    for parquet, csv in zip(parquet_views, views_of_set(metric_set, PREFIX_PLACEHOLDER, "csv"), strict=True):
        resources[logical_id(parquet.name)] = glue_tables.view_resource(parquet, csv, "Database")
    resources |= _saved_query_resources(saved_queries_of_set(metric_set, PREFIX_PLACEHOLDER), "Database")
    resources |= crawler_resources(metric_set)
    conditions = ["IsCsv", "HasKey", "HasCrawlerSchedule"]
    if metric_set.source is not None:
        resources |= detector_resources(metric_set) | backfill_resources(metric_set)
        conditions += ["HasDetector", "HasAlarmTopic"]
    return cloudformation.build_template(
        f"The metric set {metric_set.name}: catalog and detector.", _parameters(metric_set), conditions, resources
    )


def _saved_query_resources(queries: Sequence[SavedQuery], database_id: str) -> Node:
    """Return Athena's saved queries. CloudFormation cannot update one: a change of any property replaces it."""
    return {
        "Query" + "".join(re.findall("[A-Za-z0-9]+", query.name.partition(": ")[2].title())): {
            "Type": "AWS::Athena::NamedQuery",
            "Properties": {
                "Name": query.name,
                "Description": query.description,
                "Database": {"Ref": database_id},
                "WorkGroup": {"Ref": "WorkGroup"},
                "QueryString": fn_sub(query.sql),
            },
        }
        for query in queries
    }
