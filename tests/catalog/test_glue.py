"""The template of the catalog: its tables and views match the lake and the SQL."""

import base64
import json
from datetime import UTC, datetime

import pytest
import sqlglot

from anomalake.catalog import duckdb_catalog, glue_templates, projection, sql
from anomalake.catalog.saved_queries import saved_queries_of_set, saved_queries_over_all_sets
from anomalake.catalog.views import views_of_set, views_over_all_sets
from anomalake.cloudformation import PREFIX_PLACEHOLDER
from anomalake.domain import metric_set_yaml
from anomalake.lake import encoding, layout, tables
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.ingest import Message, ingest_messages
from anomalake.lake.layout import GLUE_TABLE_NAMES
from examples import alert_body, shop_text

SETS = tuple(
    metric_set_yaml.parse(shop_text(zone, name=f"name: {name}"), name)
    for name, zone in (("shop", "UTC"), ("store", "America/New_York"))
)
RESOURCES = [
    r
    for template in (*map(glue_templates.metric_set_template, SETS), glue_templates.catalog_template(SETS))
    for r in template["Resources"].values()
]


def list_table_inputs(kind: str) -> list[dict]:
    found = [r["Properties"]["TableInput"] for r in RESOURCES if r["Type"] == "AWS::Glue::Table"]
    return [table for table in found if table["TableType"] == kind]


def resolve_format_choices(node):
    """Return both values of a choice by format: (csv, parquet)."""
    return node["Fn::If"][1:] if isinstance(node, dict) and "Fn::If" in node else (node, node)


@pytest.mark.parametrize("side", [0, 1])
def test_a_view_entry_contains_the_sql_and_columns_that_glue_lists(side):
    views = [v for s in SETS for v in views_of_set(s, PREFIX_PLACEHOLDER, ("csv", "parquet")[side])] + list(
        views_over_all_sets(SETS, PREFIX_PLACEHOLDER, ("csv", "parquet")[side])
    )
    assert len(list_table_inputs("VIRTUAL_VIEW")) == len(views) == 2 * 5 + 4
    for table, view in zip(list_table_inputs("VIRTUAL_VIEW"), views, strict=True):
        start, encoded, end = resolve_format_choices(table["ViewOriginalText"])[side]["Fn::Join"][1]
        text = encoded["Fn::Base64"]["Fn::Sub"].replace("${Prefix}", PREFIX_PLACEHOLDER)
        assert len(base64.b64encode(text.encode())) < 409_600
        entry = json.loads(text)
        assert (start, end, entry["originalSql"], entry["schema"]) == (
            "/* Presto View: ",
            " */",
            view.sql,
            view.database,
        )
        listed = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
        assert listed == [(column["name"], sql.HIVE_TYPES[column["type"]]) for column in entry["columns"]]
        (statement,) = sqlglot.parse(view.sql, read="trino")
        assert [column.alias for column in statement.selects] == [name for name, _ in listed]
        assert not list(statement.find_all(sqlglot.exp.Star)) or "joined.*" in view.sql


def test_the_tables_of_the_lake_are_declared_as_they_are_written():
    assert {table["Name"] for table in list_table_inputs("EXTERNAL_TABLE")} == {
        *GLUE_TABLE_NAMES.values(),
        "live",
        "feedback",
        "compaction",
    }
    for table in (
        table for table in list_table_inputs("EXTERNAL_TABLE") if table["Name"] not in {"feedback", "compaction"}
    ):
        for parameters in resolve_format_choices(table["Parameters"]):
            (partition,) = table["PartitionKeys"]
            assert parameters["projection.enabled"] == "true"
            projected = parameters[f"projection.{partition['Name']}.range"]
            assert projected == (
                "2000-01-01,NOW+1DAYS" if partition["Name"] == "date" else projection.live_range("yyyyMMdd")
            )
    for (table, name), declared in zip(
        GLUE_TABLE_NAMES.items(), list_table_inputs("EXTERNAL_TABLE")[: len(GLUE_TABLE_NAMES)], strict=True
    ):
        csv, parquet = resolve_format_choices(declared["StorageDescriptor"])
        assert declared["Name"] == name
        assert [c["Name"] for c in csv["Columns"]] == [c.name.lower() for c in tables.schema(table, SETS[0])]
        assert {c["Type"] for c in csv["Columns"]} == {"string"}
        as_csv, as_parquet = resolve_format_choices(declared["Parameters"])
        assert (as_csv["skip.header.line.count"], "skip.header.line.count" in as_parquet) == ("1", False)
        assert [c["Type"] for c in parquet["Columns"]] == [
            sql.HIVE_TYPES[sql.TRINO_TYPES[c.kind]] for c in tables.schema(table, SETS[0])
        ]


def test_a_name_with_a_dollar_sign_that_cloudformation_substitutes_is_rejected():
    text = json.dumps(RESOURCES)
    own = {
        "Prefix",
        "Bucket",
        "!date",
        "!slot",
        "Year",
        "Month",
        "Day",
        "AWS::Partition",
        "AWS::Region",
        "AWS::AccountId",
    }
    assert {part.split("}")[0] for part in text.split("${")[1:]} <= own


def test_two_metric_sets_never_become_the_same_resource():
    sets = [metric_set_yaml.parse(shop_text(name=f"name: {name}"), name) for name in ("a_1", "a1", "a__1", "all")]
    stacks = [
        r
        for r in glue_templates.catalog_template(sets)["Resources"].values()
        if r["Type"] == "AWS::CloudFormation::Stack"
    ]
    assert len({stack["Properties"]["TemplateURL"] for stack in stacks}) == len(stacks) == 4


SAVED = [(q, item) for item in SETS for q in saved_queries_of_set(item, duckdb_catalog.DEFAULT_PREFIX)] + [
    (q, None) for q in saved_queries_over_all_sets(SETS, duckdb_catalog.DEFAULT_PREFIX)
]


@pytest.mark.parametrize(("query", "item"), SAVED, ids=[query.name for query, _ in SAVED])
def test_a_saved_query_runs_on_an_empty_lake_and_on_a_lake_with_events(tmp_path, query, item):
    assert len(query.description) <= 1024
    columns, rows = duckdb_catalog.query(duckdb_catalog.connect(tmp_path, SETS), query.sql)
    assert rows == []
    now = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    for metric_set in SETS:
        body = alert_body(
            timestamp=f"{now:%Y-%m-%dT%H:%M}Z",
            anomalyDetectorArn=f"arn:aws:lookoutmetrics:eu-west-1:1:AnomalyDetector:{metric_set.name}",
        )
        assert ingest_messages([Message("m", body)], FolderStore(tmp_path), SETS, "parquet").stored
        point = ("pc_web|us", now, "pc_web", "us", "views", 812.25, 400.0, 300.0, 500.0, 71.5, None)
        for table, row in (("observations", point), ("dataHealth", (now, "thin", 9, 21, 9, 9, 0))):
            data = encoding.encode_records("parquet", tables.schema(table, metric_set), [row])
            FolderStore(tmp_path).put(layout.table_key(table, metric_set, now, "parquet"), data)
    again, rows = duckdb_catalog.query(duckdb_catalog.connect(tmp_path, SETS), query.sql)
    assert (again, len(rows) > 0) == (columns, True)
    assert (item is None) == (query.database == duckdb_catalog.DEFAULT_PREFIX)
