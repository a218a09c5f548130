"""The doctor's check for data outside of the ranges of partition projection."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from anomalake import doctor
from anomalake.doctor import partitions
from anomalake.doctor.context import Context, Finding, Stack
from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.lake import live_data
from examples import shop_text
from folder_patterns import PATHS, SHOP, build_live_keys, shop
from stack import REGION, expand, project

BUCKET = "anomalake-111122223333"
TODAY = datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)


class Cloud:
    """The Glue of moto with the resources of the stack, and the S3 of moto with some keys. It counts the listings."""

    def __init__(self, folder: Path, sets: tuple[MetricSet, ...], keys: list[str], **parameters: str) -> None:
        given: Any = {"region_name": REGION, "aws_access_key_id": "x", "aws_secret_access_key": "y"}
        self.sets, self.lists, self.of = sets, 0, {name: boto3.client(name, **given) for name in ("glue", "s3")}
        self.of["s3"].meta.events.register("before-call.s3.ListObjectsV2", self._count)
        self.of["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in keys:
            self.of["s3"].put_object(Bucket=BUCKET, Key=key, Body=b"x")
        resources = expand(project(folder, sets), ExistingBucket=BUCKET, **parameters).values()
        for resource in resources:
            if resource.type == "AWS::Glue::Database":
                self.of["glue"].create_database(DatabaseInput=resource.properties["DatabaseInput"])
        for resource in resources:
            if resource.type == "AWS::Glue::Table":
                self.of["glue"].create_table(
                    DatabaseName=resource.properties["DatabaseName"], TableInput=resource.properties["TableInput"]
                )

    def _count(self, **_: Any) -> None:
        self.lists += 1

    def findings(self) -> list[Finding]:
        stack = Stack("", "", {}, {"DataBucket": BUCKET})
        settings = doctor.Settings("anomalake", REGION, "", self.sets)
        return list(partitions.check_partitions(Context(lambda service, _: self.of[service], settings, stack=stack)))

    def told(self, status: str) -> list[Finding]:
        return [finding for finding in self.findings() if finding.status == status]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    with mock_aws():
        yield lambda *keys, sets=(SHOP,), **parameters: Cloud(tmp_path, sets, list(keys), **parameters)


@pytest.mark.parametrize("path", PATHS)
def test_the_doctor_compares_the_first_folder_with_the_deployed_range_of_every_folder_pattern(cloud, path: str):
    item = shop(path)
    deployment = cloud(*build_live_keys(item, datetime(2013, 2, 8, 5), datetime(2026, 1, 1)), sets=(item,))
    (told,) = deployment.findings()
    assert told.found == (
        f"shop: there is live data from {live_data.interval_folder(item, datetime(2013, 2, 8, 5))} on, "
        "but Athena shows it only from 2020-01-01 on (LiveDataStart of the stack)"
    )
    assert told.remedy == 'deploy with LiveDataStart=2013-02-01 (`make deploy PARAMETERS="LiveDataStart=2013-02-01"`)'
    assert told.status == "warning"
    assert deployment.lists <= 8


def test_a_stack_that_was_deployed_with_the_value_is_ok(cloud):
    (told,) = cloud(*build_live_keys(SHOP, datetime(2013, 2, 8, 5)), LiveDataStart="2013-02-01").findings()
    assert told == (
        "ok",
        "shop: Athena shows live data from 2013-02-01 on, and the first file is in shop/live/20130208/0500",
        "",
    )


def test_the_suggested_parameter_shows_the_live_data_of_all_metric_sets(cloud):
    other = shop("other/live/{{yyyyMMddHH}}", name="other")
    deployment = cloud(
        *build_live_keys(SHOP, datetime(2013, 2, 8)), *build_live_keys(other, datetime(2011, 7, 1)), sets=(SHOP, other)
    )
    assert {finding.remedy.partition(" (")[0] for finding in deployment.told("warning")} == {
        "deploy with LiveDataStart=2011-07-01"
    }
    assert len(deployment.told("warning")) == 2


def test_a_broken_date_does_not_hide_the_first_folder_that_the_tables_can_hold(cloud):
    deployment = cloud(*build_live_keys(SHOP, datetime(1970, 1, 1), datetime(2013, 2, 8), datetime(2021, 1, 1)))
    old, early = deployment.told("warning")
    assert "begins with shop/live/19700101/0000; the tables that Athena reads begin in 2000 (UTC)" in old.found
    assert "live data from shop/live/20130208/0000 on" in early.found


def test_folders_and_rows_of_the_future_are_reported_and_tomorrow_s_are_not(cloud):
    tomorrow, later = TODAY + timedelta(days=1), TODAY + timedelta(days=3660)
    rows = [
        f"anomalyResults/{table}/shop/v1/date={{0:%Y-%m-%d}}/x.parquet" for table in ("anomalyGroups", "observations")
    ]
    deployment = cloud(
        *build_live_keys(SHOP, TODAY, tomorrow, later), *(row.format(day) for row in rows for day in (tomorrow, later))
    )
    assert [finding.found for finding in deployment.findings()] == [
        f"shop: anomalyGroups has rows of {later:%Y-%m-%d}, in the future; Athena shows rows up to tomorrow",
        f"shop: observations has rows of {later:%Y-%m-%d}, in the future; Athena shows rows up to tomorrow",
        f"shop: shop/live/{later:%Y%m%d}/0000 is in the future; Athena shows live data up to tomorrow",
    ]


def test_data_of_today_and_tomorrow_is_in_the_range(cloud):
    deployment = cloud(
        *build_live_keys(SHOP, TODAY, TODAY + timedelta(days=1, hours=23)),
        f"anomalyResults/observations/shop/v1/date={TODAY:%Y-%m-%d}/x.parquet",
    )
    assert {finding.status for finding in deployment.findings()} == {"ok"}


def test_rows_before_2000_are_reported(cloud):
    deployment = cloud(
        *build_live_keys(SHOP, datetime(2021, 1, 1)), "anomalyResults/observations/shop/v1/date=1999-12-31/x.parquet"
    )
    assert [finding.found for finding in deployment.told("warning")] == [
        "shop: observations has rows of 1999-12-31; Athena shows them from 2000-01-01 on"
    ]


def test_the_doctor_lists_a_few_pages_however_many_objects_exist(tmp_path: Path):
    """A list of S3 without an end: pages of a thousand keys that belong to no metric set, before the first folder."""
    requests = []

    def list_objects_v2(**parameters: Any) -> dict[str, Any]:
        requests.append(parameters["Prefix"])
        start = len(requests) * 1000
        return {
            "Contents": [
                {"Key": f"{parameters['Prefix']}0-{start + number:09}"} for number in range(parameters["MaxKeys"])
            ],
            "IsTruncated": True,
        }

    table = {"Table": {"Name": "live", "Parameters": {"projection.slot.range": "20200101,NOW+1DAYS"}}}
    clients = {
        "s3": type("S3", (), {"list_objects_v2": staticmethod(list_objects_v2)}),
        "glue": type("Glue", (), {"get_table": staticmethod(lambda **_: table)}),
    }
    context = Context(
        lambda service, _: clients[service],
        doctor.Settings("anomalake", REGION, "", (SHOP,)),
        stack=Stack("", "", {}, {"DataBucket": BUCKET}),
    )
    (told,) = partitions.check_partitions(context)
    assert told.found == "shop: none of the first 3,000 objects in shop/live/ is in the folder of an interval"
    assert len(requests) <= 12


def test_folders_that_do_not_sort_by_date_are_compared_as_far_as_they_were_listed(cloud, monkeypatch):
    item = shop("shop/live/{{dd}}.{{MM}}.{{yyyy}}/{{HH}}")
    deployment = cloud(*build_live_keys(item, datetime(2021, 1, 1), datetime(2021, 1, 2)), sets=(item,))
    assert [finding.status for finding in deployment.findings()] == ["ok"]
    monkeypatch.setattr(partitions, "_MAX_PAGES", 1)
    list_keys = partitions._list_keys
    monkeypatch.setattr(
        partitions,
        "_list_keys",
        lambda context, prefix, after="", max_keys=1000: list_keys(context, prefix, after, min(max_keys, 1)),
    )
    (told,) = deployment.findings()
    assert (told.status, "do not sort by date" in told.found) == ("skipped", True)


def test_a_lake_without_live_data_and_a_metric_set_without_a_source_are_not_compared(cloud):
    outside = metric_set_yaml.parse(shop_text(name="name: alone").partition("source:")[0], "alone.yaml")
    (told,) = cloud(sets=(SHOP, outside)).findings()
    assert (told.status, told.found) == (
        "skipped",
        "shop: there is no live data to compare with the range of its partitions",
    )


def test_a_deployed_range_that_differs_from_this_checkout_is_a_problem(cloud):
    deployment = cloud(*build_live_keys(SHOP, datetime(2021, 1, 1)))
    database, moved = "anomalake_shop", shop("shop/live/{{yyyy}}-{{MM}}-{{dd}}/{{HHmm}}")
    deployment.sets = (moved,)
    (told,) = deployment.told("problem")
    assert (
        "range of the live table's partitions is 20200101,NOW+1DAYS; "
        "it does not begin with a folder of shop/live/{{yyyy}}-{{MM}}-{{dd}}/{{HHmm}}" in told.found
    )
    deployment.of["glue"].update_table(DatabaseName=database, TableInput={"Name": "live"})
    assert "partitions is empty" in deployment.told("problem")[0].found
    deployment.of["glue"].delete_table(DatabaseName=database, Name="live")
    assert deployment.findings() == []  # `catalog` reports it
