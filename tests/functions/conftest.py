"""The settings of a function with a lake in memory."""

import pytest

from anomalake.functions.settings import Settings
from anomalake.lake.object_store import ObjectStore
from detect_runs import SHOP


@pytest.fixture
def settings() -> Settings:
    return Settings(ObjectStore.memory(), (SHOP,), "parquet")
