"""Opens a lake from a local machine, with the same credentials as the AWS CLI."""

import os
from importlib.util import find_spec

from anomalake.domain.errors import UserError
from anomalake.lake.store import Store, open_store


def open_lake(lake: str) -> Store:
    """Open the lake. Raise `UserError` if it is in S3 and no credentials are found.

    If AWS_ACCESS_KEY_ID is not set and boto3 is installed, the credentials are those that the AWS CLI uses (a profile,
    SSO). Otherwise obstore finds the credentials. The region is AWS_REGION, AWS_DEFAULT_REGION or the region of the
    profile. Source: "Credentials" in the Boto3 documentation.
    """
    if not lake.startswith("s3://") or os.environ.get("AWS_ACCESS_KEY_ID") or find_spec("boto3") is None:
        return open_store(lake)
    import boto3  # noqa: PLC0415  (the import takes 0.4 s)
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    try:
        credentials = Boto3CredentialProvider(boto3.Session(region_name=os.environ.get("AWS_REGION")))
        credentials()  # report an expired SSO session once, here, and not for each object
    except (BotoCoreError, ValueError) as error:
        problem = str(error) if isinstance(error, BotoCoreError) else "no credentials found"
        raise UserError(
            f"{lake}: AWS credentials: {problem}; set AWS_PROFILE (and log in), or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        ) from error
    return open_store(lake, credentials)
