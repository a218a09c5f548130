"""The command `anomalake doctor`: its output, its exit status, its errors."""

import json
from typing import Any

import pytest

from anomalake.cli.main import main
from doctor_answers import HEALTHY, REGION, workgroup
from fake_aws import Aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Make boto3 return the clients of the fake AWS."""
    fake = Aws(dict(HEALTHY))
    monkeypatch.setattr("boto3.Session.client", lambda _, service, region_name, **__: fake(service, region_name))
    return fake


def run(sets_folder: Any, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    status = main(["doctor", "--region", REGION, "--metric-set", str(sets_folder), *options])
    return (status, *capsys.readouterr())


def test_the_command_prints_text_or_json_and_its_exit_status_shows_problems(aws, sets_folder, capsys):
    status, out, err = run(sets_folder, capsys)
    assert (status, err) == (0, "")
    assert out.startswith("ok       credentials      account 111122223333")
    aws.answers["athena.get_work_group"] = workgroup("DISABLED")
    status, out, _ = run(sets_folder, capsys, "--as", "json")
    checks = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [(check["name"], list(check)) for check in checks if check["status"] == "problem"] == [
        ("workgroup", ["name", "status", "found", "remedy"])
    ]


def test_the_region_variable_of_the_aws_cli_is_used(aws, sets_folder, capsys, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 0


def test_without_credentials_the_command_prints_one_sentence(sets_folder, capsys, monkeypatch, tmp_path):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status, out, err = run(sets_folder, capsys)
    assert (status, err) == (1, "")
    assert "there are no AWS credentials" in out
    assert "aws sso login" in out


def test_a_missing_region_an_unknown_profile_and_wrong_usage_have_different_messages(
    sets_folder, capsys, monkeypatch, tmp_path
):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 1
    assert "--region" in capsys.readouterr().err
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert main(["doctor", "--metric-set", str(sets_folder)]) == 1
    assert "AWS_PROFILE: The config profile (nobody) could not be found" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--as", "xml"])
    assert stopped.value.code == 2
