"""Datasets over views: columns with types, descriptions and folders, and the refresh schedules of SPICE."""

from collections.abc import Mapping, Sequence

from anomalake.catalog import views
from anomalake.catalog.views import View, ViewColumn
from anomalake.cloudformation import ACCOUNT_ID, NO_VALUE, PREFIX_PLACEHOLDER, Node, fn_if, fn_sub, logical_id
from anomalake.dashboards.definition import BAND, CONTRIBUTIONS, HEALTH, LIVE, LOG, UTC_DAY
from anomalake.dashboards.quicksight import refresh
from anomalake.dashboards.quicksight.ids import dataset_id
from anomalake.dashboards.quicksight.permissions import DATASET_OWNER, grant
from anomalake.dashboards.quicksight.refresh import RefreshPlan
from anomalake.domain.metric_set import Measure, MetricSet

COLUMN_TYPES = {
    "varchar": "STRING",
    "double": "DECIMAL",
    "bigint": "INTEGER",
    "timestamp(3)": "DATETIME",
    "boolean": "BOOLEAN",
}
_SET_DATASET_NAMES = {
    LIVE: "with live data",
    CONTRIBUTIONS: "with contributions",
    LOG: "event log",
    BAND: "with band",
    HEALTH: "data health",
}
_ALL_SETS_DATASET_NAMES = {
    "all_anomalies": "anomalous series",
    "all_contributions": "contributions",
    "all_anomaly_log": "event log",
    "all_data_health": "data health",
}
_MAX_NAME_CHARACTERS = 127  # the API allows 128
_MAX_DESCRIPTION_CHARACTERS = 500
_FULL_REFRESH_TIME, _DAILY_REFRESH_TIME = "03:00", "06:00"  # UTC


def build_set_datasets(metric_set: MetricSet) -> Node:
    """Return the datasets of a metric set with their refresh schedules, by logical id."""
    views_by_name = {view.name: view for view in views.views_of_set(metric_set, PREFIX_PLACEHOLDER, "parquet")}
    resources: Node = {}
    for view_name, name in _SET_DATASET_NAMES.items():
        view, plan = views_by_name[view_name], refresh.plan_set_refresh(metric_set, view_name)
        title = f"{metric_set.title}: {name}"[:_MAX_NAME_CHARACTERS]
        resources |= _build_dataset(metric_set, view, title, plan)
    return resources


def build_all_sets_datasets(sets: Sequence[MetricSet]) -> tuple[Node, list[str]]:
    """Return the datasets over all metric sets with their refresh schedules, and the logical ids of the datasets."""
    views_by_name = {view.name: view for view in views.views_over_all_sets(sets, PREFIX_PLACEHOLDER, "parquet")}
    resources: Node = {}
    for view_name, name in _ALL_SETS_DATASET_NAMES.items():
        view, plan = views_by_name[view_name], refresh.plan_all_sets_refresh(sets, view_name)
        resources |= _build_dataset(None, view, f"All metric sets: {name}", plan)
    return resources, [logical_id(view_name) for view_name in _ALL_SETS_DATASET_NAMES]


def _build_dataset(metric_set: MetricSet | None, view: View, name: str, plan: RefreshPlan) -> Node:
    """Return a dataset and its refresh schedules, by logical id."""
    dataset = {
        "Type": "AWS::QuickSight::DataSet",
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "DataSetId": fn_sub(dataset_id(metric_set, view.name)),
            "Name": name,
            "ImportMode": {"Ref": "ImportMode"},
            "PhysicalTableMap": {"view": {"RelationalTable": _build_table(view)}},
            "LogicalTableMap": {
                "described": {
                    "Alias": view.name,
                    "Source": {"PhysicalTableId": "view"},
                    "DataTransforms": [_describe_column(column) for column in view.columns],
                }
            },
            "FieldFolders": _group_columns_in_folders(view.columns, metric_set),
            "DataSetRefreshProperties": fn_if("IsSpice", _build_incremental_refresh(plan), NO_VALUE),
            "IngestionWaitPolicy": {"WaitForSpiceIngestion": False},
            "Permissions": [grant("OwnerArn", DATASET_OWNER)],
        },
    }
    return {logical_id(view.name): dataset, **_build_schedules(metric_set, view.name, plan)}


def _build_table(view: View) -> Node:
    return {
        "DataSourceArn": {"Ref": "DataSourceArn"},
        "Catalog": "AwsDataCatalog",
        "Schema": fn_sub(view.database),
        "Name": view.name,
        "InputColumns": [_build_input_column(column) for column in view.columns],
    }


def _build_input_column(column: ViewColumn) -> Node:
    column_type = COLUMN_TYPES[column.type]
    # Without the subtype, SPICE keeps four decimal places.
    subtype = {"SubType": fn_if("IsSpice", "FLOAT", NO_VALUE)} if column_type == "DECIMAL" else {}
    return {"Name": column.name, "Type": column_type, **subtype}


def _describe_column(column: ViewColumn) -> Node:
    description = {"ColumnDescription": {"Text": column.comment[:_MAX_DESCRIPTION_CHARACTERS]}}
    return {"TagColumnOperation": {"ColumnName": column.name, "Tags": [description]}}


def _build_incremental_refresh(plan: RefreshPlan) -> Node:
    window = {"ColumnName": UTC_DAY, "Size": plan.look_back_days, "SizeUnit": "DAY"}
    return {"RefreshConfiguration": {"IncrementalRefresh": {"LookbackWindow": window}}}


def _build_schedules(metric_set: MetricSet | None, view: str, plan: RefreshPlan) -> Node:
    """Return the refresh schedules of a dataset in SPICE.

    QuickSight requires that schedules start at different times of the day.
    """
    incremental: Node = {"Interval": plan.incremental}
    if plan.incremental == "DAILY":
        incremental["TimeOfTheDay"] = _DAILY_REFRESH_TIME
    full: Node = {"Interval": plan.full, "TimeOfTheDay": _FULL_REFRESH_TIME}
    if plan.full == "WEEKLY":
        full["RefreshOnDay"] = {"DayOfWeek": "SUNDAY"}
    name = logical_id(view)
    return {
        f"{name}Refresh": _build_schedule(metric_set, view, "new-rows", "INCREMENTAL_REFRESH", incremental),
        f"{name}FullRefresh": _build_schedule(metric_set, view, "everything", "FULL_REFRESH", full),
    }


def _build_schedule(
    metric_set: MetricSet | None, view: str, schedule_id: str, refresh_type: str, frequency: Node
) -> Node:
    schedule = {
        "ScheduleId": schedule_id,
        "RefreshType": refresh_type,
        "ScheduleFrequency": {**frequency, "TimeZone": "UTC"},
    }
    return {
        "Type": "AWS::QuickSight::RefreshSchedule",
        "Condition": "IsSpice",
        "DependsOn": [logical_id(view)],
        "Properties": {
            "AwsAccountId": ACCOUNT_ID,
            "DataSetId": fn_sub(dataset_id(metric_set, view)),
            "Schedule": schedule,
        },
    }


def _group_columns_in_folders(columns: Sequence[ViewColumn], metric_set: MetricSet | None) -> Node:
    """Return QuickSight's folders of fields: time, dimensions, measures, anomalies of each measure, event, ids."""
    dimensions = {name.lower() for name in metric_set.dimension_names} if metric_set else {"metricset", "dimensions"}
    measures = {measure.name.lower(): measure for measure in metric_set.measures} if metric_set else {}
    folders: dict[str, list[str]] = {}
    for column in columns:
        folders.setdefault(_choose_folder(column, dimensions, measures), []).append(column.name)
    return {folder: {"Columns": names} for folder, names in folders.items()}


def _choose_folder(column: ViewColumn, dimensions: set[str], measures: Mapping[str, Measure]) -> str:
    if column.name in ("timestamp", "localtimestamp", "date", "utcday"):
        return "When"
    if column.name in dimensions:
        return "Dimensions"
    if column.name in measures:
        return "Measures"
    # The longest name first: the name of one measure can start with the name of another.
    for name in sorted(measures, key=len, reverse=True):
        title = measures[name].title
        if column.name.startswith(name) and column.comment.startswith(f"{title}: "):
            return f"Anomalies of {title.replace('/', '-')}"
    if column.name in ("key", "eventid", "anomalygroupid", "alerteventid", "alertname", "detectorarn"):
        return "Identity"
    return "Event"
