"""`anomalake doctor`: checks an AWS account and a deployed stack."""

import argparse
import os
from pathlib import Path
from typing import Any

from anomalake.cli.options import add_project_metric_set, load_metric_sets
from anomalake.cli.terminal import json_line, print_line
from anomalake.domain.errors import UserError

SUMMARY = "check an AWS account and a deployed stack for the most frequent problems"
HELP = """\
Example:
  anomalake doctor --region eu-west-1 --quicksight-owner ana

Result:
  A line for each check, with its status (ok, warning, problem or skipped), what was found, and what to do. The command
  only reads. The exit status is 1 where a check reports a problem. docs/doctor.md describes the checks."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_project_metric_set(parser)
    parser.add_argument(
        "--stack", default="anomalake", metavar="NAME", help="the CloudFormation stack (default: %(default)s)"
    )
    parser.add_argument(
        "--region", metavar="REGION", help="the region of the stack (default: AWS_REGION, else the profile's region)"
    )
    parser.add_argument(
        "--quicksight-owner",
        default="",
        metavar="ARN_OR_NAME",
        help="who owns the dashboards: the ARN or the name of a QuickSight user, or group/default/NAME",
    )
    parser.add_argument(
        "--as",
        dest="shape",
        choices=("table", "json"),
        default="table",
        help="the output (default: %(default)s); json writes one object a line",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the checks and print each result."""
    from anomalake import doctor

    metric_sets = load_metric_sets(Path(arguments.metric_set))
    session, config = _open_session(arguments.region)
    settings = doctor.Settings(arguments.stack, session.region_name, arguments.quicksight_owner, metric_sets)
    checks = []
    for check in doctor.run_checks(
        lambda service, region: session.client(service, region_name=region, config=config), settings
    ):
        checks.append(check)
        if arguments.shape == "json":
            print_line(json_line(check._asdict()))
        else:
            remedy = f"\n{'':<26}-> {check.remedy}" if check.remedy else ""
            print_line(f"{check.status:<9}{check.name:<17}{check.found}{remedy}")
    return 0 if doctor.is_healthy(checks) else 1


def _open_session(region: str | None) -> tuple[Any, Any]:
    """Return the boto3 session and the configuration of its clients; raises `UserError` without a region or profile."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        session: Any = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        configured_region = session.region_name
    except BotoCoreError as error:
        raise UserError(f"AWS_PROFILE: {error}; name a profile that `aws configure list-profiles` prints") from error
    if not configured_region:
        raise UserError("no AWS region is configured; name one with --region, or set AWS_REGION")
    config = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})
    return session, config
