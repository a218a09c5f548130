"""`anomalake demo --lake s3://...` fills a new deployment with the generated shop and deletes nothing. On moto's S3."""

import os
import threading
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from anomalake.cli import local_pipeline
from anomalake.cli.demo import run
from anomalake.cli.main import main
from anomalake.cli.write_live_data import write_live_data
from anomalake.domain import metric_set_yaml
from anomalake.domain.errors import UserError
from anomalake.lake import encoding, layout, live_data, tables
from anomalake.lake.credentials import open_lake
from anomalake.lake.folder_store import FolderStore
from anomalake.lake.object_store import ObjectStore
from anomalake.lake.parallel import map_in_order
from anomalake.lake.store import StorageError, Store, open_store
from slow_cases import slow_after

NOW = datetime(2026, 3, 9, 14, 25, 7)
SHOP = metric_set_yaml.parse(
    (files("anomalake.cli.demo") / "metric_sets" / "ecommerce.yaml").read_text("utf-8"), "ecommerce"
)


@pytest.fixture
def bucket(s3_endpoint, monkeypatch, tmp_path: Path) -> str:
    """A new bucket with its keys in the environment; no AWS configuration file but those that a test writes."""
    import boto3

    for variable, value in {
        "AWS_ENDPOINT_URL": s3_endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }.items():  # fmt: skip
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    name = f"fill-{os.urandom(6).hex()}"
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket=name)
    return name


def count_observations(store: Store, form: layout.Format) -> int:
    schema = tables.schema("observations", SHOP)
    keys = list(store.list(layout.table_folder("observations", SHOP)))
    return sum(len(encoding.decode_table(form, schema, store.get(key).data, key)["timestamp"]) for key in keys)


def fill(lake: str, form: layout.Format = "parquet", days: int = 17) -> list[str]:
    printed: list[str] = []
    run.fill_bucket(lake, table_format=form, days=days, now=NOW, print_line=printed.append)
    return printed


def test_the_packaged_metric_set_of_the_shop_is_the_deployed_one():
    deployed = Path(__file__).parents[2] / "src/metric_sets/ecommerce.yaml"
    assert (files("anomalake.cli.demo") / "metric_sets" / "ecommerce.yaml").read_text("utf-8") == deployed.read_text(
        "utf-8"
    )


@pytest.mark.parametrize("form", slow_after(1, ["parquet", "csv"]))
def test_the_lake_is_filled_up_to_the_last_full_hour_and_the_next_steps_are_printed(bucket, form):
    output = "\n".join(fill(f"s3://{bucket}", form))
    store = open_store(f"s3://{bucket}")
    walls = list(live_data.list_files_by_interval(store, SHOP))
    assert (walls[0], walls[-1], len(walls)) == (datetime(2026, 2, 20, 14), datetime(2026, 3, 9, 13), 17 * 24)
    assert count_observations(store, form) == 17 * 24 * 21 * 2
    for table in layout.GLUE_TABLE_NAMES:
        keys = list(store.list(layout.table_folder(table, SHOP)))
        assert keys, table
        assert all(key.endswith(f".{form}") for key in keys)
    assert list(store.list("alerts"))
    assert not list(store.list("quarantine"))
    assert "QuickSight dashboard" in output
    assert "SELECT * FROM anomalake_ecommerce.anomaly_log" in output
    assert "credentials those of this environment" in output
    assert not list(Path().glob("*.html"))


@pytest.mark.slow
def test_a_folder_gets_the_same_tables_as_a_bucket(bucket, tmp_path):
    fill(f"s3://{bucket}")
    s3, folder = open_store(f"s3://{bucket}"), FolderStore(tmp_path / "lake")
    for keys in live_data.list_files_by_interval(s3, SHOP).values():
        for key in keys:
            folder.put(key, s3.get(key).data)
    local_pipeline.run_backtest(SHOP, folder, (SHOP,), "parquet")
    for prefix in ("anomalyResults", "alerts"):
        assert list(folder.list(prefix)) == list(s3.list(prefix)) != []
        assert all(folder.get(key).data == s3.get(key).data for key in s3.list(prefix))


@pytest.mark.parametrize(
    "held",
    [
        "ecommerce/live/20260101/0000/mine.csv",
        f"{layout.table_folder('anomalyGroups', SHOP)}/date=2026-01-01/x.parquet",
    ],
)
def test_a_bucket_that_holds_the_shop_is_rejected_and_left_unchanged(bucket, held):
    store = open_store(f"s3://{bucket}")
    store.put(held, b"mine")
    with pytest.raises(
        UserError,
        match=f"already holds data of the metric set 'ecommerce' \\({held}\\), and the demo deletes nothing in S3",
    ):
        fill(f"s3://{bucket}")
    assert [key for top in ("ecommerce", "anomalyResults") for key in store.list(top)] == [held]


def test_the_command_fills_up_to_the_present_time(bucket, capsys):
    before = datetime.now(UTC).replace(tzinfo=None)
    assert main(["demo", "--lake", f"s3://{bucket}", "--days", "1"]) == 0
    walls = list(live_data.list_files_by_interval(open_store(f"s3://{bucket}"), SHOP))
    after = datetime.now(UTC).replace(tzinfo=None)
    assert len(walls) == 24
    assert before - timedelta(hours=2) < walls[-1] <= after - timedelta(hours=1)
    assert "504 rows in 24 folders" in capsys.readouterr().out
    assert not Path("dashboard.html").exists()


def test_the_flights_are_rejected_for_a_lake_in_s3(capsys):
    assert main(["demo", "--lake", "s3://bucket", "--dataset", "flights"]) == 1
    assert "this data is of 2013, outside the window that a deployed dashboard shows" in capsys.readouterr().err


def test_a_missing_bucket_is_an_error(bucket, capsys):
    assert main(["demo", "--lake", f"s3://{bucket}-not"]) == 1
    assert capsys.readouterr().err.startswith("anomalake: ")


def no_credentials(monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


def test_credentials_of_a_profile_are_used_if_the_environment_has_none(bucket, monkeypatch):
    no_credentials(monkeypatch)
    Path("credentials").write_text("[shop]\naws_access_key_id = of-the-profile\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_PROFILE", "shop")
    store = open_lake(f"s3://{bucket}")
    store.put("a/b", b"written")
    assert store.get("a/b").data == b"written"
    assert vars(store)["_store"].credential_provider.credentials.access_key == "of-the-profile"


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "eu-west-3"),
    ],
)
def test_the_region_is_that_of_the_environment_or_of_the_profile(bucket, monkeypatch, environment, region):
    no_credentials(monkeypatch)
    Path("config").write_text(
        "[profile shop]\nregion = eu-west-3\naws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "shop")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert vars(open_lake(f"s3://{bucket}"))["_store"].credential_provider.config["region"] == region


@pytest.mark.parametrize(("profile", "message"), [(None, "no credentials found"), ("nobody", "nobody")])
def test_missing_credentials_are_reported_before_anything_is_written(bucket, monkeypatch, profile, message):
    no_credentials(monkeypatch)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    with pytest.raises(UserError, match=f"AWS credentials: .*{message}.*; set AWS_PROFILE"):
        open_lake(f"s3://{bucket}")


def test_a_failing_store_stops_the_writing_of_live_data(bucket):
    from anomalake.cli.demo import shop

    with pytest.raises(StorageError):
        write_live_data(shop.generate(3).data, SHOP, open_store(f"s3://{bucket}-not"))


def test_results_keep_their_order_if_the_store_responds_late():
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(60)
        if item == 1:
            second_is_done.set()
        return item

    assert list(map_in_order(ObjectStore.memory(), work, range(200))) == list(range(200))


@pytest.mark.parametrize(
    ("lake", "message"),
    [
        ("s3://lake three", "does not name a bucket"),
        ("s3://", "does not name a bucket"),
        ("s3://b", "does not name a bucket"),
        ("s3://bucket/sub/folder", "a stack's lake is a whole bucket"),
    ],
)  # fmt: skip
def test_a_lake_that_no_stack_can_use_is_rejected_in_one_line(bucket, lake, message, capsys):
    assert main(["demo", "--lake", lake]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_bucket_is_reported_in_one_line(bucket, capsys):
    assert main(["demo", "--lake", "s3://not-there-at-all"]) == 1
    error = capsys.readouterr().err
    assert "NoSuchBucket" in error
    assert error.count("\n") == 1
