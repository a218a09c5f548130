"""Checks of the deployed lake and its catalog: do they exist, do they match this checkout, do they have data."""

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
    join_first,
    query_results_location,
)
from anomalake.doctor.declared import DeclaredTable, declared_catalog
from anomalake.domain import time_patterns
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import layout, live_data

RENDER_AND_DEPLOY = "run `anomalake render` and deploy again; or the deployed version is older than this checkout"
_MAX_KEYS = 1_000  # of a page of ListObjectsV2


def _tables_in_database(context: Context, name: str) -> dict[str, Answer] | None:
    """Return the tables and views of a database by name; None if the database does not exist."""
    tables = call_all_pages(context, "glue", "get_tables", "TableList", DatabaseName=name)
    return None if tables is None else {table["Name"]: table for table in tables}


def _columns(table: Answer) -> dict[str, str]:
    """Return the types of a table's columns by name, in lower case."""
    columns = table.get("StorageDescriptor", {}).get("Columns", [])
    return {column["Name"].lower(): column.get("Type", "") for column in columns}


def check_catalog(context: Context) -> Iterator[Finding]:
    """Compare the deployed tables and views with those that the metric sets of this checkout declare."""
    for name, declared in declared_catalog(context).items():
        deployed = _tables_in_database(context, name)
        if deployed is None:
            yield Finding("problem", f"there is no database '{name}'", RENDER_AND_DEPLOY)
            continue
        differences = [f"{table} is missing" for table in declared if table not in deployed]
        for table, declaration in declared.items():
            if table in deployed:
                differences += _type_differences(table, _columns(deployed[table]), declaration)
        if differences:
            yield Finding("problem", f"{name}: {join_first(differences)}", RENDER_AND_DEPLOY)
        else:
            yield Finding("ok", f"{name}: {len(declared)} tables and views match the metric sets")


def _type_differences(table: str, columns: dict[str, str], declared: DeclaredTable) -> list[str]:
    return [
        *(f"{table} lacks {column}" for column in declared.columns if column not in columns),
        *(f"{table} has {column}, which is not declared" for column in columns if column not in declared.columns),
        *(
            f"{table}.{column} is {columns[column]}, not {kind}"
            for column, kind in declared.columns.items()
            if column in columns and columns[column] != kind
        ),
    ]


def check_crawled(context: Context) -> Iterator[Finding]:
    """Compare the columns that the crawlers found in the files with the declared columns."""
    catalog = declared_catalog(context)
    for metric_set in context.settings.sets:
        crawler = f"{context.prefix}_{metric_set.name}"
        tables = _tables_in_database(context, f"{crawler}_crawled")
        if tables:
            declared = catalog[database(context.prefix, metric_set)]
            yield _compare_crawled(context, metric_set, list(tables.values()), declared)
        else:
            yield _without_crawled_tables(context, crawler)


def _without_crawled_tables(context: Context, crawler: str) -> Finding:
    answer = call_aws(context, "glue", "get_crawler", Name=crawler) or {"Crawler": {}}
    crawl = answer["Crawler"].get("LastCrawl", {})
    if crawl.get("Status") == "FAILED":
        found = f"the crawler {crawler} failed: {crawl.get('ErrorMessage', 'no reason given')}"
        remedy = "check its log and the permissions of its role (S3, Lake Formation, kms:Decrypt)"
        return Finding("problem", found, remedy)
    command = f"aws glue start-crawler --name {crawler} --region {context.settings.region}"
    remedy = f"to compare, start it when there is data: `{command}`"
    return Finding("skipped", f"the crawler {crawler} has not written any tables yet", remedy)


def _compare_crawled(
    context: Context, metric_set: MetricSet, crawled: Sequence[Answer], declared: dict[str, DeclaredTable]
) -> Finding:
    crawler = f"{context.prefix}_{metric_set.name}"
    compared, differences = 0, list[str]()
    for name, declaration in declared.items():
        folder = f"s3://{context.output('DataBucket')}/{declaration.folder}/"
        for table in crawled:
            location = f"{table.get('StorageDescriptor', {}).get('Location', '')}/"
            if declaration.folder and location.startswith(folder):
                compared += 1
                column_differences = _column_differences(list(_columns(table)), list(declaration.columns))
                differences += [f"{name} {difference}" for difference in column_differences]
    if differences:
        remedy = (
            "the folder has files of another layout: fix them, "
            "or change the metric set, increase its `version` and deploy again"
        )
        return Finding("problem", f"{crawler}_crawled: {join_first(differences)}", remedy)
    if not compared:
        found = f"{crawler}_crawled: no table of the folders of {metric_set.path}"
        return Finding("warning", found, f"run the crawler {crawler} again")
    return Finding("ok", f"{crawler}_crawled: {compared} tables have the declared columns")


def _column_differences(files: Sequence[str], declared: Sequence[str]) -> list[str]:
    """Return how the columns of files differ from the declared ones.

    The crawler names columns `col0`, `col1`, ... if it does not recognize the header of a CSV file. Then only their
    number is compared.
    """
    if all(re.fullmatch(r"col\d+", column) for column in files):
        if len(files) == len(declared):
            return []
        return [f"has {len(files)} columns in the files, {len(declared)} are declared"]
    lacking = [f"is declared with {column}, which the files lack" for column in declared if column not in files]
    return lacking + [f"has {column} in the files, which is not declared" for column in files if column not in declared]


def check_workgroup(context: Context) -> Iterator[Finding]:
    """Check that QuickSight can use the Athena workgroup. Source: "GetWorkGroup" in the Athena API."""
    name = context.output("WorkGroup") or context.prefix
    answer = call_aws(context, "athena", "get_work_group", WorkGroup=name)
    deploy = "deploy again, so that the stack configures it"
    if answer is None:
        yield Finding("problem", f"there is no workgroup '{name}'", deploy)
        return
    workgroup = answer["WorkGroup"]
    configuration = workgroup.get("Configuration", {})
    engine = configuration.get("EngineVersion", {}).get("EffectiveEngineVersion", "")
    problems = []
    if workgroup.get("State") != "ENABLED":
        problems.append("it is disabled, so QuickSight cannot use it")
    if not query_results_location(workgroup):
        problems.append("it has no location for query results")
    if engine not in {"", "Athena engine version 3"}:
        problems.append(f"it runs {engine}; the views need Athena engine version 3")
    if problems:
        yield Finding("problem", f"the workgroup '{name}': {'; '.join(problems)}", deploy)
    elif not configuration.get("EnforceWorkGroupConfiguration"):
        yield Finding("warning", f"the workgroup '{name}' lets clients override its location and its limits", deploy)
    else:
        yield Finding("ok", f"the workgroup '{name}' writes to {query_results_location(workgroup)}")


def check_data(context: Context) -> Iterator[Finding]:
    """Check that each metric set has live data and anomalies, and that the quarantine is empty."""
    bucket = context.output("DataBucket")
    if _count_objects(context, "") is None:
        remedy = "deploy again; if the bucket was deleted, deploy a new stack"
        yield Finding("problem", f"there is no bucket '{bucket}'", remedy)
        return
    for metric_set in context.settings.sets:
        yield _check_data_of(context, metric_set)
    if quarantined := _count_objects(context, f"{layout.QUARANTINE_FOLDER}/", _MAX_KEYS):
        number = f"{quarantined:,}{' or more' if quarantined == _MAX_KEYS else ''}"
        found = f"{number} events are in s3://{bucket}/{layout.QUARANTINE_FOLDER}/"
        remedy = "the field `reason` of each event says why; docs/alerts.md says what to do"
        yield Finding("warning", found, remedy)


def _check_data_of(context: Context, metric_set: MetricSet) -> Finding:
    name, source, bucket = metric_set.name, metric_set.source, context.output("DataBucket")
    if source and not _count_objects(context, time_patterns.parse_folder_pattern(source.path).prefix):
        folder = live_data.interval_folder(metric_set, datetime(2021, 2, 17))
        remedy = f"upload the file of each interval to its folder, such as s3://{bucket}/{folder}/"
        return Finding("warning", f"{name}: there is no live data", remedy)
    if _count_objects(context, layout.table_folder("metricValue_AnomalyScore", metric_set) + "/"):
        return Finding("ok", f"{name}: there are anomalies{' and live data' if source else ''}")
    if source:
        remedy = (
            "the detector needs some history, and there may be nothing unusual; "
            "if this persists, check its log and docs/detector.md"
        )
        return Finding("warning", f"{name}: live data, but no anomalies", remedy)
    return Finding("warning", f"{name}: no alert has arrived", "send alerts; docs/alerts.md says which and how")


def _count_objects(context: Context, prefix: str, max_keys: int = 1) -> int | None:
    """Return the number of objects under a prefix, at most `max_keys`; None if the bucket does not exist."""
    bucket = context.output("DataBucket")
    answer = call_aws(context, "s3", "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=max_keys)
    return None if answer is None else len(answer.get("Contents", []))
