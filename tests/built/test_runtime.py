"""The built ingest function in the runtime interface client of AWS, with a substitute for the Runtime API of Lambda.

Source: "Using the Lambda runtime API for custom runtimes" in the Lambda developer guide.
"""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from artifacts import HERE, INGEST, KEYS, TOP, python313, shop_alert
from examples import sqs_event

CLIENT = TOP / ".venv/ric"


class RuntimeApi(ThreadingHTTPServer):
    """Returns events one by one, and collects the responses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()

    def invoke(self, event: Any) -> tuple[str, Any]:
        """Pass an event to the runtime. Returns `response` or `error`, and the body."""
        self.events.put(event)
        return self.answers.get(timeout=60)


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next"
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": "4102444800000",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:111122223333:function:anomalake-ingest",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.answers.put((self.path.rpartition("/")[2], body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing, because the test reports failures."""


@pytest.fixture
def lambda_(s3_endpoint: str) -> Iterator[tuple[RuntimeApi, Any, subprocess.Popen[str]]]:
    """The API, the bucket of the function, and the process of the runtime with the built function."""
    if not (CLIENT / "awslambdaric").is_dir():
        pytest.skip("awslambdaric is not installed; `make check` installs it")
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=s3_endpoint, **keys).Bucket(f"lake-{os.urandom(6).hex()}")
    bucket.create()
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    code, *layers = INGEST.folders(HERE)
    paths = [str(code), *(str(layer / "python") for layer in layers), str(CLIENT)]
    command = (
        f"import sys; sys.path[:0] = {paths}; from awslambdaric.__main__ import main; "
        f"main(['', '{INGEST.module}.handler'])"
    )
    environment = {
        **KEYS,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "LAMBDA_TASK_ROOT": str(code),
        "TZ": ":UTC",
        "AWS_LAMBDA_FUNCTION_NAME": "anomalake-ingest",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "POWERTOOLS_SERVICE_NAME": "anomalake-ingest",
        "ANOMALAKE_LAKE": f"s3://{bucket.name}",
        "ANOMALAKE_METRIC_SETS": "metric_sets",
    }
    process = subprocess.Popen(
        [python313(), "-I", "-S", "-B", "-c", command], cwd=code, env=environment, stdout=subprocess.PIPE, text=True
    )
    yield api, bucket, process
    process.kill()
    process.wait()
    api.shutdown()


def test_the_function_responds_to_consecutive_events_and_logs_metrics_for_cloudwatch(lambda_):
    api, bucket, process = lambda_
    assert api.invoke(sqs_event(shop_alert("views", 812.25))) == ("response", {"batchItemFailures": []})
    sns = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": shop_alert("revenue", 1.5)}}]}
    assert api.invoke(sns) == ("response", {"filed": 1, "quarantined": 0})
    assert api.invoke({"detail-type": "something else"}) == ("response", {"filed": 0, "quarantined": 1})
    folders = {item.key.split("/")[0] for item in bucket.objects.all()}
    assert folders == {"alerts", "anomalyResults", "quarantine"}
    process.kill()
    logged = [json.loads(line) for line in process.stdout.read().splitlines() if line.startswith("{")]
    metrics = [line for line in logged if "_aws" in line]
    assert [line["AlertsFiled"] for line in metrics] == [[1.0], [1.0], [0.0]]
    (directive,) = metrics[0]["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], metrics[0]["service"]) == (
        "Anomalake",
        [["service"]],
        "anomalake-ingest",
    )
    assert [line["message"] for line in logged if line.get("level") == "WARNING"] == ["quarantined"]


def test_a_direct_call_fails_when_storage_fails_so_that_lambda_retries(lambda_):
    api, bucket, _ = lambda_
    bucket.delete()
    kind, body = api.invoke(json.loads(shop_alert("views", 1)))
    assert (kind, body["errorType"]) == ("error", "StorageError")
    assert bucket.name in body["errorMessage"] or "alerts/ecommerce" in body["errorMessage"]
