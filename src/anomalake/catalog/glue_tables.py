"""Glue databases, tables with partition projection, and views, as CloudFormation resources.

Sources: "Partition projection with Amazon Athena" and "LazySimpleSerDe for CSV, TSV" in the Athena guide. A view has
the form that Athena stores and that Trino's `ViewReaderUtil` reads.
"""

import json
from collections.abc import Sequence

from anomalake.catalog import projection, sql
from anomalake.catalog.views import View
from anomalake.cloudformation import ACCOUNT_ID, Node, escape_for_sub, fn_sub
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import FIRST_PROJECTED_TIMESTAMP
from anomalake.lake import layout, tables
from anomalake.lake.layout import GLUE_TABLE_NAMES, Format, Table
from anomalake.lake.live_data import require_source

_PARQUET_STORAGE = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
_TEXT_STORAGE = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}
_LAKE_CSV_STORAGE = {  # cells of the lake's CSV never need a quote or an escape (lake.encoding)
    **_TEXT_STORAGE,
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"field.delim": ","},
    },
}
_JSON_LINES_SERDE: Node = {
    "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
    "Parameters": {"ignore.malformed.json": "TRUE"},
}


def database_resource(name: str, description: str) -> Node:
    """Return a Glue database."""
    properties = {"CatalogId": ACCOUNT_ID, "DatabaseInput": {"Name": fn_sub(name), "Description": description}}
    return {"Type": "AWS::Glue::Database", "Properties": properties}


def _table_resource(database_id: str, table_input: Node) -> Node:
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {"CatalogId": ACCOUNT_ID, "DatabaseName": {"Ref": database_id}, "TableInput": table_input},
    }


def _projection_properties(column: str, date_format: str, date_range: str | Node, step: tuple[int, str]) -> Node:
    number, unit = step
    return {
        "EXTERNAL": "TRUE",
        "projection.enabled": "true",
        f"projection.{column}.type": "date",
        f"projection.{column}.format": date_format,
        f"projection.{column}.range": date_range,
        f"projection.{column}.interval": str(number),
        f"projection.{column}.interval.unit": unit,
    }


def lake_table_resource(metric_set: MetricSet, table: Table, database_id: str) -> Node:
    """Return a table of the lake, partitioned by `date`. The stack's parameter `Format` selects its storage."""
    location = f"s3://${{Bucket}}/{layout.table_folder(table, metric_set)}/"
    schema = tables.schema(table, metric_set)
    date_range = f"{FIRST_PROJECTED_TIMESTAMP:%Y-%m-%d},{projection.RANGE_END}"
    parameters = {
        **_projection_properties("date", "yyyy-MM-dd", date_range, (1, "DAYS")),
        "storage.location.template": fn_sub(f"{location}date=${{!date}}/"),
    }

    def storage(table_format: Format) -> Node:
        columns = [
            {"Name": name.lower(), "Type": "string" if table_format == "csv" else sql.HIVE_TYPES[sql.TRINO_TYPES[kind]]}
            for name, kind in schema
        ]
        return {
            "Columns": columns,
            "Location": fn_sub(location),
            **(_LAKE_CSV_STORAGE if table_format == "csv" else _PARQUET_STORAGE),
        }

    return _table_resource(
        database_id,
        {
            "Name": GLUE_TABLE_NAMES[table],
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "date", "Type": "string"}],
            "Parameters": {
                "Fn::If": [
                    "IsCsv",
                    {**parameters, "classification": "csv", "skip.header.line.count": "1"},
                    {**parameters, "classification": "parquet"},
                ]
            },
            "StorageDescriptor": {"Fn::If": ["IsCsv", storage("csv"), storage("parquet")]},
        },
    )


def live_table_resource(metric_set: MetricSet, database_id: str) -> Node:
    """Return the table of the live data, partitioned by `slot`.

    Every column is a text, because the readers convert no other type safely. A slot is the folder of a day. Where the
    intervals of a day have no folder in common, a slot is the folder of an interval. A partition includes the files of
    subfolders.
    """
    source = require_source(metric_set)
    prefix, pattern, suffix = projection.partition_pattern(source.path)
    step = projection.partition_step(metric_set)
    parameters = _projection_properties("slot", pattern, projection.live_range(pattern), step)
    parameters["storage.location.template"] = fn_sub(f"s3://${{Bucket}}/{prefix}${{!slot}}{suffix}/")
    if source.format == "jsonl":
        parameters["classification"] = "json"
        serde = _JSON_LINES_SERDE
    else:
        parameters |= {"classification": "csv"} | ({"skip.header.line.count": "1"} if source.header else {})
        # No value contains U+0001. With it as the escape character, a backslash in a value remains a backslash.
        options = {"separatorChar": source.delimiter, "quoteChar": source.quote, "escapeChar": "\x01"}
        serde = {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde", "Parameters": options}
    return _table_resource(
        database_id,
        {
            "Name": "live",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "slot", "Type": "string"}],
            "Parameters": parameters,
            "StorageDescriptor": {
                "Columns": [{"Name": column.lower(), "Type": "string"} for column in source.columns],
                "Location": fn_sub(f"s3://${{Bucket}}/{prefix}"),
                **_TEXT_STORAGE,
                "SerdeInfo": serde,
            },
        },
    )


def json_table_resource(name: str, columns: Sequence[tuple[str, str]], folder: str, database_id: str) -> Node:
    """Return a table over the files of a folder that have a JSON object on each line."""
    return _table_resource(
        database_id,
        {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "json"},
            "StorageDescriptor": {
                "Columns": [{"Name": column.lower(), "Type": kind} for column, kind in columns],
                "Location": fn_sub(f"s3://${{Bucket}}/{folder}/"),
                **_TEXT_STORAGE,
                "SerdeInfo": _JSON_LINES_SERDE,
            },
        },
    )


def view_resource(parquet: View, csv: View, database_id: str) -> Node:
    """Return a view, given over Parquet and over CSV tables. `Format` selects one where their SQL differs."""
    original = _view_text(parquet)
    if parquet.sql != csv.sql:
        original = {"Fn::If": ["IsCsv", _view_text(csv), original]}
    return _table_resource(
        database_id,
        {
            # A view has no Description: Trino reads it in place of the parameter `comment`, and then does not
            # recognise the view.
            "Name": parquet.name,
            "TableType": "VIRTUAL_VIEW",
            "PartitionKeys": [],
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "ViewOriginalText": original,
            "ViewExpandedText": "/* Presto View */",
            "StorageDescriptor": {
                "Columns": [
                    {"Name": column.name, "Type": sql.HIVE_TYPES[column.type], "Comment": column.comment[:255]}
                    for column in parquet.columns
                ],
                "Location": "",
                "SerdeInfo": {},
            },
        },
    )


def _view_text(view: View) -> Node:
    """Return the view as Athena stores it: a JSON object in Base64, in a SQL comment."""
    entry = {
        "originalSql": view.sql,
        "catalog": "awsdatacatalog",
        "schema": view.database,
        "columns": [{"name": column.name, "type": column.type} for column in view.columns],
        "runAsInvoker": True,
    }
    encoded = {"Fn::Base64": fn_sub(escape_for_sub(json.dumps(entry, separators=(",", ":"))))}
    return {"Fn::Join": ["", ["/* Presto View: ", encoded, " */"]]}
