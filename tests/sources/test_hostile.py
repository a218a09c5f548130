"""Hostile events to the ingest function.

None raises an error, exceeds the limits, writes outside the lake's prefixes or is lost. `hostile` creates the events,
`bounded` sends them under limits.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

import hostile
import hostile_events

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limits on memory are those of Linux")


@pytest.fixture
def environment(tmp_path, s3_endpoint):
    """Environment of the function: metric sets for every source, and notifications for scores of 90 or more."""
    folder = tmp_path / "sets"
    folder.mkdir()
    for name, text in hostile_events.METRIC_SETS.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    keys = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    sns = boto3.client(
        "sns", endpoint_url=s3_endpoint, region_name="eu-west-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    notification = {
        "ANOMALAKE_TOPIC_ARN": sns.create_topic(Name="hostile")["TopicArn"],
        "ANOMALAKE_NOTIFY_SCORE": "90",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }
    paths = {
        "PYTHONPATH": f"{TOP / 'src'}:{TOP / 'tests/support'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANOMALAKE_METRIC_SETS": str(folder),
    }
    return {**os.environ, **keys, **notification, **paths}


@LINUX
@pytest.mark.parametrize(("where", "form"), [("folder", "csv"), ("memory://", "parquet")])
def test_hostile_events_are_stored_or_quarantined_with_a_true_reason_within_two_seconds_and_200_mb_each(
    environment, tmp_path, where, form
):
    lake = str(tmp_path / "lake") if where == "folder" else where
    run = subprocess.run(
        [sys.executable, TOP / "tests/support/bounded.py", lake],
        env=environment | {"ANOMALAKE_LAKE": lake, "ANOMALAKE_FORMAT": form},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = run.stdout.rstrip("\n").split("\n")
    faults = [line for line in lines if line.startswith("FAULT")]
    assert not faults, f"{len(faults)} faults, the first:\n" + "\n".join(faults[:20])
    assert run.returncode == 0, f"exit status {run.returncode} at {run.stderr[-2000:]}"
    assert int(lines.pop().removeprefix("DELIVERED ")) > 5_000
    assert all(isinstance(json.loads(line), dict) for line in lines), (
        "each line of the function's log is one JSON object"
    )
    assert {path.name for path in tmp_path.iterdir()} == ({"sets", "lake"} if where == "folder" else {"sets"})


def test_hostile_events_are_the_same_in_every_run():
    assert list(hostile.messages()) == list(hostile.messages())
