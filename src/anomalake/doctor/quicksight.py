"""Checks of the deployed QuickSight assets: may their role read the lake, are they whole, does the owner see them."""

from collections.abc import Iterator

from anomalake.catalog.views import views, views_of_all
from anomalake.dashboards.quicksight import all_sets_resource_id, dataset_id, resource_id
from anomalake.doctor.account import principal
from anomalake.doctor.scene import Answer, Finding, Scene, ask, ask_all, ask_quicksight, declared, listed, results
from anomalake.domain import time_patterns
from anomalake.lake import layout

_INGESTION_PAGES = 2  # of a hundred refreshes of a dataset


def access(scene: Scene) -> Iterator[Finding]:
    """What the QuickSight role's policies allow. Source: "SimulatePrincipalPolicy" in the IAM API; a bucket's own policy is not simulated."""
    bucket, group = scene.output("DataBucket"), scene.output("WorkGroup") or scene.prefix
    workgroup = (ask(scene, "athena", "get_work_group", WorkGroup=group) or {"WorkGroup": {}})["WorkGroup"]
    written = results(workgroup) or f"s3://{bucket}/athena-results/"
    where = f"{scene.setting.region}:{scene.account}"
    s3, glue = f"arn:{scene.partition}:s3:::", f"arn:{scene.partition}:glue:{where}:"
    catalog = [
        f"{glue}catalog",
        *(f"{glue}{arn}" for name in declared(scene) for arn in (f"database/{name}", f"table/{name}/any")),
    ]
    wanted = (
        (["s3:ListBucket", "s3:GetBucketLocation"], [f"{s3}{bucket}"]),
        (["s3:GetObject"], [f"{s3}{bucket}/{layout.RESULTS_FOLDER}/any", *(f"{s3}{bucket}/{time_patterns.parse_folder_pattern(item.source.path).prefix}any"
                                                                   for item in scene.setting.sets if item.source)]),
        (["s3:GetObject", "s3:PutObject"], [s3 + written.removeprefix("s3://").rstrip("/") + "/any"]),
        (["athena:StartQueryExecution", "athena:GetQueryResults"], [f"arn:{scene.partition}:athena:{where}:workgroup/{group}"]),
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
        answer = ask(
            scene,
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=scene.role,
            ActionNames=actions,
            ResourceArns=resources,
            ContextEntries=below,
        )
        if answer is None:
            yield Finding("problem", f"there is no role {scene.role}", "deploy again, so that the stack makes it")
            return
        for result in answer.get("EvaluationResults", []):
            if result["EvalDecision"] != "allowed":
                told = f"{result['EvalActionName']} on {result.get('EvalResourceName', resources[0])}"
                (unsure if result.get("MissingContextValues") else denied).append(told)
    if denied:
        remedy = f"allow it to {scene.role}, which the stack makes: deploy again, and look for a permissions boundary or an organization's policy"
        yield Finding("problem", f"the QuickSight role may not {listed(denied)}", remedy)
    elif unsure:
        yield Finding(
            "warning",
            f"whether the QuickSight role may {listed(unsure)} depends on conditions",
            "see the role's policies",
        )
    else:
        yield Finding(
            "ok",
            "the QuickSight role may read the lake and run queries (a bucket's or key's own policy that denies is out of sight here)",
        )


def _ids(scene: Scene) -> list[str]:
    """Of the analyses, and of the dashboards."""
    return [*(resource_id(item, scene.prefix) for item in scene.setting.sets), all_sets_resource_id(scene.prefix)]


def data_source(scene: Scene) -> Iterator[Finding]:
    """Whether QuickSight could connect to Athena when the data source was made."""
    answer = ask_quicksight(scene, "describe_data_source", DataSourceId=scene.prefix)
    if answer is None:
        yield Finding(
            "problem", f"there is no QuickSight data source {scene.prefix!r}", "deploy again with QuickSightOwner"
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


def datasets(scene: Scene) -> Iterator[Finding]:
    """That they are there, and of those in SPICE the last refresh."""
    there = {
        one["DataSetId"]: one
        for one in ask_all(scene, "quicksight", "list_data_sets", "DataSetSummaries", AwsAccountId=scene.account) or []
    }
    wanted = [
        dataset_id(item, view.name, scene.prefix)
        for item in scene.setting.sets
        for view in views(item, scene.prefix, "parquet")
    ]
    wanted += [
        dataset_id(None, view.name, scene.prefix) for view in views_of_all(scene.setting.sets, scene.prefix, "parquet")
    ]
    if missing := [name for name in wanted if name not in there]:
        yield Finding("problem", f"datasets are missing: {listed(missing)}", "run `anomalake render` and deploy again")
    else:
        yield Finding("ok", f"{len(wanted)} datasets")
    for name in wanted:
        if there.get(name, {}).get("ImportMode") == "SPICE":
            yield from _refresh(scene, name)


def _refresh(scene: Scene, dataset: str) -> Iterator[Finding]:
    """The last refresh of each kind: a full one that failed is not made good by an incremental one, which reads the last days alone."""
    ingestions = _ingestions(scene, dataset)
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
            yield _refreshed(
                dataset, what if full and incremental else "", max(some, key=lambda one: one["CreatedTime"])
            )


def _ingestions(scene: Scene, dataset: str) -> list[Answer]:
    """The latest refreshes, back to a full one; a week has 168 hourly ones."""
    found: list[Answer] = []
    page: dict[str, str] = {}
    for _ in range(_INGESTION_PAGES):
        answer = ask_quicksight(scene, "list_ingestions", DataSetId=dataset, MaxResults=100, **page) or {}
        found += answer.get("Ingestions", [])
        if not answer.get("NextToken") or any(one.get("RequestType") != "INCREMENTAL_REFRESH" for one in found):
            break
        page = {"NextToken": answer["NextToken"]}
    return found


def _refreshed(dataset: str, kind: str, last: Answer) -> Finding:
    error = last.get("ErrorInfo", {})
    told = f"{dataset}: the last {kind}refresh is {last['IngestionStatus']} {error.get('Type', '')} {error.get('Message', '')}".rstrip()
    if last["IngestionStatus"] == "FAILED":
        return Finding(
            "problem", told, "correct that, then refresh the dataset in QuickSight; until then dashboards show old data"
        )
    if last["IngestionStatus"] == "CANCELLED":
        return Finding("warning", told, "refresh the dataset in QuickSight")
    return Finding("ok", told)


def dashboards(scene: Scene) -> Iterator[Finding]:
    """The analyses and dashboards, and what QuickSight found wrong in them."""
    for name in _ids(scene):
        analysis = (ask_quicksight(scene, "describe_analysis", AnalysisId=name) or {}).get("Analysis")
        dashboard = (
            (ask_quicksight(scene, "describe_dashboard", DashboardId=name) or {}).get("Dashboard", {}).get("Version")
        )
        for what, there in (("analysis", analysis), ("dashboard", dashboard)):
            if there is None:
                yield Finding("problem", f"the {what} {name} is missing", "run `anomalake render` and deploy again")
            elif there["Status"].endswith("_FAILED") or there.get("Errors"):
                errors = listed(f"{error.get('Type')}: {error.get('Message')}" for error in there.get("Errors", []))
                remedy = "deploy again once `catalog` and `datasets` are ok here; the analysis and its datasets belong to one version"
                yield Finding(
                    "problem", f"the {what} {name} is {there['Status']}: {errors or 'no error is named'}", remedy
                )
            else:
                yield Finding("ok", f"the {what} {name} is {there['Status']}")


def sharing(scene: Scene) -> Iterator[Finding]:
    """Whether the owner sees the dashboards; others see what they share."""
    owner, hidden = principal(scene.owner), list[str]()
    for name in _ids(scene):
        answer = ask_quicksight(scene, "describe_dashboard_permissions", DashboardId=name)
        if answer is not None and owner not in {principal(one["Principal"]) for one in answer.get("Permissions", [])}:
            hidden.append(name)
    if hidden:
        yield Finding(
            "problem",
            f"the owner {scene.owner!r} has no permission on {listed(hidden)}",
            "deploy again with QuickSightOwner set to the owner",
        )
    else:
        yield Finding("ok", f"the owner {scene.owner!r} has the dashboards")
