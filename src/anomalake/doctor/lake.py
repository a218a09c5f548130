"""Checks of the deployed lake and its catalog: is it there, is it as this checkout declares it, is there anything in it."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from anomalake.catalog.views import database
from anomalake.doctor.context import (
    Answer,
    Context,
    Finding,
    call_all_pages,
    call_aws,
    declared_catalog,
    join_first,
    query_results_location,
)
from anomalake.domain import time_patterns
from anomalake.lake import layout, live_data


def _tables_in_database(context: Context, name: str) -> dict[str, Answer] | None:
    """A database's tables and views; None where there is no such database."""
    found = call_all_pages(context, "glue", "get_tables", "TableList", DatabaseName=name)
    return None if found is None else {table["Name"]: table for table in found}


def _columns(table: Answer) -> dict[str, str]:
    return {
        column["Name"].lower(): column.get("Type", "")
        for column in table.get("StorageDescriptor", {}).get("Columns", [])
    }


def check_catalog(context: Context) -> Iterator[Finding]:
    """The declared tables and views against those of this checkout's metric sets."""
    remedy = "run `anomalake render` and deploy again; or the deployed version is older than this checkout"
    for name, wanted in declared_catalog(context).items():
        there = _tables_in_database(context, name)
        if there is None:
            yield Finding("problem", f"there is no database {name!r}", remedy)
            continue
        differences = [f"{table} is missing" for table in wanted if table not in there]
        for table, whole in wanted.items():
            columns = _columns(there[table]) if table in there else whole.columns
            differences += [f"{table} lacks {column}" for column in whole.columns if column not in columns]
            differences += [f"{table} has {column}, unknown here" for column in columns if column not in whole.columns]
            differences += [
                f"{table}.{column} is {columns[column]}, not {kind}"
                for column, kind in whole.columns.items()
                if column in columns and columns[column] != kind
            ]
        if differences:
            yield Finding("problem", f"{name}: {join_first(differences)}", remedy)
        else:
            yield Finding("ok", f"{name}: {len(wanted)} tables and views as the metric sets give them")


def check_crawled(context: Context) -> Iterator[Finding]:
    """What the crawlers saw in the files against what is declared."""
    everything = declared_catalog(context)
    for item in context.settings.sets:
        crawler = f"{context.prefix}_{item.name}"
        there = _tables_in_database(context, f"{crawler}_crawled")
        if not there:
            crawl = (call_aws(context, "glue", "get_crawler", Name=crawler) or {"Crawler": {}})["Crawler"].get(
                "LastCrawl", {}
            )
            if crawl.get("Status") == "FAILED":
                found = f"the crawler {crawler} failed: {crawl.get('ErrorMessage', 'no reason given')}"
                yield Finding(
                    "problem", found, "look at its log and its role's permissions (S3, Lake Formation, kms:Decrypt)"
                )
            else:
                remedy = f"to compare, start it when there is data: `aws glue start-crawler --name {crawler} --region {context.settings.region}`"
                yield Finding("skipped", f"the crawler {crawler} has written no tables yet", remedy)
            continue
        compared, differences = 0, []
        for name, wanted in everything[database(context.prefix, item)].items():
            place = f"s3://{context.output('DataBucket')}/{wanted.folder}/"
            for table in there.values():
                if wanted.folder and f"{table.get('StorageDescriptor', {}).get('Location', '')}/".startswith(place):
                    compared += 1
                    differences += [
                        f"{name} {difference}"
                        for difference in _column_differences(list(_columns(table)), list(wanted.columns))
                    ]
        if differences:
            remedy = "files of another layout lie in that folder: mend them, or change the metric set, raise `version` and deploy again"
            yield Finding("problem", f"{crawler}_crawled: {join_first(differences)}", remedy)
        elif not compared:
            yield Finding(
                "warning",
                f"{crawler}_crawled: no table of the folders of {item.path}",
                f"run the crawler {crawler} again",
            )
        else:
            yield Finding("ok", f"{crawler}_crawled: {compared} tables have the declared columns")


def _column_differences(files: Sequence[str], declared: Sequence[str]) -> list[str]:
    """How the files' columns differ. A CSV file whose header the crawler did not recognise has `col0`, `col1`: only their number says something."""
    if all(re.fullmatch(r"col\d+", column) for column in files):
        return (
            []
            if len(files) == len(declared)
            else [f"has {len(files)} columns in the files, {len(declared)} are declared"]
        )
    lacking = [f"is declared with {column}, which the files lack" for column in declared if column not in files]
    return lacking + [f"has {column} in the files, which is not declared" for column in files if column not in declared]


def check_workgroup(context: Context) -> Iterator[Finding]:
    """Source: "GetWorkGroup" in the Athena API."""
    name = context.output("WorkGroup") or context.prefix
    answer = call_aws(context, "athena", "get_work_group", WorkGroup=name)
    again = "deploy again, so that the stack sets it right"
    if answer is None:
        yield Finding("problem", f"there is no workgroup {name!r}", again)
        return
    group, configuration = answer["WorkGroup"], answer["WorkGroup"].get("Configuration", {})
    engine = configuration.get("EngineVersion", {}).get("EffectiveEngineVersion", "")
    wrong = [
        told
        for good, told in (
            (group.get("State") == "ENABLED", "it is disabled, so QuickSight cannot use it"),
            (query_results_location(group), "it has no location for query results"),
            (engine in {"", "Athena engine version 3"}, f"it runs {engine}; the views need Athena engine version 3"),
        )
        if not good
    ]
    if wrong:
        yield Finding("problem", f"the workgroup {name!r}: {'; '.join(wrong)}", again)
    elif not configuration.get("EnforceWorkGroupConfiguration"):
        yield Finding("warning", f"the workgroup {name!r} lets clients override its location and its limits", again)
    else:
        yield Finding("ok", f"the workgroup {name!r} writes to {query_results_location(group)}")


def check_data(context: Context) -> Iterator[Finding]:
    """Whether anything is there to show."""
    bucket = context.output("DataBucket")
    if _count_objects(context, "") is None:
        yield Finding(
            "problem", f"there is no bucket {bucket!r}", "deploy again; a bucket that was deleted takes a new stack"
        )
        return
    for item in context.settings.sets:
        if item.source and not _count_objects(context, time_patterns.parse_folder_pattern(item.source.path).prefix):
            place = f"s3://{bucket}/{live_data.interval_folder(item, datetime(2021, 2, 17))}/"
            yield Finding(
                "warning",
                f"{item.name}: there is no live data",
                f"put each interval's file in its folder, such as {place}",
            )
        elif _count_objects(context, layout.table_folder("metricValue_AnomalyScore", item) + "/"):
            yield Finding("ok", f"{item.name}: there are anomalies{' and live data' if item.source else ''}")
        elif item.source:
            remedy = "the detector needs some history, and there may be nothing unusual; if it lasts, look at its log and docs/detector.md"
            yield Finding("warning", f"{item.name}: live data, but no anomalies", remedy)
        else:
            yield Finding(
                "warning", f"{item.name}: no alert has arrived", "send some; docs/alerts.md says which and how"
            )
    if refused := _count_objects(context, "quarantine/", 1000):
        number = f"{refused:,}{' or more' if refused == 1000 else ''}"
        yield Finding(
            "warning",
            f"{number} events lie in s3://{bucket}/quarantine/",
            "each says why in `reason`; docs/alerts.md says what to do",
        )


def _count_objects(context: Context, prefix: str, most: int = 1) -> int | None:
    """How many objects the bucket's first page holds under a prefix; None where there is no such bucket."""
    answer = call_aws(
        context, "s3", "list_objects_v2", Bucket=context.output("DataBucket"), Prefix=prefix, MaxKeys=most
    )
    return None if answer is None else len(answer.get("Contents", []))
