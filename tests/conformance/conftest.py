"""The Glue of moto, the folders of the lakes as S3 buckets, and the engine, shared by all tests in this folder."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import s3_server
import stack
from anomalake.lake.layout import FORMATS

from . import awkward_lake, awkward_sets, engine, lakes
from .engine import Trino
from .lakes import Lake

WITHOUT = "ANOMALAKE_WITHOUT_TRINO"


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lakes. Each lake is a bucket."""
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="session")
def endpoint(buckets: Path) -> Iterator[str]:
    """The addresses of Glue and S3."""
    with s3_server.running(buckets) as address:
        yield address


@pytest.fixture(scope="session")
def trino(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """The engine. Without it the tests fail, unless the environment allows them to skip."""
    try:
        with engine.running(endpoint, tmp_path_factory.mktemp("trino")) as server:
            yield server
    except engine.UnavailableError as error:
        if os.environ.get(WITHOUT) == "1":
            pytest.skip(f"NOT CHECKED against Athena's engine ({WITHOUT}=1): {error}")
        raise


@pytest.fixture(scope="session")
def every_lake(endpoint: str, buckets: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    """Lakes in both formats, by name, such as `emptyparquet`. In `foldersparquet`, a test can write live data."""
    found, now = {}, datetime.now(UTC).replace(tzinfo=None)
    kinds = {
        "empty": lakes.committed(),
        "demo": lakes.load_demo_sets(),
        "awkward": awkward_sets.awkward(),
        "folders": awkward_sets.awkward(),
    }
    for kind, sets in kinds.items():
        template = (
            stack.TOP / "template.yaml"
            if kind == "empty"
            else stack.project(tmp_path_factory.mktemp(f"{kind}-project"), sets)
        )
        for form in FORMATS if kind != "folders" else FORMATS[:1]:
            root = buckets / (kind + form)
            root.mkdir()
            if kind == "demo":
                lakes.fill_demo(root, form, now)
            elif kind == "awkward":
                awkward_lake.fill_awkward(root, form)
            found[kind + form] = lakes.declare(kind + form, form, sets, template=template, root=root, endpoint=endpoint)
    return found
