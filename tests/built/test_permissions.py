"""Compares the permissions of the template with the requests of the built functions to moto: none is missing or
unused.
"""

import io
import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from anomalake.detect import state
from anomalake.detect.detector import Detector
from anomalake.domain import metric_set, metric_set_yaml
from anomalake.lake import layout
from anomalake.lake.live_data import IntervalData
from artifacts import DETECT, INGEST, TOP, call_handler, shop_alert
from examples import shop_text, sqs_event
from stack import ACCOUNT, REGION, Resource, expand, project

BUCKET = "lake-of-permissions"
# The actions that Lambda itself performs with the role of a function.
PLATFORM = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
}
DAILY = (
    shop_text(
        name="name: daily", frequency="frequency: P1D", timestamp="timestamp: {column: timestamp, format: yyyy-MM-dd}"
    )
    .replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", "daily/live/{{yyyyMMdd}}")
    .replace("[platform, marketplace]\n", "[platform, {name: marketplace, top: 5}]\n", 1)
)


class Call(NamedTuple):
    """An action on a resource that a function requires."""

    action: str
    resource: str


class Recorder:
    """The server of moto, which records the calls of each request."""

    def __init__(self) -> None:
        self.application: Any = DomainDispatcherApplication(create_backend_app)
        self.calls: list[Call] = []
        self.recording = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size) if size else b""
        environ["wsgi.input"] = io.BytesIO(body)
        status: list[str] = []

        def started(code: str, headers: Any, *more: Any) -> Any:
            status.append(code)
            return start_response(code, headers, *more)

        answer = list(self.application(environ, started))
        if self.recording:
            self.calls += list_required_actions(environ, body, int(status[0][:3]))
        return answer

    def record(self, work: Callable[[], None]) -> list[Call]:
        """Return the calls of the work."""
        self.calls, self.recording = [], True
        work()
        self.recording = False
        return self.calls


def list_required_actions(environ: dict[str, Any], body: bytes, status: int) -> list[Call]:
    """Return the actions and resources that IAM authorizes for a request."""
    target, method, path = (
        environ.get("HTTP_X_AMZ_TARGET", ""),
        environ["REQUEST_METHOD"],
        unquote(environ["PATH_INFO"]).lstrip("/"),
    )
    if target.startswith("AmazonSQS."):
        queue = json.loads(body)["QueueUrl"].rpartition("/")[2]
        return [
            Call("sqs:" + target.partition(".")[2].removesuffix("Batch"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
        ]
    form = parse_qs(body.decode()) if "form-urlencoded" in environ.get("CONTENT_TYPE", "") else {}
    if "Action" in form:
        return [
            Call(f"sns:{form['Action'][0]}", f"arn:aws:sns:{REGION}:{ACCOUNT}:{form['TopicArn'][0].rpartition(':')[2]}")
        ]
    bucket, _, key = path.partition("/")
    assert bucket == BUCKET, path
    if method == "POST" and environ["QUERY_STRING"].startswith(
        "delete"
    ):  # deletes several objects; each must be allowed
        return [
            Call("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{name}")
            for name in re.findall("<Key>(.*?)</Key>", body.decode())
        ]
    if not key:
        assert (method, "list-type=2" in environ["QUERY_STRING"]) == ("GET", True), environ["QUERY_STRING"]
        return [Call("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
    action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}[method]
    missing = (
        [Call("s3:ListBucket", f"arn:aws:s3:::{bucket}")] if status == 404 else []
    )  # without the permission, S3 returns 403
    return [Call(action, f"arn:aws:s3:::{bucket}/{key}"), *missing]


@pytest.fixture(scope="module")
def recorder() -> Iterator[tuple[Recorder, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    application = Recorder()
    server = make_server("127.0.0.1", port, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield application, f"http://127.0.0.1:{port}"
    server.shutdown()
    thread.join()


class RecordedCalls(NamedTuple):
    """The calls of each function, and the stack whose permissions are compared with them."""

    ingest: list[Call]
    detect: list[Call]
    stack: dict[str, Resource]


@pytest.fixture(scope="module")
def recorded_calls(recorder, tmp_path_factory) -> RecordedCalls:
    """Run both functions so that they use each of their permissions.

    Ingest: new and known timestamps, a severe alert and an unreadable message, twice. Detect: two runs, an alert, an
    alert that is too large to send, a state with a shard that is replaced, feedback, and days being compacted.
    """
    application, endpoint = recorder
    top = tmp_path_factory.mktemp("project")
    sets = top / "metric_sets"
    sets.mkdir()
    shutil.copy(TOP / "src/metric_sets/ecommerce.yaml", sets)
    (sets / "daily.yaml").write_text(DAILY)
    keys = {
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "region_name": "us-east-1",
        "endpoint_url": endpoint,
    }
    bucket, sqs = boto3.resource("s3", **keys).Bucket(BUCKET), boto3.client("sqs", **keys)
    bucket.create()
    write_hourly_data(bucket)
    write_daily_data(bucket)
    write_state(bucket, metric_set_yaml.load(sets / "ecommerce.yaml"))
    write_days_being_compacted(bucket, metric_set_yaml.load(sets / "ecommerce.yaml"))
    feedback = {"metricName": "revenue", "timestamp": "2021-01-01T00:00:00", "wanted": True}
    bucket.put_object(Key="feedback/ecommerce/v1/said.json", Body=json.dumps(feedback).encode())
    queue = sqs.create_queue(QueueName="anomalake-alerts")["QueueUrl"]
    topic = boto3.client("sns", **keys).create_topic(Name="anomalake-notifications")["TopicArn"]
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "ANOMALAKE_LAKE": f"s3://{BUCKET}",
        "ANOMALAKE_METRIC_SETS": str(sets),
        "ANOMALAKE_TOPIC_ARN": topic,
        "ANOMALAKE_NOTIFY_SCORE": "60",
        "ANOMALAKE_QUEUE_URL": queue,
    }

    def ingest() -> None:
        first = sqs_event(shop_alert("views", 812.25), "{")
        for event in (first, sqs_event(shop_alert("revenue", 99.5)), first):
            assert call_handler(INGEST, event, **environment)[0] == {"batchItemFailures": []}

    def detect() -> None:
        answer = call_handler(DETECT, {"metricSet": "ecommerce"}, **environment)[0]
        assert (answer["alerts"], answer["due"]) == (1, 0)
        assert call_handler(DETECT, {"metricSet": "ecommerce"}, **environment)[0]["alerts"] == 0
        assert call_handler(DETECT, {"metricSet": "daily"}, **environment)[0]["alerts"] == 1

    found = RecordedCalls(
        application.record(ingest),
        application.record(detect),
        expand(project(top, metric_set_yaml.load_all(sets)), ExistingBucket=BUCKET),
    )
    waiting = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert waiting == {"ApproximateNumberOfMessages": "1"}  # the other alert was too large and was filed directly
    return found


def write_state(bucket: Any, item: metric_set.MetricSet) -> None:
    """Write a state of the hour before the first, with which only the last hour can alert."""
    last = last_hour()
    before, detector = last - timedelta(hours=9 * 24), Detector(item)
    detector.score(IntervalData(before, {("app", "us"): (1_000.0, 5.0)}, 1, ()))
    head, shards = state.dump(state.DetectorState(detector, before, last, 0))
    bucket.put_object(Key=layout.state_key(item), Body=head)
    for name, data in shards.items():
        bucket.put_object(Key=layout.shard_key(item, name), Body=data)


def write_days_being_compacted(bucket: Any, item: metric_set.MetricSet) -> None:
    """Write the list of a day whose object is written next, and a day whose other objects are deleted next."""
    steps = ((7, "begun", False), (6, "switched", True), (0, "through", None))
    days = [(f"{last_hour() - timedelta(days=ago):%Y-%m-%d}", step, switched) for ago, step, switched in steps]
    lines = [
        {
            "day": day,
            "step": step,
            "since": "2021-01-01T00:00:00",
            "target": None if switched is None else day,
            "switched": switched,
        }
        for day, step, switched in days
    ]
    bucket.put_object(Key=layout.compaction_key(item), Body="".join(json.dumps(line) + "\n" for line in lines).encode())


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(hours=1)


def write_hourly_data(bucket: Any) -> None:
    """Write nine days of two series; the last hour is anomalous."""
    last = last_hour()
    for number in range(9 * 24):
        wall = last - timedelta(hours=number)
        views = 90_000 if number == 0 else 1_000 + wall.hour
        rows = "".join(f"{platform},us,{wall:%Y-%m-%d %H:%M:%S},{views},5.0\n" for platform in ("app", "web"))
        text = "platform,marketplace,timestamp,views,revenue\n" + rows
        bucket.put_object(Key=f"ecommerce/live/{wall:%Y%m%d/%H%M}/data.csv", Body=text.encode())


def write_daily_data(bucket: Any) -> None:
    """Write twenty days of many series, all anomalous yesterday, so that the alert is too large for a message."""
    yesterday = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)
    for number in range(20):
        wall = yesterday - timedelta(days=number)
        rows = "".join(
            f"platform-{n},us,{wall:%Y-%m-%d},{5_000 if number == 0 else 100 + wall.day % 3},1\n" for n in range(4_000)
        )
        bucket.put_object(
            Key=f"daily/live/{wall:%Y%m%d}/data.csv",
            Body=f"platform,marketplace,timestamp,views,revenue\n{rows}".encode(),
        )


Permission = tuple[str, str]


def permissions(stack: dict[str, Resource], role: str) -> set[Permission]:
    """Return every action and resource that a role allows: inline, by managed policies, and by nested stacks."""
    own = stack[role].properties
    documents = [policy["PolicyDocument"] for policy in own["Policies"]]
    managed = {
        f"arn:aws:iam::{ACCOUNT}:policy/{r.properties['ManagedPolicyName']}": r
        for r in stack.values()
        if r.type == "AWS::IAM::ManagedPolicy"
    }
    documents += [managed[arn].properties["PolicyDocument"] for arn in own["ManagedPolicyArns"]]
    documents += [
        r.properties["PolicyDocument"]
        for r in stack.values()
        if r.type == "AWS::IAM::RolePolicy" and r.properties["RoleName"] == own["RoleName"]
    ]
    found = set()
    for statement in (statement for document in documents for statement in document["Statement"]):
        assert statement["Effect"] == "Allow"
        assert "Condition" not in statement, "this test does not evaluate conditions"
        actions, resources = (
            [item] if isinstance(item, str) else item for item in (statement["Action"], statement["Resource"])
        )
        found |= {(action, resource) for action in actions for resource in resources}
    return found


def allows(permission: Permission, call: Call) -> bool:
    return permission[0] == call.action and fnmatchcase(call.resource, permission[1])


@pytest.mark.parametrize(("role", "function"), [("IngestRole", "ingest"), ("DetectRole", "detect")])
def test_every_call_of_a_function_is_allowed(recorded_calls: RecordedCalls, role: str, function: str):
    allowed = permissions(recorded_calls.stack, role)
    denied = {
        call
        for call in getattr(recorded_calls, function)
        if not any(allows(permission, call) for permission in allowed)
    }
    assert denied == set()


def test_every_permission_is_used_by_a_function_that_has_it(recorded_calls: RecordedCalls):
    failure = f"arn:aws:sqs:{REGION}:{ACCOUNT}:anomalake-dead-letters"  # Lambda sends the failed direct calls there
    held, used = set[Permission](), set[Permission]()
    for role, seen in (("IngestRole", recorded_calls.ingest), ("DetectRole", recorded_calls.detect)):
        allowed = {
            permission
            for permission in permissions(recorded_calls.stack, role)
            if permission[0] not in PLATFORM and permission[1] != failure
        }
        held |= allowed
        used |= {permission for permission in allowed if any(allows(permission, call) for call in seen)}
    assert held - used == set()


def test_the_roles_allow_the_actions_of_lambda_itself(recorded_calls: RecordedCalls):
    for role in ("IngestRole", "DetectRole"):
        assert {action for action, _ in permissions(recorded_calls.stack, role)} >= {
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "xray:PutTraceSegments",
        }
    assert {action for action, _ in permissions(recorded_calls.stack, "IngestRole")} >= {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    }


def test_the_template_sets_the_environment_that_the_functions_read():
    (names,) = re.findall(r"_NAMES = \(([^)]*)\)", (TOP / "src/anomalake/functions/settings.py").read_text("utf-8"))
    read = {f"ANOMALAKE_{name}" for name in re.findall(r'"(\w+)"', names)}
    assert set(re.findall(r"^ +(ANOMALAKE_\w+):", (TOP / "template.yaml").read_text("utf-8"), re.MULTILINE)) == read
