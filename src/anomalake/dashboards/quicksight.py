"""The QuickSight stack: data source with its role, folder, datasets, analyses, dashboards, topics and refresh schedules, as templates. Pure.

Sources: the `AWS::QuickSight::*` pages of the CloudFormation guide; sets of permissions as the QuickSight console grants them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from anomalake import cloudformation
from anomalake.catalog import views
from anomalake.catalog.views import View, ViewColumn, database
from anomalake.cloudformation import (
    ACCOUNT,
    NOTHING,
    PREFIX,
    Node,
    allow,
    choose,
    logical,
    logical_set,
    nested,
    role,
    sub,
    use_key,
)
from anomalake.dashboards import definition, refresh, topic
from anomalake.dashboards.definition import BAND, CONTRIBUTIONS, DATASETS, HEALTH, LIVE, LOG
from anomalake.dashboards.refresh import Refreshes
from anomalake.domain import time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout

TYPES = {
    "varchar": "STRING",
    "double": "DECIMAL",
    "bigint": "INTEGER",
    "timestamp(3)": "DATETIME",
    "boolean": "BOOLEAN",
}
STACK_PARAMETERS = ("Prefix", "Bucket", "WorkGroup", "KmsKeyArn", "OwnerArn", "ReaderArn", "ImportMode", "Topics")
DATA_PARAMETERS = ("Prefix", "OwnerArn", "ImportMode", "DataSourceArn")
SHOWN_PARAMETERS = ("Prefix", "OwnerArn", "ReaderArn", "FolderArn")
ANALYSIS_PARAMETERS = ("Prefix", "OwnerArn")
TOPIC_PARAMETERS = ("Prefix", "FolderArn")
MAX_POLICY_CHARACTERS = 10_000  # characters of a role's policies ("IAM and AWS STS quotas": 10,240)
# Regions that have AWS::QuickSight::Topic, as CloudFormation's schemas list them (a condition takes ten at a time).
TOPIC_REGIONS = (
    ("us-east-1", "us-east-2", "us-west-2", "ca-central-1", "sa-east-1", "eu-central-1", "eu-west-1", "eu-west-2"),
    ("ap-south-1", "ap-northeast-1", "ap-southeast-1", "ap-southeast-2"),
)

_DATA_SOURCE = ("DescribeDataSource", "DescribeDataSourcePermissions", "PassDataSource",
                "UpdateDataSource", "DeleteDataSource", "UpdateDataSourcePermissions")  # fmt: skip
_DATA_SET = ("DescribeDataSet", "DescribeDataSetPermissions", "PassDataSet", "DescribeIngestion", "ListIngestions",
             "UpdateDataSet", "DeleteDataSet", "CreateIngestion", "CancelIngestion", "UpdateDataSetPermissions",
             "CreateRefreshSchedule", "UpdateRefreshSchedule", "DeleteRefreshSchedule", "DescribeRefreshSchedule", "ListRefreshSchedules",
             "PutDataSetRefreshProperties", "DescribeDataSetRefreshProperties", "DeleteDataSetRefreshProperties")  # fmt: skip
_ANALYSIS = ("DescribeAnalysis", "DescribeAnalysisPermissions", "UpdateAnalysis", "UpdateAnalysisPermissions", "DeleteAnalysis",
             "QueryAnalysis", "RestoreAnalysis")  # fmt: skip
_DASHBOARD_READER = ("DescribeDashboard", "ListDashboardVersions", "QueryDashboard")
_DASHBOARD = (*_DASHBOARD_READER, "UpdateDashboard", "DeleteDashboard", "UpdateDashboardPublishedVersion", "DescribeDashboardPermissions",
              "UpdateDashboardPermissions")  # fmt: skip
_FOLDER_READER = ("DescribeFolder",)
_FOLDER = ("CreateFolder", "DescribeFolder", "UpdateFolder", "DeleteFolder", "CreateFolderMembership", "DeleteFolderMembership",
           "DescribeFolderPermissions", "UpdateFolderPermissions")  # fmt: skip


def build_templates(sets: Sequence[MetricSet]) -> dict[str, Node]:
    """Every template of the stack by its file's name below quicksight/; `template.json` is the one that the others hang from."""
    made = {"template.json": _stack(sets), "all.json": _all(sets)}
    for item in sets:
        declared = definition.build_set_definition(
            item, definition.rolling_window(item), {name: dataset_arn(item, name) for name in DATASETS}
        )
        title = item.title
        for name, node in {
            "datasets": _set_datasets(item),
            "analysis": cloudformation.template(
                f"The analysis of {item.name}.",
                ANALYSIS_PARAMETERS,
                [],
                {"Analysis": _analysis(resource_id(item), title, declared)},
            ),
            "dashboard": cloudformation.template(
                f"The dashboard of {item.name}.",
                SHOWN_PARAMETERS,
                ["HasReader"],
                {"Dashboard": _dashboard(resource_id(item), title, declared)},
            ),
            "topic": cloudformation.template(
                f"The topic of {item.name}.", TOPIC_PARAMETERS, [], {"Topic": _topic(item)}
            ),
        }.items():
            made[_file(item, name)] = node
    return made


def _file(metric_set: MetricSet, what: str) -> str:
    return f"sets/{metric_set.name}/{what}.json"


def resource_id(metric_set: MetricSet, prefix: str = PREFIX) -> str:
    """The id of the set's analysis, dashboard and topic (a name has no hyphen, so no two sets have one id)."""
    return f"{prefix}-set-{metric_set.name.replace('_', '-')}"


def all_sets_resource_id(prefix: str = PREFIX) -> str:
    """The id of the analysis and dashboard over all sets."""
    return f"{prefix}-all"


def dataset_id(metric_set: MetricSet | None, view: str, prefix: str = PREFIX) -> str:
    """The id of the dataset over a view of a set, or over one of all sets (None)."""
    return f"{resource_id(metric_set, prefix) if metric_set else prefix}-{view.replace('_', '-')}"


def dataset_arn(metric_set: MetricSet | None, view: str) -> Node:
    """The dataset's ARN."""
    return sub(
        f"arn:${{AWS::Partition}}:quicksight:${{AWS::Region}}:${{AWS::AccountId}}:dataset/{dataset_id(metric_set, view)}"
    )


# --- the stack and what all datasets share


def _stack(sets: Sequence[MetricSet]) -> Node:
    given = {"DataSourceArn": {"Fn::GetAtt": ["DataSource", "Arn"]}, "FolderArn": {"Fn::GetAtt": ["Folder", "Arn"]}}

    def part(file: str, parameters: Sequence[str], after: Sequence[str] = ()) -> Node:
        own = {name: value for name, value in given.items() if name in parameters}
        return nested(file, [name for name in parameters if name not in given], after=after, **own)

    resources: Node = {
        "Role": _role(sets),
        "DataSource": {
            "Type": "AWS::QuickSight::DataSource",
            "Properties": {
                "AwsAccountId": ACCOUNT,
                "DataSourceId": sub(PREFIX),
                "Name": sub(PREFIX),
                "Type": "ATHENA",
                "DataSourceParameters": {
                    "AthenaParameters": {"WorkGroup": {"Ref": "WorkGroup"}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
                },
                "Permissions": [_grant("OwnerArn", _DATA_SOURCE)],
            },
        },
        "Folder": {
            "Type": "AWS::QuickSight::Folder",
            "Properties": {
                "AwsAccountId": ACCOUNT,
                "FolderId": sub(PREFIX),
                "Name": sub(PREFIX),
                "FolderType": "SHARED",
                "Permissions": [
                    _grant("OwnerArn", _FOLDER),
                    choose("HasReader", _grant("ReaderArn", _FOLDER_READER), NOTHING),
                ],
            },
        },
        "All": part("all.json", (*DATA_PARAMETERS, "ReaderArn", "FolderArn")),
    }
    for item in sets:
        base = logical_set(item)
        resources[f"{base}Datasets"] = part(_file(item, "datasets"), DATA_PARAMETERS)
        resources[f"{base}Analysis"] = part(_file(item, "analysis"), ANALYSIS_PARAMETERS, [f"{base}Datasets"])
        resources[f"{base}Dashboard"] = part(_file(item, "dashboard"), SHOWN_PARAMETERS, [f"{base}Datasets"])
        resources[f"{base}Topic"] = {
            **part(_file(item, "topic"), TOPIC_PARAMETERS, [f"{base}Datasets"]),
            "Condition": "HasTopics",
        }
    made = cloudformation.template("Anomalake in QuickSight.", STACK_PARAMETERS, ["HasKey", "HasReader"], resources)
    made["Conditions"]["HasTopics"] = {
        "Fn::And": [
            {"Fn::Equals": [{"Ref": "Topics"}, "on"]},
            {
                "Fn::Or": [
                    {"Fn::Or": [{"Fn::Equals": [{"Ref": "AWS::Region"}, region]} for region in some]}
                    for some in TOPIC_REGIONS
                ]
            },
        ]
    }
    made["Outputs"] = {
        "RoleArn": {
            "Description": "The role that QuickSight asks Athena with.",
            "Value": {"Fn::GetAtt": ["Role", "Arn"]},
        }
    }
    return made


def _role(sets: Sequence[MetricSet]) -> Node:
    """The role that QuickSight uses for this data source alone: the workgroup, the databases, the lake and the live data."""
    here = "${AWS::Region}:${AWS::AccountId}"
    bucket, glue = sub("arn:${AWS::Partition}:s3:::${Bucket}"), f"arn:${{AWS::Partition}}:glue:{here}"
    databases = [PREFIX, *(database(PREFIX, item) for item in sets)]
    folders = [
        f"{layout.RESULTS_FOLDER}/",
        f"{layout.FEEDBACK_FOLDER}/",
        *(time_patterns.parse_folder_pattern(item.source.path).prefix for item in sets if item.source),
    ]
    results = sub("arn:${AWS::Partition}:s3:::${Bucket}/athena-results/*")
    statements = [
        allow(
            ["athena:GetWorkGroup", "athena:StartQueryExecution", "athena:StopQueryExecution", "athena:GetQueryExecution",
             "athena:BatchGetQueryExecution", "athena:GetQueryResults", "athena:GetQueryResultsStream"],
            [sub(f"arn:${{AWS::Partition}}:athena:{here}:workgroup/${{WorkGroup}}")],
        ),
        allow(
            ["athena:GetDataCatalog", "athena:ListDatabases", "athena:GetDatabase", "athena:ListTableMetadata", "athena:GetTableMetadata"],
            [sub(f"arn:${{AWS::Partition}}:athena:{here}:datacatalog/AwsDataCatalog")],
        ),
        allow(["athena:ListDataCatalogs", "lakeformation:GetDataAccess"], ["*"]),  # neither knows a resource
        allow(
            ["glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions",
             "glue:BatchGetPartition"],
            [sub(f"{glue}:catalog"), *(sub(f"{glue}:database/{db}") for db in databases), *(sub(f"{glue}:table/{db}/*") for db in databases)],
        ),
        allow(["s3:GetObject"], [sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{folder}*") for folder in folders]),
        allow(["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], [bucket]),
        allow(["s3:ListBucket"], [bucket], Condition={"StringLike": {"s3:prefix": ["athena-results/*", *(f"{folder}*" for folder in folders)]}}),
        allow(["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], [results]),
        use_key(["kms:Decrypt", "kms:GenerateDataKey"]),
    ]  # fmt: skip
    if cloudformation.size(statements) > MAX_POLICY_CHARACTERS:
        raise UserError(
            f"{len(sets)} metric sets are more than one role of QuickSight's can name; move some to a stack of another Prefix"
        )
    return role(
        f"{PREFIX}-${{AWS::Region}}-quicksight",
        "quicksight.amazonaws.com",
        statements,
        "QuickSight asks Athena with it.",
    )


def _grant(parameter: str, actions: Sequence[str]) -> Node:
    return {"Principal": {"Ref": parameter}, "Actions": [f"quicksight:{action}" for action in actions]}


# --- datasets


def _dataset(metric_set: MetricSet | None, view: View, name: str, folders: Node, refreshes: Refreshes) -> Node:
    """A dataset over a view: typed columns with descriptions, in folders; of a copy in SPICE, the days that a refresh of new rows reads again."""
    incremental = {
        "LookbackWindow": {"ColumnName": definition.UTC_DAY, "Size": refreshes.look_back_days, "SizeUnit": "DAY"}
    }
    return {
        "Type": "AWS::QuickSight::DataSet",
        "Properties": {
            "AwsAccountId": ACCOUNT,
            "DataSetId": sub(dataset_id(metric_set, view.name)),
            "Name": name,
            "ImportMode": {"Ref": "ImportMode"},
            "PhysicalTableMap": {
                "view": {
                    "RelationalTable": {
                        "DataSourceArn": {"Ref": "DataSourceArn"},
                        "Catalog": "AwsDataCatalog",
                        "Schema": sub(view.database),
                        "Name": view.name,
                        "InputColumns": [_input(column) for column in view.columns],
                    }
                }
            },
            "LogicalTableMap": {
                "described": {
                    "Alias": view.name,
                    "Source": {"PhysicalTableId": "view"},
                    "DataTransforms": [
                        {
                            "TagColumnOperation": {
                                "ColumnName": column.name,
                                "Tags": [{"ColumnDescription": {"Text": column.comment[:500]}}],
                            }
                        }
                        for column in view.columns
                    ],
                }
            },
            "FieldFolders": folders,
            "DataSetRefreshProperties": choose(
                "IsSpice", {"RefreshConfiguration": {"IncrementalRefresh": incremental}}, NOTHING
            ),
            "IngestionWaitPolicy": {"WaitForSpiceIngestion": False},
            "Permissions": [_grant("OwnerArn", _DATA_SET)],
        },
    }


def _input(column: ViewColumn) -> Node:
    kind = TYPES[column.type]
    fraction = (
        {"SubType": choose("IsSpice", "FLOAT", NOTHING)} if kind == "DECIMAL" else {}
    )  # else SPICE keeps four decimals
    return {"Name": column.name, "Type": kind, **fraction}


def _schedules(metric_set: MetricSet | None, view: str, refreshes: Refreshes) -> Node:
    """The refresh schedules of a dataset in SPICE; no two of them begin at one time of the day."""
    sunday = {"RefreshOnDay": {"DayOfWeek": "SUNDAY"}} if refreshes.everything == "WEEKLY" else {}
    at = {"TimeOfTheDay": "06:00"} if refreshes.new_rows == "DAILY" else {}
    return {
        f"{logical(view)}Refresh": _schedule(
            metric_set, view, "new-rows", "INCREMENTAL_REFRESH", {"Interval": refreshes.new_rows, **at}
        ),
        f"{logical(view)}FullRefresh": _schedule(
            metric_set,
            view,
            "everything",
            "FULL_REFRESH",
            {"Interval": refreshes.everything, "TimeOfTheDay": "03:00", **sunday},
        ),
    }


def _schedule(metric_set: MetricSet | None, view: str, identity: str, kind: str, frequency: Node) -> Node:
    schedule = {"ScheduleId": identity, "RefreshType": kind, "ScheduleFrequency": {**frequency, "TimeZone": "UTC"}}
    return {
        "Type": "AWS::QuickSight::RefreshSchedule",
        "Condition": "IsSpice",
        "DependsOn": [logical(view)],
        "Properties": {"AwsAccountId": ACCOUNT, "DataSetId": sub(dataset_id(metric_set, view)), "Schedule": schedule},
    }


def _datasets(
    metric_set: MetricSet | None, made: Sequence[tuple[View, str, Node]], refreshes: Callable[[str], Refreshes]
) -> Node:
    resources: Node = {}
    for view, name, folders in made:
        resources[logical(view.name)] = _dataset(metric_set, view, name, folders, refreshes(view.name))
        resources |= _schedules(metric_set, view.name, refreshes(view.name))
    return resources


def _set_datasets(item: MetricSet) -> Node:
    made = {view.name: view for view in views.views(item, PREFIX, "parquet")}
    title = item.title
    names = {
        LIVE: "with live data",
        CONTRIBUTIONS: "with contributions",
        LOG: "event log",
        BAND: "with band",
        HEALTH: "data health",
    }
    listed = [
        (made[name], f"{title}: {told}"[:127], _folders(made[name].columns, item)) for name, told in names.items()
    ]
    resources = _datasets(item, listed, lambda view: refresh.of_set(item, view))
    return cloudformation.template(f"The datasets of {item.name}.", DATA_PARAMETERS, ["IsSpice"], resources)


def _folders(columns: Sequence[ViewColumn], metric_set: MetricSet | None) -> Node:
    """QuickSight's folders of fields: when, dimensions, measures, the anomalies of each measure, the event, technical fields."""
    dimensions = {name.lower() for name in metric_set.dimension_names} if metric_set else {"metricset", "dimensions"}
    measures = {measure.name.lower(): measure for measure in metric_set.measures} if metric_set else {}
    found: dict[str, list[str]] = {}
    for column in columns:
        owner = next((m for m in sorted(measures, key=len, reverse=True) if column.name.startswith(m) and column.comment.startswith(
            f"{measures[m].title}: ")), None)  # fmt: skip
        if column.name in ("timestamp", "localtimestamp", "date", "utcday"):
            place = "When"
        elif column.name in dimensions:
            place = "Dimensions"
        elif column.name in measures:
            place = "Measures"
        elif owner is not None:
            place = f"Anomalies of {measures[owner].title.replace('/', '-')}"
        elif column.name in ("key", "eventid", "anomalygroupid", "alerteventid", "alertname", "detectorarn"):
            place = "Identity"
        else:
            place = "Event"
        found.setdefault(place, []).append(column.name)
    return {place: {"Columns": names} for place, names in found.items()}


# --- analyses, dashboards, topics


def _analysis(identity: str, title: str, declared: Node) -> Node:
    properties = {
        "AwsAccountId": ACCOUNT,
        "AnalysisId": sub(identity),
        "Name": title,
        "Definition": declared,
        "Permissions": [_grant("OwnerArn", _ANALYSIS)],
    }
    return {"Type": "AWS::QuickSight::Analysis", "Properties": properties}


def _dashboard(identity: str, title: str, declared: Node) -> Node:
    return {
        "Type": "AWS::QuickSight::Dashboard",
        "Properties": {
            "AwsAccountId": ACCOUNT,
            "DashboardId": sub(identity),
            "Name": title,
            "Definition": declared,
            "DashboardPublishOptions": {
                "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
                "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
                "SheetControlsOption": {"VisibilityState": "EXPANDED"},
            },
            "FolderArns": [{"Ref": "FolderArn"}],
            "Permissions": [
                _grant("OwnerArn", _DASHBOARD),
                choose("HasReader", _grant("ReaderArn", _DASHBOARD_READER), NOTHING),
            ],
        },
    }


def _topic(item: MetricSet) -> Node:
    made = {view.name: view for view in views.views(item, PREFIX, "parquet")}
    title = item.title
    datasets: list[dict[str, Any]] = [
        {
            "DatasetArn": dataset_arn(item, name),
            "DatasetName": told,
            "DatasetDescription": made[name].comment[:256],
            "Columns": topic.columns(made[name], item),
            "DataAggregation": {
                "DatasetRowDateGranularity": definition.finest_granularity(item),
                "DefaultDateColumnName": definition.TIME,
            },
        }
        for name, told in ((LIVE, "Live data and anomalies"), (LOG, "Events"))
    ]
    return {
        "Type": "AWS::QuickSight::Topic",
        "Properties": {
            "AwsAccountId": ACCOUNT,
            "TopicId": sub(resource_id(item)),
            "Name": title[:128],
            "Description": f"Ask about {title}: its values, its anomalies, its events."[:256],
            "UserExperienceVersion": "NEW_READER_EXPERIENCE",
            "FolderArns": [{"Ref": "FolderArn"}],
            "DataSets": datasets,
        },
    }


def _all(sets: Sequence[MetricSet]) -> Node:
    made = {view.name: view for view in views.views_of_all(sets, PREFIX, "parquet")}
    names = {
        "all_anomalies": "anomalous series",
        "all_contributions": "contributions",
        "all_anomaly_log": "event log",
        "all_data_health": "data health",
    }
    listed = [
        (made[name], f"All metric sets: {told}", _folders(made[name].columns, None)) for name, told in names.items()
    ]
    resources = _datasets(None, listed, lambda view: refresh.of_all(sets, view))
    finest: definition.Granularity = "MINUTE" if any(item.frequency in {"PT5M", "PT10M"} for item in sets) else "HOUR"
    window = definition.Window("addDateTime(-30, 'DD', now())", "addDateTime(1, 'DD', now())", finest)
    declared = definition.build_all_sets_definition(
        window, {name: dataset_arn(None, name) for name in definition.ALL_DATASETS}
    )
    after = {"DependsOn": [logical(name) for name in names]}
    resources["Analysis"] = {**_analysis(all_sets_resource_id(), "All metric sets", declared), **after}
    resources["Dashboard"] = {**_dashboard(all_sets_resource_id(), "All metric sets", declared), **after}
    return cloudformation.template(
        "All metric sets.", (*DATA_PARAMETERS, "ReaderArn", "FolderArn"), ["IsSpice", "HasReader"], resources
    )
