"""The behaviour of an S3 store that this code relies on: conditional writes of concurrent writers, ETags, and complete
lists.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from anomalake.lake.store import open_store

WRITERS, ROUNDS = 8, 12


@pytest.fixture
def bucket(s3_lake):
    """Return a client, the bucket and a prefix."""
    import boto3

    name, _, prefix = s3_lake.removeprefix("s3://").partition("/")
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]), name, prefix


def status(call: Callable[[], object]) -> int:
    try:
        call()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


def run_concurrently(work: Callable[[int], int]) -> list[int]:
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, range(WRITERS)))


def test_of_many_writers_that_create_one_object_exactly_one_succeeds(bucket):
    client, name, prefix = bucket
    for number in range(ROUNDS):
        key = f"{prefix}/created/{number}"
        answers = run_concurrently(
            lambda n, key=key: status(
                lambda: client.put_object(Bucket=name, Key=key, Body=f"{n}".encode(), IfNoneMatch="*")
            )
        )
        assert answers.count(200) == 1, answers
        assert set(answers) <= {200, 409, 412}
        assert client.get_object(Bucket=name, Key=key)["Body"].read() == f"{answers.index(200)}".encode()


def test_of_many_writers_that_replace_one_version_exactly_one_succeeds(bucket):
    client, name, prefix = bucket
    key = f"{prefix}/replaced"
    tag = client.put_object(Bucket=name, Key=key, Body=b"0")["ETag"]
    for number in range(ROUNDS):
        answers = run_concurrently(
            lambda n, tag=tag, number=number: status(
                lambda: client.put_object(Bucket=name, Key=key, Body=f"{number} {n}".encode(), IfMatch=tag)
            )
        )
        assert answers.count(200) == 1, answers
        assert set(answers) <= {200, 409, 412}
        stored = client.get_object(Bucket=name, Key=key)
        assert stored["Body"].read() == f"{number} {answers.index(200)}".encode()
        tag = stored["ETag"]


def test_s3_returns_the_responses_that_the_store_expects(bucket, s3_lake):
    client, name, prefix = bucket
    key = f"{prefix}/one"
    assert status(lambda: client.put_object(Bucket=name, Key=key, Body=b"", IfMatch='"0123"')) in {404, 412}
    tag = client.put_object(Bucket=name, Key=key, Body=b"one")["ETag"]
    assert tag == f'"{hashlib.md5(b"one").hexdigest()}"'
    assert open_store(s3_lake).get("one").version == tag
    assert status(lambda: client.put_object(Bucket=name, Key=key, Body=b"two", IfNoneMatch="*")) == 412
    assert status(lambda: client.put_object(Bucket=name, Key=key, Body=b"two", IfMatch='"0123"')) == 412
    assert status(lambda: client.get_object(Bucket=name, Key=f"{prefix}/nothing")) == 404
    assert status(lambda: client.delete_object(Bucket=name, Key=f"{prefix}/nothing")) == 200


@pytest.mark.slow
def test_a_list_is_complete_and_sorted_over_several_pages_and_unusual_names(s3_lake):
    store = open_store(s3_lake)
    names = [f"list/{number:04}" for number in range(1005)]
    unusual_keys = ["list/date=2026-01-01/T1100Z.csv", "list/a b+c", "list/ü", "list/a/b", "list/a-b", "list/a.b"]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b""), [*names, *unusual_keys]))
    assert list(store.list("list")) == sorted([*names, *unusual_keys])
    assert list(store.list("lis")) == []
    assert list(store.list("list/a")) == ["list/a/b"]
    for key in unusual_keys:
        assert store.get(key).data == b""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(store.delete, [*names, *unusual_keys]))
    assert list(store.list("list")) == []
