"""Shared fixtures: the metric set of the shop, a lake in memory, and the S3 server of moto."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import s3_server
from anomalake.domain import metric_set_yaml
from anomalake.domain.metric_set import MetricSet
from anomalake.functions import settings as function_settings
from anomalake.lake.object_store import ObjectStore
from examples import shop_text

settings.register_profile("ci", deadline=None, max_examples=30)  # no test measures time
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
# A shell starts background jobs with SIGINT ignored, and child processes inherit that: tests that interrupt a process
# would wait forever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that hypothesis generates cases for, so that `make test-slow` repeats them with more cases."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")


@pytest.fixture(scope="session", autouse=True)
def _sync_without_delay() -> Iterator[None]:
    """Do not wait for the disk in the process of the tests: half their time goes there, and no test cuts the power.

    `os.fstat` still rejects a closed file. tests/lake/test_folder_store.py checks each call of `os.fsync`. Processes
    that a test starts wait for the disk.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture
def shop() -> MetricSet:
    """A metric set with two dimensions, a measure with SUM and one with AVG, hourly, UTC."""
    return metric_set_yaml.parse(shop_text(), "shop.yaml")


@pytest.fixture
def sets_folder(tmp_path: Path) -> Path:
    """A folder with the metric set of the shop."""
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / "shop.yaml").write_text(shop_text())
    return folder


@pytest.fixture
def function_lake(monkeypatch: pytest.MonkeyPatch, sets_folder: Path) -> Iterator[ObjectStore]:
    """A lake in memory with the metric set of the shop. The environment variables of the functions refer to it."""
    function_settings.reset()
    store = ObjectStore.memory()
    monkeypatch.setattr(function_settings, "open_store", lambda name, **_: store)
    monkeypatch.setenv("ANOMALAKE_LAKE", "memory://")
    monkeypatch.setenv("ANOMALAKE_METRIC_SETS", str(sets_folder))
    yield store
    function_settings.reset()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of moto's server on loopback, which runs in a process of its own."""
    with s3_server.running() as endpoint:
        yield endpoint


@pytest.fixture
def s3_lake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty lake in S3, deleted at the end.

    It is on moto's server, or on the store that `s3_server.get_named_endpoint` returns.

    The environment variables refer to it.
    """
    endpoint = s3_server.get_named_endpoint() or request.getfixturevalue("s3_endpoint")
    for name, value in s3_server.build_environment(endpoint).items():
        monkeypatch.setenv(name, value)
    lake = s3_server.create_lake(endpoint)
    yield lake
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)  # a test can have replaced it
    s3_server.remove(lake)
