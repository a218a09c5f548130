"""The QuickSight resources: valid in the service's own model, and every name refers to something that exists."""

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
    own = json.loads(json.dumps(resource.properties))
    match resource.type.rpartition("::")[2]:
        case "DataSet":
            own.pop("IngestionWaitPolicy")
            own["FieldFolders"] = {name: {"columns": folder["Columns"]} for name, folder in own["FieldFolders"].items()}
            return "CreateDataSet", {key: value for key, value in own.items() if key != "DataSetRefreshProperties"}
        case "RefreshSchedule":
            frequency = own["Schedule"]["ScheduleFrequency"]
            frequency["Timezone"] = frequency.pop("TimeZone")
            return "CreateRefreshSchedule", own
        case "Topic":
            outer = {key: own.pop(key) for key in ("AwsAccountId", "TopicId", "FolderArns")}
            return "CreateTopic", {**outer, "Topic": own}
        case kind:
            return f"Create{kind}", own


def test_every_resource_is_valid_in_the_quicksight_service_model(template_file):
    made = expand(template_file, **OWNER, QuickSightReader="group/default/r", QuickSightImportMode="SPICE")
    seen = set()
    for resource in made.values():
        if "QuickSight" not in resource.type:
            continue
        operation, parameters = to_api_call(resource)
        shape = SERVICE.operation_model(operation).input_shape
        assert botocore.validate.ParamValidator().validate(parameters, shape).generate_report() == "", resource.path
        assert list_problems(shape, parameters) == [], resource.path
        seen.add(operation)
    assert len(seen) == 7
    refresh = SERVICE.operation_model("PutDataSetRefreshProperties").input_shape.members["DataSetRefreshProperties"]
    for dataset in list_resources(made, "AWS::QuickSight::DataSet"):
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
            one["TagColumnOperation"] for one in dataset.properties["LogicalTableMap"]["described"]["DataTransforms"]
        ]
        assert [one["ColumnName"] for one in described] == names
        assert all(one["Tags"][0]["ColumnDescription"]["Text"] for one in described)


def find_broken_references(made: dict[str, Any], columns: dict[str, set[str]]) -> list[str]:
    """The names in a definition that do not resolve or are used twice, and the visuals that overlap."""
    found = []
    columns = {name: set(known) for name, known in columns.items()}
    for calculated in made["CalculatedFields"]:
        known = columns[calculated["DataSetIdentifier"]]
        found += [
            f"calculated field {calculated['Name']}: {c}"
            for c in re.findall(r"(?<!\$)\{([^}]*)\}", calculated["Expression"])
            if c not in known
        ]
        parameters = {p["Name"] for d in made["ParameterDeclarations"] for p in d.values()}
        found += [
            f"calculated field {calculated['Name']}: ${p}"
            for p in re.findall(r"\$\{([^}]*)\}", calculated["Expression"])
            if p not in parameters
        ]
    for calculated in made["CalculatedFields"]:
        columns[calculated["DataSetIdentifier"]].add(calculated["Name"])
    found += [
        f"column {one}"
        for one in find_values(made, "Column")
        if one["ColumnName"] not in columns.get(one["DataSetIdentifier"], ())
    ]
    for name in ("VisualId", "FilterGroupId", "FilterId", "FilterControlId", "ParameterControlId"):
        own = [value for value in find_values(made, name) if isinstance(value, str)]
        found += [f"{name} {value} twice" for value, count in Counter(own).items() if count > 1]
    sheets = {
        sheet["SheetId"]: {body["VisualId"] for visual in sheet["Visuals"] for body in visual.values()}
        for sheet in made["Sheets"]
    }
    found += ["the id of a sheet twice"] if len(sheets) < len(made["Sheets"]) else []
    for scope in (one for scopes in find_values(made, "SheetVisualScopingConfigurations") for one in scopes):
        missing = set(scope.get("VisualIds", ())) - sheets.get(scope["SheetId"], set())
        found += [f"scope {scope}"] if scope["SheetId"] not in sheets or missing else []
    filters, parameters = set(find_values(made, "FilterId")), set(find_values(made["ParameterDeclarations"], "Name"))
    found += [f"control of {one}" for one in find_values(made, "SourceFilterId") if one not in filters]
    found += [f"parameter {one}" for one in find_values(made, "SourceParameterName") if one not in parameters]
    for sheet in made["Sheets"]:
        elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
        found += [f"element {one['ElementId']}" for one in elements if one["ElementId"] not in sheets[sheet["SheetId"]]]
        found += [
            f"visual {one} without a position"
            for one in sheets[sheet["SheetId"]] - {element["ElementId"] for element in elements}
        ]
        taken: set[tuple[int, int]] = set()
        for one in elements:
            cells = {
                (c, r)
                for c in range(one["ColumnIndex"], one["ColumnIndex"] + one["ColumnSpan"])
                for r in range(one["RowIndex"], one["RowIndex"] + one["RowSpan"])
            }
            found += (
                [f"{one['ElementId']} overlaps another, or lies outside"]
                if cells & taken or max(c for c, _ in cells) > 35
                else []
            )
            taken |= cells
        for visual in sheet["Visuals"]:
            ((_, body),) = visual.items()
            wells = set(find_values(body["ChartConfiguration"]["FieldWells"], "FieldId"))
            found += [f"field {one} of {body['VisualId']}" for one in find_values(body, "FieldId") if one not in wells]
    return found


def list_dataset_columns(stack: dict[str, Resource], declarations: list[dict[str, Any]]) -> dict[str, set[str]]:
    datasets = {
        f"arn:aws:quicksight:{REGION}:{ACCOUNT}:dataset/{d.properties['DataSetId']}": {
            c["Name"] for c in find_values(d.properties, "InputColumns")[0]
        }
        for d in list_resources(stack, "AWS::QuickSight::DataSet")
    }
    return {one["Identifier"]: datasets[one["DataSetArn"]] for one in declarations}


def test_every_reference_in_an_analysis_or_dashboard_resolves(stack):
    for resource in [
        *list_resources(stack, "AWS::QuickSight::Analysis"),
        *list_resources(stack, "AWS::QuickSight::Dashboard"),
    ]:
        made = resource.properties["Definition"]
        assert find_broken_references(made, list_dataset_columns(stack, made["DataSetIdentifierDeclarations"])) == [], (
            resource.path
        )
        assert len(made["Sheets"]) <= 20
        assert all(len(sheet["Visuals"]) <= 50 for sheet in made["Sheets"])


def test_the_check_of_references_finds_broken_references(stack):
    item = METRIC_SETS[0]
    made = definition.build_set_definition(item, definition.rolling_window(item))
    columns = {
        view.name: {column.name for column in view.columns} for view in views_of_set(item, "anomalake", "parquet")
    }
    assert find_broken_references(made, columns) == []
    text = json.dumps(made)
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
        made = resource.properties["Definition"]
        datasets = {one["Identifier"] for one in made["DataSetIdentifierDeclarations"]}
        filtered = {
            f["NumericEqualityFilter"]["Column"]["DataSetIdentifier"]
            for g in made["FilterGroups"]
            for f in g["Filters"]
            if "NumericEqualityFilter" in f
        }
        assert filtered == datasets
