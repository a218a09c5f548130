"""The lake as a person's machine reaches it: with the credentials that the AWS CLI would take."""

import os
from importlib.util import find_spec

from anomalake.domain.errors import UserError
from anomalake.lake.store import Store, open_store


def open_lake(lake: str) -> Store:
    """The store of a lake; `UserError` where S3 is asked for and there are no credentials.

    An environment without AWS_ACCESS_KEY_ID gets what the AWS CLI would take (a profile, SSO), if boto3 is installed; without it, what obstore finds.
    The region is AWS_REGION, AWS_DEFAULT_REGION or the profile's. Source: "Credentials" in the Boto3 documentation.
    """
    if not lake.startswith("s3://") or os.environ.get("AWS_ACCESS_KEY_ID") or find_spec("boto3") is None:
        return open_store(lake)
    import boto3  # noqa: PLC0415  (0.4 s that only this pays)
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    try:
        credentials = Boto3CredentialProvider(boto3.Session(region_name=os.environ.get("AWS_REGION")))
        credentials()  # an SSO session that has ended is told here, and not once for each object
    except (BotoCoreError, ValueError) as error:
        told = str(error) if isinstance(error, BotoCoreError) else "none were found"
        raise UserError(
            f"{lake}: AWS credentials: {told}; set AWS_PROFILE (and log in), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    return open_store(lake, credentials)
