"""The QuickSight resources: valid in the service model, and every name refers to something that exists."""

import json
import re
from collections import Counter
from typing import Any

import botocore.session
import botocore.validate

from anomalake.catalog.views import views_of_set
from anomalake.dashboards import definition
from large_set import find_values
from service_model import list_problems
from stack import ACCOUNT, REGION, Resource, expand
from template_project import METRIC_SETS, OWNER, list_resources

SERVICE = botocore.session.get_session().get_service_model("quicksight")


def to_api_call(resource: Resource) -> tuple[str, dict[str, Any]]:
    """The API call that CloudFormation makes for a resource. A few names differ between them."""
    properties = json.loads(json.dumps(resource.properties))
    match resource.type.rpartition("::")[2]:
        case "DataSet":
            properties.pop("IngestionWaitPolicy")
            properties["FieldFolders"] = {
                name: {"columns": folder["Columns"]} for name, folder in properties["FieldFolders"].items()
            }
            return "CreateDataSet", {
                key: value for key, value in properties.items() if key != "DataSetRefreshProperties"
            }
        case "RefreshSchedule":
            frequency = properties["Schedule"]["ScheduleFrequency"]
            frequency["Timezone"] = frequency.pop("TimeZone")
            return "CreateRefreshSchedule", properties
        case "Topic":
            parameters = {key: properties.pop(key) for key in ("AwsAccountId", "TopicId", "FolderArns")}
            return "CreateTopic", {**parameters, "Topic": properties}
        case kind:
            return f"Create{kind}", properties


def test_every_resource_is_valid_in_the_quicksight_service_model(template_file):
    resources = expand(template_file, **OWNER, QuickSightReader="group/default/r", QuickSightImportMode="SPICE")
    operations = set()
    for resource in resources.values():
        if "QuickSight" not in resource.type:
            continue
        operation, parameters = to_api_call(resource)
        shape = SERVICE.operation_model(operation).input_shape
        assert botocore.validate.ParamValidator().validate(parameters, shape).generate_report() == "", resource.path
        assert list_problems(shape, parameters) == [], resource.path
        operations.add(operation)
    assert len(operations) == 7
    refresh = SERVICE.operation_model("PutDataSetRefreshProperties").input_shape.members["DataSetRefreshProperties"]
    for dataset in list_resources(resources, "AWS::QuickSight::DataSet"):
        assert (
            botocore.validate.ParamValidator()
            .validate(dataset.properties["DataSetRefreshProperties"], refresh)
            .generate_report()
            == ""
        )


def test_the_check_against_the_service_model_finds_invalid_values():
    shape = SERVICE.operation_model("CreateDataSet").input_shape
    assert list_problems(shape, {"ImportMode": "DIRECT"})
    assert list_problems(shape, {"PhysicalTableMap": {"under_score": {}}})


def test_every_dataset_has_the_columns_of_its_view_each_in_one_folder(stack):
    declared = {
        (t.properties["DatabaseName"], t.properties["TableInput"]["Name"]): t.properties["TableInput"]
        for t in list_resources(stack, "AWS::Glue::Table")
    }
    types = {
        "string": "STRING",
        "double": "DECIMAL",
        "bigint": "INTEGER",
        "timestamp": "DATETIME",
        "boolean": "BOOLEAN",
    }
    for dataset in list_resources(stack, "AWS::QuickSight::DataSet"):
        (physical,) = dataset.properties["PhysicalTableMap"].values()
        table = physical["RelationalTable"]
        view = declared[table["Schema"], table["Name"]]
        assert view["TableType"] == "VIRTUAL_VIEW"
        assert [(c["Name"], c["Type"]) for c in table["InputColumns"]] == [
            (c["Name"], types[c["Type"]]) for c in view["StorageDescriptor"]["Columns"]
        ]
        names = [column["Name"] for column in table["InputColumns"]]
        assert sorted(
            name for folder in dataset.properties["FieldFolders"].values() for name in folder["Columns"]
        ) == sorted(names)
        described = [
            transform["TagColumnOperation"]
            for transform in dataset.properties["LogicalTableMap"]["described"]["DataTransforms"]
        ]
        assert [operation["ColumnName"] for operation in described] == names
        assert all(operation["Tags"][0]["ColumnDescription"]["Text"] for operation in described)


def find_broken_references(content: dict[str, Any], columns: dict[str, set[str]]) -> list[str]:
    """The names in a definition that do not resolve or are used twice, and the visuals that overlap."""
    sheets = {
        sheet["SheetId"]: {body["VisualId"] for visual in sheet["Visuals"] for body in visual.values()}
        for sheet in content["Sheets"]
    }
    problems = [*find_unknown_columns(content, columns), *find_invalid_ids(content, sheets)]
    for sheet in content["Sheets"]:
        problems += [*find_layout_problems(sheet, sheets[sheet["SheetId"]]), *find_unknown_fields(sheet)]
    return problems


def find_unknown_columns(content: dict[str, Any], columns: dict[str, set[str]]) -> list[str]:
    """The columns and parameters in calculated fields and visuals that do not exist."""
    problems = []
    columns = {name: set(known) for name, known in columns.items()}
    for calculated in content["CalculatedFields"]:
        known = columns[calculated["DataSetIdentifier"]]
        problems += [
            f"calculated field {calculated['Name']}: {c}"
            for c in re.findall(r"(?<!\$)\{([^}]*)\}", calculated["Expression"])
            if c not in known
        ]
        parameters = {p["Name"] for d in content["ParameterDeclarations"] for p in d.values()}
        problems += [
            f"calculated field {calculated['Name']}: ${p}"
            for p in re.findall(r"\$\{([^}]*)\}", calculated["Expression"])
            if p not in parameters
        ]
    for calculated in content["CalculatedFields"]:
        columns[calculated["DataSetIdentifier"]].add(calculated["Name"])
    problems += [
        f"column {column}"
        for column in find_values(content, "Column")
        if column["ColumnName"] not in columns.get(column["DataSetIdentifier"], ())
    ]
    return problems


def find_invalid_ids(content: dict[str, Any], sheets: dict[str, set[str]]) -> list[str]:
    """The ids that are used twice or belong to nothing. `sheets` holds the visuals of each sheet."""
    problems = []
    for name in ("VisualId", "FilterGroupId", "FilterId", "FilterControlId", "ParameterControlId"):
        ids = [value for value in find_values(content, name) if isinstance(value, str)]
        problems += [f"{name} {value} twice" for value, count in Counter(ids).items() if count > 1]
    problems += ["the id of a sheet twice"] if len(sheets) < len(content["Sheets"]) else []
    for scope in (scope for scopes in find_values(content, "SheetVisualScopingConfigurations") for scope in scopes):
        missing = set(scope.get("VisualIds", ())) - sheets.get(scope["SheetId"], set())
        problems += [f"scope {scope}"] if scope["SheetId"] not in sheets or missing else []
    filters, parameters = (
        set(find_values(content, "FilterId")),
        set(find_values(content["ParameterDeclarations"], "Name")),
    )
    problems += [
        f"control of {filter_id}" for filter_id in find_values(content, "SourceFilterId") if filter_id not in filters
    ]
    problems += [f"parameter {name}" for name in find_values(content, "SourceParameterName") if name not in parameters]
    return problems


def find_layout_problems(sheet: dict[str, Any], visuals: set[str]) -> list[str]:
    """The elements without a visual, the visuals without a position, and the visuals that overlap."""
    problems = []
    elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
    problems += [f"element {element['ElementId']}" for element in elements if element["ElementId"] not in visuals]
    problems += [
        f"visual {visual} without a position" for visual in visuals - {element["ElementId"] for element in elements}
    ]
    occupied: set[tuple[int, int]] = set()
    for element in elements:
        cells = {
            (c, r)
            for c in range(element["ColumnIndex"], element["ColumnIndex"] + element["ColumnSpan"])
            for r in range(element["RowIndex"], element["RowIndex"] + element["RowSpan"])
        }
        problems += (
            [f"{element['ElementId']} overlaps another, or lies outside"]
            if cells & occupied or max(c for c, _ in cells) > 35
            else []
        )
        occupied |= cells
    return problems


def find_unknown_fields(sheet: dict[str, Any]) -> list[str]:
    """The fields of visuals that are not in their field wells."""
    problems = []
    for visual in sheet["Visuals"]:
        ((_, body),) = visual.items()
        wells = set(find_values(body["ChartConfiguration"]["FieldWells"], "FieldId"))
        problems += [
            f"field {field} of {body['VisualId']}" for field in find_values(body, "FieldId") if field not in wells
        ]
    return problems


def list_dataset_columns(stack: dict[str, Resource], declarations: list[dict[str, Any]]) -> dict[str, set[str]]:
    datasets = {
        f"arn:aws:quicksight:{REGION}:{ACCOUNT}:dataset/{d.properties['DataSetId']}": {
            c["Name"] for c in find_values(d.properties, "InputColumns")[0]
        }
        for d in list_resources(stack, "AWS::QuickSight::DataSet")
    }
    return {declaration["Identifier"]: datasets[declaration["DataSetArn"]] for declaration in declarations}


def test_every_reference_in_an_analysis_or_dashboard_resolves(stack):
    for resource in [
        *list_resources(stack, "AWS::QuickSight::Analysis"),
        *list_resources(stack, "AWS::QuickSight::Dashboard"),
    ]:
        content = resource.properties["Definition"]
        assert (
            find_broken_references(content, list_dataset_columns(stack, content["DataSetIdentifierDeclarations"])) == []
        ), resource.path
        assert len(content["Sheets"]) <= 20
        assert all(len(sheet["Visuals"]) <= 50 for sheet in content["Sheets"])


def test_the_check_of_references_finds_broken_references(stack):
    item = METRIC_SETS[0]
    content = definition.build_set_definition(item, definition.rolling_window(item))
    columns = {
        view.name: {column.name for column in view.columns} for view in views_of_set(item, "anomalake", "parquet")
    }
    assert find_broken_references(content, columns) == []
    text = json.dumps(content)
    for right, wrong in (
        ('"ColumnName": "groupscore"', '"ColumnName": "score"'),
        ('"SourceFilterId": "choose-platform"', '"SourceFilterId": "choose"'),
        ('"ElementId": "timeline"', '"ElementId": "time"'),
        ('"VisualId": "worst"', '"VisualId": "timeline"'),
        ('"ColumnIndex": 18', '"ColumnIndex": 17'),
        ('"FieldId": "log-severity", "CustomLabel"', '"FieldId": "log-sever", "CustomLabel"'),
        ("${From}", "${Form}"),
        ("{utcday}", "{day}"),
        ('"SheetId": "contributions", "Scope"', '"SheetId": "other", "Scope"'),
        ('"SourceParameterName": "From"', '"SourceParameterName": "Since"'),
    ):
        assert right in text, right
        assert find_broken_references(json.loads(text.replace(right, wrong, 1)), columns), right


def test_a_topic_uses_columns_of_its_datasets_with_unique_names(stack):
    for topic in list_resources(stack, "AWS::QuickSight::Topic"):
        for dataset in topic.properties["DataSets"]:
            known = list_dataset_columns(stack, [{"Identifier": "x", "DataSetArn": dataset["DatasetArn"]}])["x"]
            listed = [column["ColumnName"] for column in dataset["Columns"]]
            assert set(listed) <= known
            assert dataset["DataAggregation"]["DefaultDateColumnName"] in listed
            friendly = [column["ColumnFriendlyName"].lower() for column in dataset["Columns"]]
            assert len(set(friendly)) == len(friendly)
            assert all(column["IsIncludedInTopic"] for column in dataset["Columns"])


def test_a_topic_aggregates_as_the_measures_do(stack):
    topic = next(
        item
        for item in list_resources(stack, "AWS::QuickSight::Topic")
        if item.properties["TopicId"] == "anomalake-set-shop"
    )
    how = {
        column["ColumnName"]: column.get("Aggregation")
        for dataset in topic.properties["DataSets"]
        for column in dataset["Columns"]
    }
    expected = {
        "views": "SUM",
        "revenue": "AVERAGE",
        "viewsgroupscore": "MAX",
        "groupscore": "MAX",
        "eventid": "DISTINCT_COUNT",
        "platform": None,
    }
    assert {name: how[name] for name in expected} == expected


def test_the_window_of_a_dashboard_filters_every_dataset_by_partition(stack):
    for resource in list_resources(stack, "AWS::QuickSight::Dashboard"):
        content = resource.properties["Definition"]
        datasets = {declaration["Identifier"] for declaration in content["DataSetIdentifierDeclarations"]}
        filtered = {
            f["NumericEqualityFilter"]["Column"]["DataSetIdentifier"]
            for g in content["FilterGroups"]
            for f in g["Filters"]
            if "NumericEqualityFilter" in f
        }
        assert filtered == datasets
