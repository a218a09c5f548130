"""The catalog as a CloudFormation template: Glue databases, tables with partition projection, and views in the form in which Athena stores them.

Sources: "Partition projection with Amazon Athena" and "LazySimpleSerDe for CSV, TSV" in the Athena guide; the view entries are as Trino's
`ViewReaderUtil` reads them.
"""

import json
from collections.abc import Sequence
from typing import Any

from anomalake import patterns
from anomalake.alert import EARLIEST
from anomalake.catalog import sql
from anomalake.catalog.views import View, database, views, views_of_all
from anomalake.lake import layout, tables
from anomalake.lake.layout import GLUE_NAMES, Format, Table
from anomalake.live import source_of
from anomalake.metric_set import MetricSet

PREFIX = "prefixofthestack"  # what names begin with, until `_sub` leaves it to the stack
LIVE_FROM = EARLIEST.replace(year=2020)  # the first folder of live data that Athena looks for
Node = dict[str, Any]

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
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "Parameters": {"field.delim": ","}},
}


def template(sets: Sequence[MetricSet]) -> Node:
    """The template of the catalog stack. Parameters: Prefix, Bucket, Format."""
    resources: Node = {"AllDatabase": _database(PREFIX, "Views over all metric sets.")}
    for item in sets:
        base = "Set" + item.name[0].upper() + item.name[1:].replace("_", "U")  # names are lower case, so no two become one
        resources[f"{base}Database"] = _database(database(PREFIX, item), item.description or f"Anomalies and live data of {item.label or item.name}.")
        for table in GLUE_NAMES:
            resources[f"{base}{_logical(GLUE_NAMES[table])}"] = _lake_table(item, table, f"{base}Database")
        if item.source is not None:
            resources[f"{base}Live"] = _live_table(item, f"{base}Database")
        for parquet, csv in zip(views(item, PREFIX, "parquet"), views(item, PREFIX, "csv"), strict=True):
            resources[f"{base}{_logical(parquet.name)}"] = _view(parquet, csv, f"{base}Database")
    for parquet, csv in zip(views_of_all(sets, PREFIX, "parquet"), views_of_all(sets, PREFIX, "csv"), strict=True):
        resources[_logical(parquet.name)] = _view(parquet, csv, "AllDatabase")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Anomalake's catalog. Rendered by `anomalake render` from src/metric_sets; edit those.",
        "Parameters": {
            "Prefix": {
                "Type": "String", "Default": "anomalake", "AllowedPattern": "^[a-z][a-z0-9]{0,19}$", "Description": "what names begin with",
                "ConstraintDescription": "a letter a-z, then up to 19 of a-z and 0-9",
            },
            "Bucket": {"Type": "String", "Description": "bucket of the lake and of the live data"},
            "Format": {"Type": "String", "Default": "parquet", "AllowedValues": ["parquet", "csv"], "Description": "format of the lake's tables"},
        },
        "Conditions": {"IsCsv": {"Fn::Equals": [{"Ref": "Format"}, "csv"]}},
        "Resources": resources,
    }  # fmt: skip


def _sub(text: str) -> Node:
    """A text in which the stack's parameters stand."""
    return {"Fn::Sub": text.replace(PREFIX, "${Prefix}")}


def _logical(name: str) -> str:
    """A CloudFormation logical id."""
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))


def _database(name: str, description: str) -> Node:
    properties = {"CatalogId": {"Ref": "AWS::AccountId"}, "DatabaseInput": {"Name": _sub(name), "Description": description}}
    return {"Type": "AWS::Glue::Database", "Properties": properties}


def _table(owner: str, properties: Node) -> Node:
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {"CatalogId": {"Ref": "AWS::AccountId"}, "DatabaseName": {"Ref": owner}, "TableInput": properties},
    }


def _projection(column: str, form: str, first: str, step: tuple[int, str]) -> Node:
    number, unit = step
    return {
        "EXTERNAL": "TRUE",
        "projection.enabled": "true",
        f"projection.{column}.type": "date",
        f"projection.{column}.format": form,
        f"projection.{column}.range": f"{first},NOW+1DAYS",  # folders are local, NOW is UTC
        f"projection.{column}.interval": str(number),
        f"projection.{column}.interval.unit": unit,
    }


def _lake_table(metric_set: MetricSet, table: Table, owner: str) -> Node:
    location = f"s3://${{Bucket}}/{layout.folder(table, metric_set)}/"
    columns = tables.schema(table, metric_set)
    projection = _projection("date", "yyyy-MM-dd", f"{EARLIEST:%Y-%m-%d}", (1, "DAYS"))
    place = {"storage.location.template": _sub(f"{location}date=${{!date}}/")}

    def storage(kept: Format) -> Node:
        kinds = {name: "string" if kept == "csv" else sql.HIVE[sql.TRINO[kind]] for name, kind in columns}
        listed = [{"Name": name.lower(), "Type": kind} for name, kind in kinds.items()]
        return {"Columns": listed, "Location": _sub(location), **(_LAKE_CSV if kept == "csv" else _PARQUET)}

    return _table(
        owner,
        {
            "Name": GLUE_NAMES[table],
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "date", "Type": "string"}],
            "Parameters": {
                "Fn::If": [
                    "IsCsv",
                    {**projection, **place, "classification": "csv", "skip.header.line.count": "1"},
                    {**projection, **place, "classification": "parquet"},
                ]
            },
            "StorageDescriptor": {"Fn::If": ["IsCsv", storage("csv"), storage("parquet")]},
        },
    )


def _live_table(metric_set: MetricSet, owner: str) -> Node:
    """The live data; every column a text (its reader types nothing else safely), the interval's folder as the partition column `slot`."""
    source = source_of(metric_set)
    prefix, pattern, suffix = patterns.folder_pattern(source.path)
    steps = {"P1D": (1, "DAYS"), "PT1H": (1, "HOURS"), "PT10M": (10, "MINUTES"), "PT5M": (5, "MINUTES")}
    first = LIVE_FROM.strftime(patterns.python_format(pattern))
    parameters = _projection("slot", pattern, first, steps[metric_set.frequency])
    parameters["storage.location.template"] = _sub(f"s3://${{Bucket}}/{prefix}${{!slot}}{suffix}/")
    if source.format == "jsonl":
        parameters["classification"] = "json"
        serde: Node = {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": {"ignore.malformed.json": "TRUE"}}
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
                "Location": _sub(f"s3://${{Bucket}}/{prefix}"),
                **_TEXT,
                "SerdeInfo": serde,
            },
        },
    )


def _view(parquet: View, csv: View, owner: str) -> Node:
    def text(view: View) -> Node:
        columns = [{"name": column.name, "type": column.type} for column in view.columns]
        entry = {"originalSql": view.sql, "catalog": "awsdatacatalog", "schema": view.database, "columns": columns}
        return {"Fn::Join": ["", ["/* Presto View: ", {"Fn::Base64": _sub(json.dumps(entry, separators=(",", ":")))}, " */"]]}

    original = text(parquet) if parquet.sql == csv.sql else {"Fn::If": ["IsCsv", text(csv), text(parquet)]}
    return _table(
        owner,
        {
            "Name": parquet.name,
            "Description": parquet.comment,
            "TableType": "VIRTUAL_VIEW",
            "PartitionKeys": [],
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "ViewOriginalText": original,
            "ViewExpandedText": "/* Presto View */",
            "StorageDescriptor": {
                "Columns": [{"Name": c.name, "Type": sql.HIVE[c.type], "Comment": c.comment[:255]} for c in parquet.columns],
                "Location": "",
                "SerdeInfo": {},
            },
        },
    )
