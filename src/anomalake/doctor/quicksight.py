"""Checks of the deployed QuickSight assets: can their role read the lake, do they work, can the owner see them."""

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
    join_first,
    query_results_location,
)
from anomalake.doctor.declared import declared_catalog
from anomalake.domain import time_patterns
from anomalake.lake import layout

_MAX_INGESTION_PAGES = 2  # pages of a dataset's refreshes, of 100 refreshes each


def check_access(context: Context) -> Iterator[Finding]:
    """Check that the policies of the QuickSight role let it read the lake and run queries.

    Source: "SimulatePrincipalPolicy" in the IAM API. The simulation does not include the policies of buckets and keys.
    """
    # ListBucket is allowed for some prefixes; the simulation needs one of them.
    prefix = {
        "ContextKeyName": "s3:prefix",
        "ContextKeyValues": [f"{layout.RESULTS_FOLDER}/any"],
        "ContextKeyType": "string",
    }
    denied: list[str] = []
    conditional: list[str] = []
    for actions, resources in _required_permissions(context):
        answer = call_aws(
            context,
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=context.role,
            ActionNames=actions,
            ResourceArns=resources,
            ContextEntries=[prefix],
        )
        if answer is None:
            yield Finding("problem", f"there is no role {context.role}", "deploy again, so that the stack creates it")
            return
        for result in answer.get("EvaluationResults", []):
            if result["EvalDecision"] != "allowed":
                permission = f"{result['EvalActionName']} on {result.get('EvalResourceName', resources[0])}"
                (conditional if result.get("MissingContextValues") else denied).append(permission)
    if denied:
        remedy = (
            f"grant it to {context.role}, which the stack creates: deploy again, "
            "and look for a permissions boundary or a policy of the organization"
        )
        yield Finding("problem", f"the QuickSight role lacks {join_first(denied)}", remedy)
    elif conditional:
        found = f"whether the QuickSight role has {join_first(conditional)} depends on conditions"
        yield Finding("warning", found, "check the policies of the role")
    else:
        found = (
            "the QuickSight role can read the lake and run queries "
            "(this does not include a bucket's or key's own policy that denies it)"
        )
        yield Finding("ok", found)


def _required_permissions(context: Context) -> list[tuple[list[str], list[str]]]:
    """Return the actions that the QuickSight role needs, each with examples of their resources."""
    bucket, group = context.output("DataBucket"), context.output("WorkGroup") or context.prefix
    workgroup = (call_aws(context, "athena", "get_work_group", WorkGroup=group) or {"WorkGroup": {}})["WorkGroup"]
    results = query_results_location(workgroup) or f"s3://{bucket}/athena-results/"
    arn, account = f"arn:{context.partition}", f"{context.settings.region}:{context.account}"
    s3, glue = f"{arn}:s3:::", f"{arn}:glue:{account}:"
    read = [f"{s3}{bucket}/{layout.RESULTS_FOLDER}/any"]
    for metric_set in context.settings.sets:
        if metric_set.source:
            prefix = time_patterns.parse_folder_pattern(metric_set.source.path).prefix
            read.append(f"{s3}{bucket}/{prefix}any")
    catalog = [f"{glue}catalog"]
    for name in declared_catalog(context):
        catalog += [f"{glue}database/{name}", f"{glue}table/{name}/any"]
    return [
        (["s3:ListBucket", "s3:GetBucketLocation"], [f"{s3}{bucket}"]),
        (["s3:GetObject"], read),
        (["s3:GetObject", "s3:PutObject"], [s3 + results.removeprefix("s3://").rstrip("/") + "/any"]),
        (["athena:StartQueryExecution", "athena:GetQueryResults"], [f"{arn}:athena:{account}:workgroup/{group}"]),
        (["glue:GetTable"], catalog),
    ]


def _analysis_ids(context: Context) -> list[str]:
    """Return the ids of the analyses; the dashboards have the same ids."""
    ids = [resource_id(metric_set, context.prefix) for metric_set in context.settings.sets]
    return [*ids, all_sets_resource_id(context.prefix)]


def check_data_source(context: Context) -> Iterator[Finding]:
    """Check that QuickSight could connect to Athena when the data source was created."""
    answer = call_quicksight(context, "describe_data_source", DataSourceId=context.prefix)
    if answer is None:
        found = f"there is no QuickSight data source '{context.prefix}'"
        yield Finding("problem", found, "deploy again with QuickSightOwner")
        return
    source = answer["DataSource"]
    if source["Status"].endswith("_FAILED"):
        found = f"the data source is {source['Status']}: {_describe_error(source)}".rstrip()
        remedy = (
            "the QuickSight role probably lacks a permission: see `access` and `lake-formation` here; then deploy again"
        )
        yield Finding("problem", found, remedy)
    else:
        yield Finding("ok", f"the data source is {source['Status']}")


def _describe_error(answer: Answer) -> str:
    error = answer.get("ErrorInfo", {})
    return f"{error.get('Type', '')} {error.get('Message', '')}"


def check_datasets(context: Context) -> Iterator[Finding]:
    """Check that the datasets exist, and check the last refreshes of those in SPICE."""
    sets, prefix = context.settings.sets, context.prefix
    summaries = call_all_pages(
        context, "quicksight", "list_data_sets", "DataSetSummaries", AwsAccountId=context.account
    )
    deployed = {summary["DataSetId"]: summary for summary in summaries or []}
    declared = [
        dataset_id(metric_set, view.name, prefix)
        for metric_set in sets
        for view in views_of_set(metric_set, prefix, "parquet")
    ]
    declared += [dataset_id(None, view.name, prefix) for view in views_over_all_sets(sets, prefix, "parquet")]
    if missing := [dataset for dataset in declared if dataset not in deployed]:
        found = f"datasets are missing: {join_first(missing)}"
        yield Finding("problem", found, "run `anomalake render` and deploy again")
    else:
        yield Finding("ok", f"{len(declared)} datasets")
    for dataset in declared:
        if deployed.get(dataset, {}).get("ImportMode") == "SPICE":
            yield from _check_refreshes(context, dataset)


def _check_refreshes(context: Context, dataset: str) -> Iterator[Finding]:
    """Check the last full and the last incremental refresh.

    An incremental refresh reads only the last days, so it does not make up for a full one that failed.
    """
    ingestions = _list_ingestions(context, dataset)
    if not ingestions:
        remedy = "refresh it in QuickSight, or wait for its schedule"
        yield Finding("warning", f"{dataset} is in SPICE and was never refreshed", remedy)
        return
    incremental = [ingestion for ingestion in ingestions if ingestion.get("RequestType") == "INCREMENTAL_REFRESH"]
    full = [ingestion for ingestion in ingestions if ingestion not in incremental]
    for kind, refreshes in (("full ", full), ("incremental ", incremental)):
        if refreshes:
            last = max(refreshes, key=lambda ingestion: ingestion["CreatedTime"])
            yield _refresh_finding(dataset, kind if full and incremental else "", last)


def _list_ingestions(context: Context, dataset: str) -> list[Answer]:
    """Return the latest refreshes, back to a full one if it is in the first pages. A week has 168 hourly refreshes."""
    ingestions: list[Answer] = []
    page: dict[str, str] = {}
    for _ in range(_MAX_INGESTION_PAGES):
        answer = call_quicksight(context, "list_ingestions", DataSetId=dataset, MaxResults=100, **page) or {}
        ingestions += answer.get("Ingestions", [])
        has_full = any(ingestion.get("RequestType") != "INCREMENTAL_REFRESH" for ingestion in ingestions)
        if not answer.get("NextToken") or has_full:
            break
        page = {"NextToken": answer["NextToken"]}
    return ingestions


def _refresh_finding(dataset: str, kind: str, last: Answer) -> Finding:
    found = f"{dataset}: the last {kind}refresh is {last['IngestionStatus']} {_describe_error(last)}".rstrip()
    if last["IngestionStatus"] == "FAILED":
        remedy = "fix the cause, then refresh the dataset in QuickSight; until then, dashboards show old data"
        return Finding("problem", found, remedy)
    if last["IngestionStatus"] == "CANCELLED":
        return Finding("warning", found, "refresh the dataset in QuickSight")
    return Finding("ok", found)


def check_dashboards(context: Context) -> Iterator[Finding]:
    """Check that the analyses and dashboards exist, and that QuickSight reports no errors in them."""
    for name in _analysis_ids(context):
        analysis = (call_quicksight(context, "describe_analysis", AnalysisId=name) or {}).get("Analysis")
        answer = call_quicksight(context, "describe_dashboard", DashboardId=name) or {}
        dashboard = answer.get("Dashboard", {}).get("Version")
        for kind, asset in (("analysis", analysis), ("dashboard", dashboard)):
            if asset is None:
                yield Finding("problem", f"the {kind} {name} is missing", "run `anomalake render` and deploy again")
            elif asset["Status"].endswith("_FAILED") or asset.get("Errors"):
                errors = join_first(f"{error.get('Type')}: {error.get('Message')}" for error in asset.get("Errors", []))
                found = f"the {kind} {name} is {asset['Status']}: {errors or 'QuickSight names no error'}"
                remedy = (
                    "deploy again when `catalog` and `datasets` are ok here; "
                    "an analysis and its datasets must be of the same version"
                )
                yield Finding("problem", found, remedy)
            else:
                yield Finding("ok", f"the {kind} {name} is {asset['Status']}")


def check_sharing(context: Context) -> Iterator[Finding]:
    """Check that the owner has permissions on the dashboards. Others see the dashboards that the owner shares."""
    owner, hidden = parse_principal(context.owner), list[str]()
    for name in _analysis_ids(context):
        answer = call_quicksight(context, "describe_dashboard_permissions", DashboardId=name)
        if answer is None:
            continue
        if owner not in {parse_principal(grant["Principal"]) for grant in answer.get("Permissions", [])}:
            hidden.append(name)
    if hidden:
        found = f"the owner '{context.owner}' has no permission on {join_first(hidden)}"
        yield Finding("problem", found, "deploy again with QuickSightOwner set to the owner")
    else:
        yield Finding("ok", f"the owner '{context.owner}' has the dashboards")
