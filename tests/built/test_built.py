"""The artifacts of `make build`, run as Lambda runs them: only the artifacts, on Python 3.13, with moto as S3.

`make check` runs these tests after the build.
"""

import io
import os
import struct
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest

from artifacts import BUILD, DETECT, INGEST, MACHINES, TOP, Function, call_handler, run_code, shop_alert
from examples import sqs_event

FUNCTIONS = pytest.mark.parametrize("function", [INGEST, DETECT], ids=lambda function: function.id)
ARCHITECTURES = pytest.mark.parametrize("architecture", MACHINES)


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def bucket(s3_endpoint: str) -> Any:
    """An empty bucket on moto's S3."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=s3_endpoint, **keys).Bucket(f"lake-{os.urandom(6).hex()}")
    bucket.create()
    return bucket


def test_the_ingest_function_files_alerts_in_s3_and_merges_later_ones(bucket: Any, s3_endpoint: str):
    environment = {"AWS_ENDPOINT_URL_S3": s3_endpoint, "ANOMALAKE_LAKE": f"s3://{bucket.name}"}
    for event in (sqs_event(shop_alert("views", 812.25)), sqs_event(shop_alert("revenue", 99.5))):
        answer, modules = call_handler(INGEST, event, **environment)
        assert answer == {"batchItemFailures": []}
    assert not modules & {"numpy", "pandas", "boto3"}
    keys = sorted(item.key for item in bucket.objects.all())
    archived, results = keys[:2], keys[2:]
    assert all(key.startswith("alerts/ecommerce/v1/date=2021-02-17/") for key in archived)
    assert results == [
        f"anomalyResults/{table}/ecommerce/v1/date=2021-02-17/2021-02-17T1100Z.parquet"
        for table in ("anomalyGroups", "dimensionContributions", "metricValue_AnomalyScore")
    ]
    (row,) = pq.read_table(io.BytesIO(bucket.Object(results[2]).get()["Body"].read())).to_pylist()
    assert (row["platform"], row["viewsAnomalyMetricValue"], row["revenueAnomalyMetricValue"]) == (
        "pc_web",
        812.25,
        99.5,
    )


@FUNCTIONS
def test_a_function_imports_only_from_its_artifacts(function: Function):
    assert function.module in run_code(function, f"import {function.module}\nanswer = None")[1]


@FUNCTIONS
def test_a_function_contains_its_metric_sets_and_only_modules_that_it_imports(function: Function):
    code = f"""
import {function.module}
from anomalake.lake.store import open_store
open_store("s3://lake")  # imports the store of a lake in S3
answer = None
"""
    _, modules = run_code(function, code)
    folder = BUILD / function.id
    included = {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        for path in (folder / "anomalake").rglob("*.py")
    }
    assert included - modules == set()
    assert {path.name for path in (folder / "metric_sets").iterdir()} == {
        path.name for path in (TOP / "src/metric_sets").iterdir()
    }


def test_the_base_layer_has_clients_for_sqs_and_sns(s3_endpoint: str):
    code = """
import boto3
queue = boto3.client("sqs").create_queue(QueueName="alerts")["QueueUrl"]
boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="alert")
topic = boto3.client("sns").create_topic(Name="notifications")["TopicArn"]
answer = bool(boto3.client("sns").publish(TopicArn=topic, Message="alert")["MessageId"])
"""
    assert run_code(INGEST, code, AWS_ENDPOINT_URL=s3_endpoint)[0] is True


def test_the_numpy_layer_computes():
    code = """
import numpy as np
answer = float(np.linalg.solve(np.array([[2.0, 0], [0, 4]]), np.array([1.0, 1])) @ np.array([2, 4]))
"""
    assert run_code(DETECT, code)[0] == 2


@ARCHITECTURES
def test_no_layer_of_the_ingest_function_contains_numpy(architecture: str):
    for folder in INGEST.folders(architecture):
        assert not list(folder.rglob("numpy"))


@ARCHITECTURES
@FUNCTIONS
def test_a_function_and_its_layers_are_far_below_the_limit_of_lambda(function: Function, architecture: str):
    size = sum(path.stat().st_size for folder in function.folders(architecture) for path in list_files(folder))
    assert size <= function.max_bytes, (
        "too large; check that a strip for this architecture is installed, such as llvm-strip"
    )


@ARCHITECTURES
@pytest.mark.parametrize("layer", ["Base", "Numpy"])
def test_a_layer_contains_machine_code_of_its_own_architecture_only(layer: str, architecture: str):
    heads = [path.open("rb").read(20) for path in list_files(BUILD / f"{layer}Layer{architecture}")]
    machines = {struct.unpack("<H", head[18:20])[0] for head in heads if head.startswith(b"\x7fELF")}
    assert machines == {MACHINES[architecture]}
    assert not any(head.startswith((b"\xcf\xfa\xed\xfe", b"MZ")) for head in heads)
