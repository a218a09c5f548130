"""The doctor's checks of the lake: the workgroup, the catalog, the crawler's tables, the data."""

from pathlib import Path
from typing import Any

import pytest

from anomalake import doctor
from anomalake.domain import metric_set_yaml
from doctor_answers import BUCKET, HEALTHY, REGION, SHOP, catalog, examine, objects, stack, tables_of, the, workgroup
from examples import shop_text
from fake_aws import Aws
from stack import expand, project


@pytest.mark.parametrize(
    ("answer", "status", "found"),
    [
        ("InvalidRequestException: WorkGroup anomalake is not found.", "problem", "no workgroup"),
        (workgroup("DISABLED"), "problem", "disabled"),
        (workgroup(location=""), "problem", "no location"),
        (workgroup(engine="2"), "problem", "need Athena engine version 3"),
        (workgroup(enforced=False), "warning", "override"),
    ],
)
def test_a_workgroup_that_quicksight_cannot_use_is_reported(answer: Any, status: str, found: str):
    assert found in the(examine(athena__get_work_group=answer), "workgroup", status).found


def test_a_missing_database_and_a_missing_table_are_problems():
    assert (
        "no database 'anomalake_shop'"
        in the(examine(glue__get_tables=catalog(anomalake_shop=None)), "catalog", "problem").found
    )
    fewer = {name: table for name, table in tables_of("anomalake_shop").items() if name != "anomaly_log"}
    check = the(examine(glue__get_tables=catalog(anomalake_shop=fewer)), "catalog", "problem")
    assert check.found == "anomalake_shop: anomaly_log is missing"
    assert "anomalake render" in check.remedy


def test_missing_and_new_columns_and_columns_of_another_type_are_named():
    tables = tables_of("anomalake_shop")
    columns, location = tables["anomaly_log"]
    tables["anomaly_log"] = ({**columns, "groupscore": "string", "colour": "string"}, location)
    del tables["anomaly_log"][0]["severity"]
    found = the(examine(glue__get_tables=catalog(anomalake_shop=tables)), "catalog", "problem").found
    assert "anomaly_log lacks severity" in found
    assert "anomaly_log has colour" in found
    assert "anomaly_log.groupscore is string, not double" in found


def test_a_csv_lake_is_compared_with_the_csv_catalog():
    found = the(examine(cloudformation__describe_stacks=stack(Format="csv")), "catalog", "problem").found
    assert "is double, not string" in found or "is timestamp, not string" in found


def test_before_the_first_crawl_the_doctor_shows_how_to_start_it_and_a_failed_crawl_is_a_problem():
    empty = {"glue__get_tables": catalog(anomalake_shop_crawled={})}
    assert (
        "start-crawler --name anomalake_shop"
        in the(examine(glue__get_crawler={"Crawler": {}}, **empty), "crawled", "skipped").remedy
    )
    failed = {"Crawler": {"LastCrawl": {"Status": "FAILED", "ErrorMessage": "Insufficient Lake Formation permissions"}}}
    assert "Insufficient" in the(examine(glue__get_crawler=failed, **empty), "crawled", "problem").found


def test_files_with_undeclared_columns_are_reported_with_their_location():
    columns, location = tables_of("anomalake_shop")["anomalygroups"]
    tables = {
        "whatever": (
            {**{name: kind for name, kind in columns.items() if name != "rootcause"}, "extra": "string"},
            location,
        )
    }
    found = the(examine(glue__get_tables=catalog(anomalake_shop_crawled=tables)), "crawled", "problem").found
    assert "anomalygroups is declared with rootcause, which the files lack" in found
    assert "anomalygroups has extra in the files" in found


def test_unrecognized_headers_are_counted_and_tables_of_other_versions_are_reported():
    columns, location = tables_of("anomalake_shop")["anomalygroups"]
    unnamed = {f"col{number}": "string" for number in range(len(columns))}
    the(examine(glue__get_tables=catalog(anomalake_shop_crawled={"t": (unnamed, location)})), "crawled", "ok")
    fewer = {"t": ({"col0": "string"}, location)}
    assert (
        "has 1 columns"
        in the(examine(glue__get_tables=catalog(anomalake_shop_crawled=fewer)), "crawled", "problem").found
    )
    older = {"t": (columns, location.replace("/v1/", "/v0/"))}
    assert "shop/v1" in the(examine(glue__get_tables=catalog(anomalake_shop_crawled=older)), "crawled", "warning").found


def test_a_lake_without_live_data_or_anomalies_or_with_quarantine_is_reported():
    nothing = the(examine(s3__list_objects_v2=objects()), "data", "warning")
    assert f"s3://{BUCKET}/shop/live/20210217/0000/" in nothing.remedy
    assert "live data, but no anomalies" in the(examine(s3__list_objects_v2=objects(shop=1)), "data", "warning").found
    refused = the(examine(s3__list_objects_v2=objects(shop=1, anomalyResults=1, quarantine=7)), "data", "warning")
    assert refused.found.startswith("7 events")
    assert "docs/alerts.md" in refused.remedy
    many = examine(s3__list_objects_v2=objects(shop=1, anomalyResults=1, quarantine=5000))
    assert the(many, "data", "warning").found.startswith("1,000 or more events")
    message = "NoSuchBucket: The specified bucket does not exist"
    assert "no bucket" in the(examine(s3__list_objects_v2=message), "data", "problem").found


def test_a_metric_set_without_live_data_of_its_own_waits_for_alerts():
    outside = metric_set_yaml.parse(shop_text().partition("source:")[0], "shop.yaml")
    assert (
        "no alert has arrived" in the(examine(sets=(outside,), s3__list_objects_v2=objects()), "data", "warning").found
    )


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_doctor_accepts_the_rendered_catalog_in_glue(form: str, tmp_path: Path):
    import boto3
    from moto import mock_aws

    resources = expand(project(tmp_path, [SHOP]), Format=form, ExistingBucket=BUCKET).values()
    with mock_aws():
        client = boto3.client("glue", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
        for resource in resources:
            if resource.type == "AWS::Glue::Database":
                client.create_database(DatabaseInput=resource.properties["DatabaseInput"])
        for resource in resources:
            if resource.type == "AWS::Glue::Table":
                client.create_table(
                    DatabaseName=resource.properties["DatabaseName"], TableInput=resource.properties["TableInput"]
                )
        fake = Aws({**HEALTHY, "cloudformation.describe_stacks": stack(Format=form)})
        settings = doctor.Settings("anomalake", REGION, "", (SHOP,))
        checks = list(
            doctor.run_checks(lambda service, region: client if service == "glue" else fake(service, region), settings)
        )
    assert [check.status for check in checks if check.name == "catalog"] == ["ok", "ok"]
    assert "not encrypted" in the(checks, "encryption", "warning").found
    assert "start-crawler" in the(checks, "crawled", "skipped").remedy
