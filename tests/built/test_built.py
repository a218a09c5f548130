"""What `make build` made, as Lambda will run it: the artifacts alone, on Python 3.13, against moto's S3. `make check` runs these after the build."""

import io
import json
import os
import platform
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pyarrow.parquet as pq
import pytest

from conftest import alert_body, sqs_event

TOP = Path(__file__).parents[2]
BUILD = TOP / ".aws-sam/build"
MACHINES = {"X86": 62, "Arm64": 183}  # e_machine of the ELF header: EM_X86_64, EM_AARCH64
HERE = "Arm64" if platform.machine() in ("arm64", "aarch64") else "X86"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


class Function(NamedTuple):
    """A built function: its logical id, its layers (without the architecture), the module it starts with, and the most bytes of all that."""

    id: str
    layers: tuple[str, ...]
    module: str
    most: int

    def folders(self, architecture: str) -> list[Path]:
        """What Lambda unpacks: the function's folder, then its layers'."""
        folders = [BUILD / self.id, *(BUILD / f"{layer}Layer{architecture}" for layer in self.layers)]
        for folder in folders:
            assert folder.is_dir(), f"{folder} is missing: `make build` makes it"
        return folders


INGEST = Function("IngestFunction", ("Base",), "anomalake.functions.ingest", 120_000_000)
DETECT = Function("DetectFunction", ("Base", "Numpy"), "anomalake.detect.run", 200_000_000)
FUNCTIONS = pytest.mark.parametrize("function", [INGEST, DETECT], ids=lambda function: function.id)
ARCHITECTURES = pytest.mark.parametrize("architecture", MACHINES)

# Runs `code` with nothing on the path but the standard library and the artifacts; it leaves its result in `answer`.
RUN = """
import json, sys
paths, code = json.load(sys.stdin)
sys.path[:0] = paths
names = {}
exec(code, names)
print(json.dumps([names["answer"], sorted(sys.modules)]))
"""


@cache
def python313() -> str:
    """Lambda's Python; the script says what to do where there is none."""
    found = subprocess.run([TOP / ".ci/python313"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def run(function: Function, code: str, **environment: str) -> tuple[Any, set[str]]:
    """The value that `code` leaves in `answer`, and the modules that were loaded by then."""
    code_folder, *layers = function.folders(HERE)
    done = subprocess.run(
        [python313(), "-I", "-S", "-B", "-c", RUN],
        input=json.dumps([[str(code_folder), *(str(layer / "python") for layer in layers)], code]),
        capture_output=True,
        text=True,
        check=False,
        env={**KEYS, "ANOMALAKE_METRIC_SETS": str(code_folder / "metric_sets"), **environment},
    )
    assert done.returncode == 0, done.stderr
    answer, modules = json.loads(done.stdout.splitlines()[-1])
    return answer, set(modules)


def handled(function: Function, event: dict[str, Any], **environment: str) -> tuple[Any, set[str]]:
    """What the built handler answers to the event."""
    return run(
        function, f"import json\nfrom {function.module} import handler\nanswer = handler(json.loads({json.dumps(event)!r}), None)", **environment
    )


def shop_alert(measure: str, value: float) -> str:
    """An alert of the metric set that comes with the repository."""
    detector = "arn:aws:lookoutmetrics:eu-west-1:111122223333:AnomalyDetector:ecommerce"
    return alert_body(measure, series=[({"platform": "pc_web", "marketplace": "us"}, value)], anomalyDetectorArn=detector)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def bucket(s3_endpoint: str) -> Any:
    """An empty bucket on moto's S3."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=s3_endpoint, **keys).Bucket(f"lake-{os.urandom(6).hex()}")
    bucket.create()
    return bucket


def test_the_ingest_function_files_alerts_in_s3_and_merges_what_comes_later(bucket: Any, s3_endpoint: str):
    environment = {"AWS_ENDPOINT_URL_S3": s3_endpoint, "ANOMALAKE_LAKE": f"s3://{bucket.name}"}
    for event in (sqs_event(shop_alert("views", 812.25)), sqs_event(shop_alert("revenue", 99.5))):
        answer, modules = handled(INGEST, event, **environment)
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
    assert (row["platform"], row["viewsAnomalyMetricValue"], row["revenueAnomalyMetricValue"]) == ("pc_web", 812.25, 99.5)


@FUNCTIONS
def test_a_function_imports_from_its_artifacts_alone(function: Function):
    assert function.module in run(function, f"import {function.module}\nanswer = None")[1]


@pytest.mark.parametrize("function", [INGEST], ids=lambda function: function.id)
def test_a_function_holds_its_metric_sets_and_no_module_that_it_does_not_import(function: Function):
    _, modules = run(function, f"import {function.module}\nanswer = None")
    code = BUILD / function.id
    held = {".".join(path.relative_to(code).with_suffix("").parts).removesuffix(".__init__") for path in (code / "anomalake").rglob("*.py")}
    assert {name for name in held - modules if not name.startswith("anomalake.functions.")} == set()
    assert {path.name for path in (code / "metric_sets").iterdir()} == {path.name for path in (TOP / "src/metric_sets").iterdir()}


def test_the_base_layer_has_clients_for_sqs_and_sns(s3_endpoint: str):
    code = """
import boto3
queue = boto3.client("sqs").create_queue(QueueName="alerts")["QueueUrl"]
boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="alert")
topic = boto3.client("sns").create_topic(Name="told")["TopicArn"]
answer = bool(boto3.client("sns").publish(TopicArn=topic, Message="alert")["MessageId"])
"""
    assert run(INGEST, code, AWS_ENDPOINT_URL=s3_endpoint)[0] is True


def test_the_numpy_layer_computes():
    code = "import numpy as np\nanswer = float(np.linalg.solve(np.array([[2.0, 0], [0, 4]]), np.array([1.0, 1])) @ np.array([2, 4]))"
    assert run(DETECT, code)[0] == 2


@ARCHITECTURES
def test_numpy_is_in_no_layer_that_the_ingest_function_runs_on(architecture: str):
    for folder in INGEST.folders(architecture):
        assert not list(folder.rglob("numpy"))


@ARCHITECTURES
@FUNCTIONS
def test_a_function_and_its_layers_stay_far_below_what_lambda_takes(function: Function, architecture: str):
    size = sum(path.stat().st_size for folder in function.folders(architecture) for path in files(folder))
    assert size <= function.most, "larger than it need be: was a strip for this architecture there (llvm-strip is one)?"


@ARCHITECTURES
@pytest.mark.parametrize("layer", ["Base", "Numpy"])
def test_a_layer_holds_machine_code_of_its_own_architecture_alone(layer: str, architecture: str):
    heads = [path.open("rb").read(20) for path in files(BUILD / f"{layer}Layer{architecture}")]
    machines = {struct.unpack("<H", head[18:20])[0] for head in heads if head.startswith(b"\x7fELF")}
    assert machines == {MACHINES[architecture]}
    assert not any(head.startswith((b"\xcf\xfa\xed\xfe", b"MZ")) for head in heads)


@pytest.mark.parametrize("name", ["base", "numpy"])
def test_a_layer_has_the_versions_that_the_tests_run_with(name: str):
    def pins(path: Path) -> set[str]:
        return {line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")}

    assert pins(TOP / f"layers/{name}.txt") <= pins(TOP / "constraints.txt")
