"""Checks of the deployed QuickSight assets: may their role read the lake, are they whole, does the owner see them."""

from collections.abc import Iterator

from anomalake.catalog.views import views_of_set, views_over_all_sets
from anomalake.dashboards.quicksight import all_sets_resource_id, dataset_id, resource_id
from anomalake.doctor.account import parse_principal
from anomalake.doctor.context import (
    Answer,
    Context,
    Finding,
    call_all_pages,
    call_aws,
    call_quicksight,
    declared_catalog,
    join_first,
    query_results_location,
)
from anomalake.domain import time_patterns
from anomalake.lake import layout

_MAX_INGESTION_PAGES = 2  # of a hundred refreshes of a dataset


def check_access(context: Context) -> Iterator[Finding]:
    """What the QuickSight role's policies allow. Source: "SimulatePrincipalPolicy" in the IAM API; a bucket's own policy is not simulated."""
    bucket, group = context.output("DataBucket"), context.output("WorkGroup") or context.prefix
    workgroup = (call_aws(context, "athena", "get_work_group", WorkGroup=group) or {"WorkGroup": {}})["WorkGroup"]
    written = query_results_location(workgroup) or f"s3://{bucket}/athena-results/"
    where = f"{context.settings.region}:{context.account}"
    s3, glue = f"arn:{context.partition}:s3:::", f"arn:{context.partition}:glue:{where}:"
    catalog = [
        f"{glue}catalog",
        *(f"{glue}{arn}" for name in declared_catalog(context) for arn in (f"database/{name}", f"table/{name}/any")),
    ]
    wanted = (
        (["s3:ListBucket", "s3:GetBucketLocation"], [f"{s3}{bucket}"]),
        (["s3:GetObject"], [f"{s3}{bucket}/{layout.RESULTS_FOLDER}/any", *(f"{s3}{bucket}/{time_patterns.parse_folder_pattern(item.source.path).prefix}any"
                                                                   for item in context.settings.sets if item.source)]),
        (["s3:GetObject", "s3:PutObject"], [s3 + written.removeprefix("s3://").rstrip("/") + "/any"]),
        (["athena:StartQueryExecution", "athena:GetQueryResults"], [f"arn:{context.partition}:athena:{where}:workgroup/{group}"]),
        (["glue:GetTable"], catalog),
    )  # fmt: skip
    below = [
        {
            "ContextKeyName": "s3:prefix",
            "ContextKeyValues": [f"{layout.RESULTS_FOLDER}/any"],
            "ContextKeyType": "string",
        }
    ]  # what a listing asks for
    denied: list[str] = []
    unsure: list[str] = []
    for actions, resources in wanted:
        answer = call_aws(
            context,
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=context.role,
            ActionNames=actions,
            ResourceArns=resources,
            ContextEntries=below,
        )
        if answer is None:
            yield Finding("problem", f"there is no role {context.role}", "deploy again, so that the stack makes it")
            return
        for result in answer.get("EvaluationResults", []):
            if result["EvalDecision"] != "allowed":
                told = f"{result['EvalActionName']} on {result.get('EvalResourceName', resources[0])}"
                (unsure if result.get("MissingContextValues") else denied).append(told)
    if denied:
        remedy = f"allow it to {context.role}, which the stack makes: deploy again, and look for a permissions boundary or an organization's policy"
        yield Finding("problem", f"the QuickSight role may not {join_first(denied)}", remedy)
    elif unsure:
        yield Finding(
            "warning",
            f"whether the QuickSight role may {join_first(unsure)} depends on conditions",
            "see the role's policies",
        )
    else:
        yield Finding(
            "ok",
            "the QuickSight role may read the lake and run queries (a bucket's or key's own policy that denies is out of sight here)",
        )


def _analysis_ids(context: Context) -> list[str]:
    """Of the analyses, and of the dashboards."""
    return [
        *(resource_id(item, context.prefix) for item in context.settings.sets),
        all_sets_resource_id(context.prefix),
    ]


def check_data_source(context: Context) -> Iterator[Finding]:
    """Whether QuickSight could connect to Athena when the data source was made."""
    answer = call_quicksight(context, "describe_data_source", DataSourceId=context.prefix)
    if answer is None:
        yield Finding(
            "problem", f"there is no QuickSight data source {context.prefix!r}", "deploy again with QuickSightOwner"
        )
        return
    source = answer["DataSource"]
    if source["Status"].endswith("_FAILED"):
        error = source.get("ErrorInfo", {})
        remedy = "mostly a permission of the QuickSight role: see `access` and `lake-formation` here; then deploy again"
        yield Finding(
            "problem",
            f"the data source is {source['Status']}: {error.get('Type', '')} {error.get('Message', '')}".rstrip(),
            remedy,
        )
    else:
        yield Finding("ok", f"the data source is {source['Status']}")


def check_datasets(context: Context) -> Iterator[Finding]:
    """That they are there, and of those in SPICE the last refresh."""
    there = {
        one["DataSetId"]: one
        for one in call_all_pages(
            context, "quicksight", "list_data_sets", "DataSetSummaries", AwsAccountId=context.account
        )
        or []
    }
    wanted = [
        dataset_id(item, view.name, context.prefix)
        for item in context.settings.sets
        for view in views_of_set(item, context.prefix, "parquet")
    ]
    wanted += [
        dataset_id(None, view.name, context.prefix)
        for view in views_over_all_sets(context.settings.sets, context.prefix, "parquet")
    ]
    if missing := [name for name in wanted if name not in there]:
        yield Finding(
            "problem", f"datasets are missing: {join_first(missing)}", "run `anomalake render` and deploy again"
        )
    else:
        yield Finding("ok", f"{len(wanted)} datasets")
    for name in wanted:
        if there.get(name, {}).get("ImportMode") == "SPICE":
            yield from _check_refreshes(context, name)


def _check_refreshes(context: Context, dataset: str) -> Iterator[Finding]:
    """The last refresh of each kind: a full one that failed is not made good by an incremental one, which reads the last days alone."""
    ingestions = _ingestions(context, dataset)
    if not ingestions:
        yield Finding(
            "warning",
            f"{dataset} is in SPICE and was never refreshed",
            "refresh it in QuickSight, or wait for its schedule",
        )
        return
    incremental = [one for one in ingestions if one.get("RequestType") == "INCREMENTAL_REFRESH"]
    full = [one for one in ingestions if one not in incremental]
    for what, some in (("full ", full), ("incremental ", incremental)):
        if some:
            yield _refresh_finding(
                dataset, what if full and incremental else "", max(some, key=lambda one: one["CreatedTime"])
            )


def _ingestions(context: Context, dataset: str) -> list[Answer]:
    """The latest refreshes, back to a full one; a week has 168 hourly ones."""
    found: list[Answer] = []
    page: dict[str, str] = {}
    for _ in range(_MAX_INGESTION_PAGES):
        answer = call_quicksight(context, "list_ingestions", DataSetId=dataset, MaxResults=100, **page) or {}
        found += answer.get("Ingestions", [])
        if not answer.get("NextToken") or any(one.get("RequestType") != "INCREMENTAL_REFRESH" for one in found):
            break
        page = {"NextToken": answer["NextToken"]}
    return found


def _refresh_finding(dataset: str, kind: str, last: Answer) -> Finding:
    error = last.get("ErrorInfo", {})
    told = f"{dataset}: the last {kind}refresh is {last['IngestionStatus']} {error.get('Type', '')} {error.get('Message', '')}".rstrip()
    if last["IngestionStatus"] == "FAILED":
        return Finding(
            "problem", told, "correct that, then refresh the dataset in QuickSight; until then dashboards show old data"
        )
    if last["IngestionStatus"] == "CANCELLED":
        return Finding("warning", told, "refresh the dataset in QuickSight")
    return Finding("ok", told)


def check_dashboards(context: Context) -> Iterator[Finding]:
    """The analyses and dashboards, and what QuickSight found wrong in them."""
    for name in _analysis_ids(context):
        analysis = (call_quicksight(context, "describe_analysis", AnalysisId=name) or {}).get("Analysis")
        dashboard = (
            (call_quicksight(context, "describe_dashboard", DashboardId=name) or {}).get("Dashboard", {}).get("Version")
        )
        for what, there in (("analysis", analysis), ("dashboard", dashboard)):
            if there is None:
                yield Finding("problem", f"the {what} {name} is missing", "run `anomalake render` and deploy again")
            elif there["Status"].endswith("_FAILED") or there.get("Errors"):
                errors = join_first(f"{error.get('Type')}: {error.get('Message')}" for error in there.get("Errors", []))
                remedy = "deploy again once `catalog` and `datasets` are ok here; the analysis and its datasets belong to one version"
                yield Finding(
                    "problem", f"the {what} {name} is {there['Status']}: {errors or 'no error is named'}", remedy
                )
            else:
                yield Finding("ok", f"the {what} {name} is {there['Status']}")


def check_sharing(context: Context) -> Iterator[Finding]:
    """Whether the owner sees the dashboards; others see what they share."""
    owner, hidden = parse_principal(context.owner), list[str]()
    for name in _analysis_ids(context):
        answer = call_quicksight(context, "describe_dashboard_permissions", DashboardId=name)
        if answer is not None and owner not in {
            parse_principal(one["Principal"]) for one in answer.get("Permissions", [])
        }:
            hidden.append(name)
    if hidden:
        yield Finding(
            "problem",
            f"the owner {context.owner!r} has no permission on {join_first(hidden)}",
            "deploy again with QuickSightOwner set to the owner",
        )
    else:
        yield Finding("ok", f"the owner {context.owner!r} has the dashboards")
