"""What nobody should send to the ingest function: nothing raises, costs much, leaves the lake's prefixes or gets lost (`hostile`, `bounded`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

import hostile
import hostile_events

TOP = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limits on memory are those of Linux")


@pytest.fixture
def environment(tmp_path, s3_endpoint):
    """What the function is set to: metric sets for every source, and people who are told of what scores 90 or more."""
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
    told = {
        "ANOMALAKE_TOPIC_ARN": sns.create_topic(Name="hostile")["TopicArn"],
        "ANOMALAKE_NOTIFY_SCORE": "90",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }
    paths = {
        "PYTHONPATH": f"{TOP / 'src'}:{TOP / 'tests/support'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANOMALAKE_METRIC_SETS": str(folder),
    }
    return {**os.environ, **keys, **told, **paths}


@LINUX
@pytest.mark.parametrize(("where", "form"), [("folder", "csv"), ("memory://", "parquet")])
def test_thousands_of_hostile_events_are_filed_or_kept_with_a_true_reason_within_two_seconds_and_200_mb_each(
    environment, tmp_path, where, form
):
    lake = str(tmp_path / "lake") if where == "folder" else where
    run = subprocess.run(
        [sys.executable, TOP / "tests/support/bounded.py", lake],
        env=environment | {"ANOMALAKE_LAKE": lake, "ANOMALAKE_FORMAT": form}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = run.stdout.rstrip("\n").split("\n")
    faults = [line for line in lines if line.startswith("FAULT")]
    assert not faults, f"{len(faults)} faults, the first:\n" + "\n".join(faults[:20])
    assert run.returncode == 0, f"it ended with {run.returncode} at {run.stderr[-2000:]}"
    assert int(lines.pop().removeprefix("DELIVERED ")) > 5_000
    assert all(isinstance(json.loads(line), dict) for line in lines), (
        "what the function writes to its log is one object a line"
    )
    assert {path.name for path in tmp_path.iterdir()} == ({"sets", "lake"} if where == "folder" else {"sets"})


def test_hostile_events_are_the_same_in_every_run():
    assert list(hostile.messages()) == list(hostile.messages())
